//! What the commands need from AWS. `aws` implements it; tests use doubles.

use std::future::Future;

use aws_adapters::{
    configurations::{OverviewPage, OverviewPosition},
    events::volume::StoredVolume,
};
use domain::{
    archive::ArchiveRow, configuration::bucket::BucketName, export_run::BlockRange, tenant::TenantId, time::Timestamp,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    failure::{CallFailure, Failure},
    stack::{Function, Stack},
};

type Outcome<T> = Result<T, CallFailure>;

/// The numbers of messages in a queue, all approximate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueState {
    pub arn: String,
    pub visible: u64,
    pub in_flight: u64,
    pub delayed: u64,
}

impl QueueState {
    /// Returns the number of all messages in the queue.
    pub fn messages(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// KMS's name of the state, such as `Enabled`.
    pub state: String,
    /// `None`: keys of this kind are not rotated.
    pub is_rotated: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableState {
    /// `DynamoDB`'s name of the status, such as `ACTIVE`.
    pub status: String,
    pub has_time_to_live: bool,
    pub has_recovery: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmState {
    pub name: String,
    /// `CloudWatch`'s name of the state: `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
    pub has_actions: bool,
}

/// The concurrency of an account's functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    pub limit: u64,
    /// What no function has reserved.
    pub unreserved: u64,
}

/// The data of a metric in hours before `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricQuery {
    pub namespace: String,
    pub name: &'static str,
    pub dimensions: Vec<(&'static str, String)>,
    pub statistic: &'static str,
    pub hours: u64,
    pub until: Timestamp,
}

/// The value of an hour of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataPoint {
    /// The hour's beginning.
    pub at: Timestamp,
    pub value: f64,
}

pub trait Queues {
    fn queue(&self, url: &str) -> impl Future<Output = Outcome<QueueState>>;
}

/// The state of the stack's resources.
pub trait Inspection: Queues {
    fn is_schedule_enabled(&self, group: &str, name: &str) -> impl Future<Output = Outcome<bool>>;
    fn key(&self, id: &str, is_rotated: bool) -> impl Future<Output = Outcome<KeyState>>;
    fn table(&self, name: &str) -> impl Future<Output = Outcome<TableState>>;
    fn alarms(&self, names: &[String]) -> impl Future<Output = Outcome<Vec<AlarmState>>>;
    fn metric(&self, query: &MetricQuery) -> impl Future<Output = Outcome<Vec<DataPoint>>>;
    fn concurrency(&self) -> impl Future<Output = Outcome<Concurrency>>;
    /// Returns the time of AWS's own clock.
    fn aws_time(&self) -> impl Future<Output = Outcome<Timestamp>>;
}

/// The configurations of a stack.
pub trait Overviews {
    fn overviews(
        &self,
        stack: &Stack,
        tenant: Option<&TenantId>,
        after: Option<OverviewPosition>,
    ) -> impl Future<Output = Result<OverviewPage, Failure>>;
}

/// The stored events of a stack.
pub trait Volumes {
    /// Reads at most so many pages of each shard, of 1 MB each.
    fn volume(
        &self,
        stack: &Stack,
        tenant: &TenantId,
        range: BlockRange,
        max_pages_per_shard: usize,
    ) -> impl Future<Output = Result<StoredVolume, Failure>>;
}

/// How far the archive is behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveStanding {
    pub tenants: u64,
    /// Of the tenant that is furthest behind.
    pub lag_seconds: u64,
    pub furthest: Option<TenantId>,
    /// Rows that can't be read.
    pub unreadable: u64,
    /// Tenants whose segments are in another bucket than the stack's, and one such bucket.
    pub foreign: u64,
    pub foreign_bucket: Option<BucketName>,
}

impl ArchiveStanding {
    /// Adds the row of a tenant. `None`: it can't be read. `bucket` is the stack's.
    pub fn add(&mut self, row: Option<ArchiveRow>, bucket: &BucketName, now: Timestamp) {
        self.tenants += 1;
        let Some(row) = row else {
            self.unreadable += 1;
            return;
        };
        if row.check_bucket(bucket).is_err() {
            self.foreign += 1;
            self.foreign_bucket.clone_from(&row.bucket);
        }
        let lag_seconds = row.lag(now).as_secs();
        if self.furthest.is_none() || lag_seconds > self.lag_seconds {
            self.lag_seconds = lag_seconds;
            self.furthest = Some(row.tenant);
        }
    }
}

/// The archive of a stack.
pub trait Archives {
    fn archive(&self, stack: &Stack, now: Timestamp) -> impl Future<Output = Result<ArchiveStanding, Failure>>;
}

/// The outcome of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Invocation {
    Returned(Value),
    /// The function failed, with this message.
    Failed(String),
}

/// The functions of a stack. An invocation is never repeated by itself.
pub trait Invocations {
    fn invoke(&self, function: Function, name: &str, payload: &Value) -> impl Future<Output = Outcome<Invocation>>;
}

/// The progress of a move of messages by SQS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveProgress {
    /// SQS's name of the status, such as `RUNNING`.
    pub status: String,
    pub moved: u64,
    /// SQS's reason of a failure.
    pub reason: Option<String>,
}

/// Moving messages from one queue to another.
pub trait MessageMoves: Queues {
    /// Starts a move by SQS.
    fn start_move(&self, source_arn: &str, destination_arn: &str) -> impl Future<Output = Outcome<()>>;
    /// Returns the progress of the newest move of a queue. `None`: there was none.
    fn progress(&self, source_arn: &str) -> impl Future<Output = Outcome<Option<MoveProgress>>>;
    /// Moves some messages by itself, each deleted after it was sent. Returns their number; 0: none was received.
    fn move_some(&self, source_url: &str, destination_url: &str) -> impl Future<Output = Outcome<u64>>;
}

/// Objects in S3.
pub trait Objects {
    /// Returns at most `max_length` bytes of an object. `None`: it does not exist.
    fn object(&self, bucket: &str, key: &str, max_length: u64) -> impl Future<Output = Outcome<Option<Vec<u8>>>>;
}
