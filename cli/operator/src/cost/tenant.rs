//! The monthly cost of one tenant, from what was stored of its events.

use std::collections::BTreeMap;

use aws_adapters::events::volume::StoredVolume;
use domain::{
    event::{MAX_EVENT_LENGTH, MAX_EVENTS_PER_BODY},
    interval::ExportInterval,
};
use serde::Serialize;

use super::{
    account,
    bill::Part,
    measured::{EVENT_BYTES, STAMP_BYTES},
    money::Dollars,
    traffic::{Architecture, Authentication, Endpoint, ImpossibleTraffic, Parameters, Traffic},
};

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a whole number of bytes")]
const STAMP_LENGTH: u64 = STAMP_BYTES as u64;

/// Events of a request if none were stored; the number does not matter then.
const ANY_BATCH: u32 = 100;

/// What is known of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantUsage {
    /// What was stored in `days`.
    pub stored: StoredVolume,
    pub days: u32,
    /// The numbers of its enabled exports.
    pub exports: BTreeMap<ExportInterval, u32>,
    pub retention_days: u32,
    pub architecture: Architecture,
}

/// The monthly costs that a tenant causes. What an idle stack costs is not shared out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantCost {
    pub ingest: Dollars,
    pub storage: Dollars,
    pub export: Dollars,
    pub dollars_per_month: Dollars,
}

impl TenantUsage {
    pub fn events_per_day(&self) -> u64 {
        self.stored.events.div_ceil(u64::from(self.days.max(1)))
    }

    /// Returns the average size of an event as it was sent.
    pub fn event_bytes(&self) -> u32 {
        let Some(stored) = self.stored.raw_bytes.checked_div(self.stored.events) else { return EVENT_BYTES };
        bounded(stored.saturating_sub(STAMP_LENGTH), 2, MAX_EVENT_LENGTH)
    }

    /// Returns the average number of events in a block. A request that fits into one block is one.
    pub fn events_per_block(&self) -> u32 {
        let Some(events) = self.stored.events.checked_div(self.stored.blocks) else { return ANY_BATCH };
        bounded(events, 1, MAX_EVENTS_PER_BODY)
    }

    /// Returns the costs.
    ///
    /// # Errors
    /// The limit of the service that the usage exceeds.
    pub fn cost(&self) -> Result<TenantCost, ImpossibleTraffic> {
        let usual = Parameters {
            events_per_day: self.events_per_day(),
            event_bytes: self.event_bytes(),
            events_per_request: self.events_per_block(),
            idempotency_keys: false,
            tenants: 1,
            configurations: 0,
            interval: ExportInterval::Every24Hours,
            authentication: Authentication::Role,
            retention_days: self.retention_days,
            architecture: self.architecture,
            endpoint: Endpoint::default(),
        };
        let bill = |parameters| Traffic::new(parameters).map(|traffic| account::bill(&traffic));
        let idle = bill(Parameters { events_per_day: 0, ..usual })?;
        let received = bill(usual)?;
        let (mut storage, mut export) = (received.of(Part::Storage) - idle.of(Part::Storage), Dollars::default());
        for (interval, configurations) in &self.exports {
            let without = bill(Parameters { interval: *interval, ..usual })?;
            let with = bill(Parameters { interval: *interval, configurations: *configurations, ..usual })?;
            storage = storage + (with.of(Part::Storage) - without.of(Part::Storage));
            export = export + (with.of(Part::Export) - without.of(Part::Export));
        }
        let ingest = received.of(Part::Ingest);
        Ok(TenantCost { ingest, storage, export, dollars_per_month: ingest + storage + export })
    }
}

fn bounded(number: u64, least: u32, most: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX).clamp(least, u32::try_from(most).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::{Estimate, tests::USUAL};

    /// A week of the usual traffic: a million events a day, 100 to a block.
    fn usage(exports: &[(ExportInterval, u32)]) -> TenantUsage {
        let events = 7_000_000;
        let raw_bytes = events * (u64::from(EVENT_BYTES) + STAMP_LENGTH);
        TenantUsage {
            stored: StoredVolume { blocks: events / 100, events, raw_bytes, ..StoredVolume::default() },
            days: 7,
            exports: exports.iter().copied().collect(),
            retention_days: 90,
            architecture: Architecture::Arm64,
        }
    }

    fn is_near(one: Dollars, other: Dollars) -> bool {
        (one.0 - other.0).abs() < 1e-6
    }

    #[test]
    fn the_only_tenant_of_a_stack_costs_what_the_stack_does_without_its_standing_costs() {
        let cost = usage(&[(ExportInterval::Every24Hours, 1)]).cost().unwrap();
        let estimate =
            |configurations| Estimate::of(Traffic::new(Parameters { configurations, ..USUAL }).unwrap()).service;
        let (whole, idle) = (
            estimate(1),
            Estimate::of(Traffic::new(Parameters { configurations: 0, events_per_day: 0, ..USUAL }).unwrap()).service,
        );
        assert!(is_near(cost.ingest, whole.of(Part::Ingest)));
        assert!(is_near(cost.storage, whole.of(Part::Storage) - idle.of(Part::Storage)));
        assert!(is_near(cost.export, whole.of(Part::Export) - idle.of(Part::Export)));
        assert!(is_near(cost.dollars_per_month, cost.ingest + cost.storage + cost.export));
    }

    #[test]
    fn exports_of_each_interval_are_added() {
        let export = |exports: &[_]| usage(exports).cost().unwrap().export;
        let (daily, frequent) = ((ExportInterval::Every24Hours, 2), (ExportInterval::Every2Hours, 3));
        assert!(is_near(export(&[daily, frequent]), export(&[daily]) + export(&[frequent])));
        assert_eq!(export(&[]), Dollars::default());
    }

    #[test]
    fn a_tenant_without_events_or_with_the_largest_ones_has_a_cost() {
        let nothing = TenantUsage { stored: StoredVolume::default(), ..usage(&[(ExportInterval::Every2Hours, 1)]) };
        let cost = nothing.cost().unwrap();
        assert_eq!((cost.ingest, cost.storage.0 > 0.0, cost.export.0 > 0.0), (Dollars::default(), true, true));
        let large =
            StoredVolume { blocks: 1, events: 1, raw_bytes: MAX_EVENT_LENGTH as u64, ..StoredVolume::default() };
        assert!(TenantUsage { stored: large, ..usage(&[]) }.cost().is_ok());
    }
}
