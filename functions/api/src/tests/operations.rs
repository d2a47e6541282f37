//! Creating, testing, enabling, running and deleting configurations.

use domain::{configuration::ExportProgress, time::Timestamp};
use serde_json::{Value, json};
use verification::PublicKeys;

use super::{
    memory::Tester,
    world::{SECRET, World, code},
};

/// Asserts a snapshot with sorted names. `serde_json` keeps their order only with a feature that other crates may enable.
macro_rules! assert_snapshot {
    ($value:expr, @$snapshot:literal) => {
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!($value, @$snapshot) })
    };
}

const FIELDS: &str = "id externalId version description kmsKeyArn expectedBucketOwner interval enabled connectionStatus connectionCheckedAt
    connectionError { code message } exportedThrough lastExport consecutiveFailures
    startFrom createdBy createdAt updatedBy updatedAt
    endpointConfiguration { bucketName bucketPath region roleArn accessKeyId
        ... on S3EndpointConfiguration { kmsKeyArn expectedBucketOwner } }";

const UNKNOWN_ID: &str = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";

pub fn with_key() -> Value {
    json!({"interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "eu-west-1",
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": SECRET})
}

pub fn with_role() -> Value {
    json!({"interval": "EVERY_24_HOURS", "bucketName": "acme-audit", "bucketPath": "audit/log", "region": "eu-west-1",
        "roleArn": "arn:aws:iam::222222222222:role/export", "expectedBucketOwner": "222222222222",
        "kmsKeyArn": "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "startFrom": "earliest", "description": "For the auditors"})
}

fn and(mut data: Value, name: &str, value: impl Into<Value>) -> Value {
    data[name] = value.into();
    data
}

async fn create(world: &World, kind: &str, data: Value) -> Value {
    let document = format!(
        "mutation($data: CreateS3{kind}ExportConfigurationInput!) {{
            createS3{kind}ExportConfiguration(data: $data) {{ {FIELDS} }} }}"
    );
    world.ask(&document, json!({ "data": data })).await
}

pub async fn create_with_key(world: &World, data: Value) -> Value {
    create(world, "AccessKey", data).await
}

pub async fn create_with_role(world: &World, data: Value) -> Value {
    create(world, "AssumedRole", data).await
}

/// Returns the value of the only field of a response without errors.
pub fn configuration(answer: &Value) -> &Value {
    assert_eq!(answer.get("errors"), None, "{answer}");
    answer["data"].as_object().unwrap().values().next().unwrap()
}

pub fn id(answer: &Value) -> String {
    configuration(answer)["id"].as_str().unwrap().to_owned()
}

pub async fn call(world: &World, tenant: &str, operation: &str, id: &str) -> Value {
    let kind = if operation == "getExportConfiguration" { "query" } else { "mutation" };
    let document = format!("{kind}($id: ID!) {{ {operation}(id: $id) {{ {FIELDS} }} }}");
    world.ask_as(tenant, &document, json!({ "id": id })).await
}

async fn ids(world: &World, tenant: &str) -> Vec<String> {
    let answer = world.ask_as(tenant, "{ getAllExportConfigurations { id } }", Value::Null).await;
    configuration(&answer).as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_configuration_with_a_key_is_tested_as_it_is_created() {
    let world = World::new();
    let answer = create_with_key(&world, with_key()).await;
    assert_snapshot!(configuration(&answer), @r#"
    {
      "connectionCheckedAt": "2026-11-22T12:00:00.000Z",
      "connectionError": null,
      "connectionStatus": "SUCCESS",
      "consecutiveFailures": 0,
      "createdAt": "2026-11-22T12:00:00.000Z",
      "createdBy": "user-1",
      "description": null,
      "enabled": true,
      "endpointConfiguration": {
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "bucketName": "acme-audit",
        "bucketPath": null,
        "expectedBucketOwner": null,
        "kmsKeyArn": null,
        "region": "eu-west-1",
        "roleArn": null
      },
      "expectedBucketOwner": null,
      "exportedThrough": null,
      "externalId": "00000000-0000-4000-8000-000000000001",
      "id": "00000000-0000-4000-8000-000000000001",
      "interval": "EVERY_2_HOURS",
      "kmsKeyArn": null,
      "lastExport": null,
      "startFrom": "2026-11-22T12:00:00.000Z",
      "updatedAt": "2026-11-22T12:00:00.000Z",
      "updatedBy": "user-1",
      "version": 1
    }
    "#);
    assert_eq!(world.plaintexts(), [SECRET]);
    assert!(!format!("{:?}", world.tables()).contains(SECRET));
}

#[tokio::test]
async fn a_test_that_fails_undoes_no_creation() {
    let world = World::new();
    world.set_tester(Tester::Fails);
    let answer = create_with_key(&world, with_key()).await;
    assert_eq!(configuration(&answer)["connectionStatus"], "FAILED");
    assert_eq!(
        configuration(&answer)["connectionError"],
        json!({"code": "WRITE_DENIED", "message": "Allow s3:PutObject."})
    );

    world.set_tester(Tester::Crashes);
    let answer = create_with_key(&world, with_key()).await;
    assert_eq!(configuration(&answer)["connectionStatus"], "PENDING");
    assert_eq!(ids(&world, "acme").await.len(), 2);
}

#[tokio::test]
async fn a_configuration_with_a_role_waits_for_the_role() {
    let world = World::new();
    let answer = create_with_role(&world, with_role()).await;
    assert_snapshot!(configuration(&answer), @r#"
    {
      "connectionCheckedAt": null,
      "connectionError": null,
      "connectionStatus": "PENDING",
      "consecutiveFailures": 0,
      "createdAt": "2026-11-22T12:00:00.000Z",
      "createdBy": "user-1",
      "description": "For the auditors",
      "enabled": true,
      "endpointConfiguration": {
        "accessKeyId": null,
        "bucketName": "acme-audit",
        "bucketPath": "audit/log",
        "expectedBucketOwner": "222222222222",
        "kmsKeyArn": "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "region": "eu-west-1",
        "roleArn": "arn:aws:iam::222222222222:role/export"
      },
      "expectedBucketOwner": "222222222222",
      "exportedThrough": null,
      "externalId": "00000000-0000-4000-8000-000000000001",
      "id": "00000000-0000-4000-8000-000000000001",
      "interval": "EVERY_24_HOURS",
      "kmsKeyArn": "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab",
      "lastExport": null,
      "startFrom": "1970-01-01T00:00:00.000Z",
      "updatedAt": "2026-11-22T12:00:00.000Z",
      "updatedBy": "user-1",
      "version": 1
    }
    "#);
    assert_eq!(world.tests(), 0);
}

#[tokio::test]
async fn all_field_errors_come_at_once() {
    let world = World::new();
    let data = json!({"interval": "EVERY_2_HOURS", "bucketName": "arn:aws:s3:::a", "bucketPath": "/a", "region": "mars",
        "accessKeyId": "AKIA", "secretAccessKey": "short", "kmsKeyArn": "alias/a", "expectedBucketOwner": "1",
        "description": "a\nb", "startFrom": "then", "idempotencyKey": " "});
    let answer = create_with_key(&world, data).await;
    assert_eq!(code(&answer), "INVALID_INPUT");
    let error = &answer["errors"][0];
    assert_eq!(error["path"], json!(["createS3AccessKeyExportConfiguration"]));
    let fields = error["extensions"]["fields"].as_array().unwrap();
    assert_eq!(fields[0]["message"], "Give the bucket's name, not its ARN.");
    let fields: Vec<_> = fields.iter().map(|field| (field["field"].as_str(), field["code"].as_str())).collect();
    assert_eq!(
        fields,
        [
            ("bucketName", "BUCKET_NAME_INVALID"),
            ("bucketPath", "BUCKET_PATH_INVALID"),
            ("region", "REGION_INVALID"),
            ("kmsKeyArn", "KMS_KEY_ARN_INVALID"),
            ("expectedBucketOwner", "ACCOUNT_ID_INVALID"),
            ("description", "DESCRIPTION_INVALID"),
            ("startFrom", "START_FROM_INVALID"),
            ("idempotencyKey", "IDEMPOTENCY_KEY_INVALID"),
            ("accessKeyId", "ACCESS_KEY_ID_INVALID"),
            ("secretAccessKey", "SECRET_ACCESS_KEY_INVALID"),
        ]
        .map(|(field, code)| (Some(field), Some(code)))
    );
    assert_eq!(answer["data"], json!({"createS3AccessKeyExportConfiguration": null}));

    let data = and(with_role(), "roleArn", "arn:aws-cn:iam::222222222222:role/export");
    let answer = create_with_role(&world, data).await;
    assert_eq!(answer["errors"][0]["extensions"]["fields"][0]["code"], "ROLE_PARTITION_MISMATCH");
    let data = and(with_role(), "roleArn", "arn:aws:iam::111111111111:role/export");
    let answer = create_with_role(&world, data).await;
    assert_eq!(answer["errors"][0]["extensions"]["fields"][0]["code"], "ROLE_IN_SERVICE_ACCOUNT");
    assert!(ids(&world, "acme").await.is_empty() && world.plaintexts().is_empty());
}

#[tokio::test]
async fn a_repeated_creation_gives_the_same_configuration() {
    let world = World::new();
    let data = and(with_key(), "idempotencyKey", "key-1");
    let first = create_with_key(&world, data.clone()).await;
    assert_eq!(create_with_key(&world, data.clone()).await, first);
    assert_eq!(world.tests(), 1, "the outcome is known");
    // The secret is not compared.
    let other_secret = "x".repeat(40);
    assert_eq!(create_with_key(&world, and(data.clone(), "secretAccessKey", other_secret)).await, first);
    assert_eq!(create_with_key(&world, and(data.clone(), "bucketPath", "")).await, first);
    for (name, value) in
        [("bucketName", "other"), ("interval", "EVERY_4_HOURS"), ("startFrom", "earliest"), ("description", "x")]
    {
        let answer = create_with_key(&world, and(data.clone(), name, value)).await;
        assert_eq!(code(&answer), "IDEMPOTENCY_KEY_REUSED", "{name}");
    }
    let answer = create_with_role(&world, and(with_role(), "idempotencyKey", "key-1")).await;
    assert_eq!(code(&answer), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(ids(&world, "acme").await.len(), 1);

    call(&world, "acme", "deleteExportConfiguration", &id(&first)).await;
    assert_eq!(code(&create_with_key(&world, data).await), "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn a_repeated_creation_may_name_the_defaults_of_ocsf() {
    let world = World::new();
    let data = and(and(with_role(), "idempotencyKey", "key-1"), "format", "OCSF_PARQUET");
    let first = create_with_role(&world, data.clone()).await;
    let with = |choices: Value| {
        let mut data = data.clone();
        data["ocsf"] = choices;
        create_with_role(&world, data)
    };
    for equal in [json!({}), json!({"version": "1.3.0"}), json!({"version": "1.3.0", "classes": []})] {
        assert_eq!(with(equal.clone()).await, first, "{equal}");
    }
    assert_eq!(code(&with(json!({"version": "1.8.0"})).await), "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn a_creation_that_was_cut_off_is_tested_when_it_is_repeated() {
    let world = World::new();
    let data = and(with_key(), "idempotencyKey", "key-1");
    world.set_tester(Tester::Crashes);
    assert_eq!(configuration(&create_with_key(&world, data.clone()).await)["connectionStatus"], "PENDING");
    world.set_tester(Tester::Succeeds);
    assert_eq!(configuration(&create_with_key(&world, data).await)["connectionStatus"], "SUCCESS");
}

#[tokio::test]
async fn a_tenant_has_so_many_configurations_and_no_more() {
    let world = World::new();
    for _ in 0..100 {
        configuration(&create_with_role(&world, with_role()).await);
    }
    assert_eq!(code(&create_with_role(&world, with_role()).await), "LIMIT_EXCEEDED");
    let all = ids(&world, "acme").await;
    assert_eq!(all.len(), 100);
    call(&world, "acme", "deleteExportConfiguration", &all[7]).await;
    configuration(&create_with_role(&world, with_role()).await);
    assert_eq!(ids(&world, "acme").await.len(), 100);
}

#[tokio::test]
async fn a_test_answers_with_its_outcome() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    for (tester, status) in [(Tester::Fails, "FAILED"), (Tester::Succeeds, "SUCCESS")] {
        world.set_tester(tester);
        let answer = call(&world, "acme", "testExportConfiguration", &id).await;
        assert_eq!(configuration(&answer)["connectionStatus"], status);
        assert_eq!(configuration(&answer)["version"], 1);
    }
    world.set_tester(Tester::Crashes);
    assert_eq!(code(&call(&world, "acme", "testExportConfiguration", &id).await), "TRY_AGAIN");
    let answer = call(&world, "acme", "getExportConfiguration", &id).await;
    assert_eq!(configuration(&answer)["connectionStatus"], "SUCCESS", "nothing was learned");
}

#[tokio::test]
async fn enabling_and_disabling_twice_is_once() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    for (operation, enabled, version) in [
        ("enableExportConfiguration", true, 1),
        ("disableExportConfiguration", false, 2),
        ("disableExportConfiguration", false, 2),
        ("enableExportConfiguration", true, 3),
    ] {
        let answer = call(&world, "acme", operation, &id).await;
        let answer = configuration(&answer);
        assert_eq!((&answer["enabled"], &answer["version"]), (&json!(enabled), &json!(version)), "{operation}");
    }
}

/// Returns the configuration and the end of each requested run.
pub fn requested(world: &World) -> Vec<(String, String)> {
    let field = |message: &Value, name: &str| message[name].as_str().unwrap().to_owned();
    let messages = world.messages();
    assert!(messages.iter().all(|message| message["tenantId"] == "acme" && message["trigger"] == "MANUAL"));
    messages.iter().map(|message| (field(message, "configurationId"), field(message, "through"))).collect()
}

#[tokio::test]
async fn a_run_is_queued_through_what_has_settled() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    let answer = call(&world, "acme", "runExportConfiguration", &id).await;
    assert_eq!(configuration(&answer)["id"], id.as_str());
    assert_eq!(requested(&world), [(id.clone(), "2026-11-22T11:40:00.000Z".to_owned())]);
    call(&world, "acme", "disableExportConfiguration", &id).await;
    let answer = call(&world, "acme", "runExportConfiguration", &id).await;
    assert_eq!(code(&answer), "CONFIGURATION_DISABLED");
    assert_eq!(world.messages().len(), 1);
}

#[tokio::test]
async fn another_tenants_configuration_is_not_there() {
    let world = World::new();
    let id = id(&create_with_key(&world, with_key()).await);
    let before = world.tables();
    for operation in [
        "getExportConfiguration",
        "testExportConfiguration",
        "enableExportConfiguration",
        "disableExportConfiguration",
        "deleteExportConfiguration",
        "runExportConfiguration",
    ] {
        let foreign = call(&world, "other", operation, &id).await;
        assert_eq!(code(&foreign), "NOT_FOUND");
        for missing in [UNKNOWN_ID, "", "idempotency#1", "usage", "00000000000000000000000000000001"] {
            assert_eq!(call(&world, "acme", operation, missing).await, foreign, "{operation} {missing}");
        }
    }
    assert!(ids(&world, "other").await.is_empty());
    assert_eq!(world.tables(), before);
    assert_eq!((world.tests(), world.messages().len()), (1, 0));
}

#[tokio::test]
async fn a_deleted_configuration_is_not_found() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    let answer = call(&world, "acme", "deleteExportConfiguration", &id).await;
    assert_eq!(configuration(&answer)["id"], id.as_str());
    assert_eq!(code(&call(&world, "acme", "deleteExportConfiguration", &id).await), "NOT_FOUND");
    assert_eq!(code(&call(&world, "acme", "getExportConfiguration", &id).await), "NOT_FOUND");
    assert!(ids(&world, "acme").await.is_empty());
}

#[tokio::test]
async fn a_failed_mutation_takes_nothing_from_the_one_before() {
    let world = World::new();
    let document = format!(
        "mutation($data: CreateS3AssumedRoleExportConfigurationInput!) {{
            createS3AssumedRoleExportConfiguration(data: $data) {{ id }}
            deleteExportConfiguration(id: \"{UNKNOWN_ID}\") {{ id }} }}"
    );
    let answer = world.ask(&document, json!({ "data": with_role() })).await;
    assert_eq!(code(&answer), "NOT_FOUND");
    assert_eq!(answer["errors"][0]["path"], json!(["deleteExportConfiguration"]));
    assert_eq!(
        answer["data"],
        json!({"createS3AssumedRoleExportConfiguration": {"id": "00000000-0000-4000-8000-000000000001"},
            "deleteExportConfiguration": null})
    );
}

#[tokio::test]
async fn a_trust_policy_can_be_written() {
    let answer = World::new().ask("{ exportServiceIdentity { account partition region } }", Value::Null).await;
    assert_eq!(configuration(&answer), &json!({"account": "111111111111", "partition": "aws", "region": "us-east-1"}));
}

#[tokio::test]
async fn only_one_test_fits_into_a_request() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    let test = |alias: &str| format!("{alias}: testExportConfiguration(id: \"{id}\") {{ id }}");
    let answer = world.ask(&format!("mutation {{ {} {} }}", test("a"), test("b")), Value::Null).await;
    assert_eq!(code(&answer), "TOO_MANY_VERIFICATIONS");
    assert_eq!(world.tests(), 0);
}

#[tokio::test]
async fn edits_keep_the_progress_of_an_export() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    let at = |text: &str| Timestamp::parse(text).ok();
    world.change_stored(&id, |stored| {
        stored.progress = ExportProgress {
            exported_through: at("2026-11-22T00:00:00.000Z"),
            last_export_at: at("2026-11-22T00:20:05.000Z"),
            last_failure_at: at("2026-11-22T02:20:05.000Z"),
            consecutive_failures: 3,
        };
    });
    for operation in ["getExportConfiguration", "disableExportConfiguration", "enableExportConfiguration"] {
        let answer = call(&world, "acme", operation, &id).await;
        let answer = configuration(&answer);
        assert_eq!(answer["exportedThrough"], "2026-11-22T00:00:00.000Z", "{operation}");
        assert_eq!(answer["lastExport"], "2026-11-22T00:20:05.000Z", "{operation}");
        assert_eq!(answer["consecutiveFailures"], 3, "{operation}");
    }
}

const SIGNING_KEYS: &str = "{ exportSigningKeys { fingerprint algorithm publicKey current } }";

#[tokio::test]
async fn digests_can_be_verified_with_the_returned_keys() {
    let world = World::new();
    let answer = world.ask(SIGNING_KEYS, Value::Null).await;
    let keys = configuration(&answer).as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for ((key, expected), current) in keys.iter().zip(world.signing_keys()).zip([true, false]) {
        let fingerprint = key["fingerprint"].as_str().unwrap();
        assert_eq!(fingerprint, expected.to_string());
        assert_eq!((&key["algorithm"], &key["current"]), (&json!("ECDSA_P256_SHA256"), &json!(current)));
        // A customer's verifier can read it.
        let mut verifier = PublicKeys::default();
        verifier.add_pem(key["publicKey"].as_str().unwrap()).unwrap();
        let known: Vec<String> = verifier.fingerprints().map(|known| known.to_string()).collect();
        assert_eq!(known, [fingerprint]);
    }
    assert_eq!(world.ask_as("other", SIGNING_KEYS, Value::Null).await, answer);
}

#[tokio::test]
async fn signing_keys_are_returned_all_or_not_at_all() {
    let world = World::new();
    world.disable_signing_key();
    let document = "{ exportServiceIdentity { account } exportSigningKeys { fingerprint } }";
    let answer = world.ask(document, Value::Null).await;
    assert_eq!(code(&answer), "INTERNAL");
    assert_eq!(
        answer["data"],
        json!({"exportServiceIdentity": {"account": "111111111111"}, "exportSigningKeys": null})
    );
}
