//! The bytes that a tenant has sent within a minute, counted in the events table.
//!
//! A minute's count is an item under `<tenant>#quota` and the number of the minute. No block and no idempotency record lies
//! in such a partition, so that ingest's role can be permitted to update items there and nowhere else.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use domain::{tenant::TenantId, time::Timestamp};
use export_engine::ports::PortError;

use super::item::{BLOCK_ID, EXPIRES_AT, PARTITION, QUOTA_PARTITION_SUFFIX};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{Attributes, item, number, seconds, text},
    table::Table,
    write::{Write, WriteOutcome},
};

/// The length of the periods that are counted.
pub const QUOTA_PERIOD: Duration = Duration::from_mins(1);

/// The time that a count is kept. Nothing reads it after its minute, but clocks differ.
const COUNT_LIFETIME: Duration = Duration::from_hours(1);

/// The time limit of one count, including its retries. It is added to the time of the write that follows.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(1);

const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(450);

const MAX_ATTEMPTS: u32 = 2;

const COUNTED: &str = "bytes";

/// The outcome of counting.
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
    table: Table,
}

impl QuotaTable {
    /// Creates a table with its own client, which has the time-outs above.
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
        Self { table: Table { client: Client::from_conf(configuration), name: table } }
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
        let key = item([
            (PARTITION, text(format_args!("{tenant}{QUOTA_PARTITION_SUFFIX}"))),
            (BLOCK_ID, text(minute.as_seconds() / QUOTA_PERIOD.as_secs())),
        ]);
        let expires_at = seconds(minute.saturating_add(COUNT_LIFETIME));
        let changes = Changes::default().add(COUNTED, number(bytes)).set(EXPIRES_AT, expires_at);
        let within_limit = Expression::new("attribute_not_exists(#bytes) OR #bytes <= :most")
            .with("most", number(limit.saturating_sub(bytes)));
        let count = Write::update(key, changes).when(within_limit).returning_found();
        match self.table.write("count ingested bytes", count).await? {
            WriteOutcome::Done(_) => Ok(CountOutcome::Counted),
            WriteOutcome::Refused(found) => {
                // Without the item there is nothing to share out: the limit counts as used up.
                Ok(CountOutcome::OverLimit { counted: Attributes(&found).number(COUNTED).unwrap_or(limit) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_dynamodb::{
        operation::update_item::{UpdateItemError, UpdateItemInput, UpdateItemOutput},
        types::error::{ConditionalCheckFailedException, InternalServerError},
    };
    use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};

    use super::*;
    use crate::dynamodb::item::Item;

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
        (QuotaTable { table: Table { client, name: "Events".to_owned() } }, requests)
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
        assert_eq!((&values[":bytes"], &values[":most"]), (&number(30_u32), &number(70_u32)));
        assert_eq!(values[":expiresAt"], number(3_660_u32 + 3_600));
    }

    #[tokio::test]
    async fn over_the_limit_it_is_said_how_much_was_counted() {
        let refused = |item: Option<Item>| {
            move || {
                let exception = ConditionalCheckFailedException::builder().set_item(item.clone()).build();
                Some(UpdateItemError::ConditionalCheckFailedException(exception))
            }
        };
        let (counted, _) = table(refused(Some(item([(COUNTED, number(80_u32))]))));
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
