//! The handler of a scheduled pass.

use std::time::Duration;

use aws_adapters::{
    archive::{records::ArchiveTable, segments::SegmentBucket},
    events::reader::EventTableReader,
    runs::RunTable,
};
use domain::{block::EXPIRY_GRACE, retention::DEPLOY_MARGIN, time::Timestamp};
use export_engine::{
    archive::{ArchiveOutcome, Archiver, ArchiverSettings},
    ports::SeenRetentions,
};
use function_runtime::deadline_before;
use host::{Machine, Random};
use lambda_runtime::{Context, Error, LambdaEvent};
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// The time of an invocation in which no further segment is begun. It is longer than the time after the threshold of
/// `ArchiverFunctionDurationAlarm`, so that a pass that uses all of its time raises no alarm.
const DEADLINE_MARGIN: Duration = Duration::from_mins(2);

/// The tenants that are archived at a time. Each takes up to 100 MB: a segment of 32 MiB, and the pages of 16 shards.
const CONCURRENCY: usize = 4;

/// The function with all services that it uses.
pub(crate) struct ArchiverFunction {
    pub(crate) blocks: EventTableReader,
    pub(crate) records: ArchiveTable,
    pub(crate) segments: SegmentBucket,
    pub(crate) runs: RunTable,
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
}

/// The payload of an invocation, from a schedule. Unknown fields are refused.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ArchiverEvent {
    Archive(ArchiveRequest),
}

/// The request for a pass, which has no parameters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchiveRequest {}

/// The outcome of a pass.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ArchiveReport {
    tenants: u64,
    segments: u64,
    blocks: u64,
    stored_bytes: u64,
    failed: u64,
    is_complete: bool,
}

impl From<ArchiveOutcome> for ArchiveReport {
    fn from(outcome: ArchiveOutcome) -> Self {
        let ArchiveOutcome { tenants, segments, blocks, stored_bytes, failed, is_complete } = outcome;
        Self { tenants, segments, blocks, stored_bytes, failed, is_complete }
    }
}

impl ArchiverFunction {
    pub(crate) async fn handle(&self, event: LambdaEvent<ArchiverEvent>) -> Result<ArchiveReport, Error> {
        let LambdaEvent { payload: ArchiverEvent::Archive(ArchiveRequest {}), context } = event;
        if self.settings.terms.table().is_none() {
            tracing::info!("there is no archive: TableDays is 0, or not less than the retention");
            return Ok(ArchiveReport::from(ArchiveOutcome { is_complete: true, ..ArchiveOutcome::default() }));
        }
        let report = self.archive(&context).await.inspect_err(|error| tracing::error!(%error, "the pass failed"))?;
        let ArchiveReport { tenants, segments, blocks, stored_bytes, failed, is_complete } = report;
        tracing::info!(tenants, segments, blocks, stored_bytes, failed, is_complete, "blocks were archived");
        Ok(report)
    }

    async fn archive(&self, context: &Context) -> Result<ArchiveReport, Error> {
        let archiver = Archiver {
            table: &self.blocks,
            records: &self.records,
            store: &self.segments,
            corrupt: &self.runs,
            clock: &self.machine,
            settings: ArchiverSettings {
                bucket: self.settings.archive_bucket.clone(),
                settle: self.settings.settle,
                retention: self.settings.retention,
                history: self.runs.retention_history().await?,
                deploy_margin: DEPLOY_MARGIN,
                grace: EXPIRY_GRACE,
                times: self.settings.times,
                concurrency: CONCURRENCY,
                deadline: deadline(context),
            },
        };
        Ok(archiver.run(self.machine.bits()).await?.into())
    }
}

/// Returns the time after which no further segment is begun.
fn deadline(context: &Context) -> Timestamp {
    deadline_before(context.deadline, DEADLINE_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_asks_for_a_pass_and_nothing_else() {
        let parse = |text| serde_json::from_str::<ArchiverEvent>(text);
        assert!(parse(r#"{"archive":{}}"#).is_ok());
        for bad in ["{}", r#"{"archive":{"tenantId":"acme"}}"#, r#"{"archive":{},"sweep":{}}"#] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_answer_has_what_the_pass_did() {
        let outcome =
            ArchiveOutcome { tenants: 5, segments: 4, blocks: 3, stored_bytes: 2, failed: 1, is_complete: true };
        assert_eq!(
            serde_json::to_value(ArchiveReport::from(outcome)).unwrap(),
            serde_json::json!({"tenants": 5, "segments": 4, "blocks": 3, "storedBytes": 2, "failed": 1, "isComplete": true})
        );
    }

    #[test]
    fn no_segment_is_begun_in_the_last_two_minutes() {
        let mut context = Context::default();
        context.deadline = 1_000_000;
        assert_eq!(deadline(&context).as_millis(), 880_000);
    }
}
