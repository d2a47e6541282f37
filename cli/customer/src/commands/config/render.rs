//! Texts with export configurations.

use terminal::{short_duration, text::Text};

use crate::{
    model::{Backlog, Configuration, Filter, FilterLists, NextStep, Ocsf, OcsfRule, Status},
    output::{Column, Style, Tone},
};

const NOTHING_CONFIGURED: &str = "\
0 export configurations

To create one:
  audit-export setup               step by step
  audit-export config create FILE  from a JSON file; audit-export config create --help shows an example";

/// The most important columns first: those that don't fit the terminal are left out.
const COLUMNS: &[Column<Configuration>] = &[
    Column { heading: "ID", cell: |configuration, _| (Tone::Plain, configuration.id.to_string()) },
    Column {
        heading: "HEALTH",
        cell: |Configuration { status, .. }, _| (health_tone(&status.health), status.health.to_string()),
    },
    Column { heading: "LAG", cell: |configuration, _| (Tone::Plain, lag(&configuration.status, "-")) },
    Column {
        heading: "NEXT EXPORT",
        cell: |configuration, style| (Tone::Plain, optional_time(configuration.next_export_at.as_ref(), "-", style)),
    },
    Column { heading: "DESTINATION", cell: |configuration, _| (Tone::Plain, location(configuration)) },
    Column { heading: "INTERVAL", cell: |configuration, _| (Tone::Plain, interval(&configuration.interval)) },
    Column {
        heading: "CONNECTION",
        cell: |configuration, _| {
            (status_tone(&configuration.connection_status), configuration.connection_status.to_string())
        },
    },
    Column {
        heading: "LAST EXPORT",
        cell: |configuration, style| (Tone::Plain, optional_time(configuration.last_export.as_ref(), "never", style)),
    },
    Column { heading: "FORMAT", cell: |configuration, _| (Tone::Plain, configuration.format.to_string()) },
    Column {
        heading: "FILTER",
        cell: |configuration, _| (Tone::Plain, configuration.filter.as_ref().map_or("no", |_| "yes").to_owned()),
    },
];

/// The columns before the destination. They fit into 80 characters, with times in UTC; the destination is below then.
const NARROW_COLUMNS: usize = 4;

pub fn list(configurations: &[Configuration], style: &Style) -> String {
    if configurations.is_empty() {
        return NOTHING_CONFIGURED.to_owned();
    }
    let count = match configurations.len() {
        1 => "1 export configuration".to_owned(),
        count => format!("{count} export configurations"),
    };
    format!("{}\n\n{count}", style.fitted_with_line(COLUMNS, NARROW_COLUMNS, configurations))
}

/// Formats a configuration with all fields and the next steps.
pub fn configuration(configuration: &Configuration, style: &Style) -> String {
    let mut sections = vec![fields(configuration, style)];
    if let Some(error) = &configuration.connection_error {
        sections.push(style.wrapped(&style.paint(Tone::Bad, &format!("{}: {}", error.code, error.message)), 0));
    }
    if !configuration.next_steps.is_empty() {
        sections.push(next_steps(configuration, style));
    }
    sections.join("\n\n")
}

pub fn created(configuration: &Configuration, style: &Style) -> String {
    headed(&format!("Created export configuration {}", configuration.id), configuration, style)
}

pub fn updated(configuration: &Configuration, style: &Style) -> String {
    let heading = format!("Export configuration {} has version {}", configuration.id, configuration.version);
    headed(&heading, configuration, style)
}

fn headed(heading: &str, configuration: &Configuration, style: &Style) -> String {
    let mut sections = vec![style.paint(Tone::Strong, heading), self::configuration(configuration, style)];
    sections.extend(first_export(configuration, style));
    sections.join("\n\n")
}

pub fn enabled(configuration: &Configuration, style: &Style) -> String {
    let mut lines = vec![format!("Export configuration {} is enabled.", configuration.id)];
    if let Some(time) = &configuration.next_export_at {
        lines.push(format!("The next export begins {}.", style.time(time)));
    }
    lines.join("\n")
}

pub fn disabled(configuration: &Configuration, style: &Style) -> String {
    let mut lines = vec![
        format!("Export configuration {} is disabled.", configuration.id),
        "Events are kept until their retention ends. Enabling it exports those that are still there.".to_owned(),
    ];
    lines.extend(
        configuration.backlog.as_ref().map(|waiting| format!("Not exported yet: {}.", backlog(waiting, style))),
    );
    lines.join("\n")
}

pub fn running(configuration: &Configuration) -> String {
    format!(
        "An export to {} begins now. To follow its progress:\n  audit-export config jobs {}",
        location(configuration),
        configuration.id
    )
}

/// Formats the consequences of deleting, for the confirmation.
pub fn before_delete(configuration: &Configuration, style: &Style) -> String {
    format!(
        "This deletes the export configuration {} to {} permanently.\n{}\nFiles in the bucket stay there.",
        configuration.id,
        location(configuration),
        unexported(configuration, style)
    )
}

pub fn deleted(configuration: &Configuration, style: &Style) -> String {
    format!(
        "Deleted export configuration {} to {}.\n{}\nFiles in the bucket stay there. You can delete its role or access key.",
        configuration.id,
        location(configuration),
        unexported(configuration, style)
    )
}

fn unexported(configuration: &Configuration, style: &Style) -> String {
    match &configuration.backlog {
        Some(waiting) if waiting.events > 0 || !waiting.is_complete => {
            format!("Not exported, and never will be: {}.", backlog(waiting, style))
        }
        // The service returns a count again for 10 seconds.
        Some(_) => "All events received more than 10 seconds ago are exported.".to_owned(),
        None => "The number of events not yet exported is not known.".to_owned(),
    }
}

pub fn first_export(configuration: &Configuration, style: &Style) -> Option<String> {
    let time = configuration.next_export_at.as_ref().filter(|_| configuration.last_export.is_none())?;
    Some(format!("The first export begins {}.", style.time(time)))
}

fn fields(configuration: &Configuration, style: &Style) -> String {
    let endpoint = &configuration.endpoint_configuration;
    let time = |text: &Option<Text>| text.as_ref().map(|text| style.time(text));
    let text = |text: &Option<Text>| text.as_ref().map(ToString::to_string);
    let status = match &configuration.connection_checked_at {
        Some(checked_at) => format!(", tested {}", style.time(checked_at)),
        None => String::new(),
    };
    let status_name = style.paint(status_tone(&configuration.connection_status), &configuration.connection_status);
    let changed_by = |time: &Text, person: &Text| Some(format!("{} by {person}", style.time(time)));
    let destination = [
        ("id", Some(configuration.id.to_string())),
        ("description", text(&configuration.description)),
        ("destination", Some(location(configuration))),
        ("region", Some(endpoint.region.to_string())),
        ("endpoint", text(&endpoint.endpoint_url)),
        ("role", text(&endpoint.role_arn)),
        ("access key", text(&endpoint.access_key_id)),
        (
            "writes as",
            text(&configuration.principal_arn)
                .filter(|principal| Some(principal.as_str()) != endpoint.role_arn.as_deref()),
        ),
        ("KMS key", text(&endpoint.kms_key_arn)),
        ("bucket owner", text(&endpoint.expected_bucket_owner)),
        ("external ID", endpoint.role_arn.as_ref().map(|_| configuration.external_id.to_string())),
        ("interval", Some(interval(&configuration.interval))),
        ("format", Some(configuration.format.to_string())),
    ];
    let state = [
        ("enabled", Some(if configuration.enabled { "yes" } else { "no" }.to_owned())),
        ("health", Some(style.paint(health_tone(&configuration.status.health), &configuration.status.health))),
        ("connection", Some(format!("{status_name}{status}"))),
        ("events from", Some(style.time(&configuration.start_from))),
        ("exported through", time(&configuration.exported_through)),
        ("last export", Some(time(&configuration.last_export).unwrap_or_else(|| "never".to_owned()))),
        (
            "failed since then",
            Some(configuration.consecutive_failures).filter(|count| *count > 0).map(|count| count.to_string()),
        ),
        ("next export", time(&configuration.next_export_at)),
        ("not exported yet", configuration.backlog.as_ref().map(|waiting| backlog(waiting, style))),
        ("created", changed_by(&configuration.created_at, &configuration.created_by)),
        ("changed", changed_by(&configuration.updated_at, &configuration.updated_by)),
        ("version", Some(configuration.version.to_string())),
    ];
    let contents = contents(configuration.filter.as_ref(), configuration.ocsf.as_ref());
    style.fields(&[&destination[..], &contents, &state].concat())
}

/// Returns the fields that decide about the events of files, and about their records of OCSF.
pub fn contents(filter: Option<&Filter>, ocsf: Option<&Ocsf>) -> [(&'static str, Option<String>); 8] {
    let included = |list| listed(filter.and_then(|filter| filter.include.as_ref()), list);
    let excluded = |list| listed(filter.and_then(|filter| filter.exclude.as_ref()), list);
    let classes = ocsf.map(|ocsf| ocsf.classes.iter().map(class).collect::<Vec<_>>().join(", "));
    [
        ("OCSF version", ocsf.map(|ocsf| ocsf.version.to_string())),
        ("OCSF classes", classes.filter(|classes| !classes.is_empty())),
        ("included actions", included(|lists| lists.actions.as_deref())),
        ("included actor types", included(|lists| lists.actor_types.as_deref())),
        ("included target types", included(|lists| lists.target_types.as_deref())),
        ("excluded actions", excluded(|lists| lists.actions.as_deref())),
        ("excluded actor types", excluded(|lists| lists.actor_types.as_deref())),
        ("excluded target types", excluded(|lists| lists.target_types.as_deref())),
    ]
}

/// Formats a rule like the option `--ocsf-class`, with the target type in parentheses.
fn class(OcsfRule { action, target_type, class, activity }: &OcsfRule) -> String {
    let target_type = target_type.as_ref().map(|target_type| format!(" ({target_type})")).unwrap_or_default();
    format!("{action}{target_type}={class}:{activity}")
}

/// Formats a list of one side of a filter. `None`: it is not given.
fn listed(side: Option<&FilterLists>, list: fn(&FilterLists) -> Option<&[Text]>) -> Option<String> {
    let values = list(side?)?;
    Some(values.iter().map(|value| &**value).collect::<Vec<_>>().join(", "))
}

/// Formats the numbered next steps, each with its document indented.
pub fn next_steps(configuration: &Configuration, style: &Style) -> String {
    let mut lines = vec![style.paint(Tone::Strong, "Next:")];
    for (number, step) in (1..).zip(&configuration.next_steps) {
        lines.push(style.wrapped(&format!("{number}. {}", style.times_in(&step.instruction)), 3));
        lines
            .extend(command_of(step).map(|command| format!("     audit-export config {command} {}", configuration.id)));
        if let Some(document) = &step.document {
            lines.extend(document.lines().map(|line| format!("     {line}")));
        }
    }
    lines.join("\n")
}

/// Returns the command for a step.
fn command_of(step: &NextStep) -> Option<&'static str> {
    match &*step.code {
        "TEST_CONNECTION" => Some("test"),
        "ENABLE" => Some("enable"),
        "WAIT_FOR_EXPORT" => Some("run"),
        _ => None,
    }
}

/// Formats the number of events not yet exported, and the age of the oldest.
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

/// Returns the destination as `s3://bucket/path`.
pub fn location(configuration: &Configuration) -> String {
    let endpoint = &configuration.endpoint_configuration;
    match &endpoint.bucket_path {
        Some(path) => format!("s3://{}/{path}", endpoint.bucket_name),
        None => format!("s3://{}", endpoint.bucket_name),
    }
}

/// Formats `EVERY_24_HOURS` as "24 hours".
pub fn interval(name: &str) -> String {
    name.strip_prefix("EVERY_").unwrap_or(name).replace('_', " ").to_lowercase()
}

pub fn health_tone(health: &str) -> Tone {
    match health {
        "OK" => Tone::Good,
        "DELAYED" => Tone::Warning,
        "FAILING" => Tone::Bad,
        "DISABLED" => Tone::Faint,
        _ => Tone::Plain,
    }
}

/// Formats the lag as "3h 20m". `none`: what is shown without a lag.
pub fn lag(status: &Status, none: &str) -> String {
    if status.lag_seconds == 0 { none.to_owned() } else { short_duration(status.lag_seconds) }
}

pub fn status_tone(status: &str) -> Tone {
    match status {
        "SUCCESS" => Tone::Good,
        "FAILED" => Tone::Bad,
        _ => Tone::Warning,
    }
}

fn optional_time(time: Option<&Text>, otherwise: &str, style: &Style) -> String {
    time.map_or_else(|| otherwise.to_owned(), |time| style.time(time))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{model::tests::configuration as changed, output::tests::style};

    fn status(health: &str, lag_seconds: u64) -> Value {
        json!({ "health": health, "lagSeconds": lag_seconds, "retentionUsedPercent": 0, "advice": "" })
    }

    fn new_with_role() -> Configuration {
        changed(&json!({
            "connectionStatus": "PENDING", "connectionCheckedAt": null, "lastExport": null, "exportedThrough": null,
            "status": status("NEVER_RUN", 0),
            "nextSteps": [
                { "code": "CREATE_ROLE", "instruction": "Create the role with this trust policy.", "document": "{\n  \"Version\": \"2012-10-17\"\n}" },
                { "code": "TEST_CONNECTION", "instruction": "Test the connection. Changes in IAM can take a minute to take effect.", "document": null },
            ],
        }))
    }

    fn failed_with_access_key() -> Configuration {
        changed(&json!({
            "version": 4, "type": "S3_ACCESS_KEY", "format": "PARQUET", "description": "For the auditors", "enabled": false,
            "filter": {
                "include": { "actions": ["DELETE*", "UPDATE"], "actorTypes": null, "targetTypes": ["POLICY"] },
                "exclude": { "actions": null, "actorTypes": ["SERVICE_ACTOR"], "targetTypes": null },
            },
            "status": status("DISABLED", 0),
            "connectionStatus": "FAILED",
            "connectionError": { "code": "WRITE_DENIED", "message": "Allow s3:PutObject." },
            "endpointConfiguration": {
                "bucketName": "acme-audit", "bucketPath": null, "region": "eu-west-1", "roleArn": null,
                "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
                "kmsKeyArn": "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                "expectedBucketOwner": "222222222222",
            },
            "principalArn": null, "consecutiveFailures": 3, "nextExportAt": null, "updatedBy": "joe\u{1b}[2J@example.com",
            "backlog": { "events": 100_000, "oldest": "2026-11-22T00:00:01.000Z", "isComplete": false },
        }))
    }

    #[test]
    fn nothing_is_configured() {
        insta::assert_snapshot!(list(&[], &style()));
    }

    #[test]
    fn a_list_fits_the_terminal() {
        let mut delayed = changed(&json!({ "status": status("DELAYED", 86_400 * 99 + 7_200) }));
        // The local time of the next export is on another day than its time in UTC.
        delayed.next_export_at = serde_json::from_value(json!("2026-11-22T23:20:00.000Z")).unwrap();
        let all = [changed(&json!({})), new_with_role(), failed_with_access_key(), delayed];
        insta::assert_snapshot!("list", list(&all, &style()));
        for width in [80, 120, 160] {
            let shown = list(&all, &Style { width: Some(width), ..style() });
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{shown}");
            insta::assert_snapshot!(format!("list_of_{width}_columns"), shown);
        }
    }

    #[test]
    fn one_that_works() {
        insta::assert_snapshot!(configuration(&changed(&json!({})), &style()));
    }

    #[test]
    fn one_with_choices_of_ocsf() {
        let rule = |action: &str, target_type: Option<&str>, class: &str, activity: &str| json!({ "action": action, "targetType": target_type, "class": class, "activity": activity });
        let rules = [
            rule("PUBLISH", None, "ENTITY_MANAGEMENT", "Update"),
            rule("SHARE", Some("DATA_SOURCE"), "API_ACTIVITY", "Other"),
        ];
        let with = |classes: &[Value]| {
            let ocsf = json!({ "version": "1.8.0", "classes": classes });
            configuration(&changed(&json!({ "format": "OCSF_PARQUET", "ocsf": ocsf })), &style())
        };
        insta::assert_snapshot!(with(&rules));
        assert!(!with(&[]).contains("OCSF classes"));
    }

    #[test]
    fn one_that_fails() {
        insta::assert_snapshot!(configuration(&failed_with_access_key(), &style()));
        for width in [80, 120] {
            let shown = configuration(&failed_with_access_key(), &Style { width: Some(width), ..style() });
            insta::assert_snapshot!(format!("one_that_fails_of_{width}_columns"), shown);
        }
    }

    #[test]
    fn one_that_was_created() {
        insta::assert_snapshot!(created(&new_with_role(), &style()));
    }

    #[test]
    fn one_that_was_updated() {
        insta::assert_snapshot!(updated(&changed(&json!({ "version": 2, "interval": "EVERY_2_HOURS" })), &style()));
    }

    #[test]
    fn each_change_is_confirmed() {
        let (style, configuration) = (style(), changed(&json!({})));
        let all_exported = changed(&json!({ "backlog": { "events": 0, "oldest": null, "isComplete": true } }));
        let unknown = changed(&json!({ "backlog": null }));
        let shown = [
            ("enabled", enabled(&configuration, &style)),
            ("disabled", disabled(&configuration, &style)),
            ("running", running(&configuration)),
            ("before it is deleted", before_delete(&configuration, &style)),
            ("deleted", deleted(&configuration, &style)),
            ("deleted, all exported", deleted(&all_exported, &style)),
            ("deleted, at least", deleted(&failed_with_access_key(), &style)),
            ("deleted, not known", deleted(&unknown, &style)),
        ];
        insta::assert_snapshot!(shown.map(|(what, text)| format!("{what}:\n{text}")).join("\n\n"));
    }

    #[test]
    fn colors_mean_something() {
        let colored = Style { has_colors: true, ..style() };
        let shown = configuration(&failed_with_access_key(), &colored);
        assert!(shown.contains("\u{1b}[31mFAILED\u{1b}[0m"), "{shown:?}");
        // Control characters of the service are removed.
        assert!(!shown.contains("\u{1b}[2J"), "{shown:?}");
    }
}
