//! Client of the verifier function, which tests connections.

use std::time::Duration;

use aws_sdk_lambda::Client;
use domain::{
    configuration::ConfigurationKey,
    connection::Connection,
    connection_test::{Candidate, ConnectionTestOutcome, ConnectionTestRequest},
};
use export_engine::ports::PortError;

use crate::function_client::FunctionClient;

/// The time limit of an invocation: the 22 s of the verifier and the way there and back. The api function has 27 s, so that
/// time is left before and after.
pub const INVOCATION_TIMEOUT: Duration = Duration::from_secs(23);

/// Invokes the verifier.
#[derive(Clone, Debug)]
pub struct VerifierClient(FunctionClient);

impl VerifierClient {
    /// Takes over what [`FunctionClient::new`] does.
    #[must_use]
    pub fn new(client: &Client, function_name: String) -> Self {
        Self(FunctionClient::new(client, function_name, INVOCATION_TIMEOUT))
    }

    /// Tests the connection of a stored configuration. The verifier stores the outcome itself. `None`: it found no such
    /// configuration.
    ///
    /// # Errors
    /// Transient if the verifier failed or took too long: nothing is known then. Internal if it may not be invoked, or
    /// its answer isn't understood.
    pub async fn test(&self, key: &ConfigurationKey) -> Result<Option<Connection>, PortError> {
        let response: Option<ConnectionTestOutcome> =
            self.0.invoke(&ConnectionTestRequest::Stored(key.clone())).await?;
        Ok(response.map(Connection::from))
    }

    /// Tests what a configuration would become. Nothing is stored, here or there. `None`: the configuration was changed
    /// or deleted meanwhile.
    ///
    /// # Errors
    /// As [`VerifierClient::test`].
    pub async fn try_out(&self, candidate: Candidate) -> Result<Option<ConnectionTestOutcome>, PortError> {
        self.0.invoke(&ConnectionTestRequest::Candidate { candidate: Box::new(candidate) }).await
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_lambda::{
        config::retry::{RetryConfig, RetryMode},
        operation::invoke::InvokeOutput,
        primitives::Blob,
        types::InvocationType,
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use domain::{
        configuration::{
            ConfigurationId, Destination, Layout,
            access_key::{AccessKeyId, SealedSecret},
            bucket::BucketName,
            region::Region,
        },
        connection::{ConnectionErrorCode, ConnectionStatus},
        connection_test::CandidateIdentity,
        tenant::TenantId,
    };
    use export_engine::ports::ErrorKind;
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";

    fn key() -> ConfigurationKey {
        ConfigurationKey {
            tenant_id: TenantId::parse("acme").unwrap(),
            configuration_id: ConfigurationId::parse(ID).unwrap(),
        }
    }

    /// A client that would repeat what fails.
    fn persistent_client(rule: &Rule) -> Client {
        mock_client!(aws_sdk_lambda, RuleMode::MatchAny, [rule], |configuration| configuration
            .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1))))
    }

    fn verifier(rule: &Rule) -> VerifierClient {
        VerifierClient::new(&persistent_client(rule), "verifier".to_owned())
    }

    fn answering(payload: &Value) -> Rule {
        let payload = payload.to_string();
        mock!(Client::invoke)
            .then_output(move || InvokeOutput::builder().status_code(200).payload(Blob::new(payload.as_str())).build())
    }

    #[tokio::test]
    async fn the_verifier_gets_tenant_and_configuration_and_nothing_else() {
        let rule = mock!(Client::invoke)
            .match_requests(|request| {
                let payload: Value = serde_json::from_slice(request.payload().unwrap().as_ref()).unwrap();
                request.function_name() == Some("verifier")
                    && request.invocation_type() == Some(&InvocationType::RequestResponse)
                    && payload == json!({"tenantId": "acme", "configurationId": ID})
            })
            .then_output(|| InvokeOutput::builder().payload(Blob::new("null")).build());
        assert_eq!(verifier(&rule).test(&key()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_candidate_is_sent_with_its_sealed_secret_alone() {
        let candidate = Candidate {
            key: key(),
            version: 7,
            destination: Destination {
                bucket_name: BucketName::parse("acme-audit").unwrap(),
                bucket_path: None,
                site: Region::parse("eu-west-1").unwrap().into(),
                kms_key_arn: None,
                expected_bucket_owner: None,
                layout: Layout::default(),
            },
            identity: CandidateIdentity::AccessKey {
                access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
                sealed_secret: SealedSecret::from_ciphertext(b"sealed".to_vec()),
            },
        };
        let expected = json!({"candidate": {"tenantId": "acme", "configurationId": ID, "version": 7,
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "sealedSecret": "c2VhbGVk", "destination": {
                "bucketName": "acme-audit", "bucketPath": null, "region": "eu-west-1", "kmsKeyArn": null,
                "expectedBucketOwner": null}}});
        let rule = mock!(Client::invoke)
            .match_requests(move |request| {
                serde_json::from_slice::<Value>(request.payload().unwrap().as_ref()).unwrap() == expected
            })
            .then_output(|| {
                let at = "2026-11-22T00:00:00.000Z";
                let user = "arn:aws:iam::222222222222:user/export";
                let answer = json!({"connectionStatus": "SUCCESS", "connectionCheckedAt": at, "connectionError": null,
                    "userArn": user});
                InvokeOutput::builder().payload(Blob::new(answer.to_string())).build()
            });
        let outcome = verifier(&rule).try_out(candidate).await.unwrap().unwrap();
        let ConnectionTestOutcome::Success { user_arn: Some(user), .. } = outcome else { unreachable!() };
        assert_eq!(user.as_str(), "arn:aws:iam::222222222222:user/export");
    }

    #[tokio::test]
    async fn outcomes_are_understood() {
        let at = "2026-11-22T00:00:00.000Z";
        let success = json!({"connectionStatus": "SUCCESS", "connectionCheckedAt": at, "connectionError": null});
        let connection = verifier(&answering(&success)).test(&key()).await.unwrap().unwrap();
        assert_eq!(connection.status(), ConnectionStatus::Success);

        let error = json!({"code": "WRITE_DENIED", "message": "Allow it."});
        let failed = json!({"connectionStatus": "FAILED", "connectionCheckedAt": at, "connectionError": error});
        let connection = verifier(&answering(&failed)).test(&key()).await.unwrap().unwrap();
        assert_eq!(connection.error().unwrap().code, ConnectionErrorCode::WriteDenied);

        for nonsense in [json!({}), json!("SUCCESS"), json!({"connectionStatus": "PENDING", "connectionCheckedAt": at})]
        {
            let error = verifier(&answering(&nonsense)).test(&key()).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Internal);
        }
    }

    #[tokio::test]
    async fn a_function_that_failed_says_nothing_of_the_customer() {
        let rule = mock!(Client::invoke).then_output(|| {
            let payload = json!({"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out"}).to_string();
            InvokeOutput::builder().function_error("Unhandled").payload(Blob::new(payload)).build()
        });
        let error = verifier(&rule).test(&key()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient);
        assert_eq!(error.detail, "the function failed (Unhandled): Sandbox.Timedout: Task timed out");
    }

    #[tokio::test]
    async fn an_invocation_is_never_repeated() {
        let failing = || {
            mock!(Client::invoke)
                .sequence()
                .http_response(|| HttpResponse::new(StatusCode::try_from(500).unwrap(), "{}".into()))
                .repeatedly()
                .build()
        };
        let rule = failing();
        assert_eq!(verifier(&rule).test(&key()).await.unwrap_err().kind, ErrorKind::Transient);
        assert_eq!(rule.num_calls(), 1);

        let rule = failing();
        let answer = persistent_client(&rule).invoke().function_name("verifier").send().await;
        assert!(answer.is_err());
        assert_eq!(rule.num_calls(), 3, "the client that it was made from repeats");
    }

    #[test]
    fn an_invocation_ends_before_its_caller_does() {
        let verifier = verifier(&answering(&Value::Null));
        let configuration = verifier.0.configuration();
        let timeouts = configuration.timeout_config().unwrap();
        assert_eq!(timeouts.operation_timeout(), Some(INVOCATION_TIMEOUT));
        assert_eq!(timeouts.operation_attempt_timeout(), None);
        assert_eq!(configuration.retry_config().unwrap().max_attempts(), 1);
        assert_eq!(configuration.retry_config().unwrap().mode(), RetryMode::Standard);
        assert!((Duration::from_secs(22)..Duration::from_secs(25)).contains(&INVOCATION_TIMEOUT));
    }
}
