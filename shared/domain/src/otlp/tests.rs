use base64::{Engine as _, prelude::BASE64_STANDARD};
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{
    message::{
        AnyValue, ArrayValue, KeyValue, KeyValueList, LogRecord, Resource, ResourceLogs, Scope, ScopeLogs, Value,
    },
    *,
};
use crate::{
    event::{BodyForm, EventBatch, MAX_BODY_LENGTH, PartialBatch, tests::any_json},
    tenant::TenantId,
};

/// A request with every kind of value; those of `attributes` are added.
fn request(record: &Json) -> Json {
    json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}], "unknown": 1},
        "scopeLogs": [{"scope": {"name": "audit", "version": "1.2"}, "logRecords": [record], "schemaUrl": "x"}],
        "schemaUrl": "x"
    }]})
}

fn attribute(key: &str, value: &Json) -> Json {
    json!({"key": key, "value": value})
}

fn map_json(request: &Json) -> Result<Vec<Json>, OtlpError> {
    let mapped = map_logs(request.to_string().as_bytes(), Encoding::Json)?;
    let lines: Vec<Json> = mapped.lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, mapped.records);
    Ok(lines)
}

fn full_record() -> Json {
    json!({
        "timeUnixNano": "1769903999123456789",
        "observedTimeUnixNano": 1_769_904_000_000_000_000_u64,
        "severityNumber": 9,
        "severityText": "INFO",
        "eventName": "user.login",
        "body": {"kvlistValue": {"values": [
            attribute("text", &json!({"stringValue": "a\n\u{1}\u{1F600}"})),
            attribute("numbers", &json!({"arrayValue": {"values": [
                {"intValue": "9007199254740993"}, {"intValue": -1}, {"doubleValue": 1.5}, {"doubleValue": "NaN"},
                {"doubleValue": "-Infinity"}, {"boolValue": false}, {}, {"bytesValue": "AP8="}, {"newValue": 1},
            ]}})),
        ]}},
        "attributes": [
            attribute("user.id", &json!({"stringValue": "u-1"})),
            attribute("user.name", &json!({"stringValue": "Zoë"})),
            attribute("session.id", &json!({"stringValue": "s-1"})),
            attribute("audit.actionStatus", &json!({"stringValue": "SUCCESS"})),
            attribute("audit.targets", &json!({"arrayValue": {"values": [
                {"kvlistValue": {"values": [attribute("id", &json!({"stringValue": "t"}))]}}
            ]}})),
            attribute("http.route", &json!({"stringValue": "/login"})),
        ],
        "droppedAttributesCount": 2,
        "flags": 1,
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
    })
}

#[test]
fn a_record_becomes_an_event_by_the_documented_rules() {
    let [event] = map_json(&request(&full_record())).unwrap().try_into().unwrap();
    let id = event["id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let expected = json!({
        "id": id,
        "eventTimestamp": "2026-01-31T23:59:59.123456789Z",
        "action": "user.login",
        "actor": {"id": "u-1", "name": "Zoë"},
        "sessionId": "s-1",
        "actionStatus": "SUCCESS",
        "targets": [{"id": "t"}],
        "openTelemetry": {
            "body": {
                "text": "a\n\u{1}\u{1F600}",
                "numbers": [9_007_199_254_740_993_i64, -1, 1.5, "NaN", "-Infinity", false, null, "AP8=", null],
            },
            "attributes": {"user.id": "u-1", "user.name": "Zoë", "session.id": "s-1", "http.route": "/login"},
            "resource": {"service.name": "shop"},
            "scope": {"name": "audit", "version": "1.2"},
            "severityText": "INFO",
            "severityNumber": 9,
            "flags": 1,
            "traceId": "5b8efff798038103d269b633813fc60c",
            "spanId": "eee19b7ec3c1b174",
            "observedTimestamp": "2026-02-01T00:00:00.000000000Z",
            "droppedAttributesCount": 2,
        },
    });
    assert_eq!(event, expected);
}

#[test]
fn both_encodings_give_the_same_lines() {
    let text = request(&full_record()).to_string();
    let message: ExportLogsRequest = serde_json::from_str(&text).unwrap();
    let protobuf = map_logs(&message.encode_to_vec(), Encoding::Protobuf).unwrap();
    assert_eq!(protobuf.records, 1);
    assert_eq!(map_logs(text.as_bytes(), Encoding::Json).unwrap(), protobuf);
    assert!(!format!("{protobuf:?}").contains("shop"));
}

/// Bytes of the Python SDK's exporter, opentelemetry-exporter-otlp-proto-http 1.45.2.
#[test]
fn protobuf_of_the_python_sdk_is_read() {
    let recorded = include_bytes!("../../../../tests/events/otlp-python-sdk.binpb");
    let mapped = map_logs(recorded, Encoding::Protobuf).unwrap();
    let event: Json = serde_json::from_str(mapped.lines.lines().next().unwrap()).unwrap();
    assert_eq!(mapped.records, 2);
    assert_eq!(event["action"], "user.login");
    assert_eq!(event["actor"], json!({"id": "u-1", "name": "Zoë"}));
    assert_eq!(event["targets"], json!([{"id": "t-1", "type": "DATASOURCE"}]));
    assert_eq!(event["openTelemetry"]["resource"]["service.name"], "shop");
    assert_eq!(event["openTelemetry"]["body"], "logged in");
    let tenant = TenantId::parse("acme").unwrap();
    assert_eq!(EventBatch::parse(tenant, mapped.lines.as_bytes(), BodyForm::Lines).unwrap().len(), 2);
}

#[test]
fn an_attribute_with_the_prefix_replaces_what_would_be_derived() {
    let mut record = full_record();
    let attributes = record["attributes"].as_array_mut().unwrap();
    for (name, value) in
        [("id", "e-1"), ("eventTimestamp", "2020-01-01T00:00:00Z"), ("action", "A"), ("sessionId", "x")]
    {
        attributes.push(attribute(&format!("audit.{name}"), &json!({"stringValue": value})));
    }
    attributes.push(attribute("audit.actor", &json!({"stringValue": "bob"})));
    attributes.push(attribute("log.record.uid", &json!({"stringValue": "unused"})));
    let [event] = map_json(&request(&record)).unwrap().try_into().unwrap();
    let found = ["id", "eventTimestamp", "action", "sessionId", "actor"].map(|name| event[name].as_str().unwrap());
    assert_eq!(found, ["e-1", "2020-01-01T00:00:00Z", "A", "x", "bob"]);
    // What is replaced is not lost.
    let rest = &event["openTelemetry"];
    assert_eq!([&rest["eventName"], &rest["timestamp"]], ["user.login", "2026-01-31T23:59:59.123456789Z"]);
    assert_eq!([&rest["attributes"]["user.id"], &rest["attributes"]["session.id"]], ["u-1", "s-1"]);
}

#[test]
fn ids_come_from_the_record_or_follow_from_its_content() {
    let record = |uid: Option<&str>, body: &str| {
        let attributes: Vec<Json> =
            uid.into_iter().map(|uid| attribute("log.record.uid", &json!({"stringValue": uid}))).collect();
        json!({"timeUnixNano": "1", "body": {"stringValue": body}, "attributes": attributes})
    };
    let ids = |records: Vec<Json>| -> Vec<String> {
        let request = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
        map_json(&request).unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = ids(vec![record(Some("01ARZ3"), "a"), record(None, "a"), record(None, "a"), record(None, "b")]);
    assert_eq!(first[0], "01ARZ3");
    assert_eq!(first.iter().collect::<std::collections::HashSet<_>>().len(), 4, "{first:?}");
    // A repetition, also in other batches, has the same.
    assert_eq!(ids(vec![record(None, "b")]), first[3..]);
    assert_eq!(ids(vec![record(None, "a"), record(None, "a")]), first[1..3]);
}

/// What the JSON form of Protobuf allows besides the usual: exporters that use a general library write it.
#[test]
fn every_spelling_of_json_is_read() {
    let usual = full_record();
    let expected = map_json(&request(&usual)).unwrap();
    let with = |changes: &[(&str, Json)]| {
        let mut record = usual.clone();
        for (name, value) in changes {
            record[*name] = value.clone();
        }
        map_json(&request(&record)).unwrap()
    };
    // Numbers as text, and the other way round.
    assert_eq!(with(&[("timeUnixNano", json!(1_769_903_999_123_456_789_u64))]), expected);
    assert_eq!(with(&[("droppedAttributesCount", json!("2")), ("flags", json!("1"))]), expected);
    for severity in [json!("9"), json!("SEVERITY_NUMBER_INFO")] {
        assert_eq!(with(&[("severityNumber", severity)]), expected);
    }
    // Original names.
    let snake: String = request(&usual)
        .to_string()
        .replace("resourceLogs", "resource_logs")
        .replace("scopeLogs", "scope_logs")
        .replace("logRecords", "log_records");
    let names = [
        ("timeUnixNano", "time_unix_nano"),
        ("observedTimeUnixNano", "observed_time_unix_nano"),
        ("severityNumber", "severity_number"),
        ("severityText", "severity_text"),
        ("eventName", "event_name"),
        ("droppedAttributesCount", "dropped_attributes_count"),
        ("traceId", "trace_id"),
        ("spanId", "span_id"),
        ("stringValue", "string_value"),
        ("boolValue", "bool_value"),
        ("intValue", "int_value"),
        ("doubleValue", "double_value"),
        ("arrayValue", "array_value"),
        ("kvlistValue", "kvlist_value"),
        ("bytesValue", "bytes_value"),
    ];
    let snake =
        names.iter().fold(snake, |text, (camel, snake)| text.replace(&format!("\"{camel}\""), &format!("\"{snake}\"")));
    assert_eq!(map_json(&serde_json::from_str(&snake).unwrap()).unwrap(), expected);
    assert!(!snake.contains("Value\":{") && !snake.contains("UnixNano"), "{snake}");
}

#[test]
fn null_is_the_default() {
    let empty = json!({"timeUnixNano": "1"});
    let nulls = json!({
        "timeUnixNano": "1", "observedTimeUnixNano": null, "severityNumber": null, "severityText": null, "body": null,
        "attributes": null, "droppedAttributesCount": null, "flags": null, "traceId": null, "spanId": null, "eventName": null,
    });
    assert_eq!(map_json(&request(&nulls)).unwrap(), map_json(&request(&empty)).unwrap());
    for none in [json!({"resourceLogs": null}), json!({"resourceLogs": [{"resource": null, "scopeLogs": null}]})] {
        assert_eq!(map_json(&none).unwrap(), Vec::<Json>::new());
    }
    let body = json!({"arrayValue": {"values": [null, {"stringValue": null}, {"kvlistValue": {"values": null}}]}});
    let scope = json!({"name": null, "version": null, "attributes": null});
    let records = json!([{"timeUnixNano": "1", "body": body, "attributes": [{"key": "a", "value": null}]}]);
    let [event] = map_json(&json!({"resourceLogs": [{"scopeLogs": [{"scope": scope, "logRecords": records}]}]}))
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(event["openTelemetry"], json!({"body": [null, null, {}], "attributes": {"a": null}}));
}

#[test]
fn severities_have_names_and_bytes_either_alphabet() {
    let map = |fields: Json| {
        let mut record = json!({"timeUnixNano": "1"});
        record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        map_json(&request(&record)).map(|events| events[0]["openTelemetry"].clone())
    };
    let severity = |name: &str| map(json!({"severityNumber": format!("SEVERITY_NUMBER_{name}")}));
    for (name, number) in [("TRACE", 1), ("TRACE4", 4), ("DEBUG", 5), ("WARN2", 14), ("ERROR3", 19), ("FATAL4", 24)] {
        assert_eq!(severity(name).unwrap()["severityNumber"], number, "{name}");
    }
    assert_eq!(severity("UNSPECIFIED").unwrap().get("severityNumber"), None);
    for unknown in ["INFO1", "INFO5", "info", ""] {
        assert_eq!(severity(unknown), Err(OtlpError::Malformed), "{unknown}");
    }
    for text in ["-_8=", "+/8=", "-_8", "+/8"] {
        assert_eq!(map(json!({"body": {"bytesValue": text}})).unwrap()["body"], "+/8=", "{text}");
    }
}

#[test]
fn a_request_without_records_has_no_events() {
    for empty in [json!({}), json!({"resourceLogs": []}), json!({"resourceLogs": [{"scopeLogs": [{}]}]})] {
        assert_eq!(map_json(&empty).unwrap(), Vec::<Json>::new());
    }
    assert_eq!(map_logs(b"", Encoding::Protobuf).unwrap().records, 0);
}

#[test]
fn malformed_requests_are_refused() {
    for bad in [
        "",
        "[]",
        "{\"resourceLogs\":[7]}",
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"x\"}]}]}]}",
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":-1}]}]}]}",
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"traceId\":\"xyz\"}]}]}]}",
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"boolValue\":\"true\"}}]}]}]}",
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"bytesValue\":\"?\"}}]}]}]}",
    ] {
        assert_eq!(map_logs(bad.as_bytes(), Encoding::Json), Err(OtlpError::Malformed), "{bad}");
    }
    for bad in [&b"\x0a\x05abc"[..], b"{}", &[0xFF; 20]] {
        assert_eq!(map_logs(bad, Encoding::Protobuf), Err(OtlpError::Malformed), "{bad:?}");
    }
    // Deeper than the decoders read.
    let deep = ["{\"arrayValue\":{\"values\":[".repeat(200), "{}".to_owned(), "]}}".repeat(200)].concat();
    let deep = format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{deep}}}]}}]}}]}}");
    assert_eq!(map_logs(deep.as_bytes(), Encoding::Json), Err(OtlpError::Malformed));
}

#[test]
fn a_large_resource_in_many_records_is_refused_before_it_fills_the_memory() {
    let records = vec![json!({"timeUnixNano": "1"}); 1_000];
    let large = attribute("x", &json!({"stringValue": "x".repeat(1_000_000)}));
    let request =
        json!({"resourceLogs": [{"resource": {"attributes": [large]}, "scopeLogs": [{"logRecords": records}]}]});
    assert_eq!(map_json(&request), Err(OtlpError::TooLarge));
}

#[test]
fn too_many_records_are_counted_before_they_are_decoded() {
    let tagged = |tag: u8, content: &[u8]| {
        let mut bytes = vec![tag];
        prost::encode_length_delimiter(content.len(), &mut bytes).unwrap();
        bytes.extend_from_slice(content);
        bytes
    };
    let protobuf = |body: &[u8]| map_logs(body, Encoding::Protobuf).map(|mapped| mapped.records);
    let json = |body: String| map_logs(body.as_bytes(), Encoding::Json).map(|mapped| mapped.records);
    let most = MAX_EVENTS_PER_BODY;

    let records = |count: usize| tagged(0x0A, &tagged(0x12, &tagged(0x12, b"").repeat(count)));
    assert_eq!(protobuf(&records(most)), Ok(most as u64));
    assert_eq!(protobuf(&records(most + 1)), Err(OtlpError::TooManyRecords));
    assert_eq!(protobuf(&[records(most), records(1)].concat()), Err(OtlpError::TooManyRecords), "all scopes together");
    assert_eq!(protobuf(&records(MAX_BODY_LENGTH / 2 - 10)), Err(OtlpError::TooManyRecords));
    for groups in [tagged(0x0A, b"").repeat(most + 1), tagged(0x0A, &tagged(0x12, b"").repeat(most + 1))] {
        assert_eq!(protobuf(&groups), Err(OtlpError::TooManyRecords));
    }

    let list = |item: &str, count: usize| vec![item; count].join(",");
    let of = |records: &str| format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{records}]}}]}}]}}");
    assert_eq!(json(of(&list("{}", most))), Ok(most as u64));
    assert_eq!(json(of(&list("{}", most + 1))), Err(OtlpError::TooManyRecords));
    // What they are is not looked at.
    assert_eq!(json(of(&list("0", most + 1))), Err(OtlpError::TooManyRecords));
    assert_eq!(json(of(&list("0", most))), Err(OtlpError::Malformed));
    assert_eq!(json(format!("{{\"resource_logs\":[{}]}}", list("{}", most + 1))), Err(OtlpError::TooManyRecords));
}

#[test]
fn what_the_mapping_makes_is_checked_like_every_event() {
    let check = |record: &Json| {
        let mapped = map_logs(request(record).to_string().as_bytes(), Encoding::Json).unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        let outcome = EventBatch::parse(tenant, mapped.lines.as_bytes(), BodyForm::Lines);
        outcome.map(|batch| batch.len()).map_err(|rejected| rejected.reason.code().name())
    };
    let with = |attributes: Vec<Json>| json!({"timeUnixNano": "1", "attributes": attributes});
    let text = |name: &str| attribute(name, &json!({"stringValue": "x"}));
    assert_eq!(check(&with(vec![text("a"), text("b")])), Ok(1));
    assert_eq!(check(&json!({})), Err("EVENT_TIMESTAMP_MISSING"));
    assert_eq!(check(&with(vec![text("a"), text("a")])), Err("EVENT_FIELD_DUPLICATED"));
    assert_eq!(check(&with(vec![text("audit.openTelemetry")])), Err("EVENT_FIELD_DUPLICATED"));
    assert_eq!(check(&with(vec![text("audit.eventTimestamp")])), Err("EVENT_TIMESTAMP_INVALID"));
    assert_eq!(check(&with(vec![attribute("audit.id", &json!({"intValue": 1}))])), Err("EVENT_ID_INVALID"));
    // The tenant comes from the token alone.
    assert_eq!(check(&with(vec![text("audit.tenantId"), text("audit.receivedTimestamp")])), Ok(1));
}

fn any_value() -> impl Strategy<Value = Option<AnyValue>> {
    let leaf = prop_oneof![
        ".{0,8}".prop_map(Value::String),
        Just(Value::String("2026-01-31T23:59:59Z".to_owned())),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Double),
        proptest::collection::vec(any::<u8>(), 0..5).prop_map(Value::Bytes),
    ];
    let value = prop::option::of(leaf).prop_map(|value| AnyValue { value });
    let value = value.prop_recursive(3, 16, 3, |inner| {
        let pair = ("[a-b]{0,1}", prop::option::of(inner.clone()));
        let pair = pair.prop_map(|(key, value)| KeyValue { key, value });
        let array = proptest::collection::vec(inner, 0..3).prop_map(|values| Value::Array(ArrayValue { values }));
        let list = proptest::collection::vec(pair, 0..3).prop_map(|values| Value::List(KeyValueList { values }));
        prop_oneof![array, list].prop_map(|value| AnyValue { value: Some(value) })
    });
    prop::option::of(value)
}

/// Generates attributes, some of which set fields of the event, or the same field.
fn any_attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let known =
        &["audit.id", "audit.eventTimestamp", "audit.action", "audit.openTelemetry", "audit.tenantId", "audit."];
    let named = prop::sample::select(&known[..]).prop_map(ToOwned::to_owned);
    let sources = prop::sample::select(&["log.record.uid", "user.id", "user.name", "session.id"][..]);
    let key = prop_oneof![named, sources.prop_map(ToOwned::to_owned), "(audit\\.)?[a-z]{0,6}".boxed()];
    let attribute = (key, any_value()).prop_map(|(key, value)| KeyValue { key, value });
    proptest::collection::vec(attribute, 0..3)
}

fn any_record() -> impl Strategy<Value = LogRecord> {
    let time = || prop_oneof![Just(0), Just(1_769_903_999_123_456_789), any::<u64>()];
    let bytes = || proptest::collection::vec(any::<u8>(), 0..17);
    let texts = (prop_oneof![Just(String::new()), ".{0,8}"], prop_oneof![Just(String::new()), ".{0,8}"]);
    let numbers = (any::<i32>(), any::<u32>(), any::<u32>());
    (time(), time(), any_attributes(), any_value(), texts, numbers, bytes(), bytes()).prop_map(
        |(time, observed, attributes, body, (severity_text, event_name), numbers, trace_id, span_id)| LogRecord {
            time_unix_nano: time,
            severity_number: numbers.0,
            severity_text,
            body,
            attributes,
            dropped_attributes_count: numbers.1,
            flags: numbers.2,
            trace_id,
            span_id,
            observed_time_unix_nano: observed,
            event_name,
        },
    )
}

fn any_request() -> impl Strategy<Value = ExportLogsRequest> {
    let scope = (".{0,4}", ".{0,4}", any_attributes());
    let scope = scope.prop_map(|(name, version, attributes)| Scope { name, version, attributes });
    let logs = (prop::option::of(scope), proptest::collection::vec(any_record(), 0..4));
    let logs = logs.prop_map(|(scope, log_records)| ScopeLogs { scope, log_records });
    let resource = any_attributes().prop_map(|attributes| Resource { attributes });
    let of_resource = (prop::option::of(resource), proptest::collection::vec(logs, 0..3));
    let of_resource = of_resource.prop_map(|(resource, scope_logs)| ResourceLogs { resource, scope_logs });
    proptest::collection::vec(of_resource, 0..3).prop_map(|resource_logs| ExportLogsRequest { resource_logs })
}

fn value_as_json(value: Option<&AnyValue>) -> Json {
    match value.and_then(|value| value.value.as_ref()) {
        None => json!({}),
        Some(Value::String(text)) => json!({"stringValue": text}),
        Some(Value::Bool(value)) => json!({"boolValue": value}),
        Some(Value::Int(number)) => json!({"intValue": number.to_string()}),
        Some(Value::Double(number)) => json!({"doubleValue": number.to_string()}),
        Some(Value::Bytes(bytes)) => json!({"bytesValue": BASE64_STANDARD.encode(bytes)}),
        Some(Value::Array(array)) => {
            let values: Vec<_> = array.values.iter().map(|value| value_as_json(Some(value))).collect();
            json!({"arrayValue": {"values": values}})
        }
        Some(Value::List(list)) => json!({"kvlistValue": {"values": attributes_as_json(&list.values)}}),
    }
}

fn attributes_as_json(attributes: &[KeyValue]) -> Vec<Json> {
    attributes.iter().map(|of| attribute(&of.key, &value_as_json(of.value.as_ref()))).collect()
}

fn record_as_json(record: &LogRecord) -> Json {
    json!({
        "timeUnixNano": record.time_unix_nano.to_string(),
        "observedTimeUnixNano": record.observed_time_unix_nano.to_string(),
        "severityNumber": record.severity_number,
        "severityText": record.severity_text,
        "eventName": record.event_name,
        "body": record.body.as_ref().map(|body| value_as_json(Some(body))),
        "attributes": attributes_as_json(&record.attributes),
        "droppedAttributesCount": record.dropped_attributes_count,
        "flags": record.flags,
        "traceId": HEXLOWER.encode(&record.trace_id),
        "spanId": HEXLOWER.encode(&record.span_id),
    })
}

/// Returns the request as an exporter writes it in JSON.
fn request_as_json(request: &ExportLogsRequest) -> Json {
    let scope_as_json = |of: &ScopeLogs| {
        let scope = of.scope.as_ref().map(|scope| {
            let attributes = attributes_as_json(&scope.attributes);
            json!({"name": scope.name, "version": scope.version, "attributes": attributes})
        });
        let records: Vec<_> = of.log_records.iter().map(record_as_json).collect();
        json!({"scope": scope, "logRecords": records})
    };
    let resource_as_json = |of: &ResourceLogs| {
        let resource =
            of.resource.as_ref().map(|resource| json!({"attributes": attributes_as_json(&resource.attributes)}));
        json!({"resource": resource, "scopeLogs": of.scope_logs.iter().map(scope_as_json).collect::<Vec<_>>()})
    };
    json!({"resourceLogs": request.resource_logs.iter().map(resource_as_json).collect::<Vec<_>>()})
}

/// Checks that each record became a line that is either stored or rejected.
fn check_every_record_counts(mapped: &MappedEvents) {
    let tenant = || TenantId::parse("acme").unwrap();
    assert_eq!(mapped.lines.lines().count() as u64, mapped.records, "{}", mapped.lines);
    let is_valid = |line: &&str| EventBatch::parse(tenant(), line.as_bytes(), BodyForm::Lines).is_ok();
    let valid = mapped.lines.lines().filter(is_valid).count();
    let (stored, rejected) = match PartialBatch::parse(tenant(), mapped.lines.as_bytes()) {
        Ok(PartialBatch { events, rejected }) => (events.len(), rejected.map_or(0, |rejected| rejected.count as u64)),
        // Of a request in which no record is valid, nothing is stored.
        Err(_) => (0, mapped.records),
    };
    assert_eq!((stored, stored as u64 + rejected), (valid, mapped.records), "{}", mapped.lines);
}

proptest! {
    #[test]
    fn every_record_is_stored_or_rejected_in_both_encodings(request in any_request()) {
        let records = request.resource_logs.iter().flat_map(|of| &of.scope_logs).map(|of| of.log_records.len()).sum::<usize>();
        let mapped = map_logs(&request.encode_to_vec(), Encoding::Protobuf).unwrap();
        prop_assert_eq!(mapped.records, records as u64);
        check_every_record_counts(&mapped);
        let json = request_as_json(&request).to_string();
        prop_assert_eq!(map_logs(json.as_bytes(), Encoding::Json).unwrap().lines, mapped.lines);
    }

    #[test]
    fn a_broken_request_is_refused_or_read_as_a_whole(
        request in any_request(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_usize, any::<u8>()), 1..4),
    ) {
        for (body, encoding) in [
            (request.encode_to_vec(), Encoding::Protobuf),
            (request_as_json(&request).to_string().into_bytes(), Encoding::Json),
        ] {
            let mut body = body;
            for (place, removed, byte) in &changes {
                let start = place.index(body.len() + 1);
                let end = body.len().min(start + removed);
                body.splice(start..end, [*byte]);
            }
            if let Ok(mapped) = map_logs(&body, encoding) {
                check_every_record_counts(&mapped);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        jsonish in r#"[\[\]{}",:\\ 0-9a-zA-Z]{0,60}"#,
        value in any_json("resourceLogs|scopeLogs|logRecords|attributes|body|key|value|[a-z]{0,3}", 5),
    ) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            for body in [&body, jsonish.as_bytes(), value.to_string().as_bytes()] {
                if let Ok(mapped) = map_logs(body, encoding) {
                    check_every_record_counts(&mapped);
                }
            }
        }
    }

    #[test]
    fn any_text_becomes_valid_json(key in ".{0,8}", text in ".{0,20}", number: f64) {
        let attributes = vec![
            attribute(&key, &json!({"stringValue": text})),
            json!({"key": "number", "value": {"doubleValue": number.to_string()}}),
        ];
        let [event] = map_json(&request(&json!({"timeUnixNano": "1", "attributes": attributes}))).unwrap().try_into().unwrap();
        let found = &event["openTelemetry"]["attributes"];
        if key != "number" && !key.starts_with(FIELD_PREFIX) {
            prop_assert_eq!(&found[&key], &json!(text));
        }
    }
}
