//! The state of exports in DynamoDB: one item for cursor, lease and window, one for each intent and each finished run.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    operation::{transact_write_items::TransactWriteItemsError, update_item::UpdateItemError},
    types::{
        AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
        error::ConditionalCheckFailedException,
    },
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use domain::{
    configuration::ConfigurationKey,
    export_run::{RunRecord, RunState, Window},
    time::Timestamp,
};
use export::ports::{Intent, IntentAnswer, Lease, LeaseAnswer, LeaseRequest, PortError, ReleaseAnswer, RunStore};
use serde::Serialize;

use crate::error::port_error;

/// How long an intent is kept: longer than a window can stay open while its bucket can't be reached.
const INTENT_LIFETIME: Duration = Duration::from_hours(400 * 24);

/// The table `ExportRuns`.
#[derive(Clone, Debug)]
pub struct RunTable {
    client: Client,
    table: String,
}

type Item = HashMap<String, AttributeValue>;

mod attribute {
    pub(super) const RUN: &str = "run";
    pub(super) const ITEM: &str = "item";
    pub(super) const EXPORTED_THROUGH: &str = "exportedThrough";
    pub(super) const FENCING_TOKEN: &str = "fencingToken";
    pub(super) const LEASE_EXPIRES_AT: &str = "leaseExpiresAt";
    pub(super) const OPEN_WINDOW: &str = "openWindow";
    pub(super) const RERUN_THROUGH: &str = "rerunThrough";
    pub(super) const SHA256: &str = "sha256";
    pub(super) const RECORD: &str = "record";
    pub(super) const EXPIRES_AT: &str = "expiresAt";
}

const STATE: &str = "state";
const HELD_BY_US: &str = "fencingToken = :token";

impl RunTable {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    fn key(configuration: &ConfigurationKey, item: &str) -> Item {
        HashMap::from([
            (attribute::RUN.to_owned(), AttributeValue::S(configuration.to_string())),
            (attribute::ITEM.to_owned(), AttributeValue::S(item.to_owned())),
        ])
    }

    /// An update of the state that only the holder of the lease can make.
    fn fenced_update(
        &self,
        lease: &Lease,
        expression: &str,
        values: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Result<TransactWriteItem, PortError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Self::key(&lease.key, STATE)))
            .update_expression(expression)
            .condition_expression(HELD_BY_US)
            .expression_attribute_values(":token", number(lease.fencing_token));
        let update = values
            .into_iter()
            .fold(update, |update, (name, value)| update.expression_attribute_values(name, value))
            .build()
            .map_err(|error| PortError::internal("dynamodb:UpdateItem", error.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn put(
        &self,
        configuration: &ConfigurationKey,
        item: &str,
        attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>,
        condition: Option<&str>,
    ) -> Result<TransactWriteItem, PortError> {
        let mut whole = Self::key(configuration, item);
        whole.extend(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(whole))
            .set_condition_expression(condition.map(str::to_owned))
            .set_return_values_on_condition_check_failure(Some(ReturnValuesOnConditionCheckFailure::AllOld))
            .build()
            .map_err(|error| PortError::internal("dynamodb:PutItem", error.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    async fn transact(
        &self,
        operation: &'static str,
        items: Vec<TransactWriteItem>,
    ) -> Result<Result<(), Vec<RefusedItem>>, PortError> {
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(Ok(())),
            Err(error) => refused_items(&error).map(Err).ok_or_else(|| port_error(operation, &error)),
        }
    }
}

/// An item of a transaction whose condition did not hold, and what is there instead.
struct RefusedItem {
    index: usize,
    found: Item,
}

/// `None`: the transaction failed for another reason than its conditions.
fn refused_items(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Option<Vec<RefusedItem>> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error.as_service_error()? else {
        return None;
    };
    let refused: Vec<RefusedItem> = cancelled
        .cancellation_reasons()
        .iter()
        .enumerate()
        .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
        .map(|(index, reason)| RefusedItem { index, found: reason.item().cloned().unwrap_or_default() })
        .collect();
    (!refused.is_empty()).then_some(refused)
}

/// The item that made the condition of an update fail; `None`: it failed for another reason.
fn refused_update(error: &SdkError<UpdateItemError, HttpResponse>) -> Option<Item> {
    match error.as_service_error()? {
        UpdateItemError::ConditionalCheckFailedException(ConditionalCheckFailedException { item, .. }) => {
            Some(item.clone().unwrap_or_default())
        }
        _ => None,
    }
}

impl RunStore for RunTable {
    async fn acquire_lease(
        &self,
        key: &ConfigurationKey,
        initial: &RunState,
        request: &LeaseRequest<'_>,
    ) -> Result<LeaseAnswer, PortError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Self::key(key, STATE)))
            .update_expression(
                "SET exportedThrough = if_not_exists(exportedThrough, :start), \
                 fencingToken = if_not_exists(fencingToken, :zero) + :one, \
                 leaseExpiresAt = :expires_at, leaseHolder = :holder",
            )
            .condition_expression(
                "attribute_not_exists(leaseExpiresAt) OR leaseExpiresAt <= :now OR leaseHolder = :holder",
            )
            .expression_attribute_values(":start", text(initial.exported_through))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", number(request.now.as_millis()))
            .expression_attribute_values(":expires_at", number(request.expires_at.as_millis()))
            .expression_attribute_values(":holder", AttributeValue::S(request.holder.to_owned()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let state = read_state(&answer.attributes.unwrap_or_default())?;
                let lease = Lease { key: key.clone(), fencing_token: state.fencing_token };
                Ok(LeaseAnswer::Granted { lease, state: Box::new(state) })
            }
            Err(error) => match refused_update(&error) {
                Some(found) => Ok(LeaseAnswer::Held { fencing_token: read_number(&found, attribute::FENCING_TOKEN)? }),
                None => Err(port_error("dynamodb:UpdateItem (acquire lease)", &error)),
            },
        }
    }

    async fn note_rerun(&self, key: &ConfigurationKey, holder: u64, through: Timestamp) -> Result<bool, PortError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Self::key(key, STATE)))
            .update_expression("SET rerunThrough = :through")
            .condition_expression(format!(
                "{HELD_BY_US} AND attribute_exists(leaseExpiresAt) \
                 AND (attribute_not_exists(rerunThrough) OR rerunThrough < :through)"
            ))
            .expression_attribute_values(":token", number(holder))
            .expression_attribute_values(":through", text(through))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) => {
                let found =
                    refused_update(&error).ok_or_else(|| port_error("dynamodb:UpdateItem (note rerun)", &error))?;
                let is_held_by_same = found.contains_key(attribute::LEASE_EXPIRES_AT)
                    && read_number(&found, attribute::FENCING_TOKEN)? == holder;
                let is_noted_already = read_optional_time(&found, attribute::RERUN_THROUGH)? >= Some(through);
                Ok(is_held_by_same && is_noted_already)
            }
        }
    }

    async fn store_window(&self, lease: &Lease, window: &Window, expires_at: Timestamp) -> Result<(), PortError> {
        let operation = "dynamodb:UpdateItem (store window)";
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Self::key(&lease.key, STATE)))
            .update_expression("SET openWindow = :window, leaseExpiresAt = :expires_at")
            .condition_expression(HELD_BY_US)
            .expression_attribute_values(":token", number(lease.fencing_token))
            .expression_attribute_values(":window", json(operation, window)?)
            .expression_attribute_values(":expires_at", number(expires_at.as_millis()))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if refused_update(&error).is_some() => Err(PortError::fenced(operation)),
            Err(error) => Err(port_error(operation, &error)),
        }
    }

    async fn store_intent(
        &self,
        lease: &Lease,
        intent: &Intent,
        expires_at: Timestamp,
    ) -> Result<IntentAnswer, PortError> {
        let operation = "dynamodb:TransactWriteItems (store intent)";
        let prolong = self.fenced_update(
            lease,
            "SET leaseExpiresAt = :expires_at",
            [(":expires_at", number(expires_at.as_millis()))],
        )?;
        let put = self.put(
            &lease.key,
            &format!("intent#{}", intent.object_key),
            [
                (attribute::SHA256, AttributeValue::B(intent.sha256.to_vec().into())),
                (attribute::EXPIRES_AT, number(expires_at.saturating_add(INTENT_LIFETIME).as_seconds())),
            ],
            Some("attribute_not_exists(sha256)"),
        )?;
        match self.transact(operation, vec![prolong, put]).await? {
            Ok(()) => Ok(IntentAnswer::New),
            Err(refused) => match refused.as_slice() {
                [RefusedItem { index: 1, found }] => {
                    let sha256 = found.get(attribute::SHA256).and_then(|value| value.as_b().ok());
                    let sha256 = sha256.and_then(|bytes| bytes.as_ref().try_into().ok());
                    let sha256 = sha256.ok_or_else(|| corrupt(attribute::SHA256))?;
                    Ok(IntentAnswer::Known(Intent { object_key: intent.object_key.clone(), sha256 }))
                }
                _ => Err(PortError::fenced(operation)),
            },
        }
    }

    async fn complete_window(&self, lease: &Lease, record: &RunRecord, expires_at: Timestamp) -> Result<(), PortError> {
        let operation = "dynamodb:TransactWriteItems (complete window)";
        let update = self.fenced_update(
            lease,
            "SET exportedThrough = :through, leaseExpiresAt = :expires_at REMOVE openWindow",
            [(":through", text(record.to)), (":expires_at", number(expires_at.as_millis()))],
        )?;
        let history = self.put(
            &lease.key,
            &format!("job#{}#{}", record.to, record.from),
            [(attribute::RECORD, json(operation, record)?)],
            None,
        )?;
        match self.transact(operation, vec![update, history]).await? {
            Ok(()) => Ok(()),
            Err(_) => Err(PortError::fenced(operation)),
        }
    }

    async fn release(&self, lease: &Lease, exported_through: Timestamp) -> Result<ReleaseAnswer, PortError> {
        let operation = "dynamodb:UpdateItem (release lease)";
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Self::key(&lease.key, STATE)))
            .update_expression("REMOVE leaseExpiresAt, leaseHolder, rerunThrough")
            .condition_expression(format!(
                "{HELD_BY_US} AND (attribute_not_exists(rerunThrough) OR rerunThrough <= :through)"
            ))
            .expression_attribute_values(":token", number(lease.fencing_token))
            .expression_attribute_values(":through", text(exported_through))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(ReleaseAnswer::Released),
            Err(error) => {
                let found = refused_update(&error).ok_or_else(|| port_error(operation, &error))?;
                if read_number(&found, attribute::FENCING_TOKEN)? != lease.fencing_token {
                    return Err(PortError::fenced(operation));
                }
                let through = read_optional_time(&found, attribute::RERUN_THROUGH)?;
                through.map(|through| ReleaseAnswer::Rerun { through }).ok_or_else(|| corrupt(attribute::RERUN_THROUGH))
            }
        }
    }
}

fn text(value: Timestamp) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn json(operation: &'static str, value: &impl Serialize) -> Result<AttributeValue, PortError> {
    serde_json::to_string(value)
        .map(AttributeValue::S)
        .map_err(|error| PortError::internal(operation, error.to_string()))
}

fn read_state(item: &Item) -> Result<RunState, PortError> {
    Ok(RunState {
        exported_through: read_optional_time(item, attribute::EXPORTED_THROUGH)?
            .ok_or_else(|| corrupt(attribute::EXPORTED_THROUGH))?,
        fencing_token: read_number(item, attribute::FENCING_TOKEN)?,
        lease_expires_at: Timestamp::from_millis(read_number(item, attribute::LEASE_EXPIRES_AT)?),
        window: read_optional(item, attribute::OPEN_WINDOW, |text| serde_json::from_str(text).ok())?,
    })
}

fn read_number(item: &Item, name: &'static str) -> Result<u64, PortError> {
    let number = item.get(name).and_then(|value| value.as_n().ok()).and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| corrupt(name))
}

fn read_optional_time(item: &Item, name: &'static str) -> Result<Option<Timestamp>, PortError> {
    read_optional(item, name, |text| Timestamp::parse(text).ok())
}

fn read_optional<T>(
    item: &Item,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, PortError> {
    let Some(value) = item.get(name) else { return Ok(None) };
    let parsed = value.as_s().ok().and_then(|text| parse(text));
    parsed.map(Some).ok_or_else(|| corrupt(name))
}

fn corrupt(name: &'static str) -> PortError {
    PortError::internal("read run state", format!("attribute {name} is missing or has no valid value"))
}
