//! Filters of exports: setting, changing and removing them.

use serde_json::{Value, json};

use super::{
    operations::{call, configuration, id, with_key, with_role},
    world::{World, code},
};

const FIELDS: &str = "id version connectionStatus
    filter { include { actions actorTypes targetTypes } exclude { actions actorTypes targetTypes } }";

async fn create(world: &World, kind: &str, mut data: Value, filter: &Value) -> Value {
    data["filter"] = filter.clone();
    let document = format!(
        "mutation($data: CreateS3{kind}ExportConfigurationInput!) {{
            createS3{kind}ExportConfiguration(data: $data) {{ {FIELDS} }} }}"
    );
    world.ask(&document, json!({ "data": data })).await
}

async fn create_with_role(world: &World, filter: &Value) -> Value {
    create(world, "AssumedRole", with_role(), filter).await
}

async fn update_as(world: &World, tenant: &str, data: Value) -> Value {
    let document = format!(
        "mutation($data: UpdateS3AssumedRoleExportConfigurationInput!) {{
            updateS3AssumedRoleExportConfiguration(data: $data) {{ {FIELDS} }} }}"
    );
    world.ask_as(tenant, &document, json!({ "data": data })).await
}

async fn update(world: &World, data: Value) -> Value {
    update_as(world, "acme", data).await
}

/// Returns the canonical text of the stored filter.
fn stored(world: &World, id: &str) -> Option<String> {
    world.stored(id).filter.map(|filter| filter.to_string())
}

/// Returns the field and code of each refused field.
fn refused(answer: &Value) -> Vec<(&str, &str)> {
    assert_eq!(code(answer), "INVALID_INPUT", "{answer}");
    let fields = answer["errors"][0]["extensions"]["fields"].as_array().unwrap();
    fields.iter().map(|field| (field["field"].as_str().unwrap(), field["code"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_filter_is_stored_and_returned_as_an_input() {
    let world = World::new();
    let given = json!({"include": {"actions": ["QUERY", "DELETE*", "QUERY"], "targetTypes": null},
        "exclude": {"actorTypes": ["SERVICE"]}});
    let returned = json!({
        "include": {"actions": ["DELETE*", "QUERY"], "actorTypes": null, "targetTypes": null},
        "exclude": {"actions": null, "actorTypes": ["SERVICE"], "targetTypes": null},
    });
    for (kind, data) in [("AssumedRole", with_role()), ("AccessKey", with_key())] {
        let answer = create(&world, kind, data.clone(), &given).await;
        assert_eq!(configuration(&answer)["filter"], returned);
        let text = r#"{"exclude":{"actorTypes":["SERVICE"]},"include":{"actions":["DELETE*","QUERY"]}}"#;
        assert_eq!(stored(&world, &id(&answer)).unwrap(), text);
        let copy = create(&world, kind, data, &configuration(&answer)["filter"]).await;
        assert_eq!(configuration(&copy)["filter"], returned);
    }
    let unfiltered = create_with_role(&world, &Value::Null).await;
    assert_eq!((&configuration(&unfiltered)["filter"], stored(&world, &id(&unfiltered))), (&Value::Null, None));

    let listed = world.ask("{ getAllExportConfigurations { filter { include { actions } } } }", Value::Null).await;
    assert_eq!(configuration(&listed).as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn wrong_lists_are_refused_with_their_paths_and_nothing_is_stored() {
    let world = World::new();
    let many: Vec<String> = (0..51).map(|number| number.to_string()).collect();
    let wrong = [
        (json!({}), vec![("filter", "FILTER_EMPTY")]),
        (json!({"include": {}}), vec![("filter", "FILTER_EMPTY")]),
        (
            json!({"include": {"actions": []}, "exclude": {"targetTypes": [""]}}),
            vec![("filter.exclude.targetTypes", "FILTER_VALUE_INVALID"), ("filter.include.actions", "FILTER_EMPTY")],
        ),
        (json!({"include": {"actorTypes": ["*"]}}), vec![("filter.include.actorTypes", "FILTER_VALUE_INVALID")]),
        (json!({"exclude": {"actions": many}}), vec![("filter", "FILTER_TOO_MANY_VALUES")]),
        (
            json!({"include": {"actions": ["AB"]}, "exclude": {"actions": ["A*"]}}),
            vec![("filter.include.actions", "FILTER_MATCHES_NOTHING")],
        ),
    ];
    let created = id(&create_with_role(&world, &Value::Null).await);
    for (filter, errors) in wrong {
        assert_eq!(refused(&create_with_role(&world, &filter).await), errors, "{filter}");
        assert_eq!(refused(&update(&world, json!({"id": created, "filter": filter})).await), errors, "{filter}");
    }
    assert_eq!(world.changes().len(), 1);
    assert_eq!((world.stored(&created).version, stored(&world, &created)), (1, None));

    let other_list = json!({"include": {"users": ["a"]}});
    assert_eq!(code(&create_with_role(&world, &other_list).await), "GRAPHQL_VALIDATION_FAILED");
}

#[tokio::test]
async fn an_update_keeps_replaces_or_removes_the_filter_without_a_test() {
    let world = World::new();
    let first = json!({"include": {"actions": ["A*"]}, "exclude": {"actions": ["AB"]}});
    let id = id(&create_with_role(&world, &first).await);
    call(&world, "acme", "testExportConfiguration", &id).await;
    let text_of_first = r#"{"exclude":{"actions":["AB"]},"include":{"actions":["A*"]}}"#;
    for (change, text, version) in [
        // Absent: it stays.
        (json!({"interval": "EVERY_4_HOURS"}), Some(text_of_first), 2),
        // Equal: nothing changes.
        (json!({"filter": first}), Some(text_of_first), 2),
        // Given: all lists are replaced.
        (json!({"filter": {"include": {"actions": ["B"]}}}), Some(r#"{"include":{"actions":["B"]}}"#), 3),
        (json!({"filter": null}), None, 4),
        (json!({"filter": null}), None, 4),
    ] {
        let mut data = change.clone();
        data["id"] = json!(id);
        let answer = update(&world, data).await;
        let answer = configuration(&answer);
        assert_eq!((&answer["version"], &answer["connectionStatus"]), (&json!(version), &json!("SUCCESS")), "{change}");
        assert_eq!(answer["filter"].is_null(), text.is_none());
        assert_eq!(stored(&world, &id).as_deref(), text, "{change}");
    }
    assert_eq!(world.tests(), 1, "the connection is the same");
}

#[tokio::test]
async fn the_event_of_a_change_has_the_filter_before_and_after() {
    let world = World::new();
    let id = id(&create_with_role(&world, &Value::Null).await);
    let filter = json!({"include": {"actions": ["B"]}});
    update(&world, json!({"id": id, "filter": filter})).await;
    update(&world, json!({"id": id, "filter": null})).await;
    let sides: Vec<_> = world.changes().iter().map(|event| event["auditPayload"].clone()).collect();
    let filters: Vec<_> =
        sides.iter().map(|sides| [sides["before"].get("filter"), sides["after"].get("filter")]).collect();
    assert_eq!(filters, [[None, None], [None, Some(&filter)], [Some(&filter), None]]);
}

#[tokio::test]
async fn another_tenant_sets_and_sees_no_filter() {
    let world = World::new();
    let filter = json!({"include": {"actions": ["B"]}});
    let id = id(&create_with_role(&world, &filter).await);
    assert_eq!(code(&update_as(&world, "other", json!({"id": id, "filter": null})).await), "NOT_FOUND");
    let document = "query($id: ID!) { getExportConfiguration(id: $id) { filter { include { actions } } } }";
    assert_eq!(code(&world.ask_as("other", document, json!({"id": id})).await), "NOT_FOUND");
    assert_eq!(stored(&world, &id).unwrap(), r#"{"include":{"actions":["B"]}}"#);
}

#[tokio::test]
async fn the_filter_is_content_of_an_idempotent_creation() {
    let world = World::new();
    let mut data = with_role();
    data["idempotencyKey"] = json!("key-1");
    let create = async |filter: Value| create(&world, "AssumedRole", data.clone(), &filter).await;
    let first = create(json!({"include": {"actions": ["A", "B"]}})).await;
    // The same filter in another order.
    assert_eq!(create(json!({"include": {"actions": ["B", "A"]}, "exclude": null})).await, first);
    for other in [json!({"include": {"actions": ["A"]}}), json!({"exclude": {"actions": ["A", "B"]}}), Value::Null] {
        assert_eq!(code(&create(other.clone()).await), "IDEMPOTENCY_KEY_REUSED", "{other}");
    }
}
