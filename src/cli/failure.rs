//! Why a verb ends without success, and the exit code that says so.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::config::ConfigError;

/// Why a verb ends without success.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// 1: it did not work.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// 2: the settings or arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// 3: not ready.
    #[error("{0}")]
    NotReady(String),
    /// 4: there is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The server refused, with a code of the contract.
    #[error("{words}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The problem's code; empty when the reply was no problem of Carrel's.
        code: String,
        /// The problem's detail.
        words: String,
    },
}

impl Failure {
    /// 1 failure, 2 usage, 3 not ready, 4 not found.
    pub(super) fn exit(&self) -> u8 {
        match self {
            Self::NotFound(_) | Self::Refused { status: 404, .. } => 4,
            // The document that a golden question names.
            Self::Refused { code, .. } if code == "golden_unknown_document" => 4,
            Self::NotReady(_) | Self::Refused { status: 503, .. } => 3,
            Self::Usage(_) | Self::Refused { status: 400 | 415 | 422, .. } => 2,
            Self::Failed(_) | Self::Refused { .. } => 1,
        }
    }

    /// A stable word for programs: the problem's code, else what the exit code stands for.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } if !code.is_empty() => code,
            Self::Refused { .. } | Self::Failed(_) => "failed",
            Self::Usage(_) => "usage",
            Self::NotReady(_) => "not_ready",
            Self::NotFound(_) => "not_found",
        }
    }

    /// As JSON, for lists of what happened and for standard error.
    pub(super) fn json(&self) -> serde_json::Value {
        json!({ "code": self.code(), "message": self.to_string() })
    }

    /// Prints it on standard error, as a sentence or one line of JSON, and returns the exit code.
    pub(super) fn tell(&self, json: bool) -> ExitCode {
        let text = if json { json!({ "error": self.json() }).to_string() } else { format!("carrel: {self}") };
        // Nothing is left to be done where even this cannot be written.
        let _ = writeln!(io::stderr(), "{text}");
        ExitCode::from(self.exit())
    }

    /// Names what was looked for, where the server says only that it is not there: `what` is a noun.
    pub(super) fn naming(self, what: &str, id: &str) -> Self {
        match self {
            Self::Refused { status: 404, .. } => Self::NotFound(format!("there is no {what} `{id}`")),
            // An id of another form belongs to nothing.
            Self::Refused { status: 400, code, .. } if code == "invalid_parameter" => {
                Self::NotFound(format!("there is no {what} `{id}`"))
            }
            other => other,
        }
    }

    /// Why a file or folder that the arguments name cannot be used.
    pub(super) fn of_path(path: &Path, error: &io::Error) -> Self {
        let shown = path.display();
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound(format!("there is no file or folder `{shown}`")),
            _ => Self::Failed(anyhow::anyhow!("cannot use `{shown}`: {error}")),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_what_kind_of_failure_it_is() {
        let refused = |status, code: &str| Failure::Refused { status, code: code.into(), words: "no".into() };
        for (failure, exit, code) in [
            (Failure::Failed(anyhow::anyhow!("x")), 1, "failed"),
            (Failure::Usage("x".into()), 2, "usage"),
            (Failure::NotReady("x".into()), 3, "not_ready"),
            (Failure::NotFound("x".into()), 4, "not_found"),
            (refused(404, "tenant_not_found"), 4, "tenant_not_found"),
            (refused(422, "golden_unknown_document"), 4, "golden_unknown_document"),
            (refused(422, "invalid_settings"), 2, "invalid_settings"),
            (refused(503, "tenant_index_building"), 3, "tenant_index_building"),
            (refused(409, "tenant_exists"), 1, "tenant_exists"),
            (refused(500, ""), 1, "failed"),
        ] {
            assert_eq!((failure.exit(), failure.code()), (exit, code));
        }
        let named = refused(400, "invalid_parameter").naming("job", "nope");
        assert_eq!((named.exit(), named.to_string().as_str()), (4, "there is no job `nope`"));
        assert_eq!(refused(409, "job_not_cancellable").naming("job", "1").exit(), 1);
    }
}
