//! `config repair`: puts missing files of past exports into the bucket again.

use std::time::Duration;

use clap::Args;
use domain::time::Timestamp;
use serde_json::json;

use super::{
    poll::{Polled, Polling, parse_timeout},
    target::Target,
};
use crate::{
    api::{Answer, operations},
    failure::Failure,
    model::{Repair, UnrepairedFile},
    output::{Style, Tone},
    service::Service,
};

/// Put missing files of past exports into the bucket again
///
/// Repairs every export job that overlaps the given times of receipt: its files, its digest and the digest's signature, byte
/// for byte as they were delivered and signed. Files that are in the bucket are left as they are. Events past their retention,
/// and files in a bucket or path that the export used before, can't be repaired; they are named with the reason.
/// `audit-export verify --repair` prints the command for what it finds. Without `--from` and `--to`, shows the last repair.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config repair 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --from 2026-11-20T00:00:00Z --to 2026-11-22T00:00:00Z --wait
  audit-export config repair 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config repair 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --output json | jq '.unrepairedFiles[].objectKey'")]
pub struct RepairArguments {
    /// Repair the jobs of events received from this time (RFC 3339) on
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, requires = "to")]
    from: Option<Timestamp>,

    /// Repair the jobs of events received before this time
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, requires = "from")]
    to: Option<Timestamp>,

    /// Also replace altered files: write every file of these times again, over what is in the bucket
    ///
    /// Without it, no file in the bucket is ever replaced. A bucket policy that requires `s3:if-none-match` denies these writes
    /// (exit code 7).
    #[arg(long, requires = "from")]
    overwrite: bool,

    /// Wait until the repair has ended
    ///
    /// The exit code is 0 if every file is in the bucket, 15 if some can't be repaired, 7 if the bucket can't be written to, and
    /// 12 if the repair has not ended in time.
    #[arg(long, requires = "from")]
    wait: bool,

    /// The longest time to wait: 90s, 15m, 2h; 24h at most. The repair continues after it
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = parse_timeout, requires = "wait")]
    timeout: Duration,

    #[command(flatten)]
    target: Target,
}

pub async fn run(arguments: &RepairArguments) -> Result<(), Failure> {
    let target = &arguments.target;
    let Some((from, to)) = arguments.from.zip(arguments.to) else {
        return target.show(&operations::LAST_REPAIR, record).await;
    };
    let service = Service::connect(&target.service).await?;
    let variables = json!({
        "id": target.id.to_string(), "from": from.to_string(), "to": to.to_string(), "overwrite": arguments.overwrite,
    });
    let mut answer = service.ask(&operations::REQUEST_REPAIR, &variables).await?;
    let mut repair: Repair = answer.parse()?;
    if arguments.wait {
        (answer, repair) = wait(&service, arguments, &repair).await?;
    }
    service.output.print(&answer, |style| Ok(record(&repair, style)))?;
    if arguments.wait { check(&repair) } else { Ok(()) }
}

/// Polls until the repair has ended.
async fn wait(service: &Service, arguments: &RepairArguments, requested: &Repair) -> Result<(Answer, Repair), Failure> {
    let polling = Polling {
        subject: "the repair",
        activity: "Repairing",
        timeout: arguments.timeout,
        follow: format_args!("repair {}", arguments.target.id),
    };
    let variables = arguments.target.variables();
    let poll = async || {
        let answer = service.poll(&operations::LAST_REPAIR, &variables).await?;
        let repair: Repair = answer.parse()?;
        if repair.id != requested.id {
            return Err(Failure::Unfinished("another repair has replaced this one".to_owned()));
        }
        if has_ended(&repair) {
            return Ok(Polled::Ended((answer, repair)));
        }
        Ok(Polled::Waiting(Some(format!("Repairing: {} files checked", repair.checked))))
    };
    polling.wait(poll).await
}

fn has_ended(repair: &Repair) -> bool {
    !matches!(&*repair.status, "PENDING" | "RUNNING")
}

/// Fails unless every file of the range is in the bucket.
fn check(repair: &Repair) -> Result<(), Failure> {
    match (&*repair.status, &repair.error) {
        ("SUCCEEDED", _) => Ok(()),
        ("INCOMPLETE", _) => Err(Failure::RepairIncomplete(files(repair.unrepaired))),
        (_, Some(error)) => Err(Failure::RepairFailed(error.code.to_string())),
        (status, None) => Err(Failure::RepairFailed(status.to_owned())),
    }
}

fn record(repair: &Repair, style: &Style) -> String {
    let tone = match &*repair.status {
        "SUCCEEDED" => Tone::Good,
        "INCOMPLETE" | "FAILED" | "ABANDONED" => Tone::Bad,
        _ => Tone::Warning,
    };
    let fields = style.fields(&[
        ("repair", Some(repair.id.to_string())),
        ("export", Some(repair.export_configuration_id.to_string())),
        ("status", Some(style.paint(tone, &repair.status))),
        ("received from", Some(style.time(&repair.from))),
        ("received before", Some(style.time(&repair.to))),
        ("existing files", Some(if repair.overwrite { "replaced" } else { "left as they are" }.to_owned())),
        ("requested by", Some(repair.requested_by.to_string())),
        ("requested at", Some(style.time(&repair.requested_at))),
        ("last progress", Some(style.time(&repair.updated_at))),
        ("checked", Some(files(repair.checked))),
        ("written", Some(files(repair.repaired))),
        ("were there", Some(files(repair.present))),
        ("not repairable", Some(files(repair.unrepaired))),
    ]);
    let mut sections = vec![fields];
    if let Some(error) = &repair.error {
        sections.push(style.paint(Tone::Bad, &format!("{}: {}", error.code, error.message)));
    }
    if !repair.unrepaired_files.is_empty() {
        let lines: Vec<String> = repair.unrepaired_files.iter().map(describe).collect();
        sections.push(style.paint(Tone::Bad, &lines.join("\n")));
    }
    sections.join("\n\n")
}

fn describe(file: &UnrepairedFile) -> String {
    let UnrepairedFile { export_job_id, reason, bucket_name, object_key } = file;
    match bucket_name.as_ref().zip(object_key.as_ref()) {
        Some((bucket, key)) => format!("{reason}: s3://{bucket}/{key}"),
        None => format!("{reason}: job {export_job_id}, and those of the range before it"),
    }
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{model::tests::changed, output::tests::style};

    fn repair(changes: &Value) -> Repair {
        changed(
            json!({
                "id": "5d2f2f56-35e8-4f43-8f7d-6a3e0d1f2b11",
                "exportConfigurationId": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b", "status": "SUCCEEDED",
                "from": "2026-11-20T00:00:00.000Z", "to": "2026-11-22T00:00:00.000Z", "overwrite": false,
                "requestedBy": "zoe@example.com", "requestedAt": "2026-11-22T09:00:00.000Z",
                "updatedAt": "2026-11-22T09:00:12.000Z", "error": null, "checked": 9, "repaired": 2, "present": 7,
                "unrepaired": 0, "unrepairedFiles": [],
            }),
            changes,
        )
    }

    fn incomplete() -> Repair {
        repair(&json!({
            "status": "INCOMPLETE", "present": 5, "unrepaired": 2, "unrepairedFiles": [
                { "exportJobId": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.3", "reason": "HISTORY_EXPIRED", "bucketName": null,
                    "objectKey": null },
                { "exportJobId": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.7", "reason": "PAST_RETENTION",
                    "bucketName": "acme-audit", "objectKey": "logs/0b9f/date=2026-11-20/a-b.ndjson.gz" },
            ],
        }))
    }

    fn failed() -> Repair {
        repair(&json!({
            "status": "FAILED", "overwrite": true, "error": { "code": "WRITE_DENIED", "message": "Allow s3:PutObject." },
        }))
    }

    #[test]
    fn a_repair_is_a_record_with_what_is_left() {
        insta::assert_snapshot!("repair_succeeded", record(&repair(&json!({})), &style()));
        insta::assert_snapshot!("repair_incomplete", record(&incomplete(), &style()));
        insta::assert_snapshot!("repair_failed", record(&failed(), &style()));
    }

    #[test]
    fn the_exit_code_says_what_is_left() {
        check(&repair(&json!({}))).unwrap();
        for (repair, code, text) in [
            (incomplete(), 15, "2 files can't be repaired: see above"),
            (failed(), 7, "the repair failed: WRITE_DENIED"),
        ] {
            let failure = check(&repair).unwrap_err();
            assert_eq!((failure.exit_code(), &*failure.to_string()), (code, text));
        }
    }
}
