//! The corpus of exports that the page's verifier, a second implementation of the rules, is compared on: options, files, and
//! the report of this crate. functions/page/web/test/verification.test.ts reads it.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use domain::{
    digest::{Digest, Gap},
    export_format::ExportFormat,
    ocsf::OwnRules,
};
use serde_json::{Value, json};
use verification::{BreakCode, Circumstances, ExpectationSource, Origin, Place, PublicKeys};

use super::{
    CASES, Case, LOGIN, LOGINS, QUERY, Signer, add_filtered, add_filters, add_formats, add_lake, at, at_start,
    copy_of_digest, gap, move_after, plant, sha256, skip,
};

/// Files with more bytes than this are written as a length and one byte, of which they have to consist.
const MAX_WRITTEN: usize = 1024 * 1024;

/// The number of random changes of each kind of digest.
const RANDOM_CHANGES: u64 = 80;

/// The cases, and the bytes of their files by hash.
#[derive(Default)]
struct Corpus {
    cases: Vec<Value>,
    keys: Vec<Value>,
    bytes: BTreeMap<String, Value>,
}

impl Corpus {
    /// Adds a case, without the decoding of objects, which the page does not do.
    fn add(&mut self, name: &str, case: &mut Case) {
        case.options.deep = false;
        let report = case.verify();
        let options = &case.options;
        let Circumstances { target, verified_at, program } = &report.circumstances;
        let known: Vec<_> = options.keys.fingerprints().collect();
        let pems: Vec<_> = case.pems.iter().filter(|(hash, _)| known.contains(hash)).map(|(_, pem)| pem).collect();
        let files: BTreeMap<&str, String> =
            case.export.files.iter().map(|(name, bytes)| (name.as_str(), self.keep(bytes))).collect();
        self.cases.push(json!({
            "name": name,
            "keys": pems,
            "place": options.place.as_ref().map(Place::to_string),
            "configurationId": options.configuration_id,
            "since": options.since,
            "wholeRequired": options.whole_required,
            "provenRequired": options.proven_required,
            "origin": format!("{:?}", options.origin).to_uppercase(),
            "expectation": options.expectation,
            "target": target,
            "verifiedAt": verified_at,
            "program": program,
            "files": files,
            "code": report.breaks.first().map(|broken| broken.code),
            // As text: JavaScript would round its integers.
            "report": serde_json::to_string(&report).unwrap(),
        }));
    }

    fn add_key(&mut self, pem: &str) {
        let mut keys = PublicKeys::default();
        let error = keys.add_pem(pem).err().map(|error| error.to_string());
        let fingerprints: Vec<String> = keys.fingerprints().map(|hash| hash.to_string()).collect();
        self.keys.push(json!({"pem": pem, "error": error, "fingerprints": fingerprints}));
    }

    fn keep(&mut self, bytes: &Bytes) -> String {
        let hash = sha256(bytes).to_string();
        self.bytes.entry(hash.clone()).or_insert_with(|| {
            if bytes.len() > MAX_WRITTEN {
                assert!(bytes.iter().all(|byte| *byte == bytes[0]));
                return json!({"byte": bytes[0], "length": bytes.len()});
            }
            // A character for each byte.
            bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into()
        });
        hash
    }

    fn write(&self, path: &Path) {
        let codes: BTreeMap<&str, &str> =
            BreakCode::ALL.iter().map(|code| (code.as_str(), code.explanation())).collect();
        let corpus = json!({"codes": codes, "bytes": self.bytes, "keys": self.keys, "cases": self.cases});
        std::fs::write(path, corpus.to_string()).unwrap();
    }
}

/// Writes the corpus to `target/tmp/verification-corpus.json`.
#[test]
fn the_corpus_of_the_page_is_written() {
    let mut corpus = Corpus::default();
    add_tampering(&mut corpus);
    add_flipped_bytes(&mut corpus);
    add_removed_files(&mut corpus);
    add_planted_files(&mut corpus);
    add_names(&mut corpus);
    add_numbers(&mut corpus);
    add_spellings(&mut corpus);
    add_random_changes(&mut corpus);
    add_keys(&mut corpus);
    corpus.write(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("verification-corpus.json"));
}

fn add_tampering(corpus: &mut Corpus) {
    for ((name, tamper, _), is_tagged) in CASES.iter().flat_map(|case| [(case, true), (case, false)]) {
        for origin in [None, Some(Origin::Copy)] {
            let mut case = Case::with_names(is_tagged);
            tamper(&mut case);
            case.options.origin = origin.unwrap_or(case.options.origin);
            corpus.add(&format!("{name}; tagged: {is_tagged}; origin: {origin:?}"), &mut case);
        }
    }
    let mut case = Case::new();
    move_after(&mut case, 3);
    case.export.flip(&case.export.objects[4].clone(), 30);
    case.export.swap(&case.export.objects[5].clone(), &case.export.objects[6].clone());
    case.export.files.insert("date=2026-11-22/\u{1b}[2Jgone\u{202E}".to_owned(), Bytes::new());
    corpus.add("several breaks", &mut case);
    let mut case = Case::new();
    case.options.origin = Origin::Copy;
    for number in 0..150 {
        case.export.files.insert(format!("_digests/{number}.json"), Bytes::from_static(b"x"));
        case.export.files.insert(format!("_digests/._{number}"), Bytes::from_static(b"x"));
    }
    case.export.flip(&case.export.objects[0].clone(), 30);
    corpus.add("more breaks than are listed", &mut case);
}

/// Flips bytes of the chain and of objects.
fn add_flipped_bytes(corpus: &mut Corpus) {
    let mut case = Case::new();
    add_filters(&mut case);
    add_lake(&mut case);
    for name in case.export.files.keys().cloned().collect::<Vec<_>>() {
        for index in (0..case.export.files[&name].len()).step_by(43) {
            case.export.flip(&name, index);
            corpus.add(&format!("flipped {index} of {name}"), &mut case);
            case.export.flip(&name, index);
        }
    }
}

fn add_removed_files(corpus: &mut Corpus) {
    let mut case = Case::new();
    add_formats(&mut case);
    for is_of_service in [false, true] {
        if is_of_service {
            case.options.origin = Origin::Copy;
            case.options.place = None;
            case.options.expectation.head = case.export.head.as_ref().map(|head| head.sha256);
            case.options.expectation.through = Some(at("2026-11-22T07:00:00Z"));
            case.options.expectation.source = ExpectationSource::Service;
        }
        for (name, bytes) in case.export.files.clone() {
            case.export.files.remove(&name);
            corpus.add(&format!("without {name}, by the service: {is_of_service}"), &mut case);
            case.export.files.insert(name, bytes);
        }
    }
}

fn add_planted_files(corpus: &mut Corpus) {
    for sequence in 0..6 {
        for tag in [None, Some("0000000000000000"), Some("ffffffffffffffff")] {
            for content in [None, Some(&b"x"[..]), Some(b"{\"version\":9}")] {
                let mut case = Case::new();
                plant(&mut case, sequence, tag, content);
                corpus.add(&format!("planted {sequence} {tag:?} {content:?}"), &mut case);
            }
        }
        if sequence < 5 {
            let mut case = Case::new();
            copy_of_digest(&mut case, usize::try_from(sequence).unwrap(), Some("00000000000000ff"));
            corpus.add(&format!("copied {sequence}"), &mut case);
        }
    }
}

/// Names that are nearly those of files of an export.
fn add_names(corpus: &mut Corpus) {
    let mut case = Case::new();
    add_filters(&mut case);
    add_lake(&mut case);
    let names: Vec<String> = case.export.files.keys().cloned().collect();
    let mut random = Random(1);
    for number in 0..120 {
        let mut changed = case.export.clone();
        for name in &names {
            let mut text: Vec<char> = name.chars().collect();
            let place = random.below(text.len());
            let letter =
                ['0', '9', 'a', 'F', 'Z', 'I', '_', '-', '.', '/', '+', 'é', '\u{1F600}', ' '][random.below(14)];
            match random.below(3) {
                0 => drop(text.remove(place)),
                1 => text.insert(place, letter),
                _ => text[place] = letter,
            }
            let other: String = text.into_iter().collect();
            changed.files.entry(other).or_insert_with(|| case.export.files[name].clone());
        }
        let mut case = Case { export: changed, ..case.clone() };
        if number % 2 == 0 {
            case.options.origin = Origin::Copy;
        }
        corpus.add(&format!("changed names {number}"), &mut case);
    }
    for (number, name) in [
        "\u{FF5E}",
        "\u{1F600}",
        "date=2026-11-22/\u{E000}",
        "date=2026-11-22/\u{10FFFF}",
        "Thumbs.db",
        "a/THUMBS.DB",
        "date=2026-11-22/Icon\r",
        "date=2026-11-22/.DS_Store",
        "_digests/._a.sig",
        "../x",
        "._a.parquet",
    ]
    .into_iter()
    .enumerate()
    {
        for other in ["\u{E000}", "zz", "\u{10000}"] {
            let mut case = Case::new();
            case.options.origin = Origin::Copy;
            case.export.files.insert(name.to_owned(), Bytes::from_static(b"x"));
            case.export.files.insert(other.to_owned(), Bytes::from_static(b"x"));
            corpus.add(&format!("odd name {number} beside {other}"), &mut case);
        }
    }
}

/// Numbers that a double can't hold.
fn add_numbers(corpus: &mut Corpus) {
    let mut add = |name: &str, change: fn(&mut Digest)| {
        let mut case = Case::new();
        case.export.add_window_with(&case.signer, &[2, 1], change);
        corpus.add(name, &mut case);
    };
    add("2^53 + 1 bytes", |digest| digest.objects[0].raw_length = (1 << 53) + 1);
    add("2^53 + 1 stored bytes", |digest| digest.objects[0].stored_length = (1 << 53) + 1);
    add("2^53 + 1 events", |digest| digest.objects[0].events = (1 << 53) + 1);
    add("the most bytes, twice", |digest| digest.objects.iter_mut().for_each(|object| object.raw_length = u64::MAX));
    add("the most events, twice", |digest| digest.objects.iter_mut().for_each(|object| object.events = u64::MAX));
    add("the greatest CRC-32", |digest| digest.objects[0].crc32 = u32::MAX);
    add("an empty object", |digest| digest.objects[0].events = 0);
    add("an object without bytes", |digest| digest.objects[0].stored_length = 0);
    add("times the wrong way round", |digest| digest.objects[0].oldest_event = at("2027-01-01T00:00:00Z"));
    for sequence in [(1 << 53) + 1, u64::MAX - 1] {
        let mut case = Case::new();
        case.export.sequence = sequence;
        case.export.add_window(&case.signer, &[1]);
        corpus.add(&format!("sequence {sequence}"), &mut case);
    }
    let mut case = Case::new();
    add_filtered(&mut case, LOGINS, &[LOGIN]);
    case.export.left_out = u64::MAX;
    add_filtered(&mut case, LOGINS, &[QUERY]);
    corpus.add("the most events left out", &mut case);
}

/// Returns an export whose newest digest has the version; for 7, one of version 6 with objects.
/// Only that one and the digest before it are looked at.
fn of_version(version: u32) -> Case {
    let mut case = Case::new();
    case.options.since = Some(at("2026-11-22T04:00:00Z"));
    match version {
        1 => case.export.add_window(&case.signer, &[2]),
        2 => skip(&mut case, &[2], |digest| vec![at_start(digest).next()]),
        3 => case.export.add_window_with(&case.signer, &[], |digest| {
            let gap = gap(digest.window.from, at("2026-11-22T07:00:00Z"));
            digest.gaps.push(Gap::start_before_retention(gap.from, gap.to));
            digest.version = Digest::version_for(&digest.encoding(), &digest.gaps);
        }),
        4 => {
            case.export.format = ExportFormat::Parquet;
            case.export.add_window(&case.signer, &[2]);
        }
        5 => {
            let two_sides = r#"{"exclude":{"actions":["LOGIN","X*"]},"include":{"actorTypes":["USER"]}}"#;
            add_filtered(&mut case, two_sides, &[QUERY]);
        }
        7 => {
            case.export.format = ExportFormat::OcsfParquet;
            case.export.add_window(&case.signer, &[2]);
        }
        _ => {
            case.export.format = ExportFormat::OcsfParquet;
            let rules = r#"[{"action":"A","class":"API_ACTIVITY","activity":"Read"}]"#;
            let rules: OwnRules = serde_json::from_str(rules).unwrap();
            case.export.add_window_with(&case.signer, &[], |digest| {
                digest.classes_sha256 = Some(rules.sha256());
                digest.classes = Some(rules);
            });
        }
    }
    let newest = case.export.digests[5].clone();
    assert_eq!(Digest::from_bytes(&case.export.files[&newest]).unwrap().version, version.min(6));
    case
}

/// Puts these bytes in the place of the newest digest, with a signature of them, and with that of the digest.
fn add_newest(corpus: &mut Corpus, name: &str, base: &Case, bytes: Vec<u8>) {
    let digest = base.export.digests[5].clone();
    let signature = base.export.files[&base.export.signature(5)].clone();
    let (mut case, mut unsigned) = (base.clone(), base.clone());
    unsigned.export.put_digest(&digest, bytes.clone(), signature.to_vec());
    corpus.add(&format!("{name}, not signed"), &mut unsigned);
    case.export.sign_again(&case.signer, 5, bytes);
    corpus.add(&format!("{name}, signed"), &mut case);
}

/// Other spellings of a digest, each as a text and what replaces it.
#[rustfmt::skip]
const SPELLINGS: &[(&str, &str)] = &[
    ("{\"version", "{ \"version"), ("{\"version", "\u{FEFF}{\"version"), ("}\n", "}"), ("}\n", "}\n\n"), ("}\n", "}\n}"), ("}\n", "}\0"),
    ("\"version\":", "\"version\":1,\"version\":"), ("\"version\":", "\"VERSION\":"), ("\"version\":", "\"version\" :"),
    ("\"version\":", "\"version\":0"), ("\"version\":", "\"version\":1"), ("\"version\":", "\"version\":-"), ("\"version\":", "\"version\":null,\"x\":"),
    ("\"version\":", "\"version\":7,\"x\":"), ("\"version\":", "\"version\":18446744073709551615,\"x\":"),
    ("\"version\":", "\"version\":18446744073709551616,\"x\":"), ("\"version\":", "\"version\":4294967297,\"x\":"),
    ("\"version\":", "\"version\":1.0,\"x\":"), ("\"version\":", "\"version\":1e0,\"x\":"), ("\"version\":", "\"version\":\"1\",\"x\":"),
    ("\"version\":", "\"version\":true,\"x\":"), ("\"version\":", "\"version\":[1],\"x\":"), ("\"version\":", "\"version\":7,\"x\":\"\\ud800\",\"y\":"),
    ("\"version\":", "\"version\":7,\"x\":\"\\x\",\"y\":"), ("\"version\":", "\"version\":7,\"x\":01,\"y\":"), ("\"version\":", "\"version\":7,\"\\ud800\":1,\"y\":"),
    ("\"version\":", "\"version\":7,\"x\":[1,],\"y\":"), ("\"version\":", "\"version\":7,\"x\":{\"a\":[{},[]]},\"y\":"), ("\"version\":", "\"version\":7,\"x\":1e999,\"y\":"),
    ("\"version\":", "\"version\":7,\"x\":tru,\"y\":"), ("\"version\":", "\"v\\u0065rsion\":"), ("\"version\":", "\"version\":7,\"x\":\"\u{1}\",\"y\":"),
    ("\"tenantId\":\"acme\"", "\"tenantId\":\"\\u0061cme\""), ("\"tenantId\":\"acme\"", "\"tenantId\":\"evil\""), ("\"tenantId\":\"acme\"", "\"tenantId\":\"-acme\""),
    ("\"tenantId\":\"acme\"", "\"tenantId\":\"acme\",\"tenantId\":\"acme\""), ("\"tenantId\":\"acme\"", "\"tenantId\":[\"acme\"]"), ("\"tenantId\":\"acme\",", ""),
    ("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b\",\"seq", "0B9F6A0E-6D3B-4D0E-9D6E-0F6F5C1F2A3B\",\"seq"), ("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b\",\"seq", "0b9f6a0e6d3b4d0e9d6e0f6f5c1f2a3b\",\"seq"),
    ("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b\",\"seq", "{0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b}\",\"seq"), ("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b\",\"seq", "urn:uuid:0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b\",\"seq"),
    ("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b\",\"seq", "urn:uuid:0b9f6a0e6d3b4d0e9d6e0f6f5c1f2a3b\",\"seq"), ("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b\",\"seq", "{0b9f6a0e6d3b4d0e9d6e0f6f5c1f2a3b}\",\"seq"),
    ("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b\",\"seq", "0b9f6a0e-6d3b4d0e-9d6e-0f6f5c1f2a3b\",\"seq"), ("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b\",\"seq", "9d1f0a77-2b1c-4c8e-8b0a-3f6c2d5e4a1b\",\"seq"),
    ("\"sequence\":5", "\"sequence\":05"), ("\"sequence\":5", "\"sequence\":5.0"), ("\"sequence\":5", "\"sequence\":4"), ("\"sequence\":5", "\"sequence\":9007199254740997"),
    ("\"sequence\":5", "\"sequence\":18446744073709551621"), ("\"sequence\":5", "\"sequence\":-0"), ("\"sequence\":5", "\"sequence\":5,\"sequence\":6"), ("\"sequence\":5", "\"sequence\":5,\"unknown\":6"),
    ("T06:00:00.000Z\",\"to", "T06:00:00Z\",\"to"), ("T06:00:00.000Z\",\"to", "t06:00:00.000z\",\"to"), ("T06:00:00.000Z\",\"to", "T07:00:00.000+01:00\",\"to"), ("T06:00:00.000Z\",\"to", "T06:00:00.0009Z\",\"to"),
    ("T06:00:00.000Z\",\"to", "T06:00:60.000Z\",\"to"), ("T06:00:00.000Z\",\"to", "T24:00:00.000Z\",\"to"), ("T06:00:00.000Z\",\"to", "T06:00:00.001Z\",\"to"), ("T06:00:00.000Z\",\"to", "T06:00:00.0000000001Z\",\"to"),
    ("T06:00:00.000Z\",\"to", "T20:01:00.000+14:01\",\"to"), ("2026-11-22T06:00:00.000Z\",\"to", "2026-11-31T06:00:00.000Z\",\"to"), ("2026-11-22T06:00:00.000Z\",\"to", "1969-12-31T23:59:59.999Z\",\"to"),
    ("\"firstBlock\":\"01", "\"firstBlock\":\"81"), ("\"firstBlock\":\"01", "\"firstBlock\":\"71"), ("\"firstBlock\":\"01", "\"firstBlock\":\"0I"), ("\"firstBlock\":\"01KAM", "\"firstBlock\":\"01kam"), ("\"firstBlock\":\"01", "\"firstBlock\":\"1"),
    ("\"window\":{", "\"window\":{\"x\":1,"), ("\"window\":{", "\"window\":[{"), ("\"objects\":[", "\"objects\":[null,"), ("\"objects\":[", "\"objects\":[],\"more\":["), ("\"objects\":[", "\"objects\":null,\"more\":["),
    ("\"gaps\":[", "\"gaps\":[{\"from\":\"2026-11-22T06:00:00.000Z\",\"to\":\"2026-11-22T06:00:00.001Z\",\"reason\":\"RETENTION_ENDED\"}],\"more\":["),
    ("\"gaps\":[],", "\"gaps\":[{\"from\":\"2026-11-22T06:00:00.000Z\",\"to\":\"2026-11-22T06:00:00.001Z\",\"reason\":\"RETENTION_ENDED\"}],"),
    ("\"gaps\":[],", "\"gaps\":[{\"from\":\"2026-11-22T06:00:00.000Z\",\"to\":\"2026-11-22T06:00:00.001Z\",\"reason\":{\"RETENTION_ENDED\":null}}],"),
    ("\"gaps\":[],", "\"gaps\":[[\"2026-11-22T06:00:00.000Z\",\"2026-11-22T06:00:00.001Z\",\"RETENTION_ENDED\"]],"), ("\"gaps\":[],", "\"gaps\":[{\"from\":\"2026-11-22T06:00:00.000Z\",\"to\":\"2026-11-22T06:00:00.001Z\",\"reason\":\"OTHER\"}],"),
    ("\"gaps\":[],", "\"gaps\":[{\"from\":\"2026-11-22T06:00:00.000Z\",\"to\":\"2026-11-22T06:00:00.001Z\",\"reason\":\"RETENTION_ENDED\",\"block\":null}],"), ("\"gaps\":[],", ""),
    ("\"BLOCK_CORRUPT\"", "\"RETENTION_ENDED\""), ("\"BLOCK_CORRUPT\"", "\"START_BEFORE_RETENTION\""), ("\"START_BEFORE_RETENTION\"", "\"RETENTION_ENDED\""), ("\"START_BEFORE_RETENTION\"", "\"BLOCK_CORRUPT\""),
    ("\"previous\":{", "\"previous\":null,\"other\":{"), ("\"previous\":{", "\"previous\":{\"x\":0,"), ("\"previous\":{", "\"x\":{"), ("\"previous\":{\"bucket\":\"acme-audit\"", "\"previous\":{\"bucket\":\"1.2.3.4\""),
    ("\"previous\":{\"bucket\":\"acme-audit\"", "\"previous\":{\"bucket\":\"01.2.3.4\""), ("\"previous\":{\"bucket\":\"acme-audit\"", "\"previous\":{\"bucket\":\"a--x-s3\""), ("\"previous\":{\"bucket\":\"acme-audit\"", "\"previous\":{\"bucket\":\"xn--a\""),
    ("\"previous\":{\"bucket\":\"acme-audit\"", "\"previous\":{\"bucket\":\"other-audit\""), ("_digests/0000000004_", "_digests/\\u0000\\ud83d\\ude00_"), ("_digests/0000000004_", "_digests/00000000004_"), ("/_digests/0000000004_", "_digests/0000000004_"),
    ("_digests/0000000004_", "_digests/_digests/0000000004_"), ("\"signingKey\":\"", "\"signingKey\":\"A"), ("\"signingKey\":\"", "\"signingKey\":\"\",\"x\":\""),
    ("\"crc32\":", "\"crc32\":4294967296,\"x\":"), ("\"crc32\":", "\"crc32\":1.5,\"x\":"), ("\"events\":2", "\"events\":2.0"), ("\"storedLength\":", "\"storedLength\":9007199254740993"), ("\"key\":\"audit", "\"key\":\"\\u0061udit"), ("\"key\":\"audit", "\"key\":\"x/audit"),
    ("\"format\":\"PARQUET\",", ""), ("\"format\":\"PARQUET\"", "\"format\":\"NDJSON_GZIP\""), ("\"format\":\"PARQUET\"", "\"format\":\"NDJSON_ZSTD\""), ("\"format\":\"PARQUET\"", "\"format\":{\"PARQUET\":null}"), ("\"format\":\"PARQUET\"", "\"format\":null"),
    ("\"format\":\"PARQUET\"", "\"format\":\"OCSF_PARQUET\""), ("\"format\":\"PARQUET\"", "\"format\":\"parquet\""), ("\"schemaVersion\":1", "\"schemaVersion\":2"), ("\"schemaVersion\":1,", ""), ("\"schemaVersion\":1", "\"schemaVersion\":null"),
    ("[\"LOGIN\",\"X*\"]", "[\"X*\",\"LOGIN\"]"), ("[\"LOGIN\",\"X*\"]", "[\"LOGIN\",\"LOGIN\",\"X*\"]"), ("[\"LOGIN\",\"X*\"]", "[]"), ("[\"LOGIN\",\"X*\"]", "[\"LOGIN\",\"*\"]"), ("[\"LOGIN\",\"X*\"]", "[\"LOG*IN\",\"X*\"]"), ("[\"LOGIN\",\"X*\"]", "[\"LOGIN\",\"X\\n\"]"),
    ("[\"LOGIN\",\"X*\"]", "[\"LOGIN\",\"\u{85}\"]"), ("[\"LOGIN\",\"X*\"]", "[\"LOGIN\",\"\u{FF5E}\",\"\u{1F600}\"]"), ("[\"LOGIN\",\"X*\"]", "\"LOGIN\""), ("[\"LOGIN\",\"X*\"]", "null"), ("\"actions\":[\"LOGIN\",\"X*\"]", "\"actorTypes\":[\"U*\"]"), ("\"actions\":[\"LOGIN\",\"X*\"]", "\"actorTypes\":[\"USER\"]"),
    ("\"actions\":[\"LOGIN\",\"X*\"]", "\"x\":[]"), ("\"filter\":{", "\"filter\":null,\"x\":{"), ("\"filter\":{\"exclude\"", "\"filter\":{\"include\""), ("\"leftOut\":4", "\"leftOut\":5"), ("\"leftOut\":4,", ""), ("\"leftOut\":4", "\"leftOut\":null"),
    ("\"filterSha256\":\"", "\"filterSha256\":\"0"), ("\"ocsfVersion\":\"1.3.0\"", "\"ocsfVersion\":\"1.8.0\""), ("\"ocsfVersion\":\"1.3.0\"", "\"ocsfVersion\":\"1.9.0\""), ("\"ocsfVersion\":\"1.3.0\",", ""),
    ("\"action\":\"A\"", "\"action\":\"a\""), ("\"action\":\"A\"", "\"action\":\"\""), ("\"action\":\"A\"", "\"action\":\"\u{e9}\""), ("\"activity\":\"Read\"", "\"activity\":\"READ\""), ("\"activity\":\"Read\"", "\"activity\":\"Logon\""), (",\"activity\":\"Read\"", ""),
    ("\"class\":\"API_ACTIVITY\"", "\"class\":\"ENTITY_MANAGEMENT\""), ("\"class\":\"API_ACTIVITY\"", "\"class\":\"FILE_ACTIVITY\""), ("\"classes\":[{", "\"classes\":[{\"action\":\"A\",\"class\":\"API_ACTIVITY\",\"activity\":\"Read\"},{"),
    ("\"classes\":[{", "\"classes\":[{\"action\":\"A\",\"class\":\"API_ACTIVITY\"},{"), ("\"classes\":[{", "\"classes\":[],\"x\":[{"), ("\"classes\":[{\"action\":\"A\",\"class\":\"API_ACTIVITY\",\"activity\":\"Read\"}]", "\"classes\":[[\"A\",null,\"API_ACTIVITY\",\"Read\"]]"),
    ("\"classes\":[{\"action\":\"A\",\"class\":\"API_ACTIVITY\",\"activity\":\"Read\"}]", "\"classes\":[[\"A\"]]"), ("\"classes\":[{\"action\":\"A\"", "\"classes\":[{\"action\":\"A\",\"targetType\":\"T\""), ("\"classesSha256\":\"", "\"classesSha256\":null,\"x\":\""),
];

fn add_spellings(corpus: &mut Corpus) {
    for version in 1..=7 {
        let base = of_version(version);
        let text = newest_text(&base);
        for (from, to) in SPELLINGS.iter().filter(|(from, _)| text.contains(from)) {
            let bytes = text.replacen(from, to, 1).into_bytes();
            add_newest(corpus, &format!("version {version} with {to:?} for {from:?}"), &base, bytes);
        }
        // As lists, which serde reads too.
        let digest: Value = serde_json::from_str(&text).unwrap();
        let window = digest["window"].as_object().unwrap();
        let times = ["firstBlock", "endBlock", "from", "to"].map(|name| window[name].clone());
        let window = serde_json::to_string(&times).unwrap();
        let (start, rest) = text.split_once("\"window\":{").unwrap();
        let (_, end) = rest.split_once('}').unwrap();
        let bytes = format!("{start}\"window\":{window}{end}").into_bytes();
        add_newest(corpus, &format!("version {version} with a window as a list"), &base, bytes);
    }
    let base = of_version(1);
    let nested = |depth: usize, version: u32| {
        format!("{{\"version\":{version},\"x\":{}1{}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes()
    };
    let mut others =
        vec![b"[7]".to_vec(), b"[1]".to_vec(), b"[7,1]".to_vec(), b"7".to_vec(), b"".to_vec(), b" ".to_vec()];
    others.extend([b"{\"version\":7,\"x\":\"\xff\"}".to_vec(), b"{\"version\":7,\"\xff\":1}".to_vec()]);
    others.extend([
        b"{\"version\":1,\"tenantId\":\"\xff\"}".to_vec(),
        b"{\"version\":7,\"x\":\"\\ud800\xff\"}\n".to_vec(),
    ]);
    others.extend([127, 128, 200, 5_000].into_iter().flat_map(|depth| [nested(depth, 1), nested(depth, 7)]));
    for (number, bytes) in others.into_iter().enumerate() {
        add_newest(corpus, &format!("other JSON {number}"), &base, bytes);
    }
}

fn newest_text(case: &Case) -> String {
    String::from_utf8(case.export.files[&case.export.digests[5]].to_vec()).unwrap()
}

/// A generator of numbers, always the same ones.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

fn add_random_changes(corpus: &mut Corpus) {
    const PIECES: &[u8] = b"{}[]\",:\\0123456789.-eE+ \n\x00\xc3\xa9\xfftrufalsenNZT_/aA";
    let mut random = Random(7);
    for version in 1..=7 {
        let base = of_version(version);
        for number in 0..RANDOM_CHANGES {
            let mut bytes = newest_text(&base).into_bytes();
            for _ in 0..=random.below(2) {
                let place = random.below(bytes.len());
                let piece = PIECES[random.below(PIECES.len())];
                match random.below(4) {
                    0 => drop(bytes.remove(place)),
                    1 => bytes.insert(place, piece),
                    2 => bytes[place] = piece,
                    _ => {
                        let end = (place + random.below(40)).min(bytes.len());
                        let copied = bytes[place..end].to_vec();
                        bytes.splice(place..place, copied);
                    }
                }
            }
            add_newest(corpus, &format!("version {version}, random change {number}"), &base, bytes);
        }
    }
}

fn add_keys(corpus: &mut Corpus) {
    let (one, other) = (Signer::generate(), Signer::generate());
    let der = one.public_key_der();
    let pem = |label: &str, der: &[u8]| pem::encode(&pem::Pem::new(label, der));
    let changed = |index: usize, by: u8| {
        let mut der = der.clone();
        der[index] ^= by;
        pem("PUBLIC KEY", &der)
    };
    let both = one.public_key_pem() + "\n" + &other.public_key_pem();
    let many: String = (0..65).map(|_| Signer::generate().public_key_pem()).collect();
    for text in [
        &*both,
        &format!("# a comment\n{both}{both}\n"),
        &one.public_key_pem().replace('\n', "\r\n"),
        "",
        "a key",
        &pem("EC PRIVATE KEY", &der),
        &pem("CERTIFICATE", &der),
        &pem("PUBLIC KEY", &der[..90]),
        &pem("PUBLIC KEY", &[der.as_slice(), &[0]].concat()),
        &changed(22, 1),
        &changed(26, 6),
        &changed(90, 1),
        &(pem("PUBLIC KEY", &der) + &pem("PRIVATE KEY", &der)),
        &many,
    ] {
        corpus.add_key(text);
    }
}
