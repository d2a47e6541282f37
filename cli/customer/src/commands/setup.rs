//! `setup`: from nothing to an export that works. The order of things is [`wizard`]'s; here is what touches the world.

mod dialogue;
mod documents;
mod questions;
mod state_file;
mod wizard;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use domain::configuration::{
    ServiceIdentity,
    arn::AccountId,
    region::{Partition, Region},
};
use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use self::{
    dialogue::{Dialogue, left},
    questions::Prompt,
    wizard::{Answers, Question, Reply, Source, State, Step, Wizard},
};
use super::{
    config::{
        create,
        file::{ConfigurationFile, Field, Kind, Purpose, Value},
        get, policies, render, render_policies,
        secret_access_key::{self, SecretArguments},
        test, update,
    },
    profile::{keep, parse_name},
};
use crate::{
    access::{Access, AccessArguments, UNKNOWN_SERVICE, read_token},
    api::{Answer, Diagnosis, GRAPHQL_PATH, Operation, endpoint},
    failure::Failure,
    model::{Configuration, Policies},
    output::{Style, Tone},
    profile::{self, Profile},
    secret::Secret,
    service::{Service, ServiceArguments},
};
use terminal::text::Text;

pub const IDENTITY: Operation = Operation {
    what: "to tell who it is to AWS",
    field: "exportServiceIdentity",
    document: "{ exportServiceIdentity { account partition region } }",
};

/// Steps of one call: many more than a patient person takes.
const MAX_STEPS: usize = 1_000;
/// How often one thing is asked before the wizard runs.
const MAX_ATTEMPTS: usize = 100;

const DEFAULT_PROFILE: &str = "default";

/// Set an export up, step by step, until files can be written
///
/// Asks what is needed, creates the export configuration, writes the policies for your AWS account into a folder together
/// with the commands that apply them, waits until you have done so, and tests the connection until it succeeds. It can be
/// left at any time: called again it goes on where it was. What it remembers is beside the profiles (see `audit-export
/// profile`), and holds no secret.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export setup
  audit-export setup --profile production --directory policies
  audit-export setup --answers export.json   # for scripts: exit code 7 until the policies are in their places; repeat it

The exit code is 0 only if the connection test succeeded, 7 if it failed, and 12 if setup was left before its end.")]
pub struct SetupArguments {
    /// Ask nothing: the answers are in this JSON file, the one of `config create`; - for standard input
    #[arg(long, value_name = "FILE|-")]
    answers: Option<PathBuf>,

    /// Forget a setup that was not finished, and begin anew; a configuration that it created stays
    #[arg(long)]
    restart: bool,

    /// The folder for the policies; without it, audit-export-ID in the current one
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,

    #[command(flatten)]
    secret: SecretArguments,

    #[command(flatten)]
    service: ServiceArguments,
}

pub fn run(arguments: &SetupArguments) -> Result<(), Failure> {
    let dialogue = Dialogue::begin(arguments.answers.is_some())?;
    let file = arguments.answers.as_deref().map(|path| ConfigurationFile::read(path, Purpose::Create)).transpose()?;
    let profiles = profile::path()?;
    let access = resolve(&arguments.service.access, dialogue, &profiles)?;
    let url = without_credentials(&access.url);
    let service = Service::with_access(&access, &arguments.service.output)?;
    // Before anything is asked: whether the service answers, and knows the token.
    let identity: Identity = service.ask(&IDENTITY, &json!({}))?.parse()?;
    let state_path = state_file::path(&profiles);
    if arguments.restart {
        state_file::remove(&state_path)?;
    }
    let state = begin(state_file::load(&state_path)?, url)?;
    let wizard = Wizard::new(state, identity.parse()?);
    let mut setup = Setup { arguments, dialogue, service, state_path, wizard, last: None };
    if let (Some(file), Some(path)) = (&file, &arguments.answers) {
        setup.take_answers(file, path)?;
    }
    for _ in 0..MAX_STEPS {
        match setup.wizard.next() {
            Step::Finish => return setup.finish(),
            step => setup.take(step)?,
        }
    }
    Err(left())
}

/// What is remembered holds no secret, and a URL may have a password in it.
fn without_credentials(url: &Url) -> String {
    let mut url = url.clone();
    // They fail for URLs that can't have one.
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
            None => Err(Failure::NoAnswer(Diagnosis {
                what: "the service says of itself what this version doesn't understand".to_owned(),
                check: "Install a newer version of audit-export.",
            })),
        }
    }
}

/// Goes on with what is there already.
fn begin(state: Option<State>, url: String) -> Result<State, Failure> {
    let Some(state) = state else { return Ok(State::new(url, Uuid::new_v4().to_string())) };
    if state.url != url {
        return Err(Failure::InvalidArgument {
            what: "setup",
            reason: format!(
                "one for {} is not finished\n  Give its --url or --profile to go on with it, or --restart to forget it.",
                state.url
            ),
        });
    }
    if state.is_stale(Timestamp::now()) {
        return Err(Failure::Unfinished(
            "it was left so long ago, while the export configuration was being created, that repeating it could create a \
             second one\n  Look whether it is there (audit-export config list), then begin anew with --restart."
                .to_owned(),
        ));
    }
    dialogue::say("Going on with the setup that was begun before; --restart begins another one.");
    Ok(state)
}

/// Where the service is and the token for it; asks for what no argument and no profile says, and keeps it as a profile.
fn resolve(arguments: &AccessArguments, dialogue: Dialogue, profiles: &Path) -> Result<Access, Failure> {
    match arguments.resolve() {
        Err(Failure::InvalidArgument { what: UNKNOWN_SERVICE, .. })
            if dialogue == Dialogue::Terminal && arguments.profile.is_none() => {}
        resolved => return resolved,
    }
    // Nothing is known yet of colours.
    let style = Style { has_colors: false, zone: jiff::tz::TimeZone::UTC };
    let ask = |explanation: &str, question: &str, suggestion: Option<&str>| Prompt {
        explanation: explanation.to_owned(),
        question: question.to_owned(),
        suggestion: suggestion.map(ToOwned::to_owned),
        is_optional: false,
    };
    let url: Url = match &arguments.url {
        Some(url) => url.clone(),
        None => ask_until(
            &ask("Which service? Its operator knows its URL.", "URL, for example https://example.com/production", None),
            &style,
            |text| {
                let url: Url = text.parse().map_err(|_| "That is no URL.".to_owned())?;
                endpoint(&url, GRAPHQL_PATH).map_err(|failure| failure.to_string())?;
                Ok(url)
            },
        )?,
    };
    let explanation = "Who are you? The service knows you by a token, which permits AUDIT.";
    let (token_file, token) = ask_until(&ask(explanation, "File that holds the token", None), &style, |text| {
        let path = std::path::absolute(text).map_err(|error| error.to_string())?;
        let token = read_token(&path).map_err(|failure| failure.to_string())?;
        Ok((path, token))
    })?;
    let explanation = "Where it is and where your token comes from is kept as a profile.";
    let name = ask_until(&ask(explanation, "Name of the profile", Some(DEFAULT_PROFILE)), &style, |text| {
        parse_name(text).map_err(ToOwned::to_owned)
    })?;
    let profile =
        Profile { url: url.to_string(), token_file: Some(token_file), token_command: None, token_environment: None };
    keep(&name, profile, profiles)?;
    dialogue::say(&format!("Profile {name} is in {}", profiles.display()));
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

/// The wizard and what it touches.
struct Setup<'a> {
    arguments: &'a SetupArguments,
    dialogue: Dialogue,
    service: Service,
    state_path: PathBuf,
    wizard: Wizard,
    /// What the API answered last of the configuration.
    last: Option<Answer>,
}

impl Setup<'_> {
    fn style(&self) -> &Style {
        &self.service.output.style
    }

    fn store(&self) -> Result<(), Failure> {
        state_file::store(&self.state_path, &self.wizard.state)
    }

    fn take_answers(&mut self, file: &ConfigurationFile, path: &Path) -> Result<(), Failure> {
        let kind = file.kind_to_create(None).map_err(|problems| problems.at(path))?;
        self.wizard.answer_all(file, kind, Timestamp::now()).map_err(|problems| Failure::InvalidFile {
            path: path.to_owned(),
            reason: if problems.len() == 1 { problems.concat() } else { format!("\n  {}", problems.join("\n  ")) },
        })?;
        if let Some(secret) = file.text(Field::SecretAccessKey) {
            self.answer_secret(&Secret::new(secret.to_owned().into()))?;
        }
        self.store()
    }

    fn take(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Ask(Question::Field(Field::SecretAccessKey)) => self.ask_secret(),
            Step::Ask(question) => self.ask(question),
            Step::Create => self.create(),
            Step::Look => self.look(),
            Step::ShowPolicies => self.show_policies(),
            Step::Test => self.test(),
            Step::Update(changes) => self.update(&changes),
            Step::Finish => Ok(()),
        }
    }

    fn ask(&mut self, question: Question) -> Result<(), Failure> {
        let answer = match (self.dialogue, question) {
            (Dialogue::Terminal, _) => {
                dialogue::ask(&questions::prompt(question, &self.wizard, self.style()), self.style())?
            }
            // Whether the policies are in their places, only the test can tell.
            (Dialogue::File, Question::Ready) => String::new(),
            (Dialogue::File, _) => {
                dialogue::say("When the policies are in their places, repeat the command.");
                return match self.wizard.configuration() {
                    Some(configuration) => test::outcome(configuration),
                    None => Err(left()),
                };
            }
        };
        match self.wizard.answer(question, &answer, Timestamp::now()) {
            Ok(Reply::GoOn) => self.store(),
            Ok(Reply::Quit) => Err(left()),
            Err(reason) => {
                dialogue::refuse(&reason, self.style());
                Ok(())
            }
        }
    }

    /// From a file or the environment at first; what is found wrong there is asked for.
    fn ask_secret(&mut self) -> Result<(), Failure> {
        let mut file = ConfigurationFile::default();
        let id = self.wizard.access_key_id().unwrap_or_default();
        file.set(Field::AccessKeyId, Value::Text(Secret::new(id.clone().into())));
        if self.wizard.configuration().is_none() {
            self.arguments.secret.complete(&mut file, true)?;
        }
        let secret = match file.text(Field::SecretAccessKey) {
            Some(text) => Secret::new(text.to_owned().into()),
            None => secret_access_key::ask(&id)?,
        };
        self.answer_secret(&secret)
    }

    fn answer_secret(&mut self, secret: &Secret) -> Result<(), Failure> {
        let question = Question::Field(Field::SecretAccessKey);
        let Err(reason) = self.wizard.answer(question, secret.expose(), Timestamp::now()) else { return Ok(()) };
        if self.dialogue == Dialogue::File || self.arguments.secret.is_given() {
            return Err(Failure::InvalidArgument { what: Field::SecretAccessKey.name(), reason });
        }
        dialogue::refuse(&reason, self.style());
        Ok(())
    }

    fn create(&mut self) -> Result<(), Failure> {
        let kind = self.kind();
        let data = self.wizard.creation().data(kind, Purpose::Create);
        dialogue::say("\nCreating the export configuration …");
        match self.service.ask(create::operation(kind), &json!({ "data": data })) {
            Ok(answer) => {
                self.see(answer, Source::Created)?;
                self.store()
            }
            Err(failure @ (Failure::Refused { .. } | Failure::InvalidInput { .. })) => {
                self.wizard.refused(Uuid::new_v4().to_string());
                self.store()?;
                // What can be answered otherwise is asked again.
                if self.dialogue == Dialogue::Terminal && matches!(failure, Failure::InvalidInput { .. }) {
                    dialogue::refuse(&failure.to_string(), self.style());
                    return Ok(());
                }
                Err(failure)
            }
            Err(failure @ (Failure::NoAnswer(_) | Failure::Unavailable(_))) => Err(Failure::Unsure {
                failure: Box::new(failure),
                hint: "Call audit-export setup again: it goes on here, and creates nothing twice.".to_owned(),
            }),
            Err(failure) => Err(failure),
        }
    }

    fn look(&mut self) -> Result<(), Failure> {
        let answer =
            self.service.ask(&get::OPERATION, &json!({ "id": self.id() })).map_err(|failure| match failure {
                Failure::NotFound { what, reason } => Failure::NotFound {
                    what,
                    reason: format!("{reason}\n  What setup created was deleted meanwhile: begin anew with --restart."),
                },
                failure => failure,
            })?;
        self.see(answer, Source::LookedAt)
    }

    fn show_policies(&mut self) -> Result<(), Failure> {
        let policies: Policies = self.service.ask(&policies::OPERATION, &json!({ "id": self.id() }))?.parse()?;
        let Some(configuration) = self.wizard.configuration() else { return Ok(()) };
        let directory = match &self.arguments.directory {
            Some(directory) => directory.clone(),
            None => PathBuf::from(format!("audit-export-{}", self.id())),
        };
        let commands = documents::commands(&policies, configuration);
        let mut files = documents::files(&policies);
        files.push((documents::COMMANDS, format!("{commands}\n")));
        fs::create_dir_all(&directory).map_err(Failure::file(&directory))?;
        for (name, content) in &files {
            let path = directory.join(name);
            fs::write(&path, content).map_err(Failure::file(&path))?;
        }
        dialogue::say(&explain_policies(&policies, &files, &directory, &commands, self.style()));
        self.wizard.policies_shown();
        Ok(())
    }

    fn test(&mut self) -> Result<(), Failure> {
        dialogue::say("\nTesting the connection …");
        let answer = self.service.ask(&test::OPERATION, &json!({ "id": self.id() }))?;
        self.see(answer, Source::Tested)
    }

    fn update(&mut self, changes: &Answers) -> Result<(), Failure> {
        let kind = self.kind();
        let mut file = self.wizard.update(changes);
        if let Some(configuration) = self.wizard.configuration() {
            file.set(Field::Version, Value::Number(configuration.version));
        }
        let mut data = file.data(kind, Purpose::Update);
        data.insert("id", Value::Text(Secret::new(self.id().into())));
        dialogue::say("\nChanging the export configuration, and testing the connection …");
        match self.service.ask(update::operation(kind), &json!({ "data": data })) {
            Ok(answer) => self.see(answer, Source::Updated),
            Err(failure @ (Failure::Refused { .. } | Failure::InvalidInput { .. } | Failure::ConnectionFailed(_))) => {
                dialogue::refuse(&failure.to_string(), self.style());
                self.wizard.update_refused();
                Ok(())
            }
            Err(failure @ Failure::Conflict { .. }) => {
                dialogue::refuse(&failure.to_string(), self.style());
                self.wizard.look_again();
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    fn see(&mut self, answer: Answer, source: Source) -> Result<(), Failure> {
        let configuration: Configuration = answer.parse()?;
        if source == Source::Created {
            let location = render::location(&configuration);
            dialogue::say(&format!("Export configuration {} to {location} is there.", configuration.id));
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
        self.service.output.print(answer, |style| Ok(finished(configuration, style)))
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

fn explain_policies(
    policies: &Policies,
    files: &[(&'static str, String)],
    directory: &Path,
    commands: &str,
    style: &Style,
) -> String {
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let mut sections = vec![
        render_policies::policies(policies, style),
        format!("{} {}: {}", style.paint(Tone::Strong, "Written to"), directory.display(), names.join(", ")),
        format!("{} ({})\n\n{commands}", style.paint(Tone::Strong, "As commands"), documents::COMMANDS),
    ];
    if policies.cloud_formation.launch_url.is_some() {
        sections.push(format!(
            "{}\n{}",
            style.paint(Tone::Strong, "Or all of it at once, by CloudFormation"),
            render_policies::cloud_formation(policies, style)
        ));
    }
    format!("\n{}", sections.join("\n\n"))
}

/// That it works, and when the first file comes.
fn finished(configuration: &Configuration, style: &Style) -> String {
    let id = &configuration.id;
    let next = match (&configuration.next_export_at, configuration.enabled) {
        (Some(time), true) => {
            format!("The first file comes soon after {}, if anything is received until then.", style.time(time))
        }
        (None, true) => "The first file comes with the next export.".to_owned(),
        (_, false) => {
            format!("It is disabled: nothing is exported before you enable it (audit-export config enable {id}).")
        }
    };
    format!(
        "{} Done: {} can be written to.\n{next}\n\nTo export at once:   audit-export config run {id} --wait\nTo see how it goes:  \
         audit-export config get {id}",
        style.paint(Tone::Good, "✓"),
        render::location(configuration),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        commands::setup::documents::tests::{configuration, policies},
        model::tests::configuration_json,
        output::tests::style,
    };

    const URL: &str = "https://example.com/production";

    #[test]
    fn the_policies_are_told_in_every_form() {
        let policies = policies(&json!({
            "cloudFormation": {
                "launchUrl": "https://console.aws.amazon.com/cloudformation/home#/stacks/create/review?x=y",
                "parameters": [{ "name": "ExternalId", "value": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b" }],
            },
        }));
        let commands = documents::commands(&policies, &configuration(&json!({})));
        let files = documents::files(&policies);
        insta::assert_snapshot!(explain_policies(&policies, &files, Path::new("policies"), &commands, &style()));
    }

    #[test]
    fn the_end_says_when_the_first_file_comes() {
        let mut json = configuration_json();
        let mut shown = vec![finished(&serde_json::from_value(json.clone()).unwrap(), &style())];
        json["enabled"] = json!(false);
        json["nextExportAt"] = serde_json::Value::Null;
        shown.push(finished(&serde_json::from_value(json).unwrap(), &style()));
        insta::assert_snapshot!(shown.join("\n\n"));
    }

    #[test]
    fn only_what_was_begun_for_the_same_service_goes_on() {
        let state = State::new(URL.to_owned(), "key".to_owned());
        assert_eq!(begin(Some(state.clone()), URL.to_owned()).unwrap(), state);
        assert_eq!(begin(Some(state.clone()), "https://example.org/".to_owned()).unwrap_err().exit_code(), 2);
        assert_eq!(begin(None, URL.to_owned()).unwrap().url, URL);
        let left_long_ago = State { phase: wizard::Phase::Creating { since: Timestamp::UNIX_EPOCH }, ..state };
        assert_eq!(begin(Some(left_long_ago), URL.to_owned()).unwrap_err().exit_code(), 12);
    }

    #[test]
    fn no_password_is_remembered() {
        let url: Url = "https://zoe:hush@example.com/production".parse().unwrap();
        assert_eq!(without_credentials(&url), URL);
    }

    #[test]
    fn a_service_that_is_not_understood_is_told() {
        let identity = |account: &str| -> Identity {
            serde_json::from_value(json!({ "account": account, "partition": "aws", "region": "us-east-1" })).unwrap()
        };
        assert!(identity("111111111111").parse().is_ok());
        assert_eq!(identity("x").parse().unwrap_err().exit_code(), 1);
    }
}
