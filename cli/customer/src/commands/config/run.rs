//! `config run`: exports now, and with `--wait` shows what arrived.

mod sample;

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use clap::Args;
use domain::{configuration::ConfigurationId, time::Timestamp};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::SignedDuration;
use serde_json::json;

use super::{jobs, parse_id, render, tasks, test};
use crate::{
    api::{Answer, Operation},
    failure::Failure,
    model::{Configuration, Job, Task, all_configuration_fields},
    output::{Style, Tone},
    service::{Service, ServiceArguments},
};
use terminal::text::Text;

pub const OPERATION: Operation = Operation {
    what: "to export now",
    field: "runExportConfiguration",
    document: concat!(
        "mutation($id: ID!) { runExportConfiguration(id: $id) { ",
        all_configuration_fields!(),
        " requestedRunThrough } }"
    ),
};

pub const PROGRESS: Operation = Operation {
    what: "to get the export configuration",
    field: "getExportConfiguration",
    document: concat!(
        "query($id: ID!) { getExportConfiguration(id: $id) { ",
        all_configuration_fields!(),
        " requestedRunThrough } }"
    ),
};

const MAX_TIMEOUT: Duration = Duration::from_hours(24);
/// How long the service is left alone between two questions: at first, and at most.
const MIN_POLL_PAUSE: Duration = Duration::from_secs(1);
const MAX_POLL_PAUSE: Duration = Duration::from_secs(15);
/// Questions in a row that get no answer before the waiting is given up.
const MAX_POLL_FAILURES: u32 = 5;
/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Export now what has been received, without waiting for the next time
///
/// What was received in the last minutes (20 unless the operator chose otherwise) stays for the next export: until then the
/// service can't be sure that nothing before it is missing. With `--wait` the first exported file is shown, with three of
/// its events; it is read with your own AWS credentials, if there are any.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config run 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export config run 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --wait --timeout 30m
  audit-export config jobs 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")]
pub struct RunArguments {
    /// The configuration's id
    #[arg(value_name = "ID", value_parser = parse_id)]
    id: ConfigurationId,

    /// Wait until this export has ended, and show what arrived
    ///
    /// Exports of the schedule and of other people don't end the waiting, unless they export what this one was asked for.
    /// The exit code is 7 if the bucket can't be written to, and 12 if the export has not ended in time.
    #[arg(long)]
    wait: bool,

    /// How long to wait: 90s, 15m, 2h; 24h at most. The export itself goes on
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = parse_timeout, requires = "wait")]
    timeout: Duration,

    #[command(flatten)]
    service: ServiceArguments,
}

fn parse_timeout(text: &str) -> Result<Duration, &'static str> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "a duration is written as a number and a unit, for example 90s or 15m")?;
    let timeout = Duration::try_from(duration).map_err(|_| "no time can be waited for that is over")?;
    if timeout.is_zero() || timeout > MAX_TIMEOUT {
        return Err("give more than 0s and at most 24h");
    }
    Ok(timeout)
}

pub fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let service = Service::connect(&arguments.service)?;
    let variables = json!({ "id": arguments.id.to_string() });
    if !arguments.wait {
        let answer = service.ask(&OPERATION, &variables)?;
        return service.output.print(&answer, |_| Ok(render::running(&answer.parse()?)));
    }
    let jobs = ask_jobs(&service, arguments.id)?;
    let asked: Answer = service.ask(&OPERATION, &variables)?;
    let request = Request::new(&asked.parse()?, jobs)?;
    let (answer, configuration, jobs) = match wait(&service, arguments, &request)? {
        (Progress::Failed, answer, configuration, jobs) => {
            service.output.print(&answer, |style| Ok(test::checked(&configuration, style)))?;
            return Err(failure(&configuration, &jobs));
        }
        (_, answer, configuration, jobs) => (answer, configuration, jobs),
    };
    service.output.print(&answer, |style| {
        let Some(job) = request.choose(&jobs) else { return Ok(nothing_new(&configuration, style)) };
        let tasks: Vec<Task> = service.ask(&tasks::OPERATION, &json!({ "id": job.id.to_string() }))?.parse()?;
        let mut text = exported(&configuration, job, tasks.first(), style);
        if let Some(task) = tasks.first() {
            text.push_str("\n\n");
            text.push_str(&sample::show(&service, &configuration, &task.object_key));
        }
        Ok(text)
    })
}

fn ask_jobs(service: &Service, id: ConfigurationId) -> Result<Vec<Job>, Failure> {
    service.ask(&jobs::OPERATION, &json!({ "id": id.to_string() }))?.parse()
}

/// Asks until the requested run has ended.
fn wait(
    service: &Service,
    arguments: &RunArguments,
    request: &Request,
) -> Result<(Progress, Answer, Configuration, Vec<Job>), Failure> {
    let spinner = Spinner::new();
    let variables = json!({ "id": arguments.id.to_string() });
    let deadline = Instant::now() + arguments.timeout;
    let mut pause = MIN_POLL_PAUSE;
    let mut failures = 0;
    let mut was_failure = false;
    loop {
        service.wait(pause.min(deadline.saturating_duration_since(Instant::now())));
        pause = (pause * 5 / 4).min(MAX_POLL_PAUSE);
        let asked = service.ask(&PROGRESS, &variables).and_then(|answer| {
            let configuration: Configuration = answer.parse()?;
            // After the configuration: a run that has stored its end has stored its job.
            Ok((answer, configuration, ask_jobs(service, arguments.id)?))
        });
        match asked {
            Ok((answer, configuration, jobs)) => {
                failures = 0;
                let progress = request.progress(&configuration)?;
                // That a run failed is stored a moment before why it did.
                let is_explained = configuration.connection_error.is_some() || was_failure;
                match progress {
                    Progress::Disabled => {
                        return Err(Failure::Unfinished(
                            "the export was disabled meanwhile, so nothing is exported; enable it first".to_owned(),
                        ));
                    }
                    Progress::Done => return Ok((progress, answer, configuration, jobs)),
                    Progress::Failed if is_explained => return Ok((progress, answer, configuration, jobs)),
                    Progress::Failed | Progress::Waiting => {}
                }
                was_failure = progress == Progress::Failed;
                spinner.show(&jobs);
            }
            Err(failure @ (Failure::Unavailable(_) | Failure::NoAnswer(_))) => {
                failures += 1;
                if failures >= MAX_POLL_FAILURES {
                    return Err(failure);
                }
            }
            Err(failure) => return Err(failure),
        }
        if Instant::now() >= deadline {
            return Err(Failure::Unfinished(format!(
                "the export has not ended within {} s; it goes on without us\n  To follow its progress: audit-export config jobs {}",
                arguments.timeout.as_secs(),
                arguments.id
            )));
        }
    }
}

/// How far a requested run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Waiting,
    /// Everything is exported that was asked for.
    Done,
    Failed,
    /// The configuration was disabled, which ends the request.
    Disabled,
}

/// A run that was requested, as distinct from those of the schedule and of other people.
struct Request {
    /// Through when it exports. Whatever is exported through then was exported by it, or by a run that did its work.
    through: Timestamp,
    /// How the configuration was when the run was requested.
    failures: u64,
    checked_at: Option<String>,
    /// The jobs that were there before.
    jobs: Vec<Job>,
}

impl Request {
    fn new(asked: &Configuration, jobs: Vec<Job>) -> Result<Self, Failure> {
        let through = asked
            .requested_run_through
            .as_ref()
            .ok_or_else(|| Failure::Unavailable("it names no requested run".to_owned()))?;
        Ok(Self {
            through: time(through)?,
            failures: asked.consecutive_failures,
            checked_at: asked.connection_checked_at.as_ref().map(ToString::to_string),
            jobs,
        })
    }

    /// While the request is in the queue, neither a success nor a failure of another run ends the waiting. The service
    /// clears it when its run ends; where another run took its work over, that one's outcome is its own.
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

    /// Of the jobs that were done since and begin before the requested time, the newest that wrote a file, or else the
    /// newest.
    fn choose<'a>(&self, jobs: &'a [Job]) -> Option<&'a Job> {
        let was_done = |job: &Job| self.jobs.iter().any(|known| known.id == job.id && is_done(known));
        let is_of_it = |job: &Job| time(&job.start_timestamp).is_ok_and(|start| start < self.through);
        let new = || jobs.iter().filter(|job| is_done(job) && !was_done(job) && is_of_it(job));
        new().find(|job| job.objects > 0).or_else(|| new().next())
    }
}

fn time(text: &Text) -> Result<Timestamp, Failure> {
    Timestamp::parse(text).map_err(|error| Failure::Unavailable(format!("it answered a malformed time: {error}")))
}

fn is_done(job: &Job) -> bool {
    &*job.status == "SUCCEEDED"
}

fn failure(configuration: &Configuration, jobs: &[Job]) -> Failure {
    if let Some(error) = &configuration.connection_error {
        return Failure::ConnectionFailed(error.code.to_string());
    }
    let reason = jobs.first().and_then(|job| job.failure_reason.as_ref());
    Failure::Unavailable(reason.map_or_else(|| "the export failed".to_owned(), ToString::to_string))
}

fn nothing_new(configuration: &Configuration, style: &Style) -> String {
    let begin = match &configuration.exported_through {
        Some(through) => format!("What was received before {} has been exported.", style.time(through)),
        None => format!("What is received from {} on is exported.", style.time(&configuration.start_from)),
    };
    format!(
        "{} Nothing to export yet\n  {begin}\n  What came in the last minutes stays for the next export.",
        style.paint(Tone::Good, "✓")
    )
}

fn exported(configuration: &Configuration, job: &Job, first: Option<&Task>, style: &Style) -> String {
    let tick = style.paint(Tone::Good, "✓");
    let end = job.end_timestamp.as_ref().map(|end| format!("\n          until {}", style.time(end)));
    let window = format!("  received from {}{}", style.time(&job.start_timestamp), end.unwrap_or_default());
    let Some(task) = first else {
        return format!(
            "{tick} Exported: no events\n{window}\n  No file is written for that; a signed digest says so."
        );
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

fn count(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// Turns while something is waited for, on standard error and only where a person looks at it.
struct Spinner(ProgressBar);

impl Spinner {
    fn new() -> Self {
        let is_seen = io::stderr().is_terminal();
        let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target).with_message("Exporting");
        bar.set_style(ProgressStyle::default_spinner());
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    fn show(&self, jobs: &[Job]) {
        if let Some(job) = jobs.first().filter(|job| !is_done(job)) {
            self.0.set_message(format!("Exporting: {}, {}", count(job.events, "event"), count(job.objects, "file")));
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{model::tests::configuration_json, output::tests::style};

    const EARLIER: &str = "2026-11-22T00:21:00.000Z";
    const LATER: &str = "2026-11-22T09:00:00.000Z";

    fn configuration(changes: &[(&str, Value)]) -> Configuration {
        let mut json = configuration_json();
        for (name, value) in changes {
            json[*name] = value.clone();
        }
        serde_json::from_value(json).unwrap()
    }

    fn job(sequence: u64, status: &str, objects: u64) -> Job {
        serde_json::from_value(json!({
            "id": format!("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b.{sequence}"),
            "startTimestamp": "2026-11-21T00:00:00.000Z", "endTimestamp": "2026-11-22T00:00:00.000Z", "attempts": 1,
            "status": status, "failureReason": null, "objects": objects, "events": objects * 700,
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

    fn request(changes: &[(&str, Value)], jobs: Vec<Job>) -> Request {
        let mut changes = changes.to_vec();
        changes.push(("requestedRunThrough", json!(THROUGH)));
        Request::new(&configuration(&changes), jobs).unwrap()
    }

    #[test]
    fn a_run_is_done_once_what_was_asked_for_is_exported() {
        let request = request(&[], vec![]);
        let progress = |changes: &[(&str, Value)]| request.progress(&configuration(changes)).unwrap();
        let queued = ("requestedRunThrough", json!(THROUGH));
        assert_eq!(progress(std::slice::from_ref(&queued)), Progress::Waiting);
        // An export of the schedule ended meanwhile, and ours is still in the queue.
        let other = [("lastExport", json!(LATER)), ("exportedThrough", json!("2026-11-22T08:00:00.000Z"))];
        assert_eq!(progress(&[other.as_slice(), &[queued]].concat()), Progress::Waiting);
        // Ours is at work in another run, or in windows that follow.
        assert_eq!(progress(&other), Progress::Waiting);
        assert_eq!(progress(&[("exportedThrough", json!(THROUGH))]), Progress::Done);
        assert_eq!(progress(&[("exportedThrough", json!(LATER))]), Progress::Done, "another run went beyond it");
        let fresh = [("exportedThrough", Value::Null), ("startFrom", json!("2026-11-22T08:50:00.000Z"))];
        assert_eq!(progress(&fresh), Progress::Done, "nothing is to be exported yet");
        assert_eq!(progress(&[("enabled", json!(false))]), Progress::Disabled);
        let bad = configuration(&[("exportedThrough", json!("soon"))]);
        assert_eq!(request.progress(&bad).unwrap_err().exit_code(), 1);
        assert!(Request::new(&configuration(&[]), vec![]).is_err(), "the service named no run");
    }

    #[test]
    fn only_a_failure_of_the_requested_run_counts() {
        let failed = |failures: u64, checked_at: &str| {
            vec![
                ("connectionStatus", json!("FAILED")),
                ("connectionError", json!({ "code": "WRITE_DENIED", "message": "Allow it." })),
                ("connectionCheckedAt", json!(checked_at)),
                ("consecutiveFailures", json!(failures)),
            ]
        };
        let request = request(&failed(3, EARLIER), vec![]);
        let progress = |changes: Vec<(&str, Value)>| request.progress(&configuration(&changes)).unwrap();
        assert_eq!(progress(failed(3, EARLIER)), Progress::Waiting);
        assert_eq!(progress(failed(4, EARLIER)), Progress::Failed);
        assert_eq!(progress(failed(3, LATER)), Progress::Failed);
        // Another run failed while ours is in the queue.
        let queued = |through: &str| ("requestedRunThrough", json!(through));
        assert_eq!(progress([failed(4, LATER), vec![queued(THROUGH)]].concat()), Progress::Waiting);
        assert_eq!(
            progress([failed(4, LATER), vec![queued(LATER)]].concat()),
            Progress::Waiting,
            "somebody asked again"
        );
        assert_eq!(failure(&configuration(&failed(1, LATER)), &[]).exit_code(), 7);
        let ours = configuration(&[("consecutiveFailures", json!(1))]);
        assert_eq!(failure(&ours, &[job(1, "FAILED", 0)]).exit_code(), 1);
    }

    #[test]
    fn the_newest_new_job_with_a_file_is_shown() {
        let before = request(&[], vec![job(2, "FAILED", 1), job(1, "SUCCEEDED", 1)]);
        let chosen = |jobs: &[Job]| before.choose(jobs).map(|job| job.id.rsplit('.').next().unwrap().to_owned());
        let old = job(1, "SUCCEEDED", 1);
        assert_eq!(chosen(&[job(2, "SUCCEEDED", 1), old.clone()]).as_deref(), Some("2"));
        assert_eq!(chosen(&[job(3, "SUCCEEDED", 0), job(2, "SUCCEEDED", 1), old.clone()]).as_deref(), Some("2"));
        assert_eq!(chosen(&[job(3, "SUCCEEDED", 0), job(2, "SUCCEEDED", 0), old.clone()]).as_deref(), Some("3"));
        assert_eq!(chosen(&[job(2, "FAILED", 1), old]), None);
        // What begins where ours ends is another run's.
        let mut later = job(4, "SUCCEEDED", 1);
        later.start_timestamp = serde_json::from_value(json!(THROUGH)).unwrap();
        assert_eq!(chosen(&[later]), None);
    }

    #[test]
    fn the_outcome_is_shown() {
        let (configuration, style) = (configuration(&[]), style());
        insta::assert_snapshot!(
            "run_exported",
            exported(&configuration, &job(2, "SUCCEEDED", 2), Some(&task()), &style)
        );
        insta::assert_snapshot!("run_empty", exported(&configuration, &job(2, "SUCCEEDED", 0), None, &style));
        insta::assert_snapshot!("run_nothing_new", nothing_new(&configuration, &style));
    }

    #[test]
    fn a_timeout_has_its_bounds() {
        assert_eq!(parse_timeout("90s"), Ok(Duration::from_secs(90)));
        for bad in ["", "0s", "25h", "-1m", "90", "soon"] {
            assert!(parse_timeout(bad).is_err(), "{bad}");
        }
    }
}
