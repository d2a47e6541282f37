//! The command `redrive`: moves the messages of a dead-letter queue back.

use std::time::Duration;

use clap::{Args, ValueEnum};
use host::{Machine, Timer};
use serde::Serialize;
use terminal::{OutputFormat, grouped};

use crate::{
    aws::Aws,
    confirmation::{self, Ask, confirm},
    failure::{CallFailureKind, Failure},
    ports::MessageMoves,
    stack::{ConnectionArguments, Queue},
};

/// The time between two looks at the progress of a move.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The most looks: an hour. The move then continues without this program.
const MAX_POLLS: u32 = 1_800;

/// Consecutive empty receives after which a queue counts as empty: SQS asks only some of its servers at a time.
const MAX_EMPTY_RECEIVES: u32 = 3;

/// A dead-letter queue that can be moved back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeadLetters {
    /// Messages of producers that could not be stored
    Events,
    /// Messages of SNS topics that could not be stored
    TopicEvents,
    /// Messages of EventBridge rules that could not be stored
    RuleEvents,
    /// Scheduled runs that failed every time
    Runs,
    /// Requested runs that failed every time
    ManualRuns,
    /// Scheduled runs of the converter that failed every time
    Conversions,
    /// Requested runs of the converter that failed every time
    ManualConversions,
    /// Notices whose processes died every time
    Webhooks,
}

impl DeadLetters {
    /// Returns the dead-letter queue, and the queue that its messages came from.
    fn queues(self) -> [Queue; 2] {
        match self {
            Self::Events => [Queue::EventsDeadLetterQueue, Queue::EventsQueue],
            Self::TopicEvents => [Queue::TopicEventsDeadLetterQueue, Queue::TopicEventsQueue],
            Self::RuleEvents => [Queue::RuleEventsDeadLetterQueue, Queue::RuleEventsQueue],
            Self::Runs => [Queue::RunsDeadLetterQueue, Queue::RunsQueue],
            Self::ManualRuns => [Queue::ManualRunsDeadLetterQueue, Queue::ManualRunsQueue],
            Self::Conversions => [Queue::ConversionDeadLetterQueue, Queue::ConversionQueue],
            Self::ManualConversions => [Queue::ManualConversionDeadLetterQueue, Queue::ManualConversionQueue],
            Self::Webhooks => [Queue::WebhooksDeadLetterQueue, Queue::WebhooksQueue],
        }
    }
}

/// Move the messages of a dead-letter queue back to the queue that they came from
///
/// Fix the cause first: a message that fails again returns. Nothing is lost if the command is interrupted, and repeated runs
/// and messages do no harm: docs/OPERATIONS.md, "Redrive". Whoever moves events has to be in the parameter `EventSenders`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export-operator redrive events --stack production --dry-run
  audit-export-operator redrive runs --stack production
  audit-export-operator redrive --yes \\
    --queue-url https://sqs.eu-central-1.amazonaws.com/111111111111/old-dlq \\
    --destination-url https://sqs.eu-central-1.amazonaws.com/111111111111/old

The schedules' dead letters can't be moved, because no queue is their source; docs/OPERATIONS.md describes how to repeat a dispatch.")]
pub struct RedriveArguments {
    /// The dead-letter queue
    #[arg(value_enum, required_unless_present = "queue_url", conflicts_with = "queue_url", requires = "stack")]
    queue: Option<DeadLetters>,

    /// The name of the `CloudFormation` stack
    #[arg(long, env = "AUDIT_EXPORT_STACK", value_name = "NAME")]
    stack: Option<String>,

    /// A dead-letter queue by its URL
    #[arg(long, value_name = "URL", requires = "destination_url")]
    queue_url: Option<String>,

    /// The queue that gets the messages, by its URL
    #[arg(long, value_name = "URL", requires = "queue_url")]
    destination_url: Option<String>,

    /// Show what would be moved, and move nothing
    #[arg(long)]
    dry_run: bool,

    /// Don't ask for confirmation
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    connection: ConnectionArguments,

    /// The format of the result
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// The result of a redrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Redriven {
    queue: String,
    destination: String,
    /// Messages in the queue before.
    found: u64,
    moved: u64,
}

pub async fn run(arguments: &RedriveArguments) -> Result<(), Failure> {
    let aws = Aws::connect(&arguments.connection).await?;
    let [from, to] = match (arguments.queue, &arguments.stack, &arguments.queue_url, &arguments.destination_url) {
        (_, _, Some(from), Some(to)) => [from.clone(), to.clone()],
        (Some(queue), Some(stack), ..) => {
            let stack = aws.stack(stack).await?;
            let [from, to] = queue.queues();
            [stack.id_of(from)?.to_owned(), stack.id_of(to)?.to_owned()]
        }
        _ => {
            let reason = "give a queue and --stack, or --queue-url and --destination-url".to_owned();
            return Err(Failure::InvalidArgument { what: "QUEUE", reason });
        }
    };
    let redrive = Redrive { queues: &aws, timer: &Machine, from: &from, to: &to };
    let redriven = redrive.run(arguments.dry_run, arguments.yes, &mut confirmation::ask).await?;
    Ok(terminal::print_fields(&redriven, arguments.output)?)
}

/// A redrive from one queue to another.
struct Redrive<'a, Q, T> {
    queues: &'a Q,
    timer: &'a T,
    from: &'a str,
    to: &'a str,
}

impl<Q: MessageMoves, T: Timer> Redrive<'_, Q, T> {
    async fn run(&self, is_dry: bool, is_confirmed: bool, ask: Ask<'_>) -> Result<Redriven, Failure> {
        let source = self.queues.queue(self.from).await?;
        let destination = self.queues.queue(self.to).await?;
        let mut redriven = Redriven {
            queue: self.from.to_owned(),
            destination: self.to.to_owned(),
            found: source.messages(),
            moved: 0,
        };
        if !is_dry && self.is_moving(&source.arn).await? {
            redriven.moved = self.follow(&source.arn).await?;
            return Ok(redriven);
        }
        if is_dry || redriven.found == 0 {
            return Ok(redriven);
        }
        if !is_confirmed {
            let count = grouped(&redriven.found.to_string());
            confirm(&format!("Move about {count} messages to {}?", self.to), ask)?;
        }
        redriven.moved = match self.queues.start_move(&source.arn, &destination.arn).await {
            Ok(()) => self.follow(&source.arn).await?,
            Err(failure) if failure.kind == CallFailureKind::Unsupported => self.move_all(redriven.found).await?,
            Err(failure) => return Err(failure.into()),
        };
        Ok(redriven)
    }

    /// Returns whether SQS still moves messages for an earlier command: it allows one move of a queue at a time.
    async fn is_moving(&self, source_arn: &str) -> Result<bool, Failure> {
        match self.queues.progress(source_arn).await {
            Ok(progress) => Ok(progress.is_some_and(|progress| progress.status == "RUNNING")),
            Err(failure) if failure.kind == CallFailureKind::Unsupported => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Follows SQS's own move to its end. Returns the number of messages that it moved.
    async fn follow(&self, source_arn: &str) -> Result<u64, Failure> {
        let mut shown = None;
        for _ in 0..MAX_POLLS {
            if let Some(progress) = self.queues.progress(source_arn).await? {
                if shown != Some(progress.moved) {
                    terminal::report("moved", &grouped(&progress.moved.to_string()));
                    shown = Some(progress.moved);
                }
                match progress.status.as_str() {
                    "COMPLETED" => return Ok(progress.moved),
                    "FAILED" | "CANCELLED" => {
                        let reason = progress.reason.unwrap_or_else(|| progress.status.to_lowercase());
                        return Err(Failure::Refused(format!("SQS moved {} messages: {reason}", progress.moved)));
                    }
                    _ => {}
                }
            }
            self.timer.sleep(POLL_INTERVAL).await;
        }
        Err(Failure::Unfinished("SQS continues to move messages; the same command shows the rest".to_owned()))
    }

    /// Moves as many messages as were found, so that one that fails again at once is not moved twice.
    async fn move_all(&self, found: u64) -> Result<u64, Failure> {
        let (mut moved, mut empty) = (0, 0);
        while moved < found && empty < MAX_EMPTY_RECEIVES {
            match self.queues.move_some(self.from, self.to).await? {
                0 => empty += 1,
                some => {
                    moved += some;
                    empty = 0;
                    terminal::report("moved", &grouped(&moved.to_string()));
                }
            }
        }
        if moved < found {
            let reason = format!("{moved} of about {found} messages were moved; the others are hidden for now");
            return Err(Failure::Unfinished(format!("{reason}. The same command moves them later")));
        }
        Ok(moved)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    };

    use super::*;
    use crate::{
        call::Call,
        failure::CallFailure,
        ports::{MoveProgress, QueueState, Queues},
    };

    /// Two queues, `dead` and `live`, by their numbers of messages.
    struct TwoQueues {
        messages: Mutex<[u64; 2]>,
        /// The statuses that a move by SQS goes through; `None`: SQS can't move.
        statuses: Option<Mutex<Vec<&'static str>>>,
        is_started: AtomicBool,
    }

    impl TwoQueues {
        fn new(dead: u64, statuses: Option<&[&'static str]>) -> Self {
            let statuses = statuses.map(|statuses| Mutex::new(statuses.to_vec()));
            Self { messages: Mutex::new([dead, 0]), statuses, is_started: AtomicBool::new(false) }
        }
    }

    fn unsupported(call: Call) -> CallFailure {
        CallFailure { call, kind: CallFailureKind::Unsupported, detail: String::new() }
    }

    impl Queues for TwoQueues {
        async fn queue(&self, url: &str) -> Result<QueueState, CallFailure> {
            let [dead, live] = *self.messages.lock().unwrap();
            let visible = if url == "dead" { dead } else { live };
            Ok(QueueState { arn: url.to_owned(), visible, ..QueueState::default() })
        }
    }

    impl MessageMoves for TwoQueues {
        async fn start_move(&self, source_arn: &str, destination_arn: &str) -> Result<(), CallFailure> {
            assert_eq!((source_arn, destination_arn), ("dead", "live"));
            assert!(!self.is_started.swap(true, Relaxed), "SQS allows one move at a time");
            self.statuses.as_ref().map(drop).ok_or_else(|| unsupported(Call::StartMessageMoveTask))
        }

        async fn progress(&self, _: &str) -> Result<Option<MoveProgress>, CallFailure> {
            let statuses = self.statuses.as_ref().ok_or_else(|| unsupported(Call::ListMessageMoveTasks))?;
            if !self.is_started.load(Relaxed) {
                return Ok(None);
            }
            let mut statuses = statuses.lock().unwrap();
            let status = statuses.remove(0).to_owned();
            let mut messages = self.messages.lock().unwrap();
            if messages[0] > 0 {
                *messages = [messages[0] - 1, messages[1] + 1];
            }
            Ok(Some(MoveProgress { status, moved: messages[1], reason: None }))
        }

        async fn move_some(&self, source_url: &str, destination_url: &str) -> Result<u64, CallFailure> {
            assert_eq!((source_url, destination_url), ("dead", "live"));
            let mut messages = self.messages.lock().unwrap();
            let some = messages[0].min(10);
            *messages = [messages[0] - some, messages[1] + some];
            Ok(some)
        }
    }

    struct NoTime;

    impl Timer for NoTime {
        async fn sleep(&self, _: Duration) {}
    }

    async fn redrive(queues: &TwoQueues, is_dry: bool, answer: Option<&str>) -> Result<(u64, u64), Failure> {
        let redrive = Redrive { queues, timer: &NoTime, from: "dead", to: "live" };
        let mut ask = |question: &str| {
            assert!(question.starts_with("Move about "), "{question}");
            Ok(answer.map(ToOwned::to_owned))
        };
        redrive.run(is_dry, false, &mut ask).await.map(|redriven| (redriven.found, redriven.moved))
    }

    #[test]
    fn every_queue_with_dead_letters_gets_its_own_back() {
        let template = include_str!("../../../../template.yaml");
        for dead_letters in DeadLetters::value_variants() {
            let [from, to] = dead_letters.queues().map(<&str>::from);
            let (_, behind) = template.split_once(&format!("\n  {to}:\n")).unwrap();
            let mut lines = behind.lines().take_while(|line| line.starts_with("    "));
            assert!(lines.any(|line| line.contains(&format!("deadLetterTargetArn: !GetAtt {from}.Arn,"))), "{to}");
        }
        assert_eq!(template.matches("deadLetterTargetArn: ").count(), DeadLetters::value_variants().len());
    }

    #[tokio::test]
    async fn sqs_moves_the_messages_and_the_command_waits_for_the_end() {
        let queues = TwoQueues::new(3, Some(&["RUNNING", "RUNNING", "COMPLETED"]));
        assert_eq!(redrive(&queues, false, Some("y")).await.unwrap(), (3, 3));
        let failing = TwoQueues::new(3, Some(&["RUNNING", "FAILED"]));
        assert_eq!(redrive(&failing, false, Some("y")).await.unwrap_err().exit_code(), 3);
    }

    #[tokio::test]
    async fn a_move_that_an_earlier_command_started_is_followed() {
        let queues = TwoQueues::new(3, Some(&["RUNNING", "RUNNING", "COMPLETED"]));
        queues.start_move("dead", "live").await.unwrap();
        // Nothing new is started, so there is nothing to confirm.
        assert_eq!(redrive(&queues, false, None).await.unwrap(), (3, 3));
    }

    #[tokio::test]
    async fn where_sqs_can_not_move_the_command_does() {
        let queues = TwoQueues::new(25, None);
        assert_eq!(redrive(&queues, false, Some("yes")).await.unwrap(), (25, 25));
        assert_eq!(*queues.messages.lock().unwrap(), [0, 25]);
    }

    #[tokio::test]
    async fn nothing_is_moved_without_a_yes() {
        let queues = TwoQueues::new(2, None);
        for (is_dry, answer, exit_code) in [(true, None, 0), (false, Some("n"), 11), (false, None, 11)] {
            let result = redrive(&queues, is_dry, answer).await;
            assert_eq!(result.map_or_else(|failure| failure.exit_code(), |_| 0), exit_code);
            assert_eq!(*queues.messages.lock().unwrap(), [2, 0]);
        }
        assert_eq!(redrive(&TwoQueues::new(0, None), false, None).await.unwrap(), (0, 0));
    }
}
