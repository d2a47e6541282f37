//! How export jobs and their tasks are shown to people. Takes data, gives text.

use crate::{
    model::{Job, Task},
    output::{Style, Tone},
    text::Text,
};

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
        if let Some(gap) = &job.gap {
            let text = format!(
                "{}: what was received from {} to {} could not be exported ({})",
                job.id,
                style.time(&gap.from),
                style.time(&gap.to),
                gap.reason
            );
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
