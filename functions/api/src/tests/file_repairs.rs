//! Repairs of past exports.

use std::time::Duration;

use domain::{
    configuration::{ConfigurationId, bucket::BucketName},
    connection::{ConnectionError, ConnectionErrorCode},
    repair::{FileOutcome, FilePlace, REPAIR_ABANDONED_AFTER, Repair, UnrepairedReason},
};
use serde_json::{Value, json};

use super::{
    operations::{call, create_with_role, id, with_role},
    world::{World, code},
};

const FIELDS: &str = "id exportConfigurationId status from to overwrite requestedBy requestedAt updatedAt
    error { code message } checked repaired present unrepaired
    unrepairedFiles { exportJobId reason bucketName objectKey }";
const FROM: &str = "2026-11-20T00:00:00.000Z";
const TO: &str = "2026-11-21T00:00:00.000Z";

async fn repair_as(world: &World, tenant: &str, id: &str, from: &str, to: &str) -> Value {
    let document = format!(
        "mutation($id: ID!, $from: DateTime!, $to: DateTime!) {{
            repairExportConfiguration(id: $id, from: $from, to: $to) {{ {FIELDS} }} }}"
    );
    world.ask_as(tenant, &document, json!({"id": id, "from": from, "to": to})).await
}

async fn repair(world: &World, id: &str) -> Value {
    repair_as(world, "acme", id, FROM, TO).await
}

async fn last(world: &World, tenant: &str, id: &str) -> Value {
    let document = format!("query($id: ID!) {{ getExportRepair(exportConfigurationId: $id) {{ {FIELDS} }} }}");
    world.ask_as(tenant, &document, json!({ "id": id })).await
}

async fn create(world: &World) -> String {
    id(&create_with_role(world, with_role()).await)
}

#[tokio::test]
async fn a_repair_is_stored_audited_and_queued() {
    let world = World::new();
    let id = create(&world).await;
    assert_eq!(code(&last(&world, "acme", &id).await), "NOT_FOUND");
    let answer = repair(&world, &id).await;
    let repair = &answer["data"]["repairExportConfiguration"];
    let expected = json!({"id": repair["id"], "exportConfigurationId": id, "status": "PENDING", "from": FROM, "to": TO,
        "overwrite": false, "requestedBy": "user-1", "requestedAt": "2026-11-22T12:00:00.000Z",
        "updatedAt": "2026-11-22T12:00:00.000Z", "error": null, "checked": 0, "repaired": 0, "present": 0, "unrepaired": 0,
        "unrepairedFiles": []});
    assert_eq!(*repair, expected, "{answer}");
    assert_eq!(last(&world, "acme", &id).await["data"]["getExportRepair"], expected);
    let message = json!({"repair": {"tenantId": "acme", "configurationId": id, "repairId": repair["id"]}});
    assert_eq!(world.messages(), [message]);
    let event = world.changes().pop().unwrap();
    assert_eq!(event["action"], "REPAIR");
    assert_eq!(
        event["auditPayload"]["repair"],
        json!({"id": repair["id"], "from": FROM, "to": TO, "overwrite": false})
    );
}

#[tokio::test]
async fn overwriting_is_asked_for_and_audited() {
    let world = World::new();
    let id = create(&world).await;
    let document = "mutation($id: ID!, $from: DateTime!, $to: DateTime!) {
        repairExportConfiguration(id: $id, from: $from, to: $to, overwrite: true) { overwrite } }";
    let answer = world.ask(document, json!({"id": id, "from": FROM, "to": TO})).await;
    assert_eq!(answer["data"]["repairExportConfiguration"]["overwrite"], true, "{answer}");
    assert_eq!(world.changes().pop().unwrap()["auditPayload"]["repair"]["overwrite"], true);
}

#[tokio::test]
async fn only_a_valid_range_of_an_existing_configuration_is_repaired() {
    let world = World::new();
    let id = create(&world).await;
    for (from, to, field) in
        [(TO, FROM, "to"), (FROM, FROM, "to"), ("2026-11-22T12:00:00Z", "2026-11-23T00:00:00Z", "from")]
    {
        let answer = repair_as(&world, "acme", &id, from, to).await;
        assert_eq!(code(&answer), "INVALID_INPUT", "{from} {to}");
        let error = &answer["errors"][0]["extensions"]["fields"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!(field), &json!("RANGE_INVALID")), "{from} {to}");
    }
    let unknown = ConfigurationId::from_bytes([9; 16]).to_string();
    for (tenant, id) in [("umbrella", &*id), ("acme", &*unknown), ("acme", "x")] {
        assert_eq!(code(&repair_as(&world, tenant, id, FROM, TO).await), "NOT_FOUND");
        assert_eq!(code(&last(&world, tenant, id).await), "NOT_FOUND");
    }
    assert!(world.messages().is_empty());
    // A disabled export can be repaired.
    call(&world, "acme", "disableExportConfiguration", &id).await;
    assert_eq!(repair(&world, &id).await["data"]["repairExportConfiguration"]["status"], "PENDING");
}

#[tokio::test]
async fn one_repair_of_a_configuration_is_unfinished_at_a_time() {
    let world = World::new();
    let id = create(&world).await;
    repair(&world, &id).await;
    assert_eq!(code(&repair(&world, &id).await), "REPAIR_IN_PROGRESS");
    assert_eq!(world.messages().len(), 1);
    world.change_repair(&id, Repair::end);
    assert_eq!(repair(&world, &id).await["data"]["repairExportConfiguration"]["status"], "PENDING");
    // Its message is lost.
    world.wait(REPAIR_ABANDONED_AFTER + Duration::from_secs(1));
    assert_eq!(repair(&world, &id).await["data"]["repairExportConfiguration"]["status"], "PENDING");
}

#[tokio::test]
async fn a_repair_whose_message_can_not_be_sent_is_withdrawn() {
    let world = World::new();
    let id = create(&world).await;
    world.set_queue_down(true);
    assert_eq!(code(&repair(&world, &id).await), "TRY_AGAIN");
    world.set_queue_down(false);
    assert_eq!(repair(&world, &id).await["data"]["repairExportConfiguration"]["status"], "PENDING");
}

#[tokio::test]
async fn repairs_use_the_allowance_of_manual_runs() {
    let world = World::new();
    let id = create(&world).await;
    for _ in 0..10 {
        assert_eq!(repair(&world, &id).await.get("errors"), None);
        world.change_repair(&id, Repair::end);
    }
    assert_eq!(code(&repair(&world, &id).await), "TOO_MANY_RUNS");
}

#[tokio::test]
async fn the_end_of_a_repair_says_what_is_left() {
    let world = World::new();
    let id = create(&world).await;
    repair(&world, &id).await;
    world.change_repair(&id, |repair| {
        let place = FilePlace { bucket: BucketName::parse("acme-audit").unwrap(), key: "a".to_owned() };
        repair.count(4, Some(place), FileOutcome::Unrepaired(UnrepairedReason::PastRetention));
        repair.count(3, None, FileOutcome::Unrepaired(UnrepairedReason::HistoryExpired));
        repair.count(5, None, FileOutcome::Repaired);
        repair.end();
    });
    let ended = last(&world, "acme", &id).await["data"]["getExportRepair"].clone();
    assert_eq!(
        [&ended["status"], &ended["checked"], &ended["repaired"], &ended["unrepaired"]],
        [&json!("INCOMPLETE"), &json!(3), &json!(1), &json!(2)]
    );
    assert_eq!(
        ended["unrepairedFiles"],
        json!([
            {"exportJobId": format!("{id}.4"), "reason": "PAST_RETENTION", "bucketName": "acme-audit", "objectKey": "a"},
            {"exportJobId": format!("{id}.3"), "reason": "HISTORY_EXPIRED", "bucketName": null, "objectKey": null},
        ])
    );
    world.change_repair(&id, |repair| {
        let message = "Allow s3:PutObject.".to_owned();
        repair.fail(ConnectionError { code: ConnectionErrorCode::WriteDenied, message });
    });
    let failed = last(&world, "acme", &id).await["data"]["getExportRepair"].clone();
    assert_eq!(
        (&failed["status"], &failed["error"]),
        (&json!("FAILED"), &json!({"code": "WRITE_DENIED", "message": "Allow s3:PutObject."}))
    );
}
