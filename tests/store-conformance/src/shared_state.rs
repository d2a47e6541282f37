//! The state that runs of all tenants share: of several concurrent changes one takes effect, and no run takes from another.

use std::time::Duration;

use aws_adapters::{
    configurations::{CreateOutcome, RunRequestOutcome},
    runs::SkipApprovalOutcome,
};
use domain::{
    block::BlockId, circuit::Circuit, configuration::region::Region, export_run::RunTrigger,
    retention::RetentionHistory, tenant::TenantId, time::Timestamp,
};
use export_engine::ports::{
    ConfigurationStore, CorruptBlocks, KnownCorruptBlock, RegionCircuits, RunStore, SeenRetentions, ShareRequest,
    TenantShare, TenantShares,
};
use futures::future::join_all;
use host::{Machine, Random};

use crate::support::{Store, author, settled, stamp};

fn at(seconds: u64) -> Timestamp {
    Timestamp::parse("2026-11-22T00:00:00Z").unwrap().saturating_add(Duration::from_secs(seconds))
}

async fn take(
    store: &Store,
    tenant: &TenantId,
    trigger: RunTrigger,
    holder: &str,
    seconds: u64,
) -> Option<TenantShare> {
    let request = ShareRequest { tenant, trigger, shares: 2, holder, now: at(seconds), expires_at: at(seconds + 90) };
    settled(|| async { store.runs().take_share(&request).await }).await.unwrap()
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_tenant_has_so_many_shares_and_no_more() {
    let (store, other) = (Store::new(), Store::new());
    let (tenant, runs) = (store.key().tenant_id, store.runs());
    let holders: Vec<String> = (0..8).map(|number| format!("holder-{number}")).collect();
    let taken = join_all(holders.iter().map(|holder| take(&store, &tenant, RunTrigger::Schedule, holder, 0))).await;
    let taken: Vec<TenantShare> = taken.into_iter().flatten().collect();
    assert_eq!(taken.len(), 2, "{taken:?}");
    assert!(taken[0].number != taken[1].number);
    // Neither another trigger's nor another tenant's.
    assert!(take(&store, &tenant, RunTrigger::Manual, "manual", 0).await.is_some());
    assert!(take(&store, &other.key().tenant_id, RunTrigger::Schedule, "other", 0).await.is_some());
    // Whoever asks again has it still.
    assert_eq!(take(&store, &tenant, RunTrigger::Schedule, &taken[0].holder, 1).await.as_ref(), Some(&taken[0]));

    runs.return_share(&TenantShare { holder: "somebody".to_owned(), ..taken[0].clone() }).await.unwrap();
    assert_eq!(take(&store, &tenant, RunTrigger::Schedule, "late", 2).await, None);
    runs.return_share(&taken[0]).await.unwrap();
    let next = take(&store, &tenant, RunTrigger::Schedule, "late", 2).await.unwrap();
    assert_eq!(next.number, taken[0].number);

    runs.renew_share(&taken[1], at(300)).await.unwrap();
    assert_eq!(take(&store, &tenant, RunTrigger::Schedule, "later", 91).await, None, "both are held");
    let expired = take(&store, &tenant, RunTrigger::Schedule, "later", 92).await.unwrap();
    assert_eq!(expired.number, next.number, "the one that nobody renewed");
    runs.renew_share(&next, at(900)).await.unwrap();
    assert!(take(&store, &tenant, RunTrigger::Schedule, "last", 182).await.is_some(), "an expired one is not renewed");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn of_changes_of_a_circuit_that_meet_one_takes_effect() {
    let store = Store::new();
    let runs = store.runs();
    let suffix: String = store.key().configuration_id.to_string().chars().filter(char::is_ascii_digit).collect();
    let region = Region::parse(&format!("eu-west-{}", suffix.chars().take(2).collect::<String>())).unwrap();
    if let Some(left) = runs.circuit(&region).await.unwrap() {
        assert!(runs.replace_circuit(&region, Some(&left), None).await.unwrap());
    }
    let tenant = store.key().tenant_id;
    let first = Circuit::after_failure(None, &tenant, at(0)).unwrap();
    let answers = join_all((0..8).map(|_| runs.replace_circuit(&region, None, Some(&first)))).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Ok(true)).count(), 1, "{answers:?}");
    assert_eq!(runs.circuit(&region).await, Ok(Some(first.clone())));

    let second = Circuit::after_failure(Some(&first), &TenantId::parse("another").unwrap(), at(1)).unwrap();
    assert!(runs.replace_circuit(&region, Some(&first), Some(&second)).await.unwrap());
    assert!(!runs.replace_circuit(&region, Some(&first), None).await.unwrap(), "that one is gone");
    assert!(runs.replace_circuit(&region, Some(&second), None).await.unwrap());
    assert!(!runs.replace_circuit(&region, Some(&second), Some(&first)).await.unwrap());
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_history_of_retentions_is_one_for_all() {
    let store = Store::new();
    let runs = store.runs();
    let current = runs.retention_history().await.unwrap();
    let random = |limit: u32| u64::try_from(Machine.bits() % u128::from(limit)).unwrap();
    let now = at(random(1 << 16));
    let Some(observed) = current.observed(Duration::from_secs(random(u32::MAX)), now) else {
        panic!("nothing new was observed")
    };
    assert!(runs.replace_retention_history(&current, &observed).await.unwrap());
    assert_eq!(runs.retention_history().await.unwrap(), observed);
    assert!(!runs.replace_retention_history(&current, &observed).await.unwrap(), "another run was faster");
    assert!(!runs.replace_retention_history(&RetentionHistory::default(), &observed).await.unwrap());
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn only_corrupt_blocks_can_be_approved_to_skip() {
    let store = Store::new();
    let (runs, tenant) = (store.runs(), store.key().tenant_id);
    let block = |number: u128| BlockId::from_parts(at(0), number);
    assert_eq!(runs.approve_skip(&tenant, block(1), "why", at(1)).await, Ok(SkipApprovalOutcome::NotFound));
    assert_eq!(runs.corrupt_blocks(&tenant).await, Ok(Vec::new()));
    for _ in 0..2 {
        runs.record_corrupt_block(&tenant, block(2), at(1), at(100)).await.unwrap();
        runs.record_corrupt_block(&tenant, block(1), at(1), at(100)).await.unwrap();
    }
    assert_eq!(runs.approve_skip(&tenant, block(1), "why", at(2)).await, Ok(SkipApprovalOutcome::Approved));
    assert_eq!(runs.approve_skip(&tenant, block(1), "again", at(3)).await, Ok(SkipApprovalOutcome::Approved));
    runs.record_corrupt_block(&tenant, block(1), at(4), at(100)).await.unwrap();
    let known = |block, is_skip_approved| KnownCorruptBlock { block, is_skip_approved };
    assert_eq!(runs.corrupt_blocks(&tenant).await, Ok(vec![known(block(1), true), known(block(2), false)]));
    assert_eq!(runs.corrupt_blocks(&Store::new().key().tenant_id).await, Ok(Vec::new()), "another tenant");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_run_is_asked_for_once_until_it_is_answered_or_lost() {
    let store = Store::new();
    let configuration = store.configuration();
    let key = configuration.key.clone();
    let created = store.editor().create(&configuration, None, &author(), stamp()).await.unwrap();
    assert_eq!(created, CreateOutcome::Created);
    let table = store.configurations();
    let request =
        async |through: u64, now: u64| table.request_run(&key, at(through), at(now), u128::from(now)).await.unwrap();
    let through = async || table.load(&key).await.unwrap().unwrap().requested_through;
    assert_eq!(through().await, None);
    assert_eq!(request(0, 0).await, RunRequestOutcome::Queue);
    assert_eq!(request(5, 5).await, RunRequestOutcome::Pending);
    assert_eq!(through().await, Some(at(5)), "the one message will do for both");
    assert_eq!(request(3, 6).await, RunRequestOutcome::Pending, "it came late");
    assert_eq!(through().await, Some(at(5)));

    table.clear_run_request(&key, at(4)).await.unwrap();
    assert_eq!(through().await, Some(at(5)), "nobody has answered that one");
    table.clear_run_request(&key, at(5)).await.unwrap();
    assert_eq!(through().await, None);
    table.clear_run_request(&key, at(5)).await.unwrap();
    assert_eq!(request(10, 10).await, RunRequestOutcome::Queue);
    assert_eq!(request(909, 909).await, RunRequestOutcome::Pending);
    assert_eq!(request(910, 910).await, RunRequestOutcome::Queue, "the message may be lost");

    let gone = Store::new().key();
    assert_eq!(table.request_run(&gone, at(0), at(0), 0).await, Ok(RunRequestOutcome::NotFound));
    assert_eq!(table.load(&gone).await, Ok(None), "nothing was made");
}
