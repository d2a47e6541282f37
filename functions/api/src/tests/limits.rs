//! What a tenant may have done within a time. Bounds on a document are tested where they are kept.

use aws::test_allowance::MAX_TESTS_PER_MINUTE;
use serde_json::{Value, json};

use super::world::{SECRET, World, code};
use crate::handler::MAX_ANSWER_LENGTH;

async fn create_with_key(world: &World, tenant: &str, changes: &Value) -> Value {
    let mut data = json!({"interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "eu-west-1",
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": SECRET});
    data.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let document = "mutation($data: CreateS3AccessKeyExportConfigurationInput!) {
        createS3AccessKeyExportConfiguration(data: $data) { id } }";
    world.ask_as(tenant, document, json!({ "data": data })).await
}

#[tokio::test]
async fn a_tenant_tests_so_many_connections_in_a_minute_and_no_more() {
    let world = World::new();
    let created = create_with_key(&world, "acme", &json!({})).await;
    let id = &created["data"]["createS3AccessKeyExportConfiguration"]["id"];
    let test = async || {
        let document = "mutation($id: ID!) { testExportConfiguration(id: $id) { connectionStatus } }";
        world.ask(document, json!({ "id": id })).await
    };
    for _ in 1..MAX_TESTS_PER_MINUTE {
        assert_eq!(test().await.get("errors"), None);
    }
    let done = world.invocations();
    assert_eq!(done, MAX_TESTS_PER_MINUTE as usize);

    for refused in [test().await, create_with_key(&world, "acme", &json!({})).await] {
        assert_eq!(code(&refused), "TOO_MANY_TESTS");
        let seconds = refused["errors"][0]["extensions"]["retryAfterSeconds"].as_u64().unwrap();
        assert!((1..=60).contains(&seconds), "{refused}");
    }
    let answer = world.ask("{ getAllExportConfigurations { id } }", Value::Null).await;
    assert_eq!(answer["data"]["getAllExportConfigurations"].as_array().unwrap().len(), 1, "nothing was created");
    assert_eq!(world.invocations(), done, "nothing was tested");

    // Others are not held up.
    assert_eq!(create_with_key(&world, "globex", &json!({})).await.get("errors"), None);
}

#[tokio::test]
async fn what_is_refused_before_a_test_counts_for_none() {
    let world = World::new();
    for _ in 0..=MAX_TESTS_PER_MINUTE {
        let refused = create_with_key(&world, "acme", &json!({"region": "nowhere"})).await;
        assert_eq!(code(&refused), "INVALID_INPUT");
        let refused = world.ask("mutation { testExportConfiguration(id: \"1\") { id } }", Value::Null).await;
        assert_eq!(code(&refused), "NOT_FOUND");
    }
    assert_eq!(create_with_key(&world, "acme", &json!({})).await.get("errors"), None);
}

#[tokio::test]
async fn an_answer_fits_into_what_lambda_takes() {
    let world = World::new();
    let document = "mutation($data: CreateS3AssumedRoleExportConfigurationInput!) {
        createS3AssumedRoleExportConfiguration(data: $data) { id } }";
    let data = json!({"interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "eu-west-1",
        "roleArn": "arn:aws:iam::222222222222:role/export", "expectedBucketOwner": "333333333333"});
    for _ in 0..80 {
        assert_eq!(world.ask(document, json!({ "data": data })).await.get("errors"), None);
    }
    let ask = async |times: usize| {
        let fields: Vec<String> = (0..times).map(|number| format!("a{number}: nextSteps {{ document }}")).collect();
        world.ask(&format!("{{ getAllExportConfigurations {{ {} }} }}", fields.join(" ")), Value::Null).await
    };
    let once = ask(1).await;
    assert_eq!(once.get("errors"), None);
    assert!(30 * once.to_string().len() > MAX_ANSWER_LENGTH);
    let refused = ask(30).await;
    assert_eq!(code(&refused), "GRAPHQL_VALIDATION_FAILED");
    assert!(refused.to_string().len() < 1_000, "{refused}");
}
