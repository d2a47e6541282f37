//! The examples in the help of a command-line program.

use std::collections::BTreeSet;

use clap::Command;

use crate::commands;

/// Columns of a narrow terminal, where the help must not break an example into lines.
const NARROW: usize = 80;

/// Checks the examples in the help of every command: each fits a narrow terminal, and the program accepts each of its calls.
/// Returns the number of calls.
///
/// # Panics
/// An example is too wide, or the program refuses it.
#[must_use]
#[track_caller]
pub fn assert_examples(program: &Command) -> usize {
    let mut count = 0;
    for command in commands(program.clone()) {
        let lines = command.examples();
        for line in &lines {
            assert!(line.chars().count() <= NARROW, "{:?} has more than {NARROW} columns: {line}", command.path);
        }
        let text = lines.join("\n").replace("\\\n", "");
        let exported = exported(&text);
        for words in text.lines().flat_map(|line| calls(line, program.get_name())) {
            // The output of another program, which is a URL.
            let replaced = words.iter().map(|word| if word.starts_with("$(") { "https://example.com" } else { word });
            let refusal = with_variables(program.clone(), &exported).try_get_matches_from(replaced).err();
            let refusal = refusal.map(|error| error.to_string());
            assert!(refusal.is_none(), "{words:?}: {refusal:?}");
            count += 1;
        }
    }
    count
}

/// Returns the names of the variables that the examples set.
fn exported(text: &str) -> BTreeSet<&str> {
    let assignments = text.lines().filter_map(|line| line.trim_start().strip_prefix("export "));
    assignments.flat_map(str::split_whitespace).filter_map(|word| word.split_once('=')).map(|(name, _)| name).collect()
}

/// Returns the program as if the environment had these variables: the options that read them may be left out.
fn with_variables(program: Command, names: &BTreeSet<&str>) -> Command {
    let is_set = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| names.contains(name));
    program
        .mut_args(|argument| if argument.get_env().is_some_and(is_set) { argument.required(false) } else { argument })
        .mut_subcommands(|command| with_variables(command, names))
}

/// Returns the words of each call of the program in a line for a shell.
#[must_use]
pub fn calls(line: &str, program: &str) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    for character in line.chars().chain([' ']) {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '|' | '>' | '#' | '&') => calls.push(std::mem::take(&mut words)),
            _ => word.get_or_insert_default().push(character),
        }
    }
    calls.push(words);
    calls.retain(|words: &Vec<String>| words.first().is_some_and(|first| first == program));
    calls
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn program(examples: &'static str) -> Command {
        let stack = Arg::new("stack").long("stack").env("STACK_OF_THIS_TEST").required(true);
        Command::new("program").subcommand(Command::new("status").arg(stack).after_help(examples))
    }

    #[test]
    fn accepted_calls_are_counted() {
        let examples =
            "Examples:\n  program status \\\n    --stack 'a | b' | jq . > file\n  other status\n\nNot program status";
        assert_eq!(assert_examples(&program(examples)), 1);
        let examples = "Examples:\n  export A=1 STACK_OF_THIS_TEST=production\n  program status && program status";
        assert_eq!(assert_examples(&program(examples)), 2);
    }

    #[test]
    #[should_panic = "required"]
    fn a_call_without_a_required_option_is_refused() {
        let _ = assert_examples(&program("Examples:\n  export OTHER=1\n  program status"));
    }

    #[test]
    #[should_panic = "more than 80 columns"]
    fn an_example_that_is_too_wide_is_refused() {
        let examples =
            "Examples:\n  program status --stack a-stack-whose-name-needs-nearly-all-columns-of-the-terminal-1";
        let _ = assert_examples(&program(examples));
    }
}
