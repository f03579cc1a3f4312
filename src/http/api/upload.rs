//! An upload's form, read as it comes: the file goes to disk piece by piece, and nothing is kept unless every field is good.

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};

use super::super::codes::Code;
use super::super::extract::{BODY_PATIENCE, is_past_limit, refuse_oversize};
use super::super::problem::ApiError;
use super::attributes;
use crate::actors::{Desk, Upload};
use crate::domain::{Attributes, DocumentId};
use crate::store::UploadWriter;

/// Bytes of a form beside its file: boundaries, headers, the other fields.
pub const FORM_OVERHEAD: u64 = 64 << 10;
/// The longest name that is shown, characters.
const MAX_NAME: usize = 255;

/// Reads a form with one `file`, and at most one `id` and one `attributes`, in any order, and keeps the document.
///
/// `limit` is the largest file, bytes; lay a `DefaultBodyLimit` of `limit + FORM_OVERHEAD` around the route.
///
/// # Errors
/// When the form is wrong or too large, or the desk refuses; then nothing has changed.
pub async fn receive(desk: &Desk, request: Request, limit: u64, by: &str) -> Result<Upload, ApiError> {
    refuse_oversize(request.headers(), limit + FORM_OVERHEAD).map_err(|_| too_large(limit))?;
    let multipart = Multipart::from_request(request, &()).await.map_err(|_| {
        ApiError::new(Code::UnsupportedMediaType, "send the file as `Content-Type: multipart/form-data; boundary=…`")
    })?;
    let mut form = Form { limit, file: None, id: None, attributes: None };
    form.read(multipart, desk).await?;
    let (writer, file_name) = form.file.ok_or_else(|| wrong("it has no field `file`"))?;
    let id = form.id.map_or_else(|| default_id(&file_name), Ok)?;
    let name = shown(&file_name).unwrap_or_else(|| id.to_string());
    Ok(desk.finish_upload(writer, id, name, form.attributes.unwrap_or_default(), by).await?)
}

struct Form {
    limit: u64,
    file: Option<(UploadWriter, String)>,
    id: Option<DocumentId>,
    attributes: Option<Attributes>,
}

impl Form {
    async fn read(&mut self, mut multipart: Multipart, desk: &Desk) -> Result<(), ApiError> {
        while let Some(field) = patiently(multipart.next_field(), self.limit).await? {
            let name = field.name().unwrap_or_default().to_owned();
            match name.as_str() {
                "file" if self.file.is_none() => self.file = Some(self.store(field, desk).await?),
                "id" if self.id.is_none() => {
                    let text = self.small(field, DocumentId::MAX_BYTES).await?;
                    self.id = Some(document_id(&String::from_utf8_lossy(&text))?);
                }
                "attributes" if self.attributes.is_none() => {
                    let json = self.small(field, attributes::MAX_BYTES).await?;
                    self.attributes = Some(attributes::read(&json)?);
                }
                "file" | "id" | "attributes" => return Err(wrong(&format!("it has the field `{name}` twice"))),
                _ => return Err(wrong(&format!("it has an unknown field `{name}`"))),
            }
        }
        Ok(())
    }

    /// Writes the file's bytes to disk as they come.
    async fn store(&self, mut field: Field<'_>, desk: &Desk) -> Result<(UploadWriter, String), ApiError> {
        let file_name = field.file_name().unwrap_or_default().to_owned();
        let mut writer = desk.begin_upload().await?;
        let mut written = 0;
        while let Some(piece) = patiently(field.chunk(), self.limit).await? {
            written += piece.len() as u64;
            if written > self.limit {
                return Err(too_large(self.limit));
            }
            writer.write(&piece).await?;
        }
        Ok((writer, file_name))
    }

    /// A field that must fit into memory; one byte more than `most` is enough to refuse it.
    async fn small(&self, mut field: Field<'_>, most: usize) -> Result<Vec<u8>, ApiError> {
        let mut bytes = Vec::new();
        while let Some(piece) = patiently(field.chunk(), self.limit).await? {
            bytes.extend_from_slice(&piece[..piece.len().min(most + 1 - bytes.len())]);
            if bytes.len() > most {
                let name = field.name().unwrap_or_default();
                return Err(wrong(&format!("its field `{name}` is larger than {most} bytes")));
            }
        }
        Ok(bytes)
    }
}

/// Waits for the client's next piece, but not for ever.
async fn patiently<T>(
    next: impl Future<Output = Result<Option<T>, MultipartError>>,
    limit: u64,
) -> Result<Option<T>, ApiError> {
    let came = tokio::time::timeout(BODY_PATIENCE, next).await.map_err(|_| ApiError::plain(Code::BodyTimeout))?;
    came.map_err(|error| if is_past_limit(&error) { too_large(limit) } else { wrong(&error.body_text()) })
}

fn too_large(limit: u64) -> ApiError {
    ApiError::new(Code::DocumentTooLarge, format!("the document is larger than {limit} bytes"))
}

fn wrong(why: &str) -> ApiError {
    ApiError::new(Code::InvalidUpload, format!("the form cannot be used: {why}"))
}

fn document_id(text: &str) -> Result<DocumentId, ApiError> {
    DocumentId::parse(text).map_err(|error| wrong(&format!("`id`: {error}")))
}

/// The file's own name, without the folders that some clients send.
fn default_id(file_name: &str) -> Result<DocumentId, ApiError> {
    let base = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    DocumentId::parse(base).map_err(|_| wrong("its file has no name that could be an id: send a field `id`"))
}

/// A name to show: data only, on one line, not longer than people read; none when nothing is left.
fn shown(file_name: &str) -> Option<String> {
    let name: String = file_name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    (!name.trim().is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_never_becomes_a_path() {
        for (name, id) in [
            ("guide.md", "guide.md"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\notes.txt", "notes.txt"),
            ("日本語.html", "日本語.html"),
        ] {
            assert_eq!(default_id(name).unwrap().as_str(), id);
        }
        for name in ["", "..", "a/", "a\\..", "nul\0"] {
            assert_eq!(default_id(name).unwrap_err().code(), Code::InvalidUpload, "{name:?}");
        }
    }

    #[test]
    fn a_name_that_is_shown_stays_on_one_line() {
        assert_eq!(shown("a\r\nb.md"), Some("ab.md".into()));
        assert_eq!(shown(&"x".repeat(4096)).map(|name| name.len()), Some(MAX_NAME));
        assert_eq!(shown(" \n"), None);
    }
}
