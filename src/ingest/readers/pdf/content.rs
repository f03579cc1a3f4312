//! Runs a page's drawing orders and notes where each glyph lands (ISO 32000-1, 8 and 9).

use std::collections::HashMap;
use std::rc::Rc;

use lopdf::{Dictionary, Document, Object, ObjectId, Stream, decode_text_string};

use super::font::Font;
use super::lexer::Orders;
use super::{dictionary, number, unpacked, value};

/// Forms drawn inside forms, at most.
const MAX_FORM_DEPTH: usize = 12;
/// Forms drawn in one document, at most: drawings have some thousands, and forms that draw each other no end.
pub(super) const MAX_FORMS: usize = 100_000;
/// Space between letters that counts as part of them, in font sizes, at most: wider ones part words.
const MAX_SPACING: f32 = 0.5;
/// Glyphs of one page, at most: a page has some thousands.
const MAX_GLYPHS: usize = 400_000;

/// A glyph on a page, in points, with its line horizontal: turned text is turned upright first.
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
    /// Degrees its line is turned against the page as it is shown, 0 to 359.
    pub turn: u16,
}

/// Words that a page states for a stretch of its glyphs, in place of what their fonts say (`ActualText`).
struct Stated {
    text: String,
    /// Glyphs placed before it began.
    before: usize,
}

/// `[a b c d e f]` as in PDF: x' = a·x + c·y + e, y' = b·x + d·y + f.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix([f32; 6]);

impl Matrix {
    pub const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    /// From one rectangle onto another, each as `[left, bottom, right, top]`.
    pub fn between(from: [f32; 4], onto: [f32; 4]) -> Self {
        let scale = |at: usize| match from[at + 2] - from[at] {
            0.0 => 1.0,
            length => (onto[at + 2] - onto[at]) / length,
        };
        let (across, up) = (scale(0), scale(1));
        Self([across, 0.0, 0.0, up, onto[0] - from[0] * across, onto[1] - from[1] * up])
    }

    /// First `self`, then `outer`.
    #[expect(clippy::many_single_char_names, reason = "the names of ISO 32000-1, 8.3.3")]
    pub fn then(self, outer: Self) -> Self {
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

    /// The rectangle around a rectangle, both as `[left, bottom, right, top]`.
    pub fn bounds(self, [left, bottom, right, top]: [f32; 4]) -> [f32; 4] {
        let corners = [(left, bottom), (right, bottom), (left, top), (right, top)].map(|(x, y)| self.moved(x, y).0);
        let all = |at: usize, pick: fn(f32, f32) -> f32, first: f32| corners.iter().map(|c| c[at]).fold(first, pick);
        [
            all(4, f32::min, f32::INFINITY),
            all(5, f32::min, f32::INFINITY),
            all(4, f32::max, f32::NEG_INFINITY),
            all(5, f32::max, f32::NEG_INFINITY),
        ]
    }

    fn moved(self, x: f32, y: f32) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y]).then(self)
    }

    pub fn of(operands: &[Object]) -> Option<Self> {
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
    /// Forms that may still be drawn.
    pub forms_left: usize,
    /// Degrees that the page is turned clockwise to be shown.
    rotation: u16,
    /// The marked stretches that are open; those that state their words have some.
    marked: Vec<Option<Stated>>,
}

impl<'a> Interpreter<'a> {
    /// An interpreter for a page that is turned so many degrees clockwise to be shown, and may draw so many forms.
    pub fn new(document: &'a Document, rotation: u16, forms_left: usize) -> Self {
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
            forms_left,
            rotation,
            marked: Vec::new(),
        }
    }

    /// Draws a page; what cannot be read of it is left out.
    pub fn page(&mut self, id: ObjectId) {
        let mut content = Vec::new();
        for part in self.document.get_page_contents(id) {
            let stream = self.document.get_object(part).and_then(Object::as_stream).ok();
            content.extend(stream.and_then(|stream| unpacked(stream, self.document)).unwrap_or_default());
            content.push(b'\n');
        }
        let mut resources = Vec::new();
        if let Ok((own, inherited)) = self.document.get_page_resources(id) {
            resources.extend(own);
            resources.extend(inherited.iter().filter_map(|id| self.document.get_dictionary(*id).ok()));
        }
        self.run(&content, &resources);
    }

    /// Draws a form under a matrix of its own, as annotations do.
    pub fn appearance(&mut self, form: &'a Stream, matrix: Matrix) {
        (self.state.matrix, self.stack) = (matrix, Vec::new());
        self.draw(form, &[]);
    }

    fn run(&mut self, content: &[u8], resources: &[&'a Dictionary]) {
        let open = self.marked.len();
        for (operator, operands) in Orders::new(content) {
            self.operation(operator, &operands, resources);
            if self.glyphs.len() > MAX_GLYPHS {
                break;
            }
        }
        while self.marked.len() > open {
            self.end_marked();
        }
    }

    fn operation(&mut self, operator: &[u8], operands: &[Object], resources: &[&'a Dictionary]) {
        let first = operands.first().and_then(number);
        match (operator, operands) {
            (b"q", _) if self.stack.len() < 256 => self.stack.push(self.state.clone()),
            (b"Q", _) => self.state = self.stack.pop().unwrap_or_else(|| self.state.clone()),
            (b"cm", _) => {
                if let Some(matrix) = Matrix::of(operands) {
                    self.state.matrix = matrix.then(self.state.matrix);
                }
            }
            (b"BT", _) => (self.text, self.line) = (Matrix::IDENTITY, Matrix::IDENTITY),
            (b"Tf", [Object::Name(name), size]) => {
                self.state.font = self.font(name, resources);
                self.state.size = number(size).unwrap_or_default();
            }
            (b"Td", [x, y]) => self.next_line(number(x), number(y)),
            (b"TD", [x, y]) => {
                self.state.leading = -number(y).unwrap_or_default();
                self.next_line(number(x), number(y));
            }
            (b"Tm", _) => {
                if let Some(matrix) = Matrix::of(operands) {
                    (self.text, self.line) = (matrix, matrix);
                }
            }
            (b"T*", _) => self.next_line(None, Some(-self.state.leading)),
            (b"Tc", _) => self.state.char_spacing = first.unwrap_or_default(),
            (b"Tw", _) => self.state.word_spacing = first.unwrap_or_default(),
            (b"Tz", _) => self.state.stretch = first.unwrap_or(100.0) / 100.0,
            (b"TL", _) => self.state.leading = first.unwrap_or_default(),
            (b"Ts", _) => self.state.rise = first.unwrap_or_default(),
            (b"Tj", [.., Object::String(bytes, _)]) => self.show(bytes),
            (b"'", [.., Object::String(bytes, _)]) => {
                self.next_line(None, Some(-self.state.leading));
                self.show(bytes);
            }
            (b"\"", [word, character, Object::String(bytes, _)]) => {
                self.state.word_spacing = number(word).unwrap_or_default();
                self.state.char_spacing = number(character).unwrap_or_default();
                self.next_line(None, Some(-self.state.leading));
                self.show(bytes);
            }
            (b"TJ", [.., Object::Array(parts)]) => self.show_parts(parts),
            (b"Do", [Object::Name(name)]) => self.form(name, resources),
            (b"BDC", [_, properties]) => self.begin_marked(properties, resources),
            (b"BMC" | b"BDC", _) => self.marked.push(None),
            (b"EMC", _) => self.end_marked(),
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
            // Letters spaced out by the page itself are as good as wider ones.
            let spaced =
                width + self.state.char_spacing.clamp(0.0, MAX_SPACING * self.state.size.abs()) * self.state.stretch;
            match shown.text {
                Some(text) => self.place(text, spaced),
                None => self.unknown += 1,
            }
            self.text = self.text.moved(width + spacing * self.state.stretch, 0.0);
        }
    }

    fn begin_marked(&mut self, properties: &Object, resources: &[&'a Dictionary]) {
        let document = self.document;
        let named = |name: &[u8]| {
            resources
                .iter()
                .copied()
                .find_map(|found| dictionary(dictionary(found, b"Properties", document)?, name, document))
        };
        let properties = match properties {
            Object::Name(name) => named(name),
            properties => properties.as_dict().ok(),
        };
        let stated = properties.and_then(|properties| value(properties, b"ActualText", document));
        let text = stated.and_then(|stated| decode_text_string(stated).ok());
        self.marked.push(text.map(|text| Stated { text, before: self.glyphs.len() }));
    }

    /// Ends a marked stretch: the words it states take the place of its glyphs.
    fn end_marked(&mut self) {
        let Some(Some(Stated { text, before })) = self.marked.pop() else { return };
        if self.glyphs.len() == before {
            // Fonts that do not say what they mean placed nothing.
            return self.place(text, 0.0);
        }
        let right = |glyph: &Glyph| glyph.x + glyph.width;
        let first = &self.glyphs[before];
        let ends = self.glyphs[before..].iter().filter(|glyph| (glyph.y - first.y).abs() < first.size).map(right);
        let width = ends.fold(right(first), f32::max) - first.x;
        self.glyphs.truncate(before + 1);
        if let Some(first) = self.glyphs.last_mut() {
            (first.text, first.width) = (text, width);
        }
    }

    /// Notes a glyph at the pen, `width` as the text's own coordinates count.
    #[expect(clippy::many_single_char_names, reason = "the names of ISO 32000-1, 8.3.3")]
    fn place(&mut self, text: String, width: f32) {
        let Matrix([a, b, c, d, x, y]) = self.text.moved(0.0, self.state.rise).then(self.state.matrix);
        let along = a.hypot(b);
        let size = (c.hypot(d) * self.state.size).abs();
        if ![x, y, along, size].iter().all(|number| number.is_finite()) || size <= 0.0 || text.is_empty() {
            return;
        }
        // A size below zero turns the letters round.
        let forward = self.state.size * self.state.stretch;
        let (a, b) = if forward < 0.0 { (-a, -b) } else { (a, b) };
        let degrees = b.atan2(a).to_degrees().round();
        // Along the line and across it, whatever its slant.
        let (across, along_x) = degrees.to_radians().sin_cos();
        let (x, y) = if degrees == 0.0 { (x, y) } else { (x * along_x + y * across, y * along_x - x * across) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 359")]
        let turn = (degrees - f32::from(self.rotation)).rem_euclid(360.0) as u16;
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
        if let Some(form) =
            form.filter(|form| form.dict.get(b"Subtype").and_then(Object::as_name).ok() == Some(b"Form"))
        {
            self.draw(form, resources);
        }
    }

    fn draw(&mut self, form: &'a Stream, resources: &[&'a Dictionary]) {
        let document = self.document;
        if self.depth >= MAX_FORM_DEPTH || self.forms_left == 0 {
            return;
        }
        self.forms_left -= 1;
        let Some(content) = unpacked(form, document) else { return };
        let saved = (self.state.clone(), std::mem::take(&mut self.stack), self.text, self.line);
        if let Some(matrix) = form_matrix(form, document) {
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

/// How a form lies in what draws it.
pub(super) fn form_matrix(form: &Stream, document: &Document) -> Option<Matrix> {
    value(&form.dict, b"Matrix", document)?.as_array().ok().and_then(|array| Matrix::of(array))
}
