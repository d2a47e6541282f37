//! The import of history: files of events with their own times, checked first, then sent so that the command can be
//! interrupted and repeated.

mod fingerprint;
mod refusal;
mod state;

use std::{
    cell::RefCell,
    fs,
    io::{self, BufRead},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use clap::Args;
use domain::tenant::TenantId;
use host::Random;
use serde::Serialize;

pub use self::refusal::ImportRefusal;
use self::{
    fingerprint::Fingerprint,
    state::{ImportState, StateFile},
};
use super::{
    batches::Batches,
    delivery::{Delivery, DeliveryArguments, Sender, Summary, progress_bar},
    input,
    validate::{CheckedEvents, longest_tenant},
};
use crate::{
    failure::Failure,
    output::{self, OutputFormat, Style},
};

/// Import events of the past from files: NDJSON or JSON arrays, plain or compressed with gzip
///
/// All files are checked before anything is sent. Each file gets a state file beside it, which records what the service has
/// accepted: the same command continues an import that was interrupted, and sends nothing of a file that is complete.
/// Events keep their own eventTimestamp; they are exported, and kept, by the time at which they were imported. A file that
/// changes before its import is complete is refused; what was sent is what was checked.
///
/// An interrupted request has an unknown result. It is repeated with the same Idempotency-Key, so continue within 24 hours;
/// later, its events may be stored twice, with the same IDs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export events import history/2025-*.ndjson.gz --profile production
  audit-export events import events.json --profile production \\
    --state-directory ./import-state

A state belongs to one file, service and tenant: give another --state-directory for each service and tenant.
The exit code is 0 only if every event was accepted; `audit-export --help` lists the others.")]
pub struct ImportArguments {
    /// The files with the events, imported one after the other
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    delivery: DeliveryArguments,

    /// The folder for the state files, instead of that of each file; a file is known by its path then
    #[arg(long, value_name = "FOLDER")]
    state_directory: Option<PathBuf>,

    /// The tenant, if the token doesn't show it in the claim `tenant_id`; the token alone decides who gets the events
    #[arg(long, value_name = "ID", value_parser = TenantId::parse)]
    tenant: Option<TenantId>,

    /// The format of the result
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// A file that was checked.
struct CheckedFile {
    path: PathBuf,
    fingerprint: Arc<Fingerprint>,
    events: CheckedEvents,
    state_file: StateFile,
    state: ImportState,
}

/// The end of the import of a file.
enum Completion {
    Unchanged,
    /// The file has grown since it was checked.
    Grew,
}

/// The result of the command.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    files: u64,
    /// Events of the files, and those of them that were accepted for an earlier command.
    events: u64,
    accepted_before: u64,
    #[serde(flatten)]
    sent: Summary,
}

pub async fn run(arguments: &ImportArguments, random: &dyn Random) -> Result<(), Failure> {
    let sender = Sender::new(&arguments.delivery, random).await?;
    let tenant = tenant(arguments.tenant.as_ref(), sender.tenant())?;
    let mut files: Vec<CheckedFile> = Vec::with_capacity(arguments.files.len());
    for path in &arguments.files {
        let file = check(path, arguments, sender.url().as_str(), &tenant)?;
        if let Some(other) = files.iter().find(|other| other.state_file == file.state_file) {
            let reason = format!("{} and {} are the same file", other.path.display(), path.display());
            return Err(Failure::argument("FILE", reason));
        }
        files.push(file);
    }

    let started = Instant::now();
    let mut imported = Imported { files: files.len() as u64, ..Imported::default() };
    for file in &files {
        imported.events += file.events.events;
        imported.accepted_before += file.state.accepted;
    }
    let mut failures = Vec::new();
    for file in files {
        let path = file.path.clone();
        match import(file, &sender, &mut imported.sent).await {
            Ok(Completion::Unchanged) => {}
            // All that was checked is imported.
            Ok(Completion::Grew) => failures.push(Failure::invalid_file(path, ImportRefusal::FileGrew)),
            Err(failure) => {
                let others_grew = !failures.is_empty();
                failures.push(with_hint(failure, others_grew));
                break;
            }
        }
    }
    imported.sent.seconds = started.elapsed().as_secs_f64();
    output::print_result(&imported, arguments.output)?;
    let last = failures.pop();
    for failure in &failures {
        terminal::report("error", failure);
    }
    last.map_or(Ok(()), Err)
}

/// Adds to a failure how the import continues.
fn with_hint(failure: Failure, others_grew: bool) -> Failure {
    // The same command can't continue with a bad file. The reason says what to do.
    if matches!(failure, Failure::InvalidFile { .. }) {
        return failure;
    }
    let how = if others_grew { "without the files that grew" } else { "with the same files" };
    let hint = format!("What was accepted is recorded: the same command continues {how}.");
    Failure::Unsure { failure: Box::new(failure), hint }
}

/// Returns the tenant that gets the events, to tell the states of several tenants apart.
fn tenant(argument: Option<&TenantId>, of_token: Option<&TenantId>) -> Result<TenantId, Failure> {
    match (argument, of_token) {
        (Some(argument), Some(of_token)) if argument != of_token => {
            Err(Failure::argument("--tenant", format!("the token is for the tenant {of_token}, not {argument}")))
        }
        (Some(tenant), _) | (None, Some(tenant)) => Ok(tenant.clone()),
        (None, None) => {
            let reason = "the token does not show its tenant in the claim tenant_id: name the tenant";
            Err(Failure::argument("--tenant", reason))
        }
    }
}

/// Checks every event of a file, and finds the state of an earlier import.
fn check(path: &Path, arguments: &ImportArguments, url: &str, tenant: &TenantId) -> Result<CheckedFile, Failure> {
    // A pipe can't be read twice.
    let is_standard_input = path == Path::new(input::STANDARD_INPUT);
    if is_standard_input || !fs::metadata(path).map_err(Failure::file(path))?.is_file() {
        let reason = format!(
            "{} is not a regular file, and an import reads its files twice; write the events to a file, or use `events send -` \
             for standard input and pipes",
            path.display()
        );
        return Err(Failure::argument("FILE", reason));
    }
    let state_file = StateFile::of(path, arguments.state_directory.as_deref())?;
    let fingerprint = Arc::new(Fingerprint::of(path).map_err(Failure::file(path))?);
    let fresh = ImportState::new(url, tenant.clone(), &fingerprint, arguments.delivery.batch_size);
    let state = state_file.load(path, &fresh)?.unwrap_or(fresh);
    let input = open(&fingerprint, path).map_err(Failure::file(path))?;
    let events = CheckedEvents::of(input, &longest_tenant()?).map_err(Failure::file(path))?;
    if events.require_valid(path).is_err() {
        terminal::report(&path.display().to_string(), &format!("\n{}", events.render(&Style::plain())));
    }
    events.require_valid(path)?;
    Ok(CheckedFile { path: path.to_owned(), fingerprint, events, state_file, state })
}

/// Opens the file with the content that was checked.
fn open(fingerprint: &Arc<Fingerprint>, path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    input::decompressed(Box::new(fingerprint.open(path)?))
}

/// Imports the rest of one file.
async fn import(file: CheckedFile, sender: &Sender<'_>, sent: &mut Summary) -> Result<Completion, Failure> {
    let CheckedFile { path, fingerprint, events, state_file, state } = file;
    if state.accepted == events.events {
        return Ok(Completion::Unchanged);
    }
    let progress = progress_bar(Some(events.event_bytes))?;
    let before = state.clone();
    let input = open(&fingerprint, &path).map_err(Failure::file(&path))?;
    // Equal batches of two files are different events.
    let batches = Batches::new(input, state.batch_size, fingerprint.sha256.to_vec());
    let delivery = Delivery { path: path.clone(), batches, is_accepted: Box::new(move |number| before.has(number)) };
    let state = RefCell::new(state);
    progress.inc(state.borrow().event_bytes);
    let outcome = sender.deliver_all(delivery, |number, delivered| {
        let mut state = state.borrow_mut();
        state.add(number, delivered);
        sent.add(delivered);
        progress.inc(delivered.event_bytes);
        progress.set_message(format!("{} events accepted", sent.accepted));
        state_file.store(&state)
    });
    let outcome = outcome.await;
    progress.finish_and_clear();
    outcome?;
    let length = fs::metadata(&path).map_err(Failure::file(&path))?.len();
    Ok(if length > fingerprint.length { Completion::Grew } else { Completion::Unchanged })
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Mutex};

    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use clap::Parser;

    use super::*;
    use crate::test_server::{Request, response, serve};

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        import: ImportArguments,
    }

    /// A service that accepts `room` requests, each key once, and then has a fault.
    #[derive(Clone, Default)]
    struct Service {
        room: Arc<Mutex<usize>>,
        keys: Arc<Mutex<HashSet<String>>>,
        bodies: Arc<Mutex<Vec<String>>>,
    }

    impl Service {
        fn start(&self) -> String {
            let service = self.clone();
            serve(move |request| service.answer(request))
        }

        fn answer(&self, request: &Request) -> Vec<u8> {
            let mut room = self.room.lock().unwrap();
            if *room == 0 {
                return response("400 Bad", "", "");
            }
            *room -= 1;
            let key = request.header("idempotency-key").unwrap().to_owned();
            if self.keys.lock().unwrap().insert(key) {
                self.bodies.lock().unwrap().push(request.body.clone());
            }
            let accepted = request.body.lines().count();
            response("202 Accepted", "", format!("{{\"accepted\":{accepted}}}"))
        }

        fn lines(&self) -> Vec<String> {
            let bodies = self.bodies.lock().unwrap();
            let mut lines: Vec<String> = bodies.iter().flat_map(|body| body.lines()).map(ToOwned::to_owned).collect();
            lines.sort();
            lines
        }
    }

    fn events(count: usize) -> Vec<String> {
        (0..count).map(|id| format!(r#"{{"id":"{id:04}","eventTimestamp":"2020-01-31T23:59:59Z"}}"#)).collect()
    }

    async fn import_files(url: &str, folder: &Path, files: &[&str], batch_size: u64) -> Result<(), Failure> {
        let batch_size = format!("--batch-size={batch_size}");
        import_as("acme", url, folder, files, &[&batch_size]).await
    }

    async fn import_as(
        tenant: &str,
        url: &str,
        folder: &Path,
        files: &[&str],
        options: &[&str],
    ) -> Result<(), Failure> {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"tenant_id":"{tenant}"}}"#));
        import_with(&format!("e30.{claims}.x"), url, folder, files, options).await
    }

    async fn import_with(
        token: &str,
        url: &str,
        folder: &Path,
        files: &[&str],
        options: &[&str],
    ) -> Result<(), Failure> {
        let token_file = folder.join("token");
        fs::write(&token_file, token).unwrap();
        let paths = files.iter().map(|file| folder.join(file).to_str().unwrap().to_owned());
        let arguments = ["import", "--url", url, "--token-file", token_file.to_str().unwrap(), "--gzip=false"];
        let all = arguments.iter().chain(options).map(ToString::to_string).chain(paths);
        run(&Program::parse_from(all).import, &host::Machine).await
    }

    #[tokio::test]
    async fn an_interrupted_import_continues_and_sends_nothing_twice() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.ndjson"), events(25).join("\n")).unwrap();
        let service = Service::default();
        let url = service.start();
        for round in 0..4 {
            *service.room.lock().unwrap() = 3;
            // Another size does not move the limits of the batches.
            let outcome = import_files(&url, folder.path(), &["a.ndjson"], if round == 0 { 2 } else { 7 }).await;
            assert!(outcome.is_err(), "round {round}");
        }
        *service.room.lock().unwrap() = 100;
        import_files(&url, folder.path(), &["a.ndjson"], 2).await.unwrap();
        assert_eq!(service.lines(), events(25));
        assert_eq!(*service.room.lock().unwrap(), 99, "what was accepted is not sent again");
        import_files(&url, folder.path(), &["a.ndjson"], 2).await.unwrap();
        assert_eq!(*service.room.lock().unwrap(), 99, "the file is complete");
    }

    #[tokio::test]
    async fn nothing_is_sent_if_one_file_has_a_bad_event() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.ndjson"), events(2).join("\n")).unwrap();
        fs::write(folder.path().join("b.json"), format!("[{},{{}}]", events(1)[0])).unwrap();
        let service = Service::default();
        *service.room.lock().unwrap() = 100;
        let outcome = import_files(&service.start(), folder.path(), &["a.ndjson", "b.json"], 2).await;
        assert_eq!(outcome.unwrap_err().exit_code(), 5);
        assert!(service.lines().is_empty());
    }

    #[tokio::test]
    async fn equal_events_of_two_files_are_imported_twice() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.ndjson"), events(1).join("\n")).unwrap();
        fs::write(folder.path().join("b.ndjson"), format!("{}\n", events(1)[0])).unwrap();
        let service = Service::default();
        *service.room.lock().unwrap() = 100;
        import_files(&service.start(), folder.path(), &["a.ndjson", "b.ndjson"], 2).await.unwrap();
        assert_eq!(service.lines().len(), 2);
    }

    #[tokio::test]
    async fn files_of_one_name_share_no_state() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["2024/a.ndjson", "2025/a.ndjson"];
        for (file, event) in files.iter().zip(events(2)) {
            fs::create_dir(folder.path().join(file).parent().unwrap()).unwrap();
            fs::write(folder.path().join(file), event).unwrap();
        }
        let service = Service::default();
        *service.room.lock().unwrap() = 2;
        let url = service.start();
        let states = format!("--state-directory={}", folder.path().join("states").display());
        for _ in 0..2 {
            import_as("acme", &url, folder.path(), &files, &[&states]).await.unwrap();
        }
        assert_eq!(service.lines(), events(2));
        let twice = ["2024/a.ndjson", "2024/../2024/a.ndjson"];
        for options in [&[states.as_str()][..], &[]] {
            let failure = import_as("acme", &url, folder.path(), &twice, options).await.unwrap_err();
            assert!(failure.exit_code() == 2 && failure.to_string().ends_with(" are the same file"), "{failure}");
        }
    }

    #[tokio::test]
    async fn another_tenant_or_service_is_not_taken_as_done() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.ndjson"), events(1).join("\n")).unwrap();
        let [first, second] = [Service::default(), Service::default()];
        for service in [&first, &second] {
            *service.room.lock().unwrap() = 2;
        }
        let urls = [first.start(), second.start()];
        let import = async |tenant: &str, url: &str, states: &str| {
            let states = format!("--state-directory={}", folder.path().join(states).display());
            import_as(tenant, url, folder.path(), &["a.ndjson"], &[&states]).await
        };
        import("acme", &urls[0], "states").await.unwrap();
        for (tenant, url, code) in
            [("other", &urls[0], "IMPORT_OTHER_TENANT"), ("acme", &urls[1], "IMPORT_OTHER_SERVICE")]
        {
            let failure = import(tenant, url, "states").await.unwrap_err();
            assert!(failure.exit_code() == 5 && failure.to_string().contains(code), "{failure}");
        }
        assert_eq!((first.lines().len(), second.lines().len()), (1, 0));
        // The stand-in knows the key: it takes the request, and counts no event twice.
        import("other", &urls[0], "states-of-other").await.unwrap();
        assert_eq!(*first.room.lock().unwrap(), 0, "the file was sent for the other tenant");
        import("acme", &urls[1], "states-of-second").await.unwrap();
        assert_eq!(second.lines().len(), 1);
    }

    #[tokio::test]
    async fn the_tenant_is_named_if_the_token_does_not_show_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.ndjson"), events(1).join("\n")).unwrap();
        let service = Service::default();
        *service.room.lock().unwrap() = 1;
        let url = service.start();
        let failure = import_with("opaque", &url, folder.path(), &["a.ndjson"], &[]).await.unwrap_err();
        assert!(failure.exit_code() == 2 && failure.to_string().starts_with("--tenant: "), "{failure}");
        let failure = import_as("acme", &url, folder.path(), &["a.ndjson"], &["--tenant=other"]).await.unwrap_err();
        assert!(failure.to_string().contains("the token is for the tenant acme, not other"), "{failure}");
        import_with("opaque", &url, folder.path(), &["a.ndjson"], &["--tenant=acme"]).await.unwrap();
        import_as("acme", &url, folder.path(), &["a.ndjson"], &["--tenant=acme"]).await.unwrap();
        assert_eq!(*service.room.lock().unwrap(), 0, "it is the same import");
    }

    #[tokio::test]
    async fn a_file_that_changed_since_the_last_command_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        fs::write(&path, events(2).join("\n")).unwrap();
        let service = Service::default();
        *service.room.lock().unwrap() = 100;
        let url = service.start();
        import_files(&url, folder.path(), &["a.ndjson"], 2).await.unwrap();
        for (content, code) in [
            (events(3).join("\n"), "IMPORT_FILE_GREW"),
            (events(2).join("\n\n"), "IMPORT_FILE_CHANGED"),
            (events(1).join("\n"), "IMPORT_FILE_CHANGED"),
        ] {
            fs::write(&path, content).unwrap();
            let failure = import_files(&url, folder.path(), &["a.ndjson"], 2).await.unwrap_err();
            assert!(failure.exit_code() == 5 && failure.to_string().contains(code), "{failure}");
        }
        assert_eq!(service.lines(), events(2), "nothing else was sent");
    }

    /// Events of more than one chunk, in whose first request the file is changed. Returns the failure, and how many events the
    /// service got that are not those of the file.
    async fn changed_meanwhile(change: impl Fn(&Path) + Send + Sync + 'static) -> (Failure, usize, usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        let filler = "x".repeat(200_000);
        let sent: Vec<String> =
            events(40).iter().map(|event| event.replace('}', &format!(r#","f":"{filler}"}}"#))).collect();
        fs::write(&path, sent.join("\n")).unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let (seen, changed) = (Arc::clone(&got), path.clone());
        let url = serve(move |request| {
            let mut seen = seen.lock().unwrap();
            if seen.is_empty() {
                change(&changed);
            }
            seen.extend(request.body.lines().map(ToOwned::to_owned));
            response("202 Accepted", "", format!("{{\"accepted\":{}}}", request.body.lines().count()))
        });
        let outcome =
            import_as("acme", &url, folder.path(), &["a.ndjson"], &["--batch-size=1", "--concurrency=1"]).await;
        let got = got.lock().unwrap();
        let strange = got.iter().filter(|line| !sent.contains(line)).count();
        (outcome.unwrap_err(), got.len(), strange)
    }

    #[tokio::test]
    async fn a_file_that_changes_while_it_is_sent_is_refused() {
        let (failure, got, strange) = changed_meanwhile(|path| {
            let content = fs::read_to_string(path).unwrap().replace("0039", "0079");
            fs::write(path, content).unwrap();
        })
        .await;
        assert!(failure.exit_code() == 5 && failure.to_string().contains("IMPORT_FILE_CHANGED"), "{failure}");
        assert!(!failure.to_string().contains("the same command continues"), "{failure}");
        assert!((1..40).contains(&got), "{got}");
        assert_eq!(strange, 0, "an event was sent that was not checked");
    }

    #[tokio::test]
    async fn a_file_that_grows_while_it_is_sent_is_imported_as_it_was_checked() {
        let (failure, got, strange) = changed_meanwhile(|path| {
            let mut file = fs::File::options().append(true).open(path).unwrap();
            io::Write::write_all(&mut file, b"\nnot an event").unwrap();
        })
        .await;
        assert!(failure.exit_code() == 5 && failure.to_string().contains("IMPORT_FILE_GREW"), "{failure}");
        assert!(!failure.to_string().contains("the same command continues"), "{failure}");
        assert_eq!((got, strange), (40, 0));
    }

    #[tokio::test]
    async fn the_next_file_is_imported_after_one_that_grew() {
        for (answers, hint) in [(2, None), (1, Some("the same command continues without the files that grew."))] {
            let folder = tempfile::tempdir().unwrap();
            let [grows, next] = ["a.ndjson", "b.ndjson"].map(|name| folder.path().join(name));
            fs::write(&grows, &events(2)[0]).unwrap();
            fs::write(&next, &events(2)[1]).unwrap();
            let service = Service::default();
            *service.room.lock().unwrap() = answers;
            let seen = service.clone();
            let url = serve(move |request| {
                fs::write(&grows, events(2).join("\n")).unwrap();
                seen.answer(request)
            });
            let failure = import_files(&url, folder.path(), &["a.ndjson", "b.ndjson"], 1).await.unwrap_err();
            assert_eq!(service.lines(), events(answers));
            match hint {
                None => assert!(failure.to_string().contains("a.ndjson: IMPORT_FILE_GREW: "), "{failure}"),
                Some(hint) => assert!(failure.exit_code() == 3 && failure.to_string().ends_with(hint), "{failure}"),
            }
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_regular_files_are_imported() {
        use std::os::fd::AsRawFd;

        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let (pipe, _writer) = io::pipe().unwrap();
        // As a shell passes the output of a command.
        let pipe = format!("/dev/fd/{}", pipe.as_raw_fd());
        for path in [pipe.as_str(), "/dev/null", "folder"] {
            let failure = import_files("http://127.0.0.1:1", folder.path(), &[path], 1).await.unwrap_err();
            assert!(failure.exit_code() == 2 && failure.to_string().contains(" is not a regular file"), "{failure}");
        }
    }
}
