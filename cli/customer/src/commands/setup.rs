//! `setup`: guides a person to a working export. [`wizard`] has the rules; [`session`] asks, calls the service and writes files.

mod account;
mod arguments;
mod dialogue;
mod documents;
mod first_file;
mod folder;
mod questions;
mod session;
mod stack;
mod state_file;
mod texts;
mod wizard;

use std::path::Path;

use domain::configuration::{
    ServiceIdentity,
    arn::AccountId,
    region::{Partition, Region},
};
use host::{Clock, Random};
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use terminal::text::Text;

pub use self::arguments::SetupArguments;
use self::{
    account::Caller,
    dialogue::{Dialogue, left},
    questions::Prompt,
    session::Setup,
    wizard::{State, Wizard},
};
use super::{
    config::{
        create,
        file::{ConfigurationFile, Kind, Purpose},
    },
    profile::{keep, parse_name},
};
use crate::{
    access::{Access, AccessArguments, UNKNOWN_SERVICE, read_token},
    api::{GRAPHQL_PATH, endpoint, operations},
    aws_cli::{Aws, AwsCli},
    failure::{Diagnosis, Failure},
    output::Style,
    profile::{self, Profile},
    service::Service,
    spinner::spinning,
};

/// Attempts for one answer before the wizard runs.
const MAX_ATTEMPTS: usize = 100;

const DEFAULT_PROFILE: &str = "default";

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
    setup.run().await
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
    match spinning(account::ASKING_AWS, account::identify(aws, given.as_deref(), service)).await {
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

#[cfg(test)]
mod tests {
    use domain::time::Timestamp;
    use host::Machine;

    use super::*;

    const URL: &str = "https://example.com/v1";

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
