//! What runs of all tenants share: the history of retentions, the shares of tenants, the circuits of Regions, and the blocks
//! that were found corrupt. Each has a partition of its own, whose name is no configuration's: those are `<tenant>#<id>`.

use aws_sdk_dynamodb::operation::{delete_item::DeleteItemError, put_item::PutItemError};
use domain::{
    block::BlockId, circuit::Circuit, configuration::region::Region, export_run::RunTrigger,
    retention::RetentionHistory, tenant::TenantId, time::Timestamp,
};
use export_engine::ports::{KnownCorruptBlock, PortError, RegionCircuits, ShareRequest, TenantShare, TenantShares};

use super::{
    RunTable,
    item::{self, Item, attribute, json, key, number, text},
    refused_update,
};
use crate::error::port_error;

const RETENTION_PARTITION: &str = "retention";
const RETENTION_ITEM: &str = "history";
const CIRCUIT_ITEM: &str = "circuit";
pub(super) const SHARES_SUFFIX: &str = "#shares";
pub(super) const CORRUPT_SUFFIX: &str = "#corrupt";

/// The most corrupt blocks of a tenant that are read: with at most 200 bytes each they fit into one page.
const MAX_CORRUPT_BLOCKS: i32 = 1_000;

fn region_partition(region: &Region) -> String {
    format!("region#{region}")
}

fn corrupt_partition(tenant: &TenantId) -> String {
    format!("{tenant}{CORRUPT_SUFFIX}")
}

fn share_key(share: &TenantShare) -> Item {
    let trigger = match share.trigger {
        RunTrigger::Schedule => "schedule",
        RunTrigger::Manual => "manual",
    };
    key(&format!("{}{SHARES_SUFFIX}", share.tenant), &format!("{trigger}#{:04}", share.number))
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
    pub(super) async fn read_retention_history(&self) -> Result<RetentionHistory, PortError> {
        let operation = "dynamodb:GetItem (retention history)";
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(RETENTION_PARTITION, RETENTION_ITEM)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error(operation, &error))?;
        match answer.item {
            Some(found) => item::read_json(&found, attribute::HISTORY),
            None => Ok(RetentionHistory::default()),
        }
    }

    pub(super) async fn put_retention_history(
        &self,
        current: &RetentionHistory,
        history: &RetentionHistory,
    ) -> Result<bool, PortError> {
        let operation = "dynamodb:PutItem (retention history)";
        let found = key(RETENTION_PARTITION, RETENTION_ITEM);
        let stored = item::with_attributes(found, [(attribute::HISTORY, json(operation, history)?)]);
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(stored))
            .expression_attribute_names("#history", attribute::HISTORY);
        put = if *current == RetentionHistory::default() {
            put.condition_expression("attribute_not_exists(#history)")
        } else {
            put.condition_expression("#history = :current")
                .expression_attribute_values(":current", json(operation, current)?)
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(port_error(operation, &error)),
        }
    }

    pub(super) async fn query_corrupt_blocks(&self, tenant: &TenantId) -> Result<Vec<KnownCorruptBlock>, PortError> {
        let operation = "dynamodb:Query (corrupt blocks)";
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#run = :run")
            .expression_attribute_names("#run", attribute::RUN)
            .expression_attribute_values(":run", text(&corrupt_partition(tenant)))
            .limit(MAX_CORRUPT_BLOCKS)
            .send()
            .await
            .map_err(|error| port_error(operation, &error))?;
        if page.last_evaluated_key.is_some() {
            let detail =
                format!("{tenant} has more than {MAX_CORRUPT_BLOCKS} corrupt blocks: restore the events table");
            return Err(PortError::internal(operation, detail));
        }
        let known = |found: &Item| {
            Ok(KnownCorruptBlock {
                block: item::read_block(found, attribute::ITEM)?,
                is_skip_approved: found.contains_key(attribute::APPROVED_AT),
            })
        };
        page.items.unwrap_or_default().iter().map(known).collect()
    }

    pub(super) async fn put_corrupt_block(
        &self,
        tenant: &TenantId,
        block: BlockId,
        found_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), PortError> {
        let stored = item::with_attributes(
            key(&corrupt_partition(tenant), &block.to_string()),
            [(attribute::FOUND_AT, text(&found_at)), (attribute::EXPIRES_AT, number(expires_at.as_seconds()))],
        );
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(stored))
            .condition_expression("attribute_not_exists(#run)")
            .expression_attribute_names("#run", attribute::RUN);
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(())
            }
            Err(error) => Err(port_error("dynamodb:PutItem (corrupt block)", &error)),
        }
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
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(&corrupt_partition(tenant), &block.to_string())))
            .update_expression(
                "SET #approvedAt = if_not_exists(#approvedAt, :now), #reason = if_not_exists(#reason, :reason)",
            )
            .condition_expression("attribute_exists(#run)")
            .expression_attribute_names("#approvedAt", attribute::APPROVED_AT)
            .expression_attribute_names("#reason", attribute::REASON)
            .expression_attribute_names("#run", attribute::RUN)
            .expression_attribute_values(":now", text(&now))
            .expression_attribute_values(":reason", text(reason));
        match update.send().await {
            Ok(_) => Ok(SkipApprovalOutcome::Approved),
            Err(error) if refused_update(&error).is_some() => Ok(SkipApprovalOutcome::NotFound),
            Err(error) => Err(port_error("dynamodb:UpdateItem (approve skip)", &error)),
        }
    }
}

impl TenantShares for RunTable {
    /// One conditional write for each share that another run has, and one for that which is free.
    async fn take_share(&self, request: &ShareRequest<'_>) -> Result<Option<TenantShare>, PortError> {
        for number_of_share in 0..request.shares {
            let share = TenantShare {
                tenant: request.tenant.clone(),
                trigger: request.trigger,
                number: number_of_share,
                holder: request.holder.to_owned(),
            };
            let update = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(share_key(&share)))
                .update_expression("SET #holder = :holder, #until = :until, #expiresAt = :expires_at")
                .condition_expression("attribute_not_exists(#until) OR #until <= :now OR #holder = :holder")
                .expression_attribute_names("#holder", attribute::LEASE_HOLDER)
                .expression_attribute_names("#until", attribute::LEASE_EXPIRES_AT)
                .expression_attribute_names("#expiresAt", attribute::EXPIRES_AT)
                .expression_attribute_values(":holder", text(request.holder))
                .expression_attribute_values(":until", number(request.expires_at.as_millis()))
                .expression_attribute_values(":expires_at", number(request.expires_at.as_seconds()))
                .expression_attribute_values(":now", number(request.now.as_millis()));
            match update.send().await {
                Ok(_) => return Ok(Some(share)),
                Err(error) if refused_update(&error).is_some() => {}
                Err(error) => return Err(port_error("dynamodb:UpdateItem (take share)", &error)),
            }
        }
        Ok(None)
    }

    async fn renew_share(&self, share: &TenantShare, expires_at: Timestamp) -> Result<(), PortError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(share_key(share)))
            .update_expression("SET #until = :until, #expiresAt = :expires_at")
            .condition_expression("#holder = :holder")
            .expression_attribute_names("#holder", attribute::LEASE_HOLDER)
            .expression_attribute_names("#until", attribute::LEASE_EXPIRES_AT)
            .expression_attribute_names("#expiresAt", attribute::EXPIRES_AT)
            .expression_attribute_values(":holder", text(&share.holder))
            .expression_attribute_values(":until", number(expires_at.as_millis()))
            .expression_attribute_values(":expires_at", number(expires_at.as_seconds()));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) if refused_update(&error).is_some() => Ok(()),
            Err(error) => Err(port_error("dynamodb:UpdateItem (renew share)", &error)),
        }
    }

    async fn return_share(&self, share: &TenantShare) -> Result<(), PortError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(share_key(share)))
            .condition_expression("#holder = :holder")
            .expression_attribute_names("#holder", attribute::LEASE_HOLDER)
            .expression_attribute_values(":holder", text(&share.holder));
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(port_error("dynamodb:DeleteItem (return share)", &error)),
        }
    }
}

impl RegionCircuits for RunTable {
    async fn circuit(&self, region: &Region) -> Result<Option<Circuit>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(&region_partition(region), CIRCUIT_ITEM)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("dynamodb:GetItem (circuit)", &error))?;
        answer.item.map(|found| item::read_json(&found, attribute::CIRCUIT)).transpose()
    }

    async fn replace_circuit(
        &self,
        region: &Region,
        current: Option<&Circuit>,
        circuit: Option<&Circuit>,
    ) -> Result<bool, PortError> {
        let operation = "dynamodb:UpdateItem (circuit)";
        let key = key(&region_partition(region), CIRCUIT_ITEM);
        let is_current = "#circuit = :current";
        let current = current.map(|current| json(operation, current)).transpose()?;
        let refused = match (current, circuit) {
            (None, None) => false,
            (Some(current), None) => {
                let delete = self
                    .client
                    .delete_item()
                    .table_name(&self.table)
                    .set_key(Some(key))
                    .condition_expression(is_current)
                    .expression_attribute_names("#circuit", attribute::CIRCUIT)
                    .expression_attribute_values(":current", current);
                match delete.send().await {
                    Ok(_) => false,
                    Err(error)
                        if error
                            .as_service_error()
                            .is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
                    {
                        true
                    }
                    Err(error) => return Err(port_error("dynamodb:DeleteItem (circuit)", &error)),
                }
            }
            (current, Some(circuit)) => {
                let mut update = self
                    .client
                    .update_item()
                    .table_name(&self.table)
                    .set_key(Some(key))
                    .update_expression("SET #circuit = :circuit, #expiresAt = :expires_at")
                    .expression_attribute_names("#expiresAt", attribute::EXPIRES_AT)
                    .expression_attribute_values(":expires_at", number(circuit.expires_at().as_seconds()))
                    .expression_attribute_names("#circuit", attribute::CIRCUIT)
                    .expression_attribute_values(":circuit", json(operation, circuit)?);
                update = match current {
                    Some(current) => {
                        update.condition_expression(is_current).expression_attribute_values(":current", current)
                    }
                    None => update.condition_expression("attribute_not_exists(#circuit)"),
                };
                match update.send().await {
                    Ok(_) => false,
                    Err(error) if refused_update(&error).is_some() => true,
                    Err(error) => return Err(port_error(operation, &error)),
                }
            }
        };
        Ok(!refused)
    }
}
