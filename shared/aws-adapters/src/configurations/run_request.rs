//! Requested runs: at most one of a configuration is in the queue at a time.
//!
//! Three attributes of the configuration's item hold the request: through when its run is to export, until when its message
//! is taken to be in the queue, and a token of who sends that message. A further request raises the first and sends none.

use aws_sdk_dynamodb::{
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::ReturnValuesOnConditionCheckFailure,
};
use domain::{allowance::RUN_REQUEST_LIFETIME, configuration::ConfigurationKey, time::Timestamp};
use export_engine::ports::PortError;

use super::{
    ConfigurationTable,
    item::{self, Attributes, Item, attribute, number, text},
};
use crate::error::port_error;

/// How often a request is noted that meets others or the end of a run.
const MAX_REQUEST_ATTEMPTS: usize = 4;

/// What a request for a run has to do now.
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
    /// Notes that a run is to export through `through`. Of several requests at once, one has the outcome
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
            let queue = self
                .update_request(key)
                .update_expression("SET #through = :through, #until = :until, #token = :token")
                .condition_expression("attribute_exists(#id) AND (attribute_not_exists(#until) OR #until <= :now)")
                .expression_attribute_names("#id", attribute::ID)
                .expression_attribute_names("#until", attribute::REQUESTED_UNTIL)
                .expression_attribute_names("#token", attribute::REQUEST_TOKEN)
                .expression_attribute_values(":token", text(&token))
                .expression_attribute_values(":until", number(until.as_seconds()))
                .expression_attribute_values(":through", text(through))
                .expression_attribute_values(":now", number(now.as_seconds()));
            let Some(found) = refused(operation, queue).await? else { return Ok(RunRequestOutcome::Queue) };
            if found.is_empty() {
                return Ok(RunRequestOutcome::NotFound);
            }
            // The answer to an earlier attempt of the same write was lost.
            if found.get(attribute::REQUEST_TOKEN) == Some(&text(&token)) {
                return Ok(RunRequestOutcome::Queue);
            }
            let pending_through = read_through(&found)?;
            if pending_through >= Some(through) {
                return Ok(RunRequestOutcome::Pending);
            }
            // The texts sort like the times.
            let raise = self
                .update_request(key)
                .update_expression("SET #through = :through")
                .condition_expression("#until > :now AND #through < :through")
                .expression_attribute_names("#until", attribute::REQUESTED_UNTIL)
                .expression_attribute_values(":through", text(through))
                .expression_attribute_values(":now", number(now.as_seconds()));
            if refused(operation, raise).await?.is_none() {
                return Ok(RunRequestOutcome::Pending);
            }
            // Its run has ended since, or a later request came first.
        }
        Err(PortError::transient(operation, format!("{MAX_REQUEST_ATTEMPTS} attempts met other requests")))
    }

    /// Clears a request after a run that exported through `through`. Returns through when a later request is to export,
    /// which stays; `None`: no request is left.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn end_run_request(
        &self,
        key: &ConfigurationKey,
        through: Timestamp,
    ) -> Result<Option<Timestamp>, PortError> {
        let clear = self
            .update_request(key)
            .update_expression("REMOVE #through, #until, #token")
            .condition_expression("#through <= :through")
            .expression_attribute_names("#until", attribute::REQUESTED_UNTIL)
            .expression_attribute_names("#token", attribute::REQUEST_TOKEN)
            .expression_attribute_values(":through", text(through));
        match refused("clear run request", clear).await? {
            Some(found) => read_through(&found),
            None => Ok(None),
        }
    }

    fn update_request(&self, key: &ConfigurationKey) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(key)))
            .expression_attribute_names("#through", attribute::REQUESTED_THROUGH)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

/// Sends the update. Returns the item that did not meet its condition, empty if there is none; `None`: it is done.
async fn refused(operation: &'static str, update: UpdateItemFluentBuilder) -> Result<Option<Item>, PortError> {
    match update.send().await {
        Ok(_) => Ok(None),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(exception)) => {
                Ok(Some(exception.item.clone().unwrap_or_default()))
            }
            _ => Err(port_error(operation, &error)),
        },
    }
}

fn read_through(found: &Item) -> Result<Option<Timestamp>, PortError> {
    Attributes(found).optional(attribute::REQUESTED_THROUGH, |text| Timestamp::parse(text).ok())
}
