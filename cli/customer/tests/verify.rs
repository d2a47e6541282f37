//! `audit-export verify` on a folder, and on a bucket that a local server provides.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../shared/verification/tests/support/mod.rs"]
mod support;
#[path = "../src/test_server.rs"]
mod test_server;

mod place;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use domain::configuration::bucket::BucketName;
use place::{CREDENTIALS, Copy, Outcome, program, run, serve_bucket, with_bucket};
use serde_json::{Value, json};
use support::{CONFIGURATION, Export, OTHER_CONFIGURATION, Signer};
use test_server::{Request, response, serve};

/// The command `verify` on a copy.
trait Verify {
    /// Verifies the folder.
    fn verify(&self, arguments: &[&str]) -> Outcome;
    fn verify_target(&self, target: &Path, arguments: &[&str]) -> Outcome;
    /// Verifies a folder with the keys of the service at `url` only.
    fn verify_with(&self, folder: &Path, url: &str, arguments: &[&str]) -> Outcome;
    /// The service with this copy's keys and digests.
    fn service(&self, through: &str) -> TestService;
}

impl Verify for Copy {
    fn verify(&self, arguments: &[&str]) -> Outcome {
        self.verify_target(&self.folder(), arguments)
    }

    fn verify_target(&self, target: &Path, arguments: &[&str]) -> Outcome {
        self.run(program("verify").arg("--public-key").arg(self.path("key.pem")).arg(target).args(arguments))
    }

    fn verify_with(&self, folder: &Path, url: &str, arguments: &[&str]) -> Outcome {
        let token = self.path("token");
        self.run(program("verify").arg(folder).arg("--token-file").arg(token).args(["--url", url]).args(arguments))
    }

    fn service(&self, through: &str) -> TestService {
        TestService { keys: keys_answer(&[&self.signer]), configuration: through_answer(through), ..TestService::new() }
    }
}

#[test]
fn a_complete_folder() {
    let copy = Copy::new();
    let outcome = copy.verify(&["--deep", "--expect-through", "2026-11-22T06:00:00Z", "--report", "report.txt"]);
    outcome.is(0, "COMPLETE through 2026-11-22T06:00:00.000Z\n", "");
    outcome.is(0, "7, 7 intact, 7 inflated and counted", "");
    assert_eq!(fs::read_to_string(copy.path("report.txt")).unwrap(), outcome.stdout);
    assert_eq!(outcome.stderr, "", "no progress bar without a terminal");
}

#[test]
fn the_repairs_of_what_is_missing_and_altered() {
    let copy = Copy::new();
    copy.verify(&["--repair"]).is(0, "\n\nNothing has to be repaired.\n", "");
    let objects: Vec<&String> = copy.export.files.keys().filter(|name| name.starts_with("date=")).collect();
    copy.remove(objects[0]);
    copy.write(objects[1], b"altered");
    let outcome = copy.verify(&["--repair"]);
    let command = format!("  audit-export config repair {CONFIGURATION} \\\n    --from ");
    outcome.is(6, &format!("\n\nTo put back what is missing:\n\n{command}"), "");
    outcome.is(6, &format!("over what is in the bucket:\n\n{command}"), "");
    outcome.is(6, "    --overwrite --wait\n\nThen verify again.\n", "");
    let (_, repairs) = outcome.stdout.split_once("To put back").unwrap();
    assert!(repairs.lines().all(|line| line.len() <= 80), "{repairs}");

    let report = copy.verify(&["--repair", "--output", "json"]).json();
    let repairs = report["repairs"].as_array().unwrap();
    let needs: Vec<_> = repairs.iter().map(|repair| repair["need"].as_str().unwrap()).collect();
    assert_eq!(needs, ["MISSING", "ALTERED"]);
    for (repair, end) in repairs.iter().zip(["--wait", "--overwrite --wait"]) {
        let [from, to] = ["from", "to"].map(|name| repair[name].as_str().unwrap());
        let command = format!("audit-export config repair {CONFIGURATION} --from {from} --to {to} {end}");
        assert_eq!(repair["command"], command);
        assert!(from < to, "{repair}");
    }
    assert_eq!(copy.verify(&["--output", "json"]).json().get("repairs"), None);
}

#[test]
fn the_json_report() {
    let copy = Copy::new();
    let head = copy.export.head.as_ref().unwrap().sha256.to_string();
    let outcome = copy.verify(&["--output", "json", "--expect-head", &head]);
    let report = outcome.json();
    assert_eq!((outcome.code, &report["verdict"], &report["isWhole"]), (0, &"COMPLETE".into(), &true.into()));
    assert_eq!(report["digests"]["headSha256"], head.as_str());
    assert_eq!(report["place"], copy.export.place().as_str());
}

#[test]
fn the_whole_can_be_required() {
    let copy = Copy::new();
    copy.verify(&["--require-whole"]).is(0, "", "");
    let mut export = Export::new("acme", CONFIGURATION);
    export.destination.bucket_name = BucketName::parse("old-audit").unwrap();
    export.add_window(&copy.signer, &[1]);
    let old: Vec<String> = export.files.keys().cloned().collect();
    export.destination = copy.export.destination.clone();
    export.add_window(&copy.signer, &[2]);
    fs::remove_dir_all(copy.folder()).unwrap();
    for (name, bytes) in export.files.iter().filter(|(name, _)| !old.contains(name)) {
        copy.write(name, bytes);
    }
    copy.verify(&[]).is(0, "this place alone does not prove", "");
    let outcome = copy.verify(&["--require-whole"]);
    outcome.is(6, "not proven here: digests 0", "");
    assert_eq!(outcome.stderr, "error: the export is broken: NOT_WHOLE\n");
    copy.verify(&["--require-whole", "--since", "2026-11-22T00:00:00Z"]).is(2, "", "");
}

#[test]
fn a_broken_folder() {
    let copy = Copy::new();
    copy.remove(&copy.export.objects[2]);
    let outcome = copy.verify(&[]);
    outcome.is(6, "BROKEN: MISSING_OBJECT\n", "");
    assert_eq!(outcome.stderr, "error: the export is broken: MISSING_OBJECT\n");
    // An empty folder is not complete.
    fs::remove_dir_all(copy.folder()).unwrap();
    fs::create_dir(copy.folder()).unwrap();
    copy.verify(&[]).is(6, "", "NO_DIGESTS");
}

#[test]
fn a_folder_of_the_name_of_another_configuration() {
    let copy = Copy::new();
    let (other, renamed) = (copy.path(OTHER_CONFIGURATION), copy.path("copy"));
    fs::rename(copy.folder(), &other).unwrap();
    copy.verify_target(&other, &[]).is(6, "", "SPLICED_CHAIN");
    fs::rename(&other, &renamed).unwrap();
    copy.verify_target(&renamed, &[]).is(0, "", "");
    run(program("verify").args(["--public-key", "../key.pem", "."]).current_dir(&renamed)).is(0, "", "");
}

#[test]
fn an_unreadable_copy_is_not_broken() {
    let copy = Copy::new();
    copy.verify_target(&copy.path("missing"), &[]).is(5, "", "");
    copy.verify_target(&copy.path("key.pem"), &[]).is(5, "", "");
    symlink("/dev/null", copy.folder().join("link")).unwrap();
    copy.verify(&[]).is(5, "", "");
    copy.remove("link");
    fs::write(copy.path("key.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    copy.verify(&[]).is(5, "", "never a private one");
}

#[test]
fn wrong_arguments() {
    let copy = Copy::new();
    for (target, arguments) in [
        ("s3://acme-audit/logs", &[][..]),
        (".", &["--expect-head", "abc"]),
        (".", &["--expect-through", "yesterday"]),
        (".", &["--concurrency", "0"]),
        (".", &["--place", "s3://acme-audit"]),
    ] {
        copy.verify_target(Path::new(target), arguments).is(2, "", "");
    }
}

fn verify_bucket(copy: &Copy, endpoint: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let mut command = program("verify");
    with_bucket(&mut command, endpoint, environment);
    copy.run(command.arg(copy.export.place()).args(["--public-key", "key.pem"]).args(arguments))
}

#[test]
fn a_complete_bucket() {
    let copy = Copy::new();
    // A neighbour with the same beginning belongs to another export.
    let neighbour = format!("audit/logs/{CONFIGURATION}-other/x");
    let endpoint = serve_bucket(&copy, |bucket| _ = bucket.files.insert(neighbour, Bytes::new()));
    verify_bucket(&copy, &endpoint, &CREDENTIALS, &["--deep"]).is(0, "7, 7 intact, 7 inflated", "");
}

#[test]
fn keys_of_any_characters_are_listed() {
    let copy = Copy::new();
    let verify = |name: &str, knows_encoding: bool| {
        let endpoint = serve_bucket(&copy, |bucket| {
            bucket.knows_encoding = knows_encoding;
            if !name.is_empty() {
                bucket.files.insert(format!("audit/logs/{CONFIGURATION}/{name}"), Bytes::from_static(b"x"));
            }
        });
        let outcome = verify_bucket(&copy, &endpoint, &CREDENTIALS, &["--output", "json"]);
        (outcome.code, outcome.json()["breaks"][0]["file"].clone())
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
    let endpoint = serve_bucket(&copy, |bucket| bucket.files.retain(|key, _| !key.ends_with(&copy.export.objects[5])));
    verify_bucket(&copy, &endpoint, &CREDENTIALS, &[]).is(6, "", "MISSING_OBJECT");
}

#[test]
fn a_bucket_that_can_not_be_read() {
    let copy = Copy::new();
    let endpoint = serve_bucket(&copy, |_| ());
    verify_bucket(&copy, &endpoint, &CREDENTIALS[..2], &[]).is(2, "", "--region");
    let words = "error: access to the bucket was refused: no AWS credentials were found: set AWS_ACCESS_KEY_ID";
    verify_bucket(&copy, &endpoint, &CREDENTIALS[2..], &[]).is(4, "", words);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let words = "no connection to S3; check the network, the Region and AWS_ENDPOINT_URL (Connection refused";
    verify_bucket(&copy, &format!("http://{nobody}"), &CREDENTIALS, &[]).is(1, "", words);
    for (status, expected) in [("403 Forbidden", 4), ("400 Bad Request", 5)] {
        let endpoint = serve(move |_| response(status, "", ""));
        verify_bucket(&copy, &endpoint, &CREDENTIALS, &[]).is(expected, "", "S3 answered with HTTP status 40");
    }
}

#[test]
fn the_place_is_found_whatever_the_way_to_it() {
    let copy = Copy::new();
    copy.verify_target(Path::new(CONFIGURATION), &[]).is(0, "", "");
    copy.verify_target(&Path::new(CONFIGURATION).join("_digests/.."), &[]).is(0, "", "");
}

/// Where a digest lies, and its SHA-256.
type Located = (String, String, String);

/// The bucket of a digest that the service does not have any more.
const EXPIRED: &str = "expired";
const END: &str = "2026-11-22T06:00:00.000Z";
const LATER: &str = "2026-11-22T08:00:00.000Z";

/// The answers of the API.
struct TestService {
    status: &'static str,
    keys: String,
    configuration: String,
    /// A job is listed for each.
    digests: Vec<Located>,
}

impl TestService {
    fn new() -> Self {
        Self { status: "200 OK", keys: String::new(), configuration: String::new(), digests: Vec::new() }
    }

    fn serve(self) -> String {
        serve(move |request| self.answer(request)) + "/stage/"
    }

    fn answer(&self, request: &Request) -> Vec<u8> {
        let question = &request.body;
        let asks_for_keys = question.contains("exportSigningKeys { fingerprint publicKey }");
        assert!(asks_for_keys || question.contains(CONFIGURATION), "{question}");
        let question: Value = serde_json::from_str(question).unwrap();
        let body = match question["query"].as_str().unwrap() {
            query if query.contains("exportSigningKeys") => self.keys.clone(),
            query if query.contains("getAllExportJobs") => self.jobs(),
            query if query.contains("getExportDigest") => {
                let id = question["variables"]["id"].as_str().unwrap();
                let sequence: usize = id.rsplit_once('.').unwrap().1.parse().unwrap();
                match self.digests.get(sequence) {
                    Some((bucket, key, sha256)) if bucket != EXPIRED => {
                        let digest = json!({"bucketName": bucket, "objectKey": key, "sha256": sha256});
                        json!({"data": {"getExportDigest": digest}}).to_string()
                    }
                    _ => error_answer("NOT_FOUND"),
                }
            }
            _ => self.configuration.clone(),
        };
        let is_right = request.head[0] == "POST /stage/api/audit/graphql HTTP/1.1"
            && request.header("authorization") == Some("Bearer token");
        response(if is_right { self.status } else { "400 Bad Request" }, "location: /\r\n", body)
    }

    fn jobs(&self) -> String {
        let count = self.digests.len();
        let job = |sequence: usize| {
            json!({"id": format!("{CONFIGURATION}.{sequence}"), "exportConfigurationId": CONFIGURATION,
                "startTimestamp": END, "endTimestamp": END, "startedAt": END, "endedAt": END, "attempts": 1,
                "status": if sequence == count { "RUNNING" } else { "SUCCEEDED" }, "failureReason": null, "objects": 0,
                "events": 0, "leftOut": 0, "bytes": 0, "gap": null, "gaps": []})
        };
        let jobs: Vec<_> = if count == 0 { Vec::new() } else { (0..=count).rev().map(job).collect() };
        json!({"data": {"getAllExportJobs": jobs}}).to_string()
    }
}

/// The digests of an export as the service locates them, in their order.
fn located(export: &Export) -> Vec<Located> {
    let prefix = export.place().replace("s3://acme-audit/", "");
    let digest = |name: &String| {
        ("acme-audit".to_owned(), format!("{prefix}/{name}"), support::sha256(&export.files[name]).to_string())
    };
    export.digests.iter().map(digest).collect()
}

fn keys_answer(signers: &[&Signer]) -> String {
    let key = |signer: &&Signer| json!({"fingerprint": signer.fingerprint().to_string(), "publicKey": signer.public_key_pem()});
    json!({"data": {"exportSigningKeys": signers.iter().map(key).collect::<Vec<_>>()}}).to_string()
}

fn through_answer(time: &str) -> String {
    let endpoint = json!({"bucketName": "acme-audit", "bucketPath": "audit/logs", "region": "eu-central-1"});
    let configuration = json!({"exportedThrough": time, "endpointConfiguration": endpoint});
    json!({"data": {"getExportConfiguration": configuration}}).to_string()
}

fn error_answer(code: &str) -> String {
    json!({"data": null, "errors": [{"message": "No.", "extensions": {"code": code}}]}).to_string()
}

#[test]
fn the_keys_of_the_service_can_be_saved() {
    let copy = Copy::new();
    let other = Signer::generate();
    let keys = |signers: &[&Signer], arguments: &[&str]| {
        let service = TestService { keys: keys_answer(signers), ..TestService::new() };
        let url = service.serve();
        copy.run(program("keys").args(["--url", &url, "--token-file", "token"]).args(arguments))
    };
    let both = [&other, &copy.signer];
    let saved = keys(&both, &[]);
    saved.is(0, "", "");
    assert_eq!(saved.stdout, both.map(Signer::public_key_pem).concat());
    // The file is what the commands that verify take.
    fs::write(copy.path("digests.pem"), saved.stdout).unwrap();
    copy.run(program("verify").args([CONFIGURATION, "--public-key", "digests.pem"])).is(0, "COMPLETE", "");
    let listed = keys(&both, &["--output", "json"]);
    listed.is(0, "", "");
    let answer: Value = serde_json::from_str(&keys_answer(&both)).unwrap();
    assert_eq!(listed.json(), answer["data"]["exportSigningKeys"]);
    keys(&[], &[]).is(1, "", "no public keys");
}

#[test]
fn the_keys_and_the_end_of_the_service() {
    let copy = Copy::new();
    let folder = copy.folder();
    let other = Signer::generate();
    let with_keys =
        |signers: &[&Signer], through| TestService { keys: keys_answer(signers), ..copy.service(through) }.serve();
    let both = [&other, &copy.signer];
    copy.verify_with(&folder, &with_keys(&both, END), &[]).is(0, &format!("through {END}\n"), "");
    // Missing newest digests are found, unless something else is expected.
    let url = with_keys(&both, LATER);
    let outdated = format!("OUTDATED: complete through {END}");
    copy.verify_with(&folder, &url, &[]).is(13, &outdated, "Fetch the copy again");
    copy.verify_with(&folder, &url, &["--expect-through", END]).is(0, "", "");
    // Keys of a file and of the service are equivalent.
    let url = with_keys(&[&other], END);
    copy.verify_with(&folder, &url, &[]).is(6, "WRONG_KEY", "");
    copy.verify_with(&folder, &url, &["--public-key", "key.pem"]).is(0, "", "");
}

#[test]
fn an_id_is_verified_in_the_bucket_that_the_service_names() {
    let copy = Copy::new();
    let other = Signer::generate();
    let bucket = serve_bucket(&copy, |_| ());
    // A folder with the name of the ID would take precedence.
    let elsewhere = copy.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let token = copy.path("token").into_os_string().into_string().unwrap();
    let key = copy.path("key.pem").into_os_string().into_string().unwrap();
    let verify = |service: TestService, environment: &[(&str, &str)], arguments: &[&str]| {
        let url = service.serve();
        let mut command = program("verify");
        command.env_clear().envs(CREDENTIALS[..2].iter().copied()).envs(environment.iter().copied()).envs([
            ("AWS_ENDPOINT_URL", bucket.as_str()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AUDIT_EXPORT_CONFIG", "/nonexistent/config.toml"),
            ("AUDIT_EXPORT_URL", url.as_str()),
        ]);
        run(command.arg(CONFIGURATION).args(arguments).current_dir(&elsewhere))
    };
    let service = || TestService { digests: located(&copy.export), ..copy.service(END) };
    let place = format!("Place           {}\n", copy.export.place());
    verify(service(), &[], &["--token-file", &token]).is(0, &place, "");
    // The environment's token is enough, since an ID can't be verified without the service.
    let environment = [("AUDIT_EXPORT_TOKEN_FILE", token.as_str())];
    verify(service(), &environment, &[]).is(0, "7, 7 intact", "");
    verify(service(), &[], &[]).is(2, "", "no service is given");
    // With keys of one's own, the service's are not accepted.
    let with_other_keys = || TestService { keys: keys_answer(&[&other]), ..service() };
    verify(with_other_keys(), &environment, &["--public-key", &key]).is(0, &place, "");
    verify(with_other_keys(), &environment, &[]).is(6, "", "WRONG_KEY");
    let unknown = TestService { configuration: error_answer("NOT_FOUND"), ..service() };
    verify(unknown, &environment, &[]).is(8, "", "to name the bucket of the export configuration: NOT_FOUND");
}

#[test]
fn an_export_to_another_server_is_not_looked_for_in_aws() {
    let copy = Copy::new();
    let server = serve_bucket(&copy, |_| ());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    // A bucket of the same name that everybody can read.
    let aws = serve(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        response("200 OK", "", "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    });
    let answer =
        through_answer(END).replace("eu-central-1\"", "us-east-1\",\"endpointUrl\":\"https://s3.example.com:9000\"");
    let service = TestService { configuration: answer, digests: located(&copy.export), ..copy.service(END) }.serve();
    let elsewhere = copy.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let verify = |arguments: &[&str]| {
        let mut command = program("verify");
        command.env_clear().envs(CREDENTIALS).envs([
            ("AWS_ENDPOINT_URL", aws.as_str()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AUDIT_EXPORT_URL", service.as_str()),
        ]);
        command.args([CONFIGURATION, "--token-file", "../token"]);
        run(command.args(arguments).current_dir(&elsewhere))
    };
    let refused = verify(&[]);
    refused.is(2, "", "error: --endpoint-url: is required, because the bucket acme-audit is not in AWS\n");
    refused.is(2, "", "Give --endpoint-url https://s3.example.com:9000, and credentials for that server.\n");
    verify(&["--endpoint-url", &server]).is(0, "7, 7 intact", "");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn the_verdict_has_a_colour_on_request() {
    let copy = Copy::new();
    let colored = copy.verify(&["--color", "always", "--report", "report.txt"]);
    colored.is(0, "Verdict         \u{1b}[32mCOMPLETE\u{1b}[0m through ", "");
    assert!(!fs::read_to_string(copy.path("report.txt")).unwrap().contains('\u{1b}'));
    assert!(!copy.verify(&[]).stdout.contains('\u{1b}'));
    copy.remove(&copy.export.objects[2]);
    copy.verify(&["--color", "always"]).is(6, "\u{1b}[31mBROKEN\u{1b}[0m: MISSING_OBJECT", "");
}

#[test]
fn the_place_that_an_export_was_moved_away_from() {
    let copy = Copy::new();
    let verify = |digests: &[Located], through: &str, arguments: &[&str]| {
        let service = TestService { digests: digests.to_vec(), ..copy.service(through) };
        copy.verify_with(&copy.folder(), &service.serve(), arguments)
    };
    let mut digests = located(&copy.export);
    // The newest digest is here, so everything that the service exported is expected.
    verify(&digests, END, &[]).is(0, &format!("through {END}, by the service"), "");
    // The export continued in another place.
    for sequence in [5, 6] {
        let key = format!("{CONFIGURATION}/_digests/{sequence:010}_20261122T080000000Z.json");
        digests.push(("next-audit".to_owned(), key, "0".repeat(64)));
    }
    let place = copy.export.place();
    let head = copy.export.head.as_ref().unwrap().sha256.to_string();
    verify(&digests, LATER, &["--place", &place]).is(0, &format!("digest {head}, by the service"), "");
    // A place that only the copy claims does not lower the expectation: the copy may be old.
    verify(&digests, LATER, &[]).is(13, "OUTDATED_COPY", "give --place if this is a copy of the old place");
    // The end of the part that was here is missing.
    copy.remove(&copy.export.digests[4]);
    copy.remove(&copy.export.signature(4));
    verify(&digests, LATER, &["--place", &place]).is(13, &head, "");
    // The service has no such digest any more: nothing is expected, with a warning.
    for digest in &mut digests[..5] {
        digest.0 = "gone-audit".to_owned();
    }
    digests[3] = ("gone".to_owned(), "gone".to_owned(), "0".repeat(64));
    verify(&digests, LATER, &["--place", &place]).is(0, "", "--expect-head");
}

#[test]
fn a_newest_digest_that_has_expired_at_the_service_lowers_nothing() {
    let copy = Copy::new();
    let mut digests = located(&copy.export);
    EXPIRED.clone_into(&mut digests[4].0);
    let place = copy.export.place();
    for arguments in [&[][..], &["--place", &place]] {
        for (through, expected) in [(END, 0), (LATER, 13)] {
            let url = TestService { digests: digests.clone(), ..copy.service(through) }.serve();
            let outcome = copy.verify_with(&copy.folder(), &url, arguments);
            outcome.is(expected, &format!("through {through}, by the service"), "");
            let is_warned = outcome.stderr.contains("no longer knows the place of its newest digest");
            assert_eq!(is_warned, !arguments.is_empty(), "{}", outcome.stderr);
        }
    }
}

#[test]
fn the_end_of_a_folder_of_any_name_is_expected() {
    let copy = Copy::new();
    let named = copy.path("audit-log");
    fs::rename(copy.folder(), &named).unwrap();
    let verify = |through: &str| {
        let service = TestService { digests: located(&copy.export), ..copy.service(through) };
        copy.verify_with(&named, &service.serve(), &[])
    };
    verify(END).is(0, "", "");
    verify(LATER).is(13, "OUTDATED_COPY", "");
    // The origin of this copy is unknown.
    fs::write(named.join(&copy.export.digests[4]), "x").unwrap();
    verify(END).is(6, "", "nothing is expected");
}

#[test]
fn files_of_the_operating_system_are_named_and_break_nothing() {
    let copy = Copy::new();
    for name in [".DS_Store", "_digests/.DS_Store", "date=2026-11-22/.DS_Store"] {
        copy.write(name, b"x");
    }
    let words = "Created by the operating system: not part of the export, not checked (3)\n  _digests/.DS_Store\n";
    copy.verify(&["--require-proven"]).is(0, words, "");
    copy.write("date=2026-11-22/._x.ndjson.gz", b"x");
    copy.verify(&[]).is(6, "macOS", "");
    copy.remove("date=2026-11-22/._x.ndjson.gz");
    copy.write("date=2026-11-22/Thumbs.db", b"x");
    copy.verify(&[]).is(6, "readers of the day's folder would read it", "");
}

#[test]
fn the_set_that_is_proven_can_be_the_set_that_is_read() {
    let copy = Copy::new();
    let arguments = ["--proven-objects", "list"];
    copy.write(&Export::object_name_at("2026-11-22T06:00:00Z"), b"forged");
    copy.verify(&arguments).is(0, "; 1 file here is not proven\n", "");
    let names = fs::read_to_string(copy.path("list")).unwrap();
    assert_eq!(names.lines().collect::<Vec<_>>(), copy.export.objects);
    copy.verify(&["--require-proven"]).is(6, "", "UNPROVEN_FILES");
    // A broken export has no list.
    copy.remove(&copy.export.objects[0]);
    copy.verify(&arguments).is(6, "", "");
    assert!(!copy.path("list").exists());
    // Neither has an export that can't be read, and an earlier list is removed.
    let copy = Copy::new();
    fs::write(copy.path("list"), "earlier").unwrap();
    symlink("/dev/null", copy.folder().join("date=2026-11-22/zzz")).unwrap();
    copy.verify(&arguments).is(5, "", "");
    let entries = fs::read_dir(copy.directory.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, [CONFIGURATION, "key.pem", "token"]);
    // Output to a pipe can't be taken back.
    copy.verify(&["--proven-objects", "/dev/stdout"]).is(2, "", "not a plain file");
    // Forged files of the future are found.
    let copy = Copy::new();
    copy.write(&Export::object_name_at("2099-01-01T00:00:00Z"), b"forged");
    copy.verify(&[]).is(6, "", "EXTRA_OBJECT");
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
        let service = TestService { status, keys, configuration: configuration.to_owned(), digests: Vec::new() };
        copy.verify_with(&copy.folder(), &service.serve(), &[]).is(expected, "", words);
    }
}

#[test]
fn some_keys_are_needed() {
    let copy = Copy::new();
    for (arguments, expected) in
        [(&[][..], 2), (&["--url", "https://example.com"], 2), (&["--token-file", "no such file"], 5)]
    {
        copy.run(program("verify").arg(copy.folder()).args(arguments)).is(expected, "", "");
    }
    let insecure = copy.verify_with(&copy.folder(), "http://example.com", &[]);
    insecure.is(2, "", "only for a stack on this machine");
    // The variable alone, which `events send` uses too, does not contact the service.
    let mut offline = program("verify");
    offline.env("AUDIT_EXPORT_URL", "https://example.invalid").args(["--public-key", "key.pem"]);
    copy.run(offline.arg(copy.folder())).is(0, "", "");
}
