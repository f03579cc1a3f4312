//! A settings file that is read as far as it holds, so that one look tells every mistake in it.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use super::file::ConfigError;
use super::ranges::Wrong;

/// Mistakes of one file that are looked for; each takes a reading of the file.
const MOST: usize = 100;

/// A TOML file, the mistakes found in it, and what is left when they are taken out.
pub(super) struct Document<'t> {
    shown: &'t str,
    text: &'t str,
    tree: Spanned<DeTable<'t>>,
    mistakes: Vec<ConfigError>,
    /// Lines that are no TOML: what was read of them anyway says nothing.
    broken: Vec<usize>,
}

impl<'t> Document<'t> {
    /// Reads the TOML of `text`; `shown` names the file in messages.
    pub fn parse(shown: &'t str, text: &'t str) -> Self {
        let (tree, errors) = DeTable::parse_recoverable(text);
        let mut document = Self { shown, text, tree, mistakes: Vec::new(), broken: Vec::new() };
        for error in errors {
            let line = document.line(error.span());
            // What follows from a mistake on the same line tells nothing new.
            if !document.broken.contains(&line) {
                document.note(line, error.message().to_owned());
                document.broken.push(line);
            }
        }
        document
    }

    /// The settings as far as they hold; what does not is noted and taken out.
    pub fn read<T: DeserializeOwned + Default>(&mut self) -> T {
        for _ in 0..MOST {
            let error = match T::deserialize(Deserializer::from(self.tree.clone())) {
                Ok(settings) => return settings,
                Err(error) => error,
            };
            let line = self.line(error.span());
            if !self.broken.contains(&line) {
                self.note(line, with_hint(error.message()));
            }
            let taken = error.span().is_some_and(|span| take_out(self.tree.get_mut(), span.start));
            if !taken {
                break;
            }
        }
        T::default()
    }

    /// Notes values that parse but cannot be meant.
    pub fn refuse(&mut self, wrongs: Vec<Wrong>) {
        for Wrong { key, message } in wrongs {
            let path: Vec<&str> = key.split('.').collect();
            let line = place(self.tree.get_ref(), &path).map_or(1, |at| self.line(Some(at..at)));
            let name = path.last().copied().unwrap_or_default();
            self.note(line, format!("`{name}` {message}"));
        }
    }

    /// What could be read, and the mistakes in the order of their lines.
    pub fn end(mut self) -> (toml::Table, Vec<ConfigError>) {
        self.mistakes.sort_by_key(ConfigError::line);
        let left = serde::Deserialize::deserialize(Deserializer::from(self.tree)).unwrap_or_default();
        (left, self.mistakes)
    }

    fn note(&mut self, line: usize, message: String) {
        self.mistakes.push(ConfigError::Invalid { path: self.shown.to_owned(), line, message });
    }

    /// The line of a place in the text, from 1.
    fn line(&self, span: Option<Range<usize>>) -> usize {
        let before = span.and_then(|span| self.text.get(..span.start)).unwrap_or_default();
        before.matches('\n').count() + 1
    }
}

/// Takes the innermost entry out that holds the byte `at`; false when none does.
fn take_out(table: &mut DeTable<'_>, at: usize) -> bool {
    let below = |value: &mut Spanned<DeValue<'_>>| match value.get_mut() {
        DeValue::Table(inner) => take_out(inner, at),
        _ => false,
    };
    if table.iter_mut().any(|(_, value)| below(value)) {
        return true;
    }
    let holds = |key: &Key<'_>, value: &Spanned<DeValue<'_>>| key.span().contains(&at) || value.span().contains(&at);
    let found = table.iter().find(|(key, value)| holds(key, value)).map(|(key, _)| key.clone());
    found.is_some_and(|key| table.remove(&key).is_some())
}

type Key<'i> = Spanned<DeString<'i>>;

/// Where the entry at `path` begins, or the innermost table on the way to it.
fn place(table: &DeTable<'_>, path: &[&str]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    let deeper = match value.get_ref() {
        DeValue::Table(inner) => place(inner, rest),
        _ => None,
    };
    deeper.or(Some(key.span().start))
}

/// Adds "did you mean" to serde's "unknown field `x`, expected one of `a`, `b`", and to its like for values.
fn with_hint(message: &str) -> String {
    let field = message.strip_prefix("unknown field `").map(|rest| ("key", rest));
    let Some((what, rest)) = field.or_else(|| message.strip_prefix("unknown variant `").map(|rest| ("value", rest)))
    else {
        return message.to_owned();
    };
    let mut quoted = rest.split('`');
    let unknown = quoted.next().unwrap_or_default();
    match nearest(unknown, quoted.skip(1).step_by(2)) {
        Some(near) => format!("unknown {what} `{unknown}`: did you mean `{near}`?"),
        None => message.replacen("field", "key", 1).replacen("variant", "value", 1),
    }
}

/// The name that was probably meant, if one is near enough.
pub fn nearest<'n>(unknown: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let near = names.map(|name| (strsim::jaro_winkler(unknown, name), name));
    near.filter(|(near, _)| *near > 0.7).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}
