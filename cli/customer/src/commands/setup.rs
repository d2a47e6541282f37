//! `setup`: guides a person to a working export. [`wizard`] has the rules; this module has the terminal, the service and files.

mod account;
mod dialogue;
mod documents;
mod first_file;
mod folder;
mod questions;
mod stack;
mod state_file;
mod wizard;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use domain::configuration::{
    ServiceIdentity,
    arn::AccountId,
    region::{Partition, Region},
};
use host::{Clock, Random};
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use terminal::text::{Text, shell_word};
use tokio::time::{Instant, sleep};

use self::{
    account::Caller,
    dialogue::{Dialogue, left},
    documents::Document,
    questions::Prompt,
    stack::{Progress, Stack},
    wizard::{Answers, Continuation, Detail, Question, Source, State, Step, Wizard},
};
use super::{
    config::{
        create,
        file::{ConfigurationFile, Field, Kind, Purpose, Value},
        render, render_policies,
        secret_access_key::{self, SecretArguments},
        test, update,
    },
    profile::{keep, parse_name},
};
use crate::{
    access::{Access, AccessArguments, UNKNOWN_SERVICE, read_token},
    api::{Answer, GRAPHQL_PATH, Operation, endpoint, operations},
    aws_cli::{Aws, AwsCli},
    failure::{Diagnosis, Failure},
    model::{Configuration, Policies},
    output::{Style, Tone},
    profile::{self, Profile},
    secret::Secret,
    service::{Service, ServiceArguments},
    spinner::{Spinner, spinning},
};

/// Steps of one call, far more than a person takes.
const MAX_STEPS: usize = 1_000;
/// Attempts for one answer before the wizard runs.
const MAX_ATTEMPTS: usize = 100;

/// The longest time for a change in IAM to take effect, usually some seconds.
const PROPAGATION_TIMEOUT: Duration = Duration::from_mins(1);
/// The first and the longest pause between two tests meanwhile. The service allows 30 tests a minute.
const MIN_TEST_PAUSE: Duration = Duration::from_secs(2);
const MAX_TEST_PAUSE: Duration = Duration::from_secs(10);

/// The text of the spinner during commands of the AWS command line.
const ASKING_AWS: &str = "Asking AWS";

const DEFAULT_PROFILE: &str = "default";

/// Set up an export step by step, up to a verified first file
///
/// With the AWS command line (`aws`) and credentials for your account, asks for the bucket and the interval, shows what it
/// would create, and on your yes creates the export configuration and a CloudFormation stack with a role and, if it is new,
/// the bucket. Then it tests the connection, exports, shows the first file, and verifies it.
///
/// Without them, or with `--manual`, it asks for all settings, and writes the policies and the template to a folder. You run
/// the one command that it prints, and setup tests the connection.
///
/// You can quit at any time: the next call continues, and creates nothing twice. The state is stored beside the profiles (see
/// `audit-export profile`), without secrets.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export setup
  audit-export setup --profile production --directory policies
  audit-export setup --answers export.json --yes

--answers is for scripts. Without --yes the exit code is 7 until the policies are applied; then repeat the command.

The exit code is 0 only if the connection test succeeded, 7 if it failed, and 12 if setup is unfinished.")]
pub struct SetupArguments {
    /// Read the answers from this JSON file, the one of `config create`; - for standard input
    #[arg(long, value_name = "FILE|-")]
    answers: Option<PathBuf>,

    /// Discard an unfinished setup and start over; a configuration that it created stays
    #[arg(long)]
    restart: bool,

    /// The folder for the policies [default: audit-export-ID]
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,

    /// Don't use AWS credentials: ask for all settings, and write the policies to files
    ///
    /// For an access key instead of a role, a bucket of another account, or an S3 server other than AWS's.
    #[arg(long)]
    manual: bool,

    /// With `--answers`: create the role with the AWS credentials, without asking
    #[arg(long, requires = "answers", conflicts_with = "manual")]
    yes: bool,

    /// Also show the policies, and the commands of IAM that apply them
    #[arg(long)]
    print: bool,

    #[command(flatten)]
    secret: SecretArguments,

    #[command(flatten)]
    service: ServiceArguments,
}

pub async fn run(arguments: &SetupArguments, clock: &dyn Clock, random: &dyn Random) -> Result<(), Failure> {
    let dialogue = Dialogue::begin(arguments.answers.is_some())?;
    let file = arguments.answers.as_deref().map(|path| ConfigurationFile::read(path, Purpose::Create)).transpose()?;
    let profiles = profile::path()?;
    let access = resolve(&arguments.service.access, dialogue, &profiles).await?;
    let url = without_credentials(&access.url);
    let service = Service::with_access(&access, &arguments.service.output)?;
    // Shows that the service can be reached and accepts the token, before the first question.
    let identity: Identity = service.ask(&operations::IDENTITY, &json!({})).await?.parse()?;
    let state_path = state_file::path(&profiles);
    if arguments.restart {
        state_file::remove(&state_path)?;
    }
    let tenant = access.token.tenant().map(ToString::to_string);
    let state = begin(state_file::load(&state_path)?, url, tenant, clock, random)?;
    let identity = identity.parse()?;
    let aws = AwsCli::new();
    let caller = find_caller(arguments, dialogue, &state, &aws, &identity).await?;
    let wizard = Wizard::new(state, identity).with_caller(caller);
    let mut setup = Setup {
        arguments,
        clock,
        random,
        dialogue,
        access,
        service,
        aws,
        buckets: None,
        state_path,
        wizard,
        last: None,
        is_just_applied: false,
        has_files: None,
    };
    if let (Some(file), Some(path)) = (&file, &arguments.answers) {
        setup.take_answers(file, path)?;
    }
    for _ in 0..MAX_STEPS {
        match setup.wizard.next() {
            Step::Finish => return setup.finish(),
            step => setup.take(step).await?,
        }
    }
    Err(left())
}

/// Finds the AWS credentials, unless they are not wanted.
async fn find_caller(
    arguments: &SetupArguments,
    dialogue: Dialogue,
    state: &State,
    aws: &impl Aws,
    service: &ServiceIdentity,
) -> Result<Option<Caller>, Failure> {
    let is_wanted = match dialogue {
        Dialogue::Terminal => !arguments.manual && state.kind != Some(Kind::AccessKey),
        Dialogue::File => arguments.yes,
    };
    if !is_wanted {
        return Ok(None);
    }
    let given =
        account::REGION_VARIABLES.iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
    match spinning(ASKING_AWS, account::identify(aws, given.as_deref(), service)).await {
        Ok(caller) => {
            dialogue::say(&identified(&caller));
            Ok(Some(caller))
        }
        Err(reason) if arguments.yes => Err(Failure::argument("--yes", format!("needs AWS credentials: {reason}"))),
        Err(reason) => {
            dialogue::say(&format!(
                "Without AWS credentials, setup writes files and prints a command for your account.\n  {reason}"
            ));
            Ok(None)
        }
    }
}

fn identified(caller: &Caller) -> String {
    let Caller { account, name, region, .. } = caller;
    let region = region.as_ref().map(|region| format!(", Region {region}")).unwrap_or_default();
    format!("AWS account {account}, as {name}{region}")
}

/// Removes user and password from a URL, because the stored state must not hold secrets.
fn without_credentials(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail for URLs that can't have credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

#[derive(Deserialize)]
struct Identity {
    account: Text,
    partition: Text,
    region: Text,
}

impl Identity {
    fn parse(&self) -> Result<ServiceIdentity, Failure> {
        let parsed = AccountId::parse(&self.account).ok().zip(Partition::parse(&self.partition));
        match parsed.zip(Region::parse(&self.region).ok()) {
            Some(((account, partition), region)) => Ok(ServiceIdentity { account, partition, region }),
            None => Err(Failure::NoAnswer(Diagnosis::new(
                "this version does not understand the service's AWS identity",
                "Install a newer version of audit-export.",
            ))),
        }
    }
}

/// Starts a setup, or continues the stored one.
fn begin(
    state: Option<State>,
    url: String,
    tenant: Option<String>,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<State, Failure> {
    let Some(state) = state else { return Ok(State::new(url, tenant, create::idempotency_key(random))) };
    let unfinished = |subject: &str| {
        let advice = "Give its --url or --profile to continue it, or --restart to discard it.";
        Err(Failure::argument("setup", format!("the setup for {subject} is not finished\n  {advice}")))
    };
    if state.url != url {
        return unfinished(&state.url);
    }
    // Another tenant's export would go to this one's bucket.
    if let Some(of_state) = state.tenant.as_ref().filter(|of_state| tenant.as_ref() != Some(of_state)) {
        return unfinished(&format!("the tenant {of_state}"));
    }
    if state.is_stale(clock.now()) {
        return Err(Failure::Unfinished(
            "the setup was interrupted too long ago while it created the export configuration, and repeating this could \
             create a second one\n  Check whether it exists (audit-export config list), then start over with --restart."
                .to_owned(),
        ));
    }
    dialogue::say("Continuing the unfinished setup; --restart starts another one.");
    Ok(state)
}

/// Finds the service and the token. Asks for what neither arguments nor profiles have, and stores it as a profile.
async fn resolve(arguments: &AccessArguments, dialogue: Dialogue, profiles: &Path) -> Result<Access, Failure> {
    match arguments.resolve().await {
        Err(Failure::InvalidArgument { what: UNKNOWN_SERVICE, .. })
            if dialogue == Dialogue::Terminal && arguments.profile.is_none() => {}
        resolved => return resolved,
    }
    let style = Style::plain();
    let url = if let Some(url) = &arguments.url {
        url.clone()
    } else {
        let question = "URL, for example https://example.com/v1";
        let prompt = Prompt::new("The URL of the service, which its operator knows.", question);
        ask_until(&prompt, &style, |text| {
            let url: Url = text.parse().map_err(|_| "This is not a URL.".to_owned())?;
            endpoint(&url, GRAPHQL_PATH).map_err(|failure| failure.to_string())?;
            Ok(url)
        })?
    };
    let prompt = Prompt::new("Your token for the service, with the permission AUDIT.", "File with the token");
    let (token_file, token) = ask_until(&prompt, &style, |text| {
        let path = std::path::absolute(text).map_err(|error| error.to_string())?;
        let token = read_token(&path).map_err(|failure| failure.to_string())?;
        Ok((path, token))
    })?;
    let explanation = "The URL and the location of the token are stored as a profile.";
    let prompt = Prompt::new(explanation, "Name of the profile").suggesting(DEFAULT_PROFILE);
    let name = ask_until(&prompt, &style, |text| parse_name(text).map_err(ToOwned::to_owned))?;
    let profile = Profile { url: url.to_string(), token_file: Some(token_file), ..Profile::default() };
    dialogue::say(&keep(&name, profile, profiles)?);
    Ok(Access { url, token })
}

fn ask_until<T>(prompt: &Prompt, style: &Style, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Failure> {
    for _ in 0..MAX_ATTEMPTS {
        match parse(&dialogue::ask(prompt, style)?) {
            Ok(parsed) => return Ok(parsed),
            Err(reason) => dialogue::refuse(&reason, style),
        }
    }
    Err(left())
}

/// A running setup.
struct Setup<'a> {
    arguments: &'a SetupArguments,
    clock: &'a dyn Clock,
    random: &'a dyn Random,
    dialogue: Dialogue,
    access: Access,
    service: Service,
    aws: AwsCli,
    /// The buckets of the account, once they are listed.
    buckets: Option<Vec<String>>,
    state_path: PathBuf,
    wizard: Wizard,
    /// The last answer with the configuration.
    last: Option<Answer>,
    /// Whether the next test may be too early for a change in IAM.
    is_just_applied: bool,
    /// Whether the first export wrote a file; `None`: setup did not export.
    has_files: Option<bool>,
}

impl Setup<'_> {
    fn style(&self) -> &Style {
        &self.service.output.style
    }

    fn store(&self) -> Result<(), Failure> {
        state_file::store(&self.state_path, &self.wizard.state)
    }

    /// Sends an operation for the configuration.
    async fn ask(&self, operation: &Operation) -> Result<Answer, Failure> {
        self.service.ask(operation, &json!({ "id": self.id() })).await
    }

    fn take_answers(&mut self, file: &ConfigurationFile, path: &Path) -> Result<(), Failure> {
        let kind = file.kind_to_create(None).map_err(|problems| problems.at(path))?;
        self.wizard.answer_all(file, kind, self.clock.now()).map_err(|problems| problems.at(path))?;
        if let Some(caller) = self.wizard.caller().filter(|_| self.arguments.yes && !self.wizard.can_apply()) {
            if self.wizard.has_role_of_lake() {
                let reason = "creates a role, but that of an export as OCSF_PARQUET is created by Security Lake\n  Leave out --yes to \
                              get the steps.";
                return Err(Failure::argument("--yes", reason));
            }
            let reason = format!(
                "creates a role, so roleArn has to name one without a path in the account {} of the AWS credentials\n  Correct \
                 it, or leave out --yes to get the policies as files.",
                caller.account
            );
            return Err(Failure::argument("--yes", reason));
        }
        self.wizard.state.may_apply = self.arguments.yes;
        if let Some(secret) = file.text(Field::SecretAccessKey) {
            self.answer_secret(&Secret::new(secret.to_owned()))?;
        }
        self.store()
    }

    async fn take(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Ask(Question::Field(Field::SecretAccessKey)) => self.ask_secret(),
            Step::Ask(Question::Bucket) => self.ask_bucket().await,
            Step::Ask(question) => self.ask_question(question),
            Step::Create => self.create().await,
            Step::Get => self.get().await,
            Step::Apply => self.apply().await,
            Step::ShowPolicies(detail) => self.show_policies(detail).await,
            Step::Test => self.test().await,
            Step::Update(changes) => self.update(&changes).await,
            Step::Export => self.export().await,
            Step::Finish => Ok(()),
        }
    }

    fn ask_question(&mut self, question: Question) -> Result<(), Failure> {
        let answer = match (self.dialogue, question) {
            (Dialogue::Terminal, _) => {
                dialogue::ask(&questions::prompt(question, &self.wizard, self.style()), self.style())?
            }
            // Only the test can show whether the policies are applied.
            (Dialogue::File, Question::Ready) => String::new(),
            (Dialogue::File, _) => {
                dialogue::say("Apply the policies, then repeat the command.");
                return match self.wizard.configuration() {
                    Some(configuration) => test::outcome(configuration),
                    None => Err(left()),
                };
            }
        };
        match self.wizard.answer(question, &answer, self.clock.now()) {
            Ok(Continuation::Continue) => self.store(),
            Ok(Continuation::Quit) => Err(left()),
            Err(reason) => {
                dialogue::refuse(&reason, self.style());
                Ok(())
            }
        }
    }

    /// Asks for a bucket of the account or a new one, and looks it up.
    async fn ask_bucket(&mut self) -> Result<(), Failure> {
        let Some(caller) = self.wizard.caller() else { return Ok(()) };
        let buckets = match self.buckets.take() {
            Some(names) => Some(names),
            None => match spinning(ASKING_AWS, account::buckets(&self.aws, caller)).await {
                Ok(names) => Some(names),
                Err(reason) => {
                    dialogue::say(&format!("Your buckets can't be listed: name one.\n  {reason}"));
                    None
                }
            },
        };
        let listed = buckets.as_deref();
        let answer = dialogue::ask(&questions::bucket(listed.unwrap_or_default()), self.style())?;
        let name = account::pick(&answer, listed.unwrap_or_default());
        let chosen = match spinning(ASKING_AWS, account::look_up(&self.aws, name, listed, caller)).await {
            Ok(bucket) => self.wizard.choose_bucket(&bucket),
            Err(reason) => Err(reason),
        };
        self.buckets = buckets;
        match chosen {
            Ok(()) => self.store(),
            Err(reason) => {
                dialogue::refuse(&reason, self.style());
                Ok(())
            }
        }
    }

    /// Takes the secret from a file or the environment, or asks for it.
    fn ask_secret(&mut self) -> Result<(), Failure> {
        let is_new = self.wizard.configuration().is_none();
        let given = if is_new { self.arguments.secret.given()? } else { None };
        let secret = match given {
            Some(secret) if !secret.expose().is_empty() => secret,
            _ => secret_access_key::ask(&self.wizard.known(Field::AccessKeyId).unwrap_or_default())?,
        };
        self.answer_secret(&secret)
    }

    fn answer_secret(&mut self, secret: &Secret) -> Result<(), Failure> {
        let question = Question::Field(Field::SecretAccessKey);
        let Err(reason) = self.wizard.answer(question, secret.expose(), self.clock.now()) else { return Ok(()) };
        if self.dialogue == Dialogue::File || self.arguments.secret.is_given() {
            return Err(Failure::argument(Field::SecretAccessKey.name(), reason));
        }
        dialogue::refuse(&reason, self.style());
        Ok(())
    }

    async fn create(&mut self) -> Result<(), Failure> {
        let kind = self.kind();
        let data = self.wizard.creation().data(kind, Purpose::Create);
        dialogue::say("\nCreating the export configuration …");
        match self.service.ask(create::operation(kind), &json!({ "data": data })).await {
            Ok(answer) => {
                self.see(answer, Source::Created)?;
                self.store()
            }
            Err(failure @ (Failure::Refused { .. } | Failure::InvalidInput { .. })) => {
                self.wizard.refused(create::idempotency_key(self.random));
                self.store()?;
                // Invalid answers are asked for again.
                if self.dialogue == Dialogue::Terminal && matches!(failure, Failure::InvalidInput { .. }) {
                    dialogue::refuse(&failure.to_string(), self.style());
                    return Ok(());
                }
                Err(failure)
            }
            Err(failure @ (Failure::NoAnswer(_) | Failure::Unavailable(_))) => Err(Failure::Unsure {
                failure: Box::new(failure),
                hint: "Run audit-export setup again: it continues here, and creates nothing twice.".to_owned(),
            }),
            Err(failure) => Err(failure),
        }
    }

    async fn get(&mut self) -> Result<(), Failure> {
        let answer = self.ask(&operations::GET).await.map_err(|failure| match failure {
            Failure::NotFound { what, reason } => Failure::NotFound {
                what,
                reason: format!("{reason}\n  The configuration was deleted meanwhile: start over with --restart."),
            },
            failure => failure,
        })?;
        self.see(answer, Source::Get)
    }

    async fn show_policies(&mut self, detail: Detail) -> Result<(), Failure> {
        let policies: Policies = self.ask(&operations::POLICIES).await?.parse()?;
        let Some(configuration) = self.wizard.configuration().cloned() else { return Ok(()) };
        let directory = match &self.arguments.directory {
            Some(directory) => directory.clone(),
            None => PathBuf::from(format!("audit-export-{}", self.id())),
        };
        let files = documents::files(&policies, &configuration);
        folder::write(&directory, &files, &mut self.wizard.state.written)?;
        self.store()?;
        let mut sections = Vec::new();
        if detail == Detail::Everything || self.arguments.print {
            sections.push(explain_policies(&policies, &configuration, &files, self.style()));
        }
        sections.push(explain_files(&files, &directory, self.style()));
        sections.push(explain_command(&policies, &configuration, &directory));
        dialogue::say(&format!("\n{}", sections.join("\n\n")));
        self.wizard.policies_shown();
        Ok(())
    }

    /// Creates or updates the stack with the role.
    async fn apply(&mut self) -> Result<(), Failure> {
        let policies: Policies = self.ask(&operations::POLICIES).await?.parse()?;
        let Some(configuration) = self.wizard.configuration() else { return Ok(()) };
        let name = documents::stack_name(configuration);
        let earlier = self.wizard.state.stack_region.clone();
        let region = earlier.clone().unwrap_or_else(|| configuration.endpoint_configuration.region.to_string());
        let region = Region::parse(&region).map_err(|error| Failure::Unavailable(error.rule.to_owned()))?;
        self.wizard.state.stack_region = Some(region.to_string());
        self.store()?;
        let stack = Stack {
            name: &name,
            region: &region,
            parameters: &policies.cloud_formation.parameters,
            creates_bucket: self.wizard.creates_bucket(),
        };
        dialogue::say(&format!("\nCreating the CloudFormation stack {name} …"));
        let deployed = {
            let spinner = Spinner::new("Creating the stack");
            let show = |progress: Progress<'_>| match progress {
                Progress::Changing(status) => spinner.set_message(format!("Creating the stack: {status}")),
                Progress::Deleting(status) => spinner.suspend(|| {
                    dialogue::say(&format!("Deleting the stack first: it is {status}, and has no resources."));
                }),
            };
            stack.deploy(&self.aws, show).await
        };
        if let Err(undeployed) = &deployed {
            self.wizard.state.stack_region = match undeployed.exists {
                Some(true) => Some(region.to_string()),
                Some(false) => None,
                None => earlier,
            };
            self.store()?;
        }
        match deployed.map_err(|undeployed| undeployed.reason) {
            Ok(()) => {
                let tick = self.style().paint(Tone::Good, "✓");
                dialogue::say(&format!("{tick} The stack has the role and its permissions."));
                self.wizard.applied();
                self.is_just_applied = true;
                Ok(())
            }
            Err(reason) if self.dialogue == Dialogue::File => Err(Failure::Unfinished(reason)),
            Err(reason) => {
                dialogue::refuse(&format!("The stack could not be created: {reason}\n"), self.style());
                self.wizard.apply_refused();
                Ok(())
            }
        }
    }

    /// Tests the connection. Right after a change in IAM, it waits until that takes effect.
    async fn test(&mut self) -> Result<(), Failure> {
        dialogue::say("\nTesting the connection …");
        let deadline = Instant::now() + if self.is_just_applied { PROPAGATION_TIMEOUT } else { Duration::ZERO };
        let mut pause = MIN_TEST_PAUSE;
        let answer = loop {
            let answer = test::ask(&self.service, &self.id()).await?;
            if Instant::now() >= deadline || !wizard::may_be_early(&answer.parse()?) {
                break answer;
            }
            spinning("Waiting for changes in IAM to take effect", sleep(pause)).await;
            pause = (pause * 3 / 2).min(MAX_TEST_PAUSE);
        };
        self.is_just_applied = false;
        self.see(answer, Source::Tested)
    }

    /// Exports now, shows the first file, and verifies it.
    async fn export(&mut self) -> Result<(), Failure> {
        let Some(configuration) = self.wizard.configuration() else { return Ok(()) };
        if configuration.enabled {
            dialogue::say("\nExporting the events received so far …");
            let first = first_file::export(&self.service, configuration).await?;
            dialogue::say(&first.text);
            self.has_files = Some(first.has_files);
            if first.has_files {
                let access = &self.arguments.service.access;
                dialogue::say("\nVerifying …");
                let verified =
                    first_file::verify(configuration, &self.access, access, self.clock, self.style()).await?;
                dialogue::say(&verified);
            }
        }
        self.wizard.exported();
        Ok(())
    }

    async fn update(&mut self, changes: &Answers) -> Result<(), Failure> {
        let kind = self.kind();
        let mut file = self.wizard.input(changes);
        if let Some(configuration) = self.wizard.configuration() {
            file.set(Field::Version, Value::Number(configuration.version));
        }
        let mut data = file.data(kind, Purpose::Update);
        data.insert("id", Value::text(self.id()));
        dialogue::say("\nChanging the export configuration, and testing the connection …");
        let variables = json!({ "data": data });
        match test::update(&self.service, &self.id(), update::operation(kind), &variables).await {
            Ok(answer) => self.see(answer, Source::Updated),
            Err(failure @ (Failure::Refused { .. } | Failure::InvalidInput { .. } | Failure::ConnectionFailed(_))) => {
                dialogue::refuse(&failure.to_string(), self.style());
                self.wizard.update_refused();
                Ok(())
            }
            Err(failure @ Failure::Conflict { .. }) => {
                dialogue::refuse(&failure.to_string(), self.style());
                self.wizard.get_again();
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    fn see(&mut self, answer: Answer, source: Source) -> Result<(), Failure> {
        let configuration: Configuration = answer.parse()?;
        // It becomes a part of file names and of commands to copy.
        configuration.parsed_id()?;
        if source == Source::Created {
            let location = render::location(&configuration);
            dialogue::say(&format!("Created the export configuration {} to {location}.", configuration.id));
        }
        if &*configuration.connection_status != "PENDING" {
            dialogue::say(&format!("\n{}", test::checked(&configuration, self.style())));
        }
        self.wizard.seen(configuration, source);
        self.last = Some(answer);
        Ok(())
    }

    fn finish(&self) -> Result<(), Failure> {
        let (Some(answer), Some(configuration)) = (&self.last, self.wizard.configuration()) else { return Ok(()) };
        state_file::remove(&self.state_path)?;
        dialogue::say("");
        let region = self.wizard.state.stack_region.as_deref();
        let verify = self.arguments.service.access.options();
        self.service.output.print(answer, |style| Ok(finished(configuration, region, self.has_files, &verify, style)))
    }

    fn id(&self) -> String {
        match &self.wizard.state.phase {
            wizard::Phase::Created { id } => id.clone(),
            wizard::Phase::Asking | wizard::Phase::Creating { .. } => String::new(),
        }
    }

    fn kind(&self) -> Kind {
        self.wizard.state.kind.unwrap_or(Kind::AssumedRole)
    }
}

fn explain_files(files: &[Document], directory: &Path, style: &Style) -> String {
    let width = files.iter().map(|file| file.name.len()).max().unwrap_or(0);
    let lines: Vec<String> = files.iter().map(|file| format!("  {:width$}  {}", file.name, file.purpose)).collect();
    format!("{} {}:\n{}", style.paint(Tone::Strong, "Written to"), directory.display(), lines.join("\n"))
}

/// Formats the command that the customer has to run, and what it does not do.
fn explain_command(policies: &Policies, configuration: &Configuration, directory: &Path) -> String {
    // No command of AWS applies to another server.
    if configuration.endpoint_configuration.endpoint_url.is_some() {
        return policies.iam_policy.instruction.to_string();
    }
    if let Some(instruction) = documents::creation_of_source(policies) {
        return instruction.to_owned();
    }
    let account = policies.principal_arn.as_ref().and_then(|arn| arn.split(':').nth(4));
    let account = account.map_or_else(|| "your account".to_owned(), |account| format!("the account {account}"));
    let mut sections = vec![format!(
        "Run this with AWS credentials of {account}:\n\n  {}",
        documents::command(policies, configuration, directory)
    )];
    // The commands have these parts; the template does not change an existing bucket or key.
    if documents::has_template(policies) {
        let others = [Some(&policies.bucket_policy), policies.kms_key_policy_statement.as_ref()];
        let required = others.into_iter().flatten().filter(|document| document.is_required);
        sections.extend(required.map(|document| format!("Also required: {}", document.instruction)));
    }
    if policies.cloud_formation.launch_url.is_some() {
        sections.push(format!(
            "Or in the AWS console, with all parameters filled in:\n\n  audit-export config policies {} --cloudformation",
            configuration.id
        ));
    }
    sections.join("\n\n")
}

fn explain_policies(policies: &Policies, configuration: &Configuration, files: &[Document], style: &Style) -> String {
    if configuration.endpoint_configuration.endpoint_url.is_some() {
        return policies.iam_policy.document.trim_end().to_owned();
    }
    let commands = files.last().map_or("", |file| file.content.trim_end());
    format!(
        "{}\n\n{}\n\n{commands}",
        render_policies::policies(policies, style),
        style.paint(Tone::Strong, "Commands of IAM"),
    )
}

/// Formats the success, the time of the next file and, if there is a stack in `region`, how to undo all. `service` are the
/// options of the service.
fn finished(
    configuration: &Configuration,
    region: Option<&str>,
    has_files: Option<bool>,
    service: &str,
    style: &Style,
) -> String {
    let id = &configuration.id;
    let which = if has_files == Some(true) { "next" } else { "first" };
    let next = match (&configuration.next_export_at, configuration.enabled) {
        (Some(time), true) => {
            format!("The {which} file comes soon after {},\nif events are received until then.", style.time(time))
        }
        (None, true) => format!("The {which} file comes with the next export."),
        (_, false) => {
            format!("The export is disabled. To enable it: audit-export config enable {id}")
        }
    };
    let unverified = (has_files == Some(false))
        .then(|| format!("\nThere was nothing to verify yet. When it is there:\n  audit-export verify {id}{service}"));
    let undo = region.map(|region| {
        format!(
            "\nTo undo it (files and bucket stay):\n  audit-export config delete {id}\n  aws cloudformation delete-stack \
             --region {} \\\n    --stack-name {}",
            shell_word(region),
            documents::stack_name(configuration)
        )
    });
    format!(
        "{} Done: {} can be written to.\n{next}{}\n\nTo export now:      audit-export config run {id} --wait\nTo see its status:  \
         audit-export config status {id}{}",
        style.paint(Tone::Good, "✓"),
        render::location(configuration),
        unverified.unwrap_or_default(),
        undo.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use domain::time::Timestamp;
    use host::Machine;

    use super::*;
    use crate::{
        commands::setup::documents::tests::{configuration, policies},
        model,
        output::tests::style,
    };

    const URL: &str = "https://example.com/v1";

    #[test]
    fn files_and_one_command_are_shown_without_policies() {
        let document = |text: &str, is_required: bool| json!({ "document": text, "isRequired": is_required, "instruction": format!("Put {text} there.") });
        let of_another_account = json!({
            "bucketPolicy": document("{bucket}", true), "kmsKeyPolicyStatement": document("{key}", true),
            "cloudFormation": {
                "launchUrl": "https://console.aws.amazon.com/cloudformation/home#/stacks/create/review?x=y",
                "parameters": [{ "name": "ExternalId", "value": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b" }],
            },
        });
        let configuration = configuration(&json!({}));
        let directory = PathBuf::from(format!("audit-export-{}", configuration.id));
        let shown = [json!({}), of_another_account].map(|changes| {
            let policies = policies(&changes);
            let files = documents::files(&policies, &configuration);
            let command = explain_command(&policies, &configuration, &directory);
            format!("{}\n\n{command}", explain_files(&files, &directory, &style()))
        });
        let shown = shown.join("\n\n----\n\n");
        // An ID can't be shortened.
        assert!(shown.lines().all(|line| line.len() <= 80 || line.contains(&*configuration.id)), "{shown}");
        assert!(!shown.contains("{trust}"), "{shown}");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn the_policies_are_shown_when_asked_for() {
        let policies = policies(&json!({}));
        let of_role = configuration(&json!({}));
        let files = documents::files(&policies, &of_role);
        insta::assert_snapshot!(explain_policies(&policies, &of_role, &files, &style()));
    }

    #[test]
    fn another_server_gets_no_commands_of_aws() {
        let policies = policies(&json!({}));
        let of_server = configuration(&json!({ "roleArn": null, "endpointUrl": "https://s3.example.com" }));
        let files = documents::files(&policies, &of_server);
        let contents: Vec<_> = files.iter().map(|file| (file.name, &*file.content)).collect();
        assert_eq!(contents, [("iam-policy.json", "{iam}\n")]);
        assert_eq!(explain_command(&policies, &of_server, Path::new("x")), "Put {iam} there.");
        assert_eq!(explain_policies(&policies, &of_server, &files, &style()), "{iam}");
    }

    #[test]
    fn the_source_of_security_lake_is_created_instead_of_a_role() {
        let policies = policies(&json!({
            "trustPolicy": { "document": "{trust}", "isRequired": false, "instruction": "Create the source." },
        }));
        assert_eq!(explain_command(&policies, &configuration(&json!({})), Path::new("x")), "Create the source.");
    }

    #[test]
    fn the_end_says_when_the_first_file_comes() {
        let disabled = json!({ "enabled": false, "nextExportAt": null });
        // The stack stays where it was created.
        let stack = Some("eu-central-1");
        let ends = [
            (json!({}), None, None),
            (disabled, None, None),
            (json!({}), stack, Some(true)),
            (json!({}), None, Some(false)),
        ];
        let shown = ends.map(|(changes, stack, has_files)| {
            finished(&model::tests::configuration(&changes), stack, has_files, " --profile production", &style())
        });
        insta::assert_snapshot!(shown.join("\n\n"));
    }

    #[test]
    fn only_a_setup_for_the_same_service_continues() {
        let state = State::new(URL.to_owned(), None, "key".to_owned());
        let begin = |state, url| begin(state, url, None, &Machine, &Machine);
        assert_eq!(begin(Some(state.clone()), URL.to_owned()).unwrap(), state);
        assert_eq!(begin(Some(state.clone()), "https://example.org/".to_owned()).unwrap_err().exit_code(), 2);
        assert_eq!(begin(None, URL.to_owned()).unwrap().url, URL);
        let left_long_ago = State { phase: wizard::Phase::Creating { since: Timestamp::EPOCH }, ..state };
        assert_eq!(begin(Some(left_long_ago), URL.to_owned()).unwrap_err().exit_code(), 12);
    }

    #[test]
    fn only_a_setup_for_the_same_tenant_continues() {
        let continued = |of_state: Option<&str>, of_token: Option<&str>| {
            let [of_state, of_token] = [of_state, of_token].map(|tenant| tenant.map(ToOwned::to_owned));
            let state = State::new(URL.to_owned(), of_state, "key".to_owned());
            begin(Some(state), URL.to_owned(), of_token, &Machine, &Machine).map_err(|failure| failure.exit_code())
        };
        assert!(continued(Some("acme"), Some("acme")).is_ok());
        assert_eq!(continued(Some("acme"), Some("bolt")).unwrap_err(), 2);
        assert_eq!(continued(Some("acme"), None).unwrap_err(), 2);
        // Tokens that never name a tenant can't be distinguished.
        assert!(continued(None, None).is_ok());
    }

    #[test]
    fn no_password_is_remembered() {
        let url: Url = "https://zoe:hush@example.com/v1".parse().unwrap();
        assert_eq!(without_credentials(&url), URL);
    }

    #[test]
    fn an_unknown_service_identity_is_reported() {
        let identity = |account: &str| -> Identity {
            serde_json::from_value(json!({ "account": account, "partition": "aws", "region": "us-east-1" })).unwrap()
        };
        assert!(identity("111111111111").parse().is_ok());
        assert_eq!(identity("x").parse().unwrap_err().exit_code(), 1);
    }
}
