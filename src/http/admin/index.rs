//! A tenant's generations: what each is made of, how it did in its checks, and the way back to it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::error::AdminError;
use super::golden::GoldenRow;
use super::notes::Note;
use super::request::{AtTenant, Form, Path};
use super::shell::{Section, Shell, page};
use super::show::{self, Chip, Message, Tone, When};
use super::state::AdminState;
use super::tenant::{TenantHead, status_of};
use crate::actors::{Held, HeldBack, TenantStatus};
use crate::domain::{Checks, Golden, TenantId, Timestamp};

/// Questions that got worse shown of one generation.
const WORSE: usize = 5;

/// One generation in the table.
#[derive(Debug, Clone)]
pub struct GenerationRow {
    /// Its number.
    pub number: u64,
    /// Whether it serves, is kept, or is held back.
    pub chip: Chip,
    /// Whether it is kept when newer ones come.
    pub pinned: bool,
    /// Whether it can be made to serve.
    pub idle: bool,
    /// Whether that takes force.
    pub held: bool,
    /// When its build ended.
    pub made: When,
    /// Who or what asked for it.
    pub reason: String,
    /// `1 000 documents · 15 192 chunks`.
    pub holds: String,
    /// Bytes on disk.
    pub size: String,
    /// What made its vectors.
    pub embedder: String,
    /// How it did in its checks; empty where there was nothing to check.
    pub checks: Message,
    /// The questions that got worse.
    pub worse: Vec<String>,
}

impl GenerationRow {
    /// A generation as seen from `now`.
    pub fn new(held: &Held, now: Timestamp) -> Self {
        let info = &held.info;
        let checks = held.checks.as_ref();
        let worse = checks.and_then(|checks| checks.golden.as_ref()).map_or(&[][..], |golden| &golden.worse);
        Self {
            number: info.number,
            chip: match (held.serves, held.held) {
                (true, _) => Chip::new(Tone::Ok, "Serving"),
                (false, true) => Chip::new(Tone::Warn, "Held back"),
                (false, false) => Chip::new(Tone::Idle, "Kept"),
            },
            pinned: held.pinned,
            idle: !held.serves,
            held: held.held,
            made: When::new(info.made_at, now),
            reason: show::name(&info.reason),
            holds: format!("{} · {}", show::counted(info.documents, "document"), show::counted(info.chunks, "chunk")),
            size: show::bytes(info.bytes),
            embedder: show::name(&info.spec.embedder),
            checks: checks.map(|checks| Message::new(&in_words(checks))).unwrap_or_default(),
            worse: worse.iter().take(WORSE).map(|one| show::name(&one.question)).collect(),
        }
    }
}

fn in_words(checks: &Checks) -> String {
    if let Some(golden) = &checks.golden {
        let unasked = golden.unasked.as_ref().map(|why| format!(", not compared: {why}"));
        let before = golden.serving.map(|serving| format!(", before it {:.3}", serving.ndcg_10)).or(unasked);
        let before = before.unwrap_or_default();
        let asked = show::counted(golden.questions as u64, "golden question");
        return format!("nDCG@10 {:.3}{before} · {asked}", golden.built.ndcg_10);
    }
    let replay = |replay: &crate::domain::ReplayCheck| {
        let asked = show::counted(replay.questions as u64, "asked question");
        format!("{:.0} % of the first five hits as before · {asked}", replay.overlap * 100.0)
    };
    checks.replay.as_ref().map(replay).unwrap_or_default()
}

/// A tenant's generations.
#[derive(Template)]
#[template(path = "admin/index.html")]
pub struct IndexPage {
    /// What surrounds it.
    pub shell: Shell,
    /// Its head.
    pub head: TenantHead,
    /// Where the index is not what the settings want.
    pub outdated: Outdated,
    /// Newest first.
    pub rows: Vec<GenerationRow>,
    /// What a new generation must find.
    pub golden: Vec<GoldenRow>,
}

impl IndexPage {
    /// The page of these generations.
    pub fn new(
        shell: Shell,
        status: &TenantStatus,
        (held, waiting): (&[Held], &[HeldBack]),
        golden: &[Golden],
        now: Timestamp,
    ) -> Self {
        Self {
            shell,
            head: TenantHead::new(status, "index"),
            outdated: Outdated::new(status, status.building.is_some(), waiting),
            rows: held.iter().map(|held| GenerationRow::new(held, now)).collect(),
            golden: golden.iter().map(GoldenRow::new).collect(),
        }
    }
}

/// What a tenant's pages say of an index that its settings have left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outdated {
    /// In which parts; empty where the index is as the settings want.
    pub parts: Vec<Message>,
    /// How urgent that is.
    pub tone: Tone,
    /// What becomes of it, or what is to be done.
    pub next: Message,
}

impl Outdated {
    /// Asks for nothing that is there already: a rebuild under way, or a generation that waits for somebody's word.
    pub fn new(status: &TenantStatus, rebuilds: bool, waiting: &[HeldBack]) -> Self {
        let parts = status.outdated.iter().map(|part| Message::new(part)).collect();
        let fits = waiting.iter().find(|one| one.fits);
        let (tone, next) = match fits {
            _ if rebuilds => (
                Tone::Info,
                "A new index is being built with the settings as they were when that began; it takes over once it is done."
                    .into(),
            ),
            Some(HeldBack { number, .. }) => (
                Tone::Warn,
                format!(
                    "Generation {number} is, but it failed its checks and is held back: look at them under Index, then \
                     activate it, or change the settings."
                ),
            ),
            None => (Tone::Warn, "It goes on answering as it was made until a reindex.".into()),
        };
        Self { parts, tone, next: next.into() }
    }
}

/// `GET /admin/tenants/{tenant}/index`.
pub async fn show(State(state): State<AdminState>, at: AtTenant) -> Result<Response, AdminError> {
    let (status, held) = (status_of(&state, &at)?, at.desk.generations().await?);
    let waiting = at.desk.held_back().await?;
    let golden = at.desk.golden().await?;
    page(&IndexPage::new(at.who.shell(Section::Tenants), &status, (&held, &waiting), &golden, Timestamp::now()))
}

/// What is to be done with a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Make it serve.
    Activate,
    /// Make it serve although it failed its checks.
    Force,
    /// Keep it when newer ones come.
    Pin,
    /// Let it go when newer ones come.
    Unpin,
}

/// The form of a generation.
#[derive(Debug, Deserialize)]
pub struct GenerationForm {
    verb: Verb,
}

/// `POST /admin/tenants/{tenant}/index/{generation}`.
pub async fn act(
    State(state): State<AdminState>,
    at: AtTenant,
    Path((_, number)): Path<(TenantId, u64)>,
    Form(form): Form<GenerationForm>,
) -> Result<Response, AdminError> {
    let (action, note) = match form.verb {
        Verb::Activate | Verb::Force => {
            let force = form.verb == Verb::Force;
            at.desk.activate(number, force).await?;
            let action = if force { "generation.force" } else { "generation.activate" };
            (action, format!("Generation {number} answers now."))
        }
        Verb::Pin => {
            at.desk.pin(number, true).await?;
            ("generation.pin", format!("Generation {number} is kept when newer ones come."))
        }
        Verb::Unpin => {
            at.desk.pin(number, false).await?;
            ("generation.unpin", format!("Generation {number} goes when newer ones come."))
        }
    };
    at.did(&state, action, &number.to_string()).await;
    Ok(state.notes.redirect(&format!("/admin/tenants/{}/index", at.id), Note::ok(note)))
}
