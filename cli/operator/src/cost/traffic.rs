//! The traffic of a stack, within the limits of the service.

use std::time::Duration;

use aws_adapters::configurations;
use domain::{
    event::{MAX_BODY_LENGTH, MAX_EVENT_LENGTH, MAX_EVENTS_PER_BODY},
    interval::ExportInterval,
};
use serde::Serialize;

/// Days of a month, a round number so that figures can be checked by hand.
pub const DAYS_PER_MONTH: f64 = 30.0;

/// Bytes of a gigabyte in AWS's bills.
pub const GIGABYTE: f64 = 1_073_741_824.0;

/// Bytes of a kilobyte in the bills of `DynamoDB` and Firehose.
pub const KILOBYTE: f64 = 1_024.0;

pub const MAX_CONFIGURATIONS_PER_TENANT: u32 = configurations::MAX_CONFIGURATIONS_PER_TENANT as u32;

/// The processor architecture of the functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub enum Architecture {
    #[default]
    #[serde(rename = "arm64")]
    Arm64,
    #[serde(rename = "x86_64")]
    #[value(name = "x86_64")]
    X86,
}

/// The authentication of the exports to AWS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Authentication {
    /// An IAM role in the customer's account
    #[default]
    Role,
    /// An IAM user's access key
    AccessKey,
}

/// What producers send their requests to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Endpoint {
    /// The REST API of the service
    #[default]
    Rest,
    /// The optional HTTP API in front of ingest
    HttpApi,
}

/// The parameters of an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// Of all tenants together.
    pub events_per_day: u64,
    /// Average size of an event as it is sent, with its line feed.
    pub event_bytes: u32,
    pub events_per_request: u32,
    /// Every request has an `Idempotency-Key`.
    pub idempotency_keys: bool,
    /// Tenants, each with an equal share of events and configurations.
    pub tenants: u32,
    /// Enabled configurations of all tenants together.
    pub configurations: u32,
    pub interval: ExportInterval,
    pub authentication: Authentication,
    pub retention_days: u32,
    pub architecture: Architecture,
    pub endpoint: Endpoint,
}

/// Parameters within the limits of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Traffic(Parameters);

/// The limit that parameters exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImpossibleTraffic {
    #[error("an event has 2 to {} bytes", MAX_EVENT_LENGTH)]
    EventBytes,
    #[error("a request has 1 to {} events", MAX_EVENTS_PER_BODY)]
    EventsPerRequest,
    #[error("{requested} bytes in one request are more than the limit of {}", MAX_BODY_LENGTH)]
    RequestTooLarge { requested: u64 },
    #[error(
        "{configurations} configurations are more than {} for each of {tenants} tenants",
        MAX_CONFIGURATIONS_PER_TENANT
    )]
    TooManyConfigurations { configurations: u32, tenants: u32 },
}

impl Traffic {
    /// Checks the parameters.
    ///
    /// # Errors
    /// The first limit of the service that is exceeded.
    pub fn new(parameters: Parameters) -> Result<Self, ImpossibleTraffic> {
        let Parameters { event_bytes, events_per_request, tenants, configurations, .. } = parameters;
        if event_bytes < 2 || event_bytes as usize > MAX_EVENT_LENGTH {
            return Err(ImpossibleTraffic::EventBytes);
        }
        if events_per_request == 0 || events_per_request as usize > MAX_EVENTS_PER_BODY {
            return Err(ImpossibleTraffic::EventsPerRequest);
        }
        let requested = u64::from(event_bytes) * u64::from(events_per_request);
        if requested > MAX_BODY_LENGTH as u64 {
            return Err(ImpossibleTraffic::RequestTooLarge { requested });
        }
        if u64::from(configurations) > u64::from(tenants) * u64::from(MAX_CONFIGURATIONS_PER_TENANT) {
            return Err(ImpossibleTraffic::TooManyConfigurations { configurations, tenants });
        }
        Ok(Self(parameters))
    }

    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.0
    }

    /// Returns the requests with events of a day, of all tenants together.
    pub fn requests_per_day(&self) -> f64 {
        float(self.0.events_per_day) / f64::from(self.0.events_per_request)
    }

    /// Returns the share of the service's events that one configuration exports.
    pub fn share_of_a_configuration(&self) -> f64 {
        1.0 / f64::from(self.0.tenants.max(1))
    }

    pub fn retention(&self) -> Duration {
        Duration::from_hours(24) * self.0.retention_days
    }

    pub fn runs_per_day(&self) -> f64 {
        24.0 * 3_600.0 / self.0.interval.duration().as_secs_f64()
    }
}

/// Converts a count. Exact up to 2^53, which no count here reaches.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub const fn float(count: u64) -> f64 {
    count as f64
}
