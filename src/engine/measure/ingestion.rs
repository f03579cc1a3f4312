//! Ingestion held against the bare embedder: how much of its speed is left when documents are read, cut and written too.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use serde::Serialize;

use super::super::{Build, Engine, Prepared, Ticket};
use super::rate;
use crate::config::TenantSettings;
use crate::domain::TenantId;
use crate::embed::Purpose;
use crate::index::{GenerationWriter, Generations};
use crate::store::DocumentStore;

/// Documents handed to the writer together at most, as in a rebuild.
const BATCH: usize = 64;

/// What ingestion reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IngestionSpeed {
    /// Documents ingested.
    pub documents: u64,
    /// Documents that could not be read.
    pub failed: u64,
    /// Chunks they became.
    pub chunks: u64,
    /// Model tokens embedded.
    pub model_tokens: u64,
    /// Model tokens a second from files to a published generation.
    pub ingested_per_s: f64,
    /// Model tokens a second when the same texts are embedded and nothing else is done.
    pub bare_per_s: f64,
    /// The former as a share of the latter.
    pub share: f64,
}

impl Engine {
    /// Builds a generation of the documents in `documents/<tenant>` under `root`, then embeds the same texts in a loop.
    ///
    /// # Errors
    /// When there is no document, or something below fails.
    pub async fn measure_ingestion(
        &self,
        root: &Path,
        tenant: &TenantId,
        settings: &TenantSettings,
    ) -> anyhow::Result<IngestionSpeed> {
        let documents = DocumentStore::new(&root.join("documents")).tenant(tenant)?;
        let tickets = documents.list()?.into_iter().map(|stored| Ticket::new(stored.id).sized(stored.bytes));
        let tickets: Vec<_> = tickets.collect();
        ensure!(!tickets.is_empty(), "the folder holds no document");
        let spec = self.spec(settings).await?;
        let generations = Generations::new(&root.join("data"));
        let mut writer = generations.begin(&spec, "measure")?;
        let build = Build { documents, spec: spec.clone(), donors: Arc::new(Vec::new), patience: None };
        // Loads the model, which both would pay for.
        self.warm_up().await?;
        let begun = Instant::now();
        let mut pipeline = self.prepare(build)?.only(tickets);
        let (mut texts, mut tokens, mut failed) = (Vec::new(), 0, 0);
        loop {
            let steps = pipeline.next(BATCH).await;
            if steps.is_empty() {
                break;
            }
            let mut ready = Vec::with_capacity(steps.len());
            for (_, step) in steps {
                let Ok(prepared) = step else {
                    failed += 1;
                    continue;
                };
                tokens += prepared.model_tokens;
                let entry = &prepared.document.entry;
                texts.extend(prepared.document.chunks.iter().map(|chunk| chunk.embedding_text(&entry.title)));
                ready.push(prepared);
            }
            writer = write(writer, ready).await?;
        }
        let snapshot = generations.publish(&mut writer)?;
        let ingested = begun.elapsed();
        let embedder = self.embedder_of(&spec)?;
        let begun = Instant::now();
        let bare = embedder.embed(&texts, Purpose::Passage).await?.model_tokens;
        let looped = begun.elapsed();
        let (ingested_per_s, bare_per_s) = (rate(tokens, ingested), rate(bare, looped));
        Ok(IngestionSpeed {
            documents: snapshot.info().documents,
            failed,
            chunks: snapshot.chunks(),
            model_tokens: bare,
            ingested_per_s,
            bare_per_s,
            share: (ingested_per_s / bare_per_s * 1e3).round() / 1e3,
        })
    }
}

async fn write(mut writer: GenerationWriter, ready: Vec<Prepared>) -> anyhow::Result<GenerationWriter> {
    let written = tokio::task::spawn_blocking(move || {
        for prepared in ready {
            writer.upsert(prepared.document)?;
        }
        Ok(writer)
    });
    written.await?
}
