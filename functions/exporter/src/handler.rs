//! The handler of an invocation: the dispatch of a slot, runs, or the approval to skip a corrupt block.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use export_engine::GzipEncoders;
use export_runs::Exporter;
use lambda_runtime::{Error, LambdaEvent};
use serde::{Deserialize, Serialize};

use crate::{
    dispatch::{DispatchOutcome, DispatchRequest, dispatch_slot},
    skip::{SkipApproval, approve},
};

/// The payload of an invocation, recognised by its shape.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum ExporterEvent {
    /// From a schedule.
    Dispatch { dispatch: DispatchRequest },
    /// From an operator.
    ApproveSkip {
        #[serde(rename = "approveSkip")]
        approve_skip: SkipApproval,
    },
    /// From a run queue.
    Runs(SqsEvent),
}

/// The outcome of an invocation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ExporterOutcome {
    Dispatched(DispatchOutcome),
    SkipApproved(SkipApproval),
    Runs(SqsBatchResponse),
}

pub(crate) async fn handle(
    exporter: &Exporter<GzipEncoders>,
    event: LambdaEvent<ExporterEvent>,
) -> Result<ExporterOutcome, Error> {
    Ok(match event.payload {
        ExporterEvent::Dispatch { dispatch } => ExporterOutcome::Dispatched(dispatch_slot(exporter, &dispatch).await?),
        ExporterEvent::ApproveSkip { approve_skip } => {
            ExporterOutcome::SkipApproved(approve(exporter, approve_skip).await?)
        }
        ExporterEvent::Runs(batch) => ExporterOutcome::Runs(exporter.run_batch(batch, &event.context).await),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_the_payload_identifies_the_caller() {
        let dispatch = r#"{"dispatch":{"interval":"EVERY_2_HOURS","scheduledTime":"2026-11-22T02:20:00Z"}}"#;
        assert!(matches!(serde_json::from_str(dispatch).unwrap(), ExporterEvent::Dispatch { .. }));
        let approval =
            r#"{"approveSkip":{"tenantId":"acme","blockId":"01M805D1C10000000000000007","reason":"damaged"}}"#;
        assert!(matches!(serde_json::from_str(approval).unwrap(), ExporterEvent::ApproveSkip { .. }));
        let two_lines = approval.replace("damaged", r"two\nlines");
        assert!(serde_json::from_str::<ExporterEvent>(&two_lines).is_err(), "{two_lines}");
        let runs =
            r#"{"Records":[{"messageId":"1","receiptHandle":"r","body":"{}","attributes":{},"messageAttributes":{}}]}"#;
        assert!(matches!(serde_json::from_str(runs).unwrap(), ExporterEvent::Runs(event) if event.records.len() == 1));
        assert!(serde_json::from_str::<ExporterEvent>("{}").is_err());
    }
}
