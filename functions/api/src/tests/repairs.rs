//! The export that starts when a connection works again.

use std::time::Duration;

use domain::{connection::ConnectionStatus, time::Timestamp};
use serde_json::{Value, json};

use super::{
    memory::Tester,
    operations::{call, configuration, create_with_key, create_with_role, id, requested, with_key, with_role},
    world::World,
};

/// The last boundary of an export every 24 hours that has settled at noon.
const DUE: &str = "2026-11-22T00:00:00.000Z";

async fn test(world: &World, tester: Tester, id: &str) -> Value {
    world.set_tester(tester);
    let answer = call(world, "acme", "testExportConfiguration", id).await;
    configuration(&answer)["connectionStatus"].clone()
}

async fn update(world: &World, kind: &str, data: Value) -> Value {
    let document = format!(
        "mutation($data: UpdateS3{kind}ExportConfigurationInput!) {{
            updateS3{kind}ExportConfiguration(data: $data) {{ connectionStatus }} }}"
    );
    let answer = world.ask(&document, json!({ "data": data })).await;
    configuration(&answer)["connectionStatus"].clone()
}

fn set_exported_through(world: &World, id: &str, time: &str) {
    world.change_stored(id, |stored| stored.progress.exported_through = Timestamp::parse(time).ok());
}

#[tokio::test]
async fn a_test_that_succeeds_after_one_that_failed_starts_what_is_due() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    assert_eq!(test(&world, Tester::Fails, &id).await, "FAILED");
    assert!(world.messages().is_empty());
    assert_eq!(test(&world, Tester::Succeeds, &id).await, "SUCCESS");
    assert_eq!(requested(&world), [(id.clone(), DUE.to_owned())]);
    let through = world.stored(&id).requested_through.unwrap();
    assert_eq!(through.to_string(), DUE, "a manual run joins it");

    // The connection works already.
    world.end_requested_run(&id);
    assert_eq!(test(&world, Tester::Succeeds, &id).await, "SUCCESS");
    assert_eq!(world.messages().len(), 1);
}

#[tokio::test]
async fn the_first_test_starts_what_is_due_too() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    assert_eq!(test(&world, Tester::Succeeds, &id).await, "SUCCESS");
    assert_eq!(requested(&world), [(id, DUE.to_owned())]);

    // A creation starts it, if the export begins in the past.
    let world = World::new();
    create_with_key(&world, with_key()).await;
    assert!(world.messages().is_empty(), "it begins now");
    let mut earliest = with_key();
    earliest["startFrom"] = json!("earliest");
    let created = create_with_key(&world, earliest).await;
    assert_eq!(requested(&world), [(super::operations::id(&created), "2026-11-22T10:00:00.000Z".to_owned())]);
}

#[tokio::test]
async fn an_update_that_repairs_the_connection_starts_what_is_due() {
    let world = World::new();
    let role = id(&create_with_role(&world, with_role()).await);
    test(&world, Tester::Fails, &role).await;
    assert_eq!(update(&world, "AssumedRole", json!({"id": role, "bucketName": "other"})).await, "FAILED");
    assert!(world.messages().is_empty());
    world.set_tester(Tester::Succeeds);
    assert_eq!(update(&world, "AssumedRole", json!({"id": role, "bucketName": "another"})).await, "SUCCESS");
    assert_eq!(requested(&world), [(role, DUE.to_owned())]);

    let world = World::new();
    world.set_tester(Tester::Fails);
    let mut earliest = with_key();
    earliest["startFrom"] = json!("earliest");
    let key = id(&create_with_key(&world, earliest).await);
    assert_eq!(world.stored(&key).connection.status(), ConnectionStatus::Failed);
    world.set_tester(Tester::Succeeds);
    let data = json!({"id": key, "secretAccessKey": "y".repeat(40)});
    assert_eq!(update(&world, "AccessKey", data.clone()).await, "SUCCESS");
    assert_eq!(requested(&world), [(key.clone(), "2026-11-22T10:00:00.000Z".to_owned())]);

    // A key that replaces a working one repairs nothing.
    world.end_requested_run(&key);
    assert_eq!(update(&world, "AccessKey", data).await, "SUCCESS");
    assert_eq!(world.messages().len(), 1);
}

#[tokio::test]
async fn exports_that_are_not_due_or_disabled_are_not_started() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    for time in [DUE, "2026-11-22T11:40:00.000Z"] {
        set_exported_through(&world, &id, time);
        test(&world, Tester::Fails, &id).await;
        test(&world, Tester::Succeeds, &id).await;
        assert!(world.messages().is_empty(), "{time}");
    }
    set_exported_through(&world, &id, "2026-11-21T00:00:00.000Z");
    test(&world, Tester::Fails, &id).await;
    call(&world, "acme", "disableExportConfiguration", &id).await;
    test(&world, Tester::Succeeds, &id).await;
    assert!(world.messages().is_empty(), "it is disabled");

    call(&world, "acme", "enableExportConfiguration", &id).await;
    test(&world, Tester::Fails, &id).await;
    test(&world, Tester::Succeeds, &id).await;
    assert_eq!(world.messages().len(), 1);
}

#[tokio::test]
async fn a_run_that_is_in_the_queue_already_is_the_one() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    test(&world, Tester::Fails, &id).await;
    call(&world, "acme", "runExportConfiguration", &id).await;
    test(&world, Tester::Succeeds, &id).await;
    assert_eq!(requested(&world), [(id, "2026-11-22T11:40:00.000Z".to_owned())], "it exports what is due and more");
}

#[tokio::test]
async fn a_test_succeeds_even_if_nothing_can_be_queued() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    world.set_queue_down(true);
    test(&world, Tester::Fails, &id).await;
    assert_eq!(test(&world, Tester::Succeeds, &id).await, "SUCCESS");
    assert!(world.messages().is_empty());
    assert_eq!(world.stored(&id).requested_until, None, "the next request queues one");
    world.set_queue_down(false);
    world.wait(Duration::from_mins(1));
    configuration(&call(&world, "acme", "runExportConfiguration", &id).await);
    assert_eq!(world.messages().len(), 1);
}

#[tokio::test]
async fn repairs_need_no_allowance_of_manual_runs() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    for _ in 0..10 {
        configuration(&call(&world, "acme", "runExportConfiguration", &id).await);
    }
    world.end_requested_run(&id);
    let before = world.messages().len();
    test(&world, Tester::Fails, &id).await;
    test(&world, Tester::Succeeds, &id).await;
    assert_eq!(world.messages().len(), before + 1);
}
