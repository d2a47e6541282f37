//! `audit-export verify` on a folder, and on a bucket that a local server provides.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../shared/verification/tests/support/mod.rs"]
mod support;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use support::{CONFIGURATION, Export, Signer};
use tempfile::TempDir;

/// A temporary directory with a copy of an export and its public key.
struct Copy {
    directory: TempDir,
    signer: Signer,
    export: Export,
}

impl Copy {
    fn new() -> Self {
        let signer = Signer::generate();
        let export = Export::sample(&signer, true);
        let directory = tempfile::tempdir().unwrap();
        let copy = Self { directory, signer, export };
        for (name, bytes) in &copy.export.files {
            copy.write(name, bytes);
        }
        fs::write(copy.directory.path().join("key.pem"), copy.signer.public_key_pem()).unwrap();
        copy
    }

    fn folder(&self) -> PathBuf {
        self.directory.path().join(CONFIGURATION)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-export"));
        command.arg("verify").arg("--public-key").arg(self.directory.path().join("key.pem"));
        command
    }

    /// Verifies the folder.
    fn verify(&self, arguments: &[&str]) -> Output {
        self.command().arg(self.folder()).args(arguments).output().unwrap()
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_complete_folder() {
    let copy = Copy::new();
    let report = copy.directory.path().join("report.txt");
    let output =
        copy.verify(&["--deep", "--expect-through", "2026-11-22T06:00:00Z", "--report", report.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("COMPLETE through 2026-11-22T06:00:00.000Z\n"), "{text}");
    assert!(text.contains("7, 7 intact, 7 inflated and counted"), "{text}");
    assert_eq!(fs::read_to_string(&report).unwrap(), text);
    assert_eq!(stderr(&output), "", "no progress bar without a terminal");
}

#[test]
fn the_json_report() {
    let copy = Copy::new();
    let head = copy.export.head.as_ref().unwrap().sha256.to_string();
    let output = copy.verify(&["--output", "json", "--expect-head", &head]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code(&output), &report["verdict"], &report["isWhole"]), (0, &"COMPLETE".into(), &true.into()));
    assert_eq!(report["digests"]["headSha256"], head.as_str());
    assert_eq!(report["place"], copy.export.place().as_str());
}

#[test]
fn the_whole_can_be_required() {
    let copy = Copy::new();
    let output = copy.verify(&["--require-whole"]);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    let mut export = Export::new("acme", CONFIGURATION);
    export.destination.bucket_name = domain::configuration::bucket::BucketName::parse("old-audit").unwrap();
    export.add_window(&copy.signer, &[1]);
    let old: Vec<String> = export.files.keys().cloned().collect();
    export.destination = copy.export.destination.clone();
    export.add_window(&copy.signer, &[2]);
    fs::remove_dir_all(copy.folder()).unwrap();
    for (name, bytes) in export.files.iter().filter(|(name, _)| !old.contains(name)) {
        copy.write(name, bytes);
    }
    let output = copy.verify(&[]);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    assert!(stdout(&output).contains("this place alone does not prove"), "{}", stdout(&output));
    let output = copy.verify(&["--require-whole"]);
    assert_eq!((code(&output), stderr(&output).as_str()), (6, "error: the export is broken: NOT_WHOLE\n"));
    assert!(stdout(&output).contains("not proven here: digests 0"), "{}", stdout(&output));
    let output = copy.verify(&["--require-whole", "--since", "2026-11-22T00:00:00Z"]);
    assert_eq!(code(&output), 2);
}

#[test]
fn a_broken_folder() {
    let copy = Copy::new();
    fs::remove_file(copy.folder().join(&copy.export.objects[2])).unwrap();
    let output = copy.verify(&[]);
    assert_eq!(code(&output), 6);
    assert!(stdout(&output).contains("BROKEN: MISSING_OBJECT\n"), "{}", stdout(&output));
    assert_eq!(stderr(&output), "error: the export is broken: MISSING_OBJECT\n");
    // An empty folder is not complete.
    fs::remove_dir_all(copy.folder()).unwrap();
    fs::create_dir(copy.folder()).unwrap();
    let output = copy.verify(&[]);
    assert!(code(&output) == 6 && stderr(&output).contains("NO_DIGESTS"), "{}", stderr(&output));
}

#[test]
fn a_folder_of_the_name_of_another_configuration() {
    let copy = Copy::new();
    let other = copy.directory.path().join(support::OTHER_CONFIGURATION);
    fs::rename(copy.folder(), &other).unwrap();
    let output = copy.command().arg(&other).output().unwrap();
    assert!(code(&output) == 6 && stderr(&output).contains("SPLICED_CHAIN"), "{}", stderr(&output));
    let renamed = copy.directory.path().join("copy");
    fs::rename(&other, &renamed).unwrap();
    assert_eq!(code(&copy.command().arg(&renamed).output().unwrap()), 0);
    assert_eq!(code(&copy.command().arg(".").current_dir(&renamed).output().unwrap()), 0);
}

#[test]
fn an_unreadable_copy_is_not_broken() {
    let copy = Copy::new();
    let missing = copy.command().arg(copy.directory.path().join("missing")).output().unwrap();
    assert_eq!(code(&missing), 5, "{}", stderr(&missing));
    let file = copy.command().arg(copy.directory.path().join("key.pem")).output().unwrap();
    assert_eq!(code(&file), 5, "{}", stderr(&file));
    std::os::unix::fs::symlink("/dev/null", copy.folder().join("link")).unwrap();
    let link = copy.verify(&[]);
    assert_eq!(code(&link), 5, "{}", stderr(&link));
    fs::remove_file(copy.folder().join("link")).unwrap();
    fs::write(copy.directory.path().join("key.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        .unwrap();
    let key = copy.verify(&[]);
    assert!(code(&key) == 5 && stderr(&key).contains("never a private one"), "{}", stderr(&key));
}

#[test]
fn wrong_arguments() {
    let copy = Copy::new();
    for arguments in [
        &["s3://acme-audit/logs"][..],
        &["--expect-head", "abc"],
        &["--expect-through", "yesterday"],
        &["--concurrency", "0"],
        &["--place", "s3://acme-audit"],
    ] {
        let output =
            copy.command().args(arguments).args(["."].iter().filter(|_| arguments.len() > 1)).output().unwrap();
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
    }
}

/// The part of S3 that a verification needs: lists in pages of three, ranges, and one connection that is lost.
struct Bucket {
    files: BTreeMap<String, Bytes>,
    /// The object with an incomplete first answer.
    breaking: String,
    has_broken: AtomicBool,
    /// Whether lists can encode keys; compatible services may not.
    knows_encoding: bool,
}

impl Bucket {
    fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let bucket = Arc::new(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let bucket = Arc::clone(&bucket);
                std::thread::spawn(move || bucket.answer(stream));
            }
        });
        endpoint
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let request = lines.next().unwrap_or_default();
        let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let target = request.split(' ').nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = decode(path);
        let (status, body) = match path.strip_prefix("/acme-audit/").unwrap_or_default() {
            "" => ("200 OK", Bytes::from(self.list(query))),
            key => match self.files.get(key) {
                Some(bytes) => {
                    let range = headers
                        .iter()
                        .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
                    let offset: usize = range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
                    (if offset > 0 { "206 Partial Content" } else { "200 OK" }, bytes.slice(offset..))
                }
                None => {
                    ("404 Not Found", Bytes::from_static(b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"))
                }
            },
        };
        let breaks = path.ends_with(&self.breaking) && !self.has_broken.swap(true, Ordering::Relaxed);
        let end = if breaks { body.len() / 2 } else { body.len() };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"x\"\r\nConnection: close\r\n\r\n", body.len());
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..end]));
    }

    fn list(&self, query: &str) -> String {
        let parameter = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
                .map(|(_, value)| decode(value))
        };
        let prefix = parameter("prefix").unwrap();
        let after = parameter("continuation-token").unwrap_or_default();
        let mut keys = self.files.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after);
        let is_encoded = parameter("encoding-type").as_deref() == Some("url");
        let mut text = String::from("<ListBucketResult>");
        if is_encoded && self.knows_encoding {
            text += "<EncodingType>url</EncodingType>";
        }
        let mut last = None;
        for (key, bytes) in keys.by_ref().take(3) {
            let key_text = if is_encoded && self.knows_encoding { encode(key) } else { key.clone() };
            text.extend([format!("<Contents><Key>{key_text}</Key><Size>{}</Size></Contents>", bytes.len())]);
            last = Some(key);
        }
        match (keys.next(), last) {
            (Some(_), Some(last)) => {
                text.extend([format!(
                    "<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>"
                )]);
            }
            _ => text += "<IsTruncated>false</IsTruncated>",
        }
        text + "</ListBucketResult>"
    }
}

/// Encodes a key of ASCII as S3 does in a list.
fn encode(key: &str) -> String {
    key.chars()
        .map(|character| match character {
            ' ' => "+".to_owned(),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '/' | '-' | '_' | '.' | '*' => character.to_string(),
            _ => format!("%{:02X}", u32::from(character)),
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        decoded.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
        decoded += &part[2..];
    }
    decoded
}

fn verify_bucket(copy: &Copy, endpoint: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = copy.command();
    command
        .env_clear()
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .envs(environment.iter().copied())
        .arg(copy.export.place())
        .args(arguments);
    command.output().unwrap()
}

const CREDENTIALS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "eu-central-1")];

fn bucket_of(copy: &Copy) -> Bucket {
    let prefix = copy.export.place().replace("s3://acme-audit/", "");
    let files = copy.export.files.iter().map(|(name, bytes)| (format!("{prefix}/{name}"), bytes.clone())).collect();
    Bucket { files, breaking: copy.export.objects[3].clone(), has_broken: AtomicBool::new(false), knows_encoding: true }
}

#[test]
fn a_complete_bucket() {
    let copy = Copy::new();
    let mut bucket = bucket_of(&copy);
    // A neighbour with the same beginning belongs to another export.
    bucket.files.insert(format!("audit/logs/{CONFIGURATION}-other/x"), Bytes::new());
    let endpoint = bucket.serve();
    let output = verify_bucket(&copy, &endpoint, &CREDENTIALS, &["--deep"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("7, 7 intact, 7 inflated"), "{}", stdout(&output));
}

#[test]
fn keys_of_any_characters_are_listed() {
    let copy = Copy::new();
    let prefix = format!("audit/logs/{CONFIGURATION}");
    let verify = |name: &str, knows_encoding: bool| {
        let mut bucket = Bucket { knows_encoding, ..bucket_of(&copy) };
        if !name.is_empty() {
            bucket.files.insert(format!("{prefix}/{name}"), Bytes::from_static(b"x"));
        }
        let output = verify_bucket(&copy, &bucket.serve(), &CREDENTIALS, &["--output", "json"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (code(&output), report["breaks"][0]["file"].clone())
    };
    for name in ["date=2026-11-22/\u{1}", "date=2026-11-22/a+b c%20d", "_digests/\u{1}"] {
        assert_eq!(verify(name, true), (6, name.into()), "{name:?}");
    }
    assert_eq!(verify("", false).0, 0);
    assert_eq!(verify("date=2026-11-22/a+b", false), (6, "date=2026-11-22/a+b".into()));
}

#[test]
fn a_broken_bucket() {
    let copy = Copy::new();
    let mut bucket = bucket_of(&copy);
    let lost = bucket.files.keys().find(|key| key.ends_with(&copy.export.objects[5])).unwrap().clone();
    bucket.files.remove(&lost);
    let endpoint = bucket.serve();
    let output = verify_bucket(&copy, &endpoint, &CREDENTIALS, &[]);
    assert!(code(&output) == 6 && stderr(&output).contains("MISSING_OBJECT"), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn a_bucket_that_can_not_be_read() {
    let copy = Copy::new();
    let endpoint = bucket_of(&copy).serve();
    let no_region = verify_bucket(&copy, &endpoint, &CREDENTIALS[..2], &[]);
    assert_eq!(code(&no_region), 2, "{}", stderr(&no_region));
    let no_credentials = verify_bucket(&copy, &endpoint, &CREDENTIALS[2..], &[]);
    assert_eq!(code(&no_credentials), 4, "{}", stderr(&no_credentials));
    let words = "error: access to the bucket was refused: no AWS credentials were found: set AWS_ACCESS_KEY_ID";
    assert!(stderr(&no_credentials).starts_with(words), "{}", stderr(&no_credentials));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unreachable = verify_bucket(&copy, &format!("http://{nobody}"), &CREDENTIALS, &[]);
    assert_eq!(code(&unreachable), 1, "{}", stderr(&unreachable));
    let words = "no connection to S3; check the network, the Region and AWS_ENDPOINT_URL (Connection refused";
    assert!(stderr(&unreachable).contains(words), "{}", stderr(&unreachable));
    for (status, expected) in [("403 Forbidden", 4), ("400 Bad Request", 5)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let _ = lines.by_ref().take_while(|line| !line.is_empty()).count();
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let refused = verify_bucket(&copy, &endpoint, &CREDENTIALS, &[]);
        assert_eq!(code(&refused), expected, "{}", stderr(&refused));
        assert!(stderr(&refused).contains("S3 answered with HTTP status 40"), "{}", stderr(&refused));
    }
}

#[test]
fn the_place_is_found_whatever_the_way_to_it() {
    let copy = Copy::new();
    let relative = copy.command().arg(CONFIGURATION).current_dir(&copy.directory).output().unwrap();
    assert_eq!(code(&relative), 0, "{}", stderr(&relative));
    let dotted = copy.command().arg(Path::new(CONFIGURATION).join("_digests/..")).current_dir(&copy.directory).output();
    assert_eq!(code(&dotted.unwrap()), 0);
}

/// Where a digest lies, and its SHA-256.
type Located = (String, String, String);

/// The bucket of a digest that the service does not have any more.
const EXPIRED: &str = "expired";

/// Answers the API's questions with these bodies, and a connection of its own for each. No job is listed.
fn serve_api(status: &'static str, keys: String, configuration: String) -> String {
    serve_jobs(status, keys, configuration, Vec::new())
}

fn jobs_answer(count: usize) -> String {
    let job = |sequence: usize| {
        serde_json::json!({"id": format!("{CONFIGURATION}.{sequence}"), "exportConfigurationId": CONFIGURATION,
            "startTimestamp": END, "endTimestamp": END, "startedAt": END, "endedAt": END, "attempts": 1,
            "status": if sequence == count { "RUNNING" } else { "SUCCEEDED" }, "failureReason": null, "objects": 0,
            "events": 0, "bytes": 0, "gap": null, "gaps": []})
    };
    let jobs: Vec<_> = if count == 0 { Vec::new() } else { (0..=count).rev().map(job).collect() };
    serde_json::json!({"data": {"getAllExportJobs": jobs}}).to_string()
}

fn digest_answer((bucket, key, sha256): &Located) -> String {
    serde_json::json!({"data": {"getExportDigest": {"bucketName": bucket, "objectKey": key, "sha256": sha256}}})
        .to_string()
}

/// The digests of an export as the service locates them, in their order.
fn located(export: &Export) -> Vec<Located> {
    let prefix = export.place().replace("s3://acme-audit/", "");
    let digest = |name: &String| {
        ("acme-audit".to_owned(), format!("{prefix}/{name}"), support::sha256(&export.files[name]).to_string())
    };
    export.digests.iter().map(digest).collect()
}

fn serve_jobs(status: &'static str, keys: String, configuration: String, digests: Vec<Located>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/stage/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let head: Vec<String> =
                reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let length = head
                .iter()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned))
                .map_or(0, |length| length.parse::<u64>().unwrap());
            let mut question = String::new();
            reader.take(length).read_to_string(&mut question).unwrap();
            let is_right = head[0] == "POST /stage/api/audit/graphql HTTP/1.1"
                && head.iter().any(|line| line.eq_ignore_ascii_case("authorization: Bearer token"));
            let asks_for_keys = question.contains("exportSigningKeys { fingerprint publicKey }");
            assert!(asks_for_keys || question.contains(CONFIGURATION), "{question}");
            let question: serde_json::Value = serde_json::from_str(&question).unwrap();
            let body = match question["query"].as_str().unwrap() {
                query if query.contains("exportSigningKeys") => keys.clone(),
                query if query.contains("getAllExportJobs") => jobs_answer(digests.len()),
                query if query.contains("getExportDigest") => {
                    let id = question["variables"]["id"].as_str().unwrap();
                    let sequence: usize = id.rsplit_once('.').unwrap().1.parse().unwrap();
                    let digest = digests.get(sequence).filter(|digest| digest.0 != EXPIRED);
                    digest.map_or_else(|| error_answer("NOT_FOUND"), digest_answer)
                }
                _ => configuration.clone(),
            };
            let status = if is_right { status } else { "400 Bad Request" };
            let head = format!(
                "HTTP/1.1 {status}\r\nLocation: /\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    url
}

fn keys_answer(signers: &[&Signer]) -> String {
    let keys: Vec<_> = signers
        .iter()
        .map(|signer| {
            serde_json::json!({"fingerprint": signer.fingerprint().to_string(), "publicKey": signer.public_key_pem()})
        })
        .collect();
    serde_json::json!({"data": {"exportSigningKeys": keys}}).to_string()
}

fn through_answer(time: &str) -> String {
    serde_json::json!({"data": {"getExportConfiguration": {"exportedThrough": time}}}).to_string()
}

fn error_answer(code: &str) -> String {
    serde_json::json!({"data": null, "errors": [{"message": "No.", "extensions": {"code": code}}]}).to_string()
}

/// Verifies the folder with the keys of the service at `url` only.
fn verify_with(copy: &Copy, url: &str, arguments: &[&str]) -> Output {
    let token = copy.directory.path().join("token");
    fs::write(&token, "token\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_audit-export"));
    command.arg("verify").arg(copy.folder()).arg("--token-file").arg(token).args(["--url", url]).args(arguments);
    command.output().unwrap()
}

const END: &str = "2026-11-22T06:00:00.000Z";
const LATER: &str = "2026-11-22T08:00:00.000Z";

#[test]
fn the_keys_and_the_end_of_the_service() {
    let copy = Copy::new();
    let other = Signer::generate();
    let keys = keys_answer(&[&other, &copy.signer]);
    let output = verify_with(&copy, &serve_api("200 OK", keys.clone(), through_answer(END)), &[]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains(&format!("through {END}\n")), "{}", stdout(&output));
    // Missing newest digests are found, unless something else is expected.
    let url = serve_api("200 OK", keys, through_answer(LATER));
    let cut = verify_with(&copy, &url, &[]);
    assert!(code(&cut) == 13 && stderr(&cut).contains("Fetch the copy again"), "{}{}", stdout(&cut), stderr(&cut));
    assert!(stdout(&cut).contains(&format!("OUTDATED: complete through {END}")), "{}", stdout(&cut));
    let expected = verify_with(&copy, &url, &["--expect-through", END]);
    assert_eq!(code(&expected), 0, "{}{}", stdout(&expected), stderr(&expected));
    // Keys of a file and of the service are equivalent.
    let url = serve_api("200 OK", keys_answer(&[&other]), through_answer(END));
    let wrong = verify_with(&copy, &url, &[]);
    assert!(code(&wrong) == 6 && stdout(&wrong).contains("WRONG_KEY"), "{}", stdout(&wrong));
    let both = verify_with(&copy, &url, &["--public-key", copy.directory.path().join("key.pem").to_str().unwrap()]);
    assert_eq!(code(&both), 0, "{}{}", stdout(&both), stderr(&both));
}

#[test]
fn the_place_that_an_export_was_moved_away_from() {
    let copy = Copy::new();
    let keys = || keys_answer(&[&copy.signer]);
    let mut digests = located(&copy.export);
    // The newest digest is here, so everything that the service exported is expected.
    let url = serve_jobs("200 OK", keys(), through_answer(END), digests.clone());
    let here = verify_with(&copy, &url, &[]);
    assert_eq!(code(&here), 0, "{}{}", stdout(&here), stderr(&here));
    assert!(stdout(&here).contains(&format!("through {END}, by the service")), "{}", stdout(&here));
    // The export continued in another place.
    for sequence in [5, 6] {
        let key = format!("{CONFIGURATION}/_digests/{sequence:010}_20261122T080000000Z.json");
        digests.push(("next-audit".to_owned(), key, "0".repeat(64)));
    }
    let url = serve_jobs("200 OK", keys(), through_answer(LATER), digests.clone());
    let place = copy.export.place();
    let moved = verify_with(&copy, &url, &["--place", &place]);
    assert_eq!(code(&moved), 0, "{}{}", stdout(&moved), stderr(&moved));
    let head = copy.export.head.as_ref().unwrap().sha256;
    assert!(stdout(&moved).contains(&format!("digest {head}, by the service")), "{}", stdout(&moved));
    // A place that only the copy claims does not lower the expectation: the copy may be old.
    let claimed = verify_with(&copy, &url, &[]);
    assert!(code(&claimed) == 13 && stdout(&claimed).contains("OUTDATED_COPY"), "{}", stdout(&claimed));
    assert!(stderr(&claimed).contains("give --place if this is a copy of the old place"), "{}", stderr(&claimed));
    // The end of the part that was here is missing.
    for name in [&copy.export.digests[4], &copy.export.signature(4)] {
        fs::remove_file(copy.folder().join(name)).unwrap();
    }
    let cut = verify_with(&copy, &url, &["--place", &place]);
    assert!(code(&cut) == 13 && stdout(&cut).contains(&head.to_string()), "{}{}", stdout(&cut), stderr(&cut));
    // The service has no such digest any more: nothing is expected, with a warning.
    let url = serve_jobs("200 OK", keys(), through_answer(LATER), {
        digests[4].0 = "gone-audit".to_owned();
        digests[3] = ("gone".to_owned(), "gone".to_owned(), "0".repeat(64));
        digests[2].0 = "gone-audit".to_owned();
        digests[1].0 = "gone-audit".to_owned();
        digests[0].0 = "gone-audit".to_owned();
        digests
    });
    let unknown = verify_with(&copy, &url, &["--place", &place]);
    assert!(code(&unknown) == 0 && stderr(&unknown).contains("--expect-head"), "{}", stderr(&unknown));
}

#[test]
fn a_newest_digest_that_has_expired_at_the_service_lowers_nothing() {
    let copy = Copy::new();
    let expired = || {
        let mut digests = located(&copy.export);
        digests[4].0 = EXPIRED.to_owned();
        digests
    };
    let place = copy.export.place();
    for arguments in [&[][..], &["--place", &place]] {
        for (through, expected) in [(END, 0), (LATER, 13)] {
            let url = serve_jobs("200 OK", keys_answer(&[&copy.signer]), through_answer(through), expired());
            let output = verify_with(&copy, &url, arguments);
            assert_eq!(code(&output), expected, "{arguments:?}: {}{}", stdout(&output), stderr(&output));
            assert!(stdout(&output).contains(&format!("through {through}, by the service")), "{}", stdout(&output));
            let is_warned = stderr(&output).contains("no longer knows the place of its newest digest");
            assert_eq!(is_warned, !arguments.is_empty(), "{}", stderr(&output));
        }
    }
}

#[test]
fn the_end_of_a_folder_of_any_name_is_expected() {
    let copy = Copy::new();
    let named = copy.directory.path().join("audit-log");
    fs::rename(copy.folder(), &named).unwrap();
    let token = copy.directory.path().join("token");
    fs::write(&token, "token\n").unwrap();
    let verify = |through: &str| {
        let url = serve_jobs("200 OK", keys_answer(&[&copy.signer]), through_answer(through), located(&copy.export));
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-export"));
        command.arg("verify").arg(&named).arg("--token-file").arg(&token).args(["--url", &url]).output().unwrap()
    };
    assert_eq!(code(&verify(END)), 0);
    let cut = verify(LATER);
    assert!(code(&cut) == 13 && stdout(&cut).contains("OUTDATED_COPY"), "{}{}", stdout(&cut), stderr(&cut));
    // The origin of this copy is unknown.
    fs::write(named.join(&copy.export.digests[4]), "x").unwrap();
    let unknown = verify(END);
    assert!(code(&unknown) == 6 && stderr(&unknown).contains("nothing is expected"), "{}", stderr(&unknown));
}

#[test]
fn files_of_the_operating_system_are_named_and_break_nothing() {
    let copy = Copy::new();
    for name in [".DS_Store", "_digests/.DS_Store", "date=2026-11-22/.DS_Store"] {
        copy.write(name, b"x");
    }
    let output = copy.verify(&["--require-proven"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(
        stdout(&output).contains(
            "Created by the operating system: not part of the export, not checked (3)\n  _digests/.DS_Store\n"
        )
    );
    copy.write("date=2026-11-22/._x.ndjson.gz", b"x");
    let output = copy.verify(&[]);
    assert!(code(&output) == 6 && stdout(&output).contains("macOS"), "{}", stdout(&output));
    fs::remove_file(copy.folder().join("date=2026-11-22/._x.ndjson.gz")).unwrap();
    copy.write("date=2026-11-22/Thumbs.db", b"x");
    let output = copy.verify(&[]);
    assert!(
        code(&output) == 6 && stdout(&output).contains("readers of the day's folder would read it"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn the_set_that_is_proven_can_be_the_set_that_is_read() {
    let copy = Copy::new();
    let list = copy.directory.path().join("list");
    let arguments = ["--proven-objects", list.to_str().unwrap()];
    let pending = Export::object_name_at("2026-11-22T06:00:00Z");
    copy.write(&pending, b"forged");
    let output = copy.verify(&arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("; 1 file here is not proven\n"), "{}", stdout(&output));
    let names = fs::read_to_string(&list).unwrap();
    assert_eq!(names.lines().collect::<Vec<_>>(), copy.export.objects);
    let output = copy.verify(&["--require-proven"]);
    assert!(code(&output) == 6 && stderr(&output).contains("UNPROVEN_FILES"), "{}", stderr(&output));
    // A broken export has no list.
    fs::remove_file(copy.folder().join(&copy.export.objects[0])).unwrap();
    assert_eq!(code(&copy.verify(&arguments)), 6);
    assert!(!list.exists());
    // Neither has an export that can't be read, and an earlier list is removed.
    let copy = Copy::new();
    let list = copy.directory.path().join("list");
    let arguments = ["--proven-objects", list.to_str().unwrap()];
    fs::write(&list, "earlier").unwrap();
    std::os::unix::fs::symlink("/dev/null", copy.folder().join("date=2026-11-22/zzz")).unwrap();
    assert_eq!(code(&copy.verify(&arguments)), 5);
    let mut names: Vec<_> = fs::read_dir(copy.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, [CONFIGURATION, "key.pem"]);
    // Output to a pipe can't be taken back.
    let output = copy.verify(&["--proven-objects", "/dev/stdout"]);
    assert!(code(&output) == 2 && stderr(&output).contains("not a plain file"), "{}", stderr(&output));
    // Forged files of the future are found.
    let copy = Copy::new();
    copy.write(&Export::object_name_at("2099-01-01T00:00:00Z"), b"forged");
    let output = copy.verify(&[]);
    assert!(code(&output) == 6 && stderr(&output).contains("EXTRA_OBJECT"), "{}", stderr(&output));
}

#[test]
fn a_service_without_usable_keys() {
    let copy = Copy::new();
    let keys = keys_answer(&[&copy.signer]);
    let forged = keys.replace(&copy.signer.fingerprint().to_string(), &"0".repeat(64));
    let (page, long) = ("<html>Sign in".to_owned(), " ".repeat(70_000) + &keys);
    for (status, keys, configuration, expected, words) in [
        ("200 OK", page.clone(), "", 1, "200 OK: a web page answered, not the service"),
        ("404 Not Found", page.clone(), "", 1, "404 Not Found: a web page answered, not the service"),
        ("302 Found", page, "", 1, "302 Found: "),
        ("200 OK", long, "", 1, "200 OK: "),
        ("200 OK", forged, "", 1, "another fingerprint"),
        ("200 OK", keys_answer(&[]), "", 1, "no public keys"),
        ("200 OK", error_answer("INTERNAL"), "", 1, "INTERNAL: No."),
        ("401 Unauthorized", error_answer("UNAUTHENTICATED"), "", 4, "refused the token: UNAUTHENTICATED: No."),
        ("200 OK", error_answer("GRAPHQL_VALIDATION_FAILED"), "", 3, "GRAPHQL_VALIDATION_FAILED"),
        ("200 OK", keys, &error_answer("NOT_FOUND"), 8, "(give --expect-through instead): NOT_FOUND: No."),
    ] {
        let output = verify_with(&copy, &serve_api(status, keys, configuration.to_owned()), &[]);
        assert!(code(&output) == expected && stderr(&output).contains(words), "{words}: {}", stderr(&output));
    }
}

#[test]
fn some_keys_are_needed() {
    let copy = Copy::new();
    let verify = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-export"));
        command.env_remove("AUDIT_EXPORT_URL").arg("verify").arg(copy.folder()).args(arguments).output().unwrap()
    };
    for (arguments, expected) in
        [(&[][..], 2), (&["--url", "https://example.com"], 2), (&["--token-file", "no such file"], 5)]
    {
        assert_eq!(code(&verify(arguments)), expected, "{arguments:?}");
    }
    let output = verify_with(&copy, "http://example.com", &[]);
    assert!(code(&output) == 2 && stderr(&output).contains("only for a stack on this machine"), "{}", stderr(&output));
    // The variable alone, which `events send` uses too, does not contact the service.
    let offline =
        copy.command().env("AUDIT_EXPORT_URL", "https://example.invalid").arg(copy.folder()).output().unwrap();
    assert_eq!(code(&offline), 0, "{}", stderr(&offline));
}
