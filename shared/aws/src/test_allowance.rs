//! How many connections a tenant may test within a minute, counted in the table of configurations.
//!
//! A minute's count is an item of the tenant under `tests#<minute since 1970>`, which sorts behind the ids of all
//! configurations, and goes by itself.

use std::time::Duration;

use aws_sdk_dynamodb::{Client, operation::update_item::UpdateItemError, types::AttributeValue};
use domain::{tenant::TenantId, time::Timestamp};
use export::ports::PortError;

use crate::error::port_error;

/// Connection tests of one tenant within one minute. A test that hangs keeps a verifier for 18 s, so that one tenant can
/// keep 9 of them busy and no more. Whoever sets an export up needs a few, and a script over all of a tenant's exports
/// waits as it is told.
pub const MAX_TESTS_PER_MINUTE: u32 = 30;

const MINUTE: Duration = Duration::from_mins(1);

/// How long a count is kept: beyond its minute it serves nobody, but clocks differ.
const RETENTION: Duration = Duration::from_hours(1);

/// The counts in the table `ExportConfigurations`.
#[derive(Clone, Debug)]
pub struct TestAllowance {
    client: Client,
    table: String,
}

/// Whether a connection may be tested now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    Granted,
    /// All tests of this minute are used up.
    Exhausted {
        /// Until the next minute has begun, in whole seconds; not nothing.
        retry_after: Duration,
    },
}

impl TestAllowance {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Counts one test, in one conditional write, so that several at once can't exceed the bound.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn take(&self, tenant: &TenantId, now: Timestamp) -> Result<Permit, PortError> {
        let minute = now.floor_to(MINUTE);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("tenantId", AttributeValue::S(tenant.to_string()))
            .key("id", AttributeValue::S(format!("tests#{}", minute.as_seconds() / MINUTE.as_secs())))
            .update_expression("ADD #tests :one SET #expiresAt = :expiresAt")
            .condition_expression("attribute_not_exists(#tests) OR #tests < :limit")
            .expression_attribute_names("#tests", "tests")
            .expression_attribute_names("#expiresAt", "expiresAt")
            .expression_attribute_values(":one", number(1_u32))
            .expression_attribute_values(":limit", number(MAX_TESTS_PER_MINUTE))
            .expression_attribute_values(":expiresAt", number(minute.saturating_add(RETENTION).as_seconds()))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Permit::Granted),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                let passed = Duration::from_secs(now.saturating_since(minute).as_secs());
                Ok(Permit::Exhausted { retry_after: MINUTE.saturating_sub(passed) })
            }
            Err(error) => Err(port_error("count connection test", &error)),
        }
    }
}

fn number(value: impl Into<u64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_dynamodb::{
        operation::update_item::{UpdateItemInput, UpdateItemOutput},
        types::error::{ConditionalCheckFailedException, InternalServerError},
    };
    use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
    use export::ports::ErrorKind;

    use super::*;

    type Requests = Arc<Mutex<Vec<UpdateItemInput>>>;

    fn allowance(failure: impl Fn() -> Option<UpdateItemError> + Send + Sync + 'static) -> (TestAllowance, Requests) {
        let requests = Requests::default();
        let seen = Arc::clone(&requests);
        let update = mock!(aws_sdk_dynamodb::Client::update_item).then_compute_response(move |request| {
            seen.lock().unwrap().push(request.clone());
            match failure() {
                None => MockResponse::Output(UpdateItemOutput::builder().build()),
                Some(error) => MockResponse::Error(error),
            }
        });
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&update]);
        (TestAllowance::new(client, "Configurations".to_owned()), requests)
    }

    async fn take(allowance: &TestAllowance, now: &str) -> Result<Permit, PortError> {
        allowance.take(&TenantId::parse("acme").unwrap(), Timestamp::parse(now).unwrap()).await
    }

    #[tokio::test]
    async fn a_test_is_counted_in_one_write_that_the_bound_is_the_condition_of() {
        let (allowance, requests) = allowance(|| None);
        assert_eq!(take(&allowance, "1970-01-01T01:00:59.999Z").await.unwrap(), Permit::Granted);
        assert_eq!(take(&allowance, "1970-01-01T01:01:00Z").await.unwrap(), Permit::Granted);
        let requests = requests.lock().unwrap();
        let ids: Vec<&str> =
            requests.iter().map(|request| request.key().unwrap()["id"].as_s().unwrap().as_str()).collect();
        assert_eq!(ids, ["tests#60", "tests#61"]);
        for request in requests.iter() {
            assert_eq!(request.key().unwrap()["tenantId"].as_s().unwrap(), "acme");
            assert_eq!(request.update_expression(), Some("ADD #tests :one SET #expiresAt = :expiresAt"));
            assert_eq!(request.condition_expression(), Some("attribute_not_exists(#tests) OR #tests < :limit"));
            assert_eq!(request.expression_attribute_values().unwrap()[":limit"], number(MAX_TESTS_PER_MINUTE));
        }
        assert_eq!(requests[0].expression_attribute_values().unwrap()[":expiresAt"], number(2 * 3_600_u32));
    }

    #[tokio::test]
    async fn beyond_the_bound_it_is_said_when_the_next_minute_begins() {
        let exception = || ConditionalCheckFailedException::builder().build();
        let (allowance, _) = allowance(move || Some(UpdateItemError::ConditionalCheckFailedException(exception())));
        for (now, seconds) in [("2026-11-22T10:00:00Z", 60), ("2026-11-22T10:00:59.999Z", 1)] {
            let retry_after = Duration::from_secs(seconds);
            assert_eq!(take(&allowance, now).await.unwrap(), Permit::Exhausted { retry_after });
        }
    }

    #[tokio::test]
    async fn a_count_that_can_not_be_written_permits_nothing() {
        let exception = || InternalServerError::builder().build();
        let (allowance, _) = allowance(move || Some(UpdateItemError::InternalServerError(exception())));
        let error = take(&allowance, "2026-11-22T10:00:00Z").await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Transient | ErrorKind::Internal), "{error:?}");
    }
}
