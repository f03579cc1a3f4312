//! What the tests of this folder share, and tests of its public surface.

use super::*;
use crate::config::{Config, ModelRef};
use crate::domain::{DocumentId, Mode, Passage};
use crate::provider::Providers;

/// A hit in document `id` whose text begins at byte `start` of it.
pub(super) fn hit(id: &str, start: usize, text: &str) -> Hit {
    Hit {
        rank: 1,
        document_id: DocumentId::parse(id).unwrap(),
        chunk_id: format!("{id}#0"),
        title: format!("Title of {id}"),
        heading: String::new(),
        page: None,
        start,
        end: start + text.len(),
        text: text.to_owned(),
        score: 1.0,
        dense: None,
        bm25: None,
        rerank: None,
        passage: Passage::default(),
    }
}

pub(super) fn question(text: &str) -> Question {
    Question::parse(text, 3, Mode::Hybrid, None, 10_000).unwrap()
}

/// The law of citations: quotes stand where claims say, markers are 1..n by appearance, and each has its claim.
pub(super) fn assert_claims_hold(draft: &Draft, hits: &[Hit]) {
    for (claim, marker) in draft.claims.iter().zip(1u32..) {
        let hit = &hits[claim.hit];
        assert_eq!(claim.marker, marker);
        assert!(hit.start <= claim.start && claim.start < claim.end && claim.end <= hit.end);
        assert_eq!(hit.text[claim.start - hit.start..claim.end - hit.start], claim.quote);
    }
    let mut seen = 0;
    for rest in draft.text.split('[').skip(1) {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && rest[digits..].starts_with(']') {
            let marker: usize = rest[..digits].parse().unwrap();
            assert!((1..=seen + 1).contains(&marker), "{marker} after {seen} in {:?}", draft.text);
            seen = seen.max(marker);
        }
    }
    assert_eq!(seen, draft.claims.len(), "{:?}", draft.text);
}

#[test]
fn every_name_has_one_answerer() {
    let config: Config = toml::from_str("[providers.p]\nbase_url = \"http://127.0.0.1:1/v1\"").unwrap();
    let answerers = Answerers::new(Providers::open(&config).unwrap());
    let model = ModelRef { provider: "p".into(), model: "m".into() };
    assert_eq!(answerers.get(&None, None).name(), "extractive");
    assert_eq!(answerers.get(&None, Some(&model)).name(), "p/m");
    assert!(std::sync::Arc::ptr_eq(&answerers.get(&None, Some(&model)), &answerers.get(&None, Some(&model))));
}
