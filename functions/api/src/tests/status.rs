//! The status of exports.

use std::time::Duration;

use domain::time::Timestamp;
use serde_json::{Value, json};

use super::{
    memory::Tester,
    operations::{call, create_with_key, create_with_role, id, with_key, with_role},
    world::{World, code},
};

const STATUS: &str = "status { health lagSeconds lastSuccessAt exportedThrough consecutiveFailures nextExportAt
    retentionUsedPercent advice }";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

async fn status(world: &World, id: &str) -> Value {
    let document = format!("query($id: ID!) {{ getExportConfiguration(id: $id) {{ {STATUS} }} }}");
    let answer = world.ask(&document, json!({ "id": id })).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
    answer["data"]["getExportConfiguration"]["status"].clone()
}

#[tokio::test]
async fn the_status_follows_what_runs_store() {
    let world = World::new();
    let id = id(&create_with_key(&world, with_key()).await);
    let new = json!({"health": "NEVER_RUN", "lagSeconds": 0, "lastSuccessAt": null, "exportedThrough": null,
        "consecutiveFailures": 0, "nextExportAt": "2026-11-22T14:20:00.000Z", "retentionUsedPercent": 0,
        "advice": "No action is needed: the first export starts at 2026-11-22T14:20:00.000Z."});
    assert_eq!(status(&world, &id).await, new);

    world.change_stored(&id, |stored| {
        stored.progress.exported_through = Some(at("2026-11-22T12:00:00Z"));
        stored.progress.last_export_at = Some(at("2026-11-22T12:20:09Z"));
    });
    world.wait(Duration::from_mins(21));
    let exported = json!({"health": "OK", "lagSeconds": 0, "lastSuccessAt": "2026-11-22T12:20:09.000Z",
        "exportedThrough": "2026-11-22T12:00:00.000Z", "consecutiveFailures": 0,
        "nextExportAt": "2026-11-22T14:20:00.000Z", "retentionUsedPercent": 0, "advice": "No action is needed."});
    assert_eq!(status(&world, &id).await, exported);

    world.change_stored(&id, |stored| {
        stored.progress.consecutive_failures = 2;
        stored.progress.last_failure_at = Some(at("2026-11-22T12:20:30Z"));
    });
    let failing = status(&world, &id).await;
    assert_eq!((&failing["health"], &failing["consecutiveFailures"]), (&json!("FAILING"), &json!(2)));
    world.change_stored(&id, |stored| stored.progress.consecutive_failures = 0);

    // The export of 14:00 was due at 14:20.
    world.wait(Duration::from_hours(3));
    let delayed = status(&world, &id).await;
    assert_eq!((&delayed["health"], &delayed["lagSeconds"]), (&json!("DELAYED"), &json!(61 * 60)));

    let disabled = call(&world, "acme", "disableExportConfiguration", &id).await;
    assert_eq!(disabled.get("errors"), None, "{disabled}");
    let disabled = status(&world, &id).await;
    let shown = ["health", "lagSeconds", "nextExportAt"].map(|name| disabled[name].clone());
    assert_eq!(shown, [json!("DISABLED"), json!(0), Value::Null]);
}

#[tokio::test]
async fn the_advice_for_a_refused_connection_is_its_fix() {
    let world = World::new();
    world.set_tester(Tester::Fails);
    let id = id(&create_with_key(&world, with_key()).await);
    let refused = status(&world, &id).await;
    assert_eq!((&refused["health"], &refused["lastSuccessAt"]), (&json!("FAILING"), &Value::Null));
    assert_eq!(refused["advice"], "Allow s3:PutObject. Then test the connection.");
}

#[tokio::test]
async fn a_list_reads_nothing_else_for_the_status() {
    let world = World::new();
    for _ in 0..3 {
        create_with_role(&world, with_role()).await;
    }
    // Reads of runs would fail.
    world.history.break_states();
    let answer = world.ask(&format!("{{ getAllExportConfigurations {{ id {STATUS} }} }}"), Value::Null).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
    let all = answer["data"]["getAllExportConfigurations"].as_array().unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|configuration| configuration["status"]["health"] == "NEVER_RUN"), "{all:?}");
    assert_eq!((world.history.passes(), world.history.batches()), (0, 0));
}

#[tokio::test]
async fn the_status_of_another_tenants_export_is_not_found() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    let document = format!("query($id: ID!) {{ getExportConfiguration(id: $id) {{ {STATUS} }} }}");
    assert_eq!(code(&world.ask_as("other", &document, json!({ "id": id })).await), "NOT_FOUND");
}
