//! Who answers the wizard's questions: a person at a terminal, or a file. Everything is said on standard error; standard
//! output is for the result.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use super::questions::Prompt;
use crate::{
    failure::Failure,
    output::{Style, Tone},
};

/// Bytes of an answer; the longest that is taken has a fourth of it.
const MAX_ANSWER_LENGTH: u64 = 4_096;

/// Whether somebody is there to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialogue {
    Terminal,
    /// The answers come from a file: nothing is asked.
    File,
}

impl Dialogue {
    /// # Errors
    /// There are neither answers nor a terminal to ask at.
    pub fn begin(has_answers: bool) -> Result<Self, Failure> {
        if has_answers {
            return Ok(Self::File);
        }
        if io::stdin().is_terminal() && io::stderr().is_terminal() {
            return Ok(Self::Terminal);
        }
        Err(Failure::InvalidArgument {
            what: "setup",
            reason: "asks questions, and there is no terminal to ask at\n  \
                     Give the answers in a file (--answers FILE, the JSON of audit-export config create --help), or run it \
                     in a terminal."
                .to_owned(),
        })
    }
}

pub fn say(text: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says why an answer can't be taken.
pub fn refuse(reason: &str, style: &Style) {
    say(&format!("{} {reason}", style.paint(Tone::Bad, "✗")));
}

/// An answer as it was typed, or what Enter alone stands for.
///
/// # Errors
/// There is no answer.
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

/// The person has left, and can come back.
pub fn left() -> Failure {
    Failure::Unfinished("audit-export setup goes on where it was left".to_owned())
}
