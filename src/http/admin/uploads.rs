//! Uploads from the page: several files in one form, each stored on its own as it streams in.

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::super::extract::{BODY_PATIENCE, refuse_oversize};
use super::super::form_flow::Flow;
use super::error::{AdminError, explain_desk};
use super::notes::{Note, NoteLine};
use super::request::AtTenant;
use super::show::{self, Message, Tone};
use super::state::AdminState;
use super::steps::{self, Taken};
use crate::actors::DeskError;
use crate::domain::{Attributes, DocumentId};
use crate::store::StoreError;

/// Files of the largest size that one form may carry; more go in another.
const FILES: u64 = 32;
/// What a form adds to its files: boundaries, heads.
const ENVELOPE: u64 = 64 << 10;
/// Files named on the next page; more are only counted.
const NAMED: usize = 50;

/// The most bytes that one form may have when a file may have `most`.
pub fn most_bytes(most: u64) -> u64 {
    most.saturating_mul(FILES).saturating_add(ENVELOPE)
}

/// What became of one file.
struct Outcome {
    name: String,
    result: Result<(), Refusal>,
}

/// Why a file was not stored.
enum Refusal {
    /// Its name is no name.
    Name,
    /// The desk refused.
    Desk(DeskError),
    /// The rest of the form did not arrive.
    Broken(MultipartError),
    /// The browser paused for too long.
    Stalled,
}

/// `POST /admin/tenants/{tenant}/documents`.
pub async fn upload(
    State(state): State<AdminState>,
    at: AtTenant,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, AdminError> {
    let limit = state.http.config.http.max_upload_bytes;
    // Before a byte of the body is read, where the browser says how much there is.
    refuse_oversize(&headers, most_bytes(limit)).map_err(|_| AdminError::UploadTooLarge { limit })?;
    let (request, flow) = Flow::measure(request);
    let form = Multipart::from_request(request, &()).await.map_err(|_| AdminError::BadForm)?;
    let outcomes = receive(&state, &at, form, &flow).await;
    if outcomes.iter().all(|outcome| outcome.result.is_err())
        && outcomes.iter().any(|outcome| outcome.result.as_ref().is_err_and(Refusal::is_size))
    {
        return Err(AdminError::UploadTooLarge { limit });
    }
    let stored = outcomes.iter().any(|outcome| outcome.result.is_ok());
    let next = state.notes.redirect(&format!("/admin/tenants/{}", at.id), told(&outcomes));
    Ok(if stored { ([steps::tick(&state, &headers, Taken::Uploaded)], next).into_response() } else { next })
}

/// Takes the files one after the other; a bad one fails alone, a broken connection ends it.
async fn receive(state: &AdminState, at: &AtTenant, mut form: Multipart, flow: &Flow) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    loop {
        match patiently(form.next_field(), flow).await {
            Ok(Some(field)) => {
                let Some(sent) = field.file_name().filter(|name| !name.is_empty()) else { continue };
                let name = base_name(sent).to_owned();
                let result = store(state, at, field, flow, &name).await;
                let broken = matches!(result, Err(Refusal::Broken(_) | Refusal::Stalled));
                outcomes.push(Outcome { name, result });
                if broken {
                    return outcomes;
                }
            }
            Ok(None) => return outcomes,
            Err(broken) => {
                outcomes.push(Outcome { name: "the rest".into(), result: Err(broken) });
                return outcomes;
            }
        }
    }
}

async fn store(
    state: &AdminState,
    at: &AtTenant,
    mut field: Field<'_>,
    flow: &Flow,
    name: &str,
) -> Result<(), Refusal> {
    let id = document_id(name).ok_or(Refusal::Name)?;
    let mut upload = at.desk.begin_upload().await.map_err(Refusal::Desk)?;
    while let Some(piece) = patiently(field.chunk(), flow).await? {
        upload.write(&piece).await.map_err(|error| Refusal::Desk(error.into()))?;
    }
    let kept = at.desk.finish_upload(upload, id, name.to_owned(), Attributes::new(), at.who.name()).await;
    let kept = kept.map_err(Refusal::Desk)?;
    at.did(state, "document.upload", kept.document.id.as_str()).await;
    Ok(())
}

/// Waits for the browser's next piece, but not for ever.
async fn patiently<T>(next: impl Future<Output = Result<T, MultipartError>>, flow: &Flow) -> Result<T, Refusal> {
    let came = tokio::time::timeout(BODY_PATIENCE, next).await.map_err(|_| Refusal::Stalled)?;
    flow.taken();
    came.map_err(Refusal::Broken)
}

/// The last part of a name that some browsers send as a path.
fn base_name(sent: &str) -> &str {
    sent.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// The id of a file: its name without what an id may not have; none when nothing is left.
fn document_id(name: &str) -> Option<DocumentId> {
    let clean: String = name.chars().filter(|c| !c.is_control()).collect();
    let kept = clean.trim();
    let kept = kept.get(..kept.floor_char_boundary(DocumentId::MAX_BYTES)).unwrap_or(kept);
    DocumentId::parse(kept.trim_end()).ok()
}

impl Refusal {
    /// Whether the file, or all of them together, are too large.
    fn is_size(&self) -> bool {
        match self {
            Self::Desk(DeskError::Store(StoreError::TooLarge { .. })) => true,
            Self::Broken(error) => error.status() == StatusCode::PAYLOAD_TOO_LARGE,
            _ => false,
        }
    }

    fn words(&self) -> Message {
        match self {
            Self::Name => "the name is no name for a document".into(),
            Self::Desk(DeskError::Store(StoreError::TooLarge { limit })) => {
                format!("larger than {}", show::bytes(*limit)).into()
            }
            Self::Desk(error) => explain_desk(error).what,
            Self::Broken(_) if self.is_size() => "the form is too large: send the rest in another".into(),
            Self::Broken(_) | Self::Stalled => "it did not arrive whole: send it again".into(),
        }
    }
}

/// What the next page says.
fn told(outcomes: &[Outcome]) -> Note {
    let stored = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    let (tone, mut text) = match (stored, outcomes.len()) {
        (_, 0) => (Tone::Warn, "No file was sent: choose at least one.".to_owned()),
        (0, _) => (Tone::Bad, "Nothing was stored.".to_owned()),
        (stored, all) if stored == all => {
            (Tone::Ok, format!("{} stored and on the way into the index.", files(stored)))
        }
        (stored, all) => (Tone::Warn, format!("{} of {} stored.", stored, files(all))),
    };
    if outcomes.len() > NAMED {
        text = format!("{text} The first {NAMED}:");
    }
    let line = |outcome: &Outcome| {
        let (tone, text) = match &outcome.result {
            Ok(()) => (Tone::Ok, Message::default()),
            Err(refusal) => (Tone::Bad, refusal.words()),
        };
        NoteLine { tone, name: show::name(&outcome.name), text }
    };
    // What failed comes first: it needs somebody.
    let (bad, good): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| outcome.result.is_err());
    let lines = bad.into_iter().chain(good).take(NAMED).map(line).collect();
    Note { lines, ..Note::new(tone, text) }
}

fn files(number: usize) -> String {
    show::counted(number as u64, "file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_the_last_part_of_its_name() {
        let id = |sent: &str| document_id(base_name(sent)).map(String::from);
        assert_eq!(id("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(id("C:\\Users\\ada\\notes.md").as_deref(), Some("notes.md"));
        assert_eq!(id(" a\r\nb.md ").as_deref(), Some("ab.md"));
        assert_eq!(id("Straße 1.txt").as_deref(), Some("Straße 1.txt"));
        for nameless in ["..", "a/..", "/", "\\", "\u{7}", " "] {
            assert_eq!(id(nameless), None, "{nameless:?}");
        }
        assert_eq!(id(&"ü".repeat(400)).unwrap().len(), DocumentId::MAX_BYTES);
    }

    #[test]
    fn each_file_is_told_with_its_outcome_and_failures_come_first() {
        let outcome = |name: &str, result| Outcome { name: name.into(), result };
        let too_large = || Refusal::Desk(DeskError::Store(StoreError::TooLarge { limit: 1024 }));
        let note = told(&[outcome("good.md", Ok(())), outcome("<acme>\u{202e}", Err(too_large()))]);
        assert_eq!((note.tone, note.text.to_string().as_str()), (Tone::Warn, "1 of 2 files stored."));
        assert_eq!(note.lines[0].name, "<acme>\u{fffd}");
        assert_eq!(note.lines[0].text.to_string(), "larger than 1.0 KiB");
        assert_eq!(told(&[outcome("a", Ok(()))]).text.to_string(), "1 file stored and on the way into the index.");
        assert_eq!(told(&[]).tone, Tone::Warn);
    }
}
