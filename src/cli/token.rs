//! `carrel token`: credentials for tenants, operators and scrapers.

use clap::Subcommand;
use reqwest::Method;

use super::client::{as_operator, encoded, open_ledger, open_tokens, send};
use super::root::{no_tenant, tenant_ids};
use super::{Failure, Printer, table, tenant_id};
use crate::access::{Permission, TokenRequest, is_command_lines};
use crate::app;
use crate::config::{Config, nearest};
use crate::domain::TenantId;
use crate::ledger::TokenRecord;

/// The longest name of a token's holder, characters.
const LONGEST_SUBJECT: usize = 200;

#[derive(Debug, Subcommand)]
pub(super) enum TokenVerb {
    /// Mint a token and print it, once
    Mint {
        /// Its tenant; leave out for operators (`tenants:admin`) and scrapers (`metrics`)
        #[arg(short, long, value_parser = tenant_id)]
        tenant: Option<TenantId>,
        /// What it may do, separated by commas or blanks
        #[arg(long, num_args = 1.., default_value = "query")]
        scope: Vec<String>,
        /// Days it lives [default: `auth.default_token_days`]
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
        /// Who it is for; shown in lists and in the audit
        #[arg(long, default_value = "token")]
        subject: String,
    },
    /// List tokens, without their text
    List {
        /// Of this tenant alone
        #[arg(short, long, value_parser = tenant_id)]
        tenant: Option<TenantId>,
        /// Those too that earlier versions of the command line made for themselves
        #[arg(long)]
        all: bool,
    },
    /// Revoke a token at once
    Revoke {
        /// Its id, as `list` shows it
        jti: String,
    },
}

pub(super) async fn run(config: &Config, verb: TokenVerb, print: Printer) -> Result<(), Failure> {
    match verb {
        TokenVerb::Mint { tenant, scope, days, subject } => {
            if let Some(id) = tenant.as_ref().filter(|id| !tenant_ids(config).contains(id)) {
                return Err(no_tenant(config, id));
            }
            let permissions = permissions(&scope, tenant.is_some())?;
            if !(1..=LONGEST_SUBJECT).contains(&subject.chars().count()) || subject.chars().any(char::is_control) {
                let words = format!("--subject must have 1 to {LONGEST_SUBJECT} characters on one line");
                return Err(Failure::Usage(words));
            }
            let days = days.unwrap_or(config.auth.default_token_days);
            let request = TokenRequest { tenant, subject, permissions, days };
            let minted = open_tokens(config)?.mint(request).await.map_err(anyhow::Error::from)?;
            print.result(&minted, |minted| minted.token.clone())
        }
        TokenVerb::List { tenant, all } => list(config, tenant.as_ref(), all, print).await,
        TokenVerb::Revoke { jti } => {
            let unknown = || Failure::NotFound(format!("there is no token `{jti}`"));
            let ledger = open_ledger(config)?.ok_or_else(unknown)?;
            // A running server must hear of it, since it keeps what is revoked in memory.
            if app::running(&config.data_dir()).is_some() {
                let path = format!("/api/v1/tokens/{}", encoded(&jti));
                let revoked =
                    as_operator(config.clone(), async |client| send(client.operator(Method::DELETE, &path)?).await);
                revoked.await.map_err(|failure| failure.naming("token", &jti))?;
            } else if !ledger.revoke_token(&jti).await.map_err(anyhow::Error::from)? {
                return Err(unknown());
            }
            print.result(&serde_json::json!({ "jti": jti, "revoked": true }), |_| "revoked".to_owned())
        }
    }
}

/// The permissions that the words of `--scope` name.
///
/// # Errors
/// Names a word that is none with the list of those there are, and one that does not go with or without a tenant.
fn permissions(scope: &[String], of_tenant: bool) -> Result<Vec<Permission>, Failure> {
    let mut found = Vec::new();
    for word in scope.iter().flat_map(|text| text.split([',', ' ', '\t', '\n'])).filter(|word| !word.is_empty()) {
        let permission = Permission::parse(word).ok_or_else(|| unknown_scope(word))?;
        if of_tenant && !permission.is_tenants_own() {
            return Err(Failure::Usage(format!("`{word}` reaches beyond one tenant: leave out -t")));
        }
        if !of_tenant && permission.is_tenants_own() {
            return Err(Failure::Usage(format!(
                "`{word}` needs a tenant: name it with -t, or ask for --scope tenants:admin or metrics"
            )));
        }
        if !found.contains(&permission) {
            found.push(permission);
        }
    }
    if found.is_empty() {
        Err(Failure::Usage("--scope is empty: name what the token may do".into()))
    } else {
        Ok(found)
    }
}

fn unknown_scope(word: &str) -> Failure {
    let names = Permission::ALL.map(Permission::as_str);
    let hint = nearest(word, names.into_iter()).map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
    Failure::Usage(format!("there is no scope `{word}`{hint} (choose from {})", names.join(", ")))
}

/// Lists tokens from the ledger: no server is needed to look.
async fn list(config: &Config, tenant: Option<&TenantId>, all: bool, print: Printer) -> Result<(), Failure> {
    if let Some(id) = tenant.filter(|id| !tenant_ids(config).contains(id)) {
        return Err(no_tenant(config, id));
    }
    let tokens = match open_ledger(config)? {
        Some(ledger) => ledger.tokens(tenant).await.map_err(anyhow::Error::from)?,
        None => Vec::new(),
    };
    let tokens: Vec<TokenRecord> = tokens.into_iter().filter(|token| all || !is_command_lines(token)).collect();
    print.result(&tokens, |tokens| {
        let head = ["ID", "TENANT", "SUBJECT", "SCOPE", "EXPIRES", "REVOKED"].map(str::to_owned).to_vec();
        table(&std::iter::once(head).chain(tokens.iter().map(row)).collect::<Vec<_>>())
    })
}

fn row(token: &TokenRecord) -> Vec<String> {
    let tenant = token.tenant.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let revoked = token.revoked_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    vec![token.jti.clone(), tenant, token.subject.clone(), token.scope.clone(), token.expires_at.to_string(), revoked]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(scope: &[&str], of_tenant: bool) -> Result<Vec<Permission>, String> {
        let scope: Vec<String> = scope.iter().map(|text| (*text).to_owned()).collect();
        permissions(&scope, of_tenant).map_err(|failure| failure.to_string())
    }

    #[test]
    fn scopes_are_parted_by_commas_or_blanks() {
        use Permission::{DocumentsRead, Metrics, Query, TenantsAdmin};
        for scope in [
            &["query,documents:read"][..],
            &["query documents:read"],
            &["query", "documents:read"],
            &[" query, documents:read ,query"],
        ] {
            assert_eq!(asked(scope, true), Ok(vec![Query, DocumentsRead]), "{scope:?}");
        }
        assert_eq!(asked(&["tenants:admin metrics"], false), Ok(vec![TenantsAdmin, Metrics]));
    }

    #[test]
    fn a_scope_that_is_none_or_does_not_fit_is_named() {
        let unknown = asked(&["query", "document:read"], true).unwrap_err();
        assert!(
            unknown
                .starts_with("there is no scope `document:read`: did you mean `documents:read`? (choose from query, "),
            "{unknown}"
        );
        for wide in ["metrics", "tenants:admin", "query,metrics"] {
            assert!(asked(&[wide], true).unwrap_err().contains("reaches beyond one tenant"), "{wide}");
        }
        assert!(asked(&["query"], false).unwrap_err().contains("needs a tenant"));
        assert!(asked(&["metrics,reindex"], false).unwrap_err().contains("`reindex` needs a tenant"));
        assert!(asked(&[" , "], true).unwrap_err().contains("--scope is empty"));
    }
}
