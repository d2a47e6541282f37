//! A running setup: takes the steps of the [`wizard`] in the terminal, with the service and AWS.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use domain::configuration::region::Region;
use host::{Clock, Random};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    account,
    arguments::SetupArguments,
    dialogue::{self, Dialogue, left},
    documents, first_file, folder, questions,
    stack::{Progress, Stack},
    state_file, texts,
    wizard::{self, Answers, Continuation, Detail, Question, Source, Step, Wizard},
};
use crate::{
    access::Access,
    api::{Answer, Operation, operations},
    aws_cli::AwsCli,
    commands::config::{
        create,
        file::{ConfigurationFile, Field, Kind, Purpose, Value},
        render, secret_access_key, test, update,
    },
    failure::Failure,
    model::{Configuration, Policies},
    output::{Style, Tone},
    secret::Secret,
    service::Service,
    spinner::{Spinner, spinning},
};

/// Steps of one call, far more than a person takes.
const MAX_STEPS: usize = 1_000;

/// The longest time for a change in IAM to take effect, usually some seconds.
const PROPAGATION_TIMEOUT: Duration = Duration::from_mins(1);
/// The first and the longest pause between two tests meanwhile. The service allows 10 tests in 20 s.
const MIN_TEST_PAUSE: Duration = Duration::from_secs(2);
const MAX_TEST_PAUSE: Duration = Duration::from_secs(10);

/// A running setup.
pub struct Setup<'a> {
    pub arguments: &'a SetupArguments,
    pub clock: &'a dyn Clock,
    pub random: &'a dyn Random,
    pub dialogue: Dialogue,
    pub access: Access,
    pub service: Service,
    pub aws: AwsCli,
    /// The buckets of the account, once they are listed.
    pub buckets: Option<Vec<String>>,
    pub state_path: PathBuf,
    pub wizard: Wizard,
    /// The last answer with the configuration.
    pub last: Option<Answer>,
    /// Whether the next test may be too early for a change in IAM.
    pub is_just_applied: bool,
    /// Whether the first export wrote a file; `None`: setup did not export.
    pub has_files: Option<bool>,
}

impl Setup<'_> {
    /// Takes the steps of the wizard until it is finished or the person leaves.
    pub async fn run(&mut self) -> Result<(), Failure> {
        for _ in 0..MAX_STEPS {
            match self.wizard.next() {
                Step::Finish => return self.finish(),
                step => self.take(step).await?,
            }
        }
        Err(left())
    }

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

    pub fn take_answers(&mut self, file: &ConfigurationFile, path: &Path) -> Result<(), Failure> {
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
            None => match spinning(account::ASKING_AWS, account::buckets(&self.aws, caller)).await {
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
        let chosen = match spinning(account::ASKING_AWS, account::look_up(&self.aws, name, listed, caller)).await {
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
            sections.push(texts::explain_policies(&policies, &configuration, &files, self.style()));
        }
        sections.push(texts::explain_files(&files, &directory, self.style()));
        sections.push(texts::explain_command(&policies, &configuration, &directory));
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
        self.service
            .output
            .print(answer, |style| Ok(texts::finished(configuration, region, self.has_files, &verify, style)))
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
