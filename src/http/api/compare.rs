//! The same question to two generations, side by side.

use std::collections::BTreeMap;

use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::Object;
use utoipa::{IntoParams, ToSchema};

use super::super::extract::{Body, Id, Params};
use super::super::problem::ApiError;
use super::query::{SEARCH_TOP_K, mode};
use super::wire::{IndexView, Reason, word};
use crate::actors::{Ask, Compared, Desk};
use crate::domain::{Filter, Hit, Mode, SearchReply};
use crate::engine::{Alike, Change, Moved};

/// A question to two generations.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareBody {
    /// What to look for, 1 to 4,096 characters unless the operator set otherwise.
    query: String,
    /// Hits wanted of each, 1 to 50; 10 when unset.
    #[schema(minimum = 1, maximum = 50)]
    top_k: Option<u64>,
    /// How to search; the tenant's own way when unset.
    #[schema(schema_with = mode, required = false)]
    mode: Option<Mode>,
    /// As for questions.
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
}

/// Which generation to compare with.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CompareParams {
    /// The other generation; the one that serves when unset.
    with: Option<u64>,
}

/// A hit, told shortly.
#[derive(Debug, Serialize, ToSchema)]
pub struct BriefHit {
    /// 1 for the best.
    rank: u32,
    /// Its document.
    document_id: String,
    /// `<document_id>#<ordinal>`.
    chunk_id: String,
    /// The document's title, or its name.
    title: String,
    /// The final score; comparable within this list alone.
    score: f32,
}

impl From<Hit> for BriefHit {
    fn from(hit: Hit) -> Self {
        let (document_id, score) = (hit.document_id.into(), hit.score);
        Self { rank: hit.rank, document_id, chunk_id: hit.chunk_id, title: hit.title, score }
    }
}

/// What one generation found.
#[derive(Debug, Serialize, ToSchema)]
pub struct FoundView {
    /// The generation.
    index: IndexView,
    /// Best first.
    hits: Vec<BriefHit>,
    /// Milliseconds by stage, and `total`.
    timings_ms: BTreeMap<&'static str, f64>,
    /// What did not work as set, though the hits stand.
    degraded: Vec<Reason>,
}

impl From<SearchReply> for FoundView {
    fn from(found: SearchReply) -> Self {
        Self {
            index: found.index.into(),
            hits: found.hits.into_iter().map(Into::into).collect(),
            timings_ms: found.timings_ms,
            degraded: found.degraded.into_iter().map(Into::into).collect(),
        }
    }
}

/// How a hit changed from one list to the other.
#[derive(Debug, Serialize, ToSchema)]
pub struct MoveView {
    /// The chunk, or the document, as `by` says.
    id: String,
    /// The document's title, or its name.
    title: String,
    /// `entered`: in `to` alone; `left`: in `from` alone; `moved` and `stayed`: in both.
    #[schema(schema_with = change)]
    change: &'static str,
    /// Its rank in `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_rank: Option<u32>,
    /// Its rank in `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_rank: Option<u32>,
    /// Ranks it gained; below 0 where it lost some.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_by: Option<i64>,
}

fn change() -> Object {
    word(&["entered", "left", "moved", "stayed"])
}

fn by() -> Object {
    word(&["chunk", "document"])
}

impl From<Moved> for MoveView {
    fn from(moved: Moved) -> Self {
        let change = match moved.change {
            Change::Entered => "entered",
            Change::Left => "left",
            Change::Moved => "moved",
            Change::Stayed => "stayed",
        };
        let Moved { id, title, from, to, by, .. } = moved;
        Self { id, title, change, from_rank: from, to_rank: to, moved_by: by }
    }
}

/// What two generations found of the same question.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompareReply {
    /// What the generation of the path found.
    from: FoundView,
    /// What the other found.
    to: FoundView,
    /// What is taken for the same hit: `chunk`, or `document` where the two cut documents differently.
    #[schema(schema_with = by)]
    by: &'static str,
    /// Every hit of either list: in the order of `to`, then what left.
    changes: Vec<MoveView>,
    /// The share of hits that both lists have, 0 to 1.
    overlap: f64,
}

impl From<Compared> for CompareReply {
    fn from(compared: Compared) -> Self {
        Self {
            from: compared.from.into(),
            to: compared.to.into(),
            by: match compared.alike {
                Alike::Chunk => "chunk",
                Alike::Document => "document",
            },
            changes: compared.comparison.moves.into_iter().map(Into::into).collect(),
            overlap: compared.comparison.overlap,
        }
    }
}

/// Asks two generations the same, and shows how the hits and their ranks differ.
#[utoipa::path(post, path = "/api/v1/generations/{n}/compare", tag = "questions", operation_id = "compare_generations",
    params(("n" = u64, Path, description = "The generation"), CompareParams), request_body = CompareBody,
    responses((status = 200, body = CompareReply)))]
pub async fn compare(
    desk: Desk,
    Id(number): Id<u64>,
    Params(asked): Params<CompareParams>,
    Body(body): Body<CompareBody>,
) -> Result<Json<CompareReply>, ApiError> {
    let ask = Ask {
        query: body.query,
        top_k: body.top_k.or(Some(SEARCH_TOP_K)),
        mode: body.mode,
        filter: body.filter.map(Filter::try_from).transpose()?,
        ..Ask::default()
    };
    Ok(Json(desk.compare(ask, Some(number), asked.with).await?.into()))
}
