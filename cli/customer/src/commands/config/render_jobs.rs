//! How export jobs and their tasks are shown to people. Takes data, gives text.

use crate::{
    model::{Job, Task},
    output::{Style, Tone},
};
use terminal::text::Text;

const NO_JOBS: &str = "\
0 export jobs

The first comes with the next export: audit-export config get ID tells when, audit-export config run ID begins one now.";

pub fn jobs(jobs: &[Job], style: &Style) -> String {
    if jobs.is_empty() {
        return NO_JOBS.to_owned();
    }
    let rows: Vec<_> = jobs
        .iter()
        .map(|job| {
            vec![
                (Tone::Plain, job.id.to_string()),
                (Tone::Plain, style.short_time(&job.start_timestamp)),
                (Tone::Plain, optional_time(job.end_timestamp.as_ref(), style)),
                (status_tone(&job.status), job.status.to_string()),
                (Tone::Plain, job.attempts.to_string()),
                (Tone::Plain, job.objects.to_string()),
                (Tone::Plain, job.events.to_string()),
                (Tone::Plain, bytes(job.bytes)),
            ]
        })
        .collect();
    let table =
        style.table(&["ID", "RECEIVED FROM", "UNTIL", "STATUS", "ATTEMPTS", "OBJECTS", "EVENTS", "STORED"], &rows);
    let mut sections = vec![table];
    for job in jobs {
        if let Some(reason) = &job.failure_reason {
            sections.push(style.paint(Tone::Bad, &format!("{}: {reason}", job.id)));
        }
        for gap in &job.gaps {
            let start = style.time(&gap.start_timestamp);
            let text = match &gap.block_id {
                Some(block) => {
                    format!("{}: block {block}, received at {start}, was not exported ({})", job.id, gap.reason)
                }
                None => format!(
                    "{}: what was received from {start} to {} could not be exported ({})",
                    job.id,
                    style.time(&gap.end_timestamp),
                    gap.reason
                ),
            };
            sections.push(style.paint(Tone::Bad, &text));
        }
    }
    sections.join("\n\n")
}

pub fn tasks(tasks: &[Task], style: &Style) -> String {
    if tasks.is_empty() {
        return "0 tasks: nothing was received within the job's window, so it wrote no file but its digest".to_owned();
    }
    let rows: Vec<_> = tasks
        .iter()
        .map(|task| {
            vec![
                (Tone::Plain, task.id.rsplit_once('.').map_or(&*task.id, |(_, number)| number).to_owned()),
                (status_tone(&task.status), task.status.to_string()),
                (Tone::Plain, task.attempts.to_string()),
                (Tone::Plain, task.offset.to_string()),
                (Tone::Plain, task.limit.to_string()),
                (Tone::Plain, bytes(task.bytes)),
                (Tone::Plain, task.object_key.to_string()),
            ]
        })
        .collect();
    let mut sections =
        vec![style.table(&["TASK", "STATUS", "ATTEMPTS", "OFFSET", "EVENTS", "STORED", "OBJECT"], &rows)];
    for task in tasks {
        if let Some(reason) = &task.failure_reason {
            sections.push(style.paint(Tone::Bad, &format!("{}: {reason}", task.id)));
        }
    }
    sections.join("\n\n")
}

fn optional_time(time: Option<&Text>, style: &Style) -> String {
    time.map_or_else(|| "-".to_owned(), |time| style.short_time(time))
}

fn status_tone(status: &str) -> Tone {
    match status {
        "SUCCEEDED" => Tone::Good,
        "FAILED" => Tone::Bad,
        _ => Tone::Warning,
    }
}

/// With one decimal and a unit of powers of 1,000, as S3's console and `ls --si` write them.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1_000 {
        return format!("{count} B");
    }
    // In tenths of a unit: no floating point rounds here.
    let mut tenths = count / 100;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while tenths >= 10_000 {
        let Some(next) = units.next() else { break };
        tenths /= 1_000;
        unit = Some(next);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, unit.copied().unwrap_or_default())
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
                "attempts": 1, "status": "RUNNING", "failureReason": null, "objects": 0, "events": 0, "bytes": 0,
                "gaps": [],
            },
            {
                "id": format!("{ID}.2"), "startTimestamp": "2026-11-21T00:00:00.000Z",
                "endTimestamp": "2026-11-22T00:00:00.000Z", "attempts": 3, "status": "FAILED",
                "failureReason": "WRITE_DENIED: Allow s3:PutObject.", "objects": 1, "events": 20_000,
                "bytes": 1_234_567,
                "gaps": [{
                    "startTimestamp": "2026-11-21T09:59:00.500Z", "endTimestamp": "2026-11-21T09:59:00.501Z",
                    "reason": "BLOCK_CORRUPT", "blockId": "01M8072Y6M0000000000000007",
                }],
            },
            {
                "id": format!("{ID}.1"), "startTimestamp": "2026-11-20T09:59:00.000Z",
                "endTimestamp": "2026-11-21T00:00:00.000Z", "attempts": 1, "status": "SUCCEEDED",
                "failureReason": null, "objects": 2, "events": 200_000, "bytes": 45_600_000_000_u64,
                "gaps": [{
                    "startTimestamp": "2026-11-20T09:59:00.000Z", "endTimestamp": "2026-11-20T11:00:00.000Z",
                    "reason": "RETENTION_ENDED",
                }],
            },
        ]))
        .unwrap();
        insta::assert_snapshot!(jobs(&list, &style()));
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
