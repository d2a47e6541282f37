//! Replays: requests, repetitions, continuations and cancellations.

use std::time::Duration;

use domain::{
    configuration::{
        ConfigurationKey, ExportConfiguration,
        change::{Author, Change, Stamp},
    },
    export_format::ExportFormat,
    interval::ExportInterval,
    replay::{Replay, ReplayEnd, ReplayMessage, ReplayProgress, ReplayState},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{
    memory::{Memory, event_of, ready},
    operations::{call, configuration, create_with_role, id, with_role},
    world::{World, code},
};
use crate::ports::{EditOutcome, PortError, PortFuture, ReplaySeries, Replays};

impl Replays for Memory {
    fn list<'a>(&'a self, configuration: &'a ConfigurationKey) -> PortFuture<'a, ReplaySeries> {
        let state = self.lock();
        let replays = state.replays.iter().rev().filter(|replay| replay.key.configuration() == *configuration);
        ready(Ok(ReplaySeries::new(state.replay_requests, replays.cloned().collect())))
    }

    fn request<'a>(
        &'a self,
        of: &'a ExportConfiguration,
        series: &'a ReplaySeries,
        replay: &'a Replay,
        _expires_at: Timestamp,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome> {
        let event = event_of(Change::Replay { of, replay }, author, stamp);
        let mut state = self.lock();
        if state.interferences > 0 {
            state.interferences -= 1;
            state.replay_requests += 1;
        }
        if *series != ReplaySeries::new(state.replay_requests, series.replays.clone()) {
            return ready(Ok(EditOutcome::ChangedSince));
        }
        state.replay_requests += 1;
        let replaced = series.replaced().map(|replaced| replaced.key.clone());
        state.replays.retain(|stored| stored.key != replay.key && Some(&stored.key) != replaced.as_ref());
        state.replays.push(replay.clone());
        state.changes.push(event);
        ready(Ok(EditOutcome::Done))
    }

    fn cancel<'a>(
        &'a self,
        of: &'a ExportConfiguration,
        replay: &'a Replay,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome> {
        let event = event_of(Change::CancelReplay { of, replay }, author, stamp);
        let mut state = self.lock();
        let unfinished = state.replays.iter_mut().find(|stored| stored.key == replay.key && !stored.has_ended());
        let Some(unfinished) = unfinished else { return ready(Ok(EditOutcome::ChangedSince)) };
        unfinished.state = ReplayState::Ended { at: stamp.at, end: ReplayEnd::Cancelled };
        state.changes.push(event);
        ready(Ok(EditOutcome::Done))
    }

    fn repeat<'a>(&'a self, repeated: &'a Replay) -> PortFuture<'a, EditOutcome> {
        let mut state = self.lock();
        let is_read = |stored: &&mut Replay| {
            stored.key == repeated.key && !stored.has_ended() && stored.attempt + 1 == repeated.attempt
        };
        let Some(read) = state.replays.iter_mut().find(is_read) else { return ready(Ok(EditOutcome::ChangedSince)) };
        read.attempt = repeated.attempt;
        ready(Ok(EditOutcome::Done))
    }

    fn send(&self, message: ReplayMessage) -> PortFuture<'_, ()> {
        let mut state = self.lock();
        if state.is_queue_down {
            return ready(Err(PortError::transient("send replay", "the queue is down")));
        }
        state.messages.push(json!(message));
        ready(Ok(()))
    }
}

const FIELDS: &str = "id exportConfigurationId status error { code message } from to bucketName bucketPath format
    filter { include { actions } exclude { actions } } ocsf { version classes { action class } } place percent
    exportedThrough objects events bytes requestedBy requestedAt startedAt endedAt";

const FROM: &str = "2026-11-20T00:00:00Z";
const TO: &str = "2026-11-22T00:00:00Z";

async fn request(world: &World, id: &str, [from, to, path]: [&str; 3]) -> Value {
    let document = format!(
        "mutation($id: ID!, $from: String!, $to: String!, $path: String!) {{
            replayExportConfiguration(id: $id, from: $from, to: $to, bucketPath: $path) {{ {FIELDS} }} }}"
    );
    world.ask(&document, json!({"id": id, "from": from, "to": to, "path": path})).await
}

async fn cancel(world: &World, id: &str, replay: &Value) -> Value {
    let document = format!(
        "mutation($id: ID!, $replay: ID!) {{
            cancelExportReplay(exportConfigurationId: $id, id: $replay) {{ {FIELDS} }} }}"
    );
    world.ask(&document, json!({"id": id, "replay": replay["id"]})).await
}

/// Creates an export that has exported through noon of the 22nd.
async fn exported(world: &World) -> String {
    let id = id(&create_with_role(world, with_role()).await);
    world.change_stored(&id, |stored| stored.progress.exported_through = Timestamp::parse("2026-11-22T12:00:00Z").ok());
    id
}

fn fail(world: &World) {
    world.change_replay(|replay| {
        let error = domain::replay::ReplayError::timed_out(None);
        replay.state = ReplayState::Ended { at: replay.requested_at, end: ReplayEnd::Failed(error) };
    });
}

/// Returns the refused fields with their codes.
fn refused(answer: &Value) -> Vec<(&str, &str)> {
    assert_eq!(code(answer), "INVALID_INPUT", "{answer}");
    let fields = answer["errors"][0]["extensions"]["fields"].as_array().unwrap();
    fields.iter().map(|field| (field["field"].as_str().unwrap(), field["code"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_replay_is_stored_reported_and_queued() {
    let world = World::new();
    let id = exported(&world).await;
    let answer = request(&world, &id, [FROM, TO, "replays/siem"]).await;
    let replay = configuration(&answer);
    assert_eq!((&replay["status"], &replay["percent"]), (&json!("PENDING"), &json!(0)));
    let replay_id = replay["id"].as_str().unwrap();
    assert_eq!(replay["place"], format!("s3://acme-audit/replays/siem/{replay_id}"));
    let message = json!({"replay": {"tenantId": "acme", "configurationId": id, "replayId": replay_id}, "attempt": 1});
    assert_eq!(world.messages(), [message]);
    let event = world.changes().pop().unwrap();
    assert_eq!((&event["action"], &event["targets"][0]["id"]), (&json!("REPLAY"), &json!(id)));
    assert_eq!(event["auditPayload"]["replay"]["bucketPath"], "replays/siem");
    assert_eq!([&replay["format"], &replay["ocsf"]], [&json!("NDJSON_GZIP"), &json!(null)]);

    world.change_replay(|replay| {
        replay.state = ReplayState::Running;
        let exported_through = Timestamp::parse("2026-11-21T00:00:00Z").ok();
        replay.progress = ReplayProgress { exported_through, objects: 3, events: 40, stored_bytes: 500 };
    });
    let document = format!("query($id: ID!) {{ exportReplays(exportConfigurationId: $id) {{ {FIELDS} }} }}");
    let listed = world.ask(&document, json!({ "id": id })).await;
    let listed = &listed["data"]["exportReplays"];
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&listed[0]["percent"], &listed[0]["events"]), (&json!(50), &json!(40)));
}

#[tokio::test]
async fn a_replay_shows_what_its_files_have() {
    let world = World::new();
    let id = exported(&world).await;
    world.change_stored(&id, |stored| {
        stored.format = ExportFormat::OcsfParquet;
        stored.filter = serde_json::from_value(json!({"include": {"actions": ["DELETE*"]}})).unwrap();
    });
    let replay = configuration(&request(&world, &id, [FROM, TO, "replays/siem"]).await).clone();
    assert_eq!(replay["format"], "OCSF_PARQUET");
    assert_eq!(replay["filter"], json!({"include": {"actions": ["DELETE*"]}, "exclude": null}));
    assert_eq!(replay["ocsf"], json!({"version": "1.3.0", "classes": []}));
}

#[tokio::test]
async fn the_same_request_sends_the_message_again_and_another_one_has_to_wait() {
    let world = World::new();
    let id = exported(&world).await;
    world.set_queue_down(true);
    assert_eq!(code(&request(&world, &id, [FROM, TO, "replays/siem"]).await), "TRY_AGAIN");
    world.set_queue_down(false);
    let again = request(&world, &id, [FROM, TO, "replays/siem"]).await;
    assert_eq!(configuration(&again)["status"], "PENDING");
    assert_eq!((world.messages().len(), world.changes().len()), (1, 2), "the creation and one replay");
    assert_eq!(code(&request(&world, &id, [FROM, TO, "replays/other"]).await), "REPLAY_IN_PROGRESS");
}

#[tokio::test]
async fn each_message_of_a_replay_replaces_those_before_it() {
    let world = World::new();
    let id = exported(&world).await;
    let set_interval = |interval| world.change_stored(&id, |stored| stored.interval = interval);
    let period = [FROM, "2026-11-22T10:00:00Z", "replays/siem"];
    set_interval(ExportInterval::Every2Hours);
    for _ in 0..3 {
        request(&world, &id, period).await;
    }
    fail(&world);
    set_interval(ExportInterval::Every24Hours);
    assert_eq!(configuration(&request(&world, &id, period).await)["status"], "PENDING", "it continues");
    let attempts: Vec<_> = world.messages().iter().map(|message| message["attempt"].clone()).collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_replay_that_stopped_continues_under_its_id_and_its_path_is_taken_otherwise() {
    let world = World::new();
    let id = exported(&world).await;
    let first = request(&world, &id, [FROM, TO, "replays/siem"]).await;
    for _ in 0..2 {
        fail(&world);
        let again = request(&world, &id, [FROM, TO, "replays/siem"]).await;
        assert_eq!(configuration(&again)["id"], configuration(&first)["id"]);
        assert_eq!(configuration(&again)["status"], "PENDING");
    }
    assert_eq!(world.messages().len(), 3);
    fail(&world);
    let other_period = request(&world, &id, ["2026-11-21T00:00:00Z", TO, "replays/siem"]).await;
    assert_eq!(refused(&other_period), [("bucketPath", "REPLAY_PATH_OVERLAPS")]);
    world.wait(Duration::from_hours(24 * 8));
    let too_late = request(&world, &id, [FROM, TO, "replays/siem"]).await;
    assert_eq!(refused(&too_late), [("bucketPath", "REPLAY_PATH_OVERLAPS")]);
}

#[tokio::test]
async fn a_replay_is_cancelled_once() {
    let world = World::new();
    let id = exported(&world).await;
    let requested = request(&world, &id, [FROM, TO, "replays/siem"]).await;
    let replay = configuration(&requested);
    for _ in 0..2 {
        let cancelled = cancel(&world, &id, replay).await;
        assert_eq!(configuration(&cancelled)["status"], "CANCELLED");
    }
    let actions: Vec<_> = world.changes().iter().map(|event| event["action"].clone()).collect();
    assert_eq!(actions, ["CREATE", "REPLAY", "CANCEL_REPLAY"]);
    assert_eq!(code(&cancel(&world, &id, &json!({ "id": id })).await), "NOT_FOUND");
}

#[tokio::test]
async fn a_replay_that_no_run_ended_has_timed_out() {
    let world = World::new();
    let id = exported(&world).await;
    let requested = request(&world, &id, [FROM, TO, "replays/siem"]).await;
    world.wait(Duration::from_hours(24 * 7));
    let document = "query($id: ID!, $replay: ID!) {
        getExportReplay(exportConfigurationId: $id, id: $replay) { status error { code } } }";
    let variables = json!({"id": id, "replay": configuration(&requested)["id"]});
    let read = world.ask(document, variables.clone()).await;
    let expected = json!({"status": "FAILED", "error": {"code": "REPLAY_TIMED_OUT"}});
    assert_eq!(*configuration(&read), expected);
    assert_eq!(code(&world.ask_as("other", document, variables).await), "NOT_FOUND");
}

#[tokio::test]
async fn what_has_to_change_is_named_and_a_refused_request_uses_no_allowance() {
    let world = World::new();
    let id = exported(&world).await;
    for _ in 0..20 {
        let answer = request(&world, &id, ["2026-11-20T05:00:00Z", "2026-11-23T00:00:00Z", "audit/log/replay"]).await;
        assert_eq!(refused(&answer), [("from", "REPLAY_TIME_INVALID")]);
    }
    let answer = request(&world, &id, [FROM, TO, "audit/log/replay"]).await;
    assert_eq!(refused(&answer), [("bucketPath", "REPLAY_PATH_OVERLAPS")]);
    assert!(world.messages().is_empty());
    for _ in 0..10 {
        assert_eq!(configuration(&request(&world, &id, [FROM, TO, "replays"]).await)["status"], "PENDING");
    }
    assert_eq!(code(&request(&world, &id, [FROM, TO, "replays"]).await), "TOO_MANY_RUNS");
    assert_eq!(code(&call(&world, "acme", "runExportConfiguration", &id).await), "TOO_MANY_RUNS");
}

#[tokio::test]
async fn a_request_that_meets_another_is_decided_again() {
    let world = World::new();
    let id = exported(&world).await;
    world.interfere(1);
    assert_eq!(configuration(&request(&world, &id, [FROM, TO, "replays"]).await)["status"], "PENDING");
    cancel(&world, &id, &json!({"id": world.messages()[0]["replay"]["replayId"]})).await;
    world.interfere(3);
    assert_eq!(code(&request(&world, &id, [FROM, TO, "elsewhere"]).await), "TRY_AGAIN");
}

#[tokio::test]
async fn policies_allow_the_path_of_replays_on_request() {
    let world = World::new();
    let id = exported(&world).await;
    let document = "query($id: ID!, $path: String) {
        getExportConfigurationPolicies(id: $id, replayBucketPath: $path) { iamPolicy { document } } }";
    let policy = |path: Value| world.ask(document, json!({"id": id, "path": path}));
    let allowed = "arn:aws:s3:::acme-audit/replays/siem/*";
    assert!(policy(json!("replays/siem")).await.to_string().contains(allowed));
    assert!(!policy(Value::Null).await.to_string().contains(allowed));
    assert_eq!(refused(&policy(json!("/replays")).await), [("replayBucketPath", "BUCKET_PATH_INVALID")]);
}
