//! The next steps of an administrator, and the policies for them.

use serde_json::{Value, json};

use super::{
    memory::Tester,
    operations::{configuration, create_with_key, create_with_role, id, with_key, with_role},
    world::{World, code},
};

const POLICIES: &str = "query($id: ID!) { getExportConfigurationPolicies(id: $id) {
    externalId principalArn trustPolicy { document isRequired } iamPolicy { document isRequired instruction }
    bucketPolicy { isRequired } kmsKeyPolicyStatement { document isRequired }
    cloudFormation { launchUrl parameters { name value } } } }";

const GUIDANCE: &str = "query($id: ID!) { getExportConfiguration(id: $id) { type principalArn nextExportAt
    nextSteps { code instruction document } connectionChecks { check status title code message } } }";

async fn ask(world: &World, document: &str, id: &str) -> Value {
    let answer = world.ask(document, json!({ "id": id })).await;
    configuration(&answer).clone()
}

fn texts<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn policies_are_those_of_the_configuration() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    let policies = ask(&world, POLICIES, &id).await;
    assert_eq!((&policies["externalId"], &policies["principalArn"]), (&json!(id), &with_role()["roleArn"]));
    let document = |name: &str| serde_json::from_str::<Value>(policies[name]["document"].as_str().unwrap()).unwrap();
    let trust = &document("trustPolicy")["Statement"][0];
    assert_eq!(trust["Principal"]["AWS"], "arn:aws:iam::111111111111:root");
    assert_eq!(trust["Condition"]["StringEquals"]["sts:ExternalId"], id.as_str());
    let written = format!("arn:aws:s3:::acme-audit/audit/log/{id}/*");
    assert_eq!(document("iamPolicy")["Statement"][0]["Resource"][0], written);
    assert_eq!(document("kmsKeyPolicyStatement")["Principal"]["AWS"], with_role()["roleArn"]);
    let required = ["trustPolicy", "iamPolicy", "bucketPolicy", "kmsKeyPolicyStatement"]
        .map(|name| policies[name]["isRequired"].as_bool().unwrap());
    assert_eq!(required, [true, true, false, false]);
    let formation = &policies["cloudFormation"];
    assert!(formation["launchUrl"].as_str().unwrap().contains(&format!("&param_ExternalId={id}&")));
    assert_eq!(formation["parameters"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn an_access_key_has_no_role_to_trust_or_make() {
    let world = World::new();
    let id = id(&create_with_key(&world, with_key()).await);
    let policies = ask(&world, POLICIES, &id).await;
    assert_eq!((&policies["trustPolicy"], &policies["kmsKeyPolicyStatement"]), (&Value::Null, &Value::Null));
    assert_eq!(policies["cloudFormation"], json!({ "launchUrl": null, "parameters": [] }));
}

#[tokio::test]
async fn policies_are_the_tenants_own() {
    let world = World::new();
    let id = id(&create_with_role(&world, with_role()).await);
    let answer = world.ask_as("another", POLICIES, json!({ "id": id })).await;
    assert_eq!(code(&answer), "NOT_FOUND");
    assert_eq!(answer["data"], json!({ "getExportConfigurationPolicies": null }));
}

#[tokio::test]
async fn next_steps_follow_the_connection() {
    let world = World::new();
    let answer = create_with_role(&world, with_role()).await;
    let fields = ask(&world, GUIDANCE, &id(&answer)).await;
    assert_eq!((&fields["type"], &fields["principalArn"]), (&json!("S3_ASSUMED_ROLE"), &with_role()["roleArn"]));
    let steps = ["CREATE_ROLE", "ATTACH_PERMISSIONS", "SET_KEY_POLICY", "TEST_CONNECTION", "WAIT_FOR_EXPORT"];
    assert_eq!(texts(&fields["nextSteps"], "code"), steps);
    let when = fields["nextExportAt"].as_str().unwrap();
    assert!(fields["nextSteps"][4]["instruction"].as_str().unwrap().contains(when), "{fields}");
    assert_eq!(texts(&fields["connectionChecks"], "status"), ["NOT_CHECKED"; 7]);

    let tested = ask(&world, GUIDANCE, &id(&create_with_key(&world, with_key()).await)).await;
    assert_eq!(tested["type"], "S3_ACCESS_KEY");
    assert_eq!(texts(&tested["nextSteps"], "code"), ["WAIT_FOR_EXPORT"]);
    assert_eq!(texts(&tested["connectionChecks"], "status"), ["PASSED"; 6]);

    let world = World::new();
    world.set_tester(Tester::Fails);
    let failed = ask(&world, GUIDANCE, &id(&create_with_key(&world, with_key()).await)).await;
    assert_eq!(texts(&failed["nextSteps"], "code"), ["FIX_CONNECTION", "TEST_CONNECTION", "WAIT_FOR_EXPORT"]);
    let checks = failed["connectionChecks"].as_array().unwrap();
    let refused = checks.iter().find(|check| check["status"] == "FAILED").unwrap();
    assert_eq!(refused["message"], failed["nextSteps"][0]["instruction"]);
}
