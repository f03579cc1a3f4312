//! What lies over a page: filled-in forms, stamps, notes (ISO 32000-1, 12.5).

use lopdf::{Dictionary, Document, Object, ObjectId, Stream, decode_text_string};

use super::content::{Interpreter, Matrix, form_matrix};
use super::{dictionary, number, value};

/// Annotations looked at on one page, at most.
const MAX_ANNOTATIONS: usize = 5000;
/// Fields above a field that it may take its value from, at most.
const MAX_PARENTS: usize = 10;
/// `Hidden` and `NoView`: never shown on a screen.
const UNSEEN: i64 = 2 | 32;
/// `Password`, of a text field.
const PASSWORD: i64 = 1 << 13;

/// Which annotations are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// Fields of a form, which belong to the words beside them.
    Fields,
    /// What was laid over the page later.
    Notes,
}

/// Draws what a page's annotations show into `interpreter`; returns the words of those that show nothing: notes that open
/// on a click, and fields whose looks the program left to the reader.
pub(super) fn read<'a>(
    document: &'a Document,
    page: ObjectId,
    layer: Layer,
    interpreter: &mut Interpreter<'a>,
) -> Vec<String> {
    let listed = document.get_dictionary(page).ok().and_then(|page| value(page, b"Annots", document)?.as_array().ok());
    let mut words = Vec::new();
    for annotation in listed.into_iter().flatten().take(MAX_ANNOTATIONS) {
        let annotation = document.dereference(annotation).ok().and_then(|(_, found)| found.as_dict().ok());
        let Some(annotation) = annotation.filter(|annotation| is_seen(annotation, document)) else { continue };
        let subtype = value(annotation, b"Subtype", document).and_then(|name| name.as_name().ok()).unwrap_or_default();
        let is_field = subtype == b"Widget";
        if matches!(subtype, b"Link" | b"Popup") || is_field != (layer == Layer::Fields) {
            continue;
        }
        let before = interpreter.glyphs.len();
        if let Some(form) = appearance(annotation, document) {
            interpreter.appearance(form, placed(annotation, form, document));
        }
        let shown = interpreter.glyphs.len() > before;
        let said = if is_field {
            if shown { None } else { field_value(annotation, document) }
        } else if shown && matches!(subtype, b"FreeText" | b"Stamp") {
            None
        } else {
            text(annotation, b"Contents", document)
        };
        words.extend(said);
    }
    words
}

fn is_seen(annotation: &Dictionary, document: &Document) -> bool {
    value(annotation, b"F", document).and_then(|flags| flags.as_i64().ok()).unwrap_or_default() & UNSEEN == 0
}

/// The form that an annotation looks like now; of several, the one of its state.
fn appearance<'a>(annotation: &'a Dictionary, document: &'a Document) -> Option<&'a Stream> {
    match value(dictionary(annotation, b"AP", document)?, b"N", document)? {
        Object::Stream(form) => Some(form),
        Object::Dictionary(states) => {
            let state = value(annotation, b"AS", document)?.as_name().ok()?;
            value(states, state, document)?.as_stream().ok()
        }
        _ => None,
    }
}

/// Where the form comes to lie: its box, turned by its matrix, onto the annotation's rectangle (12.5.5, algorithm 8.1).
fn placed(annotation: &Dictionary, form: &Stream, document: &Document) -> Matrix {
    let (Some(bounds), Some(onto)) =
        (rectangle(&form.dict, b"BBox", document), rectangle(annotation, b"Rect", document))
    else {
        return Matrix::IDENTITY;
    };
    let matrix = form_matrix(form, document).unwrap_or(Matrix::IDENTITY);
    Matrix::between(matrix.bounds(bounds), onto)
}

/// A rectangle as `[left, bottom, right, top]`.
fn rectangle(holder: &Dictionary, key: &[u8], document: &Document) -> Option<[f32; 4]> {
    let corners = value(holder, key, document)?.as_array().ok()?;
    let corners: Vec<f32> = corners.iter().filter_map(|corner| number(document.dereference(corner).ok()?.1)).collect();
    let [left, bottom, right, top] = corners.try_into().ok()?;
    Some([left.min(right), bottom.min(top), left.max(right), bottom.max(top)])
}

/// What a field holds, or the field above it; never a password.
fn field_value(field: &Dictionary, document: &Document) -> Option<String> {
    let mut field = Some(field);
    for _ in 0..MAX_PARENTS {
        let here = field?;
        if value(here, b"Ff", document).and_then(|flags| flags.as_i64().ok()).unwrap_or_default() & PASSWORD != 0 {
            return None;
        }
        if let Some(found) = text(here, b"V", document) {
            return Some(found);
        }
        field = dictionary(here, b"Parent", document);
    }
    None
}

/// A string of a dictionary, if it says something.
fn text(holder: &Dictionary, key: &[u8], document: &Document) -> Option<String> {
    let text = decode_text_string(value(holder, key, document)?).ok()?;
    (!text.trim().is_empty()).then_some(text)
}
