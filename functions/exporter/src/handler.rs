//! What an invocation asks for: the dispatch of a slot, runs, or the approval to leave a corrupt block out.

use aws_adapters::{
    configurations::ConfigurationTable, connector::AwsConnector, digest_signer::KmsDigestSigner,
    events::reader::EventTableReader, run_queue::RunQueueClient, runs::RunTable,
};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use function_runtime::lazy::Lazy;
use host::Machine;
use lambda_runtime::{Error, LambdaEvent};
use serde::{Deserialize, Serialize};

use crate::{
    dispatch::{DispatchAnswer, DispatchRequest},
    settings::Settings,
    skip::SkipApproval,
};

/// The exporter with everything it works on.
pub(crate) struct Exporter {
    pub(crate) configurations: ConfigurationTable,
    pub(crate) runs: RunTable,
    pub(crate) blocks: EventTableReader,
    pub(crate) queue: Lazy<RunQueueClient>,
    /// Of the runs that a person asked for.
    pub(crate) manual_queue: Lazy<RunQueueClient>,
    pub(crate) connector: Lazy<AwsConnector>,
    pub(crate) signer: Lazy<KmsDigestSigner>,
    pub(crate) clock: Machine,
    pub(crate) settings: Settings,
}

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

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ExporterAnswer {
    Dispatched(DispatchAnswer),
    SkipApproved(SkipApproval),
    Runs(SqsBatchResponse),
}

impl Exporter {
    pub(crate) async fn handle(&self, event: LambdaEvent<ExporterEvent>) -> Result<ExporterAnswer, Error> {
        match event.payload {
            ExporterEvent::Dispatch { dispatch } => Ok(ExporterAnswer::Dispatched(self.dispatch(&dispatch).await?)),
            ExporterEvent::ApproveSkip { approve_skip } => {
                Ok(ExporterAnswer::SkipApproved(self.approve_skip(approve_skip).await?))
            }
            ExporterEvent::Runs(batch) => Ok(ExporterAnswer::Runs(self.run_batch(batch, &event.context).await)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_config::{BehaviorVersion, SdkConfig};
    use function_runtime::lazy::lazily;

    use super::*;
    use crate::settings::tests::settings;

    /// An exporter that reaches nothing but these queues: that of the schedule, and that of people.
    pub(crate) fn exporter(sqs: &aws_sdk_sqs::Client, [scheduled, manual]: [&'static str; 2]) -> Exporter {
        let nowhere = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let dynamodb = aws_sdk_dynamodb::Client::new(&nowhere);
        let queue = |url: &str| {
            let queue = RunQueueClient::new(sqs.clone(), url.to_owned());
            lazily(move || queue)
        };
        let kms = aws_sdk_kms::Client::new(&nowhere);
        Exporter {
            configurations: ConfigurationTable::new(dynamodb.clone(), "configurations".to_owned()),
            runs: RunTable::new(dynamodb.clone(), "runs".to_owned()),
            blocks: EventTableReader::new(dynamodb, "events".to_owned()),
            queue: queue(scheduled),
            manual_queue: queue(manual),
            connector: lazily(move || AwsConnector::new(nowhere, "arn".to_owned(), Machine)),
            signer: lazily(move || KmsDigestSigner::new(kms, "arn".to_owned())),
            clock: Machine,
            settings: settings(),
        }
    }

    #[test]
    fn the_shape_of_the_payload_tells_who_calls() {
        let dispatch = r#"{"dispatch":{"interval":"EVERY_2_HOURS","scheduledTime":"2026-11-22T02:20:00Z"}}"#;
        assert!(matches!(serde_json::from_str(dispatch).unwrap(), ExporterEvent::Dispatch { .. }));
        let approval =
            r#"{"approveSkip":{"tenantId":"acme","blockId":"01M805D1C10000000000000007","reason":"damaged"}}"#;
        assert!(matches!(serde_json::from_str(approval).unwrap(), ExporterEvent::ApproveSkip { .. }));
        let runs =
            r#"{"Records":[{"messageId":"1","receiptHandle":"r","body":"{}","attributes":{},"messageAttributes":{}}]}"#;
        assert!(matches!(serde_json::from_str(runs).unwrap(), ExporterEvent::Runs(event) if event.records.len() == 1));
        assert!(serde_json::from_str::<ExporterEvent>("{}").is_err());
    }
}
