//! Names for the completion scripts: IDs of the service, profiles and codes.

use std::{ffi::OsString, time::Duration};

use clap::{Command, Parser};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::explain;
use crate::{
    access::AccessArguments,
    api::{GraphQl, Operation, operations},
    failure::Failure,
    output,
    profile::{self, Profiles},
};

/// Nobody waits longer after a press of TAB.
const PATIENCE: Duration = Duration::from_secs(3);

/// The first argument of a call by a completion script. It is no command, so that no help and no script shows it.
const CALL: &str = "__complete";

/// What the last word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Configuration,
    Job,
    Profile,
    Code,
}

/// The options that choose the service.
#[derive(Debug, Parser)]
struct ServiceLine {
    #[command(flatten)]
    access: AccessArguments,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// Returns the words to complete, if a script calls: those after the program's name, of which the last one is incomplete.
pub fn words(arguments: impl IntoIterator<Item = OsString>) -> Option<Vec<String>> {
    let mut arguments = arguments.into_iter().skip(1).map(|word| word.into_string().unwrap_or_default());
    (arguments.next()? == CALL).then(|| arguments.collect())
}

/// Prints the names of the kind that `program` expects at the end of the words, one on a line. Otherwise prints nothing, and
/// the script completes the word itself.
pub async fn run(words: &[String], program: &Command) -> Result<(), Failure> {
    let (Some(kind), Some(current)) = (kind_of(words, program), words.last()) else { return Ok(()) };
    let names = match kind {
        Kind::Profile => Profiles::load(&profile::path()?)?.profiles.into_keys().collect(),
        Kind::Code => explain::codes(),
        Kind::Configuration | Kind::Job => {
            let late = |_| Failure::Unavailable("the service did not answer in time".to_owned());
            timeout(PATIENCE, ids(kind, words, current)).await.map_err(late)??
        }
    };
    let names = fitting(names, current);
    if names.is_empty() { Ok(()) } else { output::print_line(&names.join("\n")) }
}

/// Returns the names that begin with `current`. A shell may expand a name, so one with other characters is left out.
fn fitting(names: Vec<String>, current: &str) -> Vec<String> {
    let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    names.into_iter().filter(|name| name.starts_with(current) && is_plain(name)).collect()
}

fn kind_of(words: &[String], program: &Command) -> Option<Kind> {
    let (current, before) = words.split_last()?;
    let mut command = program;
    let (mut count, mut is_value) = (0, false);
    // Bash separates "--option=value" into three words.
    for word in before.iter().filter(|word| *word != "=") {
        if std::mem::take(&mut is_value) {
            continue;
        }
        if let Some(option) = word.strip_prefix("--") {
            let named = command.get_opts().find(|known| known.get_long() == Some(option));
            is_value = named.is_some_and(|known| known.get_action().takes_values());
        } else if let Some(child) = command.find_subcommand(word).filter(|_| count == 0) {
            command = child;
        } else {
            count += 1;
        }
    }
    if is_value {
        return before.iter().rfind(|word| *word != "=").filter(|word| *word == "--profile").map(|_| Kind::Profile);
    }
    let argument = command.get_positionals().nth(count).filter(|_| !current.starts_with('-'))?;
    let name = argument.get_value_names().and_then(|names| names.first());
    match name.map_or(argument.get_id().as_str(), |name| name.as_str()) {
        "ID" | "ID|S3-URL|FOLDER" => Some(Kind::Configuration),
        "JOB-ID" => Some(Kind::Job),
        "CODE" => Some(Kind::Code),
        "NAME" => Some(Kind::Profile),
        _ => None,
    }
}

/// Asks the service that the words name. For a job, the jobs of the only configuration that fits are listed.
async fn ids(kind: Kind, words: &[String], current: &str) -> Result<Vec<String>, Failure> {
    let invalid = |error: clap::Error| Failure::argument("the command line", error);
    let access = ServiceLine::try_parse_from(service_options(words)).map_err(invalid)?.access.resolve().await?;
    let api = GraphQl::new(&access)?;
    let ask = async |operation: &Operation, variables: &serde_json::Value| {
        let found: Vec<Named> = api.ask(operation, variables).await?.parse()?;
        Ok::<Vec<String>, Failure>(found.into_iter().map(|named| named.id).collect())
    };
    let configurations = ask(&operations::LIST, &json!({})).await?;
    if kind == Kind::Configuration {
        return Ok(configurations);
    }
    let fits = |id: &&String| id.starts_with(current) || current.starts_with(id.as_str());
    match &configurations.iter().filter(fits).collect::<Vec<_>>()[..] {
        [id] => ask(&operations::JOBS, &json!({ "id": id })).await,
        several => Ok(several.iter().map(|id| format!("{id}.")).collect()),
    }
}

/// Returns the options of the words that choose the service, after a name for the program.
fn service_options(words: &[String]) -> Vec<&str> {
    let mut options = vec!["audit-export"];
    let mut rest = words.iter().map(String::as_str).filter(|word| *word != "=");
    while let Some(word) = rest.next() {
        match word {
            "--profile" | "--url" | "--token-file" => options.extend([Some(word), rest.next()].into_iter().flatten()),
            _ if ["--profile=", "--url=", "--token-file="].iter().any(|option| word.starts_with(option)) => {
                options.push(word);
            }
            _ => {}
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Arguments;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(ToOwned::to_owned).collect()
    }

    #[test]
    fn the_last_word_is_of_the_kind_that_the_command_expects() {
        let mut program = Arguments::command();
        program.build();
        for (line, kind) in [
            ("config get ", Some(Kind::Configuration)),
            ("config jobs --limit 5 0b9f", Some(Kind::Configuration)),
            ("exportConfig update --interval 24h ", Some(Kind::Configuration)),
            ("config notifications test --profile ci ", Some(Kind::Configuration)),
            ("verify 0b", Some(Kind::Configuration)),
            ("search --actor alice --since 2026-11-01T00:00:00Z 0b", Some(Kind::Configuration)),
            ("search --profile ", Some(Kind::Profile)),
            ("query SELECT 0b", Some(Kind::Configuration)),
            ("query ", None),
            ("config tasks ", Some(Kind::Job)),
            ("config digest --profile = ci 0b9f", Some(Kind::Job)),
            ("explain WR", Some(Kind::Code)),
            ("config ls --profile ", Some(Kind::Profile)),
            ("config ls --profile = p", Some(Kind::Profile)),
            ("profile use ", Some(Kind::Profile)),
            ("profile rm ", Some(Kind::Profile)),
            ("profile set ", Some(Kind::Profile)),
            ("config get --out", None),
            ("config get --output ", None),
            ("config get 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b ", None),
            ("config ", None),
            ("", None),
        ] {
            assert_eq!(kind_of(&words(line), &program), kind, "{line:?}");
        }
        assert_eq!(kind_of(&[], &program), None);
    }

    #[test]
    fn a_shell_gets_no_name_that_it_would_expand() {
        let names = ["0b9f.job_1", "0b9f$HOME", "0b9f*", "0b9f x", "0b9f\ny", "1c"].map(ToOwned::to_owned).to_vec();
        assert_eq!(fitting(names, "0b9f"), ["0b9f.job_1"]);
    }

    #[test]
    fn the_service_is_the_one_of_the_command_line() {
        assert_eq!(
            service_options(&words("config get --profile = ci --output json --url=https://example.com 0b")),
            ["audit-export", "--profile", "ci", "--url=https://example.com"]
        );
    }
}
