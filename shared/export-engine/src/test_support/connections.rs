//! A customer's connection with a given behaviour, for connection tests.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use domain::{
    configuration::{ConfigurationKey, Destination, ExportConfiguration, arn::UserArn, test_support::with_role},
    connection::Connection,
    notice::gap::SignedGap,
    object_key,
    time::Timestamp,
};
use host::{Clock, Timer};
use tokio::time::Instant;

use crate::ports::{
    ConfigurationStore, Connected, Connector, ContentType, ObjectSink, PartOutcome, PortError, ProbeOutcome, ProbeWith,
    PutObject, PutOutcome, RunReport, UploadId, UploadedPart,
};

/// The behaviour of a call to AWS.
#[derive(Clone, Copy, Debug)]
pub enum Behavior {
    Succeeds,
    Fails(fn() -> PortError),
    Hangs,
}

impl Behavior {
    async fn happen(self) -> Result<(), PortError> {
        match self {
            Self::Succeeds => Ok(()),
            Self::Fails(error) => Err(error()),
            Self::Hangs => std::future::pending().await,
        }
    }
}

/// One stored configuration, and AWS with this behaviour. The clock is tokio's. Clones share what was seen.
#[derive(Clone, Debug)]
pub struct ConnectionWorld {
    pub configuration: ExportConfiguration,
    pub connecting: Behavior,
    /// The time from which connecting succeeds.
    pub assumable_after: Option<Duration>,
    pub probing: Behavior,
    pub writing: Behavior,
    pub marker: PutOutcome,
    pub start: Instant,
    /// The duration of storing the outcome of a test.
    pub storing: Duration,
    pub seen: Arc<Mutex<Seen>>,
}

/// The calls that a [`ConnectionWorld`] received.
#[derive(Debug, Default)]
pub struct Seen {
    pub connected_at: Vec<Duration>,
    pub probes: usize,
    pub stored: Vec<Connection>,
}

impl ConnectionWorld {
    /// Returns a world in which everything succeeds at once.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self {
            configuration: ExportConfiguration { connection, ..with_role() },
            connecting: Behavior::Succeeds,
            assumable_after: None,
            probing: Behavior::Succeeds,
            writing: Behavior::Succeeds,
            marker: PutOutcome::Written,
            start: Instant::now(),
            storing: Duration::ZERO,
            seen: Arc::default(),
        }
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

impl Clock for ConnectionWorld {
    fn now(&self) -> Timestamp {
        with_role().created_at.saturating_add(self.start.elapsed())
    }
}

impl Timer for ConnectionWorld {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl ConfigurationStore for ConnectionWorld {
    async fn load(&self, key: &ConfigurationKey) -> Result<Option<ExportConfiguration>, PortError> {
        Ok((*key == self.configuration.key).then(|| self.configuration.clone()))
    }

    async fn store_connection(
        &self,
        _key: &ConfigurationKey,
        version: u64,
        connection: &Connection,
        _user_arn: Option<&UserArn>,
    ) -> Result<(), PortError> {
        assert_eq!(version, self.configuration.version);
        tokio::time::sleep(self.storing).await;
        self.seen().stored.push(connection.clone());
        Ok(())
    }

    async fn store_run(&self, _key: &ConfigurationKey, _report: &RunReport) -> Result<(), PortError> {
        unreachable!("a test does not run an export")
    }

    async fn store_signed_gap(&self, _key: &ConfigurationKey, _gap: &SignedGap) -> Result<(), PortError> {
        unreachable!("a test does not run an export")
    }

    async fn clear_run_request(
        &self,
        _key: &ConfigurationKey,
        _through: Timestamp,
    ) -> Result<Option<Timestamp>, PortError> {
        unreachable!("a test does not run an export")
    }
}

/// The bucket of a [`ConnectionWorld`].
#[derive(Debug)]
pub struct Bucket {
    writing: Behavior,
    marker: PutOutcome,
}

impl ObjectSink for Bucket {
    async fn put_object(&self, object: PutObject<'_>) -> Result<PutOutcome, PortError> {
        assert!(object.key.ends_with(object_key::MARKER_NAME) && object.content_type == ContentType::Text);
        Ok(self.marker.clone())
    }

    async fn try_put(&self, _key: &str) -> Result<(), PortError> {
        self.writing.happen().await
    }

    async fn create_multipart_upload(&self, _key: &str, _type: ContentType) -> Result<UploadId, PortError> {
        unreachable!("the marker is one request")
    }

    async fn upload_part(
        &self,
        _key: &str,
        _upload: &UploadId,
        _number: u16,
        _bytes: Bytes,
    ) -> Result<PartOutcome, PortError> {
        unreachable!("the marker is one request")
    }

    async fn complete_multipart_upload(
        &self,
        _key: &str,
        _upload: &UploadId,
        _parts: &[UploadedPart],
    ) -> Result<PutOutcome, PortError> {
        unreachable!("the marker is one request")
    }
}

impl Connector for ConnectionWorld {
    type Sink = Bucket;

    async fn connect_new(
        &self,
        _configuration: &ExportConfiguration,
        _destination: &Destination,
    ) -> Result<Connected<Bucket>, PortError> {
        let elapsed = self.start.elapsed();
        self.seen().connected_at.push(elapsed);
        if self.assumable_after.is_none_or(|after| elapsed < after) {
            self.connecting.happen().await?;
        }
        Ok(Connected { sink: Bucket { writing: self.writing, marker: self.marker.clone() }, user_arn: None })
    }

    async fn connect(
        &self,
        _configuration: &ExportConfiguration,
        _destination: &Destination,
    ) -> Result<Bucket, PortError> {
        unreachable!("a test makes a new connection")
    }

    async fn probe(
        &self,
        _configuration: &ExportConfiguration,
        _with: ProbeWith,
    ) -> Result<Option<ProbeOutcome>, PortError> {
        self.seen().probes += 1;
        self.probing.happen().await?;
        Ok(Some(ProbeOutcome::Refused))
    }
}
