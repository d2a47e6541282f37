//! Logs: one flat JSON object per line on standard output, which Lambda sends to `CloudWatch`.
//!
//! A line has `timestamp` (RFC 3339, UTC), `level`, `target`, `message`, the fields of the event and those of all spans
//! around it (`requestId`, `tenant`, …) side by side, so that one metric filter or query (`$.tenant`) finds them all.
//! If names are equal, an inner span's field hides an outer one's, and an event's field hides a span's.

use std::error::Error;
use std::fmt;
use std::io::Write;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// The most verbose level that is logged. Alarms read lines of this level; below it, AWS clients, the Lambda runtime and HTTP
/// crates log whole events, requests and credentials. A release build does not contain those log statements at all
/// (`release_max_level_info` of `tracing`).
const LEVEL: LevelFilter = LevelFilter::INFO;

/// The longest value of a field, in bytes. The rest is truncated.
pub const MAX_FIELD_LENGTH_BYTES: usize = 8 * 1024;

/// Starts logging to standard output. Only the first call in a process has an effect.
pub fn initialize() {
    // An error means that logging has been started already.
    let _ = tracing_subscriber::registry().with(layer(std::io::stdout)).try_init();
}

/// Returns the layer that writes lines to `writer`.
fn layer<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    JsonLines { writer }.with_filter(LEVEL)
}

struct JsonLines<W> {
    writer: W,
}

/// The fields of a span.
struct SpanFields(Map<String, Value>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().replace(SpanFields(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(SpanFields(recorded)) = span.extensions_mut().get_mut()
        {
            let mut fields = Fields::default();
            values.record(&mut fields);
            recorded.extend(fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Fields::default();
        for span in context.event_scope(event).into_iter().flatten().collect::<Vec<_>>().into_iter().rev() {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                line.0.extend(fields.clone());
            }
        }
        event.record(&mut line);

        // Inserted last, so that no other field can replace them.
        let mut timestamp = String::new();
        let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
        line.0.insert("timestamp".to_owned(), Value::from(timestamp));
        line.0.insert("level".to_owned(), Value::from(event.metadata().level().as_str()));
        line.0.insert("target".to_owned(), Value::from(event.metadata().target()));

        let mut text = Value::Object(line.0).to_string();
        text.push('\n');
        // One write per line. An error can't be logged, so it is ignored.
        let _ = self.writer.make_writer_for(event.metadata()).write_all(text.as_bytes());
    }
}

/// Fields as JSON.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn insert_text(&mut self, field: &Field, mut text: String) {
        if text.len() > MAX_FIELD_LENGTH_BYTES {
            text.truncate(text.floor_char_boundary(MAX_FIELD_LENGTH_BYTES));
            text.push('…');
        }
        self.insert(field, text);
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert_text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        self.insert_text(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert_text(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines_of(log: impl FnOnce()) -> Vec<Value> {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::registry().with(layer(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, log);
        let bytes = captured.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn nothing_below_info_is_logged() {
        let lines = lines_of(|| {
            tracing::error!("said");
            tracing::warn!("said");
            tracing::info!("said");
            tracing::debug!("said");
            tracing::trace!("said");
        });
        let levels: Vec<_> = lines.iter().map(|line| line["level"].as_str().unwrap()).collect();
        assert_eq!(levels, ["ERROR", "WARN", "INFO"]);
    }

    #[test]
    fn spans_below_info_leave_no_fields() {
        let lines = lines_of(|| {
            let _outer = tracing::info_span!(target: "lambda_runtime", "invoke", requestId = "r-1").entered();
            let _inner = tracing::debug_span!(target: "aws_smithy_runtime", "call", credentials = "hidden").entered();
            tracing::info!(target: "export_engine::run", "working");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["requestId"], "r-1");
        assert!(!lines[0].to_string().contains("hidden"));
    }

    #[test]
    fn a_line_is_flat_and_its_time_is_utc() {
        let lines = lines_of(|| {
            let outer = tracing::info_span!(target: "api", "request", tenant = "acme", attempt = 1, later = tracing::field::Empty);
            let _outer = outer.enter();
            let _inner = tracing::info_span!(target: "api", "step", attempt = 2, name = "inner").entered();
            outer.record("later", true);
            tracing::warn!(target: "api", count = 3_u64, ratio = 0.5, name = "event", level = "forged", timestamp = 0, "two\nlines");
        });
        assert_eq!(lines.len(), 1);
        let line = lines[0].as_object().unwrap();
        assert_eq!(line["message"], "two\nlines");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["target"], "api");
        assert_eq!((&line["tenant"], &line["attempt"], &line["later"]), (&"acme".into(), &2.into(), &true.into()));
        assert_eq!((&line["count"], &line["ratio"], &line["name"]), (&3.into(), &0.5.into(), &"event".into()));
        assert!(line.values().all(|value| !value.is_object() && !value.is_array()));
        let timestamp = line["timestamp"].as_str().unwrap();
        assert!(timestamp.ends_with('Z') && timestamp.as_bytes()[10] == b'T', "{timestamp}");
    }

    #[test]
    fn errors_include_their_causes_and_long_texts_are_cut() {
        #[derive(Debug, thiserror::Error)]
        #[error("upload failed")]
        struct Upload(#[source] std::fmt::Error);

        let lines = lines_of(|| {
            let error = Upload(std::fmt::Error);
            tracing::error!(target: "export_engine", error = &error as &dyn Error, long = "ä".repeat(MAX_FIELD_LENGTH_BYTES));
        });
        let cause = std::fmt::Error.to_string();
        assert_eq!(lines[0]["error"], format!("upload failed: {cause}"));
        let long = lines[0]["long"].as_str().unwrap();
        assert!(long.len() <= MAX_FIELD_LENGTH_BYTES + '…'.len_utf8() && long.ends_with('…'));
    }
}
