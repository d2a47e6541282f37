//! The quota of bytes that a tenant may send over HTTP within a minute.
//!
//! All instances of the function share one count per tenant and minute, in the events table. Counting each request
//! there would cost a write per request, so an instance reserves bytes in advance and spends them locally. A
//! reservation is at most as large as the bytes that the instance has spent already, so that many instances with few
//! requests each can't reserve the whole quota.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_adapters::events::quota::{CountOutcome, QUOTA_PERIOD};
use domain::{event::MAX_BODY_LENGTH, tenant::TenantId, time::Timestamp};

use crate::ports::QuotaCounter;

const BYTES_PER_MEGABYTE: u64 = 1_000_000;

/// The divisor of the quota for the largest reservation: an instance that ends leaves at most that part unused.
const LARGEST_RESERVATION: u64 = 20;

/// The divisor of the quota for the smallest reservation.
const SMALLEST_RESERVATION: u64 = 1_000;

/// The tries to reserve ever smaller parts of the remaining quota before a request is refused.
const MAX_RESERVATIONS: u32 = 3;

/// The outcome of taking bytes from a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuotaOutcome {
    Granted,
    /// The tenant has used up its quota for this minute.
    Exhausted {
        /// The time until the next minute, in whole seconds; at least one.
        retry_after: Duration,
    },
}

/// The quota of every tenant, and this instance's reservations.
pub(crate) struct Quota<C> {
    counter: C,
    /// Bytes per minute; `None` for no quota.
    limit: Option<u64>,
    reservations: Mutex<Reservations>,
}

/// The reservations of one minute.
struct Reservations {
    minute: Timestamp,
    tenants: HashMap<TenantId, Reservation>,
}

#[derive(Clone, Copy, Default)]
struct Reservation {
    /// The bytes that this instance has granted.
    spent: u64,
    /// The bytes that are counted in the table and not granted yet.
    reserved: u64,
    /// Set once the table has too little left for a request.
    is_exhausted: bool,
}

impl<C: QuotaCounter> Quota<C> {
    /// Creates a quota of `megabytes` (millions of decompressed bytes) per tenant and minute; 0 means no quota. The
    /// smallest quota is the size of the largest request.
    pub(crate) fn new(counter: C, megabytes: u32) -> Self {
        let largest_request = u64::try_from(MAX_BODY_LENGTH).unwrap_or(u64::MAX);
        let limit = (megabytes > 0).then(|| (u64::from(megabytes) * BYTES_PER_MEGABYTE).max(largest_request));
        let reservations = Reservations { minute: Timestamp::EPOCH, tenants: HashMap::new() };
        Self { counter, limit, reservations: Mutex::new(reservations) }
    }

    /// Takes the bytes of one request from the tenant's quota.
    ///
    /// Grants them if they can't be counted: the count is in the table that the events are written to, so the write
    /// decides.
    pub(crate) async fn take(&self, tenant: &TenantId, bytes: usize, now: Timestamp) -> QuotaOutcome {
        let Some(limit) = self.limit else { return QuotaOutcome::Granted };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let minute = now.floor_to(QUOTA_PERIOD);
        let passed = Duration::from_secs(now.saturating_since(minute).as_secs());
        let exhausted = QuotaOutcome::Exhausted { retry_after: QUOTA_PERIOD.saturating_sub(passed) };

        let before = self.reservation(minute, tenant);
        if before.reserved >= bytes {
            self.grant(minute, tenant, bytes, 0);
            return QuotaOutcome::Granted;
        }
        if before.is_exhausted {
            return exhausted;
        }
        let missing = bytes - before.reserved;
        let mut wanted = missing.max(before.spent.clamp(limit / SMALLEST_RESERVATION, limit / LARGEST_RESERVATION));
        for _ in 0..MAX_RESERVATIONS {
            match self.counter.add(tenant, minute, wanted, limit).await {
                Ok(CountOutcome::Counted) => {
                    self.grant(minute, tenant, bytes, wanted);
                    return QuotaOutcome::Granted;
                }
                Ok(CountOutcome::OverLimit { counted }) => {
                    let left = limit.saturating_sub(counted);
                    if left < missing {
                        break;
                    }
                    wanted = missing.max(left / 2);
                }
                Err(error) => {
                    tracing::warn!(tenant = tenant.as_str(), %error, "the tenant's quota is not applied");
                    // Recorded as counted, so that further requests don't add load to a table that fails.
                    self.grant(minute, tenant, bytes, wanted);
                    return QuotaOutcome::Granted;
                }
            }
        }
        self.lock(minute).tenants.entry(tenant.clone()).or_default().is_exhausted = true;
        exhausted
    }

    fn reservation(&self, minute: Timestamp, tenant: &TenantId) -> Reservation {
        self.lock(minute).tenants.get(tenant).copied().unwrap_or_default()
    }

    /// Adds what was reserved, and takes the bytes of a request from it.
    fn grant(&self, minute: Timestamp, tenant: &TenantId, bytes: u64, reserved: u64) {
        let mut reservations = self.lock(minute);
        let reservation = reservations.tenants.entry(tenant.clone()).or_default();
        reservation.reserved = reservation.reserved.saturating_add(reserved).saturating_sub(bytes);
        reservation.spent = reservation.spent.saturating_add(bytes);
    }

    /// Locks and returns the reservations of `minute`.
    fn lock(&self, minute: Timestamp) -> MutexGuard<'_, Reservations> {
        let mut reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
        if reservations.minute != minute {
            *reservations = Reservations { minute, tenants: HashMap::new() };
        }
        reservations
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use export_engine::ports::PortError;

    use super::*;

    const MEGABYTE: usize = 1_000_000;

    /// The counted bytes of each tenant and minute, shared by several instances.
    #[derive(Clone, Default)]
    pub(crate) struct MemoryCounts(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        counts: HashMap<(TenantId, Timestamp), u64>,
        writes: usize,
        is_down: bool,
    }

    impl QuotaCounter for MemoryCounts {
        async fn add(
            &self,
            tenant: &TenantId,
            minute: Timestamp,
            bytes: u64,
            limit: u64,
        ) -> Result<CountOutcome, PortError> {
            let mut state = self.0.lock().unwrap();
            state.writes += 1;
            if state.is_down {
                return Err(PortError::transient("count", "down"));
            }
            let count = state.counts.entry((tenant.clone(), minute)).or_default();
            if *count + bytes > limit {
                return Ok(CountOutcome::OverLimit { counted: *count });
            }
            *count += bytes;
            Ok(CountOutcome::Counted)
        }
    }

    impl MemoryCounts {
        fn writes(&self) -> usize {
            self.0.lock().unwrap().writes
        }
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn at(time: &str) -> Timestamp {
        Timestamp::parse(&format!("2026-11-22T{time}Z")).unwrap()
    }

    /// The bytes that are granted if as many requests as possible are sent.
    async fn granted(instances: &[Quota<MemoryCounts>], bytes: usize, now: Timestamp) -> usize {
        let mut sum = 0;
        let mut refusals = 0;
        for instance in instances.iter().cycle() {
            match instance.take(&tenant("acme"), bytes, now).await {
                QuotaOutcome::Granted => (sum, refusals) = (sum + bytes, 0),
                QuotaOutcome::Exhausted { .. } => refusals += 1,
            }
            if refusals == instances.len() {
                break;
            }
        }
        sum
    }

    #[tokio::test]
    async fn a_minute_grants_its_quota_and_no_more() {
        let table = MemoryCounts::default();
        let instances = [Quota::new(table.clone(), 60)];
        for (now, seconds) in [("10:00:00.000", 60), ("10:01:59.999", 1)] {
            assert_eq!(granted(&instances, MEGABYTE, at(now)).await, 60 * MEGABYTE);
            let retry_after = Duration::from_secs(seconds);
            let refused = instances[0].take(&tenant("acme"), MEGABYTE, at(now)).await;
            assert_eq!(refused, QuotaOutcome::Exhausted { retry_after });
            // Others are not concerned.
            assert_eq!(instances[0].take(&tenant("globex"), MEGABYTE, at(now)).await, QuotaOutcome::Granted);
        }
    }

    #[tokio::test]
    async fn counting_costs_far_less_than_a_write_per_request() {
        let table = MemoryCounts::default();
        let instances = [Quota::new(table.clone(), 600)];
        assert_eq!(granted(&instances, 10_000, at("10:00:00")).await, 600 * MEGABYTE);
        assert!(table.writes() < 60, "{} writes for 60,000 requests", table.writes());
        // An exhausted quota needs no further write.
        let writes = table.writes();
        instances[0].take(&tenant("acme"), 10_000, at("10:00:30")).await;
        assert_eq!(table.writes(), writes);
    }

    #[tokio::test]
    async fn many_instances_share_one_quota_and_reserve_little_of_it_in_vain() {
        let table = MemoryCounts::default();
        let instances: Vec<_> = (0..50).map(|_| Quota::new(table.clone(), 600)).collect();
        let sum = granted(&instances, 10_000, at("10:00:00")).await;
        // Less than a request may stay reserved in each.
        assert!((599 * MEGABYTE..=600 * MEGABYTE).contains(&sum), "{sum}");
        // One request per instance leaves most of the quota for other requests.
        let minute = at("10:01:00");
        for instance in &instances {
            assert_eq!(instance.take(&tenant("acme"), 10_000, minute).await, QuotaOutcome::Granted);
        }
        assert!(granted(&instances[..1], 10_000, minute).await >= 500 * MEGABYTE);
    }

    #[tokio::test]
    async fn requests_that_can_not_be_counted_are_granted() {
        let table = MemoryCounts::default();
        table.0.lock().unwrap().is_down = true;
        let quota = Quota::new(table.clone(), 60);
        for _ in 0..1_000 {
            assert_eq!(quota.take(&tenant("acme"), MEGABYTE, at("10:00:00")).await, QuotaOutcome::Granted);
        }
        assert!(table.writes() < 500, "{} tries for 1,000 requests", table.writes());
    }

    #[tokio::test]
    async fn the_largest_request_fits_into_the_smallest_quota_and_none_is_no_quota() {
        let table = MemoryCounts::default();
        let smallest = Quota::new(table.clone(), 1);
        assert_eq!(smallest.take(&tenant("acme"), MAX_BODY_LENGTH, at("10:00:00")).await, QuotaOutcome::Granted);
        let none = Quota::new(table.clone(), 0);
        for _ in 0..100 {
            assert_eq!(none.take(&tenant("acme"), MAX_BODY_LENGTH, at("10:00:00")).await, QuotaOutcome::Granted);
        }
        assert_eq!(table.writes(), 1);
    }
}
