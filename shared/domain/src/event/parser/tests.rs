//! Compares the scanner of usual events with the parser that decides.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{limits::MAX_NESTING_DEPTH, tests::any_json},
    *,
};

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn parser(body: &str) -> Parser<'_> {
    Parser::new(tenant(), body.len())
}

type Events = (Vec<u8>, Vec<(usize, Timestamp)>);

fn events(batch: EventBatch) -> Events {
    (batch.text, batch.events.into_iter().map(|event| (event.end, event.timestamp)).collect())
}

/// Reads a body as an array in both ways. Returns whether the scanner has read it.
fn is_usual(body: &str) -> bool {
    let by_parser = parser(body).array(body).ok().map(events);
    let by_scanner = parser(body).usual_array(body).map(events);
    if by_scanner.is_some() {
        assert_eq!(by_scanner, by_parser, "{body}");
    }
    by_scanner.is_some()
}

/// Reads a line in both ways. Returns whether the scanner has read it.
fn is_usual_line(line: &str) -> bool {
    let mut by_scanner = parser(line);
    let is_usual = by_scanner.usual_line(line).is_some();
    if is_usual {
        let mut by_parser = parser(line);
        let mut reader = serde_json::Deserializer::from_str(line);
        (&mut by_parser).deserialize(&mut reader).and_then(|()| reader.end()).unwrap();
        assert_eq!(events(by_scanner.batch), events(by_parser.batch), "{line}");
    }
    is_usual
}

#[test]
fn what_producers_send_is_read_by_the_scanner() {
    for body in [
        r#"[{"id":"1","eventTimestamp":"2026-01-31T23:59:59Z"}]"#,
        r#" [ {"eventTimestamp":"2026-01-31t23:59:59.5+01:00","tenantId":"x","a":[],"b":{},"id":"\u00e9 \ud83d\ude00"} ] "#,
        r#"[{"id":"1","eventTimestamp":"2026-01-31T23:59:59Z","n":[-0,1.5e+7,0E-1,12],"w":[true,false,null],"\n":{"\"":{}}},
            {"id":"2","eventTimestamp":"2026-01-31T23:59:59Z","receivedTimestamp":"x","text":"é\t\\ \u0000"}]"#,
    ] {
        assert!(is_usual(body), "{body}");
    }
    let corpus = include_str!("../../../../../tests/e2e/accepted_events.1.ndjson");
    let usual = corpus.lines().filter(|line| {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let event = recorded["event"].as_str().unwrap();
        is_usual(&format!("[{event}]"));
        is_usual_line(event)
    });
    assert!(usual.count() * 10 > corpus.lines().count() * 8);
}

#[test]
fn faults_and_oddities_are_left_to_the_parser() {
    let event = |fields: &str| format!(r#"{{"id":"1","eventTimestamp":"2026-01-31T23:59:59Z"{fields}}}"#);
    let deep = |levels: usize| event(&format!(",\"a\":{}{}", "[".repeat(levels), "]".repeat(levels)));
    assert!(is_usual_line(&deep(MAX_NESTING_DEPTH - 1)));
    let lone = r#","a":["\ud83d"]"#;
    for fields in
        [",\"a\":01", ",\"a\":1.", ",\"a\":1e", ",\"a\":-", ",\"a\":tru", ",\"a\":\"\\x\"", ",\"a\":\"\\u12g4\"", lone]
            .into_iter()
            .chain([
                ",\"a\":\"\u{1}\"",
                ",\"a\":[1,]",
                ",\"a\":{\"b\":1,}",
                ",\"a\":{\"b\":1,\"b\":2}",
                ",\"a\":1,\"a\":2",
                ",",
            ])
            .chain([",\"id\":\"2\"", ",\"tenantId\":7", ",\"a\":[1}", ",\"a\":{]", ",\"a\" 1", ",a:1", ",\"a\":"])
    {
        assert!(!is_usual_line(&event(fields)), "{fields}");
    }
    let too_long = event(&format!(",\"a\":\"{}\"", "x".repeat(MAX_EVENT_LENGTH)));
    for line in [deep(MAX_NESTING_DEPTH), too_long, event("") + "x", "{}".to_owned(), String::new(), "[]".to_owned()] {
        assert!(!is_usual_line(&line), "{line}");
    }
    for body in ["[]", "[", "", "[{}]", "{}"] {
        assert!(!is_usual(body), "{body}");
    }
    for (before, after) in [("[", ""), ("[", ",]"), ("[,", "]"), ("[", "]x"), ("[1,", "]"), ("[", "] ]")] {
        assert!(!is_usual(&format!("{before}{}{after}", event(""))));
    }
    let many = vec![event(""); MAX_EVENTS_PER_BODY + 1];
    assert!(!is_usual(&format!("[{}]", many.join(","))));
    assert!(is_usual(&format!("[{}]", many[1..].join(","))));
}

/// A change of a body: the place in thousandths, the bytes that are removed there, and what is put in.
fn any_change() -> impl Strategy<Value = (usize, usize, String)> {
    let token = prop::sample::select(
        &[
            "",
            " ",
            "\n",
            ",",
            ":",
            "\"",
            "\\",
            "{",
            "}",
            "[",
            "]",
            "0",
            "1",
            "-",
            ".",
            "e",
            "+",
            "t",
            "null",
            "\u{1}",
            "é",
            "\"id\":\"2\",",
            "\"tenantId\":\"x\",",
            "\"tenantId\":{},",
            "\\u0061",
            "\\ud83d",
            "\\n",
            "\"a\":1,",
            "\u{feff}",
        ][..],
    );
    (0..1_000_usize, 0..4_usize, token.prop_map(str::to_owned))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn scanner_and_parser_make_the_same_of_every_body(
        values in proptest::collection::vec(("[a-c]{1,2}", any_json("[a-c\"\u{e9}\u{1}]{0,2}", 4)), 1..4),
        pretty: bool,
        changes in proptest::collection::vec(any_change(), 0..4),
    ) {
        let events: Vec<_> = values.iter().map(|(name, value)| {
            let mut event = json!({"id": "1", "eventTimestamp": "2026-01-31T23:59:59Z"});
            event[name] = value.clone();
            event
        }).collect();
        let body = if pretty { serde_json::to_string_pretty(&events) } else { serde_json::to_string(&events) }.unwrap();
        prop_assert!(is_usual(&body), "{}", body);

        let mut changed: Vec<char> = body.chars().collect();
        for (place, removed, token) in &changes {
            let start = changed.len() * place / 1_000;
            let end = changed.len().min(start + removed);
            changed.splice(start..end, token.chars());
        }
        let changed: String = changed.into_iter().collect();
        is_usual(&changed);
        for line in changed.lines() {
            is_usual_line(line);
        }
    }
}
