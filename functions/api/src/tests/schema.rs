//! The published schema.

use serde_json::Value;

use super::world::World;

/// The introspection query that tools send, with seven levels of `ofType`.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { queryType { name } mutationType { name } subscriptionType { name }
    types { ...FullType } directives { name description locations args { ...InputValue } } } }
    fragment FullType on __Type { kind name description
      fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
      inputFields { ...InputValue } interfaces { ...TypeRef }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
      ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

#[test]
fn the_published_schema_is_the_one_in_service() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let schema = World::new().sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(published == schema, "functions/api/schema.graphql is out of date: run the test with UPDATE_SCHEMA=1");
}

#[tokio::test]
async fn introspection_is_a_matter_of_settings() {
    let answer = World::with_introspection(true).ask(INTROSPECTION, Value::Null).await;
    assert_eq!(answer.get("errors"), None);
    assert!(answer["data"]["__schema"]["types"].as_array().unwrap().len() > 10);

    let world = World::new();
    for document in [INTROSPECTION, "{ __type(name: \"Query\") { name } }"] {
        let text = world.ask(document, Value::Null).await.to_string();
        assert!(!text.contains("ExportConfiguration") && !text.contains("\"Query\""), "{text}");
    }
    let answer = world.ask("{ __typename }", Value::Null).await;
    assert_eq!(answer["data"]["__typename"], "Query");
}

#[test]
fn nothing_that_is_answered_is_named_like_a_secret() {
    let sdl = World::new().sdl();
    let outputs =
        sdl.split("\n}\n").filter(|definition| definition.contains("\ntype ") || definition.starts_with("type "));
    assert!(outputs.clone().count() > 3);
    for definition in outputs {
        assert!(!definition.contains("secretAccessKey:") && !definition.contains("sealed"), "{definition}");
    }
}
