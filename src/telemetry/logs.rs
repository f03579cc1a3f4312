//! Log lines: one a line on stderr, every value escaped and cut.

use std::fmt::{self, Write as _};
use std::io::{IsTerminal, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat};
use crate::domain::Timestamp;

/// The longest value of a field, bytes; longer ones are cut and end in `…`.
const MAX_VALUE: usize = 1024;

/// Why logs cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The level is none.
    #[error("log.level `{level}` is no level and no filter: write error, warn, info, debug or trace")]
    Level {
        /// What was written.
        level: String,
    },
}

/// What libraries say at every start and nobody can act on; a level in the settings goes before it.
const QUIETER: &str = "tract_onnx=error";

/// Sends logs to stderr: text on a terminal, JSON lines elsewhere, unless the settings say which. Later calls change nothing.
///
/// # Errors
/// When the level is no level and no filter.
pub fn init_logs(config: &LogConfig) -> Result<(), LogsError> {
    let filter = format!("{QUIETER},{}", config.level);
    let filter = EnvFilter::try_new(filter).map_err(|_| LogsError::Level { level: config.level.clone() })?;
    let terminal = std::io::stderr().is_terminal();
    let format = config.format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let lines = Lines { format, write: |line: &str| drop(std::io::stderr().lock().write_all(line.as_bytes())) };
    // Fails when logs run already, as in tests that start several servers.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(())
}

/// The layer that writes a line an event: its own fields, then those of the spans around it, innermost first.
struct Lines<W> {
    format: LogFormat,
    write: W,
}

/// Fields in the order they were recorded, values escaped and cut; numbers and booleans stay bare.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

#[derive(Clone)]
enum Value {
    Bare(String),
    Text(String),
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, old)) => *old = value,
            None => self.0.push((field.name(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON knows no NaN.
        let text = format!("{value}");
        self.set(field, if value.is_finite() { Value::Bare(text) } else { Value::Text(text) });
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::Bare(value.to_string()));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Value::Bare(value.to_string()));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Value::Bare(value.to_string()));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Clean::default();
        let _ = write!(text, "{value:?}");
        self.set(field, Value::Text(text.0));
    }
}

/// Takes text up to [`MAX_VALUE`] and escapes what could forge a line, colour a terminal or turn the reading direction.
#[derive(Default)]
struct Clean(String);

impl fmt::Write for Clean {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.0.len() >= MAX_VALUE {
                self.0.push('…');
                return Err(fmt::Error); // ends the formatting: the rest is not even made
            }
            if deceives(c) { self.0.extend(c.escape_default()) } else { self.0.push(c) }
        }
        Ok(())
    }
}

/// Control characters, line separators, and marks that reorder text (Unicode's `Bidi_Control`).
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<W> Lines<W> {
    fn line(&self, event: &Event<'_>, mut fields: Fields) -> String {
        let message = match fields.0.iter().position(|(name, _)| *name == "message") {
            Some(at) => match fields.0.remove(at).1 {
                Value::Bare(text) | Value::Text(text) => text,
            },
            None => String::new(),
        };
        let (time, level, target) = (Timestamp::now(), event.metadata().level(), event.metadata().target());
        let mut line = match self.format {
            LogFormat::Json => format!(
                r#"{{"timestamp":"{time}","level":"{}","message":{},"target":"{target}""#,
                level.as_str().to_lowercase(),
                quoted(&message)
            ),
            LogFormat::Text => format!("{time} {level:>5} {message}"),
        };
        for (name, value) in &fields.0 {
            let _ = match (self.format, value) {
                (LogFormat::Json, Value::Bare(value)) => write!(line, r#","{name}":{value}"#),
                (LogFormat::Json, Value::Text(value)) => write!(line, r#","{name}":{}"#, quoted(value)),
                (LogFormat::Text, Value::Text(value)) if value.contains([' ', '"', '=']) => {
                    write!(line, " {name}={}", quoted(value))
                }
                (LogFormat::Text, Value::Bare(value) | Value::Text(value)) => write!(line, " {name}={value}"),
            };
        }
        line.push_str(if self.format == LogFormat::Json { "}\n" } else { "\n" });
        line
    }
}

fn quoted(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            let Some(outer) = extensions.get::<Fields>() else { continue };
            for (name, value) in &outer.0 {
                if !fields.0.iter().any(|(known, _)| known == name) {
                    fields.0.push((name, value.clone()));
                }
            }
        }
        (self.write)(&self.line(event, fields));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn logged(format: LogFormat, act: impl FnOnce()) -> Vec<String> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let lines = Lines { format, write: move |line: &str| sink.lock().unwrap().push(line.to_owned()) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), act);
        seen.lock().unwrap().clone()
    }

    fn json(act: impl FnOnce()) -> serde_json::Value {
        let lines = logged(LogFormat::Json, act);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].matches('\n').count(), 1);
        serde_json::from_str(&lines[0]).unwrap()
    }

    #[test]
    fn a_line_carries_its_request_and_tenant() {
        let line = json(|| {
            let span = tracing::info_span!("request", request.id = "r1", tenant.id = tracing::field::Empty);
            let _inside = span.enter();
            span.record("tenant.id", "acme");
            tracing::warn!(duration_ms = 1.5, count = 3, "slow");
        });
        assert_eq!(line["request.id"], "r1");
        assert_eq!(line["tenant.id"], "acme");
        assert_eq!(line["level"], "warn");
        assert_eq!(line["message"], "slow");
        assert_eq!((line["duration_ms"].as_f64(), line["count"].as_u64()), (Some(1.5), Some(3)));
    }

    #[test]
    fn a_field_of_the_event_wins_over_the_spans() {
        let lines = logged(LogFormat::Json, || {
            let _outer = tracing::info_span!("outer", tenant.id = "outer").entered();
            let _inner = tracing::info_span!("inner", tenant.id = "inner").entered();
            tracing::info!(tenant.id = "event", "once");
        });
        assert_eq!(lines[0].matches("tenant.id").count(), 1);
        assert!(lines[0].contains(r#""tenant.id":"event""#));
    }

    #[test]
    fn a_hostile_value_cannot_forge_a_line_or_turn_the_text() {
        let hostile = "a\r\n{\"level\":\"error\"}\u{1b}[31m\u{202e}\u{2028}b\"";
        for format in [LogFormat::Json, LogFormat::Text] {
            let lines = logged(format, || tracing::info!(name = hostile, "took {hostile}"));
            let line = lines[0].trim_end_matches('\n');
            assert!(!line.contains(deceives), "{line:?}");
        }
        let line = json(|| tracing::info!(name = hostile, "x"));
        assert!(line["name"].as_str().unwrap().contains("\\u{202e}"));
    }

    #[test]
    fn a_huge_value_is_cut_before_it_is_made() {
        struct Endless;
        impl fmt::Debug for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("ä")?;
                }
            }
        }
        let line = json(|| tracing::info!(value = ?Endless, "x"));
        let value = line["value"].as_str().unwrap();
        assert!(value.ends_with('…') && value.len() <= MAX_VALUE + 4);
    }

    #[test]
    fn numbers_that_json_does_not_know_become_text() {
        assert_eq!(json(|| tracing::info!(score = f64::NAN, "x"))["score"], "NaN");
    }

    #[test]
    fn a_level_that_is_none_is_refused() {
        let bad = LogConfig { format: None, level: "info,,=".into() };
        assert!(init_logs(&bad).is_err());
    }
}
