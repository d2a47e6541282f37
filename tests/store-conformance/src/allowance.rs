//! The allowances of tenants.

use aws_adapters::allowance::AllowanceOutcome;
use domain::allowance::Allowance;
use futures::stream::{StreamExt, iter};

use crate::support::{Store, Table, now};

/// The requests at a time: an emulator takes no more connections of all tests.
const CONCURRENCY: usize = 50;

fn all(store: &Store) -> [Allowance; 5] {
    [
        Allowance::ConnectionTests,
        Allowance::ManualRuns,
        Allowance::ConfigurationRuns(store.key().configuration_id),
        Allowance::BacklogCounts,
        Allowance::NoticedChanges,
    ]
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn no_more_than_the_limit_are_granted_however_many_ask_at_once() {
    let (store, other) = (Store::new(), Store::new());
    let (allowances, now) = (store.allowances(), now());
    for allowance in all(&store) {
        let asked = allowance.limit() + 10;
        let takes = (0..asked).map(|_| allowances.take(&store.tenant, allowance, now));
        let outcomes: Vec<_> = iter(takes).buffer_unordered(CONCURRENCY).collect().await;
        let granted = outcomes.iter().filter(|outcome| **outcome == Ok(AllowanceOutcome::Granted)).count();
        assert_eq!(granted, usize::try_from(allowance.limit()).unwrap(), "{outcomes:?}");
        let says_when =
            |outcome: &&_| matches!(outcome, Ok(AllowanceOutcome::Exhausted { retry_after }) if !retry_after.is_zero());
        assert_eq!(outcomes.iter().filter(says_when).count(), 10, "{outcomes:?}");

        let next_period = now.saturating_add(allowance.period());
        assert_eq!(allowances.take(&store.tenant, allowance, next_period).await, Ok(AllowanceOutcome::Granted));
        assert_eq!(allowances.take(&other.tenant, allowance, now).await, Ok(AllowanceOutcome::Granted));
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_count_is_no_configuration_and_expires() {
    let store = Store::new();
    let now = now();
    for allowance in all(&store) {
        store.allowances().take(&store.tenant, allowance, now).await.unwrap();
        let items = store.items(Table::Configurations, store.tenant.as_str()).await;
        let item = &items[&allowance.count_name(now)];
        let expiry = store.expiry(Table::Configurations, item).await.unwrap();
        assert!(expiry > now.saturating_add(allowance.period()), "{expiry} is within its own period");
    }
    assert_eq!(store.configurations().list(&store.tenant).await.unwrap(), []);
}
