//! The connection test: the service can write to the bucket, and no other tenant can do so through the service.

#[cfg(test)]
mod tests;

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use domain::{
    configuration::{ConfigurationKey, ExportConfiguration, arn::UserArn},
    connection::{Connection, ConnectionFailure, ConnectionStatus},
    connection_test::progress::TestStep,
    object_key,
    policy::AccountScope,
    time::Timestamp,
};
use futures::future::{Either, select};
use host::{Clock, Timer};
use sha2::{Digest, Sha256};

use crate::{
    outage::as_passing,
    ports::{
        ConfigurationStore, Connected, Connector, ContentType, ErrorKind, ObjectSink, PortError, ProbeOutcome,
        ProbeWith, PutCondition, PutObject, PutOutcome,
    },
    upload::{Upload, UploadShape, upload},
};

/// The time for which assuming a role is retried: changes in IAM take a while to arrive everywhere.
pub const ASSUME_ROLE_PATIENCE: Duration = Duration::from_secs(10);

/// The wait between two attempts.
const ASSUME_ROLE_WAIT: Duration = Duration::from_secs(2);

/// The age from which a run repeats a successful test: a trust policy can be opened at any time.
pub const TEST_VALIDITY: Duration = Duration::from_hours(24);

/// A tested connection as it is stored. The user is known also if the test failed: the missing bucket policy has to name
/// it. The verifier returns it as a `ConnectionTestOutcome`, in which only a success has a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestedConnection {
    pub connection: Connection,
    /// The owner of the access key, if there is one and AWS accepted it.
    pub user_arn: Option<UserArn>,
}

/// Whoever watches a test while it runs. The calls return at once.
pub trait TestWatch: Send + Sync {
    /// A test of `configuration` begins.
    fn started(&self, configuration: &ExportConfiguration);

    /// A step of the test has succeeded.
    fn reached(&self, step: TestStep);
}

/// Nobody watches.
impl TestWatch for () {
    fn started(&self, _configuration: &ExportConfiguration) {}

    fn reached(&self, _step: TestStep) {}
}

/// A test of connections that stores its outcome.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionTest<'a, S, N, K> {
    pub configurations: &'a S,
    pub connector: &'a N,
    pub clock: &'a K,
}

impl<S: ConfigurationStore, N: Connector, K: Clock + Timer> ConnectionTest<'_, S, N, K> {
    /// Tests the configuration's connection within `budget` and stores the outcome. `None`: there is no such configuration.
    ///
    /// # Errors
    /// Transient, unreachable and internal ones. The customer's side has no part in them, so the stored status stays.
    pub async fn run(
        &self,
        key: &ConfigurationKey,
        budget: Duration,
        watch: &impl TestWatch,
    ) -> Result<Option<Connection>, PortError> {
        let Some(configuration) = self.configurations.load(key).await? else { return Ok(None) };
        let TestedConnection { connection, user_arn } = self.try_out(&configuration, budget, watch).await?;
        self.configurations.store_connection(key, configuration.version, &connection, user_arn.as_ref()).await?;
        Ok(Some(connection))
    }

    /// Tests the connection and stores nothing. After `budget`, the endpoint counts as one that does not answer.
    ///
    /// # Errors
    /// As [`ConnectionTest::run`].
    pub async fn try_out(
        &self,
        configuration: &ExportConfiguration,
        budget: Duration,
        watch: &impl TestWatch,
    ) -> Result<TestedConnection, PortError> {
        watch.started(configuration);
        let test = pin!(async {
            match self.connect_patiently(configuration).await {
                Ok(Connected { sink, user_arn }) => (self.check_with(&sink, configuration, watch).await, user_arn),
                Err(error) => (Err(error), None),
            }
        });
        let (outcome, user_arn) = match select(test, pin!(self.clock.sleep(budget))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), _)) => {
                let detail = format!("no outcome within {budget:?}");
                (Err(PortError::customer("test connection", ConnectionFailure::EndpointUnreachable, detail)), None)
            }
        };
        let outcome = outcome.map_err(|error| unless_answered_before(error, configuration));
        let writer = user_arn.as_ref().map(UserArn::account).or_else(|| configuration.writer_account());
        let scope = AccountScope::of(&configuration.destination, writer);
        Ok(TestedConnection {
            connection: connection_after(outcome, configuration, scope, self.clock.now())?,
            user_arn,
        })
    }

    /// Tests everything that an export needs, and stores nothing.
    ///
    /// # Errors
    /// That of the first step that failed.
    pub async fn check(&self, configuration: &ExportConfiguration) -> Result<(), PortError> {
        let checked = match self.connect_patiently(configuration).await {
            Ok(Connected { sink, .. }) => self.check_with(&sink, configuration, &()).await,
            Err(error) => Err(error),
        };
        checked.map_err(|error| unless_answered_before(error, configuration))
    }

    /// Tests everything unless that has succeeded lately, and stores a success. A failure is the caller's to store.
    pub(crate) async fn check_if_due(&self, configuration: &ExportConfiguration) -> Result<(), PortError> {
        let is_fresh = match configuration.connection {
            Connection::Success { checked_at } => self.clock.now().saturating_since(checked_at) <= TEST_VALIDITY,
            Connection::Pending | Connection::Failed { .. } => false,
        };
        if is_fresh {
            return Ok(());
        }
        self.check(configuration).await?;
        let success = Connection::Success { checked_at: self.clock.now() };
        self.configurations.store_connection(&configuration.key, configuration.version, &success, None).await
    }

    async fn check_with(
        &self,
        sink: &N::Sink,
        configuration: &ExportConfiguration,
        watch: &impl TestWatch,
    ) -> Result<(), PortError> {
        watch.reached(TestStep::Connected);
        // After connecting: as long as the role can't be assumed at all, a refused probe proves nothing.
        for with in [ProbeWith::NoExternalId, ProbeWith::AnotherExternalId] {
            if self.connector.probe(configuration, with).await? == Some(ProbeOutcome::Granted) {
                let detail = format!("assumed the role with {with:?}");
                return Err(PortError::customer("probe role", ConnectionFailure::TrustPolicyTooOpen, detail));
            }
        }
        watch.reached(TestStep::Probed);
        let is_on_server = configuration.destination.site.server().is_some();
        // The marker lies beside the prefix of the export's objects, so a policy may permit it alone.
        let trials = object_key::trials(&configuration.destination, configuration.key.configuration_id);
        if !is_on_server {
            for trial in &trials {
                sink.try_put(trial, PutCondition::Absent).await?;
                watch.reached(TestStep::BucketAnswered);
            }
        }
        let (tested, shape) = if is_on_server {
            // A server that can't store anything refuses wrong bytes and second writes as well. So each test needs a success.
            ("Last tested", UploadShape::Replacing)
        } else {
            // The marker of an earlier test stays: S3 checks permissions before it answers that the object exists.
            ("First tested", UploadShape::Single)
        };
        let bytes = Bytes::from(marker_text(configuration, tested, self.clock.now()));
        let marker = Upload {
            key: &object_key::marker(&configuration.destination),
            sha256: Sha256::digest(&bytes).into(),
            // One request, as every object of a new window: no request of an export needs more permissions.
            shape,
            content_type: ContentType::Text,
            bytes,
        };
        upload(sink, self.clock, &marker).await?;
        watch.reached(TestStep::BucketAnswered);
        if is_on_server {
            self.check_server(sink, &marker).await?;
            // Only now is it known that this leaves no object. The key is free, so a server that takes every condition for failed
            // is noticed here.
            for trial in &trials {
                sink.try_put(trial, PutCondition::Absent).await?;
            }
        }
        Ok(())
    }

    /// Checks what an export relies on, and what servers other than AWS's may lack: conditional writes, and the refusal of wrong
    /// bytes. Nothing but the marker, which was just written, is written.
    async fn check_server(&self, sink: &N::Sink, marker: &Upload<'_>) -> Result<(), PortError> {
        let operation = "s3:PutObject (again)";
        let again = PutObject {
            key: marker.key,
            bytes: marker.bytes.clone(),
            sha256: marker.sha256,
            content_type: marker.content_type,
            condition: PutCondition::Absent,
        };
        match sink.put_object(again).await? {
            PutOutcome::Exists { .. } => {}
            PutOutcome::Written => {
                let failure = ConnectionFailure::ConditionalWritesMissing;
                return Err(PortError::customer(operation, failure, "the marker was replaced"));
            }
            PutOutcome::Lost => return Err(PortError::transient(operation, "the state of the marker is unknown")),
            PutOutcome::Aborted(error) => return Err(error),
        }
        sink.try_put(marker.key, PutCondition::Replace).await
    }

    async fn connect_patiently(&self, configuration: &ExportConfiguration) -> Result<Connected<N::Sink>, PortError> {
        let give_up_at = self.clock.now().saturating_add(ASSUME_ROLE_PATIENCE);
        loop {
            let answer = self.connector.connect_new(configuration, &configuration.destination).await;
            match answer {
                Err(error)
                    if error.kind == ErrorKind::Customer(ConnectionFailure::RoleNotAssumable)
                        && self.clock.now().saturating_add(ASSUME_ROLE_WAIT) <= give_up_at =>
                {
                    self.clock.sleep(ASSUME_ROLE_WAIT).await;
                }
                answer => return answer,
            }
        }
    }
}

/// Turns an unreachable endpoint into a failure that passes if it has answered before. One that never answered concerns the
/// customer: the Region may not exist. So does a Region that the service's account has not enabled, unless the connection worked:
/// every tenant can name one.
fn unless_answered_before(error: PortError, configuration: &ExportConfiguration) -> PortError {
    let is_known = match error.kind {
        ErrorKind::Customer(ConnectionFailure::RegionNotOffered) => {
            configuration.connection.status() == ConnectionStatus::Success
        }
        _ => configuration.connection.has_answered(),
    };
    if is_known { as_passing(error, &configuration.destination.site) } else { error }
}

/// Returns the state of the connection after an operation with this outcome.
///
/// # Errors
/// That of `outcome`, unless the customer has to act on it.
pub(crate) fn connection_after(
    outcome: Result<(), PortError>,
    configuration: &ExportConfiguration,
    scope: AccountScope,
    now: Timestamp,
) -> Result<Connection, PortError> {
    match outcome {
        Ok(()) => Ok(Connection::Success { checked_at: now }),
        Err(PortError { kind: ErrorKind::Customer(failure), operation, detail, .. }) => {
            let key = &configuration.key;
            tracing::info!(tenant = %key.tenant_id, configuration = %key.configuration_id,
                code = %failure.code(), operation, detail, "the customer's side refused the connection");
            Ok(Connection::Failed { checked_at: now, error: failure.explain(&configuration.destination, scope) })
        }
        Err(error) => Err(error),
    }
}

fn marker_text(configuration: &ExportConfiguration, tested: &str, now: Timestamp) -> String {
    format!(
        "The audit log export {} can write to this bucket. {tested} at {now}.\n",
        configuration.key.configuration_id
    )
}
