//! State that runs of different configurations share: the shares of tenants, the circuits of Regions, the history of
//! retentions, and the blocks that were found corrupt.

use domain::{
    block::BlockId, circuit::Circuit, configuration::region::Region, export_run::RunTrigger,
    retention::RetentionHistory, tenant::TenantId, time::Timestamp,
};

use sha2::{Digest, Sha256};

use super::error::PortError;

/// The shares of tenants in the concurrent runs: a fixed number for each tenant and trigger.
pub trait TenantShares: Send + Sync {
    /// Takes a free share. `None`: all are taken.
    fn take_share(
        &self,
        request: &ShareRequest<'_>,
    ) -> impl Future<Output = Result<Option<TenantShare>, PortError>> + Send;

    /// Extends a share until `expires_at`. Does nothing if it has expired and was taken by another run.
    fn renew_share(
        &self,
        share: &TenantShare,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns a share, unless another run has it.
    fn return_share(&self, share: &TenantShare) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A request for a share.
#[derive(Clone, Copy, Debug)]
pub struct ShareRequest<'a> {
    pub tenant: &'a TenantId,
    pub trigger: RunTrigger,
    /// The number of shares.
    pub shares: u32,
    /// The invocation that asks. A repeated request by the same holder gets the same share.
    pub holder: &'a str,
    pub now: Timestamp,
    pub expires_at: Timestamp,
}

impl ShareRequest<'_> {
    /// Returns the numbers of the shares in the order in which they are tried. Holders begin at different shares, so that runs
    /// that start together don't write the same item first.
    ///
    /// The last share is always tried last: who has it knows that all others were taken, and lets others pass
    /// ([`crate::run::RunOutcome::Paused`]).
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        let others = self.shares.saturating_sub(1);
        let [first, second, third, fourth, ..]: [u8; 32] = Sha256::digest(self.holder).into();
        let start = u32::from_be_bytes([first, second, third, fourth]).checked_rem(others).unwrap_or_default();
        (start..others).chain(0..start).chain((self.shares > 0).then_some(others))
    }
}

/// The right to be one of a tenant's concurrent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantShare {
    pub tenant: TenantId,
    pub trigger: RunTrigger,
    /// From 0.
    pub number: u32,
    pub holder: String,
}

/// The circuit breakers of Regions, shared by all runs.
pub trait RegionCircuits: Send + Sync {
    /// Returns the circuit of a Region. `None`: the Region answers.
    fn circuit(&self, region: &Region) -> impl Future<Output = Result<Option<Circuit>, PortError>> + Send;

    /// Replaces `current` with `circuit`; `None` stands for no circuit in both. `false`: another run replaced it first.
    fn replace_circuit(
        &self,
        region: &Region,
        current: Option<&Circuit>,
        circuit: Option<&Circuit>,
    ) -> impl Future<Output = Result<bool, PortError>> + Send;
}

/// The retentions that runs have seen.
pub trait SeenRetentions: Send + Sync {
    /// Returns the history of retentions, which all tenants share.
    fn retention_history(&self) -> impl Future<Output = Result<RetentionHistory, PortError>> + Send;
}

/// A block that a run found corrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownCorruptBlock {
    pub block: BlockId,
    /// True if an operator has approved that exports skip it.
    pub is_skip_approved: bool,
}

/// The blocks that were found corrupt.
pub trait CorruptBlocks: Send + Sync {
    /// Returns the blocks of the tenant that were found corrupt, in order.
    fn corrupt_blocks(
        &self,
        tenant: &TenantId,
    ) -> impl Future<Output = Result<Vec<KnownCorruptBlock>, PortError>> + Send;

    /// Records that a block was found corrupt, until `expires_at`. Does nothing if that is recorded already.
    fn record_corrupt_block(
        &self,
        tenant: &TenantId,
        block: BlockId,
        found_at: Timestamp,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn numbers(shares: u32, holder: &str) -> Vec<u32> {
        let tenant = TenantId::parse("acme").unwrap();
        let (trigger, now) = (RunTrigger::Schedule, Timestamp::EPOCH);
        ShareRequest { tenant: &tenant, trigger, shares, holder, now, expires_at: now }.numbers().collect()
    }

    #[test]
    fn each_share_is_tried_once_and_the_last_one_last() {
        for shares in 0..=20 {
            let mut tried = numbers(shares, "holder");
            assert_eq!(tried, numbers(shares, "holder"), "a holder that asks again begins at the same share");
            assert_eq!(tried.last().copied(), shares.checked_sub(1));
            tried.sort_unstable();
            assert_eq!(tried, (0..shares).collect::<Vec<_>>());
        }
    }

    #[test]
    fn holders_begin_at_different_shares() {
        let starts: BTreeSet<_> = (0..200).map(|holder| numbers(20, &format!("holder-{holder}"))[0]).collect();
        assert_eq!(starts, (0..19).collect());
    }
}
