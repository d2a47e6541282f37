//! Jobs, tasks, backlogs and the next export.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    block::BlockId,
    connection::{Connection, ConnectionError, ConnectionErrorCode},
    digest::Gap,
    export_job::SERVICE_FAILURE,
    export_run::{
        Checkpoint, Window, WindowId, WindowRecord,
        test_support::{self, delivered, object},
    },
    time::Timestamp,
};
use serde_json::{Value, json};

use super::world::{World, code};
use crate::service::BACKLOG_FRESHNESS;

const JOB: &str = "id exportConfigurationId startTimestamp endTimestamp startedAt endedAt attempts status failureReason
    objects events leftOut bytes gap { startTimestamp endTimestamp reason blockId } gaps { startTimestamp endTimestamp reason blockId }";
const TASK: &str =
    "id startTimestamp endTimestamp attempts offset limit status failureReason objects events bytes objectKey";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Returns the value of the only field of a response without errors.
fn only(answer: &Value) -> &Value {
    assert_eq!(answer.get("errors"), None, "{answer}");
    answer["data"].as_object().unwrap().values().next().unwrap()
}

async fn create(world: &World) -> String {
    let data = json!({"interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "eu-west-1",
        "roleArn": "arn:aws:iam::222222222222:role/export", "startFrom": "2026-11-22T00:00:00Z"});
    let document = "mutation($data: CreateS3AssumedRoleExportConfigurationInput!) {
        createS3AssumedRoleExportConfiguration(data: $data) { id } }";
    only(&world.ask(document, json!({ "data": data })).await)["id"].as_str().unwrap().to_owned()
}

/// Returns a record with the times of the first window.
fn record(sequence: u64, delivered: Checkpoint) -> WindowRecord {
    WindowRecord { sequence, delivered, ..test_support::record(0) }
}

fn window(sequence: u64, checkpoint: Checkpoint) -> Window {
    Window { id: WindowId { sequence, revision: 0 }, checkpoint, ..test_support::window(0) }
}

/// Reads all pages of a connection, and returns the nodes. No cursor may occur twice.
async fn pages(world: &World, field: &str, arguments: &str, first: usize, node: &str) -> Vec<Value> {
    let mut nodes = Vec::new();
    let (mut after, mut cursors) = (Value::Null, BTreeSet::new());
    loop {
        let document = format!(
            "query($after: String) {{ {field}({arguments}first: {first}, after: $after) {{
                edges {{ cursor node {{ {node} }} }} pageInfo {{ hasNextPage hasPreviousPage endCursor }} }} }}"
        );
        let answer = world.ask(&document, json!({ "after": after })).await;
        let page = only(&answer);
        let edges = page["edges"].as_array().unwrap();
        assert!(edges.len() <= first);
        assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_null());
        for edge in edges {
            assert!(cursors.insert(edge["cursor"].as_str().unwrap().to_owned()), "{edge}");
            nodes.push(edge["node"].clone());
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return nodes;
        }
        assert_eq!(edges.len(), first, "a page that is not the last is full");
        after = page["pageInfo"]["endCursor"].clone();
    }
}

async fn all_jobs(world: &World, tenant: &str, id: &str) -> Value {
    let document = format!("query($id: ID!) {{ getAllExportJobs(exportConfigurationId: $id) {{ {JOB} }} }}");
    world.ask_as(tenant, &document, json!({ "id": id })).await
}

async fn all_tasks(world: &World, tenant: &str, job: &str) -> Value {
    let document = format!("query($id: ID!) {{ getAllExportJobTasks(exportJobId: $id) {{ {TASK} }} }}");
    world.ask_as(tenant, &document, json!({ "id": job })).await
}

#[tokio::test]
async fn jobs_come_newest_first_and_each_once() {
    let world = World::new();
    let id = create(&world).await;
    assert_eq!(*only(&all_jobs(&world, "acme", &id).await), json!([]));
    for sequence in 0..125 {
        world.history.put_record(&id, &record(sequence, delivered(1)));
    }
    let open = window(125, delivered(2));
    world.history.put_state(&id, open.from, 125, Some(&open));

    let names =
        |from: u64, to: u64| (to..=from).rev().map(|sequence| json!(format!("{id}.{sequence}"))).collect::<Vec<_>>();
    let arguments = format!("exportConfigurationId: \"{id}\", ");
    for first in [1, 7, 63, 100] {
        let nodes = pages(&world, "exportJobs", &arguments, first, "id").await;
        let ids: Vec<Value> = nodes.into_iter().map(|node| node["id"].clone()).collect();
        assert_eq!(ids, names(125, 0), "{first}");
    }
    let all = all_jobs(&world, "acme", &id).await;
    let ids: Vec<Value> = only(&all).as_array().unwrap().iter().map(|job| job["id"].clone()).collect();
    assert_eq!(ids, names(125, 26), "the last hundred");
    assert_eq!(
        only(&all)[0],
        json!({"id": format!("{id}.125"), "exportConfigurationId": id, "startTimestamp": "2026-11-22T00:00:00.000Z",
            "endTimestamp": "2026-11-22T02:00:00.000Z", "startedAt": "2026-11-22T02:20:00.000Z", "endedAt": null,
            "attempts": 3, "status": "PENDING", "failureReason": null, "objects": 2, "events": 10, "leftOut": 0, "bytes": 100,
            "gap": null, "gaps": []})
    );
    let done = &only(&all)[1];
    assert_eq!((&done["status"], &done["attempts"], &done["events"]), (&json!("SUCCEEDED"), &json!(2), &json!(5)));
    assert_eq!(done["endedAt"], "2026-11-22T02:21:00.000Z");
}

#[tokio::test]
async fn numbers_beyond_32_bits_are_returned() {
    let world = World::new();
    let id = create(&world).await;
    let (events, left_out, stored_bytes) = (1_u64 << 33, 1_u64 << 34, (1_u64 << 53) - 1);
    world.history.put_record(&id, &record(0, Checkpoint { events, left_out, stored_bytes, ..delivered(1) }));
    let answer = all_jobs(&world, "acme", &id).await;
    let job = &only(&answer)[0];
    assert_eq!(
        [&job["events"], &job["leftOut"], &job["bytes"]],
        [events, left_out, stored_bytes].map(|n| json!(n)).each_ref()
    );
}

#[tokio::test]
async fn gaps_are_returned_with_their_reasons_and_blocks() {
    let world = World::new();
    let id = create(&world).await;
    let block = BlockId::from_parts(at("2026-11-22T01:00:00.500Z"), 7);
    let gap = Gap::retention_ended(at("2026-11-22T00:00:00Z"), at("2026-11-22T01:00:00Z"));
    let finished = WindowRecord { gap: Some(gap), skipped: vec![block, block.next()], ..record(0, delivered(1)) };
    world.history.put_record(&id, &finished);
    let open = Window { skipped: vec![block], ..window(1, delivered(1)) };
    world.history.put_state(&id, open.from, 1, Some(&open));

    let retention_ended = json!({"startTimestamp": "2026-11-22T00:00:00.000Z",
        "endTimestamp": "2026-11-22T01:00:00.000Z", "reason": "RETENTION_ENDED", "blockId": null});
    let skipped = |block: BlockId| {
        json!({"startTimestamp": "2026-11-22T01:00:00.500Z", "endTimestamp": "2026-11-22T01:00:00.501Z",
            "reason": "BLOCK_CORRUPT", "blockId": block})
    };
    let answer = all_jobs(&world, "acme", &id).await;
    let jobs = only(&answer);
    assert_eq!((&jobs[0]["gap"], &jobs[0]["gaps"]), (&Value::Null, &json!([skipped(block)])));
    assert_eq!(jobs[1]["gap"], retention_ended);
    assert_eq!(jobs[1]["gaps"], json!([retention_ended, skipped(block), skipped(block.next())]));
}

#[tokio::test]
async fn a_window_that_ended_while_it_was_asked_for_is_returned_once() {
    let world = World::new();
    let id = create(&world).await;
    let open = window(0, delivered(1));
    world.history.put_state(&id, open.from, 0, Some(&open));
    world.history.put_record(&id, &record(0, delivered(1)));
    let answer = all_jobs(&world, "acme", &id).await;
    let jobs = only(&answer).as_array().unwrap();
    assert_eq!((jobs.len(), &jobs[0]["status"]), (1, &json!("SUCCEEDED")));
}

#[tokio::test]
async fn tasks_part_the_events_of_their_job() {
    let world = World::new();
    let id = create(&world).await;
    let id_of_window = WindowId { sequence: 0, revision: 0 };
    for number in 0..130 {
        world.history.put_intent(&id, id_of_window, &object(number), 1 + u32::from(number == 3));
    }
    // The last object was given up, and another window has its events.
    world.history.put_record(&id, &record(0, delivered(129)));
    world.history.put_intent(&id, WindowId { sequence: 0, revision: 1 }, &object(0), 1);
    world.history.put_intent(&id, WindowId { sequence: 10, revision: 0 }, &object(0), 1);

    let job = format!("{id}.0");
    let answer = all_tasks(&world, "acme", &job).await;
    let tasks = only(&answer).as_array().unwrap();
    assert_eq!(tasks.len(), 129);
    for (number, task) in tasks.iter().enumerate() {
        assert_eq!((&task["offset"], &task["limit"]), (&json!(5 * number), &json!(5)));
        assert_eq!((&task["id"], &task["status"]), (&json!(format!("{job}.{number}")), &json!("SUCCEEDED")));
        assert_eq!(task["attempts"], 1 + u32::from(number == 3));
    }
    assert_eq!(tasks[128]["objectKey"], "0128.ndjson.gz");
    for first in [1, 50, 100] {
        let nodes = pages(&world, "exportJobTasks", &format!("exportJobId: \"{job}\", "), first, TASK).await;
        assert_eq!(nodes, *tasks, "{first}");
    }
}

#[tokio::test]
async fn a_failure_is_returned_with_what_to_change() {
    let world = World::new();
    let id = create(&world).await;
    world.change_stored(&id, |stored| stored.progress.consecutive_failures = 2);
    let answer = all_jobs(&world, "acme", &id).await;
    let job = &only(&answer)[0];
    assert_eq!((&job["status"], &job["failureReason"]), (&json!("FAILED"), &json!(SERVICE_FAILURE)));
    assert_eq!((&job["attempts"], &job["endTimestamp"], &job["startedAt"]), (&json!(2), &Value::Null, &Value::Null));
    assert_eq!(*only(&all_tasks(&world, "acme", job["id"].as_str().unwrap()).await), json!([]));

    let error = ConnectionError { code: ConnectionErrorCode::WriteDenied, message: "Allow s3:PutObject.".to_owned() };
    world.change_stored(&id, |stored| {
        stored.connection = Connection::Failed { checked_at: at("2026-11-22T11:00:00.000Z"), error };
    });
    let open = window(0, delivered(1));
    world.history.put_state(&id, open.from, 0, Some(&open));
    for number in 0..2 {
        world.history.put_intent(&id, open.id, &object(number), 2);
    }
    let answer = all_jobs(&world, "acme", &id).await;
    assert_eq!(only(&answer)[0]["failureReason"], "Allow s3:PutObject.");
    let answer = all_tasks(&world, "acme", &format!("{id}.0")).await;
    let tasks = only(&answer);
    assert_eq!((&tasks[0]["status"], &tasks[0]["failureReason"]), (&json!("SUCCEEDED"), &Value::Null));
    assert_eq!((&tasks[1]["status"], &tasks[1]["failureReason"]), (&json!("FAILED"), &json!("Allow s3:PutObject.")));
}

#[tokio::test]
async fn data_of_another_tenant_is_not_found() {
    let world = World::new();
    let id = create(&world).await;
    world.history.put_record(&id, &record(0, delivered(1)));
    assert_eq!(only(&all_tasks(&world, "acme", &format!("{id}.0")).await), &json!([]));
    assert_eq!(code(&all_jobs(&world, "other", &id).await), "NOT_FOUND");
    for job in
        [format!("{id}.0"), format!("{id}.1"), format!("{id}.00"), id.clone(), "acme#x".to_owned(), String::new()]
    {
        assert_eq!(code(&all_tasks(&world, "other", &job).await), "NOT_FOUND", "{job}");
    }
    for job in [format!("{id}.1"), format!("{id}.00"), format!("{id}.0.0"), id.clone()] {
        assert_eq!(code(&all_tasks(&world, "acme", &job).await), "NOT_FOUND", "{job}");
    }
    let answer = world.ask_as("other", "{ exportConfigurations { edges { cursor } } }", Value::Null).await;
    assert_eq!(only(&answer)["edges"], json!([]));
}

#[tokio::test]
async fn a_bad_cursor_or_number_is_reported_as_such() {
    let world = World::new();
    let id = create(&world).await;
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let ask = async |field: &str, arguments: Value| {
        let argument = match field {
            "exportConfigurations" => String::new(),
            "exportJobs" => format!("exportConfigurationId: \"{id}\", "),
            _ => format!("exportJobId: \"{id}.0\", "),
        };
        let document = format!(
            "query($first: Int, $after: String) {{ {field}({argument}first: $first, after: $after) {{ edges {{ cursor }} }} }}"
        );
        world.ask(&document, arguments).await
    };
    world.history.put_record(&id, &record(0, delivered(0)));
    for field in ["exportConfigurations", "exportJobs", "exportJobTasks"] {
        for bad in ["", "17", "x", &encode("acme#17"), &encode("-1"), &encode("2026-11-22T00:00:00.000Z_acme")] {
            assert_eq!(code(&ask(field, json!({ "after": bad })).await), "CURSOR_INVALID", "{field} {bad}");
        }
        for bad in [0, -1, 101] {
            let answer = ask(field, json!({ "first": bad })).await;
            assert_eq!(code(&answer), "GRAPHQL_VALIDATION_FAILED");
            assert!(answer.to_string().contains("from 1 to 100"), "{answer}");
        }
        only(&ask(field, json!({})).await);
    }
    // A cursor has only the position: for another tenant, it is a position in that tenant's list.
    let answer = world.ask("{ exportConfigurations { edges { cursor } } }", Value::Null).await;
    let cursor = only(&answer)["edges"][0]["cursor"].as_str().unwrap();
    let position = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).unwrap()).unwrap();
    assert_eq!(position, format!("2026-11-22T12:00:00.000Z_{id}"));
}

#[tokio::test]
async fn configurations_come_in_pages() {
    let world = World::new();
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(create(&world).await);
    }
    for first in [1, 3, 7, 100] {
        let nodes = pages(&world, "exportConfigurations", "", first, "id").await;
        assert_eq!(nodes.iter().map(|node| node["id"].as_str().unwrap()).collect::<Vec<_>>(), ids, "{first}");
    }
}

#[tokio::test]
async fn the_backlog_is_what_is_not_exported() {
    let world = World::new();
    let id = create(&world).await;
    let document = "query($id: ID!) { getExportConfiguration(id: $id) { backlog { events oldest isComplete } } }";
    // A count is returned again for some time.
    let backlog = async || {
        world.wait(BACKLOG_FRESHNESS);
        only(&world.ask(document, json!({ "id": id })).await)["backlog"].clone()
    };
    let is = |events: u64, oldest: Option<&str>| json!({"events": events, "oldest": oldest, "isComplete": true});
    assert_eq!(backlog().await, is(0, None));

    // One block before the start, two in the backlog, and one of another tenant.
    world.history.put_block("acme", at("2026-11-21T23:59:59.999Z"), 1);
    world.history.put_block("acme", at("2026-11-22T00:00:00Z"), 20);
    world.history.put_block("acme", at("2026-11-22T03:00:00Z"), 300);
    world.history.put_block("acme2", at("2026-11-22T03:00:00Z"), 1_000);
    assert_eq!(backlog().await, is(320, Some("2026-11-22T00:00:00.000Z")));

    let mut open = window(0, Checkpoint::default());
    world.history.put_state(&id, open.from, 0, Some(&open));
    assert_eq!(backlog().await, is(320, Some("2026-11-22T00:00:00.000Z")));
    open.checkpoint.last_block = Some(BlockId::lowest_at(at("2026-11-22T00:00:00Z")));
    world.history.put_state(&id, open.from, 0, Some(&open));
    assert_eq!(backlog().await, is(300, Some("2026-11-22T03:00:00.000Z")));
    world.history.put_state(&id, BlockId::lowest_at(at("2026-11-22T04:00:00Z")), 1, None);
    assert_eq!(backlog().await, is(0, None));

    // Events past their retention can't be exported, however far behind the export is. 70 s have passed.
    world.history.put_block("acme", at("2026-08-24T12:00:59.999Z"), 7);
    world.history.put_block("acme", at("2026-08-24T12:01:10Z"), 5);
    world.history.put_state(&id, BlockId::lowest_at(Timestamp::EPOCH), 1, None);
    assert_eq!(backlog().await, is(5 + 1 + 320, Some("2026-08-24T12:01:10.000Z")));

    world.wait(BACKLOG_FRESHNESS);
    let document = "mutation($id: ID!) { deleteExportConfiguration(id: $id) { backlog { events } } }";
    assert_eq!(only(&world.ask(document, json!({ "id": id })).await)["backlog"]["events"], 326);
}

#[tokio::test]
async fn the_backlogs_of_a_tenant_are_counted_in_one_pass() {
    let world = World::new();
    let mut ids = Vec::new();
    for _ in 0..25 {
        ids.push(create(&world).await);
    }
    // The cursors of the exports are one millisecond apart, and so are the blocks.
    for (number, id) in (0..).zip(&ids) {
        let cursor = Timestamp::from_millis(at("2026-11-22T00:00:00Z").as_millis() + number).unwrap();
        world.history.put_block("acme", cursor, 1);
        world.history.put_state(id, BlockId::lowest_at(cursor), 1, None);
    }
    let answer =
        world.ask("{ getAllExportConfigurations { id backlog { events oldest isComplete } } }", Value::Null).await;
    let backlogs = only(&answer).as_array().unwrap();
    assert_eq!(backlogs.len(), ids.len());
    for (number, configuration) in backlogs.iter().enumerate() {
        let oldest = format!("2026-11-22T00:00:00.{number:03}Z");
        let expected = json!({"events": ids.len() - number, "oldest": oldest, "isComplete": true});
        assert_eq!((&configuration["id"], &configuration["backlog"]), (&json!(ids[number]), &expected));
    }
    assert_eq!((world.history.passes(), world.history.batches()), (1, 1));

    // A single configuration gets the count of all.
    let document = "query($id: ID!) { getExportConfiguration(id: $id) { backlog { events countedAt } } }";
    let answer = world.ask(document, json!({ "id": ids[3] })).await;
    assert_eq!(only(&answer)["backlog"], json!({"events": 22, "countedAt": "2026-11-22T12:00:00.000Z"}));
    assert_eq!(world.history.passes(), 1);
    // Another tenant has its own count.
    let answer = world.ask_as("other", "{ getAllExportConfigurations { backlog { events } } }", Value::Null).await;
    assert_eq!(*only(&answer), json!([]));
    assert_eq!(code(&world.ask_as("other", document, json!({ "id": ids[3] })).await), "NOT_FOUND");
}

#[tokio::test]
async fn the_next_export_is_returned_unless_it_is_disabled() {
    let world = World::new();
    let id = create(&world).await;
    let document = "query($id: ID!) { getExportConfiguration(id: $id) { nextExportAt } }";
    let next = async || only(&world.ask(document, json!({ "id": id })).await)["nextExportAt"].clone();
    // It is 12:00, and the slot that just ended settles for 20 minutes.
    assert_eq!(next().await, "2026-11-22T12:20:00.000Z");
    world.change_stored(&id, |stored| stored.progress.exported_through = Some(at("2026-11-22T12:00:00.000Z")));
    assert_eq!(next().await, "2026-11-22T14:20:00.000Z");
    let document_to_disable = "mutation($id: ID!) { disableExportConfiguration(id: $id) { nextExportAt } }";
    let answer = world.ask(document_to_disable, json!({ "id": id })).await;
    assert_eq!(only(&answer)["nextExportAt"], Value::Null);
}
