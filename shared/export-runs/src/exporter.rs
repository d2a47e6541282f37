//! The services that an exporting function uses.

use aws_adapters::{
    archive::{records::ArchiveTable, segments::SegmentBucket},
    configurations::ConfigurationTable,
    connector::AwsConnector,
    customer_server::ServerConnections,
    digest_signer::KmsDigestSigner,
    events::reader::EventTableReader,
    export_history::ExportHistory,
    run_queue::RunQueueClient,
    runs::RunTable,
};
use aws_config::SdkConfig;
use domain::{
    archive::ArchiveTimes, block::EXPIRY_GRACE, configuration::bucket::BucketName, export_run::RunTrigger,
    retention::DEPLOY_MARGIN,
};
use export_engine::{
    archive::{ArchivedBlocks, ReaderSettings},
    ports::{Encoders, PortError},
    repair::RepairPorts,
    run::EnginePorts,
};
use function_runtime::lazy::{Lazy, lazily};
use host::Machine;
use lambda_runtime::Error;

use crate::settings::{QueueUrls, RunSettings};

/// The blocks of the table and of the archive.
pub(crate) type Blocks = ArchivedBlocks<EventTableReader, ArchiveTable, SegmentBucket, RunTable, Machine>;

/// A function that exports, with all services that it uses.
#[expect(missing_debug_implementations, reason = "its clients have none")]
pub struct Exporter<E> {
    pub configurations: ConfigurationTable,
    pub runs: RunTable,
    pub(crate) history: ExportHistory,
    pub(crate) blocks: Blocks,
    /// The function's own queues.
    pub queues: RunQueues,
    /// The queues of the function that makes the other formats. `None`: this one makes them all.
    pub(crate) converter: Option<RunQueues>,
    pub(crate) connector: Lazy<AwsConnector>,
    pub(crate) signer: Lazy<KmsDigestSigner>,
    pub machine: Machine,
    pub settings: RunSettings,
    pub(crate) encoders: E,
}

/// The queues of a function that exports.
#[expect(missing_debug_implementations, reason = "lazy values have none")]
pub struct RunQueues {
    /// The queue of scheduled runs.
    pub scheduled: Lazy<RunQueueClient>,
    /// The queue of manual runs, repairs and replays.
    pub manual: Lazy<RunQueueClient>,
}

impl RunQueues {
    fn new(aws: &SdkConfig, urls: QueueUrls) -> Self {
        let queue = |url: String| {
            let aws = aws.clone();
            lazily(move || RunQueueClient::new(aws_sdk_sqs::Client::new(&aws), url))
        };
        Self { scheduled: queue(urls.scheduled), manual: queue(urls.manual) }
    }

    /// Returns the queue of the runs with this trigger.
    pub(crate) fn queue(&self, trigger: RunTrigger) -> &RunQueueClient {
        match trigger {
            RunTrigger::Schedule => &self.scheduled,
            RunTrigger::Manual => &self.manual,
        }
    }
}

impl<E: Encoders> EnginePorts for Exporter<E> {
    type Configurations = ConfigurationTable;
    type Runs = RunTable;
    type Blocks = Blocks;
    type Connector = AwsConnector;
    type Signer = KmsDigestSigner;
    type Encoders = E;
    type Clock = Machine;
}

impl<E: Encoders> RepairPorts for Exporter<E> {
    type Repairs = ConfigurationTable;
    type Windows = ExportHistory;
}

impl<E: Encoders + Send + 'static> Exporter<E> {
    /// Returns a function with these encoders, whose services the first invocation creates: it is asked for before.
    /// `converter`: the queues of the function that makes the other formats.
    ///
    /// # Errors
    /// Those of the certificates of local servers.
    pub fn prepare(
        aws: SdkConfig,
        settings: RunSettings,
        converter: Option<QueueUrls>,
        encoders: E,
    ) -> Result<Lazy<Self>, Error> {
        let servers = ServerConnections::new(settings.local_servers.servers(), settings.local_servers.certificates()?)?;
        Ok(lazily(move || Self::new(aws, servers, settings, converter, encoders)))
    }
}

impl<E: Encoders> Exporter<E> {
    fn new(
        aws: SdkConfig,
        servers: ServerConnections,
        settings: RunSettings,
        converter: Option<QueueUrls>,
        encoders: E,
    ) -> Self {
        let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
        Self {
            configurations: ConfigurationTable::new(dynamodb.clone(), settings.configurations_table.clone()),
            runs: RunTable::new(dynamodb.clone(), settings.runs_table.clone()),
            history: ExportHistory::new(dynamodb.clone(), settings.runs_table.clone()),
            blocks: ArchivedBlocks::new(
                EventTableReader::new(dynamodb.clone(), settings.events_table.clone()),
                ArchiveTable::new(dynamodb.clone(), settings.events_table.clone()),
                SegmentBucket::new(&aws, settings.archive_bucket.clone()),
                RunTable::new(dynamodb, settings.runs_table.clone()),
                Machine,
                reader_settings(settings.archive_bucket.clone(), settings.archive_times),
            ),
            queues: RunQueues::new(&aws, settings.queues.clone()),
            converter: converter.map(|urls| RunQueues::new(&aws, urls)),
            signer: lazily({
                let (aws, key_arn) = (aws.clone(), settings.signing_key_arn.clone());
                move || KmsDigestSigner::new(aws_sdk_kms::Client::new(&aws), key_arn)
            }),
            connector: lazily({
                let key_arn = settings.secret_key_arn.clone();
                move || AwsConnector::new(aws, servers, key_arn, Machine)
            }),
            machine: Machine,
            settings,
            encoders,
        }
    }

    /// Returns the queue of the runs with this trigger.
    pub(crate) fn queue(&self, trigger: RunTrigger) -> &RunQueueClient {
        self.queues.queue(trigger)
    }

    /// Returns the queue of the function that makes the other formats.
    ///
    /// # Errors
    /// Internal: this one makes all that are known.
    pub(crate) fn converter_queue(&self, trigger: RunTrigger) -> Result<&RunQueueClient, PortError> {
        let converter = self.converter.as_ref().map(|queues| queues.queue(trigger));
        converter.ok_or_else(|| PortError::internal("queue run", "no function of this release makes the format"))
    }
}

fn reader_settings(bucket: BucketName, times: ArchiveTimes) -> ReaderSettings {
    ReaderSettings { bucket, times, grace: EXPIRY_GRACE, deploy_margin: DEPLOY_MARGIN }
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_config::BehaviorVersion;
    use domain::customer_server::CustomerServers;
    use export_engine::GzipEncoders;

    use super::*;
    use crate::settings::tests::settings;

    /// Returns an exporter that can reach only its queues with these URLs, and those of the converter, `c-…`.
    pub(crate) fn exporter(
        sqs: &aws_sdk_sqs::Client,
        [scheduled, manual]: [&'static str; 2],
    ) -> Exporter<GzipEncoders> {
        let nowhere = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let dynamodb = aws_sdk_dynamodb::Client::new(&nowhere);
        let queue = |url: &str| {
            let queue = RunQueueClient::new(sqs.clone(), url.to_owned());
            lazily(move || queue)
        };
        let kms = aws_sdk_kms::Client::new(&nowhere);
        let bucket = BucketName::parse("archive").unwrap();
        let servers = ServerConnections::new(CustomerServers::Public, None).unwrap();
        Exporter {
            configurations: ConfigurationTable::new(dynamodb.clone(), "configurations".to_owned()),
            runs: RunTable::new(dynamodb.clone(), "runs".to_owned()),
            history: ExportHistory::new(dynamodb.clone(), "runs".to_owned()),
            blocks: ArchivedBlocks::new(
                EventTableReader::new(dynamodb.clone(), "events".to_owned()),
                ArchiveTable::new(dynamodb.clone(), "events".to_owned()),
                SegmentBucket::new(&nowhere, bucket.clone()),
                RunTable::new(dynamodb, "runs".to_owned()),
                Machine,
                reader_settings(bucket, ArchiveTimes::PRODUCTION),
            ),
            queues: RunQueues { scheduled: queue(scheduled), manual: queue(manual) },
            converter: Some(RunQueues {
                scheduled: queue(&format!("c-{scheduled}")),
                manual: queue(&format!("c-{manual}")),
            }),
            connector: lazily(move || AwsConnector::new(nowhere, servers, "arn".to_owned(), Machine)),
            signer: lazily(move || KmsDigestSigner::new(kms, "arn".to_owned())),
            machine: Machine,
            settings: settings(),
            encoders: GzipEncoders::CURRENT,
        }
    }
}
