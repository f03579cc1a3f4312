//! Sample data for tests: nice words for the eye, or hostile ones that try to leave their place.

mod more;
mod pages;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::pages::{pages, pages_below};
use super::ask::{AskForm, AskPage};
use super::shell::{Section, Shell};
use super::tenant::TenantHead;
use super::theme::Theme;
use crate::actors::{Health, TenantStatus};
use crate::domain::{
    Answer, Citation, ContentHash, Degradation, DocumentId, DocumentState, DocumentStatus, Hit, IndexStamp, Job,
    JobCounts, JobId, JobKind, JobProblem, JobState, Outcome, Passage, StageName, StageRank, TenantId, Timestamp,
    Usage,
};
use crate::index::LanguageShare;
use crate::ledger::{AuditEntry, TokenRecord};

/// A name that tries to leave its place: markup, quotes, and a character that turns the writing direction.
pub const HOSTILE: &str = "<acme>\"'&\u{202e}fdp.exe";

/// The moment all samples are seen from.
pub fn now() -> Timestamp {
    Timestamp::from_millis(1_777_020_000_000)
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_millis(now().as_millis() - seconds * 1000)
}

pub fn tenant_id(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

pub fn shell(section: Section) -> Shell {
    Shell::new(Theme::System, "/admin".into(), section)
}

/// What the samples call things: nice words for the eye, or [`HOSTILE`] ones for the tests.
#[derive(Clone, Copy)]
pub struct Words {
    hostile: bool,
}

impl Words {
    pub const NICE: Self = Self { hostile: false };
    pub const HOSTILE: Self = Self { hostile: true };

    fn say(self, nice: &str) -> String {
        if self.hostile { format!("{nice} {HOSTILE}") } else { nice.to_owned() }
    }
}

pub fn job(kind: JobKind, state: JobState) -> Job {
    let running = state == JobState::Running;
    Job {
        id: JobId::parse("0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b").unwrap(),
        kind,
        state,
        stage: running.then_some(StageName::Embed),
        document_id: (kind == JobKind::Ingest).then(|| DocumentId::parse("guides/handbook.md").unwrap()),
        requested_by: "operator".into(),
        counts: JobCounts {
            documents_total: 6050,
            documents_read: if running { 4402 } else { 6050 },
            documents_done: if running { 4310 } else { 6050 },
            documents_failed: 2,
            documents_reused: 4120,
            bytes: 92_117_004,
            chunks: 48_211,
            chunks_embedded: 48_211,
            texts_embedded: 1_922,
            model_tokens: 331_204,
        },
        generation: state.is_final().then_some(12),
        problem: None,
        fresh: false,
        receipt: None,
        attempts: 1,
        created_at: ago(95),
        started_at: (state != JobState::Queued).then(|| ago(94)),
        progressed_at: None,
        finished_at: state.is_final().then(|| ago(12)),
    }
}

fn jobs(words: Words) -> Vec<(TenantId, Job)> {
    let ingest = |state, name: &str| Job {
        document_id: Some(DocumentId::parse(&words.say(name)).unwrap()),
        ..job(JobKind::Ingest, state)
    };
    let failed = Job {
        problem: Some(JobProblem::new("needs_password", words.say("the file needs a password: upload it without one"))),
        stage: Some(StageName::Extract),
        ..ingest(JobState::Failed, "q3-figures.pdf")
    };
    let warned = Job {
        problem: Some(JobProblem::new("some_failed", words.say("2 of 6050 documents failed"))),
        ..job(JobKind::Reindex, JobState::DoneWithWarnings)
    };
    vec![
        (tenant_id("globex"), job(JobKind::Reindex, JobState::Running)),
        (tenant_id("acme"), ingest(JobState::Queued, "handbook-2026.md")),
        (tenant_id("acme"), failed),
        (tenant_id("initech"), warned),
        (tenant_id("acme"), ingest(JobState::Done, "guides/onboarding.md")),
        (tenant_id("demo"), job(JobKind::Reindex, JobState::Done)),
        (tenant_id("demo"), ingest(JobState::Cancelled, "old.txt")),
    ]
}

fn status(words: Words, id: &str, name: &str, health: Health) -> TenantStatus {
    let size = id.len() as u64;
    TenantStatus {
        id: tenant_id(id),
        name: words.say(name),
        answers: !matches!(health, Health::Building { .. }),
        health,
        generation: 4 + size,
        documents: 17 * size * size,
        chunks: 211 * size * size * size,
        bytes: 300_000 * size * size * size,
        built_at: Some(ago(400 * i64::try_from(size).unwrap())),
        outdated: Vec::new(),
        building: None,
        wrong_file: None,
        embedder: words.say("builtin/all-MiniLM-L6-v2"),
        languages: vec![
            LanguageShare { language: "en".into(), documents: 14, prose: 0.93 },
            LanguageShare { language: "de".into(), documents: 2, prose: 0.07 },
            LanguageShare { language: "und".into(), documents: 1, prose: 0.0 },
        ],
        english_only: true,
        restarts: size / 6,
        errors: vec![
            (ago(40), words.say("the writer stopped: the embedder `ollama/nomic` did not answer within 20 s")),
            (ago(4000), words.say("cannot read documents/globex/scan.md: permission denied")),
        ],
    }
}

fn tenants(words: Words) -> Vec<TenantStatus> {
    let cause = || words.say("the embedder `ollama/nomic` does not answer");
    vec![
        status(words, "acme", "Acme Europe", Health::Ready),
        status(words, "demo", "Demo", Health::Ready),
        status(words, "globex", "Globex Corporation", Health::Restarting { cause: cause() }),
        status(words, "initech", "Initech", Health::Building { since: ago(3) }),
        status(words, "umbrella", "Umbrella Research & Development", Health::Quarantined { cause: cause() }),
        status(words, "wonka", "Wonka", Health::Failed { cause: cause(), retry_in: Duration::from_secs(12) }),
        TenantStatus {
            wrong_file: Some(words.say("tenants/zorg.toml:3: unknown key `brust`: did you mean `burst`?")),
            ..status(words, "zorg", "Zorg Industries", Health::Ready)
        },
    ]
}

fn document(words: Words, name: &str, state: DocumentState) -> DocumentStatus {
    let name = words.say(name);
    let (live, bytes) = (matches!(state, DocumentState::Live | DocumentState::Warning), name.len() as u64);
    DocumentStatus {
        id: DocumentId::parse(&name).unwrap(),
        origin: "upload".into(),
        bytes: bytes * bytes * 731,
        content_hash: ContentHash::of(name.as_bytes()),
        kind: Some("markdown".into()),
        title: live.then(|| words.say("Employee handbook")),
        state,
        stage: (state == DocumentState::Working).then_some(StageName::Embed),
        progress: None,
        chunks: if live { 38 } else { 0 },
        pages: live.then_some(12),
        problem: match state {
            DocumentState::Failed => {
                Some(JobProblem::new("no_text", words.say("no text was found in it: it may be a scan")))
            }
            DocumentState::Warning => Some(JobProblem::new("lossy", words.say("3 pages had no text"))),
            _ => None,
        },
        attributes: [(words.say("department"), words.say("people").into()), ("year".into(), 2026.into())].into(),
        job_id: None,
        updated_at: ago(130),
        name,
    }
}

pub fn citation(marker: u32) -> Citation {
    Citation {
        marker,
        document_id: DocumentId::parse("guides/handbook.md").unwrap(),
        chunk_id: "guides/handbook.md#4".into(),
        title: "Employee handbook".into(),
        page: Some(12),
        start: 2040,
        end: 2125,
        quote: "The notice period is three months for staff after probation, to the end of a quarter.".into(),
        translated: false,
        score: 0.0325,
        generation: 12,
    }
}

pub fn hit(rank: u8) -> Hit {
    let text = "Both sides may end the contract in writing. The notice period is three months for staff after probation, \
                to the end of a quarter. During probation it is two weeks. Longer periods in a contract of \
                employment take precedence.";
    Hit {
        rank: rank.into(),
        document_id: DocumentId::parse("guides/handbook.md").unwrap(),
        chunk_id: format!("guides/handbook.md#{rank}"),
        title: "Employee handbook".into(),
        heading: "Contract > Ending it".into(),
        page: Some(11 + u32::from(rank)),
        start: 1996,
        end: 1996 + text.len(),
        text: text.into(),
        score: 0.0325 / f32::from(rank),
        dense: Some(StageRank { rank: u32::from(rank) + 1, score: 0.61 }),
        bm25: Some(StageRank { rank: rank.into(), score: 8.4 }),
        rerank: None,
        passage: Passage { start: 1996, end: 1996 + text.len(), text: None },
    }
}

fn answer(words: Words) -> Answer {
    let quote = words.say("During probation the contract may be ended with two weeks' notice.");
    let text = format!("{quote} This holds for both sides.");
    let other = Citation {
        title: words.say("Works agreement 2024"),
        document_id: DocumentId::parse(&words.say("works-agreement.md")).unwrap(),
        page: None,
        end: 2040 + quote.len(),
        quote,
        ..citation(2)
    };
    let foreign = Hit {
        title: other.title.clone(),
        heading: words.say("Probation"),
        document_id: other.document_id.clone(),
        page: None,
        dense: None,
        start: 2040,
        end: 2040 + text.len(),
        text,
        ..hit(2)
    };
    Answer {
        id: "0198a1b2".into(),
        outcome: Outcome::Answered,
        search_query: None,
        answer: words.say("The notice period is three months for staff after probation, to the end of a quarter [1]. During probation it is two weeks [2]."),
        answered_by: words.say("extractive"),
        citations: vec![citation(1), other],
        not_found: Vec::new(),
        unsupported: if words.hostile { vec![words.say("It is longer on Mondays.")] } else { Vec::new() },
        hits: vec![hit(1), foreign, hit(3)],
        usage: Usage::default(),
        timings_ms: BTreeMap::from([
            ("embed", 6.2),
            ("dense", 0.4),
            ("sparse", 0.9),
            ("fuse", 0.1),
            ("generate", 2.1),
            ("total", 9.4),
        ]),
        index: IndexStamp { generation: 12, built_at: ago(400), no_vote: None },
        degraded: if words.hostile {
            vec![Degradation { code: "llm_unavailable".into(), message: words.say("The model did not answer.") }]
        } else {
            Vec::new()
        },
    }
}

pub fn ask_page(form: AskForm) -> AskPage {
    let head = TenantHead::new(&tenants(Words::NICE)[0], "ask");
    AskPage::new(shell(Section::Tenants), head, form, 4096, "http://127.0.0.1:8080")
}

fn tokens(words: Words) -> Vec<TokenRecord> {
    let token = |subject: &str, tenant: Option<&str>, scope: &str, days: i64, revoked: bool| TokenRecord {
        jti: "0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".into(),
        tenant: tenant.map(tenant_id),
        subject: words.say(subject),
        scope: scope.into(),
        created_at: ago(86_400 * 3),
        expires_at: ago(-86_400 * days),
        revoked_at: revoked.then(|| ago(60)),
    };
    vec![
        token("billing app", Some("acme"), "query documents:read", 87, false),
        token("prometheus", None, "metrics", 362, false),
        token("intern's laptop", Some("globex"), "query documents:read documents:write reindex", 20, true),
        token("trial", Some("demo"), "query", -1, false),
    ]
}

fn audit(words: Words) -> Vec<AuditEntry> {
    let entry = |number: i64, action: &str, tenant: &str, target: &str| AuditEntry {
        number,
        at: ago(number * 97),
        actor: words.say("operator"),
        action: words.say(action),
        tenant: Some(tenant_id(tenant)),
        target: words.say(target),
        request_id: words.say("0198a1b2-c3d4-7e5f"),
    };
    vec![
        entry(5, "document.upload", "acme", "handbook-2026.md"),
        entry(4, "document.delete", "acme", "old/handbook-2019.md"),
        entry(3, "token.mint", "globex", "0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"),
        entry(2, "tenant.add", "globex", "globex"),
        entry(1, "session.open", "demo", "link"),
    ]
}
