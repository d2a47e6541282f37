//! The monthly cost of the service, from list prices and the way it works. Pure functions.
//!
//! `price` has the prices, `measured` the measured and assumed figures, `service` and `firehose` the quantities. Free tiers
//! and volume discounts are left out. docs/COST.md describes the method.

mod account;
mod archive;
mod bill;
#[cfg(test)]
mod document;
pub mod firehose;
pub mod measured;
mod money;
pub mod price;
pub mod queued;
pub mod service;
pub mod tenant;
mod traffic;

use serde::Serialize;

use self::{bill::Bill, firehose::Producer, traffic::DAYS_PER_MONTH};
pub use self::{
    bill::Part,
    money::Dollars,
    traffic::{Architecture, Authentication, Endpoint, ImpossibleTraffic, Parameters, Traffic},
};

/// The costs of the same traffic with this service and with Firehose.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    pub traffic: Traffic,
    /// The bill of the stack's account.
    pub service: Bill,
    /// `None` without events.
    pub dollars_per_million_events: Option<Dollars>,
    /// The bill of all customers' accounts together.
    pub customers: Bill,
    pub firehose: Vec<firehose::Comparison>,
}

impl Estimate {
    #[must_use]
    pub fn of(traffic: Traffic) -> Self {
        let service = account::bill(&traffic);
        let events_per_month = traffic::float(traffic.parameters().events_per_day) * DAYS_PER_MONTH;
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
    use domain::interval::ExportInterval;
    use proptest::prelude::*;

    use super::{traffic::MAX_CONFIGURATIONS_PER_TENANT, *};

    /// A million events a day of one tenant, 100 to a request, exported daily to one bucket.
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
        endpoint: Endpoint::Rest,
    };

    /// [`USUAL`] with a change.
    pub(crate) fn traffic(change: impl FnOnce(&mut Parameters)) -> Traffic {
        let mut parameters = USUAL;
        change(&mut parameters);
        Traffic::new(parameters).unwrap()
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
    fn impossible_parameters_are_refused() {
        let refused = |change: fn(&mut Parameters)| {
            let mut parameters = USUAL;
            change(&mut parameters);
            Traffic::new(parameters).unwrap_err().to_string()
        };
        assert_eq!(refused(|parameters| parameters.event_bytes = 262_145), "an event has 2 to 262144 bytes");
        assert_eq!(refused(|parameters| parameters.events_per_request = 0), "a request has 1 to 10000 events");
        assert_eq!(
            refused(|parameters| parameters.events_per_request = 10_000),
            "6420000 bytes in one request are more than the limit of 3670016"
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
        // Three keys, 89 alarms, a dashboard, 65 metrics and 3.9 million polls.
        assert_near(estimate.service.of(Part::Standing).0, 3.0 + 8.9 + 3.0 + 19.5 + 3.888 * 0.4);
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

    /// All bills, and the costs of Firehose.
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
