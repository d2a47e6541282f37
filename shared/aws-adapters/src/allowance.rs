//! What a tenant may do so many times within a period, counted in the table of configurations.
//!
//! The count of a period is an item of the tenant, named by [`Allowance::count_name`]. The names sort behind the ids of all
//! configurations, and the items expire.

use std::time::Duration;

use aws_sdk_dynamodb::{Client, operation::update_item::UpdateItemError, types::AttributeValue};
use domain::{allowance::Allowance, tenant::TenantId, time::Timestamp};
use export_engine::ports::PortError;

use crate::error::port_error;

/// How long a count is kept after its period: nothing reads it then, but clocks differ.
const RETENTION: Duration = Duration::from_hours(1);

/// The counts in the table `ExportConfigurations`.
#[derive(Clone, Debug)]
pub struct Allowances {
    client: Client,
    table: String,
}

/// The result of asking for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowanceOutcome {
    Granted,
    /// All of this period are used up.
    Exhausted {
        /// Until the next period begins, in whole seconds; at least one.
        retry_after: Duration,
    },
}

impl Allowances {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Counts one more, in one conditional write, so that several at once can't exceed the limit.
    ///
    /// # Errors
    /// Transient or internal; then nothing is granted.
    pub async fn take(
        &self,
        tenant: &TenantId,
        allowance: Allowance,
        now: Timestamp,
    ) -> Result<AllowanceOutcome, PortError> {
        let expires_at = allowance.period_start(now).saturating_add(allowance.period()).saturating_add(RETENTION);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("tenantId", AttributeValue::S(tenant.to_string()))
            .key("id", AttributeValue::S(allowance.count_name(now)))
            .update_expression("ADD #taken :one SET #expiresAt = :expiresAt")
            .condition_expression("attribute_not_exists(#taken) OR #taken < :limit")
            .expression_attribute_names("#taken", attribute_of(allowance))
            .expression_attribute_names("#expiresAt", "expiresAt")
            .expression_attribute_values(":one", number(1_u32))
            .expression_attribute_values(":limit", number(allowance.limit()))
            .expression_attribute_values(":expiresAt", number(expires_at.as_seconds()))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(AllowanceOutcome::Granted),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(AllowanceOutcome::Exhausted { retry_after: allowance.retry_after(now) })
            }
            Err(error) => Err(port_error("count allowance", &error)),
        }
    }
}

/// The attribute that holds the count. That of connection tests has an older name.
fn attribute_of(allowance: Allowance) -> &'static str {
    match allowance {
        Allowance::ConnectionTests => "tests",
        Allowance::ManualRuns | Allowance::ConfigurationRuns(_) | Allowance::BacklogCounts => "taken",
    }
}

fn number(value: impl Into<u64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_dynamodb::{
        operation::update_item::{UpdateItemInput, UpdateItemOutput},
        types::error::{ConditionalCheckFailedException, InternalServerError},
    };
    use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
    use domain::configuration::ConfigurationId;
    use export_engine::ports::ErrorKind;

    use super::*;

    const ID: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";

    type Requests = Arc<Mutex<Vec<UpdateItemInput>>>;

    fn allowances(failure: impl Fn() -> Option<UpdateItemError> + Send + Sync + 'static) -> (Allowances, Requests) {
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
        (Allowances::new(client, "Configurations".to_owned()), requests)
    }

    fn all() -> [Allowance; 4] {
        let configuration = ConfigurationId::parse(ID).unwrap();
        [
            Allowance::ConnectionTests,
            Allowance::ManualRuns,
            Allowance::ConfigurationRuns(configuration),
            Allowance::BacklogCounts,
        ]
    }

    async fn take(allowances: &Allowances, allowance: Allowance, now: &str) -> Result<AllowanceOutcome, PortError> {
        allowances.take(&TenantId::parse("acme").unwrap(), allowance, Timestamp::parse(now).unwrap()).await
    }

    #[tokio::test]
    async fn each_is_counted_in_one_write_that_the_limit_is_the_condition_of() {
        let (allowances, requests) = allowances(|| None);
        for allowance in all() {
            for now in ["1970-01-01T01:00:59.999Z", "1970-01-01T02:01:00Z"] {
                assert_eq!(take(&allowances, allowance, now).await.unwrap(), AllowanceOutcome::Granted);
            }
        }
        let requests = requests.lock().unwrap();
        let counts: Vec<(&str, &str, &str)> = requests
            .iter()
            .map(|request| {
                let values = request.expression_attribute_values().unwrap();
                (
                    request.key().unwrap()["id"].as_s().unwrap().as_str(),
                    values[":limit"].as_n().unwrap().as_str(),
                    values[":expiresAt"].as_n().unwrap().as_str(),
                )
            })
            .collect();
        let of_configuration = [1, 2].map(|hour| format!("runs#{ID}#{hour}"));
        assert_eq!(
            counts,
            [
                ("tests#60", "30", "7260"),
                ("tests#121", "30", "10920"),
                ("runs#60", "10", "7260"),
                ("runs#121", "10", "10920"),
                (&of_configuration[0], "10", "10800"),
                (&of_configuration[1], "10", "14400"),
                ("unexportedCounts#60", "6", "7260"),
                ("unexportedCounts#121", "6", "10920"),
            ]
        );
        for request in requests.iter() {
            assert_eq!(request.key().unwrap()["tenantId"].as_s().unwrap(), "acme");
            assert_eq!(request.update_expression(), Some("ADD #taken :one SET #expiresAt = :expiresAt"));
            assert_eq!(request.condition_expression(), Some("attribute_not_exists(#taken) OR #taken < :limit"));
        }
        // A count that was begun by an earlier version goes on.
        assert_eq!(requests[0].expression_attribute_names().unwrap()["#taken"], "tests");
    }

    #[test]
    fn no_count_is_listed_among_the_configurations() {
        for allowance in all() {
            let name = allowance.count_name(Timestamp::EPOCH);
            assert!(*name > *crate::configurations::BEHIND_IDS, "{name}");
        }
    }

    #[tokio::test]
    async fn beyond_the_limit_the_outcome_says_when_the_next_period_begins() {
        let exception = || ConditionalCheckFailedException::builder().build();
        let (allowances, _) = allowances(move || Some(UpdateItemError::ConditionalCheckFailedException(exception())));
        for (now, seconds) in [("2026-11-22T10:00:00Z", 60), ("2026-11-22T10:00:59.999Z", 1)] {
            let retry_after = Duration::from_secs(seconds);
            let outcome = take(&allowances, Allowance::ManualRuns, now).await.unwrap();
            assert_eq!(outcome, AllowanceOutcome::Exhausted { retry_after });
        }
    }

    #[tokio::test]
    async fn a_count_that_can_not_be_written_grants_nothing() {
        let exception = || InternalServerError::builder().build();
        let (allowances, _) = allowances(move || Some(UpdateItemError::InternalServerError(exception())));
        let error = take(&allowances, Allowance::ConnectionTests, "2026-11-22T10:00:00Z").await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Transient | ErrorKind::Internal), "{error:?}");
    }
}
