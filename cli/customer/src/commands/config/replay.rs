//! `config replay`: exports a past period again; `config replay-cancel`: stops that.

use std::time::Duration;

use clap::Args;
use domain::replay::ReplayId;
use serde_json::json;
use terminal::text::shell_word;

use super::{
    located::endpoint_of,
    poll::{Polled, Polling, parse_timeout},
    render_replays,
    run::count,
    target::Target,
};
use crate::{
    api::{Answer, operations},
    failure::Failure,
    model::Replay,
    output::OutputFormat,
    service::Service,
};

/// The code of a replay that took too long: nothing is wrong with its connection.
const TIMED_OUT: &str = "REPLAY_TIMED_OUT";

/// Export a past period again, under a path of its own
///
/// For another reader, or after files were lost. The files have a folder and a chain of digests of their own, which `verify`
/// checks like any export; the export itself continues undisturbed. First allow the path: `config policies --replay-path`. A
/// replay that failed or was cancelled continues with the same command, within 7 days.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config policies 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --replay-path replays/siem
  audit-export config replay 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z \\
    --bucket-path replays/siem --wait
  audit-export config replays 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")]
pub struct ReplayArguments {
    #[command(flatten)]
    target: Target,

    /// Export events received from this time on: a boundary of the export's interval, as in RFC 3339
    #[arg(long, value_name = "TIME")]
    from: String,

    /// Export events received before this time: a boundary of the interval, at most what is exported
    #[arg(long, value_name = "TIME")]
    to: String,

    /// The path in the export's bucket, apart from that of the export and its other replays
    #[arg(long, value_name = "PATH")]
    bucket_path: String,

    /// Wait until the replay has ended
    ///
    /// The exit code is 7 if the bucket can't be written to, and 12 if the replay was cancelled or has not ended in time.
    #[arg(long)]
    wait: bool,

    /// The longest time to wait: 90s, 15m, 2h; 24h at most. The replay continues after it
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = parse_timeout, requires = "wait")]
    timeout: Duration,
}

/// Cancel a replay; files in the bucket stay
///
/// The digests prove what was exported before. A replay that has ended stays as it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config replay-cancel 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    5f3c1f9e-2b7a-4c64-8a55-6a8f3a0c9d21")]
pub struct CancelArguments {
    #[command(flatten)]
    target: Target,

    /// The replay's ID, as `config replays` lists it
    #[arg(value_name = "REPLAY-ID", value_parser = parse_replay_id)]
    replay: ReplayId,
}

fn parse_replay_id(text: &str) -> Result<ReplayId, &'static str> {
    ReplayId::parse(text).ok_or("a replay's ID is a UUID in lower case; see: audit-export config replays ID")
}

pub async fn run(arguments: &ReplayArguments) -> Result<(), Failure> {
    let ReplayArguments { target, from, to, bucket_path, wait, timeout } = arguments;
    let service = Service::connect(&target.service).await?;
    let variables = json!({ "id": target.id.to_string(), "from": from, "to": to, "bucketPath": bucket_path });
    let requested = service.ask(&operations::START_REPLAY, &variables).await?;
    if !wait {
        return show(&service, target, &requested).await;
    }
    let ended = wait_for_end(&service, target, &requested.parse()?, *timeout).await?;
    show(&service, target, &ended).await?;
    check(&ended.parse()?)
}

pub async fn cancel(arguments: &CancelArguments) -> Result<(), Failure> {
    let target = &arguments.target;
    let service = Service::connect(&target.service).await?;
    let variables = json!({ "exportConfigurationId": target.id.to_string(), "id": arguments.replay.to_string() });
    show(&service, target, &service.ask(&operations::CANCEL_REPLAY, &variables).await?).await
}

async fn show(service: &Service, target: &Target, answer: &Answer) -> Result<(), Failure> {
    let options = match service.output.format {
        OutputFormat::Table => verify_options(service, target, &answer.parse()?).await?,
        OutputFormat::Json => String::new(),
    };
    service.output.print(answer, |style| Ok(render_replays::replay(&answer.parse()?, &options, style)))
}

/// Returns the options of the command that verifies a complete replay: where its bucket is, and whose keys it trusts.
async fn verify_options(service: &Service, target: &Target, replay: &Replay) -> Result<String, Failure> {
    if &*replay.status != "SUCCEEDED" {
        return Ok(String::new());
    }
    let place = match endpoint_of(service, &target.id.to_string(), &replay.bucket_name).await? {
        Some(endpoint) => format!(" --region {}{}", shell_word(&endpoint.region), endpoint.server_option()),
        None => String::new(),
    };
    let keys = target.service.access.explicit_options().unwrap_or_else(|| " --public-key FILE".to_owned());
    Ok(format!("{place}{keys}"))
}

/// Polls until the replay has ended.
async fn wait_for_end(
    service: &Service,
    target: &Target,
    requested: &Replay,
    timeout: Duration,
) -> Result<Answer, Failure> {
    let polling = Polling {
        subject: "the replay",
        activity: "Exporting again",
        timeout,
        follow: format_args!("replays {}", target.id),
    };
    let variables = json!({ "exportConfigurationId": target.id.to_string(), "id": requested.id.to_string() });
    let poll = async || {
        let answer = service.poll(&operations::GET_REPLAY, &variables).await?;
        let replay: Replay = answer.parse()?;
        if has_ended(&replay) {
            return Ok(Polled::Ended(answer));
        }
        let (events, files) = (count(replay.events, "event"), count(replay.objects, "file"));
        Ok(Polled::Waiting(Some(format!("Exporting again: {} %, {events}, {files}", replay.percent))))
    };
    polling.wait(poll).await
}

fn has_ended(replay: &Replay) -> bool {
    !["PENDING", "RUNNING"].contains(&&*replay.status)
}

/// Returns the failure of a replay that ended before its period.
fn check(replay: &Replay) -> Result<(), Failure> {
    match (&*replay.status, &replay.error) {
        ("SUCCEEDED", _) => Ok(()),
        (_, Some(error)) if &*error.code == TIMED_OUT => Err(Failure::ExportFailed(error.message.to_string())),
        (_, Some(error)) => Err(Failure::ConnectionFailed(error.code.to_string())),
        (status, None) => Err(Failure::Unfinished(format!("the replay is {status}; the same command continues it"))),
    }
}

#[cfg(test)]
mod tests {
    use domain::error_code::ErrorCode;
    use serde_json::{Value, json};

    use super::{super::render_replays::tests::replay_with, *};

    #[test]
    fn the_end_of_a_replay_decides_the_exit_code() {
        let ended = |status: &str, code: Value| {
            let error = if code.is_null() { code } else { json!({"code": code, "message": "Change something."}) };
            let replay = replay_with(&json!({"status": status, "error": error}));
            assert!(has_ended(&replay));
            check(&replay).map_or_else(|failure| failure.exit_code(), |()| 0)
        };
        assert_eq!(ended("SUCCEEDED", Value::Null), 0);
        assert_eq!(ended("FAILED", json!("WRITE_DENIED")), 7);
        assert_eq!(ended("FAILED", json!(TIMED_OUT)), 1);
        assert_eq!(ended("CANCELLED", Value::Null), 12);
        assert_eq!(TIMED_OUT, ErrorCode::ReplayTimedOut.name());
        for status in ["PENDING", "RUNNING"] {
            assert!(!has_ended(&replay_with(&json!({ "status": status }))), "{status}");
        }
    }

    #[test]
    fn an_id_of_a_replay_is_a_uuid() {
        assert!(parse_replay_id("5f3c1f9e-2b7a-4c64-8a55-6a8f3a0c9d21").is_ok());
        assert!(parse_replay_id("5F3C1F9E-2B7A-4C64-8A55-6A8F3A0C9D21").is_err());
    }
}
