//! The import of history: files of events with their own times, checked first, then sent so that the command can be
//! interrupted and repeated.

mod state;

use std::{
    cell::RefCell,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use host::Random;
use serde::Serialize;
use sha2::{Digest, Sha256};

use self::state::{ImportState, StateFile};
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
/// Events keep their own eventTimestamp; they are exported, and kept, by the time at which they were imported.
///
/// An interrupted request has an unknown result. It is repeated with the same Idempotency-Key, so continue within 24 hours;
/// later, its events may be stored twice, with the same IDs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export events import history/2025-*.ndjson.gz --profile production
  audit-export events import events.json --profile production --state-directory ./import-state

The state belongs to one tenant: give another --state-directory for each.
The exit code is 0 only if every event was accepted; `audit-export --help` lists the others.")]
pub struct ImportArguments {
    /// The files with the events, imported one after the other
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    delivery: DeliveryArguments,

    /// The folder for the state files, instead of that of each file
    #[arg(long, value_name = "FOLDER")]
    state_directory: Option<PathBuf>,

    /// The format of the result
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// A file that was checked.
struct CheckedFile {
    path: PathBuf,
    sha256: [u8; 32],
    events: CheckedEvents,
    state_file: StateFile,
    state: ImportState,
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
    let files = arguments.files.iter().map(|path| check(path, arguments, sender.url().as_str()));
    let files = files.collect::<Result<Vec<_>, _>>()?;

    let started = Instant::now();
    let mut imported = Imported { files: files.len() as u64, ..Imported::default() };
    let mut outcome = Ok(());
    for file in files {
        imported.events += file.events.events;
        imported.accepted_before += file.state.accepted;
        if outcome.is_ok() {
            outcome = import(file, &sender, &mut imported.sent).await;
        }
    }
    imported.sent.seconds = started.elapsed().as_secs_f64();
    output::print_result(&imported, arguments.output)?;
    outcome.map_err(|failure| Failure::Unsure {
        failure: Box::new(failure),
        hint: "What was accepted is recorded: the same command continues.".to_owned(),
    })
}

/// Checks every event of a file, and finds the state of an earlier import.
fn check(path: &Path, arguments: &ImportArguments, url: &str) -> Result<CheckedFile, Failure> {
    if path == Path::new(input::STANDARD_INPUT) {
        return Err(Failure::argument(
            "FILE",
            "an import reads its files twice; use `events send -` for standard input",
        ));
    }
    let state_file = StateFile::of(path, arguments.state_directory.as_deref())?;
    let sha256 = sha256(path).map_err(Failure::file(path))?;
    let events = CheckedEvents::of(input::open(path)?, &longest_tenant()?).map_err(Failure::file(path))?;
    if events.require_valid(path).is_err() {
        terminal::report(&path.display().to_string(), &format!("\n{}", events.render(&Style::plain())));
    }
    events.require_valid(path)?;
    let fresh = ImportState::new(url, &sha256, arguments.delivery.batch_size);
    let state = state_file.load(&fresh)?.unwrap_or(fresh);
    Ok(CheckedFile { path: path.to_owned(), sha256, events, state_file, state })
}

/// Imports the rest of one file.
async fn import(file: CheckedFile, sender: &Sender<'_>, sent: &mut Summary) -> Result<(), Failure> {
    let CheckedFile { path, sha256, events, state_file, state } = file;
    if state.accepted == events.events {
        return Ok(());
    }
    let progress = progress_bar(Some(events.event_bytes))?;
    let before = state.clone();
    let input = input::open(&path)?;
    // Equal batches of two files are different events.
    let batches = Batches::new(input, state.batch_size, sha256.to_vec());
    let delivery = Delivery { path, batches, is_accepted: Box::new(move |number| before.has(number)) };
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
    outcome
}

fn sha256(path: &Path) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut HashWriter(&mut hash))?;
    Ok(hash.finalize().into())
}

/// A writer into a hash.
struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        fs,
        sync::{Arc, Mutex},
    };

    use clap::Parser;

    use super::*;
    use crate::test_server::{response, serve};

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
            serve(move |request| {
                let mut room = service.room.lock().unwrap();
                if *room == 0 {
                    return response("400 Bad", "", "");
                }
                *room -= 1;
                let key = request.header("idempotency-key").unwrap().to_owned();
                if service.keys.lock().unwrap().insert(key) {
                    service.bodies.lock().unwrap().push(request.body.clone());
                }
                let accepted = request.body.lines().count();
                response("202 Accepted", "", format!("{{\"accepted\":{accepted}}}"))
            })
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
        let token = folder.join("token");
        fs::write(&token, "abc").unwrap();
        let paths = files.iter().map(|file| folder.join(file).to_str().unwrap().to_owned());
        let arguments = ["import", "--url", url, "--token-file", token.to_str().unwrap(), "--gzip=false"];
        let batch_size = ["--batch-size".to_owned(), batch_size.to_string()];
        let all = arguments.into_iter().map(ToOwned::to_owned).chain(batch_size).chain(paths);
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
    async fn equal_content_of_two_files_is_imported_twice_and_a_changed_file_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a.ndjson"), events(1).join("\n")).unwrap();
        fs::write(path("b.ndjson"), format!("{}\n", events(1)[0])).unwrap();
        let service = Service::default();
        *service.room.lock().unwrap() = 100;
        let url = service.start();
        import_files(&url, folder.path(), &["a.ndjson", "b.ndjson"], 2).await.unwrap();
        assert_eq!(service.lines().len(), 2);
        fs::write(path("a.ndjson"), events(3).join("\n")).unwrap();
        let failure = import_files(&url, folder.path(), &["a.ndjson"], 2).await.unwrap_err();
        assert!(failure.to_string().contains("has changed"), "{failure}");
        let elsewhere = service.start();
        let failure = import_files(&elsewhere, folder.path(), &["b.ndjson"], 2).await.unwrap_err();
        assert!(failure.to_string().contains("another service"), "{failure}");
    }
}
