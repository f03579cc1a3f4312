//! Settings from the environment: `CARREL_HTTP__BIND` is `http.bind`.

use figment::error::Kind;
use figment::providers::{Env, Serialized};
use figment::{Figment, Provider};

use super::Config;
use super::document::nearest;
use super::file::ConfigError;

const PREFIX: &str = "CARREL_";

/// Variables that are no settings but are read: by the command line and by Carrel's own tests.
const OTHERS: [&str; 3] = ["CARREL_ROOT", "CARREL_TEST_LOG", "CARREL_EVERY_STEP"];

/// The settings of `file` with those of the environment over them, and what is wrong with the latter, which is left out.
/// Settings that are wrong in the file itself, `told`, are not told again.
pub(super) fn over(file: &toml::Table, told: &[String]) -> (Config, Vec<ConfigError>) {
    let mut left_out = Vec::new();
    let mut mistakes = Vec::new();
    loop {
        let figment = Figment::from(Serialized::globals(file)).merge(variables(&left_out));
        let (key, message) = match figment.extract::<Config>() {
            Ok(config) => match config.wrongs().into_iter().find(|wrong| !told.contains(&wrong.key)) {
                None => return (config, mistakes),
                Some(wrong) => (wrong.key, wrong.message),
            },
            Err(error) => explained(&error),
        };
        let known = keys(&left_out);
        let Some(guilty) = known.into_iter().find(|known| *known == key || known.starts_with(&format!("{key}.")))
        else {
            mistakes.push(ConfigError::Environment(format!("{key}: {message}")));
            let alone = Figment::from(Serialized::globals(file)).extract().unwrap_or_default();
            return (alone, mistakes);
        };
        mistakes.push(ConfigError::Environment(format!("{} {message}", variable(&guilty))));
        left_out.push(guilty);
    }
}

/// What is said of variables that begin like Carrel's and are none of them.
#[must_use]
pub fn strangers() -> Vec<String> {
    let settings: Vec<String> = setting_keys().iter().map(|key| variable(key)).collect();
    let mut said: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with(PREFIX) && !name.contains("__") && !OTHERS.contains(&name.as_str()))
        .map(|name| stranger(&name, &settings))
        .collect();
    said.sort();
    said
}

fn stranger(name: &str, settings: &[String]) -> String {
    let same = settings.iter().find(|setting| setting.replace("__", "_") == name);
    let near = same.map(String::as_str).or_else(|| {
        let rest = name.strip_prefix(PREFIX).unwrap_or(name);
        let short = |setting: &str| strsim::jaro_winkler(rest, setting.strip_prefix(PREFIX).unwrap_or(setting));
        let near = settings.iter().max_by(|a, b| short(a).total_cmp(&short(b)));
        near.filter(|setting| short(setting) > 0.9).map(String::as_str)
    });
    match near {
        Some(near) => format!("{name} is no setting and is ignored: did you mean {near}?"),
        None => format!("{name} is no setting and is ignored"),
    }
}

/// Every setting of the server that has a default, as `section.key`.
fn setting_keys() -> Vec<String> {
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    let sections = defaults.iter().filter_map(|(section, value)| Some((section, value.as_table()?)));
    let keys = sections.flat_map(|(section, table)| table.keys().map(move |key| format!("{section}.{key}")));
    // It has no default of its own.
    keys.chain(["log.format".to_owned()]).collect()
}

fn variables(left_out: &[String]) -> impl Provider + use<> {
    let left_out = left_out.to_vec();
    Env::prefixed(PREFIX).split("__").filter(move |key| {
        let key = key.as_str();
        key.contains('.') && !left_out.iter().any(|out| key.eq_ignore_ascii_case(out))
    })
}

/// The keys that the environment sets, in small letters.
fn keys(left_out: &[String]) -> Vec<String> {
    let set = Env::prefixed(PREFIX).split("__");
    let keys = set.iter().map(|(key, _)| key.as_str().to_lowercase());
    keys.filter(|key| key.contains('.') && !left_out.contains(key)).collect()
}

/// `http.bind` as `CARREL_HTTP__BIND`.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// The key that is wrong and what is wrong with it.
fn explained(error: &figment::Error) -> (String, String) {
    let mut path = error.path.clone();
    let message = match &error.kind {
        Kind::UnknownField(name, expected) => {
            if path.last() != Some(name) {
                path.push(name.clone());
            }
            match nearest(name, expected.iter().copied()) {
                Some(near) => format!("is no setting: did you mean `{near}`?"),
                None => format!("is no setting: expected one of {}", expected.join(", ")),
            }
        }
        Kind::UnknownVariant(value, expected) => match nearest(value, expected.iter().copied()) {
            Some(near) => format!("is `{value}`: did you mean `{near}`?"),
            None => format!("is `{value}`: expected one of {}", expected.join(", ")),
        },
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => format!("must be {expected}"),
        Kind::Message(message) => message.clone(),
        other => other.to_string(),
    };
    (path.join("."), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_with_one_underscore_too_few_is_told_with_the_right_one() {
        let settings: Vec<String> = setting_keys().iter().map(|key| variable(key)).collect();
        for (name, near) in [
            ("CARREL_HTTP_BIND", "CARREL_HTTP__BIND"),
            ("CARREL_LOG_LEVEL", "CARREL_LOG__LEVEL"),
            ("CARREL_LOG_FORMAT", "CARREL_LOG__FORMAT"),
            ("CARREL_BUILDS_CONCURENT", "CARREL_BUILDS__CONCURRENT"),
            ("CARREL_HTTP_PUBLIC_ULR", "CARREL_HTTP__PUBLIC_URL"),
        ] {
            assert_eq!(stranger(name, &settings), format!("{name} is no setting and is ignored: did you mean {near}?"));
        }
        // As Kubernetes sets for a service of this name.
        assert!(stranger("CARREL_PORT_8080_TCP_ADDR", &settings).ends_with("is ignored"));
    }
}
