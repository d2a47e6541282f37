//! The function's settings.

use std::time::Duration;

use authentication::Issuers;
use aws_adapters::signing_keys::MAX_RETIRED_SIGNING_KEYS;
use domain::{
    configuration::{
        ServiceIdentity,
        arn::{AccountId, KmsKeyArn},
        region::{Partition, Region},
    },
    customer_server::CustomerServers,
    customer_template::TemplateUrl,
    interval::ExportSchedule,
};
use function_runtime::{
    client_version::MinimumClientVersion, environment::Environment, local_servers::LocalServers, timing,
};

/// Settings of the api function.
#[derive(Clone, Debug)]
pub struct Settings {
    pub configurations_table: String,
    pub runs_table: String,
    pub events_table: String,
    pub secret_key_arn: String,
    pub signing_key_arn: String,
    pub retired_signing_key_arns: Vec<String>,
    pub verifier_function: String,
    pub notifier_function: String,
    /// The queue of manual runs: those that people request, and those that a repaired connection starts.
    pub manual_run_queue_url: String,
    pub schedule: ExportSchedule,
    /// The time after its receipt in which an event can be exported.
    pub retention: Duration,
    /// The time for which the history of exports is kept.
    pub history: Duration,
    pub identity: ServiceIdentity,
    /// The servers that webhooks may name.
    pub servers: CustomerServers,
    pub customer_template: Option<TemplateUrl>,
    pub introspection: bool,
    pub minimum_client_version: MinimumClientVersion,
    pub issuers: Issuers,
}

impl Settings {
    /// Reads the settings. `None`: a variable is missing or not valid, and `environment` has noted which.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let mode = environment.deployment_mode();
        let configurations_table = environment.text("CONFIGURATIONS_TABLE");
        let runs_table = environment.text("RUNS_TABLE");
        let events_table = environment.text("EVENTS_TABLE");
        let secret_key_arn = environment.text("SECRET_KEY_ARN");
        let signing_key_arn = environment.text("SIGNING_KEY_ARN");
        let retired_signing_key_arns = retired_signing_key_arns(environment);
        let verifier_function = environment.text("VERIFIER_FUNCTION");
        let notifier_function = environment.text("NOTIFIER_FUNCTION");
        let local_servers = LocalServers::read(environment, mode);
        let manual_run_queue_url = environment.text("MANUAL_RUN_QUEUE_URL");
        let schedule = timing::export_schedule(environment, mode);
        let retention = timing::retention(environment);
        let history = timing::history(environment);
        let account = environment.parsed("SERVICE_ACCOUNT_ID", "an AWS account ID", |text| AccountId::parse(text).ok());
        let partition = environment.parsed("SERVICE_PARTITION", "a partition of AWS", Partition::parse);
        // Set by Lambda.
        let region = environment.parsed("AWS_REGION", "an AWS Region", |text| Region::parse(text).ok());
        let customer_template = customer_template(environment);
        let introspection = environment.choice("INTROSPECTION", &[("enabled", true), ("disabled", false)]);
        let minimum_client_version = MinimumClientVersion::from_environment(environment);
        let issuers = mode.and_then(|mode| Issuers::from_environment(environment, mode));
        Some(Self {
            configurations_table: configurations_table?,
            runs_table: runs_table?,
            events_table: events_table?,
            secret_key_arn: secret_key_arn?,
            signing_key_arn: signing_key_arn?,
            retired_signing_key_arns: retired_signing_key_arns?,
            verifier_function: verifier_function?,
            notifier_function: notifier_function?,
            manual_run_queue_url: manual_run_queue_url?,
            schedule: schedule?,
            retention: retention?,
            history: history?,
            servers: local_servers?.servers(),
            identity: ServiceIdentity { account: account?, partition: partition?, region: region? },
            customer_template: customer_template?,
            introspection: introspection?,
            minimum_client_version: minimum_client_version?,
            issuers: issuers?,
        })
    }
}

/// Reads `CUSTOMER_TEMPLATE_URL`. `Some(None)`: the operator has not published the template.
#[expect(clippy::option_option, reason = "as for every variable, the outer `None` is one that is not valid")]
fn customer_template(environment: &mut Environment) -> Option<Option<TemplateUrl>> {
    let name = "CUSTOMER_TEMPLATE_URL";
    if environment.is_set(name) {
        environment.parsed(name, "the HTTPS URL of an object in S3", TemplateUrl::parse).map(Some)
    } else {
        Some(None)
    }
}

/// Reads `RETIRED_SIGNING_KEY_ARNS`. Each ARN is checked, because operators write the list by hand, and an error would show
/// only when a customer verifies an export.
fn retired_signing_key_arns(environment: &mut Environment) -> Option<Vec<String>> {
    let name = "RETIRED_SIGNING_KEY_ARNS";
    if !environment.is_set(name) {
        return Some(Vec::new());
    }
    environment.parsed(name, &format!("at most {MAX_RETIRED_SIGNING_KEYS} ARNs of keys, separated by commas"), |text| {
        let arns: Vec<&str> = text.split(',').map(str::trim).collect();
        let is_good = arns.len() <= MAX_RETIRED_SIGNING_KEYS && arns.iter().all(|arn| KmsKeyArn::parse(arn).is_ok());
        is_good.then(|| arns.into_iter().map(ToOwned::to_owned).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: [(&str, &str); 19] = [
        ("DEPLOYMENT_MODE", "production"),
        ("CONFIGURATIONS_TABLE", "Configurations"),
        ("RUNS_TABLE", "Runs"),
        ("EVENTS_TABLE", "Events"),
        ("SECRET_KEY_ARN", "arn:aws:kms:us-east-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
        ("SIGNING_KEY_ARN", "arn:aws:kms:us-east-1:111111111111:key/2345abcd-12ab-34cd-56ef-1234567890ab"),
        ("VERIFIER_FUNCTION", "verifier"),
        ("NOTIFIER_FUNCTION", "notifier"),
        ("MANUAL_RUN_QUEUE_URL", "https://sqs/queue"),
        ("SETTLE_SECONDS", "1200"),
        ("RETENTION_DAYS", "90"),
        ("HISTORY_DAYS", "400"),
        ("SERVICE_ACCOUNT_ID", "111111111111"),
        ("SERVICE_PARTITION", "aws"),
        ("AWS_REGION", "us-east-1"),
        ("INTROSPECTION", "disabled"),
        ("MINIMUM_CLI_VERSION", "0.1.0"),
        ("TOKEN_ISSUER", "https://issuer"),
        ("TOKEN_AUDIENCE", "audit-export"),
    ];
    const JWKS_URL: (&str, &str) = ("TOKEN_JWKS_URL", "https://issuer/keys");

    #[test]
    fn all_variables_are_read() {
        let mut environment = Environment::from_map(VARIABLES.into_iter().chain([JWKS_URL]));
        let settings = Settings::read(&mut environment);
        let settings = environment.finish(settings).unwrap();
        assert_eq!((settings.schedule.settle, settings.introspection), (Duration::from_mins(20), false));
        assert!(settings.retired_signing_key_arns.is_empty());
    }

    #[test]
    fn the_customers_template_may_be_unpublished() {
        let read = |text: &str| {
            let mut environment = Environment::from_map([("CUSTOMER_TEMPLATE_URL", text)]);
            let template = customer_template(&mut environment);
            environment.finish(template)
        };
        let url = "https://templates.s3.eu-west-1.amazonaws.com/audit-export.yaml";
        assert_eq!(read(""), Ok(None));
        assert_eq!(read(url), Ok(TemplateUrl::parse(url)));
        assert!(read("https://example.com/audit-export.yaml").is_err());
    }

    #[test]
    fn retired_keys_are_named_by_their_arns() {
        let read = |text: &str| {
            let mut environment = Environment::from_map([("RETIRED_SIGNING_KEY_ARNS", text)]);
            let arns = retired_signing_key_arns(&mut environment);
            environment.finish(arns)
        };
        let arn =
            |number: usize| format!("arn:aws:kms:us-east-1:111111111111:key/1234abcd-12ab-34cd-56ef-{number:012}");
        let arns = |count: usize| (0..count).map(arn).collect::<Vec<_>>();
        assert_eq!(read(""), Ok(Vec::new()));
        assert_eq!(read(&arns(2).join(", ")), Ok(arns(2)));
        assert_eq!(read(&arns(MAX_RETIRED_SIGNING_KEYS).join(",")), Ok(arns(MAX_RETIRED_SIGNING_KEYS)));
        for bad in [arns(MAX_RETIRED_SIGNING_KEYS + 1).join(","), format!("{},", arn(1)), "alias/digests".to_owned()] {
            let error = read(&bad).unwrap_err();
            assert_eq!(error.problems().next().unwrap().0, "RETIRED_SIGNING_KEY_ARNS", "{bad}");
        }
    }

    #[test]
    fn every_missing_variable_is_named() {
        let mut environment = Environment::from_map([("DEPLOYMENT_MODE", "production")]);
        let settings = Settings::read(&mut environment);
        let error = environment.finish(settings).unwrap_err();
        let missing: Vec<&str> = error.problems().map(|(name, _)| name).collect();
        let mut expected: Vec<&str> = VARIABLES.into_iter().skip(1).map(|(name, _)| name).collect();
        expected.sort_unstable();
        assert_eq!(missing, expected);
    }
}
