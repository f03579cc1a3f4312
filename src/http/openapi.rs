//! The OpenAPI document, made from the handlers themselves.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};

use super::api::{
    backup, compare, documents, explain, generations, golden, index, jobs, operator, query, stream, tokens,
};
use super::ops;
use super::problem::{ApiError, Problem};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Carrel",
        description = "Answers questions from a tenant's own documents, with citations that a machine can check.\n\n\
            The tenant comes from the token alone. Every failure is a problem document (RFC 9457); its codes, causes and \
            fixes stand at `/problems`.",
    ),
    paths(
        query::query,
        query::search,
        explain::explain,
        documents::upload,
        documents::list,
        documents::show,
        documents::text,
        documents::delete,
        backup::export,
        index::reindex,
        jobs::list,
        jobs::show,
        jobs::follow,
        jobs::cancel,
        jobs::retry,
        jobs::purge,
        golden::list,
        golden::keep,
        golden::delete,
        generations::list,
        generations::activate,
        generations::diff,
        compare::compare,
        generations::pin,
        generations::unpin,
        generations::delete,
        operator::tenants,
        operator::tenant,
        operator::add,
        operator::remove,
        operator::reindex,
        operator::job,
        operator::reload,
        operator::status,
        operator::audit,
        backup::backup,
        backup::restore,
        backup::duplicate,
        tokens::mint,
        tokens::list,
        tokens::revoke,
        query::seed,
        ops::health,
        ops::livez,
        ops::readyz,
        ops::metrics,
    ),
    components(schemas(Problem, stream::RetrievalEvent, stream::TokenEvent, stream::ErrorEvent)),
    tags(
        (name = "questions", description = "Ask and search; scope `query`"),
        (name = "documents", description = "What a tenant keeps; scopes `documents:read` and `documents:write`"),
        (name = "index", description = "Rebuilds (scope `reindex`), jobs and generations (also scopes `documents:read` and `documents:write`)"),
        (name = "operator", description = "Tenants, tokens, audit; scope `tenants:admin`"),
        (name = "operations", description = "For probes and scrapers"),
        (name = "seed", description = "The two routes of the pattern that Carrel grew from"),
    ),
    modifiers(&Everywhere),
)]
struct Document;

/// What holds for every operation: a token, and problems.
struct Everywhere;

impl Modify for Everywhere {
    fn modify(&self, openapi: &mut OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        for item in openapi.paths.paths.values_mut() {
            let methods = [&mut item.get, &mut item.post, &mut item.delete];
            methods.into_iter().flatten().for_each(refine);
        }
    }
}

fn refine(operation: &mut Operation) {
    let tagged = |tag: &str| operation.tags.iter().flatten().any(|own| own == tag);
    let health = tagged("seed") && operation.operation_id.as_deref() == Some("seed_health");
    if !tagged("operations") && !health {
        operation.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    }
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description("A problem").content("application/problem+json", problem);
    operation.responses.responses.insert("default".into(), response.build().into());
}

/// The document that `/api/v1/openapi.json` serves.
#[must_use]
pub fn openapi() -> OpenApi {
    Document::openapi()
}

/// Serves the document, made once.
pub async fn json() -> Response {
    static JSON: LazyLock<Result<String, serde_json::Error>> = LazyLock::new(|| openapi().to_json());
    match &*JSON {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text.as_str()).into_response(),
        Err(error) => ApiError::internal(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_a_contract() {
        insta::assert_json_snapshot!(openapi(), { ".info.version" => "[version]" });
    }

    #[test]
    fn every_operation_has_an_id_of_its_own() {
        let document = serde_json::to_value(openapi()).unwrap();
        let items = document["paths"].as_object().unwrap().values().filter_map(|item| item.as_object());
        let ids: Vec<_> = items.flat_map(|item| item.values()).filter_map(|op| op["operationId"].as_str()).collect();
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    }

    #[test]
    fn every_name_that_is_referred_to_is_defined() {
        let text = serde_json::to_string(&openapi()).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
