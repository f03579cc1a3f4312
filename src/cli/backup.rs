//! `carrel backup`, `restore` and `export`: a tenant's data out of Carrel, and back in.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use futures_util::StreamExt;
use reqwest::{Body, Method, Response};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::client::{as_operator, as_tenant, refusal, send};
use super::root::settings_of;
use super::tenants::plain;
use super::{Failure, Printer, tenant_id};
use crate::app;
use crate::config::Config;
use crate::domain::TenantId;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The tenant
    #[arg(short, long, value_parser = tenant_id)]
    tenant: TenantId,
    /// The file to write
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// A file that `carrel backup` wrote
    file: PathBuf,
    /// The new tenant's id, instead of the one it had
    #[arg(long = "as", value_name = "ID", value_parser = tenant_id)]
    id: Option<TenantId>,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The tenant
    #[arg(short, long, value_parser = tenant_id)]
    tenant: TenantId,
    /// A line a chunk, instead of a line a document
    #[arg(long)]
    chunks: bool,
}

pub(super) async fn backup(config: Config, args: BackupArgs, print: Printer) -> Result<(), Failure> {
    let folder = folder_of(&args.file);
    std::fs::metadata(folder).map_err(|error| Failure::of_path(folder, &error))?;
    if app::running(&config.data_dir()).is_none() {
        // Before a server is started for nothing.
        settings_of(&config, &args.tenant)?;
    }
    let saved = as_operator(config, async |client| {
        client.must_have(&args.tenant).await?;
        let path = format!("/api/v1/tenants/{}/backup", args.tenant);
        save(sent(client.operator(Method::GET, &path)?).await?, &args.file).await
    });
    let done = json!({ "tenant": args.tenant, "file": args.file, "bytes": saved.await? });
    print.result(&done, |done| format!("wrote {} ({} bytes)", args.file.display(), done["bytes"]))
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a reply to a file that has its name only once it is whole; returns its size.
async fn save(reply: Response, file: &Path) -> Result<u64, Failure> {
    let part = tempfile::NamedTempFile::new_in(folder_of(file)).map_err(|error| Failure::of_path(file, &error))?;
    let mut to = tokio::io::BufWriter::new(tokio::fs::File::from_std(part.reopen()?));
    let (mut pieces, mut bytes) = (reply.bytes_stream(), 0);
    while let Some(piece) = pieces.next().await {
        let piece = piece.context("the backup broke off; the server's log says why")?;
        to.write_all(&piece).await?;
        bytes += piece.len() as u64;
    }
    to.flush().await?;
    to.into_inner().sync_all().await?;
    part.persist(file).map_err(|error| error.error)?;
    Ok(bytes)
}

pub(super) async fn restore(config: Config, args: RestoreArgs, print: Printer) -> Result<(), Failure> {
    let file = tokio::fs::File::open(&args.file).await.map_err(|error| Failure::of_path(&args.file, &error))?;
    let wanted = args.id.map(|id| format!("?as={id}")).unwrap_or_default();
    let restored = as_operator(config, async |client| {
        let request = client.operator(Method::POST, &format!("/api/v1/tenants/restore{wanted}"))?;
        let body = Body::wrap_stream(tokio_util::io::ReaderStream::with_capacity(file, 256 << 10));
        send(request.header("content-type", "application/x-tar").body(body)).await
    });
    print.result(&restored.await?, |tenant: &Value| format!("restored {}", plain(&tenant["id"])))
}

pub(super) async fn export(config: Config, args: ExportArgs) -> Result<(), Failure> {
    let what = if args.chunks { "chunks" } else { "documents" };
    let printed = as_tenant(config, &args.tenant, async |speaker| {
        let reply = sent(speaker.request(Method::GET, &format!("/api/v1/export?what={what}"))?).await?;
        let mut pieces = reply.bytes_stream();
        let mut out = std::io::stdout().lock();
        while let Some(piece) = pieces.next().await {
            out.write_all(&piece.context("the export broke off; the server's log says why")?)?;
        }
        Ok(out.flush()?)
    });
    printed.await
}

/// The reply, if it is a success.
async fn sent(request: reqwest::RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().await.context("the server does not answer")?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    Err(refusal(status, &response.bytes().await.map_err(anyhow::Error::from)?))
}
