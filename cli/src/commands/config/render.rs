//! How configurations are shown to people. Takes data, gives text.

use crate::{
    model::{Backlog, Configuration, ConnectionCheck, NextStep},
    output::{Style, Tone},
    text::Text,
};

const NOTHING_CONFIGURED: &str = "\
0 export configurations

Nothing is exported yet. To begin:
  audit-export setup               asks what is needed, step by step
  audit-export config create FILE  takes it from a JSON file; audit-export config create --help shows one";

pub fn list(configurations: &[Configuration], style: &Style) -> String {
    if configurations.is_empty() {
        return NOTHING_CONFIGURED.to_owned();
    }
    let rows: Vec<_> = configurations
        .iter()
        .map(|configuration| {
            vec![
                (Tone::Plain, configuration.id.to_string()),
                (Tone::Plain, location(configuration)),
                (Tone::Plain, interval(&configuration.interval)),
                if configuration.enabled { (Tone::Plain, "yes".to_owned()) } else { (Tone::Faint, "no".to_owned()) },
                (status_tone(&configuration.connection_status), configuration.connection_status.to_string()),
                (Tone::Plain, short_time(configuration.last_export.as_ref(), "never", style)),
                (Tone::Plain, short_time(configuration.next_export_at.as_ref(), "-", style)),
            ]
        })
        .collect();
    let headings = ["ID", "DESTINATION", "EVERY", "ENABLED", "CONNECTION", "LAST EXPORT", "NEXT EXPORT"];
    let count = match configurations.len() {
        1 => "1 export configuration".to_owned(),
        count => format!("{count} export configurations"),
    };
    format!("{}\n\n{count}", style.table(&headings, &rows))
}

/// Everything about a configuration, and what to do next.
pub fn configuration(configuration: &Configuration, style: &Style) -> String {
    let mut sections = vec![fields(configuration, style)];
    if let Some(error) = &configuration.connection_error {
        sections.push(style.paint(Tone::Bad, &format!("{}: {}", error.code, error.message)));
    }
    if !configuration.next_steps.is_empty() {
        sections.push(next_steps(&configuration.next_steps, style));
    }
    sections.join("\n\n")
}

fn fields(configuration: &Configuration, style: &Style) -> String {
    let endpoint = &configuration.endpoint_configuration;
    let time = |text: &Option<Text>| text.as_ref().map(|text| style.time(text));
    let text = |text: &Option<Text>| text.as_ref().map(ToString::to_string);
    let status = match &configuration.connection_checked_at {
        Some(checked_at) => format!(" (found {})", style.time(checked_at)),
        None => String::new(),
    };
    let status_name = style.paint(status_tone(&configuration.connection_status), &configuration.connection_status);
    let changed_by = |time: &Text, person: &Text| Some(format!("{} by {person}", style.time(time)));
    style.fields(&[
        ("id", Some(configuration.id.to_string())),
        ("description", text(&configuration.description)),
        ("destination", Some(location(configuration))),
        ("region", Some(endpoint.region.to_string())),
        ("role", text(&endpoint.role_arn)),
        ("access key", text(&endpoint.access_key_id)),
        ("written as", text(&configuration.principal_arn)),
        ("KMS key", text(&endpoint.kms_key_arn)),
        ("bucket owner", text(&endpoint.expected_bucket_owner)),
        ("external ID", endpoint.role_arn.as_ref().map(|_| configuration.external_id.to_string())),
        ("every", Some(interval(&configuration.interval))),
        ("enabled", Some(if configuration.enabled { "yes" } else { "no" }.to_owned())),
        ("connection", Some(format!("{status_name}{status}"))),
        ("events from", Some(style.time(&configuration.start_from))),
        ("exported through", time(&configuration.exported_through)),
        ("last export", Some(time(&configuration.last_export).unwrap_or_else(|| "never".to_owned()))),
        (
            "failures since",
            Some(configuration.consecutive_failures).filter(|count| *count > 0).map(|count| count.to_string()),
        ),
        ("next export", time(&configuration.next_export_at)),
        ("waiting", configuration.backlog.as_ref().map(|waiting| backlog(waiting, style))),
        ("created", changed_by(&configuration.created_at, &configuration.created_by)),
        ("changed", changed_by(&configuration.updated_at, &configuration.updated_by)),
        ("version", Some(configuration.version.to_string())),
    ])
}

/// What to do next, numbered; documents indented below their step.
pub fn next_steps(steps: &[NextStep], style: &Style) -> String {
    let mut lines = vec![style.paint(Tone::Strong, "Next:")];
    for (number, step) in (1..).zip(steps) {
        lines.push(format!("{number}. {}", step.instruction));
        if let Some(document) = &step.document {
            lines.extend(document.lines().map(|line| format!("     {line}")));
        }
    }
    lines.join("\n")
}

/// Each thing that a connection test looked at, with the fix of what failed.
pub fn checks(checks: &[ConnectionCheck], style: &Style) -> String {
    let mut lines = Vec::new();
    for check in checks {
        let (tone, mark) = match &*check.status {
            "PASSED" => (Tone::Good, "✓"),
            "FAILED" => (Tone::Bad, "✗"),
            _ => (Tone::Faint, "·"),
        };
        let code = check.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        lines.push(format!("{} {}{code}", style.paint(tone, mark), check.title));
        if let Some(message) = &check.message {
            lines.push(format!("  {message}"));
        }
    }
    lines.join("\n")
}

/// "12 events, the oldest of …".
pub fn backlog(backlog: &Backlog, style: &Style) -> String {
    let at_least = if backlog.is_complete { "" } else { "at least " };
    let events = if backlog.events == 1 { "event" } else { "events" };
    let oldest = backlog
        .oldest
        .as_ref()
        .map(|oldest| format!(", the oldest received {}", style.time(oldest)))
        .unwrap_or_default();
    format!("{at_least}{} {events}{oldest}", backlog.events)
}

/// `s3://bucket/path`.
pub fn location(configuration: &Configuration) -> String {
    let endpoint = &configuration.endpoint_configuration;
    match &endpoint.bucket_path {
        Some(path) => format!("s3://{}/{path}", endpoint.bucket_name),
        None => format!("s3://{}", endpoint.bucket_name),
    }
}

/// `EVERY_24_HOURS` as "24 hours".
fn interval(name: &str) -> String {
    name.strip_prefix("EVERY_").unwrap_or(name).replace('_', " ").to_lowercase()
}

fn status_tone(status: &str) -> Tone {
    match status {
        "SUCCESS" => Tone::Good,
        "FAILED" => Tone::Bad,
        _ => Tone::Warning,
    }
}

fn short_time(time: Option<&Text>, otherwise: &str, style: &Style) -> String {
    time.map_or_else(|| otherwise.to_owned(), |time| style.short_time(time))
}
