//! The service and the token of a command, from the arguments, the environment, or a profile.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use reqwest::Url;
use zeroize::Zeroizing;

use crate::{
    failure::Failure,
    profile::{self, Profile, Profiles, TokenSource},
    secret::{MAX_TOKEN_LENGTH_BYTES, Token},
};

/// The environment variables that may stand for arguments.
pub const PROFILE_VARIABLE: &str = "AUDIT_EXPORT_PROFILE";
pub const URL_VARIABLE: &str = "AUDIT_EXPORT_URL";
pub const TOKEN_FILE_VARIABLE: &str = "AUDIT_EXPORT_TOKEN_FILE";
/// The environment variable that may hold the token itself.
pub const TOKEN_VARIABLE: &str = "AUDIT_EXPORT_TOKEN";

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
    /// # Errors
    /// Something is missing or can't be read, or the profile's token would be sent to another host.
    pub fn resolve(&self) -> Result<Access, Failure> {
        let token = match &self.token_file {
            Some(path) => Some(read_token(path)?),
            None => environment_token(TOKEN_VARIABLE)?,
        };
        self.resolve_with(token, profile::path)
    }

    fn resolve_with(
        &self,
        token: Option<Token>,
        path: impl FnOnce() -> Result<PathBuf, Failure>,
    ) -> Result<Access, Failure> {
        if let (Some(url), Some(token), None) = (&self.url, &token, &self.profile) {
            return Ok(Access { url: url.clone(), token: token.clone() });
        }
        let path = path()?;
        let profiles = Profiles::load(&path)?;
        let (name, profile) = choose(&profiles, self.profile.as_deref(), &path)?;
        let profile_url: Url = profile.url.parse().map_err(|_| invalid_profile(&path, name, "url is not a URL"))?;
        let url = self.url.clone().unwrap_or_else(|| profile_url.clone());
        if let Some(token) = token {
            return Ok(Access { url, token });
        }
        if url.origin() != profile_url.origin() {
            return Err(Failure::InvalidArgument {
                what: "--url",
                reason: format!(
                    "the token of profile {name} is for {}: give a token for {} with --token-file or {TOKEN_VARIABLE}",
                    profile_url.origin().ascii_serialization(),
                    url.origin().ascii_serialization()
                ),
            });
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        let source = profile.token_source(directory).ok_or_else(|| {
            invalid_profile(&path, name, "one of token_file, token_command and token_environment is required")
        })?;
        Ok(Access { url, token: source.read()? })
    }
}

fn choose<'a>(profiles: &'a Profiles, name: Option<&'a str>, path: &Path) -> Result<(&'a str, &'a Profile), Failure> {
    let Some(name) = name.or(profiles.default_profile.as_deref()) else {
        return Err(Failure::InvalidArgument {
            what: UNKNOWN_SERVICE,
            reason: "give --url and --token-file, or store them in a profile:\n  \
                     audit-export profile set NAME --url https://… --token-file FILE"
                .to_owned(),
        });
    };
    let profile = profiles.profiles.get(name).ok_or_else(|| {
        let known: Vec<&str> = profiles.profiles.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Failure::InvalidArgument {
            what: "--profile",
            reason: format!("there is no profile {name} in {}; known profiles: {known}", path.display()),
        }
    })?;
    Ok((name, profile))
}

fn invalid_profile(path: &Path, name: &str, reason: &str) -> Failure {
    Failure::InvalidFile { path: path.to_owned(), reason: format!("profile {name}: {reason}") }
}

impl TokenSource {
    /// Reads the token.
    ///
    /// # Errors
    /// There is no token.
    pub fn read(&self) -> Result<Token, Failure> {
        match self {
            Self::File(path) => read_token(path),
            Self::Command(words) => run_token_command(words),
            Self::Environment(variable) => environment_token(variable)?.ok_or_else(|| Failure::InvalidArgument {
                what: "token_environment",
                reason: format!("the profile's token is in {variable}, which isn't set"),
            }),
        }
    }
}

/// Reads a token from a file.
///
/// # Errors
/// The file can't be read, or has no token.
pub fn read_token(path: &Path) -> Result<Token, Failure> {
    let mut text = Zeroizing::new(String::new());
    let file = File::open(path).map_err(Failure::file(path))?;
    file.take(MAX_TOKEN_LENGTH_BYTES + 1).read_to_string(&mut text).map_err(Failure::file(path))?;
    Token::parse(&text).map_err(|reason| Failure::InvalidFile { path: path.to_owned(), reason: reason.to_owned() })
}

fn environment_token(variable: &str) -> Result<Option<Token>, Failure> {
    let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) else { return Ok(None) };
    let invalid = |reason: &str| Failure::InvalidArgument { what: "the token", reason: format!("{variable} {reason}") };
    let text = Zeroizing::new(text.into_string().map_err(|_| invalid("holds no token"))?);
    Token::parse(&text).map(Some).map_err(invalid)
}

#[expect(clippy::disallowed_methods, reason = "no executor runs yet")]
fn run_token_command(words: &[String]) -> Result<Token, Failure> {
    let invalid = |reason: String| Failure::InvalidArgument { what: "token_command", reason };
    let Some((program, arguments)) = words.split_first() else { return Err(invalid("is empty".to_owned())) };
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| invalid(format!("{program}: {error}")))?;
    let output = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    // Not joined: a child of the program may keep its output open forever.
    thread::spawn(move || {
        let mut text = Zeroizing::new(String::new());
        let read = output.map_or(Ok(0), |output| output.take(MAX_TOKEN_LENGTH_BYTES + 1).read_to_string(&mut text));
        // The receiver may have timed out.
        let _ = sender.send(read.map(|_| text));
    });
    let deadline = Instant::now() + TOKEN_COMMAND_TIMEOUT;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(TOKEN_COMMAND_PAUSE),
            outcome => {
                let reason = outcome.map_or_else(
                    |error| error.to_string(),
                    |_| format!("did not end within {} s", TOKEN_COMMAND_TIMEOUT.as_secs()),
                );
                // It may have ended meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                return Err(invalid(format!("{program}: {reason}")));
            }
        }
    };
    if !status.success() {
        return Err(invalid(format!("{program}: {status}")));
    }
    let text = receiver
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        .map_err(|error| error.to_string())
        .and_then(|read| read.map_err(|error| error.to_string()))
        .map_err(|reason| invalid(format!("the output of {program}: {reason}")))?;
    Token::parse(&text).map_err(|reason| invalid(format!("what {program} printed {reason}")))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

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

    #[test]
    fn a_token_is_what_a_program_prints() {
        let token = run_token_command(&words(&["printf", "%s\\n", "abc"])).unwrap();
        assert_eq!(token.authorization().to_str().unwrap(), "Bearer abc");
        for (command, reason) in [
            (["false", ""], "false: exit status: 1"),
            (["audit-export-no-such-program", ""], "audit-export-no-such-program: No such file"),
            (["printf", "two words"], "what printf printed holds no token"),
        ] {
            let failure = run_token_command(&words(&command)).unwrap_err().to_string();
            assert!(failure.contains(reason), "{failure}");
        }
    }

    #[test]
    fn the_token_of_a_profile_goes_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("token"), "abc").unwrap();
        let path = directory.path().join("config.toml");
        let profile = Profile {
            url: "https://example.com/production".to_owned(),
            token_file: Some("token".into()),
            token_command: None,
            token_environment: None,
        };
        let profiles = Profiles { default_profile: None, profiles: [("production".to_owned(), profile)].into() };
        profiles.store(&path).unwrap();
        let resolve = |url: Option<&str>, profile: Option<&str>| {
            AccessArguments {
                profile: profile.map(ToOwned::to_owned),
                url: url.map(|url| url.parse().unwrap()),
                token_file: None,
            }
            .resolve_with(None, || Ok(path.clone()))
        };
        assert_eq!(resolve(None, Some("production")).unwrap().url.as_str(), "https://example.com/production");
        assert!(resolve(Some("https://example.com/staging"), Some("production")).is_ok());
        let failures = [
            resolve(Some("https://example.org/production"), Some("production")),
            resolve(None, Some("staging")),
            resolve(None, None),
        ]
        .map(|outcome| outcome.unwrap_err().to_string().replace(path.to_str().unwrap(), "PATH"));
        insta::assert_snapshot!(failures.join("\n\n"));
    }
}
