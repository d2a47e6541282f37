//! Commands for profiles.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use reqwest::Url;
use terminal::text::printable;

use crate::{
    api::{GRAPHQL_PATH, endpoint},
    failure::Failure,
    output::{self, Output, OutputArguments, Style, Tone},
    profile::{self, Profile, Profiles, TokenSource},
};

/// Characters. Names are shown in tables.
const MAX_NAME_LENGTH: usize = 64;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  audit-export profile set production --url https://example.com/v1 \\
    --token-file ~/.audit-export-token
  audit-export profile use production
  audit-export config list --profile staging

Profiles are stored in the file that AUDIT_EXPORT_CONFIG names, or else in audit-export/config.toml in $XDG_CONFIG_HOME or ~/.config. --url, --token-file and their environment variables take precedence over the profile.")]
pub enum ProfileCommand {
    Set(SetArguments),
    List(ListArguments),
    Use(UseArguments),
    Delete(DeleteArguments),
}

impl ProfileCommand {
    pub fn run(self) -> Result<(), Failure> {
        let path = profile::path()?;
        match self {
            Self::Set(arguments) => set(&arguments, &path),
            Self::List(arguments) => list(&arguments, &path),
            Self::Use(arguments) => choose(&arguments, &path),
            Self::Delete(arguments) => delete(&arguments, &path),
        }
    }
}

/// Create or replace a profile
///
/// The first profile becomes the default.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("token").args(["token_file", "token_environment", "token_command"]).required(true))]
#[command(after_help = "\
Examples:
  audit-export profile set local --url \"$(jq -r .apiUrl .local/stack.json)\" \\
    --token-file token
  audit-export profile set ci --url https://example.com/v1 \\
    --token-environment AUDIT_TOKEN
  audit-export profile set production --url https://example.com/v1 \\
    --token-command vault read -field=token secret/audit")]
pub struct SetArguments {
    /// The profile's name, at most 64 characters
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,

    /// The service's base URL
    #[arg(long)]
    url: Url,

    /// A file with the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// An environment variable with the token
    #[arg(long, value_name = "VARIABLE")]
    token_environment: Option<String>,

    /// A program that prints the token, with its arguments; must be the last option
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true)]
    token_command: Option<Vec<String>>,
}

/// List the profiles; * marks the default
#[derive(Debug, Args)]
#[command(
    visible_alias = "ls",
    after_help = "\
Examples:
  audit-export profile list"
)]
pub struct ListArguments {
    #[command(flatten)]
    output: OutputArguments,
}

/// Make a profile the default
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export profile use production")]
pub struct UseArguments {
    /// The name of an existing profile
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,
}

/// Delete a profile
///
/// The file with its token stays. If it is the default, commands need `--profile` until another one is.
#[derive(Debug, Args)]
#[command(
    visible_alias = "rm",
    after_help = "\
Examples:
  audit-export profile delete staging"
)]
pub struct DeleteArguments {
    /// The name of an existing profile
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,
}

pub fn parse_name(text: &str) -> Result<String, &'static str> {
    let is_name = (1..=MAX_NAME_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if is_name { Ok(text.to_owned()) } else { Err("a name has 1 to 64 letters, digits, '-', '_' and '.'") }
}

fn set(arguments: &SetArguments, path: &Path) -> Result<(), Failure> {
    // A token must not be sent to an insecure URL.
    endpoint(&arguments.url, GRAPHQL_PATH)?;
    // Later commands may run in another directory.
    let absolute = |file: &PathBuf| std::path::absolute(file).map_err(Failure::file(file));
    let profile = Profile {
        url: arguments.url.to_string(),
        token_file: arguments.token_file.as_ref().map(absolute).transpose()?,
        token_command: arguments.token_command.clone(),
        token_environment: arguments.token_environment.clone(),
    };
    output::print_line(&keep(&arguments.name, profile, path)?)
}

/// Stores a profile, and returns the message for the user; the first profile becomes the default.
pub fn keep(name: &str, profile: Profile, path: &Path) -> Result<String, Failure> {
    let mut profiles = Profiles::load(path)?;
    profiles.profiles.insert(name.to_owned(), profile);
    profiles.default_profile.get_or_insert_with(|| name.to_owned());
    profiles.store(path)?;
    Ok(format!("Stored the profile {name} in {}", path.display()))
}

fn list(arguments: &ListArguments, path: &Path) -> Result<(), Failure> {
    let profiles = Profiles::load(path)?;
    let output = Output::new(&arguments.output);
    output.print_value(&profiles, |style| render(&profiles, path, style))
}

fn choose(arguments: &UseArguments, path: &Path) -> Result<(), Failure> {
    let mut profiles = Profiles::load(path)?;
    profiles.get(&arguments.name, "NAME", path)?;
    profiles.default_profile = Some(arguments.name.clone());
    profiles.store(path)?;
    output::print_line(&format!("The profile {} is the default", arguments.name))
}

fn delete(arguments: &DeleteArguments, path: &Path) -> Result<(), Failure> {
    output::print_line(&forget(&arguments.name, path)?)
}

/// Deletes a profile, and returns the message for the user.
fn forget(name: &str, path: &Path) -> Result<String, Failure> {
    let mut profiles = Profiles::load(path)?;
    profiles.get(name, "NAME", path)?;
    profiles.profiles.remove(name);
    let was_default = profiles.default_profile.take_if(|default| default == name).is_some();
    profiles.store(path)?;
    let mut message = format!("Deleted the profile {name} from {}", path.display());
    if was_default && !profiles.profiles.is_empty() {
        message += "\nThere is no default profile now. To choose one: audit-export profile use NAME";
    }
    Ok(message)
}

fn render(profiles: &Profiles, path: &Path, style: &Style) -> String {
    if profiles.profiles.is_empty() {
        return format!(
            "0 profiles in {}\n\nTo create one: audit-export profile set NAME --url https://… --token-file FILE",
            path.display()
        );
    }
    let rows: Vec<_> = profiles
        .profiles
        .iter()
        .map(|(name, profile)| {
            let mark = if profiles.default_profile.as_ref() == Some(name) { "*" } else { "" };
            let token = match profile.token_source(Path::new("")) {
                Some(TokenSource::File(file)) => format!("file {}", file.display()),
                // Its arguments may be secret.
                Some(TokenSource::Command(words)) => format!("command {}", words.first().map_or("?", String::as_str)),
                Some(TokenSource::Environment(variable)) => format!("environment {variable}"),
                None => "(not exactly one source)".to_owned(),
            };
            [mark, name, &profile.url, &token].map(|text| (Tone::Plain, printable(text))).to_vec()
        })
        .collect();
    style.table_or_lists(&["", "NAME", "URL", "TOKEN"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::style;

    #[test]
    fn profiles_are_listed_without_secrets() {
        let without_token = || Profile { url: "https://example.com/v1".to_owned(), ..Profile::default() };
        let command = vec!["vault".to_owned(), "--password=hush".to_owned()];
        let profiles = [
            ("ci", Profile { token_environment: Some("CI_TOKEN".to_owned()), ..without_token() }),
            ("production", Profile { token_command: Some(command), ..without_token() }),
            ("staging", Profile { token_file: Some("/run/secrets/token".into()), ..without_token() }),
            ("broken", without_token()),
        ]
        .map(|(name, profile)| (name.to_owned(), profile));
        let profiles = Profiles { default_profile: Some("production".to_owned()), profiles: profiles.into() };
        let path = Path::new("/etc/audit-export/config.toml");
        let shown = [render(&profiles, path, &style()), render(&Profiles::default(), path, &style())].join("\n\n");
        assert!(!shown.contains("hush"));
        insta::assert_snapshot!(shown);
        let mut long = profiles;
        let url = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/production".to_owned();
        long.profiles.entry("production".to_owned()).and_modify(|profile| profile.url = url);
        for width in [80, 120] {
            let shown = render(&long, path, &Style { width: Some(width), ..style() });
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{shown}");
            insta::assert_snapshot!(format!("profiles_of_{width}_columns"), shown);
        }
    }

    #[test]
    fn a_deleted_profile_is_the_default_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        for name in ["a", "b"] {
            keep(name, Profile { url: "https://example.com".to_owned(), ..Profile::default() }, &path).unwrap();
        }
        assert!(forget("a", &path).unwrap().contains("no default profile"));
        let left = Profiles::load(&path).unwrap();
        assert_eq!((left.default_profile, left.profiles.keys().collect::<Vec<_>>()), (None, vec![&"b".to_owned()]));
        let failure = forget("a", &path).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert!(failure.to_string().contains("known profiles: b"), "{failure}");
        assert_eq!(forget("b", &path).unwrap().lines().count(), 1);
    }

    #[test]
    fn names_are_restricted() {
        for bad in ["", "a b", "a\n", "ä", "a/b", &"a".repeat(MAX_NAME_LENGTH + 1)] {
            assert!(parse_name(bad).is_err(), "{bad:?}");
        }
        assert!(parse_name("acme-production_2.eu").is_ok());
    }
}
