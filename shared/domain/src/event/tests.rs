use std::collections::BTreeSet;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::{error_code::ErrorCode, tenant::TenantId, time::Timestamp};

const TIME: &str = "2026-01-31T23:59:59Z";

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn parse(body: &str, form: BodyForm) -> Result<Vec<String>, RejectedEvents> {
    let batch = EventBatch::parse(tenant(), body.as_bytes(), form)?;
    let stamp = batch.stamp(Timestamp::EPOCH);
    Ok(batch.iter().map(|(line, _)| format!("{}{stamp}", std::str::from_utf8(line).unwrap())).collect())
}

fn fault(body: &str, form: BodyForm) -> (&'static str, Option<usize>, Option<usize>) {
    let rejected = parse(body, form).unwrap_err();
    (rejected.reason.code().name(), rejected.event_index, rejected.line)
}

fn event(fields: &str) -> String {
    format!(r#"{{"id":"1","eventTimestamp":"{TIME}"{fields}}}"#)
}

#[test]
fn fields_stay_byte_for_byte_and_in_order() {
    let body = r#" [ { "z" : 1.50e+07 , "id":"a\u0062", "n":[ 1 , {"x" : " kept  \" ] } " } ],
        "big":123456789012345678901234567890, "tenantId":"other" ,"receivedTimestamp": {"a":1},
        "eventTimestamp":"2026-01-31T23:59:59.5+01:00","pair":"\ud83d\ude00","e":{},"Z":2 } ] "#;
    let expected = concat!(
        r#"{"z":1.50e+07,"id":"a\u0062","n":[1,{"x":" kept  \" ] } "}],"big":123456789012345678901234567890,"#,
        r#""eventTimestamp":"2026-01-31T23:59:59.5+01:00","pair":"\ud83d\ude00","e":{},"Z":2,"#,
        r#""tenantId":"acme","receivedTimestamp":"1970-01-01T00:00:00.000Z"}"#,
        "\n"
    );
    assert_eq!(parse(body, BodyForm::Array).unwrap(), [expected]);
}

#[test]
fn the_service_fields_replace_those_sent_wherever_they_stood() {
    for body in [
        format!(r#"[{{"tenantId":"evil","id":"1","eventTimestamp":"{TIME}"}}]"#),
        format!(r#"[{{"id":"1","\u0074enantId":"evil","eventTimestamp":"{TIME}"}}]"#),
        format!(r#"[{{"receivedTimestamp":null,"tenantId":["evil"],"id":"1","eventTimestamp":"{TIME}"}}]"#),
    ] {
        let lines = parse(&body, BodyForm::Array).unwrap();
        let value: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(
            value,
            json!({"id": "1", "eventTimestamp": TIME, "tenantId": "acme", "receivedTimestamp": "1970-01-01T00:00:00.000Z"})
        );
        assert!(!lines[0].contains("evil"));
    }
}

#[test]
fn lines_may_be_blank_end_with_carriage_returns_and_start_with_a_byte_order_mark() {
    let body = format!("\u{feff}\r\n{}\r\n\n   \n{}", event(""), event(r#","a":1"#));
    assert_eq!(parse(&body, BodyForm::Lines).unwrap().len(), 2);
    assert_eq!(parse(&body, BodyForm::Any).unwrap().len(), 2);
}

#[test]
fn a_message_may_be_one_object_over_several_lines() {
    let body = format!("{{\n  \"id\": \"1\",\n  \"eventTimestamp\": \"{TIME}\"\n}}\n");
    assert_eq!(parse(&body, BodyForm::Any).unwrap().len(), 1);
    assert_eq!(fault(&body, BodyForm::Lines), ("JSON_INVALID", Some(0), Some(1)));
    assert_eq!(fault("{\n \"id\": 7\n}", BodyForm::Any), ("EVENT_ID_INVALID", Some(0), None));
    assert_eq!(fault("{\"id\n", BodyForm::Any), ("JSON_INVALID", Some(0), Some(1)));
    assert_eq!(parse(&format!("[{}]", event("")), BodyForm::Any).unwrap().len(), 1);
}

#[test]
fn every_fault_has_its_code_and_names_the_event() {
    let good = event("");
    let cases = [
        (String::new(), ("BODY_EMPTY", None, None)),
        (" \n\t".to_owned(), ("BODY_EMPTY", None, None)),
        ("[]".to_owned(), ("BODY_EMPTY", None, None)),
        (good.clone(), ("BODY_NOT_AN_ARRAY", None, None)),
        ("7".to_owned(), ("BODY_NOT_AN_ARRAY", None, None)),
        ("id=7".to_owned(), ("JSON_INVALID", None, None)),
        (format!("{good}\n{good}"), ("BODY_NOT_AN_ARRAY", None, None)),
        (format!("[{good},7]"), ("EVENT_NOT_AN_OBJECT", Some(1), None)),
        (format!("[{good},[{good}]]"), ("EVENT_NOT_AN_OBJECT", Some(1), None)),
        (format!("[{good},null,{good}]"), ("EVENT_NOT_AN_OBJECT", Some(1), None)),
        (format!("[{good},\"x\"]"), ("EVENT_NOT_AN_OBJECT", Some(1), None)),
        (format!("[{good}"), ("JSON_INVALID", Some(1), None)),
        (format!("[{good},]"), ("JSON_INVALID", Some(1), None)),
        (format!("[{good}] x"), ("JSON_INVALID", Some(1), None)),
        (format!("[{good}{good}]"), ("JSON_INVALID", Some(1), None)),
        (format!("[{}]", event(",\"a\":01")), ("JSON_INVALID", Some(0), None)),
        (format!("[{}]", event(",\"a\":NaN")), ("JSON_INVALID", Some(0), None)),
        (format!("[{}]", event(",\"a\":\"\u{1}\"")), ("JSON_INVALID", Some(0), None)),
        (format!("[{}]", event(",\"a\":'x'")), ("JSON_INVALID", Some(0), None)),
        (format!("[{}]", event(",a:1")), ("JSON_INVALID", Some(0), None)),
        (format!(r#"[{good},{{"eventTimestamp":"{TIME}"}}]"#), ("EVENT_ID_MISSING", Some(1), None)),
        ("[{}]".to_owned(), ("EVENT_ID_MISSING", Some(0), None)),
        (format!(r#"[{{"id":"","eventTimestamp":"{TIME}"}}]"#), ("EVENT_ID_INVALID", Some(0), None)),
        (format!(r#"[{{"id":7,"eventTimestamp":"{TIME}"}}]"#), ("EVENT_ID_INVALID", Some(0), None)),
        (format!(r#"[{{"id":null,"eventTimestamp":"{TIME}"}}]"#), ("EVENT_ID_INVALID", Some(0), None)),
        (format!(r#"[{{"id":"{}","eventTimestamp":"{TIME}"}}]"#, "é".repeat(129)), ("EVENT_ID_INVALID", Some(0), None)),
        (r#"[{"id":"1"}]"#.to_owned(), ("EVENT_TIMESTAMP_MISSING", Some(0), None)),
        (r#"[{"id":"1","eventTimestamp":1700000000}]"#.to_owned(), ("EVENT_TIMESTAMP_INVALID", Some(0), None)),
        (r#"[{"id":"1","eventTimestamp":"now"}]"#.to_owned(), ("EVENT_TIMESTAMP_INVALID", Some(0), None)),
        (format!("[{}]", event(",\"id\":\"2\"")), ("EVENT_FIELD_DUPLICATED", Some(0), None)),
        (format!("[{}]", event(",\"i\\u0064\":\"2\"")), ("EVENT_FIELD_DUPLICATED", Some(0), None)),
        (format!("[{}]", event(",\"tenantId\":1,\"tenantId\":2")), ("EVENT_FIELD_DUPLICATED", Some(0), None)),
        (
            format!("[{}]", event(",\"a\":").replace('}', "") + &"[".repeat(128) + &"]".repeat(128) + "}"),
            ("EVENT_NESTED_TOO_DEEPLY", Some(0), None),
        ),
        (format!("[{}]", vec![good.as_str(); MAX_EVENTS_PER_BODY + 1].join(",")), ("TOO_MANY_EVENTS", None, None)),
        (format!("[{good}]{}", " ".repeat(MAX_BODY_LENGTH)), ("BODY_TOO_LARGE", None, None)),
    ];
    for (body, expected) in cases {
        assert_eq!(fault(&body, BodyForm::Array), expected, "{}", body.chars().take(80).collect::<String>());
    }
    assert_eq!(fault(&format!("\n{good}\n\n[{good}]"), BodyForm::Lines), ("EVENT_NOT_AN_OBJECT", Some(1), Some(4)));
    assert_eq!(fault(&format!("{good}{good}\n"), BodyForm::Lines), ("JSON_INVALID", Some(1), Some(1)));
    assert_eq!(fault(&format!("{good}\n{{\"id\":"), BodyForm::Lines), ("JSON_INVALID", Some(1), Some(2)));
    assert_eq!(fault(" \n", BodyForm::Lines), ("BODY_EMPTY", None, None));
    let not_utf_8 = EventBatch::parse(tenant(), b"[\xFF]", BodyForm::Array).unwrap_err();
    assert_eq!(not_utf_8.reason.code().name(), "JSON_INVALID");
}

#[test]
fn the_deepest_and_the_longest_event_that_fit_are_taken() {
    let deep = event(",\"a\":").replace('}', "") + &"[".repeat(127) + &"]".repeat(127) + "}";
    assert_eq!(parse(&deep, BodyForm::Lines).unwrap().len(), 1);

    let overhead = parse(&event(",\"a\":\"\""), BodyForm::Lines).unwrap()[0].len();
    let longest = event(&format!(",\"a\":\"{}\"", "x".repeat(MAX_EVENT_LENGTH - overhead)));
    assert_eq!(parse(&longest, BodyForm::Lines).unwrap()[0].len(), MAX_EVENT_LENGTH);
    let too_long = event(&format!(",\"a\":\"{}\"", "x".repeat(MAX_EVENT_LENGTH - overhead + 1)));
    assert_eq!(fault(&too_long, BodyForm::Lines), ("EVENT_TOO_LARGE", Some(0), Some(1)));
    // White space between tokens doesn't count.
    assert!(parse(&longest.replace(',', " , "), BodyForm::Lines).is_ok());
}

/// A line of `tests/e2e/odd_events.ndjson`, whose accepted events the end-to-end tests read with every tool that the
/// customer's guide names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OddEvent {
    name: String,
    /// The sent form; `<<x*3>>` stands for `xxx`.
    event: String,
    /// The code of the refusal.
    code: Option<String>,
    /// The stored form before the service's fields, if it differs from the sent one.
    stored: Option<String>,
}

#[test]
fn every_odd_event_is_accepted_as_it_is_or_refused_with_its_code() {
    let corpus = include_str!("../../../../tests/e2e/odd_events.ndjson");
    let mut accepted = 0;
    for line in corpus.lines() {
        let odd: OddEvent = serde_json::from_str(line).unwrap();
        let sent = repeated(&odd.event);
        for form in [BodyForm::Lines, BodyForm::Array] {
            let body = if form == BodyForm::Lines { sent.clone() } else { format!("[{sent}]") };
            let code = parse(&body, form).as_ref().map_or_else(|refused| Some(refused.reason.code().name()), |_| None);
            assert_eq!(code, odd.code.as_deref(), "{}", odd.name);
        }
        if odd.code.is_none() {
            accepted += 1;
            let stored = odd.stored.as_deref().map_or(sent.clone(), repeated);
            let expected = format!(
                "{},\"tenantId\":\"acme\",\"receivedTimestamp\":\"1970-01-01T00:00:00.000Z\"}}\n",
                stored.strip_suffix('}').unwrap()
            );
            assert_eq!(parse(&sent, BodyForm::Lines).unwrap(), [expected], "{}", odd.name);
        }
    }
    assert!(accepted > 60, "{accepted}");
}

/// Only another version of the event's schema (docs/reference/event.schema.json) may refuse one of these events.
#[test]
fn what_version_1_accepts_stays_accepted() {
    let record = include_str!("../../../../tests/e2e/accepted_events.1.ndjson");
    for line in record.lines() {
        let recorded: OddEvent = serde_json::from_str(line).unwrap();
        assert!(parse(&repeated(&recorded.event), BodyForm::Lines).is_ok(), "{}", recorded.name);
    }
}

/// Replaces `<<x*3>>` with `xxx`.
fn repeated(event: &str) -> String {
    let mut parts = event.split("<<");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (repetition, rest) = part.split_once(">>").unwrap();
        let (unit, times) = repetition.rsplit_once('*').unwrap();
        text += &unit.repeat(times.parse().unwrap());
        text += rest;
    }
    text
}

#[test]
fn a_refusal_says_what_to_change() {
    let refusal = |event: &str| parse(event, BodyForm::Lines).unwrap_err().reason;
    let of_time = |time: &str| refusal(&format!(r#"{{"id":"1","eventTimestamp":{time}}}"#)).to_string();
    for epoch in ["1769903999", "1769903999123", "\"1769903999\"", "-1", "1.5e9"] {
        let message = of_time(epoch);
        assert!(message.contains("RFC 3339") && message.contains("not as a number"), "{message}");
    }
    assert!(of_time("\"2026-06-30T23:59:60Z\"").contains("second 59"));
    assert!(of_time("\"2026-06-30T23:59:59.0123456789Z\"").contains("9 decimals"));
    assert!(of_time("\"2026-06-30T23:59:59+14:01\"").contains("-14:00 and +14:00"));
    for field in ["id", "eventTimestamp", "tenantId", "receivedTimestamp", "z"] {
        let twice = event(&format!(r#","{field}":"{TIME}","a":1,"{field}":"{TIME}""#));
        assert_eq!(refusal(&twice), Rejection::FieldDuplicated(field.into()), "{twice}");
    }
    let secret = refusal(&event(r#","private":1,"private":2"#)).to_string();
    assert!(!secret.contains("private"), "{secret}");
    let explanation = ErrorCode::EventFieldDuplicated.explanation();
    for field in ["id", "eventTimestamp", "tenantId", "receivedTimestamp"] {
        assert!(explanation.meaning.contains(field), "{field}");
    }
}

#[test]
fn no_event_data_is_printed() {
    let batch = EventBatch::parse(tenant(), event(",\"a\":\"private\"").as_bytes(), BodyForm::Any).unwrap();
    assert!(!format!("{batch:?}").contains("private"));
}

/// Generates values with objects whose names match a pattern, with up to `depth` levels, and less than `depth` values in each.
pub(crate) fn any_json(names: &'static str, depth: u32) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 32, depth, move |inner| {
        let sizes = 0..depth as usize;
        prop_oneof![
            proptest::collection::vec(inner.clone(), sizes.clone()).prop_map(Value::from),
            proptest::collection::btree_map(names, inner, sizes)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Generates an object of a few names, some equal and some escaped, and whether two are equal.
fn any_object() -> impl Strategy<Value = (String, bool)> {
    proptest::collection::vec(("[a-c]{0,2}", any::<bool>()), 0..40).prop_map(|names| {
        let fields = names.iter().map(|(name, is_escaped)| match name.bytes().next() {
            Some(first) if *is_escaped => format!("\"\\u00{first:02x}{}\":0", &name[1..]),
            _ => format!("\"{name}\":0"),
        });
        let object = format!("{{{}}}", fields.collect::<Vec<_>>().join(","));
        let different: BTreeSet<_> = names.iter().map(|(name, _)| name).collect();
        (object, different.len() < names.len())
    })
}

#[test]
fn the_valid_lines_of_a_body_are_kept_and_the_first_fault_is_named() {
    let good = |id: &str| format!("{{\"id\":\"{id}\",\"eventTimestamp\":\"2026-11-22T09:59:59Z\"}}\n");
    let parse = |lines: &[&str]| PartialBatch::parse(tenant(), lines.concat().as_bytes());
    let all = parse(&[&good("1"), &good("2")]).unwrap();
    assert_eq!((all.events.len(), all.rejected), (2, None));

    let long = event(&format!(",\"a\":\"{}\"", "x".repeat(MAX_EVENT_LENGTH))) + "\n";
    let trailing = format!("{} 7\n", good("8").trim_end());
    for (fault, code) in [
        ("{\"id\":\"3\",\"text\":\"left behind\"}\n", "EVENT_TIMESTAMP_MISSING"),
        ("{\"id\":\"3\",\"text\":\"left behind\",\"id\":\"4\"}\n", "EVENT_FIELD_DUPLICATED"),
        ("[]\n", "EVENT_NOT_AN_OBJECT"),
        (trailing.as_str(), "JSON_INVALID"),
        (long.as_str(), "EVENT_TOO_LARGE"),
    ] {
        let partial = parse(&[&good("1"), "\n", fault, &good("2"), "{}\n"]).unwrap();
        let rejected = partial.rejected.unwrap();
        assert_eq!((rejected.count, rejected.first.reason.code().name()), (2, code));
        assert_eq!((rejected.first.event_index, rejected.first.line), (Some(1), Some(3)), "{code}");
        // As if the faulty lines had not been there.
        let valid = parse(&[&good("1"), &good("2")]).unwrap().events;
        assert!(partial.events.iter().eq(valid.iter()), "{code}");
    }
    let rejected = parse(&["{}\n", "[]\n"]).unwrap_err();
    assert_eq!((rejected.reason.code().name(), rejected.event_index), ("EVENT_ID_MISSING", Some(0)));
    assert_eq!(parse(&["\n"]).unwrap_err().reason, Rejection::BodyEmpty);
    let many = good("1").repeat(MAX_EVENTS_PER_BODY + 1);
    assert_eq!(parse(&["{}\n", &many]).unwrap_err().reason, Rejection::TooManyEvents);
}

proptest! {
    #[test]
    fn any_event_is_stored_as_one_line_with_the_same_meaning(
        payload in any_json("[^\u{0}]{0,6}", 5), id in ".{1,40}", millis in 0..4_000_000_000_000_u64, pretty: bool,
    ) {
        let timestamp = Timestamp::from_millis(millis).unwrap();
        let mut value = json!({"id": id, "eventTimestamp": timestamp.to_string(), "payload": payload});
        let body = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let lines = parse(&format!("[{body}]"), BodyForm::Array).unwrap();
        prop_assert_eq!(lines[0].matches('\n').count(), 1);
        prop_assert!(lines[0].ends_with("}\n"), "the line is not ended");
        value["tenantId"] = json!("acme");
        value["receivedTimestamp"] = json!(Timestamp::EPOCH.to_string());
        let stored: Value = serde_json::from_str(&lines[0]).unwrap();
        prop_assert_eq!(stored.to_string(), serde_json::from_str::<Value>(&value.to_string()).unwrap().to_string());
    }

    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), jsonish in r#"[\[\]{}",:\\ \n0-9a-ed-itu.-]{0,60}"#) {
        for form in [BodyForm::Array, BodyForm::Lines, BodyForm::Any] {
            let _ = EventBatch::parse(tenant(), &body, form);
            let _ = EventBatch::parse(tenant(), jsonish.as_bytes(), form);
        }
    }

    #[test]
    fn equal_names_are_found_in_every_object((object, is_refused) in any_object(), names in 0..30_usize) {
        let others: Vec<_> = (0..names).map(|number| format!(",\"other{number}\":{{\"a\":1}}")).collect();
        let others = others.concat();
        for value in [object.clone(), format!("[0,{{\"b\":{object}}},1]")] {
            let outcome = parse(&event(&format!(",\"a\":{value}{others}")), BodyForm::Lines);
            prop_assert_eq!(outcome.is_err(), is_refused);
        }
        let fields = object.trim_start_matches('{').trim_end_matches('}');
        let separator = if fields.is_empty() { "" } else { "," };
        let outcome = parse(&event(&format!("{separator}{fields}{others}")), BodyForm::Lines);
        prop_assert_eq!(outcome.is_err(), is_refused);
    }

    #[test]
    fn escapes_are_accepted_if_they_are_a_text(units in proptest::collection::vec(
        prop_oneof![0xd7fe..0xd801_u32, 0xdbfe..0xdc02_u32, 0xdffe..0xe001_u32, 0x5c..0x5d_u32], 0..5,
    )) {
        let escapes: Vec<_> = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        let text = escapes.concat();
        let is_text = serde_json::from_str::<String>(&format!("\"{text}\"")).is_ok();
        for fields in [format!(",\"a\":\"{text}\""), format!(",\"a\":[\"{text}\"]"), format!(",\"a\":{{\"x{text}\":0}}"), format!(",\"x{text}\":0")] {
            prop_assert_eq!(parse(&event(&fields), BodyForm::Lines).is_ok(), is_text, "{}", fields);
        }
    }
}
