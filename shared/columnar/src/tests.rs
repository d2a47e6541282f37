//! What readers find in a file. The reader is that of the crate `parquet`, the truth `serde_json`'s.

use std::{fmt, fs, path::Path};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use parquet::{
    basic::Encoding,
    bloom_filter::Sbbf,
    file::{
        metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader},
        reader::{FileReader, SerializedFileReader},
    },
    record::Field,
};
use proptest::prelude::*;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, json, value::RawValue};
use sha2::{Digest, Sha256};

use crate::{ENCODER_VERSION, EncodeError, PARQUET_RAW_LENGTH, ParquetEncoder};

fn encode(lines: &[u8]) -> Result<Bytes, EncodeError> {
    let mut encoder = ParquetEncoder::new(ENCODER_VERSION)?;
    encoder.push_lines(lines)?;
    encoder.finish()
}

/// Reads all rows. Times are numbers of microseconds.
fn rows(file: &Bytes) -> Vec<Map<String, Value>> {
    let reader = SerializedFileReader::new(file.clone()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| object(row.unwrap().get_column_iter())).collect()
}

fn object<'row>(columns: impl Iterator<Item = (&'row String, &'row Field)>) -> Map<String, Value> {
    columns.map(|(name, field)| (name.clone(), value(field))).collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Str(text) => json!(text),
        Field::TimestampMicros(micros) => json!(micros),
        Field::Group(row) => Value::Object(object(row.get_column_iter())),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => panic!("{other:?}"),
    }
}

/// An object with the exact texts of its values, in order.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Fields(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl Fields {
    /// Returns the text of a field that occurs once.
    fn raw(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(other, _)| other == name);
        found.next().filter(|_| found.next().is_none()).map(|(_, value)| value.get())
    }

    fn text(&self, name: &str) -> Value {
        self.raw(name).and_then(|raw| serde_json::from_str::<String>(raw).ok()).map_or(Value::Null, Value::String)
    }

    fn text_or_digits(&self, name: &str) -> Value {
        match self.raw(name) {
            Some(raw) if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => json!(raw),
            _ => self.text(name),
        }
    }

    fn time(&self, name: &str) -> Value {
        let Value::String(text) = self.text(name) else { return Value::Null };
        match domain::time::Timestamp::parse(&text) {
            Ok(time) => json!(time.as_millis() * 1_000),
            Err(_) => Value::Null,
        }
    }
}

fn elements(raw: Option<&str>) -> Value {
    let Some(elements) = raw.and_then(|raw| serde_json::from_str::<Vec<Box<RawValue>>>(raw).ok()) else {
        return Value::Null;
    };
    let element = |raw: &RawValue| {
        serde_json::from_str::<Fields>(raw.get()).map_or(Value::Null, |fields| {
            json!({"id": fields.text_or_digits("id"), "name": fields.text("name"), "type": fields.text("type")})
        })
    };
    elements.iter().map(|raw| element(raw)).collect()
}

const TEXTS: [&str; 9] = [
    "id",
    "tenantId",
    "action",
    "actionStatus",
    "actionStatusReason",
    "actorIp",
    "targetType",
    "requestId",
    "sessionId",
];
const KNOWN: [&str; 6] =
    ["eventTimestamp", "receivedTimestamp", "actor", "targets", "relatedResources", "auditPayload"];

/// Returns the row of a line without fractions of milliseconds in its times.
fn expected(line: &str) -> Map<String, Value> {
    let fields: Fields = serde_json::from_str(line).unwrap();
    let mut row = Map::new();
    for name in TEXTS {
        row.insert(name.to_owned(), fields.text(name));
    }
    for name in ["eventTimestamp", "receivedTimestamp"] {
        row.insert(name.to_owned(), fields.time(name));
    }
    let actor = fields.raw("actor").and_then(|raw| serde_json::from_str::<Fields>(raw).ok());
    let actor = actor.map_or(Value::Null, |actor| {
        let text = |name| actor.text(name);
        json!({
            "id": text("id"), "name": text("name"), "type": text("type"), "identityProvider": text("identityProvider"),
            "profileId": actor.text_or_digits("profileId"), "issuer": text("issuer"),
        })
    });
    row.insert("actor".to_owned(), actor);
    row.insert("targets".to_owned(), elements(fields.raw("targets")));
    row.insert("relatedResources".to_owned(), elements(fields.raw("relatedResources")));
    row.insert("auditPayload".to_owned(), fields.raw("auditPayload").map_or(Value::Null, |raw| json!(raw)));
    row.insert("event".to_owned(), json!(line));
    row
}

fn others(json: &str) -> Vec<(String, String)> {
    let fields: Fields = serde_json::from_str(json).unwrap();
    fields.0.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect()
}

/// Checks the rows of lines against `serde_json`.
fn check(lines: &[String]) {
    let file = encode(&joined(lines)).unwrap();
    let rows = rows(&file);
    assert_eq!(rows.len(), lines.len());
    for (mut row, line) in rows.into_iter().zip(lines) {
        let mut expected_others = others(line);
        expected_others.retain(|(name, _)| !TEXTS.contains(&name.as_str()) && !KNOWN.contains(&name.as_str()));
        let found = row.remove("otherFields").unwrap();
        assert_eq!(found.as_str().map(others).unwrap_or_default(), expected_others, "{line}");
        assert_eq!(found.is_null(), expected_others.is_empty());
        assert_eq!(row, expected(line), "{line}");
    }
}

#[test]
fn an_event_of_the_audit_model() {
    let line = r#"{"id":"8c6a","action":"QUERY","actionStatus":"FAILURE","actionStatusReason":"Timed \"out\"","actor":{"id":"u-1","name":"Zoë","type":"USER_ACTOR","identityProvider":"okta","profileId":120},"actorIp":"10.0.0.1","eventTimestamp":"2026-01-31T23:59:59.123Z","targetType":"DATASOURCE","targets":[{"id":1001,"name":"orders","type":"DATASOURCE"},{"id":"x"}],"auditPayload":{"rows":12},"requestId":"r","sessionId":"s","tenantId":"acme","receivedTimestamp":"2026-02-01T00:00:00.001Z"}"#;
    let file = encode(format!("{line}\n").as_bytes()).unwrap();
    let row = Value::Object(rows(&file).remove(0));
    assert_eq!(
        row,
        json!({
            "id": "8c6a", "eventTimestamp": 1_769_903_999_123_000_i64, "receivedTimestamp": 1_769_904_000_001_000_i64,
            "tenantId": "acme", "action": "QUERY", "actionStatus": "FAILURE", "actionStatusReason": "Timed \"out\"",
            "actor": {
                "id": "u-1", "name": "Zoë", "type": "USER_ACTOR", "identityProvider": "okta", "profileId": "120",
                "issuer": null,
            },
            "actorIp": "10.0.0.1", "targetType": "DATASOURCE",
            "targets": [
                {"id": "1001", "name": "orders", "type": "DATASOURCE"}, {"id": "x", "name": null, "type": null},
            ],
            "relatedResources": null, "requestId": "r", "sessionId": "s", "auditPayload": "{\"rows\":12}",
            "otherFields": null, "event": line,
        })
    );
}

#[test]
fn odd_events() {
    let lines = [
        "{}",
        r#"{"actor":"someone","targets":7,"relatedResources":{"id":"1"},"auditPayload":null}"#,
        r#"{"actor":{"id":17,"name":null},"targets":[],"relatedResources":[null,[],{},"x",{"id":1e400}]}"#,
        r#"{"actor":{},"targets":[[{"id":"nested"}]],"ID":"upper","Actor":{"id":"x"},"event":"own","otherFields":1}"#,
        r#"{"\u0069d":"escaped","act\u006fr":{"\u006eame":"\ud83d\ude00\u0000"},"\u00e9":1,"é ":2}"#,
        r#"{"big":123456789012345678901234567890.10,"b":1,"a":2,"deep":[[[{"x":[]}]]]}"#,
        // Events of earlier versions.
        r#"{"id":"a","id":"b","actor":{"id":"a"},"actor":{"name":"b"},"targets":[{"id":"1","id":"2"}],"x":1,"x":2}"#,
        r#"{"id":"\ud800","\udc00":1,"actor":{"\udc00":1},"eventTimestamp":"\ud800"}"#,
        r#"{ "id" : "spaces" , "targets" : [ { "id" : "1" } , { } ] , "other" : [ 1 ] }"#,
        r#"{"eventTimestamp":1769903999,"receivedTimestamp":"yesterday","id":5,"action":true,"actorIp":[]}"#,
    ];
    for line in lines {
        // serde_json has no text for half of a pair.
        if line.contains("\\udc00") {
            let row = rows(&encode(format!("{line}\n").as_bytes()).unwrap()).remove(0);
            assert_eq!((&row["id"], &row["event"]), (&Value::Null, &json!(line)));
            assert_eq!(row["otherFields"], r#"{"\udc00":1}"#);
        } else {
            check(&[line.to_owned()]);
        }
    }
}

/// JSON that an event may hold, as text: keys escaped or not, any numbers.
fn any_json() -> impl Strategy<Value = String> {
    let text = prop_oneof!["[a-zé\u{1F600}\" \\\\\n\u{1}]{0,12}"].prop_map(|text| json!(text).to_string());
    let leaf = prop_oneof![
        text.clone(),
        text.prop_map(|text| text.replace('a', "\\u0061")),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("\"2026-01-31T23:59:59.123+01:00\"".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            any_object(inner, 4),
        ]
    })
}

fn any_object(value: impl Strategy<Value = String>, size: usize) -> impl Strategy<Value = String> {
    let names =
        TEXTS.iter().chain(&KNOWN).chain(&["name", "type", "id", "ID", "profileId", "issuer", "Actor", "event"]);
    let names: Vec<&str> = names.copied().collect();
    let name = (prop::sample::select(names), any::<bool>()).prop_map(|(name, is_escaped)| {
        if is_escaped { json!(name).to_string().replace('d', "\\u0064") } else { json!(name).to_string() }
    });
    prop::collection::vec((name, value), 0..size).prop_map(|fields| {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

proptest! {
    #[test]
    fn rows_are_what_serde_reads(lines in prop::collection::vec(any_object(any_json(), 10), 1..12)) {
        check(&lines);
    }

    #[test]
    fn a_changed_line_is_refused_or_still_json(line in any_object(any_json(), 6), place: prop::sample::Index, byte: u8) {
        let mut line = line.into_bytes();
        let place = place.index(line.len());
        line[place] = byte;
        let text = String::from_utf8(line.clone());
        let is_object = text.is_ok_and(|text| {
            text.starts_with('{') && !text.contains('\n') && serde_json::from_str::<&RawValue>(&text).is_ok()
        });
        line.push(b'\n');
        prop_assert_eq!(encode(&line).is_ok(), is_object, "{:?}", String::from_utf8_lossy(&line));
    }
}

#[test]
fn a_malformed_line_is_named() {
    let mut encoder = ParquetEncoder::new(ENCODER_VERSION).unwrap();
    encoder.push_lines(b"{}\n{\"a\":1}\n").unwrap();
    let error = encoder.push_lines(b"{}\n{\"a\":01}\n").unwrap_err();
    assert_eq!(error.to_string(), "line 2, byte 6: not a JSON object on one line");
    for (lines, expected) in [
        (b"{}".as_slice(), "line 1: no line feed at its end"),
        (b"{\"\xFF\":1}\n", "line 1, byte 3: not UTF-8"),
        (b"{}\n{\"a\":1}\n{\"a\xFF\":1}\n", "line 3, byte 4: not UTF-8"),
        (b"\n", "line 1, byte 1: not a JSON object on one line"),
        (b"[]\n", "line 1, byte 1: not a JSON object on one line"),
        (b"{}{}\n", "line 1, byte 3: not a JSON object on one line"),
    ] {
        assert_eq!(encode(lines).unwrap_err().to_string(), expected);
    }
    assert!(matches!(ParquetEncoder::new(1), Err(EncodeError::UnknownVersion(1))));
}

/// Lines that fill several pages, and more dictionaries than may stay.
fn corpus(count: u64) -> Vec<String> {
    let line = |number: u64| {
        // Spreads out (SplitMix64).
        let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^= mixed >> 31;
        let time = domain::time::Timestamp::from_millis(1_767_225_600_000 + number * 250).unwrap();
        let actor = match number % 50 {
            0 => "\"someone\"".to_owned(),
            1 => format!(r#"{{"id":{number}}}"#),
            _ => format!(
                r#"{{"id":"user-{}@example.com","name":"Zoë {}","type":"USER_ACTOR","profileId":{}}}"#,
                mixed % 90_000,
                mixed % 200,
                mixed % 300
            ),
        };
        let targets: Vec<String> = (0..mixed % 4)
            .map(|target| {
                let id = mixed.rotate_left(u32::try_from(target * 7).unwrap()) % 50_000;
                format!(r#"{{"id":{id},"name":"table \"{}\"","type":"DATASOURCE"}}"#, mixed % 700)
            })
            .collect();
        format!(
            r#"{{"id":"{mixed:016x}-{number}","action":"{}","actor":{actor},"eventTimestamp":"{time}","targets":[{}],"auditPayload":{{"query":"SELECT {}","rows":{}}},"sessionId":"{:08x}","x-{}":{mixed},"tenantId":"acme","receivedTimestamp":"{time}"}}"#,
            ["QUERY", "LOGIN", "UPDATE"][usize::try_from(mixed % 3).unwrap()],
            targets.join(","),
            mixed % 10_000,
            mixed % 977,
            mixed % 512,
            number % 3,
        )
    };
    (0..count).map(line).collect()
}

fn joined(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

#[test]
fn the_same_lines_always_become_the_same_bytes_in_version_201() {
    let lines = corpus(100_000);
    let file = encode(&joined(&lines)).unwrap();
    let hash = HEXLOWER.encode(&Sha256::digest(&file));
    assert_eq!(hash, "2d9f7113379876136d48847522972b7a2b798a687a8dc57add5114b01a5d5769");
    let mut encoder = ParquetEncoder::new(ENCODER_VERSION).unwrap();
    for (number, lines) in lines.chunk_by(|_, next| !next.contains("\"LOGIN\"")).enumerate() {
        encoder.push_lines(&joined(lines)).unwrap();
        if number % 100 == 0 {
            encoder.push_lines(b"").unwrap();
        }
    }
    assert!(encoder.finish().unwrap() == file);
}

/// `infra/lint/test_parquet.py` reads the same file with `DuckDB`.
#[test]
fn the_golden_file_is_what_the_encoder_makes() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let lines = fs::read(golden.join("events.ndjson")).unwrap();
    let file = encode(&lines).unwrap();
    let path = golden.join("events.parquet");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &file).unwrap();
    }
    assert!(fs::read(&path).unwrap() == file, "run UPDATE_DOCS=1 cargo test -p columnar golden");
    let lines: Vec<&str> = std::str::from_utf8(&lines).unwrap().lines().collect();
    let events: Vec<Value> = rows(&file).iter_mut().map(|row| row.remove("event").unwrap()).collect();
    assert_eq!(events, lines);
}

fn metadata(file: &Bytes) -> ParquetMetaData {
    ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required).parse_and_finish(file).unwrap()
}

#[test]
fn a_file_says_what_made_it() {
    let file = encode(b"{}\n").unwrap();
    let metadata = metadata(&file);
    let file = metadata.file_metadata();
    assert_eq!(file.created_by(), Some("audit-export version 201"));
    let pairs: Vec<(&str, &str)> = file
        .key_value_metadata()
        .unwrap()
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap()))
        .collect();
    assert_eq!(pairs, [("audit-export.producer", "audit-export"), ("audit-export.schemaVersion", "1")]);
}

#[test]
fn a_file_without_events_has_no_row_group() {
    let file = encode(b"").unwrap();
    assert_eq!(rows(&file).len(), 0);
    assert_eq!(SerializedFileReader::new(file).unwrap().metadata().num_row_groups(), 0);
}

#[test]
fn long_events_make_pages_of_at_most_1_mib() {
    let long = |number: usize| format!(r#"{{"id":"{number}","auditPayload":"{}"}}"#, "x".repeat(262_000));
    let tiny = format!(r#"{{"targets":[{}]}}"#, vec!["0"; 130_000].join(","));
    let lines: Vec<String> = (0..9).map(long).chain((0..9).map(|_| tiny.clone())).collect();
    let file = encode(&joined(&lines)).unwrap();
    let read = rows(&file);
    assert!(lines.iter().zip(&read).all(|(line, row)| row["event"] == json!(line)) && read.len() == lines.len());
    let reader = SerializedFileReader::new(file).unwrap();
    let group = reader.get_row_group(0).unwrap();
    for column in 0..group.num_columns() {
        let mut pages = group.get_column_page_reader(column).unwrap();
        while let Some(page) = pages.get_next_page().unwrap() {
            assert!(page.buffer().len() <= 1024 * 1024, "{}", page.buffer().len());
        }
    }
}

/// Pages are only looked at between some lines, so the shortest events make the longest pages.
#[test]
fn short_events_make_pages_of_about_20_000_rows() {
    let [sent, received] = ["2026-11-22T00:00:00Z", "2026-11-22T00:00:00.000Z"];
    let line = format!(r#"{{"id":"1","eventTimestamp":"{sent}","tenantId":"a","receivedTimestamp":"{received}"}}"#);
    let file = encode(&joined(&vec![line; 90_000])).unwrap();
    let metadata = metadata(&file);
    let index = metadata.page_index_for_row_group(0);
    let lengths = |column: usize| -> Vec<i64> {
        let pages = index.page_locations(column).unwrap();
        pages.windows(2).map(|pair| pair[1].first_row_index - pair[0].first_row_index).collect()
    };
    let largest = (0..metadata.row_group(0).num_columns()).flat_map(lengths).max().unwrap();
    assert!((20_000..20_200).contains(&largest), "{largest}");
}

#[test]
fn readers_can_skip() {
    let lines = corpus(100_000);
    let file = encode(&joined(&lines)).unwrap();
    let metadata = metadata(&file);
    let group = metadata.row_group(0);
    let index = metadata.page_index_for_row_group(0);
    for (number, column) in group.columns().iter().enumerate() {
        let path = column.column_path().string();
        let is_json = matches!(path.as_str(), "auditPayload" | "otherFields" | "event");
        assert_eq!(index.column_index(number).is_some(), !is_json, "{path}");
        assert_eq!(column.statistics().is_some(), !is_json, "{path}");
        assert!(index.page_locations(number).unwrap().len() > 4, "{path}");
    }
    let filters: Vec<(String, Sbbf)> = group
        .columns()
        .iter()
        .filter_map(|column| {
            let filter = Sbbf::read_from_column_chunk(column, &file).unwrap()?;
            Some((column.column_path().string(), filter))
        })
        .collect();
    let names: Vec<&str> = filters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["actor.id", "targets.list.element.id"]);
    let read = rows(&file);
    for row in read.iter().step_by(97) {
        if let Some(id) = row["actor"]["id"].as_str() {
            assert!(filters[0].1.check(id));
        }
        for target in row["targets"].as_array().unwrap() {
            assert!(filters[1].1.check(target["id"].as_str().unwrap()));
        }
    }
    for (_, filter) in &filters {
        let wrong = (0..10_000).filter(|number| filter.check(format!("absent-{number}").as_str())).count();
        assert!(wrong < 200, "{wrong} of 10,000");
    }
}

/// Readers lack the other encodings, or have them only since lately.
#[test]
fn pages_have_the_encodings_that_every_reader_has() {
    let metadata = metadata(&encode(&joined(&corpus(40_000))).unwrap());
    for column in metadata.row_group(0).columns() {
        let common = [Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY];
        assert!(column.encodings().all(|encoding| common.contains(&encoding)), "{column:?}");
    }
}

/// Nothing but texts of `U+10FFFF` has no short maximum.
#[test]
fn bounds_of_long_texts_exclude_none() {
    let last = "\u{10FFFF}".repeat(60_000);
    let line = |number: usize| {
        let name = if number == 7 { last.clone() } else { format!("{number}{}", "x".repeat(100_000)) };
        format!(r#"{{"action":"{number:02}{}","actor":{{"name":"{name}"}}}}"#, "é".repeat(60_000))
    };
    let lines: Vec<String> = (0..30).map(line).collect();
    let file = encode(&joined(&lines)).unwrap();
    let read = rows(&file);
    assert!(lines.iter().zip(&read).all(|(line, row)| row["event"] == json!(line)) && read.len() == lines.len());
    let metadata = metadata(&file);
    let (group, index) = (metadata.row_group(0), metadata.page_index_for_row_group(0));
    let place = |path| group.columns().iter().position(|column| column.column_path().string() == path).unwrap();
    let (action, name) = (place("action"), place("actor.name"));
    let statistics = group.column(name).statistics().unwrap();
    assert!(statistics.min_bytes_opt().is_some() && statistics.max_bytes_opt().is_none());
    assert!(index.column_index(name).is_none() && index.column_index(action).is_some());
    let statistics = group.column(action).statistics().unwrap();
    let (min, max) = (statistics.min_bytes_opt().unwrap(), statistics.max_bytes_opt().unwrap());
    assert!(min.len() <= 64 && max.len() <= 67 && !statistics.min_is_exact() && !statistics.max_is_exact());
    for row in &read {
        let text = row["action"].as_str().unwrap().as_bytes();
        assert!(min <= text && text <= max);
    }
}

#[test]
fn a_row_group_has_at_most_128_mb() {
    // Nothing but a payload: everything is stored twice.
    let line = |number: u64| format!("{{\"auditPayload\":\"{}{number:06}\"}}", "x".repeat(1_000));
    let mut encoder = ParquetEncoder::new(ENCODER_VERSION).unwrap();
    let mut number = 0;
    while encoder.raw_length() < PARQUET_RAW_LENGTH {
        encoder
            .push_lines(&joined(
                &(0..1_000)
                    .map(|_| {
                        number += 1;
                        line(number)
                    })
                    .collect::<Vec<_>>(),
            ))
            .unwrap();
    }
    let file = encoder.finish().unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 1);
    let length = reader.metadata().row_group(0).total_byte_size();
    assert!((110_000_000..=128_000_000).contains(&length), "{length}");
}
