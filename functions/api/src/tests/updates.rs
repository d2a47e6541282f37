//! Updating configurations, and the audit events of changes.

use std::time::Duration;

use domain::{
    block::INGEST_WRITE_BOUND,
    configuration::{Authentication, Destination},
    connection::Connection,
    export_format::ExportFormat,
    interval::ExportInterval,
};
use serde_json::{Value, json};

use super::{
    memory::Tester,
    operations::{call, configuration, create_with_key, create_with_role, id, with_key, with_role},
    world::{SECRET, World, code},
};

const FIELDS: &str = "id version type description interval format ocsf { version classes { action targetType class activity } } enabled \
    connectionStatus connectionError { code }
    endpointConfiguration { bucketName bucketPath region roleArn accessKeyId kmsKeyArn expectedBucketOwner }";

fn sealed_secret(authentication: &Authentication) -> &[u8] {
    let Authentication::AccessKey { secret, .. } = authentication else { unreachable!() };
    secret.ciphertext()
}

const OTHER_KEY: &str = "AKIAIOSFODNN7OTHERRR";

async fn update(world: &World, tenant: &str, kind: &str, data: Value) -> Value {
    let document = format!(
        "mutation($data: UpdateS3{kind}ExportConfigurationInput!) {{
            updateS3{kind}ExportConfiguration(data: $data) {{ {FIELDS} }} }}"
    );
    world.ask_as(tenant, &document, json!({ "data": data })).await
}

async fn update_key(world: &World, data: Value) -> Value {
    update(world, "acme", "AccessKey", data).await
}

async fn update_role(world: &World, data: Value) -> Value {
    update(world, "acme", "AssumedRole", data).await
}

fn actions(world: &World) -> Vec<String> {
    world.changes().iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn absent_fields_stay_and_null_clears() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    call(&world, "acme", "testExportConfiguration", &id).await;
    let data = json!({"id": id, "interval": "EVERY_4_HOURS", "description": null});
    let answer = update_role(&world, data).await;
    let answer = configuration(&answer);
    assert_eq!((&answer["interval"], &answer["description"]), (&json!("EVERY_4_HOURS"), &Value::Null));
    assert_eq!((&answer["version"], &answer["connectionStatus"]), (&json!(2), &json!("SUCCESS")));
    assert_eq!(world.tests(), 1, "the connection is the same");
    assert_eq!(world.stored(&id).interval, ExportInterval::Every4Hours);

    let data = json!({"id": id, "kmsKeyArn": null, "expectedBucketOwner": null, "bucketPath": null});
    let answer = update_role(&world, data).await;
    let endpoint = &configuration(&answer)["endpointConfiguration"];
    for name in ["kmsKeyArn", "expectedBucketOwner", "bucketPath"] {
        assert_eq!(endpoint[name], Value::Null);
    }
    let Destination { bucket_path, kms_key_arn, expected_bucket_owner, .. } = world.stored(&id).destination;
    assert_eq!((bucket_path, kms_key_arn, expected_bucket_owner), (None, None, None));
    assert_eq!(endpoint["roleArn"], "arn:aws:iam::222222222222:role/export");
    assert_eq!(world.tests(), 2);
}

#[tokio::test]
async fn another_format_is_stored_without_a_test() {
    let world = World::new();
    let with_format = |format: &str| {
        let mut data = with_role();
        data["format"] = format.into();
        data
    };
    let parquet = id(&create_with_role(&world, with_format("PARQUET")).await);
    assert_eq!(world.stored(&parquet).format, ExportFormat::Parquet);
    let id = id(&create_with_role(&world, with_role()).await);
    assert_eq!(world.stored(&id).format, ExportFormat::NdjsonGzip);
    call(&world, "acme", "testExportConfiguration", &id).await;
    for (format, stored, version) in [
        (json!("NDJSON_ZSTD"), ExportFormat::NdjsonZstd, 2),
        (json!("NDJSON_ZSTD"), ExportFormat::NdjsonZstd, 2),
        (Value::Null, ExportFormat::NdjsonGzip, 3),
    ] {
        let answer = update_role(&world, json!({"id": id, "format": format})).await;
        let answer = configuration(&answer);
        assert_eq!((&answer["format"], &answer["version"]), (&json!(stored.name()), &json!(version)));
        assert_eq!((&answer["connectionStatus"], world.stored(&id).format), (&json!("SUCCESS"), stored));
    }
    assert_eq!(world.tests(), 1, "the connection is the same");
    let changes = world.changes();
    let payload = &changes[changes.len() - 1]["auditPayload"];
    assert_eq!(
        (&payload["before"]["format"], &payload["after"]["format"]),
        (&json!("NDJSON_ZSTD"), &json!("NDJSON_GZIP"))
    );
}

#[tokio::test]
async fn the_format_of_security_lake_is_tested_and_shows_its_choices() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    call(&world, "acme", "testExportConfiguration", &id).await;
    let rule = json!({"action": "publish", "class": "ENTITY_MANAGEMENT", "activity": "Update"});
    let choices = json!({"version": "1.8.0", "classes": [rule]});
    world.set_tester(Tester::Fails);
    let data = json!({"id": id, "format": "OCSF_PARQUET", "ocsf": choices});
    assert_eq!(code(&update_role(&world, data.clone()).await), "NEW_CONNECTION_REFUSED");
    world.set_tester(Tester::Succeeds);
    let answer = update_role(&world, data).await;
    let expected = json!({"version": "1.8.0", "classes": [
        {"action": "PUBLISH", "targetType": null, "class": "ENTITY_MANAGEMENT", "activity": "Update"}]});
    assert_eq!(configuration(&answer)["ocsf"], expected);
    let changes = world.changes();
    let payload = &changes[changes.len() - 1]["auditPayload"];
    assert_eq!(payload["before"]["ocsf"], Value::Null);
    assert_eq!(payload["after"]["ocsf"]["classes"][0]["action"], "PUBLISH");
    assert_eq!(payload["after"]["layout"], Value::Null, "it follows from the format");

    let answer = update_role(&world, json!({"id": id, "ocsf": null})).await;
    assert_eq!(configuration(&answer)["ocsf"], json!({"version": "1.3.0", "classes": []}));
    let answer = update_role(&world, json!({"id": id, "format": "PARQUET"})).await;
    assert_eq!(configuration(&answer)["ocsf"], Value::Null);
    let refused = update_role(&world, json!({"id": id, "ocsf": {"version": "1.3.0"}})).await;
    assert_eq!(refused["errors"][0]["extensions"]["fields"][0]["code"], "OCSF_CONFLICT", "{refused}");
}

const OTHER_ROLE: &str = "arn:aws:iam::222222222222:role/other";

#[tokio::test]
async fn another_place_or_role_is_tested_before_it_replaces_what_works() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    call(&world, "acme", "testExportConfiguration", &id).await;
    for (number, (data, name)) in (2_usize..).zip([
        (json!({"id": id, "bucketName": "other"}), "destination"),
        (json!({"id": id, "bucketPath": null}), "destination"),
        (json!({"id": id, "kmsKeyArn": null}), "destination"),
        (json!({"id": id, "expectedBucketOwner": null}), "destination"),
        (json!({"id": id, "roleArn": OTHER_ROLE}), "roleArn"),
    ]) {
        let (before, changes) = (world.tables().configurations, world.changes());
        world.set_tester(Tester::Fails);
        let answer = update_role(&world, data.clone()).await;
        assert_eq!(code(&answer), "NEW_CONNECTION_REFUSED", "{data}");
        let error = &answer["errors"][0]["extensions"]["connectionError"];
        assert_eq!(*error, json!({"code": "WRITE_DENIED", "message": "Allow s3:PutObject."}));
        world.set_tester(Tester::Crashes);
        assert_eq!(code(&update_role(&world, data.clone()).await), "TRY_AGAIN");
        assert_eq!(world.tables().configurations, before, "nothing was changed");
        assert_eq!(world.changes(), changes);

        world.set_tester(Tester::Succeeds);
        let answer = update_role(&world, data).await;
        assert_eq!(configuration(&answer)["version"], number);
        assert_eq!(configuration(&answer)["connectionStatus"], "SUCCESS");
        let candidates = world.candidates();
        let [.., candidate] = candidates.as_slice() else { unreachable!() };
        assert!(candidate.get(name).is_some() && candidate.get("accessKeyId").is_none(), "{candidate}");
        world.wait(Duration::from_mins(1));
    }
    assert_eq!(world.candidates().len(), 10, "one test for each refusal and for each success");
}

#[tokio::test]
async fn another_place_of_an_access_key_is_tested_with_the_key_that_stays() {
    let world = World::new();
    let id = id(&create_with_key(&world, with_key()).await);
    world.set_tester(Tester::Fails);
    let data = json!({"id": id, "bucketName": "other"});
    assert_eq!(code(&update_key(&world, data.clone()).await), "NEW_CONNECTION_REFUSED");
    world.set_tester(Tester::Succeeds);
    assert_eq!(configuration(&update_key(&world, data).await)["connectionStatus"], "SUCCESS");
    let candidates = world.candidates();
    assert!(candidates.iter().all(|candidate| candidate.get("sealedSecret").is_none()), "{candidates:?}");
    assert_eq!(world.plaintexts(), [SECRET], "no secret is sealed again");
}

#[tokio::test]
async fn a_forced_change_and_one_of_what_does_not_work_are_tested_once_they_are_stored() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    for (tester, data, status) in [
        // The connection is PENDING.
        (Tester::Succeeds, json!({"id": id, "bucketName": "other"}), "SUCCESS"),
        (Tester::Fails, json!({"id": id, "bucketName": "another", "force": true}), "FAILED"),
        // A repair in two steps.
        (Tester::Fails, json!({"id": id, "roleArn": OTHER_ROLE}), "FAILED"),
        (Tester::Succeeds, json!({"id": id, "bucketName": "other"}), "SUCCESS"),
        (Tester::Crashes, json!({"id": id, "bucketName": "another", "force": true}), "PENDING"),
    ] {
        world.set_tester(tester);
        let answer = update_role(&world, data).await;
        assert_eq!(configuration(&answer)["connectionStatus"], status);
        let stored = call(&world, "acme", "getExportConfiguration", &id).await;
        assert_eq!(configuration(&stored)["connectionStatus"], status);
    }
    assert!(world.candidates().is_empty());
    let stored = world.stored(&id);
    assert_eq!((stored.connection, stored.version), (Connection::Pending, 6));
}

#[tokio::test]
async fn a_new_key_is_tested_first_even_if_it_is_forced() {
    let world = World::new();
    let id = id(&create_with_key(&world, with_key()).await);
    world.set_tester(Tester::Fails);
    let data = json!({"id": id, "secretAccessKey": "y".repeat(40), "force": true});
    assert_eq!(code(&update_key(&world, data).await), "NEW_ACCESS_KEY_REFUSED");
    assert_eq!(world.stored(&id).version, 1);
}

#[tokio::test]
async fn a_place_is_tested_once_although_another_change_came_between() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    call(&world, "acme", "testExportConfiguration", &id).await;
    world.interfere(1);
    let answer = update_role(&world, json!({"id": id, "bucketName": "other"})).await;
    assert_eq!((&configuration(&answer)["version"], world.candidates().len()), (&json!(3), 1));
}

#[tokio::test]
async fn a_new_key_that_works_replaces_the_old_with_one_test() {
    let world = World::new();
    let id = id(&create_with_key(&world, with_key()).await);
    let before = world.stored(&id).authentication;
    let secret = "y".repeat(40);
    let data = json!({"id": id, "accessKeyId": OTHER_KEY, "secretAccessKey": secret, "bucketName": "other"});
    let answer = update_key(&world, data).await;
    let answer = configuration(&answer);
    assert_eq!((&answer["version"], &answer["connectionStatus"]), (&json!(2), &json!("SUCCESS")));
    assert_eq!(answer["endpointConfiguration"]["accessKeyId"], OTHER_KEY);
    assert_eq!(world.tests(), 2, "one for each key");
    let [candidate] = world.candidates().try_into().unwrap();
    assert_eq!(candidate["destination"]["bucketName"], "other", "it is tested with what it is to be used with");
    assert_eq!((&candidate["configurationId"], &candidate["version"]), (&json!(id), &json!(1)));
    let stored = world.stored(&id);
    assert_ne!(sealed_secret(&stored.authentication), sealed_secret(&before));
    assert_eq!(stored.user_arn.unwrap().as_str(), "arn:aws:iam::222222222222:user/export");

    // A new secret alone.
    let data = json!({"id": id, "secretAccessKey": "z".repeat(40)});
    assert_eq!(configuration(&update_key(&world, data).await)["endpointConfiguration"]["accessKeyId"], OTHER_KEY);
    assert_eq!(world.plaintexts(), [SECRET.to_owned(), secret, "z".repeat(40)]);
}

#[tokio::test]
async fn a_new_key_that_does_not_work_replaces_nothing() {
    let world = World::new();
    let id = id(&create_with_key(&world, with_key()).await);
    let (before, changes) = (world.tables().configurations, world.changes());
    let data =
        json!({"id": id, "accessKeyId": OTHER_KEY, "secretAccessKey": "y".repeat(40), "interval": "EVERY_4_HOURS"});

    world.set_tester(Tester::Fails);
    let answer = update_key(&world, data.clone()).await;
    assert_eq!(code(&answer), "NEW_ACCESS_KEY_REFUSED");
    assert_eq!(
        answer["errors"][0]["extensions"]["connectionError"],
        json!({"code": "WRITE_DENIED", "message": "Allow s3:PutObject."})
    );
    world.set_tester(Tester::Crashes);
    assert_eq!(code(&update_key(&world, data).await), "TRY_AGAIN");
    assert_eq!(world.candidates().len(), 1);
    assert_eq!(world.tables().configurations, before);
    assert_eq!(world.changes(), changes);
}

#[tokio::test]
async fn the_secret_stays_if_it_is_left_out() {
    let world = World::new();
    let id = id(&create_with_key(&world, with_key()).await);
    let authentication = world.stored(&id).authentication;
    let answer =
        update_key(&world, json!({"id": id, "bucketName": "other", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"})).await;
    assert_eq!(configuration(&answer)["version"], 2);
    assert_eq!(world.stored(&id).authentication, authentication);

    let answer = update_key(&world, json!({"id": id, "accessKeyId": OTHER_KEY})).await;
    assert_eq!(code(&answer), "INVALID_INPUT");
    let [field] = answer["errors"][0]["extensions"]["fields"].as_array().unwrap().as_slice() else { unreachable!() };
    assert_eq!((&field["field"], &field["code"]), (&json!("secretAccessKey"), &json!("REQUIRED")));
}

#[tokio::test]
async fn the_other_kind_is_taken_with_its_whole_identity() {
    let world = World::new();
    let id = id(&create_with_key(&world, with_key()).await);
    let answer = update_role(&world, json!({"id": id, "interval": "EVERY_4_HOURS"})).await;
    assert_eq!(answer["errors"][0]["extensions"]["fields"][0]["field"], "roleArn");

    let role = "arn:aws:iam::222222222222:role/export";
    let answer = update_role(&world, json!({"id": id, "roleArn": role})).await;
    let answer = configuration(&answer);
    assert_eq!((&answer["type"], &answer["connectionStatus"]), (&json!("S3_ASSUMED_ROLE"), &json!("SUCCESS")));
    assert_eq!(answer["endpointConfiguration"]["accessKeyId"], Value::Null);
    let stored = world.stored(&id);
    assert!(matches!(stored.authentication, Authentication::AssumedRole { .. }) && stored.user_arn.is_none());

    let data = json!({"id": id, "accessKeyId": OTHER_KEY, "secretAccessKey": SECRET});
    let answer = update_key(&world, data).await;
    let answer = configuration(&answer);
    assert_eq!((&answer["type"], &answer["version"]), (&json!("S3_ACCESS_KEY"), &json!(3)));
    assert!(matches!(world.stored(&id).authentication, Authentication::AccessKey { .. }));
    assert_eq!(world.candidates().len(), 2);
}

#[tokio::test]
async fn a_stale_version_changes_nothing() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    configuration(&update_role(&world, json!({"id": id, "version": 1, "interval": "EVERY_4_HOURS"})).await);
    let before = world.tables();
    // Also an update that would change nothing.
    for interval in ["EVERY_6_HOURS", "EVERY_4_HOURS"] {
        let answer = update_role(&world, json!({"id": id, "version": 1, "interval": interval})).await;
        assert_eq!(code(&answer), "CONFLICT");
        assert_eq!(answer["errors"][0]["extensions"]["currentVersion"], 2);
    }
    assert_eq!(world.tables(), before);
    let answer = update_role(&world, json!({"id": id, "version": null, "interval": "EVERY_4_HOURS"})).await;
    assert_eq!(configuration(&answer)["version"], 2, "nothing changes");
    assert_eq!(actions(&world), ["CREATE", "UPDATE"]);
}

#[tokio::test]
async fn of_two_changes_at_once_the_second_is_made_upon_the_first() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    let change = |interval: &str| json!({"id": id, "interval": interval});
    world.interfere(2);
    assert_eq!(configuration(&update_role(&world, change("EVERY_4_HOURS")).await)["version"], 4);
    world.interfere(3);
    assert_eq!(code(&update_role(&world, change("EVERY_6_HOURS")).await), "TRY_AGAIN");
    // A caller that names a version gets a conflict.
    world.interfere(1);
    let answer = update_role(&world, json!({"id": id, "version": 7, "interval": "EVERY_6_HOURS"})).await;
    assert_eq!(answer["errors"][0]["extensions"]["currentVersion"], 8, "{answer}");
    world.interfere(1);
    assert_eq!(configuration(&call(&world, "acme", "disableExportConfiguration", &id).await)["enabled"], false);
    world.interfere(1);
    configuration(&call(&world, "acme", "deleteExportConfiguration", &id).await);
    assert_eq!(actions(&world), ["CREATE", "UPDATE", "DISABLE", "DELETE"]);
}

#[tokio::test]
async fn a_key_is_tested_once_although_another_change_came_between() {
    let world = World::new();
    let id = id(&create_with_key(&world, with_key()).await);
    world.interfere(1);
    let answer = update_key(&world, json!({"id": id, "secretAccessKey": "y".repeat(40)})).await;
    assert_eq!(configuration(&answer)["version"], 3);
    assert_eq!(world.candidates().len(), 1);
}

#[tokio::test]
async fn each_change_is_reported_and_what_changes_nothing_is_not() {
    let world = World::new();
    let id = id(&create_with_key(&world, with_key()).await);
    for (operation, count) in [
        ("enableExportConfiguration", 1),
        ("disableExportConfiguration", 2),
        ("disableExportConfiguration", 2),
        ("enableExportConfiguration", 3),
        ("testExportConfiguration", 3),
        ("runExportConfiguration", 3),
    ] {
        call(&world, "acme", operation, &id).await;
        assert_eq!(world.changes().len(), count, "{operation}");
    }
    update_key(&world, json!({"id": id, "interval": "EVERY_2_HOURS"})).await;
    update_key(&world, json!({"id": id, "secretAccessKey": "y".repeat(40), "description": "Nightly"})).await;
    call(&world, "acme", "deleteExportConfiguration", &id).await;
    call(&world, "acme", "deleteExportConfiguration", &id).await;
    assert_eq!(actions(&world), ["CREATE", "DISABLE", "ENABLE", "UPDATE", "DELETE"]);

    for event in world.changes() {
        assert_eq!(event["actor"], json!({"id": "user-1", "type": "USER", "issuer": "https://issuer"}));
        assert_eq!((&event["actorIp"], &event["requestId"]), (&json!("192.0.2.7"), &json!("request-1")));
        assert_eq!((&event["tenantId"], &event["targets"][0]["id"]), (&json!("acme"), &json!(id)));
    }
    let changes = world.changes();
    let update = &changes[3]["auditPayload"];
    assert_eq!((&update["before"]["description"], &update["after"]["description"]), (&Value::Null, &json!("Nightly")));
    assert_eq!(update["after"]["secretAccessKey"], "CHANGED");
    assert_eq!((&update["before"]["version"], &update["after"]["version"]), (&json!(3), &json!(4)));
    let text = json!(changes).to_string();
    assert!(!text.contains(SECRET) && !text.contains("yyyy"), "{text}");
}

#[tokio::test]
async fn refused_and_repeated_changes_leave_no_event() {
    let world = World::new();
    let mut data = with_role();
    data["idempotencyKey"] = json!("key-1");
    let id = id(&create_with_role(&world, data.clone()).await);
    create_with_role(&world, data).await;
    assert_eq!(
        code(&update(&world, "other", "AssumedRole", json!({"id": id, "interval": "EVERY_4_HOURS"})).await),
        "NOT_FOUND"
    );
    assert_eq!(code(&update_role(&world, json!({"id": id, "interval": null})).await), "INVALID_INPUT");
    assert_eq!(actions(&world), ["CREATE"]);
}

#[tokio::test]
async fn a_change_that_took_too_long_is_not_reported_as_success() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    world.delay_writes(INGEST_WRITE_BOUND);
    assert_eq!(code(&create_with_role(&world, with_role()).await), "TRY_AGAIN");
    assert_eq!(code(&update_role(&world, json!({"id": id, "interval": "EVERY_4_HOURS"})).await), "TRY_AGAIN");
    for operation in ["disableExportConfiguration", "deleteExportConfiguration"] {
        assert_eq!(code(&call(&world, "acme", operation, &id).await), "TRY_AGAIN", "{operation}");
    }
    assert_eq!(actions(&world), ["CREATE", "CREATE", "UPDATE", "DISABLE", "DELETE"], "the changes were made");
    world.delay_writes(INGEST_WRITE_BOUND.saturating_sub(Duration::from_millis(1)));
    configuration(&create_with_role(&world, with_role()).await);
}

#[tokio::test]
async fn an_id_is_never_used_again() {
    let world = World::new();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let id = id(&create_with_role(&world, with_role()).await);
        call(&world, "acme", "deleteExportConfiguration", &id).await;
        assert!(seen.insert(id.clone()), "{id}");
        // Nothing brings it back.
        for operation in ["enableExportConfiguration", "testExportConfiguration", "runExportConfiguration"] {
            assert_eq!(code(&call(&world, "acme", operation, &id).await), "NOT_FOUND");
        }
        assert_eq!(code(&update_role(&world, json!({"id": id, "interval": "EVERY_4_HOURS"})).await), "NOT_FOUND");
    }
}

#[tokio::test]
async fn an_export_is_created_on_another_server_and_moved() {
    let world = World::new();
    let data = json!({"interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "garage",
        "endpointUrl": "https://S3.example.com:3900/", "accessKeyId": "audit-export", "secretAccessKey": "minioadmin",
        "idempotencyKey": "1"});
    let id = id(&create_with_key(&world, data.clone()).await);
    let endpoint = "endpointUrl region roleArn accessKeyId";
    let stored = async |tenant: &str| {
        let query = format!(
            "query($id: ID!) {{ getExportConfiguration(id: $id) {{
            endpointConfiguration {{ {endpoint} }} connectionChecks {{ check title }} }} }}"
        );
        world.ask_as(tenant, &query, json!({ "id": id })).await
    };
    let answer = stored("acme").await;
    assert_eq!(
        configuration(&answer)["endpointConfiguration"],
        json!({"endpointUrl": "https://s3.example.com:3900", "region": "garage", "roleArn": null,
            "accessKeyId": "audit-export"})
    );
    let checks = configuration(&answer)["connectionChecks"].as_array().unwrap();
    assert_eq!(checks.last().unwrap()["check"], "SERVER_CAPABLE");

    // Another endpoint is other content for the idempotency key.
    let mut elsewhere = data;
    elsewhere["endpointUrl"] = json!("https://other.example.com");
    assert_eq!(code(&create_with_key(&world, elsewhere).await), "IDEMPOTENCY_KEY_REUSED");

    world.wait(Duration::from_mins(1));
    let tests = world.tests();
    let moved = update_key(&world, json!({"id": id, "endpointUrl": "https://other.example.com"})).await;
    assert_eq!(configuration(&moved)["connectionStatus"], "SUCCESS");
    assert_eq!(world.tests(), tests + 1, "it is tested before");
    let event = world.changes().pop().unwrap();
    let sides = &event["auditPayload"];
    assert_eq!(sides["before"]["endpointUrl"], "https://s3.example.com:3900", "{event}");
    assert_eq!(sides["after"]["endpointUrl"], "https://other.example.com");

    // A role is AWS's.
    let role = json!({"id": id, "roleArn": OTHER_ROLE, "region": "eu-west-1"});
    assert_eq!(configuration(&update_role(&world, role).await)["version"], 3);
    assert_eq!(configuration(&stored("acme").await)["endpointConfiguration"]["endpointUrl"], Value::Null);
}
