//! The items that runs of all tenants share: the history of retentions, the shares of tenants, the circuits of Regions, and
//! the blocks that were found corrupt. Each has its own partition, with a name that is no configuration's: those are
//! `<tenant>#<id>`.

use domain::{
    block::BlockId, circuit::Circuit, configuration::region::Region, export_run::RunTrigger,
    retention::RetentionHistory, tenant::TenantId, time::Timestamp,
};
use export_engine::ports::{
    CorruptBlocks, KnownCorruptBlock, PortError, RegionCircuits, SeenRetentions, ShareRequest, TenantShare,
    TenantShares,
};

use super::{
    item::{self, CORRUPT_SUFFIX, SHARES_SUFFIX, attribute, key},
    table::RunTable,
};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{Attributes, Item, extended, json, number, seconds, text},
    read::Query,
    write::{Write, WriteOutcome},
};

const RETENTION_PARTITION: &str = "retention";
const RETENTION_ITEM: &str = "history";
const CIRCUIT_ITEM: &str = "circuit";

/// The most corrupt blocks of a tenant that are read: with at most 200 bytes each they fit into one page.
const MAX_CORRUPT_BLOCKS: i32 = 1_000;

fn circuit_key(region: &Region) -> Item {
    key(format_args!("region#{region}"), CIRCUIT_ITEM)
}

fn corrupt_partition(tenant: &TenantId) -> String {
    format!("{tenant}{CORRUPT_SUFFIX}")
}

fn corrupt_block_key(tenant: &TenantId, block: BlockId) -> Item {
    key(corrupt_partition(tenant), &block.to_string())
}

fn share_key(share: &TenantShare) -> Item {
    let trigger = match share.trigger {
        RunTrigger::Schedule => "schedule",
        RunTrigger::Manual => "manual",
    };
    key(format_args!("{}{SHARES_SUFFIX}", share.tenant), &format!("{trigger}#{:04}", share.number))
}

/// The outcome of an approval to leave a corrupt block out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipApprovalOutcome {
    /// The next run of each of the tenant's configurations leaves it out and signs the gap.
    Approved,
    /// No run has found a block of that ID corrupt, so that there is nothing to approve.
    NotFound,
}

impl RunTable {
    pub(super) async fn put_retention_history(
        &self,
        current: &RetentionHistory,
        history: &RetentionHistory,
    ) -> Result<bool, PortError> {
        let operation = "dynamodb:PutItem (retention history)";
        let is_current = if *current == RetentionHistory::default() {
            Expression::new("attribute_not_exists(#history)")
        } else {
            Expression::new("#history = :current").with("current", json(operation, current)?)
        };
        let stored = [(attribute::HISTORY, json(operation, history)?)];
        let put = Write::put(extended(key(RETENTION_PARTITION, RETENTION_ITEM), stored)).when(is_current);
        Ok(self.table.write(operation, put).await?.is_done())
    }

    /// Approves that exports of the tenant leave out a block that a run has found corrupt. Approving again changes nothing.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn approve_skip(
        &self,
        tenant: &TenantId,
        block: BlockId,
        reason: &str,
        now: Timestamp,
    ) -> Result<SkipApprovalOutcome, PortError> {
        let changes = Changes::default()
            .set_if_absent(attribute::APPROVED_AT, text(now))
            .set_if_absent(attribute::REASON, text(reason));
        let update = Write::update(corrupt_block_key(tenant, block), changes);
        let update = update.when(Expression::new("attribute_exists(#run)"));
        match self.table.write("dynamodb:UpdateItem (approve skip)", update).await? {
            WriteOutcome::Done(_) => Ok(SkipApprovalOutcome::Approved),
            WriteOutcome::Refused(_) => Ok(SkipApprovalOutcome::NotFound),
        }
    }
}

impl SeenRetentions for RunTable {
    async fn retention_history(&self) -> Result<RetentionHistory, PortError> {
        let key = key(RETENTION_PARTITION, RETENTION_ITEM);
        match self.table.get("dynamodb:GetItem (retention history)", key).await? {
            Some(found) => Ok(Attributes(&found).json(attribute::HISTORY)?),
            None => Ok(RetentionHistory::default()),
        }
    }
}

impl CorruptBlocks for RunTable {
    async fn corrupt_blocks(&self, tenant: &TenantId) -> Result<Vec<KnownCorruptBlock>, PortError> {
        let operation = "dynamodb:Query (corrupt blocks)";
        let key = Expression::new("#run = :run").with("run", text(corrupt_partition(tenant)));
        let page = self.table.page(operation, &Query::new(key).limit(MAX_CORRUPT_BLOCKS), None).await?;
        if page.next.is_some() {
            let detail =
                format!("{tenant} has more than {MAX_CORRUPT_BLOCKS} corrupt blocks: restore the events table");
            return Err(PortError::internal(operation, detail));
        }
        let known = |found: &Item| {
            Ok(KnownCorruptBlock {
                block: item::read_block(Attributes(found), attribute::ITEM)?,
                is_skip_approved: found.contains_key(attribute::APPROVED_AT),
            })
        };
        page.items.iter().map(known).collect()
    }

    async fn record_corrupt_block(
        &self,
        tenant: &TenantId,
        block: BlockId,
        found_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), PortError> {
        let stored = [(attribute::FOUND_AT, text(found_at)), (attribute::EXPIRES_AT, seconds(expires_at))];
        let put = Write::put(extended(corrupt_block_key(tenant, block), stored));
        let put = put.when(Expression::new("attribute_not_exists(#run)"));
        self.table.write("dynamodb:PutItem (corrupt block)", put).await.map(drop)
    }
}

impl TenantShares for RunTable {
    /// One conditional write for each share that another run has, and one for that which is free.
    async fn take_share(&self, request: &ShareRequest<'_>) -> Result<Option<TenantShare>, PortError> {
        for number_of_share in request.numbers() {
            let share = TenantShare {
                tenant: request.tenant.clone(),
                trigger: request.trigger,
                number: number_of_share,
                holder: request.holder.to_owned(),
            };
            let changes = Changes::default()
                .set(attribute::LEASE_HOLDER, text(request.holder))
                .set(attribute::LEASE_EXPIRES_AT, number(request.expires_at.as_millis()))
                .set(attribute::EXPIRES_AT, seconds(request.expires_at));
            let is_free = Expression::new(
                "attribute_not_exists(#leaseExpiresAt) OR #leaseExpiresAt <= :now OR #leaseHolder = :leaseHolder",
            )
            .with("now", number(request.now.as_millis()));
            let take = Write::update(share_key(&share), changes).when(is_free);
            if self.table.write("dynamodb:UpdateItem (take share)", take).await?.is_done() {
                return Ok(Some(share));
            }
        }
        Ok(None)
    }

    async fn renew_share(&self, share: &TenantShare, expires_at: Timestamp) -> Result<(), PortError> {
        let changes = Changes::default()
            .set(attribute::LEASE_EXPIRES_AT, number(expires_at.as_millis()))
            .set(attribute::EXPIRES_AT, seconds(expires_at));
        let update = Write::update(share_key(share), changes).when(is_held(share));
        self.table.write("dynamodb:UpdateItem (renew share)", update).await.map(drop)
    }

    async fn return_share(&self, share: &TenantShare) -> Result<(), PortError> {
        let delete = Write::delete(share_key(share)).when(is_held(share));
        self.table.write("dynamodb:DeleteItem (return share)", delete).await.map(drop)
    }
}

/// Returns the condition that a share was not taken by another run.
fn is_held(share: &TenantShare) -> Expression {
    Expression::new("#leaseHolder = :holder").with("holder", text(&share.holder))
}

impl RegionCircuits for RunTable {
    async fn circuit(&self, region: &Region) -> Result<Option<Circuit>, PortError> {
        let found = self.table.get("dynamodb:GetItem (circuit)", circuit_key(region)).await?;
        Ok(found.map(|found| Attributes(&found).json(attribute::CIRCUIT)).transpose()?)
    }

    async fn replace_circuit(
        &self,
        region: &Region,
        current: Option<&Circuit>,
        circuit: Option<&Circuit>,
    ) -> Result<bool, PortError> {
        let operation =
            if circuit.is_some() { "dynamodb:UpdateItem (circuit)" } else { "dynamodb:DeleteItem (circuit)" };
        let is_current = match current {
            Some(current) => Expression::new("#circuit = :current").with("current", json(operation, current)?),
            None => Expression::new("attribute_not_exists(#circuit)"),
        };
        let replace = match (current, circuit) {
            (None, None) => return Ok(true),
            (Some(_), None) => Write::delete(circuit_key(region)),
            (_, Some(circuit)) => {
                let changes = Changes::default()
                    .set(attribute::CIRCUIT, json(operation, circuit)?)
                    .set(attribute::EXPIRES_AT, seconds(circuit.expires_at()));
                Write::update(circuit_key(region), changes)
            }
        };
        Ok(self.table.write(operation, replace.when(is_current)).await?.is_done())
    }
}
