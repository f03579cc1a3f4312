//! Where a provider is and what opens it: its address with parameters, its headers, and every secret in them.

use std::path::Path;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::ProviderError;
use crate::config::{ProviderConfig, SecretValue};

/// Shortest secret that is looked for in what a provider says; a shorter one, such as `docs`, would take out its words.
const SHORTEST_SECRET: usize = 6;

/// How a provider is reached.
pub(super) struct Access {
    base: Url,
    /// What every call carries.
    pub headers: HeaderMap,
    /// What no log may show.
    secrets: Vec<SecretString>,
}

impl Access {
    /// Reads the files that `settings` name.
    pub fn open(root: &Path, provider: &str, settings: &ProviderConfig) -> Result<Self, ProviderError> {
        let address = || ProviderError::Address { provider: provider.to_owned() };
        let mut base = Url::parse(settings.base_url.trim_end_matches('/')).map_err(|_| address())?;
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let mut secrets = Vec::new();
        if let Some(key) = read_key(root, provider, settings)? {
            let bearer = SecretString::from(format!("Bearer {}", key.expose_secret()));
            headers.insert(AUTHORIZATION, header_value(provider, "the key", &bearer)?);
            secrets.push(key);
        }
        for (name, value) in &settings.headers {
            let what = format!("the header `{name}`");
            let value = read(root, provider, &what, value)?;
            let name = HeaderName::try_from(name.as_str()).map_err(|_| address())?;
            headers.insert(name, header_value(provider, &what, &value)?);
            secrets.push(value);
        }
        for (name, value) in &settings.query {
            let value = read(root, provider, &format!("the parameter `{name}`"), value)?;
            base.query_pairs_mut().append_pair(name, value.expose_secret());
            secrets.push(value);
        }
        secrets.retain(|secret| secret.expose_secret().len() >= SHORTEST_SECRET);
        Ok(Self { base, headers, secrets })
    }

    /// The address of `path` (`/embeddings`), parameters included.
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// What no log may show.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(ExposeSecret::expose_secret)
    }
}

fn header_value(provider: &str, what: &str, secret: &SecretString) -> Result<HeaderValue, ProviderError> {
    let unsendable = || ProviderError::Unsendable { provider: provider.to_owned(), what: what.to_owned() };
    let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| unsendable())?;
    value.set_sensitive(true);
    Ok(value)
}

fn read_key(root: &Path, provider: &str, settings: &ProviderConfig) -> Result<Option<SecretString>, ProviderError> {
    match (&settings.api_key, &settings.api_key_file) {
        (Some(_), Some(_)) => Err(ProviderError::TwoKeys { provider: provider.to_owned() }),
        (Some(key), None) => Ok(Some(key.clone())),
        (None, Some(file)) => read_file(root, provider, "the key", file).map(Some),
        (None, None) => Ok(None),
    }
}

fn read(root: &Path, provider: &str, what: &str, value: &SecretValue) -> Result<SecretString, ProviderError> {
    match value {
        SecretValue::Inline(value) => Ok(value.clone()),
        SecretValue::File(file) => read_file(root, provider, what, file),
    }
}

fn read_file(root: &Path, provider: &str, what: &str, file: &Path) -> Result<SecretString, ProviderError> {
    let unreadable = |source| ProviderError::SecretFile {
        provider: provider.to_owned(),
        what: what.to_owned(),
        file: file.display().to_string(),
        source,
    };
    let text = std::fs::read_to_string(root.join(file)).map_err(unreadable)?;
    Ok(SecretString::from(text.trim()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn settings(more: &str) -> ProviderConfig {
        toml::from_str(&format!("base_url = \"http://127.0.0.1:1/v1/\"\n{more}")).unwrap()
    }

    #[test]
    fn keys_come_from_the_file_or_the_setting_but_not_from_both() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("key"), "sk-file\n").unwrap();
        let with = |inline: Option<&str>, file: Option<&str>| {
            let settings = ProviderConfig {
                api_key: inline.map(SecretString::from),
                api_key_file: file.map(PathBuf::from),
                ..settings("")
            };
            read_key(root.path(), "p", &settings).map(|key| key.map(|key| key.expose_secret().to_owned()))
        };
        assert_eq!(with(None, Some("key")).unwrap().as_deref(), Some("sk-file"));
        assert_eq!(with(Some("sk-inline"), None).unwrap().as_deref(), Some("sk-inline"));
        assert_eq!(with(None, None).unwrap(), None);
        assert!(matches!(with(Some("a"), Some("key")), Err(ProviderError::TwoKeys { .. })));
        let missing = with(None, Some("absent")).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read the key of provider `p` from absent"), "{missing}");
    }

    #[test]
    fn a_key_that_would_break_the_header_is_refused() {
        let made = Access::open(Path::new("."), "p", &settings("api_key = \"two\\nlines\""));
        assert!(matches!(made, Err(ProviderError::Unsendable { .. })));
    }

    #[test]
    fn azures_header_and_version_stand_where_azure_looks_for_them() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("azure"), "azure-key\n").unwrap();
        let more =
            "headers = { api-key = { file = \"azure\" } }\nquery = { api-version = \"2024-06-01\", a = \"b c\" }";
        let access = Access::open(root.path(), "p", &settings(more)).unwrap();
        let url = access.url("/chat/completions");
        assert_eq!(url.as_str(), "http://127.0.0.1:1/v1/chat/completions?a=b+c&api-version=2024-06-01");
        assert_eq!(access.headers["api-key"], "azure-key");
        assert!(access.headers["api-key"].is_sensitive());
        assert!(!access.headers.contains_key(AUTHORIZATION));
        assert!(access.secrets().any(|secret| secret == "azure-key"));
        let missing = "headers = { api-key = { file = \"absent\" } }";
        let error = Access::open(root.path(), "p", &settings(missing)).err().unwrap().to_string();
        assert!(error.starts_with("cannot read the header `api-key` of provider `p` from absent"), "{error}");
    }
}
