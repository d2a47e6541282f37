//! The table of checks.

use strum::IntoEnumIterator;

use crate::stack::{Key, Queue, Schedule, Table};

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Health and used retention.
    Exports,
    /// Messages that wait.
    Waiting(Queue),
    DeadLetters(Queue),
    Schedule(Schedule),
    Alarms,
    Table(Table),
    Key(Key),
    /// How far it is behind, and where its segments are.
    Archive,
    Concurrency,
    Clock,
}

/// A check: its name, what it looks at, and what to do if it fails, with a command on a line of its own.
#[derive(Clone, Debug)]
pub struct Check {
    pub name: String,
    pub probe: Probe,
    pub advice: &'static str,
}

/// Returns all checks, the most urgent first.
pub fn checks() -> Vec<Check> {
    let exports = [(
        Probe::Exports,
        "List them: audit-export-operator status --unhealthy. Events are lost when \
         all of their retention is used: docs/RUNBOOKS.md, \"A stuck tenant\".",
    )];
    let queues = Queue::iter().map(|queue| match queue {
        Queue::EventsQueue | Queue::TopicEventsQueue | Queue::RuleEventsQueue => (
            Probe::Waiting(queue),
            "Look at errors and throttles of the function ingest and of the events \
             table, or raise MaximumConcurrentIngestBatches.",
        ),
        Queue::RunsQueue => {
            (Probe::Waiting(queue), "Look at RUN_FAILED in the exporter's log, or raise MaximumConcurrentRuns.")
        }
        Queue::ManualRunsQueue => {
            (Probe::Waiting(queue), "Look at RUN_FAILED in the exporter's log, or raise MaximumConcurrentManualRuns.")
        }
        Queue::ConversionQueue => {
            (Probe::Waiting(queue), "Look at RUN_FAILED in the converter's log, or raise MaximumConcurrentRuns.")
        }
        Queue::ManualConversionQueue => {
            (Probe::Waiting(queue), "Look at RUN_FAILED in the converter's log, or raise MaximumConcurrentManualRuns.")
        }
        Queue::WebhooksQueue => (
            Probe::Waiting(queue),
            "Look at the notifier's log and its throttles. A receiver that does not \
             answer does not hold up the others.",
        ),
        Queue::EventsDeadLetterQueue => (
            Probe::DeadLetters(queue),
            "These events are stored nowhere else. Fix the cause in the log of ingest, then:\n\
             audit-export-operator redrive events",
        ),
        Queue::TopicEventsDeadLetterQueue => (
            Probe::DeadLetters(queue),
            "These events are stored nowhere else. Fix the cause in the log of ingest, then:\n\
             audit-export-operator redrive topic-events",
        ),
        Queue::RuleEventsDeadLetterQueue => (
            Probe::DeadLetters(queue),
            "These events are stored nowhere else. Fix the cause in the log of ingest, then:\n\
             audit-export-operator redrive rule-events",
        ),
        Queue::RunsDeadLetterQueue => {
            (Probe::DeadLetters(queue), "Fix the cause (RUN_FAILED), then:\naudit-export-operator redrive runs")
        }
        Queue::ManualRunsDeadLetterQueue => {
            (Probe::DeadLetters(queue), "Fix the cause (RUN_FAILED), then:\naudit-export-operator redrive manual-runs")
        }
        Queue::ConversionDeadLetterQueue => {
            (Probe::DeadLetters(queue), "Fix the cause (RUN_FAILED), then:\naudit-export-operator redrive conversions")
        }
        Queue::ManualConversionDeadLetterQueue => (
            Probe::DeadLetters(queue),
            "Fix the cause (RUN_FAILED), then:\naudit-export-operator redrive manual-conversions",
        ),
        Queue::WebhooksDeadLetterQueue => (
            Probe::DeadLetters(queue),
            "Fix the cause (the notifier's log), then:\naudit-export-operator redrive webhooks",
        ),
        Queue::SchedulesDeadLetterQueue => (
            Probe::DeadLetters(queue),
            "The next slot includes the events of this one. To repeat a dispatch now: \
             docs/OPERATIONS.md, \"Redrive\". A message with \"source\":\"audit-export\" is \
             the end of a tenant's last export, which reached nobody: \
             docs/RUNBOOKS.md, \"Notices\".",
        ),
    });
    let schedules = Schedule::all().map(|schedule| {
        let advice = "Enable the schedule (Amazon EventBridge Scheduler). If it is enabled: look \
                      at the schedules' dead letters and the exporter's log.";
        (Probe::Schedule(schedule), advice)
    });
    let tables = Table::iter().map(|table| {
        let advice = "OFF: docs/RUNBOOKS.md, \"Put back what was changed by hand\" (a deployment does \
                      not). Throttles: docs/RUNBOOKS.md, \"Throttling\".";
        (Probe::Table(table), advice)
    });
    let keys = Key::iter().map(|key| {
        let advice = "Enable the key, or cancel its deletion: aws kms cancel-key-deletion. \
                      Without it exports fail. Rotation OFF: aws kms enable-key-rotation.";
        (Probe::Key(key), advice)
    });
    let alarms = [(
        Probe::Alarms,
        "docs/RUNBOOKS.md has an entry for each alarm. Alarms without actions \
         notify nobody: enable their actions.",
    )];
    let others = [
        (Probe::Archive, "docs/RUNBOOKS.md, \"The archive\"."),
        (
            Probe::Concurrency,
            "Request a higher quota \"Concurrent executions\" of AWS Lambda, or reserve \
             less: docs/OPERATIONS.md, \"Bulkheads\".",
        ),
        (Probe::Clock, "Set this machine's clock: AWS refuses requests that are 5 minutes off."),
    ];
    let all = exports.into_iter().chain(queues).chain(schedules).chain(alarms).chain(tables).chain(keys).chain(others);
    all.map(|(probe, advice)| Check { name: probe.name(), probe, advice }).collect()
}

impl Probe {
    fn name(self) -> String {
        match self {
            Self::Exports => "exports".to_owned(),
            Self::Waiting(queue) | Self::DeadLetters(queue) => <&str>::from(queue).to_owned(),
            Self::Schedule(schedule) => schedule.resource(),
            Self::Alarms => "alarms".to_owned(),
            Self::Table(table) => <&str>::from(table).to_owned(),
            Self::Key(key) => <&str>::from(key).to_owned(),
            Self::Archive => "archive".to_owned(),
            Self::Concurrency => "Lambda's concurrency".to_owned(),
            Self::Clock => "clock".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_and_schedule_is_checked() {
        assert_eq!(checks().len(), 1 + 17 + 8 + 1 + 3 + 3 + 3);
    }
}
