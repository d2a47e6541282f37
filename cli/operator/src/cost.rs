//! What the service costs a month, from list prices and from how it works. Nothing in here reads, writes or asks.
//!
//! `price` has the prices, `measured` what was measured or assumed, `service` and `firehose` the quantities. A month has
//! [`DAYS_PER_MONTH`] days. Free tiers and discounts on volume are left out. docs/COST.md tells the method.

#[cfg(test)]
mod document;
pub mod firehose;
pub mod measured;
pub mod price;
pub mod service;

use std::{fmt, iter::Sum, ops::Add};

use domain::{
    event::{MAX_BODY_LENGTH, MAX_EVENT_LENGTH, MAX_EVENTS_PER_BODY},
    interval::ExportInterval,
};
use serde::Serialize;
use terminal::grouped;

use self::{firehose::Producer, price::Price};

/// Of a month, so that figures can be checked by hand.
pub const DAYS_PER_MONTH: f64 = 30.0;

/// Bytes of what AWS bills as a gigabyte.
pub const GIGABYTE: f64 = 1_073_741_824.0;

/// Bytes of what `DynamoDB` and Firehose bill as a kilobyte.
pub const KILOBYTE: f64 = 1_024.0;

/// As in `aws_adapters::configurations::MAX_CONFIGURATIONS_PER_TENANT`; a test holds both together.
pub const MAX_CONFIGURATIONS_PER_TENANT: u32 = 100;

/// US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Dollars(pub f64);

impl Add for Dollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Dollars {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Dollars {
    /// To the cent, and what is less than ten cents to the hundredth of a cent.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.0 != 0.0 && self.0 < 0.1 { 4 } else { 2 };
        formatter.pad(&format!("${}", grouped(&format!("{:.digits$}", self.0))))
    }
}

/// What the functions run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub enum Architecture {
    #[default]
    #[serde(rename = "arm64")]
    Arm64,
    #[serde(rename = "x86_64")]
    #[value(name = "x86_64")]
    X86,
}

/// How the exports prove who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Authentication {
    /// An IAM role in the customer's account
    #[default]
    Role,
    /// An IAM user's access key
    AccessKey,
}

/// What somebody wants to know the cost of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// Over all tenants.
    pub events_per_day: u64,
    /// Of one event as it is sent, its line feed included.
    pub event_bytes: u32,
    pub events_per_request: u32,
    /// Whether every request has an `Idempotency-Key`.
    pub idempotency_keys: bool,
    /// Among whom events and configurations are spread evenly.
    pub tenants: u32,
    /// Enabled ones, over all tenants.
    pub configurations: u32,
    pub interval: ExportInterval,
    pub authentication: Authentication,
    pub retention_days: u32,
    pub architecture: Architecture,
}

/// Parameters that the service can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Traffic(Parameters);

/// Why no stack can have such parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImpossibleTraffic {
    #[error("an event has 2 to {} bytes", MAX_EVENT_LENGTH)]
    EventBytes,
    #[error("a request has 1 to {} events", MAX_EVENTS_PER_BODY)]
    EventsPerRequest,
    #[error("{requested} bytes in one request are more than the {} that ingest takes", MAX_BODY_LENGTH)]
    RequestTooLarge { requested: u64 },
    #[error(
        "{configurations} configurations are more than {} for each of {tenants} tenants",
        MAX_CONFIGURATIONS_PER_TENANT
    )]
    TooManyConfigurations { configurations: u32, tenants: u32 },
}

impl Traffic {
    /// # Errors
    /// [`ImpossibleTraffic`] for the first bound of the service that is exceeded.
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

    /// Requests that bring events, over all tenants.
    fn requests_per_day(&self) -> f64 {
        float(self.0.events_per_day) / f64::from(self.0.events_per_request)
    }

    /// The share of the service's events that one configuration exports.
    fn share_of_a_configuration(&self) -> f64 {
        1.0 / f64::from(self.0.tenants.max(1))
    }

    fn runs_per_day(&self) -> f64 {
        24.0 * 3_600.0 / self.0.interval.duration().as_secs_f64()
    }
}

/// Exact up to 2^53, which is more than there can be of anything here.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn float(count: u64) -> f64 {
    count as f64
}

/// What a line of a bill is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// Taking events in.
    Ingest,
    /// Keeping them until their retention ends, and what the exports leave.
    Storage,
    /// Bringing them into the customers' buckets.
    Export,
    /// What a stack costs that does nothing.
    Standing,
    /// What the customers pay for.
    Delivered,
}

impl Part {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Storage => "storage",
            Self::Export => "export",
            Self::Standing => "standing",
            Self::Delivered => "delivered",
        }
    }
}

/// One line of a month's bill.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", into = "PricedLine")]
pub struct Line {
    pub part: Part,
    pub price: &'static Price,
    /// In the price's units, a month.
    pub quantity: f64,
}

/// A line as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PricedLine {
    part: Part,
    quantity_per_month: f64,
    dollars_per_month: Dollars,
    price: &'static Price,
}

impl From<Line> for PricedLine {
    fn from(line: Line) -> Self {
        Self {
            part: line.part,
            quantity_per_month: line.quantity,
            dollars_per_month: line.dollars(),
            price: line.price,
        }
    }
}

impl Line {
    #[must_use]
    pub fn dollars(&self) -> Dollars {
        self.price.of(self.quantity)
    }
}

/// What somebody pays in a month.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    pub lines: Vec<Line>,
    pub dollars_per_month: Dollars,
}

impl Bill {
    fn new(lines: Vec<Line>) -> Self {
        let dollars_per_month = lines.iter().map(Line::dollars).sum();
        Self { lines, dollars_per_month }
    }

    #[must_use]
    pub fn of(&self, part: Part) -> Dollars {
        self.lines.iter().filter(|line| line.part == part).map(Line::dollars).sum()
    }

    #[must_use]
    pub fn of_price(&self, price: &Price) -> Dollars {
        self.lines.iter().filter(|line| line.price == price).map(Line::dollars).sum()
    }
}

/// The same traffic over this service and over Firehose.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    pub traffic: Traffic,
    /// Of the account that the stack is in.
    pub service: Bill,
    /// `None` without events.
    pub dollars_per_million_events: Option<Dollars>,
    /// Of all customers' accounts together.
    pub customers: Bill,
    pub firehose: Vec<firehose::Comparison>,
}

impl Estimate {
    #[must_use]
    pub fn of(traffic: Traffic) -> Self {
        let service = service::bill(&traffic);
        let events_per_month = float(traffic.0.events_per_day) * DAYS_PER_MONTH;
        let dollars_per_million_events =
            (events_per_month > 0.0).then(|| Dollars(service.dollars_per_month.0 / events_per_month * 1e6));
        Self {
            traffic,
            dollars_per_million_events,
            customers: service::customers_bill(&traffic),
            firehose: Producer::ALL.into_iter().map(|producer| firehose::compare(&traffic, producer)).collect(),
            service,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A million events a day of one tenant by a hundred, into one bucket every day.
    pub(crate) const USUAL: Parameters = Parameters {
        events_per_day: 1_000_000,
        event_bytes: measured::EVENT_BYTES,
        events_per_request: 100,
        idempotency_keys: false,
        tenants: 1,
        configurations: 1,
        interval: ExportInterval::Every24Hours,
        authentication: Authentication::Role,
        retention_days: 90,
        architecture: Architecture::Arm64,
    };

    /// [`USUAL`], but for what is changed.
    pub(crate) fn traffic(change: impl FnOnce(&mut Parameters)) -> Traffic {
        let mut parameters = USUAL;
        change(&mut parameters);
        Traffic(parameters)
    }

    #[track_caller]
    pub(crate) fn assert_near(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{actual} is not {expected}");
    }

    #[test]
    fn amounts_are_shown_to_the_cent() {
        let shown = [0.0, 0.012_34, 0.1, 1.005, 999.999, 1_234_567.891].map(|amount| Dollars(amount).to_string());
        assert_eq!(shown, ["$0.00", "$0.0123", "$0.10", "$1.00", "$1,000.00", "$1,234,567.89"]);
    }

    #[test]
    fn what_no_stack_can_have_is_refused() {
        let refused = |change: fn(&mut Parameters)| {
            let mut parameters = USUAL;
            change(&mut parameters);
            Traffic::new(parameters).unwrap_err().to_string()
        };
        assert_eq!(refused(|parameters| parameters.event_bytes = 262_145), "an event has 2 to 262144 bytes");
        assert_eq!(refused(|parameters| parameters.events_per_request = 0), "a request has 1 to 10000 events");
        assert_eq!(
            refused(|parameters| parameters.events_per_request = 10_000),
            "6420000 bytes in one request are more than the 3670016 that ingest takes"
        );
        assert_eq!(
            refused(|parameters| parameters.configurations = 101),
            "101 configurations are more than 100 for each of 1 tenants"
        );
        assert!(Traffic::new(USUAL).is_ok());
    }

    #[test]
    fn x86_costs_more_time_and_nothing_else() {
        let [arm, x86] = [Architecture::Arm64, Architecture::X86]
            .map(|architecture| Estimate::of(traffic(|parameters| parameters.architecture = architecture)).service);
        for (arm, x86) in arm.lines.iter().zip(&x86.lines) {
            assert_near(arm.quantity, x86.quantity);
        }
        assert!(arm.dollars_per_month < x86.dollars_per_month);
    }

    #[test]
    fn a_stack_without_anything_costs_what_stands() {
        let estimate = Estimate::of(traffic(|parameters| {
            parameters.events_per_day = 0;
            parameters.configurations = 0;
        }));
        assert_eq!(estimate.dollars_per_million_events, None);
        // Two keys, 52 alarms, 29 metrics and 1.9 million polls.
        assert_near(estimate.service.of(Part::Standing).0, 2.0 + 5.2 + 8.7 + 1.944 * 0.4);
        assert!(estimate.service.dollars_per_month.0 < estimate.service.of(Part::Standing).0 + 0.02);
        assert_near(estimate.customers.dollars_per_month.0, 0.0);
    }

    fn any_parameters() -> impl Strategy<Value = Parameters> {
        (
            0..1_000_000_000_u64,
            2..5_000_u32,
            1..700_u32,
            any::<bool>(),
            1..1_000_u32,
            0..=100_u32,
            prop::sample::select(ExportInterval::ALL.to_vec()),
            7..3_650_u32,
        )
            .prop_map(
                |(
                    events_per_day,
                    event_bytes,
                    events_per_request,
                    idempotency_keys,
                    tenants,
                    each,
                    interval,
                    retention,
                )| {
                    Parameters {
                        events_per_day,
                        event_bytes,
                        events_per_request,
                        idempotency_keys,
                        tenants,
                        configurations: tenants * each,
                        interval,
                        retention_days: retention,
                        ..USUAL
                    }
                },
            )
    }

    /// What all pay, and what Firehose would cost.
    fn amounts(parameters: Parameters) -> Result<Vec<Dollars>, TestCaseError> {
        let traffic = Traffic::new(parameters).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let estimate = Estimate::of(traffic);
        let mut amounts = vec![estimate.service.dollars_per_month, estimate.customers.dollars_per_month];
        amounts.extend(estimate.firehose.iter().map(|comparison| comparison.dollars_per_month));
        Ok(amounts)
    }

    fn none_is_less(more: &[Dollars], less: &[Dollars]) -> Result<(), TestCaseError> {
        for (more, less) in more.iter().zip(less) {
            prop_assert!(more.0.is_finite() && more.0 >= less.0 * (1.0 - 1e-12), "{more:?} {less:?}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn more_never_costs_less(parameters in any_parameters(), more_events in 0..1_000_000_000_u64) {
            let before = amounts(parameters)?;
            let with = |change: &dyn Fn(&mut Parameters)| {
                let mut changed = parameters;
                change(&mut changed);
                amounts(changed)
            };
            none_is_less(&with(&|changed| changed.events_per_day += more_events)?, &before)?;
            none_is_less(&with(&|changed| changed.retention_days += 1)?, &before)?;
            none_is_less(&with(&|changed| changed.idempotency_keys = true)?, &before)?;
            none_is_less(&with(&|changed| changed.authentication = Authentication::AccessKey)?, &before)?;
            if parameters.configurations < parameters.tenants * MAX_CONFIGURATIONS_PER_TENANT {
                none_is_less(&with(&|changed| changed.configurations += 1)?, &before)?;
            }
        }
    }
}
