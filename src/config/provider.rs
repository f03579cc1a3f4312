//! One provider of models: `[providers.<name>]` of `carrel.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::ranges::{Wrong, Wrongs};
use super::{file, shown, tenant};

/// Fields of a request that Carrel alone sets: they are what a call is about.
const OWN_FIELDS: [&str; 6] = ["model", "messages", "stream", "input", "query", "documents"];
/// Headers that belong to the connection or to the body that Carrel sends.
const OWN_HEADERS: [&str; 7] =
    ["connection", "content-encoding", "content-length", "content-type", "host", "te", "transfer-encoding"];

/// An OpenAI-compatible provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Up to and including `/v1`.
    pub base_url: String,
    /// Its key; many local servers need none.
    #[serde(default, serialize_with = "shown::masked")]
    pub api_key: Option<SecretString>,
    /// File that holds the key, relative to the root.
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    /// Total deadline of one call with all its retries.
    #[serde(
        rename = "timeout_s",
        default = "tenant::twenty_seconds",
        deserialize_with = "file::seconds",
        serialize_with = "shown::seconds"
    )]
    pub timeout: Duration,
    /// Calls at once.
    #[serde(default = "eight")]
    pub max_concurrent: usize,
    /// Texts an embedding call carries at most.
    #[serde(default = "sixty_four")]
    pub batch_size: usize,
    /// Money for a million model tokens embedded, for forecasts.
    #[serde(default)]
    pub price_per_million_tokens: f64,
    /// Whether its embedders know more than English.
    #[serde(default = "yes")]
    pub multilingual: bool,
    /// Whether its chat models are asked for JSON of a schema; a provider that refuses is asked without.
    #[serde(default)]
    pub json_schema: bool,
    /// Headers that every call carries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, SecretValue>,
    /// Parameters that are appended to the address of every call, such as Azure's `api-version`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, SecretValue>,
    /// Fields of every chat request, in place of Carrel's own; an empty string leaves a field out.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// The same for embedding requests.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub embedding_parameters: Map<String, Value>,
}

/// A value that may be a secret: never printed, and better kept in a file of its own.
#[derive(Debug, Clone)]
pub enum SecretValue {
    /// The value itself.
    Inline(SecretString),
    /// `{ file = "…" }`: the file that holds it, relative to the root.
    File(PathBuf),
}

impl ProviderConfig {
    /// Every value that cannot be meant.
    pub(super) fn wrongs(&self) -> Vec<Wrong> {
        let mut found = Wrongs::default();
        self.check_address(&mut found);
        self.check_headers(&mut found);
        check_fields("parameters", &self.parameters, &mut found);
        check_fields("embedding_parameters", &self.embedding_parameters, &mut found);
        found.within("max_concurrent", self.max_concurrent, 1..=10_000);
        found.within("batch_size", self.batch_size, 1..=10_000);
        found.0
    }

    fn check_address(&self, found: &mut Wrongs) {
        if !self.base_url.starts_with("http://") && !self.base_url.starts_with("https://") {
            return found.push("base_url", "must start with http:// or https://");
        }
        match reqwest::Url::parse(&self.base_url) {
            Err(_) => found.push("base_url", "is no address: write it like `https://host/v1`"),
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                found.push("base_url", "must end before `?` and `#`: put parameters of the address into `query`");
            }
            Ok(_) => {}
        }
        if self.query.keys().any(|name| name.trim().is_empty()) {
            found.push("query", "has a parameter without a name");
        }
    }

    fn check_headers(&self, found: &mut Wrongs) {
        let has_key = self.api_key.is_some() || self.api_key_file.is_some();
        let mut seen = Vec::new();
        for (name, value) in &self.headers {
            let key = format!("headers.{name}");
            let Ok(parsed) = HeaderName::try_from(name.as_str()) else {
                found.push(&key, "is no name of a header");
                continue;
            };
            if OWN_HEADERS.contains(&parsed.as_str()) {
                found.push(&key, "is a header that Carrel sets itself");
            }
            if parsed == http::header::AUTHORIZATION && has_key {
                found.push(&key, "is what `api_key` sets: keep one of them");
            }
            if seen.contains(&parsed) {
                found.push(&key, "is set twice, since case makes no difference");
            }
            seen.push(parsed);
            if let SecretValue::Inline(value) = value
                && HeaderValue::from_str(value.expose_secret()).is_err()
            {
                found.push(&key, "holds characters that no HTTP header can carry");
            }
        }
    }
}

/// Notes fields that Carrel sets, and values that JSON has not.
fn check_fields(section: &str, fields: &Map<String, Value>, found: &mut Wrongs) {
    for (name, value) in fields {
        let key = format!("{section}.{name}");
        if OWN_FIELDS.contains(&name.as_str()) {
            found.push(&key, "is a field that Carrel sets itself");
        }
        if !is_json(value) {
            found.push(&key, "has a value that JSON does not know");
        }
    }
}

/// Whether a value of TOML came over whole: a number that is none becomes null, a date an object of the parser's own.
fn is_json(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(values) => values.iter().all(is_json),
        Value::Object(fields) => fields.iter().all(|(name, value)| !name.starts_with("$__toml") && is_json(value)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

impl Serialize for SecretValue {
    /// Masked: settings are written down to be shown.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Inline(_) => to.serialize_str(shown::MASK),
            Self::File(file) => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_entry("file", file)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = SecretValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or `{ file = \"…\" }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SecretValue, E> {
        Ok(SecretValue::Inline(SecretString::from(text)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<SecretValue, E> {
        Ok(SecretValue::Inline(SecretString::from(number.to_string())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<SecretValue, E> {
        Ok(SecretValue::Inline(SecretString::from(number.to_string())))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<SecretValue, E> {
        Ok(SecretValue::Inline(SecretString::from(value.to_string())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry::<String, PathBuf>()? {
            entries.push(entry);
        }
        match entries.as_slice() {
            [(key, path)] if key == "file" => Ok(SecretValue::File(path.clone())),
            _ => Err(A::Error::custom("expected a text, or `{ file = \"…\" }`")),
        }
    }
}

fn eight() -> usize {
    8
}

fn sixty_four() -> usize {
    64
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<ProviderConfig, String> {
        let text = format!("base_url = \"http://a/v1\"\n{more}");
        let config: ProviderConfig = toml::from_str(&text).map_err(|error| error.message().to_owned())?;
        match config.wrongs().first() {
            Some(Wrong { key, message }) => Err(format!("{key} {message}")),
            None => Ok(config),
        }
    }

    #[test]
    fn parameters_headers_and_query_are_read_as_they_stand() {
        let text = "parameters = { temperature = 0.2, max_tokens = \"\", stop = [\"a\"], nested = { deep = false } }\n\
                    headers = { api-key = { file = \"secrets/azure\" }, X-Team = \"docs\" }\n\
                    query = { api-version = \"2024-06-01\", v = 2 }\n[embedding_parameters]\ndimensions = 512\n";
        let config = read(text).unwrap();
        let expected = serde_json::json!({
            "temperature": 0.2, "max_tokens": "", "stop": ["a"], "nested": { "deep": false }
        });
        assert_eq!(Value::Object(config.parameters), expected);
        assert_eq!(config.embedding_parameters["dimensions"], 512);
        assert!(matches!(&config.headers["api-key"], SecretValue::File(path) if path.ends_with("azure")));
        assert!(matches!(&config.query["v"], SecretValue::Inline(value) if value.expose_secret() == "2"));
    }

    #[test]
    fn a_value_of_a_header_or_the_address_is_never_shown() {
        let text = "headers = { api-key = \"sk-header\", other = { file = \"secrets/x\" } }\n\
                    query = { key = \"sk-query\" }\nparameters = { top_p = 0.5 }";
        let config = read(text).unwrap();
        let written = toml::to_string(&config).unwrap();
        for shown in [format!("{config:#?}"), written.clone()] {
            assert!(shown.contains("api-key") && !shown.contains("sk-"), "{shown}");
        }
        let again: ProviderConfig = toml::from_str(&written).unwrap();
        assert!(matches!(&again.headers["other"], SecretValue::File(path) if path.ends_with("x")));
        assert_eq!(again.parameters["top_p"], 0.5);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_said() {
        for (text, says) in [
            ("parameters = { model = \"x\" }", "parameters.model is a field that Carrel sets itself"),
            ("parameters = { messages = [] }", "parameters.messages is a field"),
            ("parameters = { top_p = nan }", "parameters.top_p has a value that JSON does not know"),
            ("parameters = { since = 2024-06-01 }", "parameters.since has a value that JSON does not know"),
            ("embedding_parameters = { input = \"x\" }", "embedding_parameters.input is a field"),
            ("headers = { \"a b\" = \"x\" }", "headers.a b is no name of a header"),
            ("headers = { Content-Type = \"x\" }", "is a header that Carrel sets itself"),
            ("headers = { x = \"two\\nlines\" }", "holds characters that no HTTP header can carry"),
            ("headers = { x = \"1\", X = \"2\" }", "twice"),
            ("headers = { authorization = \"x\" }\napi_key = \"k\"", "keep one of them"),
            ("headers = { x = [1] }", "a text, or `{ file"),
            ("headers = { x = { path = \"a\" } }", "a text, or `{ file"),
            ("headers = { x = { file = \"a\", more = \"b\" } }", "a text, or `{ file"),
            ("query = { \" \" = \"x\" }", "query has a parameter without a name"),
            ("batch_size = 0", "batch_size must be from 1 to 10000"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        for (base_url, says) in [
            ("ftp://a", "must start with"),
            ("http://", "is no address"),
            ("https://a/v1?api-version=1", "put parameters of the address into `query`"),
        ] {
            let config: ProviderConfig = toml::from_str(&format!("base_url = {base_url:?}")).unwrap();
            let wrongs = config.wrongs();
            assert!(wrongs[0].key == "base_url" && wrongs[0].message.contains(says), "{base_url}");
        }
    }
}
