//! A copy of an export on disk, and a local server with the same export in a bucket, for tests of commands that read them.

#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    support::{CONFIGURATION, Export, Signer},
    test_server::{Request, response, serve},
};

/// A temporary directory with a copy of an export and its public key.
pub struct Copy {
    pub directory: TempDir,
    pub signer: Signer,
    pub export: Export,
}

impl Copy {
    pub fn new() -> Self {
        let signer = Signer::generate();
        let export = Export::sample(&signer, true);
        Self::of(signer, export)
    }

    pub fn of(signer: Signer, export: Export) -> Self {
        let copy = Self { directory: tempfile::tempdir().unwrap(), signer, export };
        for (name, bytes) in &copy.export.files {
            copy.write(name, bytes);
        }
        fs::write(copy.path("key.pem"), copy.signer.public_key_pem()).unwrap();
        fs::write(copy.path("token"), "token\n").unwrap();
        copy
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn folder(&self) -> PathBuf {
        self.path(CONFIGURATION)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.folder().join(name)).unwrap();
    }

    /// Runs the command in the directory of the copy.
    pub fn run(&self, command: &mut Command) -> Outcome {
        run(command.current_dir(self.directory.path()))
    }
}

pub fn program(command: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_audit-export"));
    program.arg(command).env_remove("AUDIT_EXPORT_URL");
    program
}

pub fn run(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    Outcome { code: output.status.code().unwrap(), stdout, stderr }
}

pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Checks the exit code, and that both streams contain a text.
    #[track_caller]
    pub fn is(&self, code: i32, stdout: &str, stderr: &str) {
        let Self { stdout: out, stderr: err, .. } = self;
        assert_eq!(self.code, code, "{out}{err}");
        assert!(out.contains(stdout), "{stdout:?} is not in: {out}");
        assert!(err.contains(stderr), "{stderr:?} is not in: {err}");
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_default()
    }
}

/// The part of S3 that a verification needs: lists in pages of three, ranges, and one connection that is lost.
pub struct Bucket {
    pub files: BTreeMap<String, Bytes>,
    /// The object with an incomplete first answer.
    breaking: String,
    has_broken: AtomicBool,
    /// Whether lists can encode keys; compatible services may not.
    pub knows_encoding: bool,
}

impl Bucket {
    fn answer(&self, request: &Request) -> Vec<u8> {
        let target = request.head[0].split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = decode(path);
        let key = path.strip_prefix("/acme-audit/").unwrap_or_default();
        if key.is_empty() {
            return response("200 OK", "", self.list(query));
        }
        let Some(bytes) = self.files.get(key) else {
            return response("404 Not Found", "", "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>");
        };
        let range = request.header("range").map(|range| range.trim_start_matches("bytes=").trim_end_matches('-'));
        let body = bytes.slice(range.map_or(0, |offset| offset.parse().unwrap())..);
        let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
        let mut answer = response(status, "etag: \"x\"\r\n", &body);
        if key.ends_with(&self.breaking) && !self.has_broken.swap(true, Ordering::Relaxed) {
            answer.truncate(answer.len() - body.len() / 2);
        }
        answer
    }

    fn list(&self, query: &str) -> String {
        let parameter = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| decode(value))
        };
        let prefix = parameter("prefix").unwrap();
        let after = parameter("continuation-token").unwrap_or_default();
        let is_encoded = self.knows_encoding && parameter("encoding-type").as_deref() == Some("url");
        let mut keys = self.files.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after);
        let page: Vec<_> = keys.by_ref().take(3).collect();
        let entry = |(key, bytes): &(&String, &Bytes)| {
            let key = if is_encoded { encode(key) } else { (*key).clone() };
            format!("<Contents><Key>{key}</Key><Size>{}</Size></Contents>", bytes.len())
        };
        let entries: String = page.iter().map(entry).collect();
        let encoding = if is_encoded { "<EncodingType>url</EncodingType>" } else { "" };
        let end = match (keys.next(), page.last()) {
            (Some(_), Some((last, _))) => {
                format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>")
            }
            _ => "<IsTruncated>false</IsTruncated>".to_owned(),
        };
        format!("<ListBucketResult>{encoding}{entries}{end}</ListBucketResult>")
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
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// Gives the command the endpoint of a bucket, and no environment but this.
pub fn with_bucket<'a>(command: &'a mut Command, endpoint: &str, environment: &[(&str, &str)]) -> &'a mut Command {
    command.env_clear().envs(environment.iter().copied()).envs([
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ])
}

pub const CREDENTIALS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "eu-central-1")];

/// Serves the bucket of the copy after a change.
pub fn serve_bucket(copy: &Copy, change: impl FnOnce(&mut Bucket)) -> String {
    let prefix = copy.export.place().replace("s3://acme-audit/", "");
    // Files of Security Lake are beside the prefix of the export.
    let parent = prefix.rsplit_once('/').map_or_else(String::new, |(parent, _)| format!("{parent}/"));
    let key = |name: &str| match name.strip_prefix("../") {
        Some(name) => format!("{parent}{name}"),
        None => format!("{prefix}/{name}"),
    };
    let files = copy.export.files.iter().map(|(name, bytes)| (key(name), bytes.clone())).collect();
    let breaking = copy.export.objects.last().map(|name| key(name)).unwrap_or_default();
    let mut bucket = Bucket { files, breaking, has_broken: AtomicBool::new(false), knows_encoding: true };
    change(&mut bucket);
    serve(move |request| bucket.answer(request))
}
