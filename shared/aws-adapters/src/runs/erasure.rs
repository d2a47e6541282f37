//! A tenant's items of the runs table, found by a scan and deleted; and the notes of the erasure itself.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    operation::put_item::PutItemError,
    types::{AttributeValue, Select},
};
use bytes::Bytes;
use domain::{
    block::BlockId,
    configuration::{ConfigurationId, ConfigurationKey},
    digest::DigestReference,
    erasure::{ErasedConfiguration, Erasure},
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;
use futures::stream::{StreamExt, TryStreamExt, iter};

use super::{
    RunTable,
    item::{self, Item, attribute, json, key, number, text},
    shared::{CORRUPT_SUFFIX, SHARES_SUFFIX},
};
use crate::error::port_error;

/// No tenant's ID begins like this, so that no tenant's partition can be one of these.
const NOTES_PREFIX: &str = "#erasure#";
const NOTES_ITEM: &str = "notes";

/// How many items are deleted at the same time.
const MAX_CONCURRENT_DELETIONS: usize = 16;

/// The names of `HousekeeperRole` in template.yaml.
const PROJECTION: &str = "#run, #item, #nextBlock, #chainHead";

/// The key of an item of the runs table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunItemKey {
    pub run: String,
    pub item: String,
}

/// A page of the scan for a tenant's items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantRunPage {
    pub items: Vec<RunItemKey>,
    /// How far exports had come whose state is among them.
    pub exports: Vec<ErasedConfiguration>,
    /// Where the next page starts; `None`: this was the last.
    pub next: Option<RunItemKey>,
}

/// A statement and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedStatement {
    pub bytes: Bytes,
    /// ASN.1 DER.
    pub signature: Bytes,
}

/// What is stored of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredErasure {
    pub erasure: Erasure,
    /// `None`: it is not complete.
    pub statement: Option<SignedStatement>,
    /// Raised with each write: of two that erase the same tenant at the same time one is refused.
    pub revision: u64,
}

/// Whether the notes of an erasure were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotesOutcome {
    Stored,
    /// Another invocation has written them since they were read.
    ChangedSince,
}

fn notes_key(tenant: &TenantId) -> Item {
    key(&format!("{NOTES_PREFIX}{tenant}"), NOTES_ITEM)
}

/// Returns whether a partition is one of the tenant's: a configuration's, its shares or its corrupt blocks. A Region's circuit has
/// a partition that begins alike if a tenant is called `region`.
fn is_of_tenant(tenant: &TenantId, run: &str) -> bool {
    let suffix = run.strip_prefix(tenant.as_str());
    suffix.is_some_and(|suffix| {
        [SHARES_SUFFIX, CORRUPT_SUFFIX].contains(&suffix)
            || suffix.strip_prefix('#').and_then(ConfigurationId::parse).is_some()
    })
}

fn read_key(found: &Item) -> Result<RunItemKey, PortError> {
    let text = |name| item::read_text(found, name);
    Ok(RunItemKey { run: text(attribute::RUN)?, item: text(attribute::ITEM)? })
}

/// `None`: it is no state of an export.
fn read_export(found: &RunItemKey, attributes: &Item) -> Option<ErasedConfiguration> {
    let configuration_id = found.run.split_once('#').and_then(|(_, id)| ConfigurationId::parse(id))?;
    if found.item != item::STATE {
        return None;
    }
    // What can't be read is left out: it is erased all the same.
    let head = item::read_json::<DigestReference>(attributes, attribute::CHAIN_HEAD).ok();
    Some(ErasedConfiguration {
        configuration_id,
        exported_through: item::read_block(attributes, attribute::NEXT_BLOCK).ok().map(BlockId::timestamp),
        head_digest: head.map(|head| head.sha256),
    })
}

impl RunTable {
    /// Reads one page of the table for items of the tenant. The table is read as a whole: partitions can't be listed by how
    /// they begin.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn scan_tenant(&self, tenant: &TenantId, after: Option<&RunItemKey>) -> Result<TenantRunPage, PortError> {
        let page = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .select(Select::SpecificAttributes)
            .projection_expression(PROJECTION)
            .filter_expression("begins_with(#run, :prefix)")
            .expression_attribute_names("#run", attribute::RUN)
            .expression_attribute_names("#item", attribute::ITEM)
            .expression_attribute_names("#nextBlock", attribute::NEXT_BLOCK)
            .expression_attribute_names("#chainHead", attribute::CHAIN_HEAD)
            .expression_attribute_values(":prefix", text(&format!("{tenant}#")))
            .set_exclusive_start_key(after.map(|RunItemKey { run, item }| key(run, item)))
            .send()
            .await
            .map_err(|error| port_error("dynamodb:Scan (tenant's runs)", &error))?;
        let mut found = TenantRunPage::default();
        for attributes in page.items() {
            let key = read_key(attributes)?;
            if is_of_tenant(tenant, &key.run) {
                found.exports.extend(read_export(&key, attributes));
                found.items.push(key);
            }
        }
        found.next = page.last_evaluated_key.as_ref().map(read_key).transpose()?;
        Ok(found)
    }

    /// Reads the first items of a configuration's runs: they are deleted before more are asked for.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn first_items(&self, configuration: &ConfigurationKey) -> Result<TenantRunPage, PortError> {
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .select(Select::SpecificAttributes)
            .projection_expression(PROJECTION)
            .key_condition_expression("#run = :run")
            .expression_attribute_names("#run", attribute::RUN)
            .expression_attribute_names("#item", attribute::ITEM)
            .expression_attribute_names("#nextBlock", attribute::NEXT_BLOCK)
            .expression_attribute_names("#chainHead", attribute::CHAIN_HEAD)
            .expression_attribute_values(":run", text(configuration))
            .send()
            .await
            .map_err(|error| port_error("dynamodb:Query (runs to erase)", &error))?;
        let mut found = TenantRunPage::default();
        for attributes in page.items() {
            let key = read_key(attributes)?;
            found.exports.extend(read_export(&key, attributes));
            found.items.push(key);
        }
        Ok(found)
    }

    /// Returns how far an export has come; `None`: no run has started.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn export_head(
        &self,
        configuration: &ConfigurationKey,
    ) -> Result<Option<ErasedConfiguration>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(configuration, item::STATE)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("dynamodb:GetItem (state to erase)", &error))?;
        Ok(answer.item.and_then(|found| read_export(&state_key(configuration), &found)))
    }

    /// Deletes the state of an export: every write of a run that is under way is refused from then on.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn delete_state(&self, configuration: &ConfigurationKey) -> Result<(), PortError> {
        self.delete_all(&[state_key(configuration)]).await
    }

    /// Deletes items. Those that are gone already are no error.
    ///
    /// # Errors
    /// Transient or internal; some may be deleted then.
    pub async fn delete_all(&self, items: &[RunItemKey]) -> Result<(), PortError> {
        let deletions = items.iter().map(|RunItemKey { run, item }| {
            let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key(run, item)));
            async { delete.send().await.map_err(|error| port_error("dynamodb:DeleteItem (run)", &error)) }
        });
        let deletions: Vec<_> = deletions.collect();
        let deleted = iter(deletions).buffer_unordered(MAX_CONCURRENT_DELETIONS);
        deleted.try_for_each(|_| std::future::ready(Ok(()))).await
    }

    /// Returns what is noted of the erasure of a tenant.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn load_erasure(&self, tenant: &TenantId) -> Result<Option<StoredErasure>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(notes_key(tenant)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("dynamodb:GetItem (erasure)", &error))?;
        answer.item.map(read_notes).transpose()
    }

    /// Stores what is noted of an erasure in the place of what was read before, until `expires_at`, and raises its revision.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn store_erasure(
        &self,
        stored: &mut StoredErasure,
        expires_at: Timestamp,
    ) -> Result<NotesOutcome, PortError> {
        let operation = "dynamodb:PutItem (erasure)";
        let next = stored.revision + 1;
        let mut notes = item::with_attributes(
            notes_key(&stored.erasure.tenant_id),
            [
                (attribute::ERASURE, json(operation, &stored.erasure)?),
                (attribute::REVISION, number(next)),
                (attribute::EXPIRES_AT, number(expires_at.as_seconds())),
            ],
        );
        if let Some(SignedStatement { bytes, signature }) = &stored.statement {
            let binary = |bytes: &Bytes| AttributeValue::B(bytes.to_vec().into());
            notes = item::with_attributes(
                notes,
                [(attribute::STATEMENT, binary(bytes)), (attribute::SIGNATURE, binary(signature))],
            );
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(notes))
            // The same again is what became of a request that was repeated.
            .condition_expression("attribute_not_exists(#revision) OR #revision = :current OR #erasure = :erasure")
            .expression_attribute_names("#revision", attribute::REVISION)
            .expression_attribute_names("#erasure", attribute::ERASURE)
            .expression_attribute_values(":current", number(stored.revision))
            .expression_attribute_values(":erasure", json(operation, &stored.erasure)?);
        match put.send().await {
            Ok(_) => {
                stored.revision = next;
                Ok(NotesOutcome::Stored)
            }
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(NotesOutcome::ChangedSince)
            }
            Err(error) => Err(port_error(operation, &error)),
        }
    }
}

fn state_key(configuration: &ConfigurationKey) -> RunItemKey {
    RunItemKey { run: configuration.to_string(), item: item::STATE.to_owned() }
}

fn read_notes(mut found: HashMap<String, AttributeValue>) -> Result<StoredErasure, PortError> {
    let erasure = item::read_json(&found, attribute::ERASURE)?;
    let revision = item::read_number(&found, attribute::REVISION)?;
    let mut binary = |name| match found.remove(name) {
        None => Ok(None),
        Some(AttributeValue::B(bytes)) => Ok(Some(Bytes::from(bytes.into_inner()))),
        Some(_) => Err(item::corrupt(name)),
    };
    let statement = match (binary(attribute::STATEMENT)?, binary(attribute::SIGNATURE)?) {
        (Some(bytes), Some(signature)) => Some(SignedStatement { bytes, signature }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(item::corrupt(attribute::SIGNATURE)),
    };
    Ok(StoredErasure { erasure, statement, revision })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_s_partitions_are_its_own() {
        let tenant = TenantId::parse("acme").unwrap();
        let id = "01010101-0101-0101-0101-010101010101";
        for own in [format!("acme#{id}"), "acme#shares".to_owned(), "acme#corrupt".to_owned()] {
            assert!(is_of_tenant(&tenant, &own), "{own}");
        }
        for other in [
            format!("acme2#{id}"),
            format!("other#{id}"),
            "retention".to_owned(),
            "#erasure#acme".to_owned(),
            "acme#eu-west-1".to_owned(),
            "acme".to_owned(),
        ] {
            assert!(!is_of_tenant(&tenant, &other), "{other}");
        }
    }
}
