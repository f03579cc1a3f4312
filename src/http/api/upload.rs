//! An upload's form, read as it comes: the file goes to disk piece by piece, and nothing is kept unless every field is good.

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};

use super::super::codes::Code;
use super::super::extract::{BODY_PATIENCE, is_past_limit, refuse_oversize};
use super::super::form_flow::Flow;
use super::super::problem::ApiError;
use super::attributes;
use crate::actors::{Desk, DeskError, Upload};
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
    let (request, flow) = Flow::measure(request);
    let multipart = Multipart::from_request(request, &()).await.map_err(|_| {
        ApiError::new(Code::UnsupportedMediaType, "send the file as `Content-Type: multipart/form-data; boundary=…`")
    })?;
    let mut form = Form { limit, flow, file: None, id: None, attributes: None };
    form.read(multipart, || desk.begin_upload()).await?;
    let (writer, file_name) = form.file.ok_or_else(|| wrong("it has no field `file`"))?;
    let id = form.id.map_or_else(|| default_id(&file_name), Ok)?;
    let name = shown(&file_name).unwrap_or_else(|| id.to_string());
    Ok(desk.finish_upload(writer, id, name, form.attributes.unwrap_or_default(), by).await?)
}

struct Form {
    limit: u64,
    flow: Flow,
    file: Option<(UploadWriter, String)>,
    id: Option<DocumentId>,
    attributes: Option<Attributes>,
}

impl Form {
    async fn read<B>(&mut self, mut multipart: Multipart, begin: impl Fn() -> B) -> Result<(), ApiError>
    where
        B: Future<Output = Result<UploadWriter, DeskError>>,
    {
        while let Some(field) = self.patiently(multipart.next_field()).await? {
            let name = field.name().unwrap_or_default().to_owned();
            match name.as_str() {
                "file" if self.file.is_none() => self.file = Some(self.store(field, begin().await?).await?),
                "id" if self.id.is_none() => {
                    let text = self.small(field, DocumentId::MAX_BYTES).await?;
                    self.id = Some(document_id(&text)?);
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
    async fn store(&self, mut field: Field<'_>, mut writer: UploadWriter) -> Result<(UploadWriter, String), ApiError> {
        let file_name = field.file_name().unwrap_or_default().to_owned();
        let mut written = 0;
        while let Some(piece) = self.patiently(field.chunk()).await? {
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
        while let Some(piece) = self.patiently(field.chunk()).await? {
            bytes.extend_from_slice(&piece[..piece.len().min(most + 1 - bytes.len())]);
            if bytes.len() > most {
                let name = field.name().unwrap_or_default();
                return Err(wrong(&format!("its field `{name}` is larger than {most} bytes")));
            }
        }
        Ok(bytes)
    }

    /// Waits for the client's next piece, but not for ever.
    async fn patiently<T>(
        &self,
        next: impl Future<Output = Result<Option<T>, MultipartError>>,
    ) -> Result<Option<T>, ApiError> {
        let came = tokio::time::timeout(BODY_PATIENCE, next).await.map_err(|_| ApiError::plain(Code::BodyTimeout))?;
        self.flow.taken();
        came.map_err(|error| match error {
            _ if self.flow.is_stuck() => wrong("the head of a part of it is too long"),
            error if is_past_limit(&error) => too_large(self.limit),
            _ => wrong("it ends too early, or is not made as `multipart/form-data`: send it again"),
        })
    }
}

fn too_large(limit: u64) -> ApiError {
    ApiError::new(Code::DocumentTooLarge, format!("the document is larger than {limit} bytes"))
}

fn wrong(why: &str) -> ApiError {
    ApiError::new(Code::InvalidUpload, format!("the form cannot be used: {why}"))
}

fn document_id(text: &[u8]) -> Result<DocumentId, ApiError> {
    let text = std::str::from_utf8(text).map_err(|_| wrong("`id` is no UTF-8"))?;
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
    use axum::body::Body;
    use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};

    use super::*;

    /// A part of a form; a name beginning with `!` is a file of that name.
    fn part(name: &str, content: &str) -> String {
        let file = name.strip_prefix('!').map_or(String::new(), |file| format!("; filename=\"{file}\""));
        let name = if file.is_empty() { name } else { "file" };
        format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n")
    }

    fn request(body: impl Into<Body>) -> Request {
        Request::post("/").header(CONTENT_TYPE, "multipart/form-data; boundary=b").body(body.into()).unwrap()
    }

    /// Reads a form whose file nobody takes.
    async fn read(body: String) -> Result<Form, Code> {
        let multipart = Multipart::from_request(request(body), &()).await.unwrap();
        let mut form = Form { limit: 1000, flow: Flow::default(), file: None, id: None, attributes: None };
        let read = form.read(multipart, || std::future::ready(Err(DeskError::Busy))).await;
        read.map(|()| form).map_err(|error| error.code())
    }

    #[tokio::test]
    async fn a_forms_fields_come_in_any_order() {
        let form = read(part("attributes", r#"{"a": 1}"#) + &part("id", "guide/x.md") + "--b--\r\n").await.unwrap();
        assert_eq!(form.id.unwrap().as_str(), "guide/x.md");
        assert_eq!(form.attributes.unwrap()["a"], 1);
        assert!(form.file.is_none());
    }

    #[tokio::test]
    async fn a_form_that_is_wrong_is_refused() {
        let end = "--b--\r\n";
        for (body, code) in [
            (part("id", "a") + &part("id", "b") + end, Code::InvalidUpload),
            (part("tenant", "acme") + end, Code::InvalidUpload),
            (part("id", "../etc") + end, Code::InvalidUpload),
            (part("id", &"x".repeat(5000)) + end, Code::InvalidUpload),
            (part("attributes", "[]") + end, Code::InvalidAttributes),
            (part("attributes", &"x".repeat(20_000)) + end, Code::InvalidUpload),
            (part("id", "a"), Code::InvalidUpload),
            ("rubbish".into(), Code::InvalidUpload),
            (part("!a.md", "text") + end, Code::TooManyAtOnce),
        ] {
            assert_eq!(read(body.clone()).await.err(), Some(code), "{body:.100}");
        }
    }

    #[tokio::test]
    async fn a_form_past_the_routes_limit_is_refused_while_it_comes() {
        use axum::extract::DefaultBodyLimit;
        use axum::routing::post;
        use tower::ServiceExt;
        let take = async |request: Request| {
            let multipart = Multipart::from_request(request, &()).await.unwrap();
            let mut form = Form { limit: 1000, flow: Flow::default(), file: None, id: None, attributes: None };
            form.read(multipart, || std::future::ready(Err(DeskError::Busy))).await
        };
        let app = axum::Router::new().route("/", post(take).layer(DefaultBodyLimit::max(2000)));
        let preamble = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("preamble without end "));
        let response = app.oneshot(request(Body::from_stream(preamble))).await.unwrap();
        assert_eq!(response.status(), 413);
    }

    #[test]
    fn a_form_that_announces_too_much_is_refused_unread() {
        let mut announced = request(Body::empty());
        announced.headers_mut().insert(CONTENT_LENGTH, (1000 + FORM_OVERHEAD + 1).into());
        assert!(refuse_oversize(announced.headers(), 1000 + FORM_OVERHEAD).is_err());
    }

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
