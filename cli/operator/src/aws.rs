//! The ports over AWS.

mod answer;
mod cloudwatch;
mod inspection;
mod invocations;
mod queues;
mod stacks;
mod stores;

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::ProvideCredentials;
use host::Machine;

use self::{
    answer::{ATTEMPT_TIMEOUT, CONNECT_TIMEOUT},
    cloudwatch::CloudWatch,
};
use crate::{failure::Failure, stack::ConnectionArguments};

/// Attempts of a request, including the first.
const MAX_ATTEMPTS: u32 = 3;

/// AWS, with the operator's credentials.
#[derive(Clone, Debug)]
pub struct Aws {
    cloudformation: aws_sdk_cloudformation::Client,
    cloudwatch: CloudWatch<Machine>,
    dynamodb: aws_sdk_dynamodb::Client,
    kms: aws_sdk_kms::Client,
    lambda: aws_sdk_lambda::Client,
    s3: aws_sdk_s3::Client,
    scheduler: aws_sdk_scheduler::Client,
    sqs: aws_sdk_sqs::Client,
}

impl Aws {
    /// Finds credentials, Region and endpoint like the AWS CLI.
    ///
    /// # Errors
    /// No credentials, or no Region.
    pub async fn connect(arguments: &ConnectionArguments) -> Result<Self, Failure> {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .timeout_config(timeouts.build());
        if let Some(region) = &arguments.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &arguments.profile {
            loader = loader.profile_name(profile);
        }
        let configuration = loader.load().await;
        if configuration.region().is_none() {
            let reason = "is required, or set AWS_REGION".to_owned();
            return Err(Failure::InvalidArgument { what: "--region", reason });
        }
        // Reports missing credentials more clearly than the first request would.
        if let Some(provider) = configuration.credentials_provider() {
            provider.provide_credentials().await.map_err(|error| {
                let hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; with single sign-on, \
                    `eval \"$(aws configure export-credentials --format env)\"` sets them";
                Failure::Credentials(format!("no AWS credentials were found: {error}\n  {hint}"))
            })?;
        }
        Ok(Self::new(&configuration, CloudWatch::new(&configuration, Machine)?))
    }

    fn new(configuration: &SdkConfig, cloudwatch: CloudWatch<Machine>) -> Self {
        // Other endpoints rarely have a host name for each bucket.
        let has_own_endpoint = configuration.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(configuration).force_path_style(has_own_endpoint).build();
        Self {
            cloudformation: aws_sdk_cloudformation::Client::new(configuration),
            cloudwatch,
            dynamodb: aws_sdk_dynamodb::Client::new(configuration),
            kms: aws_sdk_kms::Client::new(configuration),
            lambda: aws_sdk_lambda::Client::new(configuration),
            s3: aws_sdk_s3::Client::from_conf(s3),
            scheduler: aws_sdk_scheduler::Client::new(configuration),
            sqs: aws_sdk_sqs::Client::new(configuration),
        }
    }
}

#[cfg(test)]
mod tests;
