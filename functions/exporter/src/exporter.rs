//! The services that the exporter uses.

use aws_adapters::{
    configurations::ConfigurationTable, connector::AwsConnector, digest_signer::KmsDigestSigner,
    events::reader::EventTableReader, export_history::ExportHistory, run_queue::RunQueueClient, runs::RunTable,
};
use domain::export_run::RunTrigger;
use export_engine::{GzipEncoders, repair::RepairPorts, run::EnginePorts};
use function_runtime::lazy::Lazy;
use host::Machine;

use crate::settings::Settings;

/// The exporter with all services that it uses.
pub(crate) struct Exporter {
    pub(crate) configurations: ConfigurationTable,
    pub(crate) runs: RunTable,
    pub(crate) history: ExportHistory,
    pub(crate) blocks: EventTableReader,
    /// The queue of scheduled runs.
    pub(crate) scheduled_queue: Lazy<RunQueueClient>,
    /// The queue of manual runs.
    pub(crate) manual_queue: Lazy<RunQueueClient>,
    pub(crate) connector: Lazy<AwsConnector>,
    pub(crate) signer: Lazy<KmsDigestSigner>,
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
}

impl EnginePorts for Exporter {
    type Configurations = ConfigurationTable;
    type Runs = RunTable;
    type Blocks = EventTableReader;
    type Connector = AwsConnector;
    type Signer = KmsDigestSigner;
    type Encoders = GzipEncoders;
    type Clock = Machine;
}

impl RepairPorts for Exporter {
    type Repairs = ConfigurationTable;
    type Windows = ExportHistory;
}

impl Exporter {
    /// Returns the queue of the runs with this trigger.
    pub(crate) fn queue(&self, trigger: RunTrigger) -> &RunQueueClient {
        match trigger {
            RunTrigger::Schedule => &self.scheduled_queue,
            RunTrigger::Manual => &self.manual_queue,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_adapters::customer_server::ServerConnections;
    use aws_config::{BehaviorVersion, SdkConfig};
    use domain::customer_server::CustomerServers;
    use function_runtime::lazy::lazily;

    use super::*;
    use crate::settings::tests::settings;

    /// Returns an exporter that can reach only the queues with these URLs.
    pub(crate) fn exporter(sqs: &aws_sdk_sqs::Client, [scheduled, manual]: [&'static str; 2]) -> Exporter {
        let nowhere = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let dynamodb = aws_sdk_dynamodb::Client::new(&nowhere);
        let queue = |url: &str| {
            let queue = RunQueueClient::new(sqs.clone(), url.to_owned());
            lazily(move || queue)
        };
        let kms = aws_sdk_kms::Client::new(&nowhere);
        let servers = ServerConnections::new(CustomerServers::Public, None).unwrap();
        Exporter {
            configurations: ConfigurationTable::new(dynamodb.clone(), "configurations".to_owned()),
            runs: RunTable::new(dynamodb.clone(), "runs".to_owned()),
            history: ExportHistory::new(dynamodb.clone(), "runs".to_owned()),
            blocks: EventTableReader::new(dynamodb, "events".to_owned()),
            scheduled_queue: queue(scheduled),
            manual_queue: queue(manual),
            connector: lazily(move || AwsConnector::new(nowhere, servers, "arn".to_owned(), Machine)),
            signer: lazily(move || KmsDigestSigner::new(kms, "arn".to_owned())),
            machine: Machine,
            settings: settings(),
        }
    }
}
