//! The configuration that all AWS clients of a function share.

mod connections;

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::HttpClientError;

use self::connections::{Roots, SharedConnections};

/// The most attempts of one AWS operation, including the first. Clients that must not repeat an operation (the
/// verifier's invocation, ingest's stamped writes) set their own limit.
pub const MAX_OPERATION_ATTEMPTS: u32 = 3;

/// The timeout of one attempt of an AWS operation. The longest operation, a page of 1 MB, takes well under a second.
/// Clients with longer operations (parts of an object, the verifier) set their own timeout.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the configuration of AWS clients: Region, credentials and endpoint from the environment that Lambda sets.
///
/// It is cheap at cold start: it makes no request and reads no file. The SDK's default chains would also look for
/// profiles, containers and an instance metadata service, which Lambda does not have. Credentials are read at the first
/// call.
///
/// # Errors
/// The SDK refuses the trusted roots: `connections`.
pub fn aws_configuration() -> Result<SdkConfig, HttpClientError> {
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let roots = Roots::choose(region.as_deref(), |name| variable(name).is_some());
    let mut configuration = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(SharedConnections::new(roots.trust_store())?)
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .identity_cache(IdentityCache::lazy().build())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_OPERATION_ATTEMPTS));
    configuration.set_region(region.map(Region::new));
    configuration.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
    configuration.set_use_fips(flag("AWS_USE_FIPS_ENDPOINT"));
    configuration.set_use_dual_stack(flag("AWS_USE_DUALSTACK_ENDPOINT"));
    Ok(configuration.build())
}

/// Reads a flag like the SDK: `true` or `false`, in any case.
fn flag(name: &str) -> Option<bool> {
    variable(name).map(|value| value.eq_ignore_ascii_case("true"))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
