//! The page of a tenant that does not live: its file is wrong or gone. It says what is wrong and how it is mended.

use askama::Template;

use super::shell::Shell;
use super::show::{Chip, Message, Tone};
use crate::actors::Stopped;
use crate::domain::TenantId;

/// The page of a tenant whose file is wrong or gone.
#[derive(Template)]
#[template(path = "admin/stopped.html")]
pub struct StoppedPage {
    /// What surrounds it.
    pub shell: Shell,
    /// The tenant.
    pub id: String,
    /// How it fares.
    pub chip: Chip,
    /// What the matter is.
    pub what: &'static str,
    /// What is wrong in the file, a line a mistake; empty when it is gone.
    pub wrong: Vec<Message>,
    /// What to do.
    pub next: Message,
}

impl StoppedPage {
    /// The page of a tenant that stopped for this reason.
    pub fn new(shell: Shell, id: &TenantId, why: &Stopped) -> Self {
        let file = format!("tenants/{id}.toml");
        let (chip, what, wrong, next) = match why {
            Stopped::WrongFile(wrong) => (
                Chip::new(Tone::Bad, "Wrong file"),
                "Its file is wrong, so this tenant answers nobody.",
                wrong.lines().map(Message::new).collect(),
                format!(
                    "Mend `{file}` on the server, then read the files again, here or by `SIGHUP`. Its documents and index are kept."
                ),
            ),
            Stopped::NoFile => (
                Chip::new(Tone::Warn, "No file"),
                "Its file is gone, so this tenant answers nobody.",
                Vec::new(),
                format!(
                    "Documents or an index of it are still on the disk. Put `{file}` back and read the files again, here or by \
                     `SIGHUP`; an empty file is enough where no setting matters. To be rid of it, put the file back and \
                     remove the tenant."
                ),
            ),
        };
        Self { shell, id: id.to_string(), chip, what, wrong, next: next.into() }
    }
}
