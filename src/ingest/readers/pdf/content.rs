//! Runs a page's drawing orders and notes where each glyph lands (ISO 32000-1, 8 and 9).

use std::collections::HashMap;
use std::rc::Rc;

use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, Document, Object, ObjectId};

use super::font::Font;
use super::{MAX_STREAM_BYTES, dictionary, number, value};

/// Forms drawn inside forms, at most.
const MAX_FORM_DEPTH: usize = 12;
/// Glyphs of one page, at most: a page has some thousands.
const MAX_GLYPHS: usize = 400_000;

/// A glyph on a page, in points, with its line horizontal: rotated text is turned upright first.
#[derive(Debug, Clone)]
pub(super) struct Glyph {
    pub text: String,
    /// Left edge.
    pub x: f32,
    /// Base line; larger is higher.
    pub y: f32,
    pub width: f32,
    /// Height of the font.
    pub size: f32,
    /// Quarter turns against the page.
    pub turn: u8,
}

/// `[a b c d e f]` as in PDF: x' = a·x + c·y + e, y' = b·x + d·y + f.
#[derive(Debug, Clone, Copy)]
struct Matrix([f32; 6]);

impl Matrix {
    const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    /// First `self`, then `outer`.
    #[expect(clippy::many_single_char_names, reason = "the names of ISO 32000-1, 8.3.3")]
    fn then(self, outer: Self) -> Self {
        let ([a, b, c, d, e, f], [oa, ob, oc, od, oe, of]) = (self.0, outer.0);
        Self([
            a * oa + b * oc,
            a * ob + b * od,
            c * oa + d * oc,
            c * ob + d * od,
            e * oa + f * oc + oe,
            e * ob + f * od + of,
        ])
    }

    fn moved(self, x: f32, y: f32) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y]).then(self)
    }

    fn of(operands: &[Object]) -> Option<Self> {
        let numbers: Vec<f32> = operands.iter().filter_map(number).collect();
        numbers.try_into().ok().map(Self)
    }
}

/// What `q` saves and `Q` brings back.
#[derive(Clone)]
struct State {
    matrix: Matrix,
    font: Option<Rc<Font>>,
    size: f32,
    char_spacing: f32,
    word_spacing: f32,
    /// 1 is as designed.
    stretch: f32,
    leading: f32,
    rise: f32,
}

/// Draws one page into glyphs.
pub(super) struct Interpreter<'a> {
    document: &'a Document,
    pub glyphs: Vec<Glyph>,
    /// Glyphs whose characters the font does not say.
    pub unknown: usize,
    fonts: HashMap<*const Dictionary, Rc<Font>>,
    state: State,
    stack: Vec<State>,
    text: Matrix,
    line: Matrix,
    depth: usize,
}

impl<'a> Interpreter<'a> {
    pub fn new(document: &'a Document) -> Self {
        let state = State {
            matrix: Matrix::IDENTITY,
            font: None,
            size: 0.0,
            char_spacing: 0.0,
            word_spacing: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
        };
        Self {
            document,
            glyphs: Vec::new(),
            unknown: 0,
            fonts: HashMap::new(),
            state,
            stack: Vec::new(),
            text: Matrix::IDENTITY,
            line: Matrix::IDENTITY,
            depth: 0,
        }
    }

    /// Draws a page; what cannot be read of it is left out.
    pub fn page(&mut self, id: ObjectId) {
        let Ok(content) = self.document.get_page_content_with_limit(id, MAX_STREAM_BYTES) else { return };
        let mut resources = Vec::new();
        if let Ok((own, inherited)) = self.document.get_page_resources(id) {
            resources.extend(own);
            resources.extend(inherited.iter().filter_map(|id| self.document.get_dictionary(*id).ok()));
        }
        self.run(&content, &resources);
    }

    fn run(&mut self, content: &[u8], resources: &[&'a Dictionary]) {
        for operation in Content::decode_iter(content).map_while(Result::ok) {
            self.operation(&operation, resources);
            if self.glyphs.len() > MAX_GLYPHS {
                return;
            }
        }
    }

    fn operation(&mut self, operation: &Operation, resources: &[&'a Dictionary]) {
        let operands = &operation.operands[..];
        let first = operands.first().and_then(number);
        match (operation.operator.as_str(), operands) {
            ("q", _) if self.stack.len() < 256 => self.stack.push(self.state.clone()),
            ("Q", _) => self.state = self.stack.pop().unwrap_or_else(|| self.state.clone()),
            ("cm", _) => {
                if let Some(matrix) = Matrix::of(operands) {
                    self.state.matrix = matrix.then(self.state.matrix);
                }
            }
            ("BT", _) => (self.text, self.line) = (Matrix::IDENTITY, Matrix::IDENTITY),
            ("Tf", [Object::Name(name), size]) => {
                self.state.font = self.font(name, resources);
                self.state.size = number(size).unwrap_or_default();
            }
            ("Td", [x, y]) => self.next_line(number(x), number(y)),
            ("TD", [x, y]) => {
                self.state.leading = -number(y).unwrap_or_default();
                self.next_line(number(x), number(y));
            }
            ("Tm", _) => {
                if let Some(matrix) = Matrix::of(operands) {
                    (self.text, self.line) = (matrix, matrix);
                }
            }
            ("T*", _) => self.next_line(None, Some(-self.state.leading)),
            ("Tc", _) => self.state.char_spacing = first.unwrap_or_default(),
            ("Tw", _) => self.state.word_spacing = first.unwrap_or_default(),
            ("Tz", _) => self.state.stretch = first.unwrap_or(100.0) / 100.0,
            ("TL", _) => self.state.leading = first.unwrap_or_default(),
            ("Ts", _) => self.state.rise = first.unwrap_or_default(),
            ("Tj", [Object::String(bytes, _)]) => self.show(bytes),
            ("'", [Object::String(bytes, _)]) => {
                self.next_line(None, Some(-self.state.leading));
                self.show(bytes);
            }
            ("\"", [word, character, Object::String(bytes, _)]) => {
                self.state.word_spacing = number(word).unwrap_or_default();
                self.state.char_spacing = number(character).unwrap_or_default();
                self.next_line(None, Some(-self.state.leading));
                self.show(bytes);
            }
            ("TJ", [Object::Array(parts)]) => self.show_parts(parts),
            ("Do", [Object::Name(name)]) => self.form(name, resources),
            _ => {}
        }
    }

    fn next_line(&mut self, x: Option<f32>, y: Option<f32>) {
        self.line = self.line.moved(x.unwrap_or_default(), y.unwrap_or_default());
        self.text = self.line;
    }

    fn show_parts(&mut self, parts: &[Object]) {
        for part in parts {
            match part {
                Object::String(bytes, _) => self.show(bytes),
                other => {
                    let back = number(other).unwrap_or_default() / 1000.0;
                    self.text = self.text.moved(-back * self.state.size * self.state.stretch, 0.0);
                }
            }
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        let Some(font) = self.state.font.clone() else { return };
        for shown in font.decode(bytes) {
            let spacing = self.state.char_spacing + if shown.is_space { self.state.word_spacing } else { 0.0 };
            let width = shown.width * self.state.size * self.state.stretch;
            match shown.text {
                Some(text) => self.place(text, width),
                None => self.unknown += 1,
            }
            self.text = self.text.moved(width + spacing * self.state.stretch, 0.0);
        }
    }

    #[expect(clippy::many_single_char_names, reason = "the names of ISO 32000-1, 8.3.3")]
    fn place(&mut self, text: String, width: f32) {
        let Matrix([a, b, c, d, x, y]) = self.text.moved(0.0, self.state.rise).then(self.state.matrix);
        let along = a.hypot(b);
        let size = (c.hypot(d) * self.state.size).abs();
        if ![x, y, along, size].iter().all(|number| number.is_finite()) || size <= 0.0 {
            return;
        }
        // Which way the line runs: right, up, left or down on the page.
        let turn = if a.abs() >= b.abs() {
            if a >= 0.0 { 0 } else { 2 }
        } else if b > 0.0 {
            1
        } else {
            3
        };
        let (x, y) = match turn {
            1 => (y, -x),
            2 => (-x, -y),
            3 => (-y, x),
            _ => (x, y),
        };
        self.glyphs.push(Glyph { text, x, y, width: (width * along).abs(), size, turn });
    }

    fn font(&mut self, name: &[u8], resources: &[&'a Dictionary]) -> Option<Rc<Font>> {
        let document = self.document;
        let found = resources
            .iter()
            .copied()
            .find_map(|resources| dictionary(dictionary(resources, b"Font", document)?, name, document));
        let dictionary = found?;
        let key = std::ptr::from_ref(dictionary);
        let font = self.fonts.entry(key).or_insert_with(|| Rc::new(Font::load(dictionary, document)));
        Some(font.clone())
    }

    /// Draws a form: a piece of page with resources of its own.
    fn form(&mut self, name: &[u8], resources: &[&'a Dictionary]) {
        let document = self.document;
        let form = resources.iter().copied().find_map(|resources| {
            value(dictionary(resources, b"XObject", document)?, name, document)?.as_stream().ok()
        });
        let Some(form) = form.filter(|form| form.dict.get(b"Subtype").and_then(Object::as_name).ok() == Some(b"Form"))
        else {
            return;
        };
        if self.depth >= MAX_FORM_DEPTH {
            return;
        }
        let Ok(content) = form.get_plain_content_with_limit(MAX_STREAM_BYTES) else { return };
        let saved = (self.state.clone(), std::mem::take(&mut self.stack), self.text, self.line);
        if let Some(matrix) = value(&form.dict, b"Matrix", document)
            .and_then(|object| object.as_array().ok())
            .and_then(|array| Matrix::of(array))
        {
            self.state.matrix = matrix.then(self.state.matrix);
        }
        let own: Vec<&Dictionary> =
            dictionary(&form.dict, b"Resources", document).into_iter().chain(resources.iter().copied()).collect();
        self.depth += 1;
        self.run(&content, &own);
        self.depth -= 1;
        (self.state, self.stack, self.text, self.line) = saved;
    }
}
