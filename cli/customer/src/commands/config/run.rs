//! `config run`: exports now, and with `--wait` shows the result.

mod sample;

use std::time::Duration;

use clap::Args;
use domain::{configuration::ConfigurationId, time::Timestamp};
use serde_json::json;
use terminal::text::Text;

use super::{
    poll::{Polled, Polling, parse_timeout},
    render,
    target::Target,
    test,
};
use crate::{
    api::{Answer, operations},
    failure::Failure,
    model::{Configuration, Job, Task},
    output::{self, Output, OutputFormat, Style, Tone},
    service::{Service, ServiceArguments},
};

/// What `--output json` prints if there was nothing to export.
const NO_JOB: &str = "null";

/// Export the received events now, without waiting for the schedule
///
/// Events of the last minutes (20 by default) stay for the next export, because earlier events may still arrive. With
/// `--wait`, shows the first exported file and three of its events, read with your own AWS credentials; of a file in
/// Parquet, the command that shows them. `--wait --output json` gives the export job as `config jobs` does, with its objects,
/// events and bytes; it is null if there was nothing to export.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config run 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config run 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --wait \\
    --timeout 30m
  audit-export config run 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --wait \\
    --output json | jq .events
  audit-export config jobs 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")]
pub struct RunArguments {
    /// Wait until this export has ended, and show the result
    ///
    /// Scheduled exports and those of other people end the waiting only if they export the same events. The exit code is 7
    /// if the bucket can't be written to, and 12 if the export has not ended in time.
    #[arg(long)]
    wait: bool,

    /// The longest time to wait: 90s, 15m, 2h; 24h at most. The export continues after it
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = parse_timeout, requires = "wait")]
    timeout: Duration,

    #[command(flatten)]
    target: Target,
}

pub async fn run(arguments: &RunArguments) -> Result<(), Failure> {
    if !arguments.wait {
        return arguments.target.show(&operations::RUN, |configuration, _| render::running(configuration)).await;
    }
    let service = Service::connect(&arguments.target.service).await?;
    let jobs = get_jobs(&service, &arguments.target).await?.parse()?;
    let requested = service.ask(&operations::RUN, &arguments.target.variables()).await?;
    let request = Request::new(&requested.parse()?, jobs)?;
    let (progress, configuration, answer) = wait(&service, arguments, &request).await?;
    let jobs: Vec<Job> = answer.parse()?;
    let job = match progress {
        Progress::Failed => jobs.first().filter(|job| !is_done(job)),
        _ => request.choose(&jobs),
    };
    let Output { format, style } = &service.output;
    if *format == OutputFormat::Json {
        let index = job.and_then(|job| jobs.iter().position(|other| other.id == job.id));
        let shown = index.and_then(|index| answer.elements().ok()?.into_iter().nth(index));
        output::print_line(&shown.map_or_else(|| NO_JOB.to_owned(), |job| job.json()))?;
    }
    match (progress, format) {
        (Progress::Failed, OutputFormat::Table) => output::print_line(&test::checked(&configuration, style))?,
        (Progress::Failed, OutputFormat::Json) => {}
        (_, OutputFormat::Json) => return Ok(()),
        (_, OutputFormat::Table) => return show(&service, &configuration, job).await,
    }
    Err(failure(&configuration, &jobs))
}

/// Shows the job, and the beginning of its first file.
async fn show(service: &Service, configuration: &Configuration, job: Option<&Job>) -> Result<(), Failure> {
    let style = &service.output.style;
    let Some(job) = job else { return output::print_line(&style.paragraphs(&nothing_new(configuration, style))) };
    let tasks: Vec<Task> = service.ask(&operations::TASKS, &json!({ "id": job.id.to_string() })).await?.parse()?;
    output::print_line(&exported(configuration, job, tasks.first(), style))?;
    if let Some(task) = tasks.first() {
        output::print_line(&format!("\n{}", sample::show(configuration, &task.object_key).await))?;
    }
    Ok(())
}

/// An export that has ended, for `setup`.
#[derive(Debug)]
pub struct FirstExport {
    /// What was exported, with the first file and three of its events.
    pub text: String,
    pub has_files: bool,
}

/// Exports now, and waits for the end. Shows the oldest file, which a run that the connection test started may have written.
pub async fn first_export(service: &Service, id: ConfigurationId, timeout: Duration) -> Result<FirstExport, Failure> {
    let target = Target { id, service: ServiceArguments::default() };
    let arguments = RunArguments { target, wait: true, timeout };
    let requested = service.ask(&operations::RUN, &arguments.target.variables()).await?;
    let request = Request::new(&requested.parse()?, Vec::new())?;
    let (progress, configuration, answer) = wait(service, &arguments, &request).await?;
    let jobs: Vec<Job> = answer.parse()?;
    if progress == Progress::Failed {
        return Err(failure(&configuration, &jobs));
    }
    let style = &service.output.style;
    let Some(job) = first_job(&jobs) else {
        return Ok(FirstExport { text: nothing_new(&configuration, style), has_files: false });
    };
    let tasks: Vec<Task> = service.ask(&operations::TASKS, &json!({ "id": job.id.to_string() })).await?.parse()?;
    let mut text = exported(&configuration, job, tasks.first(), style);
    if let Some(task) = tasks.first() {
        text = format!("{text}\n\n{}", sample::show(&configuration, &task.object_key).await);
    }
    Ok(FirstExport { text, has_files: !tasks.is_empty() })
}

async fn get_jobs(service: &Service, target: &Target) -> Result<Answer, Failure> {
    service.poll(&operations::JOBS, &target.variables()).await
}

/// Polls until the requested run has ended.
async fn wait(
    service: &Service,
    arguments: &RunArguments,
    request: &Request,
) -> Result<(Progress, Configuration, Answer), Failure> {
    let variables = arguments.target.variables();
    let polling = Polling {
        subject: "the export",
        activity: "Exporting",
        timeout: arguments.timeout,
        follow: format_args!("jobs {}", arguments.target.id),
    };
    let mut was_failure = false;
    let poll = async || {
        let configuration: Configuration = service.poll(&operations::PROGRESS, &variables).await?.parse()?;
        // After the configuration: a run stores its job before its end.
        let answer = get_jobs(service, &arguments.target).await?;
        let progress = request.progress(&configuration)?;
        // A failure is stored a moment before its reason.
        let is_explained = configuration.connection_error.is_some() || was_failure;
        was_failure = progress == Progress::Failed;
        match progress {
            Progress::Disabled => {
                Err(Failure::Unfinished("the export was disabled meanwhile; enable it first".to_owned()))
            }
            Progress::Waiting => Ok(Polled::Waiting(describe(&answer.parse::<Vec<Job>>()?))),
            Progress::Failed if !is_explained => Ok(Polled::Waiting(None)),
            Progress::Failed | Progress::Done => Ok(Polled::Ended((progress, configuration, answer))),
        }
    };
    polling.wait(poll).await
}

/// Returns the progress of the job that is being exported; `None`: there is none.
fn describe(jobs: &[Job]) -> Option<String> {
    let job = jobs.first().filter(|job| !is_done(job))?;
    Some(format!("Exporting: {}, {}", count(job.events, "event"), count(job.objects, "file")))
}

/// The progress of a requested run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Waiting,
    /// All requested events are exported.
    Done,
    Failed,
    /// The configuration was disabled, which ends the request.
    Disabled,
}

/// The run requested by this command.
struct Request {
    /// The end of the requested events, whichever run exports them.
    through: Timestamp,
    /// The configuration's failures and its test when the run was requested.
    failures: u64,
    checked_at: Option<String>,
    /// The jobs before the request.
    jobs: Vec<Job>,
}

impl Request {
    fn new(asked: &Configuration, jobs: Vec<Job>) -> Result<Self, Failure> {
        let through = asked
            .requested_run_through
            .as_ref()
            .ok_or_else(|| Failure::Unavailable("the service returned no requested run".to_owned()))?;
        Ok(Self {
            through: time(through)?,
            failures: asked.consecutive_failures,
            checked_at: asked.connection_checked_at.as_ref().map(ToString::to_string),
            jobs,
        })
    }

    /// Returns the progress. While the request is in the queue, the outcome of another run doesn't matter. The service clears
    /// the request when its run ends; if another run takes over, that run's outcome counts.
    fn progress(&self, now: &Configuration) -> Result<Progress, Failure> {
        let start = time(&now.start_from)?;
        let done = now.exported_through.as_ref().map(time).transpose()?.map_or(start, |through| through.max(start));
        if done >= self.through {
            return Ok(Progress::Done);
        }
        let queued = now.requested_run_through.as_ref().map(time).transpose()?;
        if queued.is_some_and(|queued| queued >= self.through) {
            return Ok(Progress::Waiting);
        }
        if !now.enabled {
            return Ok(Progress::Disabled);
        }
        let checked_at = now.connection_checked_at.as_ref().map(ToString::to_string);
        let was_refused = &*now.connection_status == "FAILED" && checked_at != self.checked_at;
        let has_failed = was_refused || now.consecutive_failures > self.failures;
        Ok(if has_failed { Progress::Failed } else { Progress::Waiting })
    }

    /// Returns the newest job of the requested run, preferably one that wrote a file.
    fn choose<'a>(&self, jobs: &'a [Job]) -> Option<&'a Job> {
        let was_done = |job: &Job| self.jobs.iter().any(|known| known.id == job.id && is_done(known));
        let is_of_it = |job: &Job| time(&job.start_timestamp).is_ok_and(|start| start < self.through);
        let new = || jobs.iter().filter(|job| is_done(job) && !was_done(job) && is_of_it(job));
        new().find(|job| job.objects > 0).or_else(|| new().next())
    }
}

fn time(text: &Text) -> Result<Timestamp, Failure> {
    Timestamp::parse(text)
        .map_err(|error| Failure::Unavailable(format!("the service returned a malformed time: {error}")))
}

fn is_done(job: &Job) -> bool {
    &*job.status == "SUCCEEDED"
}

/// Returns the oldest job that wrote a file, or else the newest one that ended.
fn first_job(jobs: &[Job]) -> Option<&Job> {
    let mut oldest_first = jobs.iter().rev();
    oldest_first.find(|job| is_done(job) && job.objects > 0).or_else(|| jobs.iter().find(|job| is_done(job)))
}

fn failure(configuration: &Configuration, jobs: &[Job]) -> Failure {
    if let Some(error) = &configuration.connection_error {
        return Failure::ConnectionFailed(error.code.to_string());
    }
    let reason = jobs.first().and_then(|job| job.failure_reason.as_ref());
    Failure::ExportFailed(reason.map_or_else(|| "the service gives no reason".to_owned(), ToString::to_string))
}

fn nothing_new(configuration: &Configuration, style: &Style) -> String {
    let begin = match &configuration.exported_through {
        Some(through) => format!("Events received before {} are exported.", style.time(through)),
        None => format!("Events received from {} on will be exported.", style.time(&configuration.start_from)),
    };
    format!(
        "{} Nothing to export yet\n  {begin}\n  Events of the last minutes stay for the next export.",
        style.paint(Tone::Good, "✓")
    )
}

fn exported(configuration: &Configuration, job: &Job, first: Option<&Task>, style: &Style) -> String {
    let tick = style.paint(Tone::Good, "✓");
    let end = job.end_timestamp.as_ref().map(|end| format!("\n          until {}", style.time(end)));
    let window = format!("  received from {}{}", style.time(&job.start_timestamp), end.unwrap_or_default());
    let Some(task) = first else {
        return format!("{tick} Exported: no events\n{window}\n  A signed digest states this; there is no file.");
    };
    let bucket = &configuration.endpoint_configuration.bucket_name;
    format!(
        "{tick} Exported: {}, {}, {}\n{window}\n\nThe first file: {}, {}\n  s3://{bucket}/{}",
        count(job.events, "event"),
        count(job.objects, "file"),
        count(job.bytes, "byte"),
        count(task.limit, "event"),
        count(task.bytes, "byte"),
        task.object_key,
    )
}

pub(super) fn count(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{model::tests::configuration, output::tests::style};

    const EARLIER: &str = "2026-11-22T00:21:00.000Z";
    const LATER: &str = "2026-11-22T09:00:00.000Z";

    fn job(sequence: u64, status: &str, objects: u64) -> Job {
        serde_json::from_value(json!({
            "id": format!("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.{sequence}"),
            "startTimestamp": "2026-11-21T00:00:00.000Z", "endTimestamp": "2026-11-22T00:00:00.000Z", "attempts": 1,
            "status": status, "failureReason": null, "objects": objects, "events": objects * 700, "leftOut": 0,
            "bytes": objects * 52_345, "gaps": [],
        }))
        .unwrap()
    }

    fn task() -> Task {
        serde_json::from_value(json!({
            "id": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.2.0", "attempts": 1, "offset": 0, "limit": 700,
            "status": "SUCCEEDED", "failureReason": null, "bytes": 52_345,
            "objectKey": "logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b/date=2026-11-21/a-b.ndjson.gz",
        }))
        .unwrap()
    }

    const THROUGH: &str = "2026-11-22T08:40:00.000Z";

    fn request(mut changes: Value, jobs: Vec<Job>) -> Request {
        changes["requestedRunThrough"] = json!(THROUGH);
        Request::new(&configuration(&changes), jobs).unwrap()
    }

    #[test]
    fn a_run_is_done_once_what_was_asked_for_is_exported() {
        let request = request(json!({}), vec![]);
        let earlier = "2026-11-22T08:00:00.000Z";
        for (changes, expected, why) in [
            (json!({ "requestedRunThrough": THROUGH }), Progress::Waiting, "it is in the queue"),
            (
                json!({ "lastExport": LATER, "exportedThrough": earlier, "requestedRunThrough": THROUGH }),
                Progress::Waiting,
                "a scheduled export ended, and ours is still in the queue",
            ),
            (
                json!({ "lastExport": LATER, "exportedThrough": earlier }),
                Progress::Waiting,
                "another run took over, or later windows follow",
            ),
            (json!({ "exportedThrough": THROUGH }), Progress::Done, "it ended"),
            (json!({ "exportedThrough": LATER }), Progress::Done, "another run went beyond it"),
            (
                json!({ "exportedThrough": null, "startFrom": "2026-11-22T08:50:00.000Z" }),
                Progress::Done,
                "there is nothing to export yet",
            ),
            (json!({ "enabled": false }), Progress::Disabled, "it was disabled"),
        ] {
            assert_eq!(request.progress(&configuration(&changes)).unwrap(), expected, "{why}");
        }
        let bad = configuration(&json!({ "exportedThrough": "soon" }));
        assert_eq!(request.progress(&bad).unwrap_err().exit_code(), 1);
        assert!(Request::new(&configuration(&json!({})), vec![]).is_err(), "the answer has no run");
    }

    #[test]
    fn only_a_failure_of_the_requested_run_counts() {
        let failed = |failures: u64, checked_at: &str, queued: Option<&str>| {
            json!({
                "connectionStatus": "FAILED", "connectionError": { "code": "WRITE_DENIED", "message": "Allow it." },
                "connectionCheckedAt": checked_at, "consecutiveFailures": failures, "requestedRunThrough": queued,
            })
        };
        let request = request(failed(3, EARLIER, None), vec![]);
        for (now, expected, why) in [
            (failed(3, EARLIER, None), Progress::Waiting, "nothing new failed"),
            (failed(4, EARLIER, None), Progress::Failed, "a run failed"),
            (failed(3, LATER, None), Progress::Failed, "a test failed"),
            (failed(4, LATER, Some(THROUGH)), Progress::Waiting, "another run failed while ours is in the queue"),
            (failed(4, LATER, Some(LATER)), Progress::Waiting, "somebody requested another run"),
        ] {
            assert_eq!(request.progress(&configuration(&now)).unwrap(), expected, "{why}");
        }
        assert_eq!(failure(&configuration(&failed(1, LATER, None)), &[]).exit_code(), 7);
        let ours = configuration(&json!({ "consecutiveFailures": 1 }));
        assert_eq!(failure(&ours, &[job(1, "FAILED", 0)]).exit_code(), 1);
    }

    #[test]
    fn the_first_file_is_that_of_the_oldest_job_with_one() {
        let first = |jobs: &[Job]| first_job(jobs).map(|job| job.id.rsplit('.').next().unwrap().to_owned());
        let jobs = [job(4, "RUNNING", 1), job(3, "SUCCEEDED", 1), job(2, "SUCCEEDED", 2), job(1, "SUCCEEDED", 0)];
        assert_eq!(first(&jobs).as_deref(), Some("2"));
        assert_eq!(first(&jobs[3..]).as_deref(), Some("1"));
        assert_eq!(first(&jobs[..1]), None);
    }

    #[test]
    fn the_newest_new_job_with_a_file_is_shown() {
        let before = request(json!({}), vec![job(2, "FAILED", 1), job(1, "SUCCEEDED", 1)]);
        let chosen = |jobs: &[Job]| before.choose(jobs).map(|job| job.id.rsplit('.').next().unwrap().to_owned());
        let old = job(1, "SUCCEEDED", 1);
        assert_eq!(chosen(&[job(2, "SUCCEEDED", 1), old.clone()]).as_deref(), Some("2"));
        assert_eq!(chosen(&[job(3, "SUCCEEDED", 0), job(2, "SUCCEEDED", 1), old.clone()]).as_deref(), Some("2"));
        assert_eq!(chosen(&[job(3, "SUCCEEDED", 0), job(2, "SUCCEEDED", 0), old.clone()]).as_deref(), Some("3"));
        assert_eq!(chosen(&[job(2, "FAILED", 1), old]), None);
        // A job that begins at the end of ours belongs to another run.
        let mut later = job(4, "SUCCEEDED", 1);
        later.start_timestamp = serde_json::from_value(json!(THROUGH)).unwrap();
        assert_eq!(chosen(&[later]), None);
    }

    #[test]
    fn the_outcome_is_shown() {
        let (configuration, style) = (configuration(&json!({})), style());
        insta::assert_snapshot!(
            "run_exported",
            exported(&configuration, &job(2, "SUCCEEDED", 2), Some(&task()), &style)
        );
        insta::assert_snapshot!("run_empty", exported(&configuration, &job(2, "SUCCEEDED", 0), None, &style));
        insta::assert_snapshot!("run_nothing_new", nothing_new(&configuration, &style));
    }
}
