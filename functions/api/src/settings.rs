//! The function's settings.

use std::time::Duration;

use domain::configuration::{
    ServiceIdentity,
    arn::AccountId,
    region::{Partition, Region},
};
use runtime::{environment::Environment, token::TokenSettings};

/// Settings of the api function.
#[derive(Clone, Debug)]
pub struct Settings {
    pub configurations_table: String,
    pub secret_key_arn: String,
    pub verifier_function: String,
    pub run_queue_url: String,
    pub settle: Duration,
    pub identity: ServiceIdentity,
    pub introspection: bool,
    pub token: TokenSettings,
}

impl Settings {
    /// `None` if something is missing or bad; `environment` has noted what.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let mode = environment.deployment_mode();
        let configurations_table = environment.text("CONFIGURATIONS_TABLE");
        let secret_key_arn = environment.text("SECRET_KEY_ARN");
        let verifier_function = environment.text("VERIFIER_FUNCTION");
        let run_queue_url = environment.text("RUN_QUEUE_URL");
        let settle = environment.integer("SETTLE_SECONDS", 1..=86_400).map(Duration::from_secs);
        let account = environment.parsed("SERVICE_ACCOUNT_ID", "an AWS account id", |text| AccountId::parse(text).ok());
        let partition = environment.parsed("SERVICE_PARTITION", "a partition of AWS", Partition::parse);
        // Set by Lambda.
        let region = environment.parsed("AWS_REGION", "an AWS region", |text| Region::parse(text).ok());
        let introspection = environment.choice("INTROSPECTION", &[("enabled", true), ("disabled", false)]);
        let token = mode.and_then(|mode| TokenSettings::from_environment(environment, mode));
        Some(Self {
            configurations_table: configurations_table?,
            secret_key_arn: secret_key_arn?,
            verifier_function: verifier_function?,
            run_queue_url: run_queue_url?,
            settle: settle?,
            identity: ServiceIdentity { account: account?, partition: partition?, region: region? },
            introspection: introspection?,
            token: token?,
        })
    }
}
