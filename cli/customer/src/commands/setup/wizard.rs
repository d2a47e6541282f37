//! The rules of the setup: the order of questions and steps, and the answers that are valid.

use std::{collections::BTreeMap, time::Duration};

use domain::{
    configuration::{
        ConfigurationId, ServiceIdentity,
        arn::{AccountId, RoleArn},
        field_error::FieldError,
    },
    connection::ConnectionErrorCode as Code,
    digest::Hex32,
    event_filter::RawFilter,
    export_format::ExportFormat,
    interval::ExportInterval,
    ocsf,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use terminal::text::Text;

use super::account::{Bucket, Caller};
use crate::{
    commands::config::{
        file::{self, ConfigurationFile, Field, Kind, Problems, Value},
        suggestion::{hinted, misspelled_region, near_region},
    },
    model::Configuration,
    secret::Secret,
};

/// The service keeps an idempotency key for 24 hours; the rest allows for a wrong clock.
const MAX_CREATION_AGE: Duration = Duration::from_hours(23);

/// The name of the role if the answer is an account, and the beginning of the name of a role that setup creates.
const DEFAULT_ROLE_NAME: &str = "audit-export";
/// Characters of the idempotency key in the name of a role that setup creates: every export needs a separate role.
const ROLE_SUFFIX_LENGTH: usize = 8;

/// The path in a bucket that setup finds in the account. The bucket may have other files.
const DEFAULT_BUCKET_PATH: &str = "audit-export";

/// The start of an export that is set up at a terminal, so that there is a first file at once.
const START: &str = "earliest";

/// The answers, without secrets; `None` is an empty answer.
pub type Answers = BTreeMap<Field, Option<String>>;

/// The stored state of a setup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct State {
    pub url: String,
    /// The tenant of the token, if the token names it: the same service has other buckets and other accounts for another one.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The key for all attempts to create the configuration.
    pub idempotency_key: String,
    pub kind: Option<Kind>,
    pub answers: Answers,
    /// The filter of a file with answers; it is not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<RawFilter>,
    /// The choices of OCSF of a file with answers; they are not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocsf: Option<ocsf::RawSettings>,
    /// Earlier answers, suggested when they are asked for again.
    #[serde(default)]
    pub suggestions: Answers,
    /// The bucket that setup creates.
    #[serde(default)]
    pub new_bucket: Option<String>,
    /// Whether the bucket is asked for by its name, with all its properties, instead of looked up in the account.
    #[serde(default)]
    pub asks_for_details: bool,
    /// Whether setup may create the resources in the AWS account.
    #[serde(default)]
    pub may_apply: bool,
    /// The Region of the stack, as soon as there may be one. It stays there if the Region of the bucket is changed.
    #[serde(default)]
    pub stack_region: Option<String>,
    /// The SHA-256 of the files that setup wrote, by their paths.
    #[serde(default)]
    pub written: BTreeMap<String, Hex32>,
    pub phase: Phase,
}

/// The phase of a setup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "name", deny_unknown_fields)]
pub enum Phase {
    #[default]
    Asking,
    /// The request may have been sent, and its answer is not known.
    Creating {
        since: Timestamp,
    },
    Created {
        id: String,
    },
}

impl State {
    pub fn new(url: String, tenant: Option<String>, idempotency_key: String) -> Self {
        Self { url, tenant, idempotency_key, ..Self::default() }
    }

    /// Returns whether repeating the request could create a second configuration.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Creating { since } => {
                now.saturating_since(since).max(since.saturating_since(now)) > MAX_CREATION_AGE
            }
            Phase::Asking | Phase::Created { .. } => false,
        }
    }

    /// Returns whether the state has no secrets and a valid ID.
    pub fn is_valid(&self) -> bool {
        let holds_secret = |answers: &Answers| answers.contains_key(&Field::SecretAccessKey);
        let id_is_valid = match &self.phase {
            Phase::Created { id } => ConfigurationId::parse(id).is_some(),
            Phase::Asking | Phase::Creating { .. } => true,
        };
        !holds_secret(&self.answers) && !holds_secret(&self.suggestions) && id_is_valid
    }
}

/// The next action of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Ask(Question),
    Create,
    /// Get the configuration.
    Get,
    /// Create the resources in the AWS account.
    Apply,
    ShowPolicies(Detail),
    Test,
    /// Change these fields; `None` clears one.
    Update(Answers),
    /// Export now, show the first file, and verify it.
    Export,
    Finish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    Kind,
    /// A bucket of the account, or the name of a new one.
    Bucket,
    Field(Field),
    /// Whether to create the configuration, and with credentials also the resources.
    Confirm,
    /// Whether to create the resources of a configuration that exists.
    Apply,
    /// Whether the policies are applied.
    Ready,
    /// The action after a failed test.
    Failed,
}

/// How much of the policies is shown. All of it is written to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Command,
    Everything,
}

/// The effect of an answer on the setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    Continue,
    Quit,
}

/// The operation that returned a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Created,
    Get,
    Tested,
    Updated,
}

/// The stage after the configuration is created. It is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Unknown,
    Apply,
    Policies(Detail),
    Ready,
    Test,
    Failed,
    Changing { open: Vec<Field>, changes: Answers },
    Succeeded,
    Exported,
}

#[derive(Debug)]
pub struct Wizard {
    pub state: State,
    service: ServiceIdentity,
    /// The identity of the AWS credentials, if setup has some.
    caller: Option<Caller>,
    secret: Option<Secret>,
    configuration: Option<Configuration>,
    stage: Stage,
    policies_are_shown: bool,
}

impl Wizard {
    pub fn new(state: State, service: ServiceIdentity) -> Self {
        Self {
            state,
            service,
            caller: None,
            secret: None,
            configuration: None,
            stage: Stage::Unknown,
            policies_are_shown: false,
        }
    }

    /// Uses AWS credentials. They are for a role: an access key would be a secret to create.
    pub fn with_caller(mut self, caller: Option<Caller>) -> Self {
        if caller.is_some() && self.state.phase == Phase::Asking {
            self.state.kind.get_or_insert(Kind::AssumedRole);
        }
        self.caller = caller;
        self
    }

    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// Returns whether the credentials can create the role: it is in their account, has no path, and is none of Security Lake,
    /// which creates its roles itself.
    pub fn can_apply(&self) -> bool {
        if self.has_role_of_lake() {
            return false;
        }
        let role = self.known(Field::RoleArn).and_then(|arn| RoleArn::parse(&arn).ok());
        let caller = self.caller.as_ref();
        role.zip(caller).is_some_and(|(role, caller)| *role.account() == caller.account && !role.has_path())
    }

    /// Returns whether Security Lake creates the role, as the format says.
    pub fn has_role_of_lake(&self) -> bool {
        let answer = || self.state.answers.get(&Field::Format).cloned().flatten();
        let format = self.configuration.as_ref().map(|configuration| configuration.format.to_string()).or_else(answer);
        format.is_some_and(|format| format == ExportFormat::OcsfParquet.name())
    }

    /// Returns whether setup creates the bucket.
    pub fn creates_bucket(&self) -> bool {
        self.state.new_bucket.is_some() && self.known(Field::BucketName) == self.state.new_bucket
    }

    /// Returns the next step.
    pub fn next(&self) -> Step {
        match (&self.state.phase, self.state.kind) {
            (Phase::Created { .. }, _) => self.next_of_created(),
            (_, None) => Step::Ask(Question::Kind),
            (Phase::Asking, Some(Kind::AssumedRole)) if self.looks_up_bucket() => Step::Ask(Question::Bucket),
            (Phase::Asking, Some(kind)) => {
                let is_open = |field: &Field| !self.state.answers.contains_key(field) && self.applies(*field);
                let open = questions(kind).into_iter().find(is_open);
                Step::Ask(open.map_or(Question::Confirm, Question::Field))
            }
            // The secret is not stored, so it is asked for right before it is used.
            (Phase::Creating { .. }, Some(Kind::AccessKey)) if self.secret.is_none() => {
                Step::Ask(Question::Field(Field::SecretAccessKey))
            }
            (Phase::Creating { .. }, Some(_)) => Step::Create,
        }
    }

    /// Returns whether the bucket is on a server other than AWS's.
    pub fn is_on_server(&self) -> bool {
        self.known(Field::EndpointUrl).is_some()
    }

    /// Returns whether the field is asked for: other servers have neither KMS keys nor AWS accounts.
    fn applies(&self, field: Field) -> bool {
        !(matches!(field, Field::KmsKeyArn | Field::ExpectedBucketOwner) && self.is_on_server())
    }

    fn looks_up_bucket(&self) -> bool {
        let is_open = !self.state.answers.contains_key(&Field::BucketName);
        self.caller.is_some() && is_open && !self.state.asks_for_details
    }

    fn next_of_created(&self) -> Step {
        match &self.stage {
            Stage::Unknown => Step::Get,
            Stage::Apply if self.state.may_apply => Step::Apply,
            Stage::Apply => Step::Ask(Question::Apply),
            Stage::Policies(detail) => Step::ShowPolicies(*detail),
            Stage::Ready => Step::Ask(Question::Ready),
            Stage::Test => Step::Test,
            Stage::Failed => Step::Ask(Question::Failed),
            Stage::Changing { open, changes } => match open.first() {
                Some(field) => Step::Ask(Question::Field(*field)),
                None => Step::Update(changes.clone()),
            },
            Stage::Succeeded if self.caller.is_some() => Step::Export,
            Stage::Succeeded | Stage::Exported => Step::Finish,
        }
    }

    /// Takes an answer.
    pub fn answer(&mut self, question: Question, text: &str, now: Timestamp) -> Result<Continuation, String> {
        let text = text.trim();
        match (question, text.to_lowercase().as_str()) {
            (Question::Kind, _) => self.state.kind = Some(parse_kind(text).ok_or("Answer role or access-key.")?),
            (Question::Field(field), _) => self.answer_field(field, text)?,
            // The caller looks it up.
            (Question::Bucket, _) => return Err("Choose a bucket.".to_owned()),
            (Question::Confirm, "" | "y" | "yes") => {
                self.state.answers.entry(Field::StartFrom).or_insert_with(|| Some(START.to_owned()));
                self.state.may_apply = self.can_apply();
                self.state.phase = Phase::Creating { since: now };
            }
            (Question::Confirm, "n" | "no") => self.ask_again(),
            (Question::Confirm, _) => return Err("Answer yes, or no to go through the questions again.".to_owned()),
            (Question::Apply, "" | "y" | "yes") => self.state.may_apply = true,
            (Question::Apply, "n" | "no") => self.stage = Stage::Policies(Detail::Command),
            (Question::Apply, _) => return Err("Answer yes or no.".to_owned()),
            (Question::Ready | Question::Failed, "quit" | "q") => return Ok(Continuation::Quit),
            (Question::Failed, "" | "retry" | "r" | "test" | "t") if self.state.may_apply && self.can_apply() => {
                self.stage = Stage::Apply;
            }
            (Question::Ready | Question::Failed, "" | "test" | "t")
            | (Question::Ready, "done" | "d" | "yes" | "y")
            | (Question::Failed, "retry" | "r") => self.stage = Stage::Test,
            (Question::Ready, _) => return Err("Press Enter, or enter quit.".to_owned()),
            (Question::Failed, "change" | "c") => self.begin_change(),
            (Question::Failed, "policies" | "p") => self.stage = Stage::Policies(Detail::Everything),
            (Question::Failed, _) => return Err("Answer retry, change, policies or quit.".to_owned()),
        }
        Ok(Continuation::Continue)
    }

    /// Takes a bucket of the account or a new one. It decides all but the interval and, if it is not known, the Region.
    pub fn choose_bucket(&mut self, bucket: &Bucket) -> Result<(), String> {
        let Some(caller) = &self.caller else { return Ok(()) };
        let account = caller.account.to_string();
        let role = format!("arn:{}:iam::{account}:role/{}", caller.partition, self.new_role_name());
        let earlier = self.state.answers.clone();
        let fields = [
            (Field::BucketName, bucket.name.clone()),
            (Field::BucketPath, DEFAULT_BUCKET_PATH.to_owned()),
            (Field::Region, bucket.region.as_ref().map(ToString::to_string).unwrap_or_default()),
            (Field::KmsKeyArn, bucket.kms_key_arn.clone().unwrap_or_default()),
            (Field::ExpectedBucketOwner, if bucket.is_own { account } else { String::new() }),
            (Field::RoleArn, role),
        ];
        for (field, value) in fields {
            // An unknown Region is asked for.
            if field == Field::Region && value.is_empty() {
                continue;
            }
            if let Err(reason) = self.answer_field(field, &value) {
                self.state.answers = earlier;
                return Err(reason);
            }
        }
        self.state.new_bucket = bucket.is_new.then(|| bucket.name.clone());
        Ok(())
    }

    fn new_role_name(&self) -> String {
        let suffix: String = self.state.idempotency_key.chars().take(ROLE_SUFFIX_LENGTH).collect();
        format!("{DEFAULT_ROLE_NAME}-{suffix}")
    }

    fn answer_field(&mut self, field: Field, text: &str) -> Result<(), String> {
        let value = Some(self.complete(field, text)).filter(|value| !value.is_empty());
        let mut answers = self.known_answers();
        let mut secret = self.secret.clone();
        if field == Field::SecretAccessKey {
            secret = value.clone().map(Secret::new);
        } else {
            answers.insert(field, value.clone());
        }
        let errors = self.errors(&answers, secret.as_ref());
        let is_in_aws = answers.get(&Field::EndpointUrl).is_none_or(Option::is_none);
        let region = value.as_deref().filter(|_| field == Field::Region && is_in_aws);
        if let Some(error) = errors.iter().find(|error| error.field == field.name()) {
            let near = region.and_then(near_region);
            return Err(hinted(&format!("{} ({})", error.message, error.code.name()), near));
        }
        if let Some(reason) = region.and_then(misspelled_region) {
            return Err(reason);
        }
        if field == Field::SecretAccessKey {
            self.secret = secret;
        }
        match &mut self.stage {
            Stage::Changing { open, changes } => {
                open.retain(|other| *other != field);
                // Even if it is the same as before.
                changes.insert(field, value.filter(|_| field != Field::SecretAccessKey));
            }
            _ if field != Field::SecretAccessKey => {
                self.state.answers.insert(field, value);
            }
            _ => {}
        }
        Ok(())
    }

    /// Completes short forms of an answer.
    fn complete(&self, field: Field, text: &str) -> String {
        match field {
            Field::Interval => {
                let hours = text.trim_end_matches(|character: char| character.is_alphabetic() || character == ' ');
                let is_number = !hours.is_empty() && hours.bytes().all(|byte| byte.is_ascii_digit());
                if is_number { format!("EVERY_{hours}_HOURS") } else { text.to_uppercase() }
            }
            Field::RoleArn if AccountId::parse(text).is_ok() => {
                format!("arn:{}:iam::{text}:role/{DEFAULT_ROLE_NAME}", self.service.partition)
            }
            // Copied from a URL.
            Field::BucketName => text.strip_prefix("s3://").unwrap_or(text).trim_end_matches('/').to_owned(),
            _ => text.to_owned(),
        }
    }

    /// Checks the answers with the rules of the service.
    fn errors(&self, answers: &Answers, secret: Option<&Secret>) -> Vec<FieldError> {
        let kind = self.state.kind.unwrap_or(Kind::AssumedRole);
        let State { filter, ocsf, .. } = &self.state;
        file::errors(kind, &self.service, filter.as_ref(), ocsf.as_ref(), |field| match field {
            Field::SecretAccessKey => secret.map(Secret::expose),
            Field::IdempotencyKey => Some(&self.state.idempotency_key),
            _ => answers.get(&field)?.as_deref(),
        })
    }

    /// Takes all answers from a file.
    pub fn answer_all(&mut self, file: &ConfigurationFile, kind: Kind, now: Timestamp) -> Result<(), Problems> {
        let State { url, tenant, idempotency_key, .. } = self.state.clone();
        let mut wizard = Self::new(State::new(url, tenant, idempotency_key), self.service.clone());
        wizard.state.kind = Some(kind);
        (wizard.state.filter, wizard.state.ocsf) = (file.filter().cloned(), file.ocsf().cloned());
        let mut problems = Vec::new();
        // An interrupted setup of an earlier version has no answer for these.
        let given = [Field::Format].into_iter().filter(|field| file.text(*field).is_some());
        // The format comes first: it decides which paths are valid.
        for field in given.chain(questions(kind)).chain([Field::Description, Field::StartFrom]) {
            let text = file.text(field).unwrap_or_default();
            if let Err(problem) = wizard.answer_field(field, text) {
                problems.push(format!("{}: {problem}", field.name()));
            }
        }
        let errors = wizard.errors(&wizard.state.answers, None);
        let not_asked = [Field::Filter, Field::Ocsf];
        let of_these =
            errors.iter().filter(|error| not_asked.iter().any(|field| error.field.starts_with(field.name())));
        problems.extend(of_these.map(|error| format!("{}: {} ({})", error.field, error.message, error.code.name())));
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        if self.state.phase == Phase::Asking {
            wizard.state.phase = Phase::Creating { since: now };
            self.state = wizard.state;
            return Ok(());
        }
        let known = |state: &State| {
            let answers: Answers = state.answers.clone().into_iter().filter(|(_, value)| value.is_some()).collect();
            (state.kind, state.filter.clone(), state.ocsf.clone(), answers)
        };
        if known(&self.state) == known(&wizard.state) {
            Ok(())
        } else {
            Err(Problems::one(
                "the answers differ from those of the unfinished setup; change an existing configuration with config \
                 update, or start another setup with --restart",
            ))
        }
    }

    /// Asks all questions again, with the answers so far as suggestions.
    fn ask_again(&mut self) {
        self.state.suggestions = std::mem::take(&mut self.state.answers);
        // It is not asked for, like the filter and the choices of OCSF, which have to suit it.
        self.state.answers.extend(self.state.suggestions.remove_entry(&Field::Format));
        self.state.asks_for_details = true;
    }

    fn begin_change(&mut self) {
        let code = self.configuration.as_ref().and_then(error_code);
        let mut open = to_change(code, self.state.kind, self.is_on_server());
        open.retain(|field| self.applies(*field));
        if open.contains(&Field::Region) && self.known(Field::KmsKeyArn).is_some() {
            // The key must be in the bucket's region.
            open.push(Field::KmsKeyArn);
        }
        self.secret = None;
        self.stage = Stage::Changing { open, changes: Answers::new() };
    }

    /// Returns the fields of the configuration or, before it exists, the answers.
    fn known_answers(&self) -> Answers {
        let Some(configuration) = &self.configuration else { return self.state.answers.clone() };
        let endpoint = &configuration.endpoint_configuration;
        let text = |text: &Option<Text>| text.as_ref().map(ToString::to_string);
        let mut answers = Answers::from([
            (Field::Interval, Some(configuration.interval.to_string())),
            (Field::BucketName, Some(endpoint.bucket_name.to_string())),
            (Field::BucketPath, text(&endpoint.bucket_path)),
            (Field::Region, Some(endpoint.region.to_string())),
            (Field::EndpointUrl, text(&endpoint.endpoint_url)),
            (Field::KmsKeyArn, text(&endpoint.kms_key_arn)),
            (Field::ExpectedBucketOwner, text(&endpoint.expected_bucket_owner)),
            (Field::RoleArn, text(&endpoint.role_arn)),
            (Field::AccessKeyId, text(&endpoint.access_key_id)),
        ]);
        if let Stage::Changing { changes, .. } = &self.stage {
            answers.extend(changes.clone());
        }
        answers
    }

    pub fn known(&self, field: Field) -> Option<String> {
        self.known_answers().remove(&field).flatten()
    }

    /// Returns the suggested answer.
    pub fn suggestion(&self, field: Field) -> Option<String> {
        if matches!(self.stage, Stage::Changing { .. }) {
            return self.known(field);
        }
        let earlier = self.state.suggestions.get(&field).cloned().flatten();
        if field != Field::Interval {
            return earlier;
        }
        let hours = |name: &str| name.strip_prefix("EVERY_")?.strip_suffix("_HOURS").map(ToOwned::to_owned);
        hours(earlier.as_deref().unwrap_or(ExportInterval::Every24Hours.name()))
    }

    /// Returns the input that creates the configuration.
    pub fn creation(&self) -> ConfigurationFile {
        let mut file = self.input(&self.state.answers);
        file.set(Field::IdempotencyKey, Value::text(&self.state.idempotency_key));
        if let Some(filter) = &self.state.filter {
            file.set(Field::Filter, Value::Filter(filter.clone()));
        }
        if let Some(choices) = &self.state.ocsf {
            file.set(Field::Ocsf, Value::Ocsf(choices.clone()));
        }
        file
    }

    /// Returns the answers and the secret as input of a request.
    pub fn input(&self, answers: &Answers) -> ConfigurationFile {
        let mut file = ConfigurationFile::default();
        for (field, value) in answers {
            file.set(*field, value.as_deref().map_or(Value::Null, Value::text));
        }
        if let Some(secret) = &self.secret {
            file.set(Field::SecretAccessKey, Value::Text(secret.clone()));
        }
        file
    }

    /// Asks for the answers again after the service refused to create the configuration.
    pub fn refused(&mut self, idempotency_key: String) {
        self.state.idempotency_key = idempotency_key;
        self.state.phase = Phase::Asking;
        self.secret = None;
        self.ask_again();
    }

    /// Continues with the unchanged configuration after a refused change.
    pub fn update_refused(&mut self) {
        self.secret = None;
        self.stage = Stage::Failed;
    }

    /// Gets the configuration again after another person changed it.
    pub fn get_again(&mut self) {
        self.secret = None;
        self.stage = Stage::Unknown;
    }

    /// Takes the current configuration.
    pub fn seen(&mut self, configuration: Configuration, source: Source) {
        if source == Source::Created {
            self.state.phase = Phase::Created { id: configuration.id.to_string() };
        }
        self.state.kind = Kind::of_type(&configuration.kind).or(self.state.kind);
        // The secret is no longer needed.
        self.secret = None;
        let status = configuration.connection_status.clone();
        let code = error_code(&configuration);
        self.configuration = Some(configuration);
        self.stage = match (&*status, code) {
            ("SUCCESS", _) => Stage::Succeeded,
            // Policies can't fix it.
            ("FAILED", Some(code)) if !is_fixed_by_policies(code) => Stage::Failed,
            ("FAILED", _) if source == Source::Tested && self.policies_are_shown => Stage::Failed,
            _ if source == Source::Tested && self.policies_are_shown => Stage::Ready,
            _ if self.can_apply() => Stage::Apply,
            _ => Stage::Policies(Detail::Command),
        };
    }

    /// Continues after the resources were created.
    pub fn applied(&mut self) {
        self.policies_are_shown = true;
        self.stage = Stage::Test;
    }

    /// Asks what to do after the resources could not be created.
    pub fn apply_refused(&mut self) {
        self.stage = Stage::Failed;
    }

    pub fn exported(&mut self) {
        self.stage = Stage::Exported;
    }

    pub fn policies_shown(&mut self) {
        self.policies_are_shown = true;
        self.stage = Stage::Ready;
    }

    pub fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_ref()
    }
}

/// Returns the fields of a kind, in the order of the questions, without the secret. The server precedes what depends on it.
pub fn questions(kind: Kind) -> Vec<Field> {
    use Field::{
        AccessKeyId, BucketName, BucketPath, EndpointUrl, ExpectedBucketOwner, Interval, KmsKeyArn, Region, RoleArn,
    };
    let destination = [Interval, BucketName, BucketPath, Region, KmsKeyArn, ExpectedBucketOwner];
    match kind {
        Kind::AssumedRole => [&destination[..], &[RoleArn]].concat(),
        Kind::AccessKey => [&[EndpointUrl], &destination[..], &[AccessKeyId]].concat(),
    }
}

/// Returns the fields of the configuration that can cause an error of the connection test.
fn to_change(code: Option<Code>, kind: Option<Kind>, is_on_server: bool) -> Vec<Field> {
    let identity: &[Field] = match kind {
        Some(Kind::AccessKey) => &[Field::AccessKeyId, Field::SecretAccessKey],
        Some(Kind::AssumedRole) | None => &[Field::RoleArn],
    };
    let server: &[Field] = if is_on_server { &[Field::EndpointUrl] } else { &[] };
    let bucket = [Field::BucketName, Field::BucketPath, Field::Region, Field::ExpectedBucketOwner];
    let destination = [server, &bucket].concat();
    match code {
        Some(
            Code::RoleNotAssumable
            | Code::TrustPolicyTooOpen
            | Code::AccessKeyUnknown
            | Code::SecretAccessKeyWrong
            | Code::StsRefused,
        ) => identity.to_vec(),
        Some(Code::BucketNotFound | Code::BucketInAnotherRegion) => vec![Field::BucketName, Field::Region],
        Some(Code::EndpointUnreachable) if is_on_server => server.to_vec(),
        Some(Code::RegionDisabled | Code::EndpointUnreachable) => vec![Field::Region],
        Some(Code::EndpointNotPublic | Code::ConditionalWritesMissing | Code::ChecksumsMissing) => {
            vec![Field::EndpointUrl]
        }
        Some(Code::KmsDenied | Code::KmsKeyUnusable | Code::KmsRefused) => vec![Field::KmsKeyArn],
        Some(Code::WriteDenied | Code::BucketRefused) => destination,
        None => destination.into_iter().chain([Field::KmsKeyArn]).chain(identity.iter().copied()).collect(),
    }
}

/// Returns whether a failed test may succeed without a change, because a change in IAM takes a while to take effect.
pub fn may_be_early(configuration: &Configuration) -> bool {
    &*configuration.connection_status == "FAILED" && error_code(configuration).is_some_and(is_fixed_by_policies)
}

/// Returns whether the customer's policies can cause an error of the connection test.
fn is_fixed_by_policies(code: Code) -> bool {
    match code {
        Code::RoleNotAssumable | Code::TrustPolicyTooOpen | Code::WriteDenied | Code::KmsDenied => true,
        Code::AccessKeyUnknown
        | Code::SecretAccessKeyWrong
        | Code::BucketNotFound
        | Code::BucketInAnotherRegion
        | Code::RegionDisabled
        | Code::EndpointUnreachable
        | Code::EndpointNotPublic
        | Code::ConditionalWritesMissing
        | Code::ChecksumsMissing
        | Code::KmsKeyUnusable
        | Code::StsRefused
        | Code::BucketRefused
        | Code::KmsRefused => false,
    }
}

fn error_code(configuration: &Configuration) -> Option<Code> {
    let error = configuration.connection_error.as_ref()?;
    Code::ALL.iter().copied().find(|code| code.name() == &*error.code)
}

fn parse_kind(text: &str) -> Option<Kind> {
    match text.to_lowercase().replace(['_', ' '], "-").as_str() {
        "" | "role" | "r" | "assumed-role" => Some(Kind::AssumedRole),
        "access-key" | "key" | "k" | "a" => Some(Kind::AccessKey),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
