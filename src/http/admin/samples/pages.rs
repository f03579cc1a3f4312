//! Every page with every part of it filled.

use std::sync::Arc;

use askama::{DynTemplate, Template};

use super::more::{generations, more};
use super::{HOSTILE, Words, ago, answer, audit, document, job, jobs, now, shell, tenant_id, tenants, tokens};
use crate::access::MintedToken;
use crate::actors::{DeskError, Held, HeldBack, Stopped, TenantStatus};
use crate::domain::{
    Answer, Checks, DocumentId, DocumentState, DocumentStatus, Expected, Golden, GoldenCheck, Job, JobKind, JobState,
    Outcome, Quality, ReplayCheck, TenantId, Worse,
};
use crate::http::admin::ask::{AskForm, AskPage, More};
use crate::http::admin::audit::AuditPage;
use crate::http::admin::document::{DeletePage, DocumentPage, Reading};
use crate::http::admin::door::{LinkPage, PasswordPage, SignInPage};
use crate::http::admin::error::{AdminError, ErrorPage};
use crate::http::admin::index::IndexPage;
use crate::http::admin::job::JobPage;
use crate::http::admin::jobs::JobsPage;
use crate::http::admin::notes::{Note, NoteLine};
use crate::http::admin::once::Made;
use crate::http::admin::overview::{Facts, FailedDocuments, OverviewPage};
use crate::http::admin::shell::{Section, Shell};
use crate::http::admin::show::{self, Message, Tone};
use crate::http::admin::steps::Steps;
use crate::http::admin::stopped::StoppedPage;
use crate::http::admin::tenant::{DocumentsQuery, TenantFacts, TenantHead, TenantPage};
use crate::http::admin::tenants::{AddForm, RemovePage, TenantsPage};
use crate::http::admin::theme::Theme;
use crate::http::admin::tokens::{FreshToken, MintForm, TokensPage};
use crate::http::admin::weigh::choices;
use crate::index::{GenerationInfo, IndexSpec};
use crate::ledger::{DocumentTotals, Listed};

type Pages = Vec<(&'static str, String)>;

const REFUSED: &str = "That did not work: the link may have been used, or the password is wrong.";
const LONG_NAME: &str =
    "a-rather-long-file-name-that-somebody-gave-to-the-minutes-of-the-works-council-2025-11-03-final-2.txt";

/// Every page, by a name for its file.
pub fn pages(words: Words, theme: Theme) -> Pages {
    every(Gallery { words, theme, base: "" })
}

/// Every page of a server whose public address has a path.
pub fn pages_below(base: &'static str) -> Pages {
    every(Gallery { words: Words::NICE, theme: Theme::System, base })
}

fn every(gallery: Gallery) -> Pages {
    [
        gallery.overview(),
        gallery.tenants(),
        gallery.tenant(),
        gallery.documents(),
        gallery.asks(),
        gallery.jobs(),
        gallery.tokens(),
        gallery.doors(),
        gallery.errors(),
    ]
    .concat()
}

#[derive(Clone, Copy)]
struct Gallery {
    words: Words,
    theme: Theme,
    base: &'static str,
}

fn render(page: &dyn DynTemplate) -> String {
    page.dyn_render().unwrap()
}

impl Gallery {
    fn shell(self, section: Section) -> Shell {
        Shell { theme: self.theme, base: self.base.into(), ..shell(section) }
    }

    fn noted(self, section: Section, note: Note) -> Shell {
        Shell { note: Some(Arc::new(note)), ..self.shell(section) }
    }

    /// Words from outside as a view model makes them ready.
    fn name(self, nice: &str) -> String {
        show::name(&self.words.say(nice))
    }

    fn message(self, nice: &str) -> Message {
        Message::new(&self.words.say(nice))
    }

    fn job_counts(self) -> Vec<(JobState, u64)> {
        let jobs = jobs(self.words);
        let count = |state| jobs.iter().filter(|(_, job)| job.state == state).count() as u64;
        JobState::ALL.map(|state| (state, count(state))).to_vec()
    }

    fn overview(self) -> Pages {
        let names = vec![self.name("q3-figures.pdf"), self.name("scan-04.pdf"), "notes.txt".into()];
        let busy = Facts {
            tenants: tenants(self.words),
            failed: vec![FailedDocuments { tenant: tenant_id("acme"), count: 5, names }],
            jobs: jobs(self.words),
            job_counts: self.job_counts(),
            held: vec![(tenant_id("acme"), vec![HeldBack { number: 13, fits: true }])],
            has_password: false,
            root: "/srv/carrel".into(),
        };
        let calm = Facts {
            tenants: busy.tenants[..2].to_vec(),
            failed: vec![],
            jobs: vec![],
            job_counts: vec![],
            held: vec![],
            has_password: true,
            root: "/srv/carrel".into(),
        };
        let steps = Steps::default().and(true).shown(Some(&tenant_id("demo")));
        let note = Note::ok("The password is set. Every other session has ended.");
        let page = |shell, facts, steps| render(&OverviewPage::new(shell, facts, steps, now()));
        vec![
            ("overview", page(self.shell(Section::Overview), &busy, steps)),
            ("overview-calm", page(self.noted(Section::Overview, note), &calm, None)),
        ]
    }

    fn tenants(self) -> Pages {
        let whole = TenantsPage::new(self.shell(Section::Tenants), &tenants(self.words), "", now());
        let refused = TenantsPage {
            form: AddForm { id: self.words.say("Acme"), name: self.words.say("Acme") },
            error: self
                .message("A tenant id is 1 to 63 characters of a-z, 0-9 and '-', starting with a letter or digit"),
            ..TenantsPage::new(self.shell(Section::Tenants), &tenants(self.words), "", now())
        };
        let remove = RemovePage {
            shell: self.shell(Section::Tenants),
            id: "acme".into(),
            name: self.name("Acme Europe"),
            goes: "128 documents, 48 MiB".into(),
            error: "Type acme to remove the tenant.".into(),
        };
        let search = if self.words.hostile { HOSTILE } else { "hooli" };
        vec![
            ("tenants", render(&whole)),
            ("tenants-refused", render(&refused)),
            ("tenants-empty", render(&TenantsPage::new(self.shell(Section::Tenants), &[], search, now()))),
            ("remove-tenant", render(&remove)),
        ]
    }

    fn tenant_facts(self) -> TenantFacts {
        let listed = [
            ("guides/onboarding.md", DocumentState::Live),
            ("handbook-2026.md", DocumentState::Working),
            ("prices-2026.html", DocumentState::Live),
            ("q3-figures.pdf", DocumentState::Failed),
            ("scan-04.pdf", DocumentState::Warning),
            (LONG_NAME, DocumentState::Queued),
        ];
        TenantFacts {
            status: tenants(self.words)[0].clone(),
            totals: DocumentTotals { documents: 128, bytes: 48 << 20, waiting: 2, live: 121, warnings: 2, failed: 5 },
            documents: Listed {
                entries: listed.map(|(name, state)| self.document(name, state)).into(),
                has_more: true,
            },
            jobs: jobs(self.words).into_iter().map(|(_, job)| job).skip(1).take(4).collect(),
            held: vec![HeldBack { number: 13, fits: true }],
            max_bytes: 32 << 20,
        }
    }

    fn document(self, name: &str, state: DocumentState) -> DocumentStatus {
        document(self.words, name, state)
    }

    fn tenant(self) -> Pages {
        let running: Vec<Job> = vec![job(JobKind::Reindex, JobState::Running)];
        let busy = TenantFacts { jobs: [running, self.tenant_facts().jobs].concat(), ..self.tenant_facts() };
        let unwell = TenantFacts { status: tenants(self.words)[4].clone(), ..self.tenant_facts() };
        let wrong = TenantFacts {
            status: TenantStatus { outdated: vec![self.words.say("chunker: other")], ..tenants(self.words)[6].clone() },
            ..self.tenant_facts()
        };
        let stopped =
            Stopped::WrongFile(self.words.say("tenants/zorg.toml:3: unknown key `brust`\ntenants/zorg.toml:9: no"));
        let building = tenants(self.words)[3].clone();
        let empty = TenantFacts {
            status: TenantStatus {
                documents: 0,
                chunks: 0,
                bytes: 0,
                generation: 0,
                built_at: None,
                languages: vec![],
                errors: vec![],
                ..building
            },
            totals: DocumentTotals::default(),
            documents: Listed { entries: vec![], has_more: false },
            jobs: vec![],
            held: vec![],
            max_bytes: 32 << 20,
        };
        let line = |tone, name: &str, text: &str| NoteLine { tone, name: self.name(name), text: text.into() };
        let lines = vec![line(Tone::Bad, "huge.txt", "larger than 32 MiB"), line(Tone::Ok, "handbook-2026.md", "")];
        let uploaded = Note { lines, ..Note::new(Tone::Warn, "1 of 2 files stored.") };
        let second = DocumentsQuery { after: Some(DocumentId::parse("a").unwrap()), ..DocumentsQuery::default() };
        let first = DocumentsQuery::default();
        let page = |shell, facts, query| TenantPage::new(shell, facts, query, now());
        vec![
            ("tenant", render(&page(self.noted(Section::Tenants, uploaded), &busy, &second))),
            ("tenant-unwell", render(&page(self.shell(Section::Tenants), &unwell, &first))),
            ("tenant-index", render(&self.generations())),
            ("tenant-wrong-file", render(&page(self.shell(Section::Tenants), &wrong, &first))),
            ("tenant-stopped", render(&StoppedPage::new(self.shell(Section::Tenants), &tenant_id("zorg"), &stopped))),
            ("tenant-empty", render(&page(self.shell(Section::Tenants), &empty, &first))),
            ("tenant-live", page(self.shell(Section::Tenants), &busy, &second).as_live().render().unwrap()),
        ]
    }

    fn generations(self) -> IndexPage {
        let spec = IndexSpec {
            embedder: self.words.say("builtin/all-minilm-l6-v2"),
            dimension: 384,
            parser: 3,
            chunker: "v2 max=200 overlap=40".into(),
            analyser: 2,
        };
        let held = |number: u64, serves, held, pinned, checks| Held {
            info: GenerationInfo {
                number,
                made_at: ago(3600 * i64::try_from(14 - number).unwrap()),
                reason: self.words.say("operator"),
                documents: 6050,
                chunks: 48_211,
                bytes: 161 << 20,
                spec: spec.clone(),
            },
            serves,
            pinned,
            held,
            checks,
        };
        let quality = |ndcg_10| Quality { recall_10: 0.9, mrr_10: 0.8, ndcg_10 };
        let question = self.words.say("How long is the notice period?");
        let worse = vec![Worse { id: "0".into(), question, before: 1.0, after: 0.0 }];
        let check = |built, held, worse| {
            let golden = GoldenCheck {
                questions: 40,
                built: quality(built),
                serving: Some(quality(0.91)),
                unasked: None,
                margin: 0.02,
                held,
                worse,
            };
            Some(Checks { golden: Some(golden), replay: None })
        };
        let replay = Some(Checks { golden: None, replay: Some(ReplayCheck { questions: 100, overlap: 0.94 }) });
        let all = [
            held(13, false, true, false, check(0.74, true, worse)),
            held(12, true, false, false, check(0.91, false, vec![])),
            held(11, false, false, true, replay),
            held(4, false, false, false, None),
        ];
        let status = TenantStatus {
            outdated: vec![
                self.words
                    .say("chunker: the index has `v2 max=200 overlap=40`, the settings want `v2 max=120 overlap=20`"),
            ],
            ..tenants(self.words)[0].clone()
        };
        let expect = vec![Expected { document_id: DocumentId::parse("guides/handbook.md").unwrap(), excerpt: None }];
        let golden = [Golden::new(&self.words.say("How long is the notice period?"), expect, "operator")];
        let waiting = [HeldBack { number: 13, fits: true }];
        IndexPage::new(self.shell(Section::Tenants), &status, (&all, &waiting), &golden, now())
    }

    fn documents(self) -> Pages {
        let reading = Reading {
            before: self.words.say("# Contract\n\n## Ending it\n\nBoth sides may end the contract in writing. "),
            quote: self
                .words
                .say("The notice period is three months for staff after probation, to the end of a quarter."),
            after: self.words.say(
                " During probation it is two weeks. Longer periods in a contract of employment take precedence.\n\n\
                 ## Holidays\n\nThirty days a year, and the day of one's wedding.\n\n\
                 - Requests go to the line manager.\n- Ten days may be taken over until the end of March.\n",
            ),
            range: "bytes 0 to 24\u{202f}000".into(),
            earlier_href: String::new(),
            later_href: "/admin/tenants/acme/document?id=x&from=24000".into(),
        };
        let warned = self.document("scan-04.pdf", DocumentState::Warning);
        let failed = self.document("q3-figures.pdf", DocumentState::Failed);
        let page = |document, text| {
            render(&DocumentPage::new(self.shell(Section::Tenants), &tenant_id("acme"), document, text, now()))
        };
        let delete = DeletePage {
            shell: self.shell(Section::Tenants),
            tenant: "acme".into(),
            id: failed.id.to_string(),
            name: show::name(&failed.name),
            goes: "1.2 MiB, 38 chunks".into(),
            back_href: "/admin".into(),
        };
        vec![
            ("document", page(&warned, Some(reading))),
            ("document-failed", page(&failed, None)),
            ("delete-document", render(&delete)),
        ]
    }

    fn ask_page(self, form: AskForm) -> AskPage {
        let head = TenantHead::new(&tenants(self.words)[0], "ask");
        AskPage::new(self.shell(Section::Tenants), head, form, 4096, "http://127.0.0.1:8080")
    }

    fn asks(self) -> Pages {
        let acme: TenantId = tenant_id("acme");
        let blank = AskForm { top_k: 3, ..AskForm::default() };
        let asked = AskForm { query: self.words.say("How long is the notice period?"), top_k: 3, ..AskForm::default() };
        let found = answer(self.words);
        let none = Answer {
            outcome: Outcome::NoEvidence,
            answer: String::new(),
            citations: vec![],
            not_found: vec!["HX-<b>4899".into()],
            ..found.clone()
        };
        let (generation, compare) = ("12".to_owned(), "11".to_owned());
        let looking_back = AskForm {
            generation,
            compare,
            explain: true,
            document: self.words.say("works-agreement.md"),
            ..asked.clone()
        };
        let looking_back = self.ask_page(looking_back).choosing(choices(&generations(), now()));
        let refusal = self.message("the index is being built for the first time: try again in a moment");
        vec![
            ("ask", render(&self.ask_page(blank.clone()))),
            ("ask-answered", render(&self.ask_page(asked.clone()).answered(&acme, &found, &More::default()))),
            ("ask-compared", render(&looking_back.answered(&acme, &found, &more(self.words)))),
            ("ask-no-evidence", render(&self.ask_page(asked).answered(&acme, &none, &More::default()))),
            ("ask-refused", render(&self.ask_page(blank).refused(refusal))),
        ]
    }

    fn jobs(self) -> Pages {
        let (listed, counts) = (jobs(self.words), self.job_counts());
        let list = |jobs, wanted| render(&JobsPage::new(self.shell(Section::Jobs), jobs, &counts, wanted, now()));
        let one = |at: usize| render(&JobPage::new(self.shell(Section::Jobs), &listed[at].0, &listed[at].1, now()));
        vec![
            ("jobs", list(&listed, None)),
            ("jobs-empty", list(&[], Some(JobState::Failed))),
            ("job", one(0)),
            ("job-failed", one(2)),
        ]
    }

    fn tokens(self) -> Pages {
        let tenants: Vec<_> = tenants(self.words).into_iter().map(|tenant| tenant.id).collect();
        let form = MintForm { subject: self.words.say("billing app"), ..MintForm::new("acme", 90) };
        let list = TokensPage::new(self.shell(Section::Tokens), &tenants, &tokens(self.words), form, now());
        let minted = MintedToken {
            token: format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{}.Rk9v", "eyJpc3MiOiJjYXJyZWwi".repeat(9)),
            jti: "0198a1b2".into(),
            expires_at: ago(-86_400 * 90),
        };
        let blank = MintForm::new("acme", 90);
        let fresh = FreshToken::new(Made { minted, asks: true, tenant: None }, "http://127.0.0.1:8080", now());
        let made = TokensPage::new(self.shell(Section::Tokens), &tenants, &tokens(self.words), blank, now());
        let audit = AuditPage::new(self.shell(Section::Audit), &audit(self.words), now());
        vec![
            ("tokens", render(&TokensPage { error: self.message("Choose at least one permission."), ..list })),
            ("tokens-made", render(&TokensPage { minted: Some(fresh), ..made })),
            ("audit", render(&audit)),
        ]
    }

    fn doors(self) -> Pages {
        let shell = || self.shell(Section::None);
        let sign_in =
            |error: &str| render(&SignInPage { shell: shell(), error: error.into(), why: "", next: "/admin".into() });
        let link =
            |error: &str| render(&LinkPage { shell: shell(), action: "/admin/link/x".into(), error: error.into() });
        let weak = "Choose a password of at least 15 characters that is not a common one.".into();
        vec![
            ("sign-in", sign_in("")),
            ("sign-in-refused", sign_in(REFUSED)),
            ("link", link("")),
            ("link-used", link(REFUSED)),
            ("password", render(&PasswordPage { shell: shell(), replaces: false, error: weak })),
        ]
    }

    fn errors(self) -> Pages {
        let page = |error: &AdminError| {
            let (shell, request_id) = (self.shell(Section::None), self.name("0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"));
            render(&ErrorPage { shell, explained: error.explain(), request_id })
        };
        let quota = DeskError::Quota(self.words.say("100000 documents"));
        vec![
            ("error-404", page(&AdminError::NoPage)),
            ("error-409", page(&AdminError::Desk(quota))),
            ("error-413", page(&AdminError::UploadTooLarge { limit: 32 << 20 })),
        ]
    }
}
