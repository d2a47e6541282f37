//! The expiry of items of the runs table. It is set once their window is completed or their configuration deleted, never
//! before. Items of replays are created with one.

use std::ops::ControlFlow;

use domain::{configuration::ConfigurationKey, time::Timestamp};
use export_engine::ports::PortError;

use super::{
    item::{self, attribute, key},
    table::RunTable,
};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{Attributes, seconds, text},
    read::Query,
    write::Write,
};

/// Concurrent updates of items.
const MAX_CONCURRENT_UPDATES: usize = 16;

/// The most pages of intents of one sequence that get an expiry. The intents of a window fill less than two pages of 1 MB,
/// and each edit of the destination before a delivery adds one revision. A rest would wait for the deletion of its
/// configuration.
const MAX_EXPIRED_INTENT_PAGES: usize = 64;

/// The outcome of giving the items of a configuration's runs an expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryOutcome {
    /// Items that had none before.
    pub items: u64,
    /// `true`: all items have an expiry now.
    pub is_complete: bool,
}

impl RunTable {
    /// Gives the intents of all revisions of a sequence an expiry.
    pub(super) async fn expire_intents_of(
        &self,
        key: &ConfigurationKey,
        sequence: u64,
        expires_at: Timestamp,
    ) -> Result<(), PortError> {
        let prefix = item::intent_prefix_of_sequence(sequence);
        let mut pages = 0;
        let goes_on = || {
            pages += 1;
            pages <= MAX_EXPIRED_INTENT_PAGES
        };
        let outcome = self.expire(key, Some(&prefix), expires_at, goes_on).await?;
        if !outcome.is_complete {
            tracing::warn!(tenant = %key.tenant_id, configuration = %key.configuration_id, sequence,
                "intents were left without an expiry");
        }
        Ok(())
    }

    /// Gives every item of a deleted configuration's runs an expiry, while `goes_on` returns `true` before each page. An expiry
    /// that is set stays, so that this can be repeated, and continues where it stopped.
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
        let mut key_condition = Expression::new("#run = :run").with("run", text(configuration));
        if let Some(prefix) = prefix {
            key_condition.text.push_str(" AND begins_with(#item, :prefix)");
            key_condition = key_condition.with("prefix", text(prefix));
        }
        let without_expiry = Query::new(key_condition)
            .filter(Expression::new("attribute_not_exists(#expiresAt)"))
            .project("#run, #item");
        let (mut items, mut start) = (0, ControlFlow::Continue(None));
        while let ControlFlow::Continue(after) = start {
            if !goes_on() {
                return Ok(ExpiryOutcome { items, is_complete: false });
            }
            let page = self.table.page("dynamodb:Query (without expiry)", &without_expiry, after).await?;
            let names = page.items.iter().map(|found| Attributes(found).text(attribute::ITEM));
            let names = names.collect::<Result<Vec<_>, _>>()?;
            items += names.len() as u64;
            let updates = names.iter().map(|name| {
                let changes = Changes::default().set(attribute::EXPIRES_AT, seconds(expires_at));
                // An item that is gone meanwhile is not created again.
                Write::update(key(configuration, name), changes).when(Expression::new("attribute_exists(#run)"))
            });
            self.table.write_each("dynamodb:UpdateItem (expiry)", MAX_CONCURRENT_UPDATES, updates).await?;
            start = page.next.map_or(ControlFlow::Break(()), |next| ControlFlow::Continue(Some(next)));
        }
        Ok(ExpiryOutcome { items, is_complete: true })
    }
}
