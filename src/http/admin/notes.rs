//! What a page tells about the step before: kept here for a few minutes, found by an id that only the redirect knows.
//!
//! The query carries the id alone, so a crafted link cannot put words on a page.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::response::{IntoResponse, Redirect, Response};
use moka::sync::Cache;
use uuid::Uuid;

use super::show::{Message, Tone};

/// Long enough for a slow redirect and a look back; a reload without scripts shows the note again until then.
const KEPT: Duration = Duration::from_mins(5);
/// Notes kept at once; far more than operators can cause in [`KEPT`].
const MOST: u64 = 512;

/// One message, with a line for each thing it is about.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "admin/parts/note.html")]
pub struct Note {
    /// How it went.
    pub tone: Tone,
    /// What happened.
    pub text: Message,
    /// For each file, or each fault.
    pub lines: Vec<NoteLine>,
}

impl HtmlSafe for Note {}

/// What became of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteLine {
    /// How it went.
    pub tone: Tone,
    /// The thing; data from outside, made by [`super::show::name`].
    pub name: String,
    /// What became of it.
    pub text: Message,
}

impl Note {
    /// A message.
    pub fn new(tone: Tone, text: impl Into<Message>) -> Self {
        Self { tone, text: text.into(), lines: Vec::new() }
    }

    /// A good message.
    pub fn ok(text: impl Into<Message>) -> Self {
        Self::new(Tone::Ok, text)
    }

    /// A failure interrupts a screen reader, everything else waits its turn.
    fn role(&self) -> &'static str {
        if self.tone == Tone::Bad { "alert" } else { "status" }
    }
}

/// Notes on their way to the next page; cheap to clone.
#[derive(Clone)]
pub struct Notes(Cache<Uuid, Arc<Note>>);

impl Default for Notes {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(KEPT).build())
    }
}

impl Notes {
    /// Goes on to `path` (303) with a note on that page.
    pub fn redirect(&self, path: &str, note: Note) -> Response {
        let id = Uuid::new_v4();
        self.0.insert(id, Arc::new(note));
        let joint = if path.contains('?') { '&' } else { '?' };
        Redirect::to(&format!("{path}{joint}note={id}")).into_response()
    }

    /// The note that the query names, if it is still there.
    pub fn read(&self, query: Option<&str>) -> Option<Arc<Note>> {
        let id = query?.split('&').find_map(|pair| pair.strip_prefix("note="))?;
        self.0.get(&Uuid::try_parse(id).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::http::header::LOCATION;

    use super::*;

    #[test]
    fn a_note_is_read_on_the_next_page_and_nowhere_else() {
        let notes = Notes::default();
        let response = notes.redirect("/admin/tenants?state=failed", Note::ok("Done."));
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let location = response.headers()[LOCATION].to_str().unwrap();
        let query = location.strip_prefix("/admin/tenants?").unwrap();
        assert_eq!(notes.read(Some(query)).unwrap().text.to_string(), "Done.");
        assert!(notes.read(None).is_none());
        assert!(notes.read(Some("note=Your+account+is+locked")).is_none());
        assert!(notes.read(Some(&format!("note={}", Uuid::new_v4()))).is_none());
    }
}
