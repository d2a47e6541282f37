//! The arguments of commands for one export configuration or job.

use clap::Args;
use domain::configuration::ConfigurationId;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{api::Operation, failure::Failure, output::Style, service::ServiceArguments};

/// An export configuration at the service.
#[derive(Debug, Args)]
pub struct Target {
    /// The configuration's ID
    #[arg(value_name = "ID", value_parser = parse_id)]
    pub id: ConfigurationId,

    #[command(flatten)]
    pub service: ServiceArguments,
}

/// An export job at the service.
#[derive(Debug, Args)]
pub struct JobTarget {
    /// The job's ID, as `config jobs` lists it
    #[arg(value_name = "JOB-ID", value_parser = parse_job_id)]
    pub id: String,

    #[command(flatten)]
    pub service: ServiceArguments,
}

impl Target {
    pub fn variables(&self) -> Value {
        json!({ "id": self.id.to_string() })
    }

    /// Sends the operation for this configuration, and prints the answer.
    pub async fn show<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        render: impl FnOnce(&T, &Style) -> String,
    ) -> Result<(), Failure> {
        self.service.show(operation, &self.variables(), render).await
    }
}

impl JobTarget {
    pub fn variables(&self) -> Value {
        json!({ "id": self.id })
    }

    /// Returns the ID of the job's configuration.
    pub fn configuration_id(&self) -> &str {
        self.id.rsplit_once('.').map_or(&*self.id, |(configuration, _)| configuration)
    }
}

pub fn parse_id(text: &str) -> Result<ConfigurationId, &'static str> {
    ConfigurationId::parse(text).ok_or(
        "an ID is a UUID in lower case, for example 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b; see: audit-export config list",
    )
}

fn parse_job_id(text: &str) -> Result<String, &'static str> {
    let is_job = text.rsplit_once('.').is_some_and(|(configuration, sequence)| {
        ConfigurationId::parse(configuration).is_some()
            && !sequence.is_empty()
            && sequence.bytes().all(|byte| byte.is_ascii_digit())
    });
    if is_job {
        Ok(text.to_owned())
    } else {
        Err("a job's ID is the configuration's ID, a full stop and a number; see: audit-export config jobs ID")
    }
}
