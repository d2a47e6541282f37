//! The service and the token of a command, from the arguments, the environment, or a profile.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use clap::Args;
use host::{Clock, Machine};
use reqwest::Url;
use terminal::{ColorChoice, Style, text::shell_word};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use zeroize::Zeroizing;

use crate::{
    failure::Failure,
    files::read_beginning,
    profile::{self, Profiles, TokenSource},
    secret::{self, MAX_TOKEN_LENGTH_BYTES, TOKEN_VARIABLE, Token},
};

/// The environment variables that may stand for arguments.
pub const PROFILE_VARIABLE: &str = "AUDIT_EXPORT_PROFILE";
pub const URL_VARIABLE: &str = "AUDIT_EXPORT_URL";
pub const TOKEN_FILE_VARIABLE: &str = "AUDIT_EXPORT_TOKEN_FILE";

/// The subject of the failure when neither arguments nor a profile name the service.
pub const UNKNOWN_SERVICE: &str = "no service is given";

/// Allows for a question of a password manager.
const TOKEN_COMMAND_TIMEOUT: Duration = Duration::from_mins(1);
const TOKEN_COMMAND_PAUSE: Duration = Duration::from_millis(20);

/// The service and token arguments of commands.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Service")]
pub struct AccessArguments {
    /// The profile with the service and the source of the token (see `audit-export profile`)
    #[arg(long, env = PROFILE_VARIABLE, hide_env_values = true, value_name = "NAME")]
    pub profile: Option<String>,

    /// The service's base URL, instead of the profile's
    #[arg(long, env = URL_VARIABLE, hide_env_values = true)]
    pub url: Option<Url>,

    /// A file with the token, instead of the profile's; `AUDIT_EXPORT_TOKEN` can have the token itself
    #[arg(long, env = TOKEN_FILE_VARIABLE, hide_env_values = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// The URL of the service, and a token for it.
#[derive(Clone, Debug)]
pub struct Access {
    pub url: Url,
    pub token: Token,
}

impl AccessArguments {
    /// Returns the options that give another command the same service and token, each after a space.
    pub fn options(&self) -> String {
        let Self { profile, url, token_file } = self;
        let given = [
            ("profile", profile.clone()),
            ("url", url.as_ref().map(ToString::to_string)),
            ("token-file", token_file.as_ref().map(|path| path.display().to_string())),
        ];
        let words = given.into_iter().filter_map(|(name, value)| Some(format!(" --{name} {}", shell_word(&value?))));
        words.collect()
    }

    /// Returns the options like [`Self::options`] for a command that uses a service only if it is given one: the default
    /// profile by its name. `None`: only the environment has a token.
    pub fn explicit_options(&self) -> Option<String> {
        if self.profile.is_some() || self.token_file.is_some() {
            return Some(self.options());
        }
        let profile = Profiles::load(&profile::path().ok()?).ok()?.default_profile?;
        Some(Self { profile: Some(profile), ..self.clone() }.options())
    }

    /// Finds the service and the token, and warns if the token has expired or ends soon. The token of a profile is not
    /// sent to another host.
    pub async fn resolve(&self) -> Result<Access, Failure> {
        let token = match &self.token_file {
            Some(path) => Some(read_token(path)?),
            None => environment_token(TOKEN_VARIABLE)?,
        };
        let access = self.resolve_with(token, profile::path).await?;
        if let Some(warning) = access.token.warning(Machine.now(), &Style::of_standard_output(ColorChoice::Never)) {
            terminal::warn(&warning);
        }
        Ok(access)
    }

    async fn resolve_with(
        &self,
        token: Option<Token>,
        path: impl FnOnce() -> Result<PathBuf, Failure>,
    ) -> Result<Access, Failure> {
        if let (Some(url), Some(token), None) = (&self.url, &token, &self.profile) {
            return Ok(Access { url: url.clone(), token: token.clone() });
        }
        let path = path()?;
        let profiles = Profiles::load(&path)?;
        let Some(name) = self.profile.as_deref().or(profiles.default_profile.as_deref()) else {
            return Err(Failure::argument(
                UNKNOWN_SERVICE,
                "give --url and --token-file, or store them in a profile:\n  \
                 audit-export profile set NAME --url https://… --token-file FILE",
            ));
        };
        let profile = profiles.get(name, "--profile", &path)?;
        let invalid = |reason: &str| Failure::invalid_file(&path, format!("profile {name}: {reason}"));
        let profile_url: Url = profile.url.parse().map_err(|_| invalid("url is not a URL"))?;
        let url = self.url.clone().unwrap_or_else(|| profile_url.clone());
        if let Some(token) = token {
            return Ok(Access { url, token });
        }
        if url.origin() != profile_url.origin() {
            let [from, to] = [profile_url, url].map(|url| url.origin().ascii_serialization());
            let token = format!("give a token for {to} with --token-file or {TOKEN_VARIABLE}");
            return Err(Failure::argument("--url", format!("the token of profile {name} is for {from}: {token}")));
        }
        let source = profile
            .token_source(path.parent().unwrap_or(Path::new("")))
            .ok_or_else(|| invalid("one of token_file, token_command and token_environment is required"))?;
        Ok(Access { url, token: source.read().await? })
    }
}

impl TokenSource {
    async fn read(&self) -> Result<Token, Failure> {
        match self {
            Self::File(path) => read_token(path),
            Self::Command(words) => run_token_command(words).await,
            Self::Environment(variable) => environment_token(variable)?.ok_or_else(|| {
                let reason = format!("the profile's token is in {variable}, which isn't set");
                Failure::argument("token_environment", reason)
            }),
        }
    }
}

pub fn read_token(path: &Path) -> Result<Token, Failure> {
    let text = read_beginning(path, MAX_TOKEN_LENGTH_BYTES + 1)?;
    Token::parse(&text).map_err(|reason| Failure::invalid_file(path, reason))
}

fn environment_token(variable: &str) -> Result<Option<Token>, Failure> {
    let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) else { return Ok(None) };
    let invalid = |reason: &str| Failure::argument("the token", format!("{variable} {reason}"));
    let text = Zeroizing::new(text.into_string().map_err(|_| invalid("holds no token"))?);
    Token::parse(&text).map(Some).map_err(invalid)
}

async fn run_token_command(words: &[String]) -> Result<Token, Failure> {
    let invalid = |reason: String| Failure::argument("token_command", reason);
    let Some((program, arguments)) = words.split_first() else { return Err(invalid("is empty".to_owned())) };
    let mut child = secret::command(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| invalid(format!("{program}: {error}")))?;
    let output = child.stdout.take();
    let reading = spawn_blocking(move || {
        let mut text = Zeroizing::new(String::new());
        let read = output.map_or(Ok(0), |output| output.take(MAX_TOKEN_LENGTH_BYTES + 1).read_to_string(&mut text));
        read.map(|_| text)
    });
    let end = async {
        let text = reading.await??;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok::<_, io::Error>((text, status));
            }
            sleep(TOKEN_COMMAND_PAUSE).await;
        }
    };
    // A child of the program may keep its output open forever.
    let Ok(ended) = timeout(TOKEN_COMMAND_TIMEOUT, end).await else {
        // It may have ended meanwhile.
        let _ = child.kill();
        let _ = child.wait();
        return Err(invalid(format!("{program}: did not end within {} s", TOKEN_COMMAND_TIMEOUT.as_secs())));
    };
    let (text, status) = ended.map_err(|error| invalid(format!("the output of {program}: {error}")))?;
    if !status.success() {
        return Err(invalid(format!("{program}: {status}")));
    }
    Token::parse(&text).map_err(|reason| invalid(format!("what {program} printed {reason}")))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;
    use crate::profile::Profile;

    #[test]
    fn a_token_is_read_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, "abc\n").unwrap();
        assert_eq!(read_token(&path).unwrap().authorization().to_str().unwrap(), "Bearer abc");
        fs::write(&path, "a".repeat(10_000)).unwrap();
        let failure = read_token(&path).unwrap_err().to_string();
        assert!(failure.ends_with("token: is too long for a token"), "{failure}");
    }

    #[tokio::test]
    async fn a_token_is_what_a_program_prints() {
        let run =
            async |words: &[&str]| run_token_command(&words.iter().map(ToString::to_string).collect::<Vec<_>>()).await;
        assert_eq!(run(&["printf", "%s\\n", "abc"]).await.unwrap().authorization().to_str().unwrap(), "Bearer abc");
        for (command, reason) in [
            (["false", ""], "false: exit status: 1"),
            (["audit-export-no-such-program", ""], "audit-export-no-such-program: No such file"),
            (["printf", "two words"], "what printf printed holds no token"),
        ] {
            let failure = run(&command).await.unwrap_err().to_string();
            assert!(failure.contains(reason), "{failure}");
        }
    }

    #[tokio::test]
    async fn the_token_of_a_profile_goes_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("token"), "abc").unwrap();
        let path = directory.path().join("config.toml");
        let url = "https://example.com/v1".to_owned();
        let profile = Profile { token_file: Some("token".into()), url, ..Profile::default() };
        let profiles = Profiles { default_profile: None, profiles: [("production".to_owned(), profile)].into() };
        profiles.store(&path).unwrap();
        let resolve = async |url: Option<&str>, profile: Option<&str>| {
            let url = url.map(|url| url.parse().unwrap());
            let arguments = AccessArguments { profile: profile.map(ToOwned::to_owned), url, token_file: None };
            arguments.resolve_with(None, || Ok(path.clone())).await
        };
        assert_eq!(resolve(None, Some("production")).await.unwrap().url.as_str(), "https://example.com/v1");
        assert!(resolve(Some("https://example.com/staging"), Some("production")).await.is_ok());
        let failures = [
            resolve(Some("https://example.org/v1"), Some("production")).await,
            resolve(None, Some("staging")).await,
            resolve(None, None).await,
        ]
        .map(|outcome| outcome.unwrap_err().to_string().replace(path.to_str().unwrap(), "PATH"));
        insta::assert_snapshot!(failures.join("\n\n"));
    }
}
