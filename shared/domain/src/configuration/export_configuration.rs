//! An export configuration with its state.

use super::{
    access_key::{AccessKeyId, SealedSecret},
    arn::{AccountId, RoleArn, UserArn},
    description::Description,
    destination::Destination,
    key::{ConfigurationId, ConfigurationKey},
};
use crate::{
    connection::Connection,
    encoding::Encoding,
    event_filter::EventFilter,
    export_format::ExportFormat,
    interval::{ExportInterval, ExportSchedule},
    ocsf::OcsfSettings,
    time::Timestamp,
    webhook::Webhook,
};

/// The identity that an export uses in the customer's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// A role of the customer. Its trust policy requires the configuration's ID as external ID.
    AssumedRole { role_arn: RoleArn },
    /// The access key of an IAM user of the customer.
    AccessKey { access_key_id: AccessKeyId, secret: SealedSecret },
}

/// The settings of one export, and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportConfiguration {
    pub key: ConfigurationKey,
    /// The configuration whose period this export replays. `None`: this is a configuration, and not a replay.
    pub replay_of: Option<ConfigurationId>,
    /// 1 when created, raised by 1 with each change that a person makes. Outcomes of tests and runs don't raise it: they
    /// are stored only if destination and identity are still those that they were made with.
    pub version: u64,
    pub description: Option<Description>,
    pub interval: ExportInterval,
    /// The format of new windows. A window that was begun keeps its own.
    pub format: ExportFormat,
    /// The events of new windows. `None`: all of them.
    pub filter: Option<EventFilter>,
    /// The choices for new windows of the format `OCSF_PARQUET`. `None`: the defaults.
    pub ocsf: Option<OcsfSettings>,
    pub enabled: bool,
    pub destination: Destination,
    pub authentication: Authentication,
    /// The owner of the access key, as AWS reported it at the last test of the key.
    pub user_arn: Option<UserArn>,
    /// The receipt time of the first event to export.
    pub start_from: Timestamp,
    pub connection: Connection,
    pub progress: ExportProgress,
    /// The end of the run that was requested and has not ended yet. It belongs to no version: requests and runs store it
    /// at any time.
    pub requested_through: Option<Timestamp>,
    /// The time until which that run counts as being in the queue.
    pub requested_until: Option<Timestamp>,
    /// The receivers of notices about this export; at most [`MAX_WEBHOOKS`](crate::webhook::MAX_WEBHOOKS).
    pub webhooks: Vec<Webhook>,
    pub created_by: String,
    pub created_at: Timestamp,
    pub updated_by: String,
    pub updated_at: Timestamp,
}

impl ExportConfiguration {
    /// Returns the encoding of new windows.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        let usual = Encoding::from(self.format);
        let ocsf = usual.ocsf.map(|usual| self.ocsf.clone().unwrap_or(usual));
        Encoding { format: self.format, filter: self.filter.clone(), ocsf }
    }

    /// Returns the key that the identity in the customer's account was set up for: its ID is the external ID, and a secret was
    /// sealed for it.
    #[must_use]
    pub fn identity_key(&self) -> ConfigurationKey {
        let configuration_id = self.replay_of.unwrap_or(self.key.configuration_id);
        ConfigurationKey { configuration_id, ..self.key.clone() }
    }

    /// Returns the ARN of the role or IAM user that writes the files. `None`: the access key was never tested.
    #[must_use]
    pub fn principal_arn(&self) -> Option<&str> {
        match &self.authentication {
            Authentication::AssumedRole { role_arn } => Some(role_arn.as_str()),
            Authentication::AccessKey { .. } => self.user_arn.as_ref().map(UserArn::as_str),
        }
    }

    /// Returns the account of the role or IAM user that writes the files. `None`: the access key was never tested.
    #[must_use]
    pub fn writer_account(&self) -> Option<&AccountId> {
        match &self.authentication {
            Authentication::AssumedRole { role_arn } => Some(role_arn.account()),
            Authentication::AccessKey { .. } => self.user_arn.as_ref().map(UserArn::account),
        }
    }

    /// Returns the account that has to own the bucket. `None`: the access key was never tested, and no owner is configured; or
    /// the bucket is not in AWS.
    #[must_use]
    pub fn bucket_owner(&self) -> Option<&AccountId> {
        self.destination.site.aws_region()?;
        self.destination.expected_bucket_owner.as_ref().or_else(|| self.writer_account())
    }

    /// Returns whether a requested run counts as being in the queue at `now`.
    #[must_use]
    pub fn has_pending_run(&self, now: Timestamp) -> bool {
        self.requested_until.is_some_and(|until| now < until)
    }

    /// Returns the end of the requested run that counts as being in the queue at `now`.
    #[must_use]
    pub fn pending_run_through(&self, now: Timestamp) -> Option<Timestamp> {
        self.requested_through.filter(|_| self.has_pending_run(now))
    }

    /// Returns the receipt time before which nothing is left to export.
    #[must_use]
    pub fn done_through(&self) -> Timestamp {
        self.progress.exported_through.map_or(self.start_from, |through| through.max(self.start_from))
    }

    /// Returns the start of the next scheduled export that can have events. `None`: the configuration is disabled.
    #[must_use]
    pub fn next_export_at(&self, schedule: ExportSchedule, now: Timestamp) -> Option<Timestamp> {
        self.enabled.then(|| schedule.next_export(self.interval, self.done_through(), now))
    }
}

/// The progress that runs report. Unlike the outcome of a connection test, it stays valid whatever a person edits, so no
/// edit touches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportProgress {
    /// Everything received before it is in the bucket. `None`: no run has ended yet.
    pub exported_through: Option<Timestamp>,
    /// The end of the last run that finished a window. A run that found nothing to do is not an export.
    pub last_export_at: Option<Timestamp>,
    /// The number of runs that failed since then.
    pub consecutive_failures: u32,
    /// The end of the last run that failed. `None`: none has.
    pub last_failure_at: Option<Timestamp>,
}
