//! What the mapping makes of odd and of ordinary events. The records are committed beside this file, where the tests in
//! `infra/lint/test_ocsf.py` validate them with the schema's own published rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use domain::ocsf::{Class, OwnRules, Version};
use golden_documents::assert_current;
use serde_json::{Value, value::RawValue};
use strum::VariantArray;

use crate::{ClassFile, Column, Kind, Table, columns, map};

const UPDATE: &str = "cargo test -p ocsf";

/// Longer lines are left to `make ocsf`.
const LONGEST_LINE: usize = 4_096;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn table() -> Table {
    Table::new(&OwnRules::default()).unwrap()
}

/// Returns the events of events.ndjson, which have one of everything that the mapping knows, and the odd ones that the service
/// accepts, as lines of an export.
fn lines() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let odd = fs::read_to_string(root.join("tests/e2e/accepted_events.1.ndjson")).unwrap();
    let odd = odd.lines().map(|line| {
        let named: Value = serde_json::from_str(line).unwrap();
        let event = repeated(named["event"].as_str().unwrap());
        let fields = event.strip_suffix('}').unwrap();
        format!("{fields},\"tenantId\":\"acme\",\"receivedTimestamp\":\"2026-02-01T00:00:00.123Z\"}}")
    });
    let odd = odd.filter(|line| line.len() <= LONGEST_LINE);
    let ordinary = fs::read_to_string(folder().join("events.ndjson")).unwrap();
    ordinary.lines().map(str::to_owned).chain(odd).collect()
}

/// Expands `<<x*3>>` to `xxx`, as the file of odd events writes long ones.
fn repeated(text: &str) -> String {
    let mut parts = text.split("<<");
    let mut expanded = parts.next().unwrap().to_owned();
    for part in parts {
        let (inner, rest) = part.split_once(">>").unwrap();
        let (repeated, count) = inner.rsplit_once('*').unwrap();
        expanded += &repeated.repeat(count.parse().unwrap());
        expanded += rest;
    }
    expanded
}

fn records(version: Version) -> Vec<Value> {
    let table = table();
    let map = |line: &String| serde_json::to_value(map(line.as_bytes(), version, &table).unwrap()).unwrap();
    lines().iter().map(map).collect()
}

#[test]
fn the_committed_records_are_those_of_the_mapping() {
    let table = table();
    for version in Version::VARIANTS {
        let mut text = String::new();
        for line in lines() {
            text += &serde_json::to_string(&map(line.as_bytes(), *version, &table).unwrap()).unwrap();
            text.push('\n');
        }
        assert_current(&folder().join(format!("records.{version}.ndjson")), &text, UPDATE);
    }
}

/// Compares a file with the committed one, which the test in Python reads back.
#[test]
fn the_committed_files_are_those_of_the_records() {
    let (table, lines) = (table(), lines());
    for version in Version::VARIANTS {
        let mut records: Vec<_> = lines.iter().map(|line| map(line.as_bytes(), *version, &table).unwrap()).collect();
        records.sort_by_key(|record| record.time);
        for class in Class::VARIANTS {
            let mut file = ClassFile::new(*class, *version).unwrap();
            for record in records.iter().filter(|record| record.class == *class) {
                file.push(record).unwrap();
            }
            let file = file.finish().unwrap();
            let path = folder().join(format!("{}.{version}.parquet", class.to_string().to_lowercase()));
            if std::env::var_os("UPDATE_DOCS").is_some() {
                fs::write(&path, &file).unwrap();
            }
            assert!(
                fs::read(&path).is_ok_and(|committed| committed == file),
                "{}: UPDATE_DOCS=1 {UPDATE}",
                path.display()
            );
        }
    }
}

#[test]
fn the_committed_columns_are_those_of_the_records() {
    let of_version = |version: &Version| {
        let classes = Class::VARIANTS.iter().map(|class| (class.caption(), columns(*class, *version)));
        (version.to_string(), classes.collect::<BTreeMap<_, _>>())
    };
    let all: BTreeMap<_, _> = Version::VARIANTS.iter().map(of_version).collect();
    let text = serde_json::to_string_pretty(&all).unwrap() + "\n";
    assert_current(&folder().join("columns.json"), &text, UPDATE);
}

/// Compares a record with the columns, and notes the path of each column that it has.
fn check(path: &str, value: &Value, columns: &[Column], seen: &mut BTreeSet<String>) {
    let fields = value.as_object().unwrap_or_else(|| unreachable!("{path} is no object"));
    for name in fields.keys() {
        assert!(columns.iter().any(|column| column.name == name), "{path}.{name} has no column");
    }
    for column in columns {
        let path = format!("{path}.{}", column.name);
        let Some(value) = fields.get(column.name) else {
            assert!(!column.required, "{path} is missing");
            continue;
        };
        check_kind(&path, value, &column.kind, seen);
        seen.insert(path);
    }
}

fn check_kind(path: &str, value: &Value, kind: &Kind, seen: &mut BTreeSet<String>) {
    match kind {
        Kind::Text => assert!(value.is_string(), "{path}"),
        Kind::Integer => assert!(value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()), "{path}"),
        Kind::Long => assert!(value.is_i64(), "{path}"),
        Kind::Struct(columns) => check(path, value, columns, seen),
        Kind::List(kind) => {
            value.as_array().unwrap().iter().for_each(|element| check_kind(path, element, kind, seen));
        }
        Kind::TextMap => assert!(value.as_object().unwrap().values().all(Value::is_string), "{path}"),
    }
}

fn paths(path: &str, columns: &[Column], all: &mut BTreeSet<String>) {
    for column in columns {
        let path = format!("{path}.{}", column.name);
        let mut kind = &column.kind;
        if let Kind::List(element) = kind {
            kind = element;
        }
        if let Kind::Struct(columns) = kind {
            paths(&path, columns, all);
        }
        all.insert(path);
    }
}

/// Each column of each class is in some record, and each attribute of a record has a column.
#[test]
fn records_and_columns_agree() {
    for version in Version::VARIANTS {
        let records = records(*version);
        for class in Class::VARIANTS {
            let columns = columns(*class, *version);
            let (mut seen, mut all) = (BTreeSet::new(), BTreeSet::new());
            paths(class.caption(), &columns, &mut all);
            for record in records.iter().filter(|record| record["class_uid"] == class.uid()) {
                check(class.caption(), record, &columns, &mut seen);
            }
            assert_eq!(all.difference(&seen).collect::<Vec<_>>(), Vec::<&String>::new(), "version {version}");
        }
    }
}

/// Every field of an event is in the record under an attribute that has its value, or in `unmapped`.
#[test]
fn no_field_is_lost_beside_the_raw_line() {
    for version in Version::VARIANTS {
        for (line, record) in lines().iter().zip(records(*version)) {
            assert_eq!(record["raw_data"], **line);
            let event: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
            for (name, value) in event {
                if let Some(kept) = record["unmapped"][&name].as_str() {
                    assert_eq!(kept, value.get(), "{name} of {line}");
                    continue;
                }
                let attributes = serde_json::to_string(&record).unwrap();
                for text in texts(&serde_json::from_str(value.get()).unwrap()) {
                    let found = ["eventTimestamp", "receivedTimestamp", "actorIp"].contains(&name.as_str())
                        || attributes.to_lowercase().contains(&serde_json::to_string(&text).unwrap().to_lowercase());
                    assert!(found, "{name} of {line} is lost: {text}");
                }
            }
        }
    }
}

/// Returns the texts and numbers within a value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(elements) => elements.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}
