//! What the checks look at, and when it is good.

use std::time::Duration;

use domain::{interval::ExportInterval, time::Timestamp};
use host::Clock;

use super::checks::Probe;
use crate::{
    commands::status::{ARCHIVE_ALARM_SECONDS, Survey, brief},
    failure::Failure,
    ports::{AlarmState, ArchiveStanding, Archives, Inspection, MetricQuery, Overviews},
    stack::{Key, Queue, Schedule, Stack, Table},
};

/// The ages of the oldest message from which on a queue is late, as for the alarms of their ages.
const MAX_EVENTS_AGE: Duration = Duration::from_mins(15);
const MAX_RUNS_AGE: Duration = Duration::from_hours(1);

/// The time after an interval within which its slot must have been dispatched, as for the alarms of dispatches.
const DISPATCH_TOLERANCE: Duration = Duration::from_hours(1);

/// The hours of metrics that are read: more than the longest interval and its tolerance.
const METRIC_HOURS: u64 = 30;

/// Throttled requests of a table in the last hours that are not worth a look: the SDK repeats them.
const MAX_THROTTLES: f64 = 10.0;
const THROTTLE_HOURS: u64 = 3;

/// The difference between this machine's clock and AWS's that is still good. AWS accepts five minutes:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(1);

/// The concurrency that a stack needs with the default parameters: 25 runs of exporter and converter each, 10 batches of events,
/// and requests.
const MIN_CONCURRENCY: u64 = 100;

/// Alarms that are named in a line.
const MAX_NAMED_ALARMS: usize = 5;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub is_good: bool,
    pub detail: String,
}

impl Finding {
    fn new(is_good: bool, detail: impl Into<String>) -> Self {
        Self { is_good, detail: detail.into() }
    }
}

/// The probes of a stack.
pub struct Probes<'a, A, K> {
    pub account: &'a A,
    pub stack: &'a Stack,
    pub clock: &'a K,
}

impl<A: Inspection + Overviews + Archives, K: Clock> Probes<'_, A, K> {
    pub async fn run(&self, probe: Probe) -> Result<Finding, Failure> {
        match probe {
            Probe::Exports => self.exports().await,
            Probe::Waiting(queue) => self.waiting(queue).await,
            Probe::DeadLetters(queue) => self.dead_letters(queue).await,
            Probe::Schedule(schedule) => self.schedule(schedule).await,
            Probe::Alarms => self.alarms().await,
            Probe::Table(table) => self.table(table).await,
            Probe::Key(key) => self.key(key).await,
            Probe::Archive => self.archive().await,
            Probe::Concurrency => self.concurrency().await,
            Probe::Clock => self.clock().await,
        }
    }

    /// An export is delayed too if it has used too much of its retention.
    async fn exports(&self) -> Result<Finding, Failure> {
        let totals = Survey::totals(self.account, self.stack, self.clock).await?;
        let is_good = totals.failing + totals.delayed + totals.unreadable == 0;
        let detail = format!(
            "{} failing, {} delayed of {}; {} % of retention used",
            totals.failing, totals.delayed, totals.configurations, totals.largest_retention_used
        );
        Ok(Finding::new(is_good, detail))
    }

    async fn waiting(&self, queue: Queue) -> Result<Finding, Failure> {
        let url = self.stack.id_of(queue)?;
        let state = self.account.queue(url).await?;
        let name = url.rsplit('/').next().unwrap_or(url);
        let query = self.query("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", 2, vec![("QueueName", name)]);
        let oldest = self.last_value(query).await?;
        // SQS reports no age of a queue that has been empty for hours.
        let age = oldest.map_or(Duration::ZERO, |(_, age)| Duration::try_from_secs_f64(age).unwrap_or_default());
        let limit = match queue {
            Queue::EventsQueue | Queue::TopicEventsQueue | Queue::RuleEventsQueue => MAX_EVENTS_AGE,
            _ => MAX_RUNS_AGE,
        };
        let detail = format!(
            "{} waiting, {} in flight, oldest {}",
            state.visible + state.delayed,
            state.in_flight,
            brief(age.as_secs())
        );
        Ok(Finding::new(age < limit || state.visible == 0, detail))
    }

    async fn dead_letters(&self, queue: Queue) -> Result<Finding, Failure> {
        let messages = self.account.queue(self.stack.id_of(queue)?).await?.messages();
        Ok(Finding::new(messages == 0, format!("{messages} messages")))
    }

    async fn schedule(&self, schedule: Schedule) -> Result<Finding, Failure> {
        let name = self.stack.schedule_name(schedule)?;
        // The physical ID of a schedule may begin with its group, which has the name of the stack.
        let name = name.rsplit('/').next().unwrap_or(name);
        if !self.account.is_schedule_enabled(&self.stack.name, name).await? {
            return Ok(Finding::new(false, "disabled"));
        }
        let Schedule::Dispatch(interval) = schedule else { return Ok(Finding::new(true, "enabled")) };
        let Some(last) = self.last_dispatch(interval).await? else {
            // Without a dispatch of any interval, the stack is new or its log has no metrics.
            return Ok(if self.has_dispatched().await? {
                Finding::new(false, format!("enabled, no dispatch in {METRIC_HOURS} h"))
            } else {
                Finding::new(true, "enabled, last dispatch unknown")
            });
        };
        let since = self.clock.now().saturating_since(last);
        // A metric's time is the beginning of its hour.
        let is_late = since > interval.duration() + DISPATCH_TOLERANCE + Duration::from_hours(1);
        Ok(Finding::new(!is_late, format!("enabled, last dispatch {} ago", brief(since.as_secs()))))
    }

    /// Returns whether a slot of any interval was dispatched in the last hours.
    async fn has_dispatched(&self) -> Result<bool, Failure> {
        for interval in ExportInterval::ALL {
            if self.last_dispatch(interval).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn last_dispatch(&self, interval: ExportInterval) -> Result<Option<Timestamp>, Failure> {
        let namespace = format!("AuditExport/{}", self.stack.name);
        let dimensions = vec![("Interval", interval.name())];
        let query = self.query(&namespace, "Dispatched", "Sum", METRIC_HOURS, dimensions);
        Ok(self.last_value(query).await?.map(|(at, _)| at))
    }

    async fn alarms(&self) -> Result<Finding, Failure> {
        let expected = self.stack.alarms();
        let alarms = self.account.alarms(expected).await?;
        let of = |is_wanted: &dyn Fn(&AlarmState) -> bool| {
            alarms.iter().filter(|alarm| is_wanted(alarm)).collect::<Vec<_>>()
        };
        let raised = of(&|alarm| alarm.state == "ALARM");
        let silent = of(&|alarm| !alarm.has_actions);
        let undecided = of(&|alarm| alarm.state == "INSUFFICIENT_DATA");
        let missing = expected.len().saturating_sub(alarms.len());
        let mut counts = vec![
            format!("{} in ALARM", raised.len()),
            format!("{} without data of {}", undecided.len(), expected.len()),
        ];
        let rare = [(silent.len(), "without actions"), (missing, "deleted")];
        counts.extend(rare.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
        let names = raised.iter().take(MAX_NAMED_ALARMS).map(|alarm| alarm.name.clone());
        let detail = std::iter::once(counts.join(", ")).chain(names).collect::<Vec<_>>().join("\n    ");
        Ok(Finding::new(raised.is_empty() && silent.is_empty() && missing == 0, detail))
    }

    async fn table(&self, table: Table) -> Result<Finding, Failure> {
        let name = self.stack.id_of(table)?;
        let state = self.account.table(name).await?;
        let mut throttles = 0.0;
        for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] {
            let query = self.query("AWS/DynamoDB", metric, "Sum", THROTTLE_HOURS, vec![("TableName", name)]);
            throttles += self.account.metric(&query).await?.iter().map(|point| point.value).sum::<f64>();
        }
        let is_active = state.status == "ACTIVE";
        let switch = |is_on| if is_on { "on" } else { "OFF" };
        let detail = format!(
            "{}, expiry {}, recovery {}, {throttles} throttles",
            state.status,
            switch(state.has_time_to_live),
            switch(state.has_recovery)
        );
        let is_good = is_active && state.has_time_to_live && state.has_recovery && throttles <= MAX_THROTTLES;
        Ok(Finding::new(is_good, detail))
    }

    async fn key(&self, key: Key) -> Result<Finding, Failure> {
        // KMS does not rotate the signing key, which is asymmetric.
        let state = self.account.key(self.stack.key_id(key)?, key.is_rotated()).await?;
        let mut detail = state.state.clone();
        if let Some(is_rotated) = state.is_rotated {
            detail.push_str(if is_rotated { ", rotated every year" } else { ", rotation OFF" });
        }
        Ok(Finding::new(state.state == "Enabled" && state.is_rotated != Some(false), detail))
    }

    /// Where nothing is archived any more, segments are still read.
    async fn archive(&self) -> Result<Finding, Failure> {
        let standing = self.account.archive(self.stack, self.clock.now()).await?;
        let ArchiveStanding { tenants, lag_seconds, furthest: _, unreadable, foreign, foreign_bucket } = standing;
        let is_on = self.stack.table_period.is_some();
        let parts = [
            Some(if is_on {
                format!("{tenants} tenants, at most {} behind", brief(lag_seconds))
            } else {
                format!("off, {tenants} tenants")
            }),
            foreign_bucket.map(|bucket| format!("{foreign} in another bucket: {bucket}")),
            (unreadable > 0).then(|| format!("{unreadable} can't be read")),
        ];
        let detail = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let is_late = is_on && lag_seconds > ARCHIVE_ALARM_SECONDS;
        Ok(Finding::new(!is_late && foreign == 0 && unreadable == 0, detail))
    }

    async fn concurrency(&self) -> Result<Finding, Failure> {
        let concurrency = self.account.concurrency().await?;
        let detail = format!("{} of {} unreserved", concurrency.unreserved, concurrency.limit);
        Ok(Finding::new(concurrency.unreserved >= MIN_CONCURRENCY, detail))
    }

    async fn clock(&self) -> Result<Finding, Failure> {
        let theirs = self.account.aws_time().await?;
        let ours = self.clock.now();
        let skew = ours.saturating_since(theirs).max(theirs.saturating_since(ours));
        Ok(Finding::new(skew <= MAX_CLOCK_SKEW, format!("{} off AWS's", brief(skew.as_secs()))))
    }

    fn query(
        &self,
        namespace: &str,
        name: &'static str,
        statistic: &'static str,
        hours: u64,
        dimensions: Vec<(&'static str, &str)>,
    ) -> MetricQuery {
        let dimensions = dimensions.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        MetricQuery { namespace: namespace.to_owned(), name, dimensions, statistic, hours, until: self.clock.now() }
    }

    /// Returns the last hour of a metric with data, and its value.
    async fn last_value(&self, query: MetricQuery) -> Result<Option<(Timestamp, f64)>, Failure> {
        Ok(self.account.metric(&query).await?.first().map(|point| (point.at, point.value)))
    }
}
