//! `carrel token`: credentials for tenants, operators and scrapers.

use clap::Subcommand;
use reqwest::Method;

use super::client::{Client, open_tokens, send};
use super::{Failure, Printer, table, tenant_id};
use crate::access::{Permission, TokenRequest};
use crate::app;
use crate::config::Config;
use crate::domain::TenantId;
use crate::ledger::Ledger;

#[derive(Debug, Subcommand)]
pub(super) enum TokenVerb {
    /// Mint a token and print it, once
    Mint {
        /// Its tenant; leave out for operators (`tenants:admin`) and scrapers (`metrics`)
        #[arg(short, long, value_parser = tenant_id)]
        tenant: Option<TenantId>,
        /// What it may do, separated by commas
        #[arg(long, value_delimiter = ',', default_value = "query", value_parser = permission)]
        scope: Vec<Permission>,
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
    },
    /// Revoke a token at once
    Revoke {
        /// Its id, as `list` shows it
        jti: String,
    },
}

fn permission(text: &str) -> Result<Permission, String> {
    let known = || Permission::ALL.map(Permission::as_str).join(", ");
    Permission::parse(text).ok_or_else(|| format!("choose from {}", known()))
}

pub(super) async fn run(config: &Config, verb: TokenVerb, print: Printer) -> Result<(), Failure> {
    match verb {
        TokenVerb::Mint { tenant, scope, days, subject } => {
            let wide =
                scope.iter().all(|permission| matches!(permission, Permission::TenantsAdmin | Permission::Metrics));
            match &tenant {
                None if !wide => {
                    return Err(Failure::Usage(
                        "name the tenant with -t, or a scope of tenants:admin or metrics alone".into(),
                    ));
                }
                Some(_) if scope.contains(&Permission::TenantsAdmin) => {
                    return Err(Failure::Usage("tenants:admin is for every tenant: leave out -t".into()));
                }
                Some(id) if !config.tenants_dir().join(format!("{id}.toml")).exists() => {
                    return Err(Failure::NotFound(format!("there is no tenant `{id}`")));
                }
                _ => {}
            }
            let days = days.unwrap_or(config.auth.default_token_days);
            let request = TokenRequest { tenant, subject, permissions: scope, days };
            let minted = open_tokens(config)?.mint(request).await.map_err(anyhow::Error::from)?;
            print.result(&minted, |minted| minted.token.clone())
        }
        TokenVerb::List { tenant } => {
            open_tokens(config)?;
            let ledger = Ledger::open(&config.data_dir().join("carrel.db")).map_err(anyhow::Error::from)?;
            let tokens = ledger.tokens(tenant.as_ref()).await.map_err(anyhow::Error::from)?;
            print.result(&tokens, |tokens| {
                let head = ["ID", "TENANT", "SUBJECT", "SCOPE", "EXPIRES", "REVOKED"].map(str::to_owned).to_vec();
                let row = |token: &crate::ledger::TokenRecord| {
                    let tenant = token.tenant.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
                    let revoked = token.revoked_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
                    vec![
                        token.jti.clone(),
                        tenant,
                        token.subject.clone(),
                        token.scope.clone(),
                        token.expires_at.to_string(),
                        revoked,
                    ]
                };
                table(&std::iter::once(head).chain(tokens.iter().map(row)).collect::<Vec<_>>())
            })
        }
        TokenVerb::Revoke { jti } => {
            // A running server must hear of it, since it keeps what is revoked in memory.
            if app::running(&config.data_dir()).is_some() {
                let client = Client::connect(config.clone()).await?;
                send(client.operator(Method::DELETE, &format!("/api/v1/tokens/{jti}"))).await?;
                client.close().await?;
            } else if !open_tokens(config)?.revoke(&jti).await.map_err(anyhow::Error::from)? {
                return Err(Failure::NotFound("there is no such token".into()));
            }
            print.result(&serde_json::json!({ "jti": jti, "revoked": true }), |_| "revoked".to_owned())
        }
    }
}
