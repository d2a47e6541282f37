//! The command `tenant erase`: invokes the housekeeper until a tenant is erased, and keeps the signed statement.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Args;
use domain::{digest::SIGNATURE_SUFFIX, erasure::ErasureCounts, operator_reason::OperatorReason, tenant::TenantId};
use host::{Machine, Timer};
use serde::{Deserialize, Serialize};
use serde_json::json;
use terminal::OutputFormat;

use crate::{
    aws::Aws,
    commands::skip_block::parse_reason,
    confirmation::{self, confirm_name},
    failure::{CallFailureKind, Failure},
    ports::{Invocation, Invocations, Queues},
    stack::{Function, Queue, Stack, StackArguments},
};

/// The queues with events. What is received or redriven after an erasure is stored again.
const QUEUES_OF_EVENTS: [Queue; 6] = [
    Queue::EventsQueue,
    Queue::TopicEventsQueue,
    Queue::RuleEventsQueue,
    Queue::EventsDeadLetterQueue,
    Queue::TopicEventsDeadLetterQueue,
    Queue::RuleEventsDeadLetterQueue,
];

/// The most invocations, each of up to 13 minutes and some GB. The same command continues.
const MAX_INVOCATIONS: u32 = 500;

/// Failed invocations in a row after which the command ends. The progress is stored.
const MAX_FAILURES: u32 = 5;

/// The time before a failed invocation is repeated.
const PAUSE: Duration = Duration::from_secs(10);

/// The time before an invocation is repeated whose answer was lost. It may go on until the function's time-out, and two at once
/// would count what they erase too low.
const INVOCATION_LIFETIME: Duration = Duration::from_mins(15);

/// Erase everything that the stack holds of a tenant, and save the signed statement
///
/// Only point-in-time recovery can undo it. Revoke the tenant's access first: docs/OPERATIONS.md, "Erase a tenant". The command
/// lasts until the tenant is erased; if it is interrupted, the same command continues. Run it again an hour later, with another
/// file: a run in progress may have left an item.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export-operator tenant erase acme --reason 'ticket 4711' \\
    --statement acme.json --stack production
  audit-export-operator tenant erase acme --reason 'ticket 4711' \\
    --statement acme.json --stack production --confirm acme
  openssl dgst -sha256 -verify public-key.pem -signature acme.json.sig acme.json")]
pub struct EraseArguments {
    /// The tenant's ID
    #[arg(value_parser = TenantId::parse)]
    tenant: TenantId,

    /// Why, in 1 to 256 characters; the statement has it
    #[arg(long, value_parser = parse_reason)]
    reason: OperatorReason,

    /// The new file for the statement; its signature goes beside it, with the suffix .sig
    #[arg(long, value_name = "FILE")]
    statement: PathBuf,

    /// The tenant's ID again, instead of the question at the terminal
    #[arg(long, value_name = "TENANT")]
    confirm: Option<String>,

    #[command(flatten)]
    stack: StackArguments,

    /// The format of the result
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// The housekeeper's report.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    counts: ErasureCounts,
    /// In base64, like the signature. `None`: not finished.
    statement: Option<String>,
    signature: Option<String>,
}

/// The result of an erasure.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Erased {
    tenant_id: TenantId,
    #[serde(flatten)]
    counts: ErasureCounts,
    statement: PathBuf,
    signature: PathBuf,
}

pub async fn run(arguments: &EraseArguments) -> Result<(), Failure> {
    let EraseArguments { tenant, reason, statement, confirm, stack, output } = arguments;
    // Before anything is erased.
    let signature = signature_path(statement);
    for path in [statement, &signature] {
        if path.try_exists().map_err(Failure::file(path))? {
            return Err(Failure::file(path)(ErrorKind::AlreadyExists.into()));
        }
    }
    let question = format!("This erases {tenant} from the stack {} for good. Type the tenant's ID:", stack.stack);
    let aws = Aws::connect(&stack.connection).await?;
    let stack = aws.stack(&stack.stack).await?;
    for warning in waiting(&aws, &stack).await? {
        terminal::warn(&warning);
    }
    confirm_name(&question, tenant.as_str(), confirm.as_deref(), &mut confirmation::ask)?;
    let report = erase(&aws, &stack, tenant, reason, &Machine).await?;
    save_both(statement, &decoded(report.statement)?, &signature, &decoded(report.signature)?)?;
    let erased = Erased { tenant_id: tenant.clone(), counts: report.counts, statement: statement.clone(), signature };
    Ok(terminal::print_fields(&erased, *output)?)
}

/// Returns a warning for each queue with messages that may be the tenant's.
async fn waiting(queues: &impl Queues, stack: &Stack) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    for queue in QUEUES_OF_EVENTS {
        let messages = queues.queue(stack.id_of(queue)?).await?.messages();
        if messages > 0 {
            let name: &str = queue.into();
            warnings
                .push(format!("{name} has {messages} messages; those of the tenant would be stored after the erasure"));
        }
    }
    Ok(warnings)
}

/// Invokes the housekeeper until it returns a statement.
async fn erase(
    functions: &impl Invocations,
    stack: &Stack,
    tenant: &TenantId,
    reason: &OperatorReason,
    timer: &impl Timer,
) -> Result<Report, Failure> {
    let function = Function::HousekeeperFunction;
    let name = stack.id_of(function)?;
    let payload = json!({ "eraseTenant": { "tenantId": tenant, "reason": reason.as_str() } });
    let mut failures = 0;
    for _ in 0..MAX_INVOCATIONS {
        let mut pause = PAUSE;
        let failure = match functions.invoke(function, name, &payload).await {
            Ok(Invocation::Returned(value)) => {
                failures = 0;
                let report: Report = serde_json::from_value(value)
                    .map_err(|error| Failure::Refused(format!("the housekeeper's report can't be read: {error}")))?;
                if report.statement.is_some() {
                    return Ok(report);
                }
                terminal::report(
                    "erased",
                    &format!("{} blocks, {} run records", report.counts.blocks, report.counts.run_records),
                );
                continue;
            }
            Ok(Invocation::Failed(message)) => message,
            Err(failure) if failure.kind == CallFailureKind::Unavailable => failure.to_string(),
            Err(failure) if failure.kind == CallFailureKind::Unanswered => {
                pause = INVOCATION_LIFETIME;
                format!("{failure}; it may still be at work, so the next try is in 15 minutes")
            }
            Err(failure) => return Err(failure.into()),
        };
        failures += 1;
        if failures == MAX_FAILURES {
            return Err(Failure::Unfinished(format!("{failure}. The same command continues the erasure")));
        }
        terminal::warn(&failure);
        timer.sleep(pause).await;
    }
    Err(Failure::Unfinished("the same command continues the erasure".to_owned()))
}

fn decoded(base64: Option<String>) -> Result<Vec<u8>, Failure> {
    let refused = |reason: String| Failure::Refused(format!("the statement can't be read: {reason}"));
    let base64 = base64.ok_or_else(|| refused("a part is missing".to_owned()))?;
    BASE64_STANDARD.decode(base64).map_err(|error| refused(error.to_string()))
}

fn signature_path(statement: &Path) -> PathBuf {
    let mut path = statement.as_os_str().to_owned();
    path.push(SIGNATURE_SUFFIX);
    path.into()
}

/// Saves the statement and its signature, or neither, so that the same command can be repeated.
fn save_both(statement: &Path, bytes: &[u8], signature: &Path, signature_bytes: &[u8]) -> Result<(), Failure> {
    save(statement, bytes)?;
    save(signature, signature_bytes).inspect_err(|_| {
        if let Err(error) = std::fs::remove_file(statement) {
            terminal::warn(&format!("remove {} before you repeat the command: {error}", statement.display()));
        }
    })
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(Failure::file(path))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::Value;

    use super::*;
    use crate::{call::Call, failure::CallFailure, ports::QueueState, stack::test_support::stack};

    /// Queues that are empty, but one.
    struct Waiting(&'static str);

    impl Queues for Waiting {
        async fn queue(&self, url: &str) -> Result<QueueState, CallFailure> {
            let delayed = if url == self.0 { 3 } else { 0 };
            Ok(QueueState { arn: url.to_owned(), delayed, ..QueueState::default() })
        }
    }

    #[tokio::test]
    async fn each_queue_that_holds_events_is_looked_at() {
        let ingest = include_str!("../../../../../functions/ingest/src/settings.rs");
        assert_eq!(ingest.matches("EVENTS_QUEUE_URL").count(), QUEUES_OF_EVENTS.len() / 2);
        for queue in QUEUES_OF_EVENTS {
            let name: &str = queue.into();
            let warnings = waiting(&Waiting(name), &stack()).await.unwrap();
            let [warning] = &warnings[..] else { panic!("{warnings:?}") };
            assert!(warning.starts_with(&format!("{name} has 3 messages")), "{warning}");
        }
        assert!(waiting(&Waiting("none"), &stack()).await.unwrap().is_empty());
    }

    /// A housekeeper that answers these, one after the other.
    struct Housekeeper(Mutex<Vec<Result<Invocation, CallFailure>>>);

    impl Invocations for Housekeeper {
        async fn invoke(&self, function: Function, name: &str, payload: &Value) -> Result<Invocation, CallFailure> {
            assert_eq!((function, name), (Function::HousekeeperFunction, "HousekeeperFunction"));
            // What the housekeeper parses: functions/housekeeper/src/handler.rs.
            assert_eq!(payload, &json!({ "eraseTenant": { "tenantId": "acme", "reason": "ticket 4711" } }));
            self.0.lock().unwrap().remove(0)
        }
    }

    /// The pauses that were taken.
    #[derive(Default)]
    struct Pauses(Mutex<Vec<Duration>>);

    impl Timer for Pauses {
        async fn sleep(&self, duration: Duration) {
            self.0.lock().unwrap().push(duration);
        }
    }

    fn report(rest: &Value) -> Invocation {
        let counts =
            json!({ "configurations": 1, "configurationRecords": 2, "runRecords": 3, "blocks": 4, "eventRecords": 5 });
        let mut report = json!({ "tenantId": "acme", "counts": counts });
        report.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        Invocation::Returned(report)
    }

    fn failed() -> Invocation {
        Invocation::Failed("the erasure failed and its progress is stored".to_owned())
    }

    async fn erase_with(answers: Vec<Result<Invocation, CallFailure>>) -> (Result<Report, Failure>, Vec<Duration>) {
        let reason = parse_reason("ticket 4711").unwrap();
        let (housekeeper, pauses) = (Housekeeper(Mutex::new(answers)), Pauses::default());
        let erased = erase(&housekeeper, &stack(), &TenantId::parse("acme").unwrap(), &reason, &pauses).await;
        (erased, pauses.0.into_inner().unwrap())
    }

    fn call_failure(kind: CallFailureKind) -> CallFailure {
        CallFailure { call: Call::InvokeHousekeeper, kind, detail: String::new() }
    }

    #[tokio::test]
    async fn the_housekeeper_is_invoked_until_it_has_a_statement() {
        let end = report(&json!({ "statement": "e30K", "signature": "MEU=" }));
        let throttled = call_failure(CallFailureKind::Unavailable);
        let answers = vec![Ok(report(&json!({ "position": "events" }))), Ok(failed()), Err(throttled), Ok(end)];
        let (report, pauses) = erase_with(answers).await;
        let report = report.unwrap();
        assert_eq!(pauses, [PAUSE; 2]);
        assert_eq!(decoded(report.statement).unwrap(), b"{}\n");
        assert_eq!(report.counts.blocks, 4);
    }

    #[tokio::test]
    async fn an_invocation_whose_answer_was_lost_has_ended_before_the_next() {
        let end = report(&json!({ "statement": "e30K", "signature": "MEU=" }));
        let (erased, pauses) = erase_with(vec![Err(call_failure(CallFailureKind::Unanswered)), Ok(end)]).await;
        assert!(erased.is_ok());
        assert_eq!(pauses, [INVOCATION_LIFETIME]);
    }

    #[tokio::test]
    async fn an_erasure_that_fails_each_time_is_unfinished() {
        let (erased, _) = erase_with((0..MAX_FAILURES).map(|_| Ok(failed())).collect()).await;
        assert_eq!(erased.unwrap_err().exit_code(), 12);
        let (erased, pauses) = erase_with(vec![Err(call_failure(CallFailureKind::Denied))]).await;
        assert_eq!((erased.unwrap_err().exit_code(), pauses), (4, Vec::new()));
    }

    #[test]
    fn a_statement_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme.json");
        save(&path, b"{}").unwrap();
        assert_eq!(save(&path, b"[]").unwrap_err().exit_code(), 5);
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
        assert!(signature_path(&path).ends_with("acme.json.sig"));
    }

    #[test]
    fn a_statement_is_not_kept_without_its_signature() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme.json");
        let signature = signature_path(&path);
        save(&signature, b"another").unwrap();
        assert_eq!(save_both(&path, b"{}", &signature, b"MEU=").unwrap_err().exit_code(), 5);
        assert!(!path.exists());
    }
}
