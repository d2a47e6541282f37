//! When items of the runs table may go: once their window was completed, or their configuration deleted, never before.

use std::ops::ControlFlow;

use domain::{configuration::ConfigurationKey, time::Timestamp};
use export_engine::ports::PortError;
use futures::stream::{StreamExt, TryStreamExt, iter};

use super::{
    RunTable,
    item::{self, Item, attribute, key, number, text},
    refused_update,
};
use crate::error::port_error;

/// How many items are given an expiry at the same time.
const MAX_CONCURRENT_UPDATES: usize = 16;

/// Pages of intents that are given an expiry of one sequence: those of a window fill less than two pages of 1 MB, and there is one
/// more revision with each edit of the destination before anything was delivered. The rest, if there ever is one, waits for
/// the deletion of its configuration.
const MAX_INTENT_PAGES: usize = 64;

/// The result of giving the items of a configuration's runs an expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryOutcome {
    /// Items that had none before.
    pub items: u64,
    /// Whether all of them have one now.
    pub is_complete: bool,
}

impl RunTable {
    /// Gives the intents of a sequence an expiry, those of all revisions.
    pub(super) async fn expire_intents_of(
        &self,
        configuration: &ConfigurationKey,
        sequence: u64,
        expires_at: Timestamp,
    ) -> Result<(), PortError> {
        let prefix = item::intent_prefix_of_sequence(sequence);
        let mut pages = 0;
        let goes_on = || {
            pages += 1;
            pages <= MAX_INTENT_PAGES
        };
        let outcome = self.expire(configuration, Some(&prefix), expires_at, goes_on).await?;
        if !outcome.is_complete {
            tracing::warn!(%configuration, sequence, "intents were left without an expiry");
        }
        Ok(())
    }

    /// Gives every item of a deleted configuration's runs an expiry, as long as `goes_on` says so before each page. What has
    /// one keeps it, so that this can be repeated, and goes on where it stopped.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn expire_all(
        &self,
        configuration: &ConfigurationKey,
        expires_at: Timestamp,
        goes_on: impl FnMut() -> bool,
    ) -> Result<ExpiryOutcome, PortError> {
        self.expire(configuration, None, expires_at, goes_on).await
    }

    async fn expire(
        &self,
        configuration: &ConfigurationKey,
        prefix: Option<&str>,
        expires_at: Timestamp,
        mut goes_on: impl FnMut() -> bool,
    ) -> Result<ExpiryOutcome, PortError> {
        let (mut items, mut start) = (0, ControlFlow::Continue(None));
        while let ControlFlow::Continue(after) = start {
            if !goes_on() {
                return Ok(ExpiryOutcome { items, is_complete: false });
            }
            let (names, next) = self.without_expiry(configuration, prefix, after).await?;
            items += names.len() as u64;
            let updates: Vec<_> = names.iter().map(|name| self.expire_item(configuration, name, expires_at)).collect();
            iter(updates).buffer_unordered(MAX_CONCURRENT_UPDATES).try_collect::<Vec<()>>().await?;
            start = next.map_or(ControlFlow::Break(()), |next| ControlFlow::Continue(Some(next)));
        }
        Ok(ExpiryOutcome { items, is_complete: true })
    }

    /// One page of the names of items that have no expiry, and where the next page starts.
    async fn without_expiry(
        &self,
        configuration: &ConfigurationKey,
        prefix: Option<&str>,
        after: Option<Item>,
    ) -> Result<(Vec<String>, Option<Item>), PortError> {
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .filter_expression("attribute_not_exists(#expiresAt)")
            .projection_expression("#run, #item")
            .expression_attribute_names("#run", attribute::RUN)
            .expression_attribute_names("#item", attribute::ITEM)
            .expression_attribute_names("#expiresAt", attribute::EXPIRES_AT)
            .expression_attribute_values(":run", text(configuration))
            .set_exclusive_start_key(after);
        query = match prefix {
            Some(prefix) => query
                .key_condition_expression("#run = :run AND begins_with(#item, :prefix)")
                .expression_attribute_values(":prefix", text(prefix)),
            None => query.key_condition_expression("#run = :run"),
        };
        let page = query.send().await.map_err(|error| port_error("dynamodb:Query (without expiry)", &error))?;
        let names =
            page.items().iter().map(|found| item::read_text(found, attribute::ITEM)).collect::<Result<_, _>>()?;
        Ok((names, page.last_evaluated_key))
    }

    /// An item that is gone meanwhile is not made again.
    async fn expire_item(
        &self,
        configuration: &ConfigurationKey,
        name: &str,
        expires_at: Timestamp,
    ) -> Result<(), PortError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(configuration, name)))
            .update_expression("SET #expiresAt = :expires_at")
            .condition_expression("attribute_exists(#run)")
            .expression_attribute_names("#run", attribute::RUN)
            .expression_attribute_names("#expiresAt", attribute::EXPIRES_AT)
            .expression_attribute_values(":expires_at", number(expires_at.as_seconds()));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) if refused_update(&error).is_some() => Ok(()),
            Err(error) => Err(port_error("dynamodb:UpdateItem (expiry)", &error)),
        }
    }
}
