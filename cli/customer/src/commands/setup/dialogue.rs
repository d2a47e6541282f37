//! The dialogue with the person at the terminal. It uses standard error; standard output is for the result.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use super::questions::Prompt;
use crate::{
    failure::Failure,
    output::{Style, Tone},
};

/// Bytes of an answer. The longest valid one has a fourth of that.
const MAX_ANSWER_LENGTH: u64 = 4_096;

/// The source of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialogue {
    Terminal,
    File,
}

impl Dialogue {
    pub fn begin(has_answers: bool) -> Result<Self, Failure> {
        if has_answers {
            return Ok(Self::File);
        }
        if io::stdin().is_terminal() && io::stderr().is_terminal() {
            return Ok(Self::Terminal);
        }
        Err(Failure::argument(
            "setup",
            "there is no terminal for the questions\n  Run it in a terminal, or give the answers in a file (--answers FILE, \
             the JSON of audit-export config create --help).",
        ))
    }
}

pub fn say(text: &str) {
    // A closed standard error can't be reported anywhere.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Shows why an answer is not valid.
pub fn refuse(reason: &str, style: &Style) {
    say(&format!("{} {reason}", style.paint(Tone::Bad, "✗")));
}

/// Asks for an answer. An empty one stands for the suggestion.
pub fn ask(prompt: &Prompt, style: &Style) -> Result<String, Failure> {
    let explanation = if prompt.explanation.is_empty() { String::new() } else { format!("{}\n", prompt.explanation) };
    let suggestion = prompt.suggestion.as_ref().map(|suggestion| {
        let clear = if prompt.is_optional { "; - for none" } else { "" };
        format!(" [{suggestion}{clear}]")
    });
    let question = style.paint(Tone::Strong, &prompt.question);
    write!(io::stderr().lock(), "\n{explanation}{question}{}: ", suggestion.unwrap_or_default())
        .map_err(Failure::StandardOutput)?;
    let mut answer = String::new();
    let length = io::stdin().lock().take(MAX_ANSWER_LENGTH).read_line(&mut answer);
    if length.map_err(Failure::StandardOutput)? == 0 {
        return Err(left());
    }
    Ok(match (answer.trim(), &prompt.suggestion) {
        ("", Some(suggestion)) => suggestion.clone(),
        ("-", _) if prompt.is_optional => String::new(),
        (answer, _) => answer.to_owned(),
    })
}

/// Returns the failure of a setup that was quit.
pub fn left() -> Failure {
    Failure::Unfinished("audit-export setup continues where it was left".to_owned())
}
