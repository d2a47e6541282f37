//! `config notifications`: the webhooks that notices about an export are sent to.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use domain::{
    customer_server::CustomerServers,
    webhook::{
        WebhookSecret, WebhookUrl,
        secret::{GENERATED_SECRET_BYTES, MAX_SECRET_LENGTH},
    },
};
use host::Random;
use serde::Serialize;
use tempfile::NamedTempFile;
use terminal::text::printable;
use zeroize::Zeroizing;

use super::{file::Kind, target::Target, update};
use crate::{
    api::{Answer, operations},
    failure::{Diagnosis, Failure},
    files::{parent, read_beginning},
    hidden_input,
    model::{NotificationSettings, NotificationTest, Webhook},
    output::{Style, Tone},
    secret::Secret,
    service::Service,
};

/// Manage the webhooks that notices about an export are sent to
///
/// A webhook is an HTTPS server of yours. Notices are signed as the Standard Webhooks specification says.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  audit-export config notifications add 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    https://hooks.example.com/audit --generate-secret secret
  audit-export config notifications test 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")]
pub enum NotificationsCommand {
    /// List the webhooks of an export
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  audit-export config notifications list 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b"
    )]
    List(Target),

    Add(AddArguments),

    /// Remove a webhook
    #[command(after_help = "\
Examples:
  audit-export config notifications remove \\
    0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b https://hooks.example.com/audit")]
    Remove(RemoveArguments),

    /// Send a test notice to each webhook, and show what to fix
    #[command(after_help = "\
Examples:
  audit-export config notifications test 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b

The exit code is 7 if a webhook did not accept the notice.")]
    Test(Target),
}

/// Add a webhook, or replace the secret of one
///
/// The secret is whsec_ and 24 to 64 bytes in base 64. Without --secret-file or --generate-secret it is asked for at the
/// terminal. It can't be an argument, because other processes can read arguments.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export config notifications add 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    https://hooks.example.com/audit --generate-secret secret
  audit-export config notifications add 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    https://hooks.example.com/audit --secret-file secret")]
pub struct AddArguments {
    #[command(flatten)]
    target: Target,

    /// The URL: HTTPS, with a public host name, on port 443
    #[arg(value_name = "URL")]
    webhook: String,

    /// A file that holds the secret
    #[arg(long, value_name = "FILE", conflicts_with = "generate_secret")]
    secret_file: Option<PathBuf>,

    /// Generate a secret and write it to a new file that only you can read
    #[arg(long, value_name = "FILE")]
    generate_secret: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RemoveArguments {
    #[command(flatten)]
    target: Target,

    /// The URL, as `config notifications list` shows it
    #[arg(value_name = "URL")]
    webhook: String,
}

impl NotificationsCommand {
    pub async fn run(self, random: &dyn Random) -> Result<(), Failure> {
        match self {
            Self::List(target) => target.show(&operations::NOTIFICATIONS, list).await,
            Self::Add(arguments) => add(&arguments, random).await,
            Self::Remove(arguments) => remove(&arguments).await,
            Self::Test(target) => test(&target).await,
        }
    }
}

async fn add(arguments: &AddArguments, random: &dyn Random) -> Result<(), Failure> {
    let (secret, new_file) = match (&arguments.secret_file, &arguments.generate_secret) {
        (Some(path), _) => (Secret::trimmed(&read_beginning(path, MAX_SECRET_LENGTH as u64 + 1)?), None),
        (None, Some(path)) => {
            let secret = generate(random);
            let file = SecretFile::write(path, &secret)?;
            (secret, Some(file))
        }
        (None, None) => (ask(&arguments.webhook)?, None),
    };
    let secret = &secret;
    change(&arguments.target, |current| {
        let url = normal(&arguments.webhook);
        let mut webhooks: Vec<_> = current.iter().map(|webhook| ChangedWebhook::kept(&webhook.url)).collect();
        webhooks.retain(|webhook| webhook.url != url);
        webhooks.push(ChangedWebhook { url, secret: Some(secret) });
        Ok(webhooks)
    })
    .await?;
    new_file.map_or(Ok(()), SecretFile::keep)
}

async fn remove(arguments: &RemoveArguments) -> Result<(), Failure> {
    change(&arguments.target, |current| {
        let url = normal(&arguments.webhook);
        let webhooks: Vec<_> = current.iter().map(|webhook| ChangedWebhook::kept(&webhook.url)).collect();
        let count = webhooks.len();
        let rest: Vec<_> = webhooks.into_iter().filter(|webhook| webhook.url != url).collect();
        if rest.len() == count {
            let reason = "is not a webhook of this export; see: audit-export config notifications list";
            return Err(Failure::argument("URL", reason));
        }
        Ok(rest)
    })
    .await
}

/// A webhook of the new list. Without a secret, it keeps the one that it has.
#[derive(Serialize)]
struct ChangedWebhook<'a> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a Secret>,
}

impl ChangedWebhook<'_> {
    fn kept(url: &str) -> Self {
        Self { url: url.to_owned(), secret: None }
    }
}

#[derive(Serialize)]
struct Variables<'a> {
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: String,
    /// A change of somebody else in between is a conflict.
    version: u64,
    notifications: Vec<ChangedWebhook<'a>>,
}

/// Replaces the list of webhooks by what `changed` makes of the stored one, and prints the new one.
async fn change<'a>(
    target: &Target,
    changed: impl FnOnce(&[Webhook]) -> Result<Vec<ChangedWebhook<'a>>, Failure>,
) -> Result<(), Failure> {
    let service = Service::connect(&target.service).await?;
    let current: NotificationSettings = service.ask(&operations::NOTIFICATIONS, &target.variables()).await?.parse()?;
    let kind = Kind::of_type(&current.kind).ok_or_else(|| {
        Failure::NoAnswer(Diagnosis::new(
            format!("this version does not know the type of the configuration: {}", current.kind),
            "Install a newer version of audit-export.",
        ))
    })?;
    let notifications = changed(&current.notifications)?;
    let data = Data { id: target.id.to_string(), version: current.version, notifications };
    let answer: Answer = service.ask(update::operation(kind), &Variables { data }).await?;
    service.output.print(&answer, |style| Ok(list(&answer.parse()?, style)))
}

async fn test(target: &Target) -> Result<(), Failure> {
    let service = Service::connect(&target.service).await?;
    let answer = service.ask(&operations::TEST_NOTIFICATIONS, &target.variables()).await?;
    let results: Vec<NotificationTest> = answer.parse()?;
    service.output.print(&answer, |style| Ok(tested(&results, style)))?;
    match results.iter().find_map(|result| result.error.as_ref()) {
        Some(error) => Err(Failure::WebhookFailed(error.code.to_string())),
        None => Ok(()),
    }
}

/// Returns the URL in the normal form in which the service stores it, or unchanged if it is none.
fn normal(url: &str) -> String {
    WebhookUrl::parse_for(CustomerServers::PublicAndLocal, url).map_or_else(|_| url.to_owned(), Into::into)
}

fn generate(random: &dyn Random) -> Secret {
    let mut bytes = Zeroizing::new([0; GENERATED_SECRET_BYTES]);
    for (part, bits) in bytes.chunks_exact_mut(16).zip(std::iter::repeat_with(|| random.bits())) {
        part.copy_from_slice(&bits.to_be_bytes());
    }
    Secret::new(WebhookSecret::from_random(*bytes).expose().to_owned())
}

/// Reads the secret from the terminal without showing it.
fn ask(url: &str) -> Result<Secret, Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::argument("the secret", "is missing: give --secret-file or --generate-secret"));
    }
    let question = format!("Secret of {} (not shown): ", printable(url));
    let text = hidden_input::ask(&question).map_err(Failure::StandardOutput)?;
    Ok(Secret::trimmed(&text))
}

/// A new file with a secret, which exists under its name only when the service has the secret too.
struct SecretFile<'a> {
    file: NamedTempFile,
    path: &'a Path,
}

impl<'a> SecretFile<'a> {
    /// Writes the secret to a temporary file, which only its owner can read, beside `path`.
    fn write(path: &'a Path, secret: &Secret) -> Result<Self, Failure> {
        if path.exists() {
            return Err(Failure::Exists(path.to_owned()));
        }
        let mut file = NamedTempFile::new_in(parent(path)).map_err(Failure::file(path))?;
        writeln!(file, "{}", secret.expose()).map_err(Failure::file(path))?;
        file.as_file().sync_all().map_err(Failure::file(path))?;
        Ok(Self { file, path })
    }

    fn keep(self) -> Result<(), Failure> {
        let Self { file, path } = self;
        file.persist_noclobber(path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => Failure::Exists(path.to_owned()),
            _ => Failure::file(path)(error.error),
        })?;
        Ok(())
    }
}

fn list(settings: &NotificationSettings, _style: &Style) -> String {
    match settings.notifications.as_slice() {
        [] => "\
0 webhooks

To add one:
  audit-export config notifications add ID URL --generate-secret FILE"
            .to_owned(),
        webhooks => {
            let urls: Vec<&str> = webhooks.iter().map(|webhook| &*webhook.url).collect();
            let noun = if urls.len() == 1 { "webhook" } else { "webhooks" };
            format!("{}\n\n{} {noun}", urls.join("\n"), urls.len())
        }
    }
}

fn tested(results: &[NotificationTest], style: &Style) -> String {
    if results.is_empty() {
        return "The export has no webhooks.".to_owned();
    }
    let result = |result: &NotificationTest| {
        let status = result.status.map(|status| format!(" ({status})")).unwrap_or_default();
        match &result.error {
            None => format!("{} {}{status}", style.paint(Tone::Good, "delivered"), result.url),
            Some(error) => {
                let failed = style.paint(Tone::Bad, "failed");
                let reason = format!("{:10}{}: {}", "", error.code, error.message);
                format!("{failed}    {}{status}\n{}", result.url, style.wrapped(&reason, 10))
            }
        }
    };
    results.iter().map(result).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::tests::style;

    struct Numbers;

    impl Random for Numbers {
        fn bits(&self) -> u128 {
            u128::from_be_bytes([7; 16])
        }

        fn fraction(&self) -> f64 {
            0.5
        }
    }

    #[test]
    fn a_generated_secret_is_written_once_and_for_its_owner_alone() {
        let secret = generate(&Numbers);
        assert!(WebhookSecret::parse(secret.expose()).is_ok());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let file = SecretFile::write(&path, &secret).unwrap();
        assert!(!path.exists(), "the service does not have it yet");
        file.keep().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().trim(), secret.expose());
        assert!(!crate::files::is_open_to_others(&std::fs::metadata(&path).unwrap()));
        assert!(matches!(SecretFile::write(&path, &secret), Err(Failure::Exists(_))));
    }

    #[test]
    fn a_url_is_compared_in_its_normal_form() {
        assert_eq!(normal("https://Hooks.Example.com"), "https://hooks.example.com/");
        assert_eq!(normal("http://hooks.example.com"), "http://hooks.example.com");
    }

    fn settings(notifications: &serde_json::Value) -> NotificationSettings {
        serde_json::from_value(json!({ "type": "S3_ASSUMED_ROLE", "version": 3, "notifications": notifications }))
            .unwrap()
    }

    fn results() -> Vec<NotificationTest> {
        serde_json::from_value(json!([
            { "url": "https://a.example/", "isDelivered": true, "status": 204, "error": null },
            { "url": "https://b.example/", "isDelivered": false, "status": 410, "error":
                { "code": "WEBHOOK_GONE", "message": "The receiver answered 410 Gone. Remove the webhook." } },
            { "url": "https://c.example/", "isDelivered": false, "status": null, "error":
                { "code": "WEBHOOK_TIMED_OUT", "message": "The receiver did not answer." } },
        ]))
        .unwrap()
    }

    #[test]
    fn webhooks_fit_the_terminal() {
        let urls = json!([{ "url": "https://hooks.example.com/audit" }, { "url": "https://b.example/" }]);
        let long = json!([{ "url": "https://d.example/", "isDelivered": false, "status": 500, "error": {
            "code": "WEBHOOK_REFUSED", "message": "The receiver answered 500 Internal Server Error. Correct what its log \
                reports about this request, and test the webhook again." } }]);
        let mut results = results();
        results.extend(serde_json::from_value::<Vec<NotificationTest>>(long).unwrap());
        for width in [80, 120] {
            let style = Style { width: Some(width), ..style() };
            let shown = [list(&settings(&json!([])), &style), list(&settings(&urls), &style), tested(&results, &style)];
            let shown = shown.map(|text| style.paragraphs(&text)).join("\n---\n");
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{shown}");
            insta::assert_snapshot!(format!("webhooks_of_{width}_columns"), shown);
        }
    }

    #[test]
    fn webhooks_and_their_tests_are_shown() {
        let shown = [
            list(&settings(&json!([])), &style()),
            list(&settings(&json!([{ "url": "https://a.example/" }, { "url": "https://b.example/" }])), &style()),
            tested(&results(), &style()),
            tested(&[], &style()),
        ];
        insta::assert_snapshot!(shown.join("\n---\n"), @r"
        0 webhooks

        To add one:
          audit-export config notifications add ID URL --generate-secret FILE
        ---
        https://a.example/
        https://b.example/

        2 webhooks
        ---
        delivered https://a.example/ (204)
        failed    https://b.example/ (410)
                  WEBHOOK_GONE: The receiver answered 410 Gone. Remove the webhook.
        failed    https://c.example/
                  WEBHOOK_TIMED_OUT: The receiver did not answer.
        ---
        The export has no webhooks.
        ");
    }
}
