//! An export configuration: what a customer asked for, and what became of it.

pub mod access_key;
pub mod arn;
pub mod bucket;
pub mod change;
pub mod description;
pub mod field_error;
pub mod input;
pub mod region;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
mod text_type;
pub mod update;

use std::fmt;

use serde::{Deserialize, Serialize};

use self::{
    access_key::{AccessKeyId, SealedSecret},
    arn::{AccountId, KmsKeyArn, RoleArn, UserArn},
    bucket::{BucketName, BucketPath},
    description::Description,
    region::{Partition, Region},
};
use crate::{connection::Connection, interval::ExportInterval, tenant::TenantId, time::Timestamp};

/// The identity of an export configuration, and the external ID under which its role is assumed. Minted by us, never
/// used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigurationId(uuid::Uuid);

impl ConfigurationId {
    #[must_use]
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(uuid)
    }

    /// `None` if `text` is no UUID in the form in which we print them: one id, one spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::parse_str(text).ok().map(Self).filter(|id| id.to_string() == text)
    }

    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// The same id as bytes; the dispatcher's shards are told by it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ConfigurationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(formatter)
    }
}

/// What names a configuration everywhere: no store is ever asked by the id alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationKey {
    pub tenant_id: TenantId,
    pub configuration_id: ConfigurationId,
}

impl fmt::Display for ConfigurationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}", self.tenant_id, self.configuration_id)
    }
}

/// Where the files go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    pub bucket_name: BucketName,
    pub bucket_path: Option<BucketPath>,
    pub region: Region,
    /// The key that every object is encrypted with: named in each request that creates one. The session policy is narrowed
    /// to it. `None`: the bucket's default encryption.
    pub kms_key_arn: Option<KmsKeyArn>,
    /// Sent with every write. Without it: the account of the role, or of the access key.
    pub expected_bucket_owner: Option<AccountId>,
}

impl Destination {
    /// The key of `name` under the bucket path.
    #[must_use]
    pub fn key_of(&self, name: &str) -> String {
        match &self.bucket_path {
            Some(path) => format!("{path}/{name}"),
            None => name.to_owned(),
        }
    }
}

/// How the export proves to the customer's account who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// A role of the customer's that trusts us under the configuration's id as its external ID.
    AssumedRole { role_arn: RoleArn },
    /// An IAM user of the customer's.
    AccessKey { access_key_id: AccessKeyId, secret: SealedSecret },
}

/// One customer's wish to have its audit log exported, and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportConfiguration {
    pub key: ConfigurationKey,
    /// 1 when created, one more with each change that a person makes. Outcomes of tests and runs don't count: they
    /// are stored only if destination and identity are still those that they were made with.
    pub version: u64,
    /// What a person calls it.
    pub description: Option<Description>,
    pub interval: ExportInterval,
    pub enabled: bool,
    pub destination: Destination,
    pub authentication: Authentication,
    /// Whose the access key is, as AWS said at the last test of it. A new access key has to be tested first.
    pub user_arn: Option<UserArn>,
    /// The receipt time of the first event to export.
    pub start_from: Timestamp,
    pub connection: Connection,
    pub progress: ExportProgress,
    /// Through when a run is to export that was requested and has not ended yet. No part of a version: requests and runs
    /// store it at any time.
    pub requested_through: Option<Timestamp>,
    /// Until when that run is taken to be in the queue.
    pub requested_until: Option<Timestamp>,
    pub created_by: String,
    pub created_at: Timestamp,
    pub updated_by: String,
    pub updated_at: Timestamp,
}

impl ExportConfiguration {
    /// The ARN of the role or IAM user as whom files are written. `None`: an access key that was never tested.
    #[must_use]
    pub fn principal_arn(&self) -> Option<&str> {
        match &self.authentication {
            Authentication::AssumedRole { role_arn } => Some(role_arn.as_str()),
            Authentication::AccessKey { .. } => self.user_arn.as_ref().map(UserArn::as_str),
        }
    }

    /// Returns the account of the role or IAM user as whom files are written. `None`: an access key that was never tested.
    #[must_use]
    pub fn writer_account(&self) -> Option<&AccountId> {
        match &self.authentication {
            Authentication::AssumedRole { role_arn } => Some(role_arn.account()),
            Authentication::AccessKey { .. } => self.user_arn.as_ref().map(UserArn::account),
        }
    }

    /// Returns whether a requested run is taken to be in the queue at `now`.
    #[must_use]
    pub fn has_pending_run(&self, now: Timestamp) -> bool {
        self.requested_until.is_some_and(|until| now < until)
    }

    /// Returns through when the requested run exports that is taken to be in the queue at `now`.
    #[must_use]
    pub fn pending_run_through(&self, now: Timestamp) -> Option<Timestamp> {
        self.requested_through.filter(|_| self.has_pending_run(now))
    }

    /// Everything received before it is exported, or is not to be.
    #[must_use]
    pub fn done_through(&self) -> Timestamp {
        self.progress.exported_through.map_or(self.start_from, |through| through.max(self.start_from))
    }
}

/// What the runs have told of themselves. Unlike the outcome of a connection test it is true whatever was edited
/// meanwhile, so no change by a person touches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportProgress {
    /// Everything received before it is in the bucket. `None`: no run has ended yet.
    pub exported_through: Option<Timestamp>,
    /// When the last run ended that finished a window. A run that found nothing to do is no export.
    pub last_export_at: Option<Timestamp>,
    /// Runs that failed since then.
    pub consecutive_failures: u32,
    /// When the last of all runs that failed did. `None`: none has.
    pub last_failure_at: Option<Timestamp>,
}

/// The account that this service runs in: customers' trust policies name it, and no customer's role may lie in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceIdentity {
    pub account: AccountId,
    pub partition: Partition,
    pub region: Region,
}
