//! The bytes that a tenant has sent within a minute, counted in the events table.
//!
//! A minute's count is an item under `<tenant>#quota` and the number of the minute. No block and no idempotency record lies
//! in such a partition, so that ingest's role can be permitted to update items there and nowhere else.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    operation::update_item::UpdateItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use domain::{tenant::TenantId, time::Timestamp};
use export_engine::ports::PortError;

use super::item::{self, BLOCK_ID, EXPIRES_AT, PARTITION};
use crate::error::port_error;

/// The length of the periods that are counted.
pub const QUOTA_PERIOD: Duration = Duration::from_mins(1);

/// How long a count is kept: beyond its minute nothing reads it, but clocks differ.
const RETENTION: Duration = Duration::from_hours(1);

/// The longest that one count may take, its retries included. It comes on top of the write that follows.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(1);

const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(450);

const MAX_ATTEMPTS: u32 = 2;

/// template.yaml permits `dynamodb:UpdateItem` on these partitions alone.
pub(super) const PARTITION_SUFFIX: &str = "#quota";

const COUNTED: &str = "bytes";

/// The result of counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountOutcome {
    Counted,
    /// The limit would have been exceeded; nothing was counted.
    OverLimit {
        /// The bytes that were counted in this minute before.
        counted: u64,
    },
}

/// The counts in the events table.
#[derive(Clone, Debug)]
pub struct QuotaTable {
    client: Client,
    table: String,
}

impl QuotaTable {
    /// Makes a client with the time-outs above.
    #[must_use]
    pub fn new(shared: &SdkConfig, table: String) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(OPERATION_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let configuration = aws_sdk_dynamodb::config::Builder::from(shared)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .build();
        Self { client: Client::from_conf(configuration), table }
    }

    /// Counts `bytes` in the minute that begins at `minute`, unless that exceeds `limit`, in one conditional write.
    ///
    /// # Errors
    /// Transient or internal. After a time-out the bytes may have been counted.
    pub async fn add(
        &self,
        tenant: &TenantId,
        minute: Timestamp,
        bytes: u64,
        limit: u64,
    ) -> Result<CountOutcome, PortError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(PARTITION, AttributeValue::S(format!("{tenant}{PARTITION_SUFFIX}")))
            .key(BLOCK_ID, AttributeValue::S((minute.as_seconds() / QUOTA_PERIOD.as_secs()).to_string()))
            .update_expression("ADD #bytes :bytes SET #expiresAt = :expiresAt")
            .condition_expression("attribute_not_exists(#bytes) OR #bytes <= :most")
            .expression_attribute_names("#bytes", COUNTED)
            .expression_attribute_names("#expiresAt", EXPIRES_AT)
            .expression_attribute_values(":bytes", item::number(bytes))
            .expression_attribute_values(":most", item::number(limit.saturating_sub(bytes)))
            .expression_attribute_values(":expiresAt", item::number(minute.saturating_add(RETENTION).as_seconds()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(CountOutcome::Counted) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failure)) => {
                // Without the item there is nothing to share out: it counts as used up.
                let counted = failure.item().and_then(|existing| item::unsigned(existing, COUNTED).ok());
                Ok(CountOutcome::OverLimit { counted: counted.unwrap_or(limit) })
            }
            _ => Err(port_error("count ingested bytes", &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_dynamodb::{
        operation::update_item::{UpdateItemInput, UpdateItemOutput},
        types::error::{ConditionalCheckFailedException, InternalServerError},
    };
    use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};

    use super::*;

    type Requests = Arc<Mutex<Vec<UpdateItemInput>>>;

    fn table(failure: impl Fn() -> Option<UpdateItemError> + Send + Sync + 'static) -> (QuotaTable, Requests) {
        let requests = Requests::default();
        let seen = Arc::clone(&requests);
        let update = mock!(Client::update_item).then_compute_response(move |request| {
            seen.lock().unwrap().push(request.clone());
            match failure() {
                None => MockResponse::Output(UpdateItemOutput::builder().build()),
                Some(error) => MockResponse::Error(error),
            }
        });
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&update]);
        (QuotaTable { client, table: "Events".to_owned() }, requests)
    }

    async fn add(table: &QuotaTable) -> Result<CountOutcome, PortError> {
        let minute = Timestamp::parse("1970-01-01T01:01:00Z").unwrap();
        table.add(&TenantId::parse("acme").unwrap(), minute, 30, 100).await
    }

    #[tokio::test]
    async fn bytes_are_counted_in_one_write_whose_condition_is_the_limit() {
        let (table, requests) = table(|| None);
        assert_eq!(add(&table).await, Ok(CountOutcome::Counted));
        let requests = requests.lock().unwrap();
        let [request] = &requests[..] else { unreachable!("one request") };
        assert_eq!(request.key().unwrap()[PARTITION].as_s().unwrap(), "acme#quota");
        assert_eq!(request.key().unwrap()[BLOCK_ID].as_s().unwrap(), "61");
        assert_eq!(request.update_expression(), Some("ADD #bytes :bytes SET #expiresAt = :expiresAt"));
        assert_eq!(request.condition_expression(), Some("attribute_not_exists(#bytes) OR #bytes <= :most"));
        let values = request.expression_attribute_values().unwrap();
        assert_eq!((&values[":bytes"], &values[":most"]), (&item::number(30_u32), &item::number(70_u32)));
        assert_eq!(values[":expiresAt"], item::number(3_660_u32 + 3_600));
    }

    #[tokio::test]
    async fn over_the_limit_it_is_said_how_much_was_counted() {
        let refused = |item: Option<item::Item>| {
            move || {
                let exception = ConditionalCheckFailedException::builder().set_item(item.clone()).build();
                Some(UpdateItemError::ConditionalCheckFailedException(exception))
            }
        };
        let (counted, _) = table(refused(Some(item::item([(COUNTED, item::number(80_u32))]))));
        assert_eq!(add(&counted).await, Ok(CountOutcome::OverLimit { counted: 80 }));
        let (unknown, _) = table(refused(None));
        assert_eq!(add(&unknown).await, Ok(CountOutcome::OverLimit { counted: 100 }));
    }

    #[tokio::test]
    async fn a_count_that_can_not_be_written_is_an_error() {
        let (table, _) = table(|| Some(UpdateItemError::InternalServerError(InternalServerError::builder().build())));
        assert_eq!(add(&table).await.unwrap_err().operation, "count ingested bytes");
    }
}
