//! A customer's connection with a given behaviour, for connection tests.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::{
    configuration::{ConfigurationKey, Destination, ExportConfiguration, arn::UserArn, test_support::with_role},
    connection::Connection,
    connection_test::progress::ConnectionTestProgress,
    notice::gap::SignedGap,
    object_key,
    time::Timestamp,
};
use host::{Clock, Timer};
use tokio::time::Instant;

use crate::ports::{
    ConfigurationStore, Connected, Connector, ContentType, ObjectSink, PartOutcome, PortError, ProbeOutcome, ProbeWith,
    PutCondition, PutObject, PutOutcome, RunReport, TestProgressStore, UploadId, UploadedPart,
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
    pub storing_marker: Behavior,
    pub marker: PutOutcome,
    /// What becomes of a second write of the marker.
    pub marker_again: PutOutcome,
    /// The behaviour of a write that replaces the marker with wrong bytes.
    pub replacing: Behavior,
    pub start: Instant,
    /// The duration of storing the outcome of a test.
    pub storing: Duration,
    /// The behaviour of storing the progress of a test, and how long it takes.
    pub storing_progress: (Behavior, Duration),
    /// The duration of each trial.
    pub trying: Duration,
    pub seen: Arc<Mutex<Seen>>,
}

/// The calls that a [`ConnectionWorld`] received.
#[derive(Debug, Default)]
pub struct Seen {
    pub connected_at: Vec<Duration>,
    pub probes: usize,
    pub stored: Vec<Connection>,
    /// The stored states of progress, and when each was stored.
    pub progress: Vec<(Duration, ConnectionTestProgress)>,
    /// The keys and conditions of the trials.
    pub trials: Vec<(String, PutCondition)>,
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
            storing_marker: Behavior::Succeeds,
            marker: PutOutcome::Written,
            marker_again: PutOutcome::Exists { was_repeated: false },
            replacing: Behavior::Succeeds,
            start: Instant::now(),
            storing: Duration::ZERO,
            storing_progress: (Behavior::Succeeds, Duration::ZERO),
            trying: Duration::ZERO,
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

impl TestProgressStore for ConnectionWorld {
    async fn store_progress(&self, key: &ConfigurationKey, progress: &ConnectionTestProgress) -> Result<(), PortError> {
        assert_eq!(*key, self.configuration.key);
        let (behavior, duration) = self.storing_progress;
        tokio::time::sleep(duration).await;
        behavior.happen().await?;
        self.seen().progress.push((self.start.elapsed(), progress.clone()));
        Ok(())
    }
}

/// The bucket of a [`ConnectionWorld`].
#[derive(Debug)]
pub struct Bucket {
    world: ConnectionWorld,
    has_marker: AtomicBool,
}

impl ObjectSink for Bucket {
    async fn put_object(&self, object: PutObject<'_>) -> Result<PutOutcome, PortError> {
        assert!(object.key.ends_with(object_key::MARKER_NAME) && object.content_type == ContentType::Text);
        let is_on_server = self.world.configuration.destination.site.server().is_some();
        let is_again = self.has_marker.load(Ordering::Relaxed);
        let replaces = is_on_server && !is_again;
        assert_eq!(object.condition, if replaces { PutCondition::Replace } else { PutCondition::Absent });
        if is_again {
            return Ok(self.world.marker_again.clone());
        }
        self.world.storing_marker.happen().await?;
        let is_there = matches!(self.world.marker, PutOutcome::Written | PutOutcome::Exists { .. });
        self.has_marker.store(is_there, Ordering::Relaxed);
        Ok(self.world.marker.clone())
    }

    async fn try_put(&self, key: &str, condition: PutCondition) -> Result<(), PortError> {
        self.world.seen().trials.push((key.to_owned(), condition));
        tokio::time::sleep(self.world.trying).await;
        match condition {
            PutCondition::Absent => self.world.writing.happen().await,
            PutCondition::Replace => self.world.replacing.happen().await,
        }
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
        let sink = Bucket { world: self.clone(), has_marker: AtomicBool::new(false) };
        Ok(Connected { sink, user_arn: None })
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
