//! How many connections a tenant may test.

use std::time::Duration;

use aws::test_allowance::{MAX_TESTS_PER_MINUTE, Permit};
use futures::future::join_all;

use crate::support::{Store, Table, now};

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn no_more_tests_than_the_bound_are_granted_however_many_ask_at_once() {
    let (store, other) = (Store::new(), Store::new());
    let (allowance, now) = (store.allowance(), now());
    let asked = MAX_TESTS_PER_MINUTE + 10;
    let permits = join_all((0..asked).map(|_| allowance.take(&store.tenant, now))).await;
    let granted = permits.iter().filter(|permit| **permit == Ok(Permit::Granted)).count();
    assert_eq!(granted, usize::try_from(MAX_TESTS_PER_MINUTE).unwrap(), "{permits:?}");
    let is_told_when = |permit: &&_| matches!(permit, Ok(Permit::Exhausted { retry_after }) if !retry_after.is_zero());
    assert_eq!(permits.iter().filter(is_told_when).count(), 10, "{permits:?}");

    let next_minute = now.saturating_add(Duration::from_mins(1));
    assert_eq!(allowance.take(&store.tenant, next_minute).await, Ok(Permit::Granted));
    assert_eq!(allowance.take(&other.tenant, now).await, Ok(Permit::Granted));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_count_is_no_configuration_and_expires() {
    let store = Store::new();
    let now = now();
    store.allowance().take(&store.tenant, now).await.unwrap();
    assert_eq!(store.configurations().list(&store.tenant).await.unwrap(), []);
    let items = store.items(Table::Configurations, store.tenant.as_str()).await;
    let [item] = items.values().collect::<Vec<_>>()[..] else { panic!("{items:?}") };
    let expiry = store.expiry(Table::Configurations, item).await.unwrap();
    assert!(expiry > now.saturating_add(Duration::from_mins(1)), "{expiry} is within its own minute");
}
