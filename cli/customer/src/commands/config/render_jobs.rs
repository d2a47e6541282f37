//! Texts with export jobs and their tasks.

use terminal::text::Text;

use crate::{
    model::{Gap, Job, Task},
    output::{Column, Style, Tone},
};

const NO_JOBS: &str = "\
0 export jobs

The next export creates the first one: audit-export config get ID shows its time, audit-export config run ID begins one now.";

const NO_TASKS: &str = "0 tasks: the job's window has no events to export, so it wrote only its digest";

/// The most important columns first: those that don't fit the terminal are left out.
const JOBS: &[Column<Job>] = &[
    Column { heading: "ID", cell: |job, _| (Tone::Plain, job.id.to_string()) },
    Column { heading: "STATUS", cell: |job, _| status(&job.status) },
    Column { heading: "RECEIVED FROM", cell: |job, style| (Tone::Plain, style.time(&job.start_timestamp)) },
    Column { heading: "EVENTS", cell: |job, _| (Tone::Plain, job.events.to_string()) },
    Column { heading: "UNTIL", cell: |job, style| (Tone::Plain, optional_time(job.end_timestamp.as_ref(), style)) },
    Column { heading: "STORED", cell: |job, _| (Tone::Plain, bytes(job.bytes)) },
    Column { heading: "OBJECTS", cell: |job, _| (Tone::Plain, job.objects.to_string()) },
    Column { heading: "LEFT OUT", cell: |job, _| (Tone::Plain, job.left_out.to_string()) },
    Column { heading: "ATTEMPTS", cell: |job, _| (Tone::Plain, job.attempts.to_string()) },
];

/// The columns that fit into 80 characters.
const NARROW_JOBS: usize = 3;

/// The columns before the object, whose name is below on a narrow terminal.
const TASKS: [Column<Task>; 6] = [
    Column {
        heading: "TASK",
        cell: |task, _| (Tone::Plain, task.id.rsplit('.').next().unwrap_or_default().to_owned()),
    },
    Column { heading: "STATUS", cell: |task, _| status(&task.status) },
    Column { heading: "ATTEMPTS", cell: |task, _| (Tone::Plain, task.attempts.to_string()) },
    Column { heading: "OFFSET", cell: |task, _| (Tone::Plain, task.offset.to_string()) },
    Column { heading: "EVENTS", cell: |task, _| (Tone::Plain, task.limit.to_string()) },
    Column { heading: "STORED", cell: |task, _| (Tone::Plain, bytes(task.bytes)) },
];

/// The further columns of tasks with records of OCSF.
const TASKS_OF_OCSF: [Column<Task>; 2] = [
    Column { heading: "CLASS", cell: |task, _| (Tone::Plain, or_dash(task.ocsf_class.as_ref())) },
    Column { heading: "UNKNOWN", cell: |task, _| (Tone::Plain, or_dash(task.unknown_actions)) },
];

const OBJECT: Column<Task> = Column { heading: "OBJECT", cell: |task, _| (Tone::Plain, task.object_key.to_string()) };

pub fn jobs(jobs: &[Job], style: &Style) -> String {
    if jobs.is_empty() {
        return NO_JOBS.to_owned();
    }
    let mut sections = vec![style.fitted(JOBS, NARROW_JOBS, jobs)];
    sections.extend(left_out(jobs));
    for job in jobs {
        let reasons = job.failure_reason.iter().map(ToString::to_string);
        let problems = reasons.chain(job.gaps.iter().map(|gap| describe(gap, style)));
        sections.extend(
            problems.map(|problem| style.wrapped(&style.paint(Tone::Bad, &format!("{}: {problem}", job.id)), 2)),
        );
    }
    sections.join("\n\n")
}

/// Formats the number of events of all jobs that are in no file because of a filter. `None`: there are none.
fn left_out(jobs: &[Job]) -> Option<String> {
    match jobs.iter().fold(0_u64, |sum, job| sum.saturating_add(job.left_out)) {
        0 => None,
        1 => Some("1 event was left out by the filter of the export.".to_owned()),
        several => Some(format!("{several} events were left out by the filter of the export.")),
    }
}

fn describe(gap: &Gap, style: &Style) -> String {
    let start = style.time(&gap.start_timestamp);
    if let Some(block) = &gap.block_id {
        return format!("block {block}, received at {start}, was not exported ({})", gap.reason);
    }
    let end = style.time(&gap.end_timestamp);
    format!("events received from {start} to {end} could not be exported ({})", gap.reason)
}

pub fn tasks(tasks: &[Task], style: &Style) -> String {
    if tasks.is_empty() {
        return NO_TASKS.to_owned();
    }
    let is_of_ocsf = tasks.iter().any(|task| task.ocsf_class.is_some());
    let mut columns = Vec::from(TASKS);
    columns.extend(TASKS_OF_OCSF.into_iter().filter(|_| is_of_ocsf));
    let narrow = columns.len();
    columns.push(OBJECT);
    let mut sections = vec![style.fitted_with_line(&columns, narrow, tasks)];
    sections.extend(unknown_actions(tasks));
    for task in tasks {
        let reason = task.failure_reason.as_ref();
        sections
            .extend(reason.map(|reason| style.wrapped(&style.paint(Tone::Bad, &format!("{}: {reason}", task.id)), 2)));
    }
    sections.join("\n\n")
}

/// Formats the number of events of all tasks whose action no rule of OCSF knows. `None`: there are none.
fn unknown_actions(tasks: &[Task]) -> Option<String> {
    match tasks.iter().filter_map(|task| task.unknown_actions).fold(0_u64, u64::saturating_add) {
        0 => None,
        1 => Some("1 event has an action that no rule of OCSF knows.".to_owned()),
        several => Some(format!("{several} events have an action that no rule of OCSF knows.")),
    }
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn optional_time(time: Option<&Text>, style: &Style) -> String {
    time.map_or_else(|| "-".to_owned(), |time| style.time(time))
}

fn status(status: &Text) -> (Tone, String) {
    let tone = match &**status {
        "SUCCEEDED" => Tone::Good,
        "FAILED" => Tone::Bad,
        _ => Tone::Warning,
    };
    (tone, status.to_string())
}

/// Formats a number of bytes with one decimal and a decimal unit, like S3's console and `ls --si`.
pub(super) fn bytes(count: u64) -> String {
    if count < 1_000 {
        return format!("{count} B");
    }
    // In tenths, because floating point would round.
    let mut tenths = count / 100;
    let mut units = ["kB", "MB", "GB", "TB", "PB"].into_iter();
    while tenths >= 10_000 && units.len() > 1 {
        tenths /= 1_000;
        units.next();
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::tests::style;

    const ID: &str = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";

    #[test]
    fn no_jobs_and_no_tasks() {
        insta::assert_snapshot!([jobs(&[], &style()), tasks(&[], &style())].join("\n\n"));
    }

    #[test]
    fn jobs_of_every_status() {
        let list: Vec<Job> = serde_json::from_value(json!([
            {
                "id": format!("{ID}.3"), "startTimestamp": "2026-11-22T00:00:00.000Z", "endTimestamp": null,
                "attempts": 1, "status": "RUNNING", "failureReason": null, "objects": 0, "events": 0, "leftOut": 0, "bytes": 0,
                "gaps": [],
            },
            {
                "id": format!("{ID}.2"), "startTimestamp": "2026-11-21T00:00:00.000Z",
                "endTimestamp": "2026-11-22T00:00:00.000Z", "attempts": 3, "status": "FAILED",
                "failureReason": "WRITE_DENIED: Allow s3:PutObject.", "objects": 1, "events": 20_000,
                "leftOut": 180_000, "bytes": 1_234_567,
                "gaps": [{
                    "startTimestamp": "2026-11-21T09:59:00.500Z", "endTimestamp": "2026-11-21T09:59:00.501Z",
                    "reason": "BLOCK_CORRUPT", "blockId": "01M8072Y6M0000000000000007",
                }],
            },
            {
                "id": format!("{ID}.1"), "startTimestamp": "2026-11-20T09:59:00.000Z",
                "endTimestamp": "2026-11-21T00:00:00.000Z", "attempts": 1, "status": "SUCCEEDED",
                "failureReason": null, "objects": 2, "events": 200_000, "leftOut": 0, "bytes": 45_600_000_000_u64,
                "gaps": [{
                    "startTimestamp": "2026-11-20T09:59:00.000Z", "endTimestamp": "2026-11-20T11:00:00.000Z",
                    "reason": "RETENTION_ENDED",
                }],
            },
        ]))
        .unwrap();
        insta::assert_snapshot!(jobs(&list, &style()));
        for width in [80, 120] {
            let shown = jobs(&list, &Style { width: Some(width), ..style() });
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{shown}");
            insta::assert_snapshot!(format!("jobs_of_{width}_columns"), shown);
        }
    }

    #[test]
    fn tasks_in_their_order() {
        let list: Vec<Task> = serde_json::from_value(json!([
            {
                "id": format!("{ID}.1.1"), "attempts": 1, "offset": 0, "limit": 150_000, "status": "SUCCEEDED",
                "failureReason": null, "bytes": 999, "objectKey": format!("logs/{ID}/date=2026-11-20/a.ndjson.gz"),
            },
            {
                "id": format!("{ID}.1.2"), "attempts": 2, "offset": 150_000, "limit": 50_000, "status": "FAILED",
                "failureReason": "WRITE_DENIED: Allow s3:PutObject.", "bytes": 1_000,
                "objectKey": format!("logs/{ID}/date=2026-11-21/b.ndjson.gz"),
            },
        ]))
        .unwrap();
        insta::assert_snapshot!(tasks(&list, &style()));
        for width in [80, 120] {
            let shown = tasks(&list, &Style { width: Some(width), ..style() });
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{shown}");
            insta::assert_snapshot!(format!("tasks_of_{width}_columns"), shown);
        }
    }

    #[test]
    fn tasks_of_ocsf_have_a_class_and_unknown_actions() {
        let task = |number: u64, class: &str, unknown: u64| {
            json!({
                "id": format!("{ID}.1.{number}"), "attempts": 1, "offset": 150_000, "limit": 150_000,
                "status": "SUCCEEDED", "failureReason": null, "bytes": 999_000,
                "objectKey": "ext/audit/region=eu-west-1/a.parquet", "ocsfClass": class, "unknownActions": unknown,
            })
        };
        let known: Vec<Task> = serde_json::from_value(json!([task(1, "ENTITY_MANAGEMENT", 0)])).unwrap();
        assert!(!tasks(&known, &style()).contains("that no rule"));
        let list = json!([task(1, "ENTITY_MANAGEMENT", 0), task(2, "API_ACTIVITY", 150_000)]);
        let list: Vec<Task> = serde_json::from_value(list).unwrap();
        let shown = tasks(&list, &Style { width: Some(80), ..style() });
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        insta::assert_snapshot!("tasks_of_ocsf", shown);
    }

    #[test]
    fn bytes_have_a_unit() {
        let shown = [0, 999, 1_000, 1_049, 999_999, 1_000_000, 12_345_678_901, u64::MAX].map(bytes);
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.0 kB", "1.0 kB", "999.9 kB", "1.0 MB", "12.3 GB", "18446.7 PB"].map(str::to_owned)
        );
    }
}
