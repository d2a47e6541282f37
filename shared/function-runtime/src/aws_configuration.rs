//! One configuration that all AWS clients of a function share.

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

/// Attempts of one AWS operation, the first included. Clients for which a repeat is wrong (the verifier's invocation,
/// ingest's stamped writes) set their own.
pub const MAX_OPERATION_ATTEMPTS: u32 = 3;

/// One attempt of an AWS operation. The longest, a page of 1 MB, takes well under a second; clients that wait longer for a
/// reason (parts of an object, the verifier) set their own.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The configuration of AWS clients: region, credentials and endpoint from the environment that Lambda sets.
///
/// Cheap at cold start: no request is made and no file is read. The default chains would go on to look for profiles,
/// containers and an instance metadata service, none of which Lambda has; this looks at the environment alone, for
/// credentials at the first call.
///
/// # Errors
/// If the SDK refuses whom we trust: [`connections`].
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

/// As the SDK reads it: `true` or `false`, in any case.
fn flag(name: &str) -> Option<bool> {
    variable(name).map(|value| value.eq_ignore_ascii_case("true"))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
