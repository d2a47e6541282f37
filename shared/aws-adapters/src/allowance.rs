//! The allowances of tenants: how often something may be done within a period, counted in the table of configurations.
//!
//! The count of a period is an item of the tenant, named by [`Allowance::count_name`]. The names sort behind the IDs of all
//! configurations, and the items expire.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use domain::{allowance::Allowance, tenant::TenantId, time::Timestamp};
use export_engine::ports::PortError;

use crate::{
    configurations::item::{attribute, tenant_key},
    dynamodb::{
        expression::{Changes, Expression},
        item::{number, seconds},
        table::Table,
        write::{Write, WriteOutcome},
    },
};

/// The time that a count is kept after its period. Nothing reads it then, but clocks differ.
const COUNT_LIFETIME: Duration = Duration::from_hours(1);

/// The counts in the table `ExportConfigurations`.
#[derive(Clone, Debug)]
pub struct Allowances {
    table: Table,
}

/// The outcome of taking one of an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowanceOutcome {
    Granted,
    /// All of this period are used up.
    Exhausted {
        /// The time until the next period begins, in whole seconds; at least one.
        retry_after: Duration,
    },
}

impl Allowances {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table { client, name: table } }
    }

    /// Counts one more, in one conditional write, so that concurrent requests can't exceed the limit.
    ///
    /// # Errors
    /// Transient or internal; then nothing is granted.
    pub async fn take(
        &self,
        tenant: &TenantId,
        allowance: Allowance,
        now: Timestamp,
    ) -> Result<AllowanceOutcome, PortError> {
        let expires_at = allowance.period_start(now).saturating_add(allowance.period()).saturating_add(COUNT_LIFETIME);
        let key = tenant_key(tenant, &allowance.count_name(now));
        let count = counter_of(allowance);
        let changes = Changes::default().add(count, number(1)).set(attribute::EXPIRES_AT, seconds(expires_at));
        let below_limit = Expression::new(format!("attribute_not_exists(#{count}) OR #{count} < :limit"))
            .with("limit", number(allowance.limit()));
        match self.table.write("count allowance", Write::update(key, changes).when(below_limit)).await? {
            WriteOutcome::Done(_) => Ok(AllowanceOutcome::Granted),
            WriteOutcome::Refused(_) => Ok(AllowanceOutcome::Exhausted { retry_after: allowance.retry_after(now) }),
        }
    }
}

/// Returns the attribute that holds the count. The one of connection tests has an older name.
fn counter_of(allowance: Allowance) -> &'static str {
    match allowance {
        Allowance::ConnectionTests => "tests",
        Allowance::ManualRuns
        | Allowance::ConfigurationRuns(_)
        | Allowance::BacklogCounts
        | Allowance::NoticedChanges
        | Allowance::NoticedChangesOf(_) => "taken",
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

    fn all() -> [Allowance; 6] {
        Allowance::of_every_kind(ConfigurationId::parse(ID).unwrap())
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
        let of_author = [1, 2].map(|hour| format!("noticedChanges#{}#{hour}", "01".repeat(32)));
        assert_eq!(
            counts,
            [
                ("tests#182", "10", "7260"),
                ("tests#363", "10", "10880"),
                ("runs#60", "10", "7260"),
                ("runs#121", "10", "10920"),
                (&of_configuration[0], "10", "10800"),
                (&of_configuration[1], "10", "14400"),
                ("unexportedCounts#60", "6", "7260"),
                ("unexportedCounts#121", "6", "10920"),
                ("noticedChanges#1", "200", "10800"),
                ("noticedChanges#2", "200", "14400"),
                (&of_author[0], "100", "10800"),
                (&of_author[1], "100", "14400"),
            ]
        );
        for request in requests.iter() {
            assert_eq!(request.key().unwrap()["tenantId"].as_s().unwrap(), "acme");
            // A count that an earlier version began goes on.
            let id = request.key().unwrap()["id"].as_s().unwrap();
            let count = if id.starts_with("tests#") { "tests" } else { "taken" };
            let (update, condition) = (request.update_expression().unwrap(), request.condition_expression().unwrap());
            assert_eq!(update, format!("ADD #{count} :{count} SET #expiresAt = :expiresAt"));
            assert_eq!(condition, format!("attribute_not_exists(#{count}) OR #{count} < :limit"));
            assert_eq!(request.expression_attribute_values().unwrap()[&format!(":{count}")], number(1));
        }
    }

    #[test]
    fn no_count_is_listed_among_the_configurations() {
        for allowance in all() {
            let name = allowance.count_name(Timestamp::EPOCH);
            assert!(*name > *crate::configurations::item::BEHIND_IDS, "{name}");
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
