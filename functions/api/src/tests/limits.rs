//! The allowances of a tenant, and the limit of a response. `schema::limits` tests the limits of a document.

use std::time::Duration;

use domain::{
    allowance::{
        BACKLOG_COUNTS_PER_MINUTE, CONFIGURATION_RUNS_PER_HOUR, CONNECTION_TESTS_PER_PERIOD, MANUAL_RUNS_PER_MINUTE,
        NOTICED_CHANGES_OF_AN_AUTHOR_PER_HOUR, NOTICED_CHANGES_PER_HOUR, RUN_REQUEST_LIFETIME,
    },
    configuration::{ConfigurationId, ConfigurationKey, ExportConfiguration, test_support},
    tenant::TenantId,
};
use serde_json::{Value, json};

use super::{
    operations::{call, configuration, create_with_role, id, requested, with_role},
    world::{SECRET, World, code},
};
use crate::ports::MAX_CONFIGURATIONS_PER_TENANT;

const MINUTE: Duration = Duration::from_mins(1);

async fn create_with_key(world: &World, tenant: &str, changes: &Value) -> Value {
    let mut data = json!({"interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "eu-west-1",
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": SECRET});
    data.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let document = "mutation($data: CreateS3AccessKeyExportConfigurationInput!) {
        createS3AccessKeyExportConfiguration(data: $data) { id } }";
    world.ask_as(tenant, document, json!({ "data": data })).await
}

#[tokio::test]
async fn a_tenant_tests_so_many_connections_in_a_period_and_no_more() {
    let world = World::new();
    let created = create_with_key(&world, "acme", &json!({})).await;
    let id = &created["data"]["createS3AccessKeyExportConfiguration"]["id"];
    let test = async || {
        let document = "mutation($id: ID!) { testExportConfiguration(id: $id) { connectionStatus } }";
        world.ask(document, json!({ "id": id })).await
    };
    for _ in 1..CONNECTION_TESTS_PER_PERIOD {
        assert_eq!(test().await.get("errors"), None);
    }
    let done = world.tests();
    assert_eq!(done, CONNECTION_TESTS_PER_PERIOD as usize);

    for refused in [test().await, create_with_key(&world, "acme", &json!({})).await] {
        assert_eq!(code(&refused), "TOO_MANY_TESTS");
        let seconds = refused["errors"][0]["extensions"]["retryAfterSeconds"].as_u64().unwrap();
        assert!((1..=20).contains(&seconds), "{refused}");
    }
    let answer = world.ask("{ getAllExportConfigurations { id } }", Value::Null).await;
    assert_eq!(answer["data"]["getAllExportConfigurations"].as_array().unwrap().len(), 1, "nothing was created");
    assert_eq!(world.tests(), done, "nothing was tested");

    // Other tenants have their own allowance.
    assert_eq!(create_with_key(&world, "globex", &json!({})).await.get("errors"), None);
}

#[tokio::test]
async fn requests_refused_before_a_test_use_no_allowance() {
    let world = World::new();
    for _ in 0..=CONNECTION_TESTS_PER_PERIOD {
        let refused = create_with_key(&world, "acme", &json!({"region": "nowhere"})).await;
        assert_eq!(code(&refused), "INVALID_INPUT");
        let refused = world.ask("mutation { testExportConfiguration(id: \"1\") { id } }", Value::Null).await;
        assert_eq!(code(&refused), "NOT_FOUND");
    }
    assert_eq!(create_with_key(&world, "acme", &json!({})).await.get("errors"), None);
}

/// The fields of `audit-export config list`.
const LISTED: &str = "id version type description interval format \
    filter { include { actions actorTypes targetTypes } exclude { actions actorTypes targetTypes } } \
    ocsf { version classes { action targetType class activity } } enabled connectionStatus connectionCheckedAt \
    connectionError { code message } endpointConfiguration { ... on S3EndpointConfiguration { bucketName bucketPath region \
    endpointUrl roleArn accessKeyId kmsKeyArn expectedBucketOwner } } principalArn exportedThrough lastExport nextExportAt \
    consecutiveFailures startFrom externalId createdBy createdAt updatedBy updatedAt status { health lagSeconds \
    lastSuccessAt exportedThrough consecutiveFailures nextExportAt retentionUsedPercent advice }";

#[tokio::test]
async fn as_many_and_as_large_configurations_as_allowed_are_listed_at_once() {
    let world = World::new();
    for number in 0..MAX_CONFIGURATIONS_PER_TENANT {
        let configuration_id = ConfigurationId::from_random(number.into());
        let key = ConfigurationKey { configuration_id, tenant_id: TenantId::parse("acme").unwrap() };
        world.store(ExportConfiguration { key, ..test_support::largest() });
    }
    let answer = world.ask(&format!("{{ getAllExportConfigurations {{ {LISTED} }} }}"), Value::Null).await;
    let listed = answer["data"]["getAllExportConfigurations"].as_array().map(Vec::len);
    assert_eq!(listed, Some(MAX_CONFIGURATIONS_PER_TENANT.into()), "{:.200}", answer.to_string());

    // Lambda doesn't take a response with two of them.
    let list = |alias: &str| format!("{alias}: getAllExportConfigurations {{ {LISTED} }}");
    let refused = world.ask(&format!("{{ {} {} }}", list("a"), list("b")), Value::Null).await;
    assert_eq!(code(&refused), "GRAPHQL_VALIDATION_FAILED");
    assert!(refused.to_string().len() < 1_000, "{refused}");
}

async fn new_export(world: &World) -> String {
    id(&create_with_role(world, with_role()).await)
}

async fn run(world: &World, id: &str) -> Value {
    call(world, "acme", "runExportConfiguration", id).await
}

/// Returns the seconds after which a refused request may be repeated.
fn retry_after(answer: &Value) -> u64 {
    answer["errors"][0]["extensions"]["retryAfterSeconds"].as_u64().unwrap()
}

#[tokio::test]
async fn ten_requests_in_one_document_send_one_message() {
    let world = World::new();
    let id = new_export(&world).await;
    let aliases: Vec<String> =
        (0..10).map(|number| format!("a{number}: runExportConfiguration(id: \"{id}\") {{ id }}")).collect();
    let answer = world.ask(&format!("mutation {{ {} }}", aliases.join(" ")), Value::Null).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
    assert_eq!(answer["data"].as_object().unwrap().len(), 10);
    assert_eq!(world.messages().len(), 1);
    // All of them count for the tenant, since each may write.
    let refused = run(&world, &id).await;
    assert_eq!((code(&refused), retry_after(&refused)), ("TOO_MANY_RUNS", 60));
    assert_eq!(world.messages().len(), 1);
}

#[tokio::test]
async fn a_request_names_through_when_its_run_exports() {
    let world = World::new();
    let id = new_export(&world).await;
    let ask = async |operation: &str, field: &str| {
        let document = format!("{operation} {{ {field}(id: \"{id}\") {{ requestedRunThrough }} }}");
        let answer = world.ask(&document, Value::Null).await;
        answer["data"][field]["requestedRunThrough"].clone()
    };
    let run = async || ask("mutation", "runExportConfiguration").await;
    let get = async || ask("query", "getExportConfiguration").await;
    assert_eq!(get().await, Value::Null);
    assert_eq!(run().await, "2026-11-22T11:40:00.000Z");
    assert_eq!(get().await, "2026-11-22T11:40:00.000Z");
    world.wait(MINUTE);
    assert_eq!(run().await, "2026-11-22T11:41:00.000Z", "the same message, and more of it");
    assert_eq!(get().await, "2026-11-22T11:41:00.000Z");
    // A request expires.
    world.wait(RUN_REQUEST_LIFETIME);
    assert_eq!(get().await, Value::Null);
    assert_eq!(run().await, "2026-11-22T11:56:00.000Z");
    world.end_requested_run(&id);
    assert_eq!(get().await, Value::Null);
}

#[tokio::test]
async fn a_pending_run_exports_for_later_requests_too() {
    let world = World::new();
    let id = new_export(&world).await;
    configuration(&run(&world, &id).await);
    world.wait(MINUTE);
    configuration(&run(&world, &id).await);
    assert_eq!(requested(&world), [(id.clone(), "2026-11-22T11:40:00.000Z".to_owned())]);
    let through = world.stored(&id).requested_through.unwrap();
    assert_eq!(through.to_string(), "2026-11-22T11:41:00.000Z", "its run reads this");
    // The first message may be lost.
    world.wait(RUN_REQUEST_LIFETIME);
    configuration(&run(&world, &id).await);
    assert_eq!(world.messages().len(), 2);
    // The run has ended: the next request is another run.
    world.end_requested_run(&id);
    configuration(&run(&world, &id).await);
    assert_eq!(world.messages().len(), 3);
}

#[tokio::test]
async fn a_tenant_requests_so_many_runs_in_a_minute_and_no_more() {
    let world = World::new();
    let mut ids = Vec::new();
    for _ in 0..=MANUAL_RUNS_PER_MINUTE {
        ids.push(new_export(&world).await);
    }
    let (last, others) = ids.split_last().unwrap();
    for id in others {
        configuration(&run(&world, id).await);
    }
    world.wait(Duration::from_millis(20_500));
    let refused = run(&world, last).await;
    assert_eq!((code(&refused), retry_after(&refused)), ("TOO_MANY_RUNS", 40));
    assert_eq!(world.messages().len(), others.len());
    assert_eq!(world.stored(last).requested_until, None, "nothing was stored");
    // A request that is refused for another reason doesn't count, and other tenants have their own allowance.
    let foreign = create_with_key(&world, "globex", &json!({})).await;
    let foreign = foreign["data"]["createS3AccessKeyExportConfiguration"]["id"].as_str().unwrap().to_owned();
    configuration(&call(&world, "globex", "runExportConfiguration", &foreign).await);
    world.wait(Duration::from_secs(40));
    for _ in 0..=MANUAL_RUNS_PER_MINUTE {
        assert_eq!(code(&run(&world, &foreign).await), "NOT_FOUND");
    }
    configuration(&run(&world, last).await);
}

#[tokio::test]
async fn a_configuration_runs_so_often_in_an_hour_and_no_more() {
    let world = World::new();
    let (id, other) = (new_export(&world).await, new_export(&world).await);
    for _ in 0..CONFIGURATION_RUNS_PER_HOUR {
        configuration(&run(&world, &id).await);
        world.wait(MINUTE);
        // A request that the run in the queue covers doesn't count.
        configuration(&run(&world, &id).await);
        world.end_requested_run(&id);
    }
    let refused = run(&world, &id).await;
    assert_eq!(code(&refused), "TOO_MANY_RUNS");
    assert_eq!(retry_after(&refused), 60 * (60 - u64::from(CONFIGURATION_RUNS_PER_HOUR)));
    assert_eq!(world.stored(&id).requested_until, None);
    assert_eq!(world.messages().len(), CONFIGURATION_RUNS_PER_HOUR as usize);
    configuration(&run(&world, &other).await);
    world.wait(Duration::from_hours(1));
    configuration(&run(&world, &id).await);
}

#[tokio::test]
async fn a_tenant_makes_so_many_changes_that_send_notices_in_an_hour_and_no_more() {
    let world = World::new();
    let (id, other) = (new_export(&world).await, new_export(&world).await);
    let change = async |field: &str| call(&world, "acme", field, &id).await;
    let update = async |data: Value| {
        let document = "mutation($data: UpdateS3AssumedRoleExportConfigurationInput!) {
            updateS3AssumedRoleExportConfiguration(data: $data) { id } }";
        world.ask(document, json!({ "data": data })).await
    };
    let webhooks = json!([{"url": "https://hooks.example.com/", "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}]);
    for number in 0..NOTICED_CHANGES_PER_HOUR {
        if number == NOTICED_CHANGES_OF_AN_AUTHOR_PER_HOUR {
            // One person has used up an own share, and anybody else can still act.
            for refused in [
                change("disableExportConfiguration").await,
                update(json!({"id": id, "bucketName": "other-audit"})).await,
                update(json!({"id": id, "interval": "EVERY_4_HOURS", "notifications": webhooks})).await,
            ] {
                assert_eq!(code(&refused), "TOO_MANY_CHANGES");
            }
            assert!(world.candidates().is_empty(), "what is refused is not tested");
            world.act_as("user-2");
        }
        // A change that meets another one counts once.
        world.interfere(usize::from(number == 0));
        configuration(&change("disableExportConfiguration").await);
        // These are free: a change without an effect, and enabling.
        configuration(&change("disableExportConfiguration").await);
        configuration(&change("enableExportConfiguration").await);
    }
    world.wait(Duration::from_mins(10));
    world.act_as("user-3");
    let stored = world.stored(&id);
    for refused in [
        change("disableExportConfiguration").await,
        change("deleteExportConfiguration").await,
        call(&world, "acme", "deleteExportConfiguration", &other).await,
        update(json!({"id": id, "notifications": webhooks})).await,
    ] {
        assert_eq!((code(&refused), retry_after(&refused)), ("TOO_MANY_CHANGES", 50 * 60));
    }
    assert_eq!(world.stored(&id), stored, "nothing was changed");
    // Changes without a notice are free, and other tenants have their own allowance.
    configuration(&update(json!({"id": id, "interval": "EVERY_4_HOURS"})).await);
    new_export(&world).await;
    let foreign = create_with_key(&world, "globex", &json!({})).await;
    let foreign = foreign["data"]["createS3AccessKeyExportConfiguration"]["id"].as_str().unwrap();
    configuration(&call(&world, "globex", "deleteExportConfiguration", foreign).await);
    world.wait(Duration::from_mins(50));
    configuration(&change("disableExportConfiguration").await);
}

#[tokio::test]
async fn a_run_that_could_not_be_queued_is_not_pending() {
    let world = World::new();
    let id = new_export(&world).await;
    world.set_queue_down(true);
    assert_eq!(code(&run(&world, &id).await), "TRY_AGAIN");
    assert_eq!(world.stored(&id).requested_through, None);
    world.set_queue_down(false);
    configuration(&run(&world, &id).await);
    assert_eq!(world.messages().len(), 1);
}

const BACKLOGS: &str = "{ getAllExportConfigurations { id backlog { events countedAt } } }";

#[tokio::test]
async fn a_backlog_is_counted_so_often_in_a_minute_and_then_served_as_it_was() {
    let world = World::new();
    new_export(&world).await;
    let counted_at = async || {
        let answer = world.ask(BACKLOGS, Value::Null).await;
        configuration(&answer)[0]["backlog"]["countedAt"].as_str().unwrap().to_owned()
    };
    for second in 0..20 {
        assert_eq!(
            counted_at().await,
            if second < 10 { "2026-11-22T12:00:00.000Z" } else { "2026-11-22T12:00:10.000Z" }
        );
        world.wait(Duration::from_secs(1));
    }
    assert_eq!(world.history.passes(), 2);
    // The other four, from 12:00:20 to 12:00:50.
    for _ in 0..BACKLOG_COUNTS_PER_MINUTE - 2 {
        counted_at().await;
        world.wait(Duration::from_secs(10));
    }
    assert_eq!(world.history.passes(), 6);

    // Several counts within one minute, each because of a new configuration.
    let world = World::new();
    for _ in 0..BACKLOG_COUNTS_PER_MINUTE {
        new_export(&world).await;
        assert_eq!(world.ask(BACKLOGS, Value::Null).await.get("errors"), None);
    }
    let last = new_export(&world).await;
    world.wait(Duration::from_secs(30));
    let answer = world.ask(BACKLOGS, Value::Null).await;
    assert_eq!((code(&answer), retry_after(&answer)), ("TOO_MANY_COUNTS", 30));
    let path = json!(["getAllExportConfigurations", BACKLOG_COUNTS_PER_MINUTE, "backlog"]);
    assert_eq!(answer["errors"][0]["path"], path);
    let configurations = answer["data"]["getAllExportConfigurations"].as_array().unwrap();
    let [others @ .., without] = configurations.as_slice() else { unreachable!() };
    assert_eq!((&without["id"], &without["backlog"]), (&json!(last), &Value::Null));
    // The count is older than those that are returned while the allowance lasts.
    assert!(others.iter().all(|other| other["backlog"]["countedAt"] == "2026-11-22T12:00:00.000Z"), "{answer}");
    assert_eq!(world.history.passes(), BACKLOG_COUNTS_PER_MINUTE as usize);
    world.wait(Duration::from_secs(30));
    assert_eq!(world.ask(BACKLOGS, Value::Null).await.get("errors"), None);
}

#[tokio::test]
async fn a_tenant_is_counted_in_so_many_reads_whatever_is_asked() {
    let world = World::new();
    for _ in 0..100 {
        new_export(&world).await;
    }
    let aliases: Vec<String> = (0..10)
        .map(|number| {
            format!("a{number}: getAllExportConfigurations {{ backlog {{ events }} again: backlog {{ oldest }} }}")
        })
        .collect();
    let answer = world.ask(&format!("{{ {} }}", aliases.join(" ")), Value::Null).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
    assert_eq!((world.history.passes(), world.history.batches()), (1, 1));
}

#[tokio::test]
async fn a_count_that_fails_is_not_repeated_within_its_request() {
    let world = World::new();
    for _ in 0..5 {
        new_export(&world).await;
    }
    world.history.break_states();
    let answer = world.ask(BACKLOGS, Value::Null).await;
    let errors = answer["errors"].as_array().unwrap();
    assert!(errors.len() == 5 && errors.iter().all(|error| error["extensions"]["code"] == "INTERNAL"), "{answer}");
    assert_eq!((world.history.passes(), world.history.batches()), (0, 1));
}

#[tokio::test]
async fn a_count_that_was_stored_by_an_unknown_version_is_replaced() {
    let world = World::new();
    let id = new_export(&world).await;
    assert_eq!(world.ask(BACKLOGS, Value::Null).await.get("errors"), None);
    // The store returns no count that another version of the service has stored.
    world.drop_counted("acme");
    let answer = world.ask(BACKLOGS, Value::Null).await;
    assert_eq!(
        configuration(&answer)[0],
        json!({"id": id, "backlog": {"events": 0, "countedAt": "2026-11-22T12:00:00.000Z"}})
    );
    assert_eq!(world.history.passes(), 2);
}

#[tokio::test]
async fn the_configurations_are_read_once_however_often_a_request_lists_them() {
    let world = World::new();
    for _ in 0..3 {
        new_export(&world).await;
    }
    let page =
        |number| format!("p{number}: exportConfigurations(first: 1) {{ nodes {{ id }} pageInfo {{ hasNextPage }} }}");
    let pages: Vec<String> = (0..9).map(page).collect();
    let answer =
        world.ask(&format!("{{ {} getAllExportConfigurations {{ id }} }}", pages.join(" ")), Value::Null).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
    assert_eq!(answer["data"]["getAllExportConfigurations"].as_array().unwrap().len(), 3);
    assert_eq!(answer["data"]["p8"]["nodes"][0], answer["data"]["getAllExportConfigurations"][0]);
    assert_eq!(world.lists(), 1);
    world.ask("{ getAllExportConfigurations { id } }", Value::Null).await;
    assert_eq!(world.lists(), 2, "the next request reads them again");
}

#[tokio::test]
async fn no_secret_is_encrypted_for_a_request_beyond_a_limit() {
    let world = World::new();
    let id = new_export(&world).await;
    let webhooks = json!([{"url": "https://hooks.example.com/", "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}]);
    let with_webhooks = || {
        let mut data = with_role();
        data["notifications"] = webhooks.clone();
        data
    };
    let update = async || {
        let document = "mutation($data: UpdateS3AssumedRoleExportConfigurationInput!) {
            updateS3AssumedRoleExportConfiguration(data: $data) { id } }";
        world.ask(document, json!({ "data": {"id": id, "notifications": webhooks} })).await
    };
    configuration(&create_with_role(&world, with_webhooks()).await);
    for _ in 1..NOTICED_CHANGES_OF_AN_AUTHOR_PER_HOUR {
        configuration(&update().await);
    }
    let encrypted = world.plaintexts().len();
    assert_eq!(encrypted, NOTICED_CHANGES_OF_AN_AUTHOR_PER_HOUR as usize);
    let keyed = json!({"notifications": webhooks});
    for refused in
        [update().await, create_with_role(&world, with_webhooks()).await, create_with_key(&world, "acme", &keyed).await]
    {
        assert_eq!(code(&refused), "TOO_MANY_CHANGES");
    }
    assert_eq!(world.plaintexts().len(), encrypted);

    world.wait(Duration::from_hours(1));
    for number in 2..MAX_CONFIGURATIONS_PER_TENANT {
        let configuration_id = ConfigurationId::from_bytes([u8::try_from(number).unwrap(); 16]);
        let key = ConfigurationKey { configuration_id, tenant_id: TenantId::parse("acme").unwrap() };
        world.store(ExportConfiguration { key, ..test_support::with_role() });
    }
    for refused in [create_with_role(&world, with_webhooks()).await, create_with_key(&world, "acme", &json!({})).await]
    {
        assert_eq!(code(&refused), "LIMIT_EXCEEDED");
    }
    assert_eq!(world.plaintexts().len(), encrypted);
}
