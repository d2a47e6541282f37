//! Webhooks: setting, replacing and testing them.

use serde_json::{Value, json};

use super::{
    operations::{configuration, create_with_key, create_with_role, id, with_key, with_role},
    world::{World, code},
};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OTHER_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const A: &str = "https://a.example/hooks";
const B: &str = "https://b.example/";

fn and(mut data: Value, notifications: Value) -> Value {
    data["notifications"] = notifications;
    data
}

async fn update(world: &World, id: &str, notifications: Value) -> Value {
    let document = "mutation($data: UpdateS3AssumedRoleExportConfigurationInput!) {
        updateS3AssumedRoleExportConfiguration(data: $data) { version notifications { url } } }";
    world.ask(document, json!({"data": {"id": id, "notifications": notifications}})).await
}

async fn test(world: &World, tenant: &str, id: &str) -> Value {
    let document = "mutation($id: ID!) { testExportNotifications(id: $id) {
        url isDelivered status error { code message } } }";
    world.ask_as(tenant, document, json!({ "id": id })).await
}

/// Returns the URLs and the sealed secrets, which the world seals by inverting their bits.
fn stored(world: &World, id: &str) -> Vec<(String, String)> {
    let opened = |bytes: &[u8]| String::from_utf8(bytes.iter().map(|byte| !byte).collect()).unwrap();
    let webhooks = world.stored(id).webhooks;
    webhooks.iter().map(|webhook| (webhook.url.to_string(), opened(webhook.sealed_secret.ciphertext()))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(url, secret)| ((*url).to_owned(), (*secret).to_owned())).collect()
}

#[tokio::test]
async fn webhooks_are_created_with_either_kind_of_configuration() {
    let world = World::new();
    let webhooks = json!([{"url": A, "secret": SECRET}]);
    for created in [
        create_with_role(&world, and(with_role(), webhooks.clone())).await,
        create_with_key(&world, and(with_key(), webhooks)).await,
    ] {
        assert_eq!(stored(&world, &id(&created)), pairs(&[(A, SECRET)]));
        assert!(!created.to_string().contains("whsec_"));
    }
    let none = create_with_role(&world, with_role()).await;
    assert_eq!(stored(&world, &id(&none)), []);
}

#[tokio::test]
async fn an_update_replaces_the_list_and_keeps_secrets_that_are_not_given() {
    let world = World::new();
    let id = id(&create_with_role(&world, and(with_role(), json!([{"url": A, "secret": SECRET}]))).await);
    let answer = update(&world, &id, json!([{"url": B, "secret": OTHER_SECRET}, {"url": A}])).await;
    assert_eq!(*configuration(&answer), json!({"version": 2, "notifications": [{"url": B}, {"url": A}]}));
    assert_eq!(stored(&world, &id), pairs(&[(B, OTHER_SECRET), (A, SECRET)]));
    // Null and the same list change nothing; another secret does.
    for same in [Value::Null, json!([{"url": B}, {"url": A}])] {
        assert_eq!(configuration(&update(&world, &id, same).await)["version"], 2);
    }
    let sealed = world.plaintexts().len();
    update(&world, &id, json!([{"url": A, "secret": OTHER_SECRET}])).await;
    assert_eq!(stored(&world, &id), pairs(&[(A, OTHER_SECRET)]));
    assert_eq!(world.plaintexts().len(), sealed + 1);
    update(&world, &id, json!([])).await;
    assert_eq!(stored(&world, &id), []);
    assert_eq!(world.tests(), 0, "the connection is the same");

    let changes = world.changes();
    let after: Vec<&Value> = changes.iter().map(|event| &event["auditPayload"]["after"]).collect();
    let reported: Vec<_> = after.iter().map(|after| (&after["notifications"], &after["notificationSecrets"])).collect();
    assert_eq!(
        reported,
        [
            (&json!([A]), &Value::Null),
            (&json!([B, A]), &Value::Null),
            (&json!([A]), &json!("CHANGED")),
            (&Value::Null, &Value::Null),
        ]
    );
    assert!(!json!(changes).to_string().contains("whsec_"));
}

#[tokio::test]
async fn a_conflict_with_another_change_is_merged_again() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    world.interfere(1);
    let answer = update(&world, &id, json!([{"url": A, "secret": SECRET}])).await;
    assert_eq!(configuration(&answer)["notifications"], json!([{"url": A}]));
    assert_eq!(stored(&world, &id), pairs(&[(A, SECRET)]));
}

#[tokio::test]
async fn every_field_that_has_to_change_is_named() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    let list = json!([{"url": "https://localhost/", "secret": "whsec_private"}, {"url": A}]);
    let answer = update(&world, &id, list).await;
    assert_eq!(code(&answer), "INVALID_INPUT");
    let fields = answer["errors"][0]["extensions"]["fields"].as_array().unwrap();
    let codes: Vec<_> = fields.iter().map(|field| (&field["field"], &field["code"])).collect();
    assert_eq!(
        codes,
        [
            (&json!("notifications[0].secret"), &json!("WEBHOOK_SECRET_INVALID")),
            (&json!("notifications[0].url"), &json!("WEBHOOK_URL_INVALID")),
            (&json!("notifications[1].secret"), &json!("REQUIRED")),
        ]
    );
    assert!(!answer.to_string().contains("private"));
    assert_eq!(stored(&world, &id), []);
}

#[tokio::test]
async fn a_creation_with_other_webhooks_is_another_request() {
    let world = World::new();
    let create = async |notifications: Value| {
        let mut data = and(with_role(), notifications);
        data["idempotencyKey"] = json!("key-1");
        create_with_role(&world, data).await
    };
    let first = create(json!([{"url": A, "secret": SECRET}])).await;
    // The secret is no part of what is compared.
    let again = create(json!([{"url": A, "secret": OTHER_SECRET}])).await;
    assert_eq!(id(&again), id(&first));
    assert_eq!(code(&create(json!([{"url": B, "secret": SECRET}])).await), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(code(&create(json!([])).await), "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn each_webhook_of_a_test_has_its_result() {
    let world = World::new();
    let webhooks = json!([{"url": A, "secret": SECRET}, {"url": B, "secret": SECRET}]);
    let id = id(&create_with_role(&world, and(with_role(), webhooks)).await);
    let answer = test(&world, "acme", &id).await;
    let results = configuration(&answer).as_array().unwrap();
    assert_eq!(results[0], json!({"url": A, "isDelivered": true, "status": 204, "error": null}));
    assert_eq!(
        (&results[1]["url"], &results[1]["isDelivered"], &results[1]["status"]),
        (&json!(B), &json!(false), &json!(410))
    );
    assert_eq!(results[1]["error"]["code"], "WEBHOOK_GONE");
    assert!(results[1]["error"]["message"].as_str().unwrap().starts_with("The receiver answered 410 Gone."));

    let [sent] = world.messages().try_into().unwrap();
    assert_eq!((&sent["tenantId"], &sent["configurationId"]), (&json!("acme"), &json!(id)));
    let body: Value = serde_json::from_str(sent["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["kind"], &body["id"]), (&json!("NOTIFICATIONS_TEST"), &sent["noticeId"]));
}

#[tokio::test]
async fn webhooks_of_another_tenant_are_not_tested_and_none_costs_nothing() {
    let world = World::new();
    let id = id(&create_with_role(&world, and(with_role(), json!([{"url": A, "secret": SECRET}]))).await);
    for missing in [&*id, "no-id"] {
        assert_eq!(code(&test(&world, "zenith", missing).await), "NOT_FOUND");
    }
    assert!(world.messages().is_empty());
    update(&world, &id, json!([])).await;
    // More often than the allowance of tests.
    for _ in 0..40 {
        assert_eq!(*configuration(&test(&world, "acme", &id).await), json!([]));
    }
    assert!(world.messages().is_empty());
}
