//! Requested runs: at most one of a configuration is in the queue at a time.
//!
//! Three attributes of the configuration's item hold the request: the time through which its run is to export, the time
//! until which its message counts as queued, and a token of the request that sends the message. A further request raises
//! the first and sends none.

use domain::{allowance::RUN_REQUEST_LIFETIME, configuration::ConfigurationKey, time::Timestamp};
use export_engine::ports::PortError;

use super::{
    item::{self, attribute},
    table::ConfigurationTable,
};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{Attributes, Item, MalformedItem, seconds, text},
    write::{Write, WriteOutcome},
};

/// Attempts to note a request that meets others or the end of a run.
const MAX_REQUEST_ATTEMPTS: usize = 4;

/// The outcome of a request for a run: the next step of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunRequestOutcome {
    /// Send its message: none is in the queue.
    Queue,
    /// Nothing: the run in the queue exports through the requested time as well.
    Pending,
    /// Nothing: the configuration was deleted.
    NotFound,
}

impl ConfigurationTable {
    /// Notes that a run is to export through `through`. Of concurrent requests, one has the outcome
    /// [`RunRequestOutcome::Queue`]; if its message can't be sent, the request has to be cleared. `token` is a random number
    /// of the request.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn request_run(
        &self,
        key: &ConfigurationKey,
        through: Timestamp,
        now: Timestamp,
        token: u128,
    ) -> Result<RunRequestOutcome, PortError> {
        let operation = "request run";
        let until = now.saturating_add(RUN_REQUEST_LIFETIME);
        let token = format!("{token:032x}");
        for _ in 0..MAX_REQUEST_ATTEMPTS {
            let queue = Changes::default()
                .set(attribute::REQUESTED_THROUGH, text(through))
                .set(attribute::REQUESTED_UNTIL, seconds(until))
                .set(attribute::REQUEST_TOKEN, text(&token));
            let none_is_queued = Expression::new(
                "attribute_exists(#id) AND (attribute_not_exists(#requestedUntil) OR #requestedUntil <= :now)",
            )
            .with("now", seconds(now));
            let found = match self.update_request(operation, key, queue, none_is_queued).await? {
                WriteOutcome::Done(_) => return Ok(RunRequestOutcome::Queue),
                WriteOutcome::Refused(found) => found,
            };
            if found.is_empty() {
                return Ok(RunRequestOutcome::NotFound);
            }
            // The response to an earlier attempt of the same write was lost.
            if found.get(attribute::REQUEST_TOKEN) == Some(&text(&token)) {
                return Ok(RunRequestOutcome::Queue);
            }
            if read_through(&found)? >= Some(through) {
                return Ok(RunRequestOutcome::Pending);
            }
            // The texts sort like the times.
            let raise = Changes::default().set(attribute::REQUESTED_THROUGH, text(through));
            let is_queued = Expression::new("#requestedUntil > :now AND #requestedThrough < :requestedThrough")
                .with("now", seconds(now));
            if self.update_request(operation, key, raise, is_queued).await?.is_done() {
                return Ok(RunRequestOutcome::Pending);
            }
            // The run has ended since, or a later request came first.
        }
        Err(PortError::transient(operation, format!("{MAX_REQUEST_ATTEMPTS} attempts met other requests")))
    }

    /// Clears a request after a run that exported through `through`. Returns the time through which a later request is to
    /// export, which stays; `None`: no request is left.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn end_run_request(
        &self,
        key: &ConfigurationKey,
        through: Timestamp,
    ) -> Result<Option<Timestamp>, PortError> {
        let clear = Changes::default()
            .remove(attribute::REQUESTED_THROUGH)
            .remove(attribute::REQUESTED_UNTIL)
            .remove(attribute::REQUEST_TOKEN);
        let is_exported = Expression::new("#requestedThrough <= :through").with("through", text(through));
        match self.update_request("clear run request", key, clear, is_exported).await? {
            WriteOutcome::Done(_) => Ok(None),
            WriteOutcome::Refused(found) => Ok(read_through(&found)?),
        }
    }

    async fn update_request(
        &self,
        operation: &'static str,
        key: &ConfigurationKey,
        changes: Changes,
        condition: Expression,
    ) -> Result<WriteOutcome, PortError> {
        let update = Write::update(item::key(key), changes).when(condition).returning_found();
        self.table.write(operation, update).await
    }
}

fn read_through(found: &Item) -> Result<Option<Timestamp>, MalformedItem> {
    Attributes(found).optional_time(attribute::REQUESTED_THROUGH)
}
