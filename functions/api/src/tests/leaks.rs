//! A secret gets into no response and no log line, wherever a caller puts it.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use aws_adapters::secrets::SecretVault;
use aws_sdk_kms::{Client, operation::encrypt::EncryptOutput, primitives::Blob};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use domain::configuration::export_configuration::Authentication;
use function_runtime::lazy::{Lazy, lazily};
use serde_json::{Value, json};
use tracing_subscriber::{
    filter::{LevelFilter, filter_fn},
    layer::SubscriberExt,
};

use super::{
    memory::Tester,
    world::{SECRET, World, code},
};

/// A secret with characters that no name of GraphQL has.
const SECRET_WITH_SIGNS: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKE=";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The vault of production over a KMS in memory, so that the log has the lines of the SDK too.
fn vault(plaintexts: Arc<Mutex<Vec<String>>>) -> Lazy<SecretVault> {
    let encrypt = mock!(Client::encrypt).then_compute_output(move |request| {
        let plaintext = request.plaintext().unwrap().as_ref();
        plaintexts.lock().unwrap().push(String::from_utf8(plaintext.to_vec()).unwrap());
        let sealed: Vec<u8> = plaintext.iter().map(|byte| !byte).collect();
        EncryptOutput::builder().ciphertext_blob(Blob::new(sealed)).build()
    });
    lazily(move || SecretVault::new(mock_client!(aws_sdk_kms, RuleMode::MatchAny, [&encrypt]), "key".to_owned()))
}

/// Documents that misplace the secret, each with the code of its error.
fn documents() -> Vec<(String, &'static str)> {
    let (parse, validation) = ("GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED");
    let create = |data: &str| format!("mutation {{ createS3AccessKeyExportConfiguration(data: {data}) {{ id }} }}");
    let update = |data: &str| format!("mutation {{ updateS3AccessKeyExportConfiguration(data: {data}) {{ id }} }}");
    let valid = "interval: EVERY_2_HOURS, bucketName: \"acme-audit\", region: \"eu-west-1\", accessKeyId: \"AKIAIOSFODNN7EXAMPLE\"";
    let quoted = format!("\"{SECRET}\"");
    vec![
        // The document is broken around the secret.
        (create(&format!("{{{valid}, secretAccessKey: {quoted}")), parse),
        (create(&format!("{{{valid}, secretAccessKey: \"{SECRET}}}")), parse),
        (create(&format!("{{{valid}, secretAccessKey: {SECRET}/+}}")), parse),
        (create(&format!("{{{valid}, secretAccessKey: 1{SECRET}}}")), parse),
        (SECRET.to_owned(), parse),
        (format!("{quoted} {{ a }}"), parse),
        (format!("query {SECRET} {{ getAllExportConfigurations {{ id }} }} query {SECRET} {{ a }}"), parse),
        (format!("query {SECRET} {{ a }} {{ b }}"), parse),
        // The secret has the wrong type, or is in the wrong place.
        (create(&format!("{{{valid}, secretAccessKey: {SECRET}}}")), validation),
        (create(&format!("{{{valid}, secretAccessKey: [{quoted}, {quoted}]}}")), validation),
        (create(&format!("{{{valid}, secretAccessKey: {{a: {quoted}}}}}")), validation),
        (create(&format!("{{{valid}, secretAccessKey: {quoted}, secretAccessKeyy: {quoted}}}")), validation),
        (create(&format!("{{{valid}, secretAccessKey: {quoted}, {SECRET}: 1}}")), validation),
        (create(&format!("{{{valid}, secretAccessKey: {quoted}, interval: {SECRET}}}")), validation),
        (
            create(&format!(
                "{{interval: {SECRET}, bucketName: \"a\", region: \"a\", accessKeyId: \"a\", secretAccessKey: \"a\"}}"
            )),
            validation,
        ),
        (
            create(&format!(
                "{{interval: {quoted}, bucketName: \"a\", region: \"a\", accessKeyId: \"a\", secretAccessKey: \"a\"}}"
            )),
            validation,
        ),
        (create(&quoted), validation),
        (create(SECRET), validation),
        (create(&format!("[{quoted}]")), validation),
        (create(&format!("${SECRET}")), validation),
        (format!("{{ getExportConfiguration(id: {SECRET}) {{ id }} }}"), validation),
        (format!("{{ getExportConfiguration(id: [{quoted}]) {{ id }} }}"), validation),
        (format!("{{ getExportConfiguration(id: 1, {SECRET}: 1) {{ id }} }}"), validation),
        (format!("{{ getExportConfiguration(id: 1, secret: {quoted}) {{ id }} }}"), validation),
        (format!("{{ {SECRET} }}"), validation),
        (format!("{{ getAllExportConfigurations {{ {SECRET} }} }}"), validation),
        (format!("{{ getAllExportConfigurations @{SECRET} {{ id }} }}"), validation),
        (format!("{{ getAllExportConfigurations @skip(if: {quoted}) {{ id }} }}"), validation),
        (format!("{{ {SECRET} {} }}", "@skip(if: true) ".repeat(9)), validation),
        (format!("{{ getAllExportConfigurations {{ ...{SECRET} }} }}"), validation),
        (format!("{{ getAllExportConfigurations {{ ... on {SECRET} {{ id }} }} }}"), validation),
        (
            format!("fragment {SECRET} on ExportConfiguration {{ id }} {{ exportServiceIdentity {{ account }} }}"),
            validation,
        ),
        (
            format!(
                "fragment {SECRET} on ExportConfiguration {{ ...{SECRET} }} {{ exportServiceIdentity {{ account }} }}"
            ),
            validation,
        ),
        (format!("query(${SECRET}: ID) {{ exportServiceIdentity {{ account }} }}"), validation),
        (format!("query($a: {SECRET}) {{ getExportConfiguration(id: $a) {{ id }} }}"), validation),
        (format!("query($a: ExportInterval = {SECRET}) {{ getExportConfiguration(id: $a) {{ id }} }}"), validation),
        (format!("query($a: ID! = [{quoted}]) {{ getExportConfiguration(id: $a) {{ id }} }}"), validation),
        (
            format!(
                "{{ {SECRET}: getExportConfiguration(id: 1) {{ id }} {SECRET}: getExportConfiguration(id: 2) {{ id }} }}"
            ),
            validation,
        ),
        // The value is well-formed, but not valid or not found.
        (create(&format!("{{{valid}, secretAccessKey: \"{SECRET}x\"}}")), "INVALID_INPUT"),
        (
            create(&format!(
                "{{interval: EVERY_2_HOURS, bucketName: {quoted}, bucketPath: {quoted}, region: {quoted}, accessKeyId: {quoted}, \
            secretAccessKey: \"a\", kmsKeyArn: {quoted}, expectedBucketOwner: {quoted}, startFrom: {quoted}}}"
            )),
            "INVALID_INPUT",
        ),
        (format!("{{ getExportConfiguration(id: {quoted}) {{ id }} }}"), "NOT_FOUND"),
        (format!("mutation {{ testExportConfiguration(id: {quoted}) {{ id }} }}"), "NOT_FOUND"),
        // The same in an update.
        (update(&format!("{{id: 1, secretAccessKey: {quoted}")), parse),
        (update(&format!("{{id: 1, secretAccessKey: {SECRET}}}")), validation),
        (update(&format!("{{id: 1, secretAccessKey: [{quoted}]}}")), validation),
        (update(&format!("{{id: 1, {SECRET}: {quoted}}}")), validation),
        (update(&format!("{{id: 1, version: {quoted}, secretAccessKey: {quoted}}}")), validation),
        (update(&format!("{{id: 1, interval: {SECRET}}}")), validation),
        (update(&format!("{{id: {quoted}, secretAccessKey: {quoted}}}")), "NOT_FOUND"),
        (
            format!(
                "mutation {{ updateS3AssumedRoleExportConfiguration(data: {{id: 1, secretAccessKey: {quoted}}}) {{ id }} }}"
            ),
            validation,
        ),
    ]
}

/// Variables that misplace `secret`. They can have every character of JSON.
fn variables(secret: &str) -> Vec<(Value, &'static str)> {
    let valid = json!({"interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "eu-west-1",
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": secret});
    let with = |name: &str, value: Value| {
        let mut data = valid.clone();
        data[name] = value;
        json!({ "data": data })
    };
    let validation = "GRAPHQL_VALIDATION_FAILED";
    vec![
        (with("interval", json!(secret)), validation),
        (with("interval", json!(format!("a\" does not contain the value \"b {secret}"))), validation),
        (with("interval", json!([secret])), validation),
        (with("format", json!(format!("parquet {secret}"))), validation),
        (with("secretAccessKey", json!([secret])), validation),
        (with("secretAccessKey", json!({ "a": secret })), validation),
        (with("secretAccessKey", Value::Null), validation),
        (with(secret, json!(1)), validation),
        (with(&format!("\"{secret}\" \" / {secret}"), json!(1)), validation),
        (json!({ "data": secret }), validation),
        (json!({ "data": [secret] }), validation),
        (json!({ secret: 1 }), validation),
        (with("secretAccessKey", json!(format!("{secret}/"))), "INVALID_INPUT"),
        (with("region", json!(secret)), "INVALID_INPUT"),
    ]
}

#[tokio::test]
async fn a_secret_never_comes_back() {
    let lines = Lines::default();
    let writer = lines.clone();
    // More than in production: all levels of our crates, and INFO of others.
    let filter = filter_fn(|metadata| {
        *metadata.level() <= tracing::Level::INFO
            || ["api", "aws_adapters", "domain", "export_engine", "function_runtime"]
                .iter()
                .any(|name| metadata.target().starts_with(name))
    });
    let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(tracing_subscriber::Layer::with_filter(layer, filter));
    // A single subscriber would disable call sites that other tests' threads reach first.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(LevelFilter::OFF)).unwrap();
    let _guard = tracing::subscriber::set_default(subscriber);

    let plaintexts = Arc::<Mutex<Vec<String>>>::default();
    let world = World::with_secrets(Box::new(vault(Arc::clone(&plaintexts))));
    let mutation = "mutation($data: CreateS3AccessKeyExportConfigurationInput!) {
        createS3AccessKeyExportConfiguration(data: $data) { id } }";
    let documents = documents().into_iter().map(|(document, code)| (document, Value::Null, code));
    let variables = [SECRET, SECRET_WITH_SIGNS]
        .into_iter()
        .flat_map(variables)
        .map(|(variables, code)| (mutation.to_owned(), variables, code));
    for (document, variables, expected) in documents.chain(variables) {
        let answer = world.ask(&document, variables.clone()).await;
        let text = answer.to_string();
        assert!(!text.contains(SECRET) && !text.contains(SECRET_WITH_SIGNS), "{document} {variables}: {text}");
        let errors = answer["errors"].as_array().unwrap();
        for error in errors {
            assert_eq!(error["extensions"]["code"], expected, "{document} {variables}: {text}");
        }
    }

    let body = json!({"query": "{ exportServiceIdentity { account } }", "operationName": SECRET}).to_string();
    let response = world.send(world.post("acme", body)).await;
    assert!(!String::from_utf8_lossy(response.body()).contains(SECRET));
    for body in [format!("{{\"query\": {SECRET}}}"), format!("{{\"{SECRET}"), format!("{{\"query\": [\"{SECRET}\"]}}")]
    {
        let response = world.send(world.post("acme", body)).await;
        assert!(!String::from_utf8_lossy(response.body()).contains(SECRET));
    }

    // Valid requests.
    let valid = json!({"data": {"interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "eu-west-1",
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": SECRET, "idempotencyKey": "key-1"}});
    for tester in [Tester::Crashes, Tester::Fails, Tester::Succeeds] {
        world.set_tester(tester);
        let answer = world.ask(mutation, valid.clone()).await;
        assert_eq!(answer.get("errors"), None);
        assert!(!answer.to_string().contains(SECRET));
    }
    let inlined = "accessKeyId: \"AKIAIOSFODNN7EXAMPLE\", secretAccessKey";
    let settings = "interval: EVERY_2_HOURS, bucketName: \"acme-audit\", region: \"eu-west-1\"";
    let create = format!(
        "mutation {{ createS3AccessKeyExportConfiguration(data: {{{settings}, {inlined}: \"{SECRET}\"}}) {{ id }} }}"
    );
    let created = world.ask(&create, Value::Null).await;
    let id = created["data"]["createS3AccessKeyExportConfiguration"]["id"].as_str().unwrap();
    let update = format!(
        "mutation {{ updateS3AccessKeyExportConfiguration(data: {{id: \"{id}\", {inlined}: \"{SECRET}\"}}) {{ version }} }}"
    );
    let outcomes = [
        (Tester::Crashes, json!("TRY_AGAIN")),
        (Tester::Fails, json!("NEW_ACCESS_KEY_REFUSED")),
        (Tester::Succeeds, Value::Null),
    ];
    for (tester, expected) in outcomes {
        world.set_tester(tester);
        let answer = world.ask(&update, Value::Null).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], expected, "{answer}");
        assert!(!answer.to_string().contains(SECRET), "{answer}");
    }
    assert!(plaintexts.lock().unwrap().iter().all(|plaintext| plaintext == SECRET));
    let tables = world.tables();
    assert!(!format!("{tables:?}").contains(SECRET));
    let sealed: Vec<&[u8]> = tables
        .configurations
        .values()
        .filter_map(|stored| match &stored.authentication {
            Authentication::AccessKey { secret, .. } => Some(secret.ciphertext()),
            Authentication::AssumedRole { .. } => None,
        })
        .collect();
    assert!(!sealed.is_empty(), "access keys were stored");
    assert!(sealed.iter().all(|ciphertext| !String::from_utf8_lossy(ciphertext).contains(SECRET)));
    assert!(world.changes().len() >= 3, "one for each that was created, and the update");
    assert!(world.changes().iter().all(|change| !change.to_string().contains(SECRET)));

    let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(lines.contains("answered") && lines.contains("could not be tested"), "{lines}");
    assert!(!lines.contains(SECRET) && !lines.contains(SECRET_WITH_SIGNS), "{lines}");
}

#[tokio::test]
async fn errors_of_a_document_are_reported_without_values() {
    let world = World::new();
    let mut messages = Vec::new();
    for document in [
        "{ getAllExportConfigurations { id ",
        "{ exportServiceIdentitty { account } }",
        "{ getAllExportConfigurations { ident } }",
        "{ getAllExportConfigurations }",
        "{ getExportConfiguration { id } }",
        "{ getExportConfiguration(id: 1.5) { id } }",
        "query($id: ID!) { getExportConfiguration(id: $id) { id } }",
        "query($id: String) { getExportConfiguration(id: $id) { id } }",
        "mutation { createS3AssumedRoleExportConfiguration(data: {interval: EVERY_3_HOURS}) { id } }",
        "mutation { createS3AssumedRoleExportConfiguration(data: {interval: EVERY_2_HOURS, format: ZSTD}) { id } }",
        "mutation { createS3AssumedRoleExportConfiguration(data: {interval: EVERY_2_HOURS, format: CSV}) { id } }",
        "mutation { createS3AssumedRoleExportConfiguration(data: {interval: EVERY_2_HOURS}) { id } }",
        "query a { exportServiceIdentity { account } } query b { exportServiceIdentity { region } }",
        "subscription { a }",
    ] {
        let answer = world.ask(document, Value::Null).await;
        let error = &answer["errors"][0];
        messages.push(format!(
            "{}: {}",
            error["extensions"]["code"].as_str().unwrap(),
            error["message"].as_str().unwrap()
        ));
        assert!(error["locations"].is_array() || !error["message"].as_str().unwrap().contains('"'), "{answer}");
    }
    insta::assert_snapshot!(messages.join("\n"), @r#"
    GRAPHQL_PARSE_FAILED: The document is not valid GraphQL.
    GRAPHQL_VALIDATION_FAILED: Unknown field "exportServiceIdentitty" on type "Query". Did you mean "exportServiceIdentity"?
    GRAPHQL_VALIDATION_FAILED: Unknown field "ident" on type "ExportConfiguration".
    GRAPHQL_VALIDATION_FAILED: Field "getAllExportConfigurations" of type "ExportConfiguration" must have a selection of subfields
    GRAPHQL_VALIDATION_FAILED: Field "getExportConfiguration" argument "id" of type "Query" is required but not provided
    GRAPHQL_VALIDATION_FAILED: Invalid value for argument "id", expected type "ID"
    GRAPHQL_VALIDATION_FAILED: Variable id is not defined.
    GRAPHQL_VALIDATION_FAILED: Expected input type "ID", found something else.
    GRAPHQL_VALIDATION_FAILED: Invalid value for argument "data.interval", enumeration type "ExportInterval" does not contain the value that was given. Choose one of EVERY_2_HOURS, EVERY_4_HOURS, EVERY_6_HOURS, EVERY_12_HOURS, EVERY_24_HOURS.
    GRAPHQL_VALIDATION_FAILED: Invalid value for argument "data.format", enumeration type "ExportFormat" does not contain the value that was given. Choose one of NDJSON_GZIP, NDJSON_ZSTD, PARQUET, OCSF_PARQUET. Did you mean NDJSON_ZSTD?
    GRAPHQL_VALIDATION_FAILED: Invalid value for argument "data.format", enumeration type "ExportFormat" does not contain the value that was given. Choose one of NDJSON_GZIP, NDJSON_ZSTD, PARQUET, OCSF_PARQUET.
    GRAPHQL_VALIDATION_FAILED: Invalid value for argument "data", field "bucketName" of type "String!" is required but not provided
    GRAPHQL_VALIDATION_FAILED: Operation name required in request.
    GRAPHQL_VALIDATION_FAILED: The request doesn't match the schema.
    "#);
}

#[tokio::test]
async fn a_response_has_so_many_errors_and_no_more() {
    let document = format!(
        "{{ getAllExportConfigurations {{ {} }} }}",
        (0..300).fold(String::new(), |text, index| format!("{text} x{index}"))
    );
    let answer = World::new().ask(&document, Value::Null).await;
    assert_eq!(answer["errors"].as_array().unwrap().len(), crate::schema::MAX_ERRORS);
    let answer = World::new().ask("{ x }", Value::Null).await;
    assert_eq!(code(&answer), "GRAPHQL_VALIDATION_FAILED");
}
