//! Testing connections, of what is stored and of what an update would store.

use authentication::Caller;
use domain::{
    allowance::Allowance,
    configuration::{Authentication, Destination, ExportConfiguration, arn::UserArn, update::Update},
    connection::ConnectionError,
    connection_test::{Candidate, CandidateIdentity, ConnectionTestOutcome, progress::ConnectionTestProgress},
    time::Timestamp,
};

use super::shared::{Service, key_of};
use crate::error::ApiError;

/// A connection test that succeeded before the tested change was stored.
pub(super) struct PassedTest {
    pub(super) destination: Destination,
    pub(super) authentication: Authentication,
    pub(super) at: Timestamp,
    /// The owner of the access key, if there is one.
    pub(super) user_arn: Option<UserArn>,
}

impl PassedTest {
    /// Returns whether the test was of the configuration that `update` makes of `current`. The secret is the same
    /// throughout a request.
    pub(super) fn is_of(&self, current: &ExportConfiguration, update: &Update) -> bool {
        match update {
            Update::Nothing | Update::Plain(_) => false,
            Update::Connection { destination, role_arn, .. } => {
                let is_same = match role_arn {
                    None => self.authentication == current.authentication,
                    Some(arn) => {
                        matches!(&self.authentication, Authentication::AssumedRole { role_arn } if role_arn == arn)
                    }
                };
                is_same && self.destination == *destination
            }
            Update::AccessKey { destination, access_key_id: id, .. } => {
                let is_same = matches!(&self.authentication,
                    Authentication::AccessKey { access_key_id, .. } if access_key_id == id);
                is_same && self.destination == *destination
            }
        }
    }
}

impl Service {
    /// Tests the connection. If it works now and did not before, the export that is due starts.
    pub async fn test(&self, caller: &Caller, id: &str) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        // Without a configuration, no allowance is used and no function is invoked.
        let before = self.load(&key).await?;
        self.take(caller, Allowance::ConnectionTests).await?;
        self.ports.tester.test_stored(&key).await?;
        let tested = self.load(&key).await?;
        self.start_if_repaired(&before, &tested).await;
        Ok(tested)
    }

    /// Returns the configuration, and the progress of its connection test if one is running.
    pub async fn running_test(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<(ExportConfiguration, Option<ConnectionTestProgress>), ApiError> {
        let key = key_of(caller, id)?;
        let found = self.ports.configurations.load_with_progress(&key).await?;
        let (configuration, progress) = found.ok_or(ApiError::NotFound)?;
        let now = self.clock.now();
        Ok((configuration, progress.filter(|progress| progress.is_running(now))))
    }

    /// Tests a configuration that was just stored. If the test can't be made, the configuration stays untested.
    pub(super) async fn test_at_once(&self, stored: ExportConfiguration) -> Result<ExportConfiguration, ApiError> {
        if let Err(error) = self.ports.tester.test_stored(&stored.key).await {
            tracing::warn!(configuration = %stored.key.configuration_id, %error,
                "a configuration could not be tested; it stays PENDING");
            return Ok(stored);
        }
        let tested = self.load(&stored.key).await?;
        self.start_if_repaired(&stored, &tested).await;
        Ok(tested)
    }

    /// Tests the connection that `update` makes of `current`, before any of it is stored. `None`: `current` is no longer
    /// the stored configuration.
    pub(super) async fn test_before_storing(
        &self,
        current: &ExportConfiguration,
        update: &Update,
    ) -> Result<Option<PassedTest>, ApiError> {
        let (destination, identity, refusal): (_, _, fn(ConnectionError) -> ApiError) = match update {
            Update::Nothing | Update::Plain(_) => return Ok(None),
            Update::Connection { destination, role_arn, .. } => {
                let identity = role_arn.clone().map_or(CandidateIdentity::Kept, CandidateIdentity::Role);
                (destination, identity, ApiError::NewConnectionRefused)
            }
            Update::AccessKey { destination, access_key_id, secret, .. } => {
                let sealed_secret = self.ports.secrets.seal(&current.key, secret).await?;
                let identity = CandidateIdentity::AccessKey { access_key_id: access_key_id.clone(), sealed_secret };
                (destination, identity, ApiError::NewAccessKeyRefused)
            }
        };
        let candidate = Candidate {
            key: current.key.clone(),
            version: current.version,
            destination: destination.clone(),
            identity,
        };
        let Some(result) = candidate.clone().applied_to(current.clone()) else { return Ok(None) };
        match self.ports.tester.test_candidate(candidate).await? {
            Some(ConnectionTestOutcome::Success { checked_at, user_arn }) => Ok(Some(PassedTest {
                destination: result.destination,
                authentication: result.authentication,
                at: checked_at,
                user_arn,
            })),
            Some(ConnectionTestOutcome::Failed { error, .. }) => Err(refusal(error)),
            None => Ok(None),
        }
    }
}
