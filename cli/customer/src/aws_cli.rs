//! The AWS command line, run with the customer's own credentials.
//!
//! Arguments are an array, so no shell interprets them, and each command has a time limit.

use std::{
    ffi::OsString,
    io::{self, Read},
    process::Stdio,
    thread,
    time::Duration,
};

use terminal::text::printable;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use crate::secret;

const PROGRAM: &str = "aws";
/// The longest time of one command. The search for credentials may query an unreachable address.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);
/// The time to read the rest of the output after the end of the command. A child of it may keep the output open.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of output. The names of 10,000 buckets, the most of an account, have a fourth of that.
const MAX_OUTPUT_LENGTH: u64 = 4 * 1_024 * 1_024;
/// Columns of an error text.
const MAX_REASON_WIDTH: usize = 400;
/// Precedes the error code in an error text of the AWS command line.
const ERROR_OCCURRED: &str = "An error occurred (";

/// Why a command of the AWS command line has no result.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    #[error("the AWS command line (aws) is not installed")]
    NotInstalled,

    #[error("the AWS command line (aws) can't be run: {0}")]
    NotRun(io::Error),

    #[error("aws {command} has not ended within {} s", limit.as_secs())]
    TimedOut { command: String, limit: Duration },

    #[error("aws {command}: {reason}")]
    Failed { command: String, reason: String },
}

impl AwsError {
    /// Returns AWS's error code, for example `AccessDenied`.
    pub fn code(&self) -> Option<&str> {
        let Self::Failed { reason, .. } = self else { return None };
        reason.split_once(ERROR_OCCURRED)?.1.split_once(')').map(|(code, _)| code)
    }

    /// Returns whether the error text of AWS contains `text`.
    pub fn says(&self, text: &str) -> bool {
        matches!(self, Self::Failed { reason, .. } if reason.contains(text))
    }
}

/// Commands of the AWS command line.
pub trait Aws {
    /// Runs a command; returns what it printed.
    async fn run(&self, arguments: &[&str]) -> Result<String, AwsError>;
}

/// The installed AWS command line.
pub struct AwsCli {
    program: OsString,
    timeout: Duration,
}

impl AwsCli {
    /// Returns the program on the search path. It may not exist.
    pub fn new() -> Self {
        Self { program: PROGRAM.into(), timeout: COMMAND_TIMEOUT }
    }
}

impl Aws for AwsCli {
    async fn run(&self, arguments: &[&str]) -> Result<String, AwsError> {
        let mut child = secret::command(&self.program)
            .args(arguments)
            // No pager and no questions.
            .env("AWS_PAGER", "")
            .env("AWS_CLI_AUTO_PROMPT", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => AwsError::NotInstalled,
                _ => AwsError::NotRun(error),
            })?;
        let (output, errors) = (read(child.stdout.take()), read(child.stderr.take()));
        let command = arguments.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        let deadline = Instant::now() + self.timeout;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(AwsError::NotRun)? {
                break status;
            }
            if Instant::now() >= deadline {
                // It may have ended meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                return Err(AwsError::TimedOut { command, limit: self.timeout });
            }
            sleep(PAUSE).await;
        };
        let (output, errors) = (text(output).await, text(errors).await);
        if status.success() {
            return Ok(output);
        }
        let reason = match errors.trim() {
            "" => status.to_string(),
            reason => shortened(reason),
        };
        Err(AwsError::Failed { command, reason })
    }
}

/// Reads a stream in a thread.
fn read(stream: Option<impl Read + Send + 'static>) -> oneshot::Receiver<Vec<u8>> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What was read so far is all that there is.
            let _ = stream.take(MAX_OUTPUT_LENGTH).read_to_end(&mut bytes);
        }
        // The receiver may have given up.
        let _ = sender.send(bytes);
    });
    receiver
}

async fn text(receiver: oneshot::Receiver<Vec<u8>>) -> String {
    let bytes = timeout(OUTPUT_TIMEOUT, receiver).await.ok().and_then(Result::ok).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Formats an error text on one line.
fn shortened(reason: &str) -> String {
    let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    console::truncate_str(&printable(&line), MAX_REASON_WIDTH, "…").into_owned()
}

#[cfg(test)]
pub mod tests {
    use std::{cell::RefCell, collections::VecDeque};

    use super::*;

    /// What a command prints, or the text on standard error.
    pub type Output<'a> = Result<&'a str, &'a str>;

    /// A double of the AWS command line: answers the expected commands in their order.
    pub struct Script(RefCell<VecDeque<(String, Result<String, String>)>>);

    impl Script {
        /// Takes the beginnings of commands and their answers.
        pub fn new(steps: &[(&str, Output<'_>)]) -> Self {
            let owned = steps.iter().map(|(command, answer)| {
                ((*command).to_owned(), answer.map(ToOwned::to_owned).map_err(ToOwned::to_owned))
            });
            Self(RefCell::new(owned.collect()))
        }

        pub fn assert_finished(&self) {
            assert_eq!(*self.0.borrow(), [], "these commands were not run");
        }
    }

    impl Aws for Script {
        async fn run(&self, arguments: &[&str]) -> Result<String, AwsError> {
            let command = arguments.join(" ");
            let next = self.0.borrow_mut().pop_front();
            let (expected, answer) = next.unwrap_or_else(|| panic!("nothing more is expected: {command}"));
            assert!(command.starts_with(&expected), "{command}\nis not {expected}");
            answer.map_err(|reason| AwsError::Failed { command: arguments[..2].join(" "), reason })
        }
    }

    fn program(name: &str) -> AwsCli {
        AwsCli { program: name.into(), timeout: Duration::from_millis(200) }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_command_is_its_output_or_its_error() {
        assert_eq!(program("printf").run(&["%s", "$(x) 'y'"]).await.unwrap(), "$(x) 'y'");
        let failed = program("sh")
            .run(&["-c", "printf '\\nAn error occurred (AccessDenied)\\n\\033[2Jwhen\\n' >&2; exit 254"])
            .await;
        let failed = failed.unwrap_err();
        assert_eq!(failed.code(), Some("AccessDenied"));
        assert!(failed.to_string().ends_with(": An error occurred (AccessDenied) [2Jwhen"), "{failed}");
        let silent = program("false").run(&[]).await.unwrap_err();
        assert!(silent.to_string().ends_with("exit status: 1") && silent.code().is_none(), "{silent}");
        let missing = program("audit-export-no-such-program").run(&[]).await.unwrap_err();
        assert!(matches!(missing, AwsError::NotInstalled));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_command_that_does_not_end_is_ended() {
        let late = program("sleep").run(&["60"]).await.unwrap_err();
        assert!(matches!(late, AwsError::TimedOut { .. }), "{late}");
    }
}
