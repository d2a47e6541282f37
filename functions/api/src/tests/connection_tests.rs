//! The progress of connection tests that are running.

use std::time::Duration;

use domain::{
    connection_test::progress::{ConnectionTestProgress, LONGEST_TEST, TestStep},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{
    memory::{NOW, Tester},
    operations::{call, create_with_role, id, with_role},
    world::{World, code},
};

const DOCUMENT: &str = "query($id: ID!) { getExportConnectionTest(exportConfigurationId: $id) {
    isRunning startedAt checks { check status title code message } } }";
const TEST: &str = "mutation($id: ID!) { testExportConfiguration(id: $id) { connectionStatus
    connectionChecks { check status title code message } } }";
const UPDATE: &str = "mutation($data: UpdateS3AssumedRoleExportConfigurationInput!) {
    updateS3AssumedRoleExportConfiguration(data: $data) { id } }";

async fn progress(world: &World, id: &str) -> Value {
    world.ask(DOCUMENT, json!({ "id": id })).await["data"]["getExportConnectionTest"].clone()
}

/// Returns the results of the checks, one letter each: `P`, `F` or `N`.
fn letters(checks: &Value) -> String {
    checks.as_array().unwrap().iter().map(|check| check["status"].as_str().unwrap().chars().next().unwrap()).collect()
}

/// Returns a world with a configuration, and the progress of a test of it that has reached these steps.
async fn testing(steps: &[TestStep]) -> (World, String, ConnectionTestProgress) {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    let mut progress = ConnectionTestProgress::started(&world.stored(&id), Timestamp::parse(NOW).unwrap());
    for step in steps {
        progress.reach(*step);
    }
    world.set_progress(&id, progress.clone());
    (world, id, progress)
}

#[tokio::test]
async fn each_check_appears_when_it_has_ended() {
    for (steps, expected) in
        [(&[][..], "NNNNNNN"), (&[TestStep::Connected], "NPNNNNN"), (&[TestStep::BucketAnswered], "PNNPPNN")]
    {
        let (world, id, _) = testing(steps).await;
        let running = progress(&world, &id).await;
        assert_eq!((&running["isRunning"], &running["startedAt"]), (&json!(true), &json!(NOW)));
        assert_eq!(letters(&running["checks"]), expected);
        let first = json!({"check": "REGION_AVAILABLE", "title": "The endpoints of AWS in the bucket's Region can be reached",
            "status": running["checks"][0]["status"], "code": null, "message": null});
        assert_eq!(running["checks"][0], first);
    }
}

#[tokio::test]
async fn without_a_running_test_the_checks_are_those_of_the_last_one() {
    let (world, id, mut running) = testing(&[TestStep::Connected]).await;
    running.end();
    world.set_progress(&id, running);
    world.set_tester(Tester::Fails);
    let tested = world.ask(TEST, json!({ "id": id })).await["data"]["testExportConfiguration"].clone();
    assert_eq!(tested["connectionStatus"], "FAILED");
    let last = progress(&world, &id).await;
    assert_eq!((&last["isRunning"], &last["startedAt"]), (&json!(false), &Value::Null));
    assert_eq!(letters(&last["checks"]), "PPPPPFN");
    assert_eq!(last["checks"], tested["connectionChecks"], "with the code and the fix");
}

#[tokio::test]
async fn the_test_of_a_refused_change_shows_its_checks_and_leaves_those_of_the_stored_connection() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    call(&world, "acme", "testExportConfiguration", &id).await;
    let before = (world.stored(&id), progress(&world, &id).await);
    assert_eq!(letters(&before.1["checks"]), "PPPPPPP");

    // As the verifier notes it, under the version that the change would have.
    let mut changed = world.stored(&id);
    changed.version += 1;
    let mut testing = ConnectionTestProgress::started(&changed, Timestamp::parse(NOW).unwrap());
    testing.reach(TestStep::Connected);
    world.set_progress(&id, testing.clone());
    let running = progress(&world, &id).await;
    assert_eq!((&running["isRunning"], letters(&running["checks"]).as_str()), (&json!(true), "NPNNNNN"));
    testing.end();
    world.set_progress(&id, testing);
    world.set_tester(Tester::Fails);
    let answer = world.ask(UPDATE, json!({ "data": { "id": id, "bucketName": "other" } })).await;
    assert_eq!(code(&answer), "NEW_CONNECTION_REFUSED");
    assert_eq!((world.stored(&id), progress(&world, &id).await), before, "the stored connection works as before");
}

#[tokio::test]
async fn a_test_whose_function_died_ends_by_itself() {
    let (world, id, _) = testing(&[TestStep::Connected]).await;
    world.wait(LONGEST_TEST.saturating_sub(Duration::from_secs(1)));
    assert_eq!(progress(&world, &id).await["isRunning"], true);
    world.wait(Duration::from_secs(1));
    assert_eq!(progress(&world, &id).await["isRunning"], false);
}

#[tokio::test]
async fn another_tenant_and_a_malformed_id_find_nothing() {
    let (world, id, _) = testing(&[]).await;
    let answer = world.ask_as("other", DOCUMENT, json!({ "id": id })).await;
    assert_eq!((code(&answer), &answer["data"]["getExportConnectionTest"]), ("NOT_FOUND", &Value::Null));
    let answer = world.ask(DOCUMENT, json!({ "id": "../acme" })).await;
    assert_eq!(code(&answer), "NOT_FOUND");
}

/// Whoever waits for a test may ask often, and is not refused for that.
#[tokio::test]
async fn asking_uses_no_allowance_and_tests_nothing() {
    let (world, id, _) = testing(&[]).await;
    let before = (world.tables(), world.tests());
    for _ in 0..100 {
        assert_eq!(progress(&world, &id).await["isRunning"], true);
    }
    assert_eq!((world.tables(), world.tests()), before);
}
