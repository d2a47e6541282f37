use std::fmt::Write;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};

use super::*;
use crate::configuration::field_error::FieldError;

fn filter(json: &Value) -> EventFilter {
    EventFilter::parse(&raw(json)).unwrap()
}

fn raw(json: &Value) -> RawFilter {
    serde_json::from_value(json.clone()).unwrap()
}

fn errors(json: &Value) -> Vec<(&'static str, &'static str)> {
    let errors = EventFilter::parse(&raw(json)).unwrap_err();
    errors.iter().map(|FieldError { field, code, .. }| (*field, code.name())).collect()
}

#[test]
fn the_canonical_text_does_not_depend_on_order_and_repetition() {
    let one = filter(&json!({
        "include": {"targetTypes": ["POLICY"], "actions": ["LOGIN", "CREATE*", "Änderung", "LOGIN"]},
        "exclude": {"actorTypes": ["SYSTEM"]},
    }));
    let other = filter(&json!({
        "exclude": {"actions": null, "actorTypes": ["SYSTEM", "SYSTEM"]},
        "include": {"actions": ["Änderung", "CREATE*", "LOGIN"], "targetTypes": ["POLICY"]},
    }));
    let text = concat!(
        r#"{"exclude":{"actorTypes":["SYSTEM"]},"#,
        r#""include":{"actions":["CREATE*","LOGIN","Änderung"],"targetTypes":["POLICY"]}}"#
    );
    assert_eq!((one.to_string().as_str(), &one), (text, &other));
    assert_eq!(serde_json::to_string(&one).unwrap(), text);
    assert_eq!(serde_json::from_str::<EventFilter>(text).unwrap(), one);
    // `printf %s … | sha256sum`
    assert_eq!(one.sha256().to_string(), "fcb35eb8fdb5311ae482ceb437a95ac9f4807f7ee42c30ccca0cd6ea1e054039");
}

#[test]
fn a_filter_that_means_nothing_is_refused() {
    for empty in [json!({}), json!({"include": {}, "exclude": {"actions": null}})] {
        assert_eq!(errors(&empty), [("filter", "FILTER_EMPTY")]);
    }
    let empty_lists = json!({"include": {"actions": []}, "exclude": {"targetTypes": [], "actorTypes": ["SYSTEM"]}});
    assert_eq!(
        errors(&empty_lists),
        [("filter.exclude.targetTypes", "FILTER_EMPTY"), ("filter.include.actions", "FILTER_EMPTY")]
    );
}

#[test]
fn a_value_is_a_bounded_text_with_an_asterisk_only_at_its_end() {
    let longest = "ä".repeat(MAX_FILTER_VALUE_LENGTH / 2);
    for good in ["L", "L*", "com.example.user login", "' /:?[]{}", &longest] {
        assert_eq!(filter(&json!({"include": {"actions": [good]}})).include().actions[0].as_str(), good);
    }
    let too_long = format!("{longest}*");
    for bad in ["", "*", "**", "L**", "*L", "L*N", "a\"b", "a\\b", "a\nb", "\u{85}", &too_long] {
        let raw = json!({"include": {"actions": ["LOGIN", bad]}});
        assert_eq!(errors(&raw), [("filter.include.actions", "FILTER_VALUE_INVALID")], "{bad:?}");
    }
}

#[test]
fn the_values_of_all_lists_are_counted() {
    let values = |count: usize| (0..count).map(|number| format!("A{number}")).collect::<Vec<_>>();
    let half = MAX_FILTER_VALUES / 2;
    let with = |more| json!({"include": {"actions": values(half)}, "exclude": {"targetTypes": values(half + more)}});
    assert!(filter(&with(0)).to_string().len() > half);
    assert_eq!(errors(&with(1)), [("filter", "FILTER_TOO_MANY_VALUES")]);
}

#[test]
fn a_filter_that_no_event_can_pass_is_refused() {
    for (include, exclude, is_possible) in [
        (vec!["LOGIN"], vec!["LOGIN"], false),
        (vec!["LOGIN"], vec!["LOG*"], false),
        (vec!["LOGIN*"], vec!["LOG*"], false),
        (vec!["LOG*", "OUT"], vec!["OUT", "LOG*"], false),
        (vec!["LOG*"], vec!["LOGIN*"], true),
        (vec!["LOG*"], vec!["LOG"], true),
        (vec!["LOGIN", "LOGOUT"], vec!["LOGIN"], true),
        (vec!["LOGIN"], vec!["LOGIN*", "login"], false),
    ] {
        let raw = json!({"include": {"actorTypes": include}, "exclude": {"actorTypes": exclude, "actions": ["A"]}});
        if is_possible {
            filter(&raw);
        } else {
            assert_eq!(errors(&raw), [("filter.include.actorTypes", "FILTER_MATCHES_NOTHING")], "{raw}");
        }
    }
    // Other values: the lists have nothing in common.
    filter(&json!({"include": {"actions": ["A"]}, "exclude": {"actorTypes": ["A"], "targetTypes": ["A"]}}));
}

#[test]
fn errors_name_their_lists_and_repeat_no_value() {
    let raw = raw(&json!({"include": {"actions": ["a\nb"], "actorTypes": []}, "exclude": {"targetTypes": ["*"]}}));
    let text = EventFilter::try_from(raw).unwrap_err();
    for name in ["filter.include.actions", "filter.include.actorTypes", "filter.exclude.targetTypes"] {
        assert!(text.contains(name) && !text.contains("a\nb"), "{text}");
    }
    for text in [r#"{"includes": {}}"#, r#"{"include": {"action": ["A"]}}"#, r#"{"include": {"actions": "A"}}"#] {
        assert!(serde_json::from_str::<EventFilter>(text).is_err(), "{text}");
    }
}

/// The rules in a table: what passes with a list to include, and with a list to exclude.
#[test]
fn only_a_definite_match_includes_or_excludes() {
    let include = filter(&json!({"include": {"actions": ["LOG*"], "actorTypes": ["USER"], "targetTypes": ["POLICY"]}}));
    let exclude = filter(&json!({"exclude": {"actions": ["LOG*"], "actorTypes": ["USER"], "targetTypes": ["POLICY"]}}));
    for (line, is_included, is_excluded) in [
        (r#"{"action":"LOGIN","actor":{"type":"USER"},"targetType":"POLICY"}"#, true, true),
        (r#"{"targetType":"POLICY","actor":{"name":"type","type":"USER"},"action":"LOG"}"#, true, true),
        // Case counts.
        (r#"{"action":"login","actor":{"type":"User"},"targetType":"policy"}"#, false, false),
        (r#"{"Action":"LOGIN","ACTOR":{"type":"USER"},"targettype":"POLICY"}"#, false, false),
        // One of three.
        (r#"{"action":"LOGIN","actor":{"type":"SYSTEM"},"targetType":"ROLE"}"#, false, true),
        (r#"{"action":"QUERY","actor":{"type":"USER"}}"#, false, true),
        // Without the fields, or with other types.
        (r#"{"id":"1"}"#, false, false),
        (r#"{"action":null,"actor":"USER","targetType":["POLICY"]}"#, false, false),
        (r#"{"action":1,"actor":{"type":{"type":"USER"}},"targetType":{"type":"POLICY"}}"#, false, false),
        (r#"{"action":"QUERY","actor":[{"type":"USER"}],"targets":[{"type":"POLICY"}]}"#, false, false),
        // The same names elsewhere.
        (
            r#"{"auditPayload":{"action":"LOGIN","actor":{"type":"USER"},"targetType":"POLICY"},"type":"USER"}"#,
            false,
            false,
        ),
        (r#"{"x":"\",\"action\":\"LOGIN\"","y":"{","actor":{"a":[{"type":"USER"}]}}"#, false, false),
        // Escapes.
        (
            r#"{"\u0061ction":"\u004cOGIN","acto\u0072":{"typ\u0065":"U\u0053ER"},"targetType":"POL\u0049CY"}"#,
            true,
            true,
        ),
        (r#"{"action":"LOGIN\\","actor":{"type":"USER\n"},"targetType":"\"POLICY\""}"#, false, true),
        // The first of a field that occurs twice.
        (r#"{"action":"QUERY","action":"LOGIN","actor":1,"actor":{"type":"USER"}}"#, false, false),
        (r#"{"action":"LOGIN","action":"QUERY","actor":{"type":"USER","type":1},"targetType":"POLICY"}"#, true, true),
        // White space, and half of a surrogate pair: of earlier versions.
        (" { \"action\" : \"LOGIN\" , \"actor\" : { \"type\" : \"USER\" } , \"targetType\" : \"POLICY\" }", true, true),
        (r#"{"action":"LOGIN\ud800","\udc00":1,"actor":{"type":"SYSTEM"}}"#, false, false),
    ] {
        for line in [line.to_owned(), format!("{line}\n")] {
            assert_eq!(include.matches(line.as_bytes()), is_included, "{line}");
            assert_eq!(!exclude.matches(line.as_bytes()), is_excluded, "{line}");
        }
    }
}

#[test]
fn lines_that_do_not_pass_are_left_out_and_counted() {
    let filter = filter(&json!({"exclude": {"actions": ["A"]}}));
    let line = |action| format!("{{\"action\":\"{action}\"}}\n");
    let text = |actions: &str| actions.chars().map(line).collect::<String>();
    for (all, kept) in [("", ""), ("A", ""), ("BC", "BC"), ("ABAAC", "BC"), ("BAAC", "BC"), ("BA", "B"), ("AAB", "B")] {
        let all = text(all);
        let filtered = filter.apply(all.as_bytes());
        let left_out = all.lines().count() - kept.len();
        assert_eq!((&*filtered.lines, filtered.left_out), (text(kept).as_bytes(), left_out as u64), "{all}");
        assert_eq!(matches!(filtered.lines, Cow::Borrowed(_)), left_out == 0);
    }
}

/// The names and values of an object in their order, with those that occur twice.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

/// Evaluates the rules on a tree. The names of `actor` are distinct, so its tree is the same for both readers.
fn passes_by_tree(filter: &Value, line: &str) -> bool {
    let Pairs(pairs) = serde_json::from_str(line).unwrap();
    let value_of =
        |wanted| pairs.iter().find(|(name, _)| name == wanted).map_or(Value::Null, |(_, value)| value.clone());
    let values = [
        ("actions", value_of("action")),
        ("actorTypes", value_of("actor").get("type").cloned().unwrap_or_default()),
        ("targetTypes", value_of("targetType")),
    ];
    values.iter().all(|(list, value)| {
        let is_in = |side: &str| {
            let patterns = filter[side][list].as_array()?;
            Some(patterns.iter().any(|pattern| match (value.as_str(), pattern.as_str().unwrap()) {
                (None, _) => false,
                (Some(value), pattern) => match pattern.strip_suffix('*') {
                    Some(start) => value.starts_with(start),
                    None => value == pattern,
                },
            }))
        };
        is_in("include") != Some(false) && is_in("exclude") != Some(true)
    })
}

const WORDS: [&str; 8] = ["A", "AB", "ABC", "B", "ä", "", "A\"B", "\u{1f512}\n"];

/// A string of JSON, in which any character may be escaped.
fn literals(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (text, any::<u64>()).prop_map(|(text, escapes)| {
        let mut literal = String::from('"');
        for (index, character) in text.chars().enumerate() {
            let must_be_escaped = character.is_control() || matches!(character, '"' | '\\');
            // Most literals have no escape.
            if must_be_escaped || (escapes % 4 == 0 && escapes >> (index % 60 + 4) & 1 == 1) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(literal, "\\u{unit:04x}").unwrap();
                }
            } else {
                literal.push(character);
            }
        }
        literal.push('"');
        literal
    })
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(&WORDS[..]).prop_map(str::to_owned), 1 => "[ -~]{0,6}", 1 => any::<String>()]
}

fn spaces() -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just(""), 1 => Just(" "), 1 => Just("\t\r ")]
}

/// An object with distinct names, of JSON in which the names of the filter are anywhere.
fn values() -> impl Strategy<Value = String> {
    let scalars = prop_oneof![
        6 => literals(words()),
        1 => prop::sample::select(vec!["null", "true", "-1.5e3", "0", "[]", "{}", "[[{}]]"]).prop_map(str::to_owned),
    ];
    scalars.prop_recursive(3, 24, 4, |inner| {
        let names = prop::sample::select(vec!["type", "action", "actor", "targetType", "x}", "y\"]", ""]);
        let fields = prop::collection::btree_map(names, (inner.clone(), spaces(), any::<u64>()), 0..4);
        let fields = fields.prop_flat_map(|fields| {
            let fields: Vec<_> = fields
                .into_iter()
                .map(|(name, (value, space, _))| {
                    literals(Just(name.to_owned())).prop_map(move |name| format!("{space}{name}{space}:{space}{value}"))
                })
                .collect();
            fields.prop_map(|fields| format!("{{{}}}", fields.join(",")))
        });
        prop_oneof![fields, prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(",")))]
    })
}

fn lines() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec!["action", "actor", "targetType", "id", "Action", "type"]);
    let name = literals(names.prop_map(str::to_owned));
    let value = prop_oneof![2 => literals(words()), 3 => values()];
    let field = (name, spaces(), value).prop_map(|(name, space, value)| format!("{space}{name}{space}:{value}{space}"));
    prop::collection::vec(field, 0..7).prop_map(|fields| format!("{{{}}}", fields.join(",")))
}

fn filters() -> impl Strategy<Value = Value> {
    let pattern = prop::sample::select(vec!["A", "AB", "A*", "AB*", "ä", "ä*", "B", "NONE"]);
    let list = prop::option::weighted(0.4, prop::collection::vec(pattern, 1..3));
    let side = prop::array::uniform3(list).prop_map(|[actions, actor_types, target_types]| {
        json!({"actions": actions, "actorTypes": actor_types, "targetTypes": target_types})
    });
    (side.clone(), side).prop_map(|(include, exclude)| json!({"include": include, "exclude": exclude}))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_scanned_line_passes_as_its_tree_does(filter in filters(), line in lines()) {
        if let Ok(parsed) = EventFilter::parse(&raw(&filter)) {
            prop_assert_eq!(parsed.matches(line.as_bytes()), passes_by_tree(&filter, &line));
        }
    }

    #[test]
    fn a_damaged_line_ends_the_scan(line in lines(), end in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let parsed = filter(&json!({"include": {"actions": ["A"], "actorTypes": ["A"], "targetTypes": ["A"]}}));
        let mut damaged = line.into_bytes();
        let end = end.index(damaged.len());
        damaged[end] = byte;
        let _ = (parsed.matches(&damaged), parsed.matches(&damaged[..end]));
        damaged.truncate(end);
        // Without its end, an event has at most the values that it had.
        let _ = parsed.apply(&damaged);
    }
}

#[test]
fn a_tag_is_the_beginning_of_the_hash() {
    let filter = filter(&json!({"include": {"actions": ["LOGIN"]}}));
    let hash = filter.sha256().to_string();
    assert_eq!(filter.tag().to_string(), hash[..8]);
    assert_eq!(hash[..8].parse(), Ok(filter.tag()));
    for bad in ["", "0123456", "012345678", "0123456G", "0123456A"] {
        assert!(bad.parse::<FilterTag>().is_err(), "{bad}");
    }
}

#[test]
fn the_times_of_lines_are_those_of_their_events() {
    let at = |time: &str| Timestamp::parse(time).unwrap();
    let lines = concat!(
        r#"{"id":"1","eventTimestamp":"2026-11-22T09:00:00.5+01:00","a":{"eventTimestamp":"2000-01-01T00:00:00Z"}}"#,
        "\n",
        r#"{"x":"\\","eventTimestamp":"2026-11-22T07:59:59Z","id":"2"}"#,
        "\n",
        r#"{"eventTimestamp":"2026-11-22T08:00:00Z","id":"3"}"#,
        "\n",
    );
    let times = Some((at("2026-11-22T07:59:59Z"), at("2026-11-22T08:00:00.5Z")));
    assert_eq!(event_times(lines.as_bytes()), times);
    for without in ["", "{\"id\":\"1\"}\n", "{\"eventTimestamp\":7}\n", "{\"eventTimestamp\":\"now\"}\n", "\n"] {
        assert_eq!(event_times(without.as_bytes()), None, "{without}");
        assert_eq!(event_times(format!("{lines}{without}").as_bytes()), times.filter(|_| without.is_empty()));
    }
}
