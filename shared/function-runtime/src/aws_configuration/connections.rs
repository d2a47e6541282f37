//! Connections to AWS: one pool for all clients, and the trusted roots.

use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, HttpClientError};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use domain::configuration::region::{Partition, Region};

/// All roots of Amazon Trust Services, as its repository recommends for custom trust stores:
/// <https://www.amazontrust.com/repository/>. They sign for every endpoint of AWS's commercial partition:
/// docs/adr/amazons-roots-for-aws.md.
const AMAZON_ROOTS: &[u8] = include_bytes!("connections/amazon_roots.pem");

/// The OpenSSL variables that an operator can set to use other roots.
const CUSTOM_ROOTS: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The roots that may sign for AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    Amazon,
    /// The system's roots, or those that [`CUSTOM_ROOTS`] name.
    System,
}

impl Roots {
    /// Chooses the roots for a function in `region`. `is_set` returns whether an environment variable is set.
    pub(super) fn choose(region: Option<&str>, is_set: impl Fn(&str) -> bool) -> Self {
        let region = region.and_then(|region| Region::parse(region).ok());
        // AWS does not document which roots sign in other partitions.
        if region.is_some_and(|region| region.partition() == Partition::Commercial)
            && !CUSTOM_ROOTS.into_iter().any(is_set)
        {
            Self::Amazon
        } else {
            Self::System
        }
    }

    pub(super) fn trust_store(self) -> TrustStore {
        match self {
            Self::Amazon => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
            Self::System => TrustStore::default(),
        }
    }
}

/// The connections that all AWS clients of a process share.
///
/// The SDK's HTTP client prepares TLS when each AWS client is created, to find errors early, and again at the first
/// call of each. This one does not forward that early validation, so that TLS is prepared only once, at the first call
/// of any client.
#[derive(Debug)]
pub(super) struct SharedConnections(SharedHttpClient);

impl SharedConnections {
    pub(super) fn new(trust_store: TrustStore) -> Result<Self, HttpClientError> {
        let context = TlsContext::builder().with_trust_store(trust_store).build()?;
        let provider = Provider::rustls(CryptoMode::AwsLc);
        Ok(Self(Builder::new().tls_provider(provider).tls_context(context).build_https()))
    }
}

impl HttpClient for SharedConnections {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

#[cfg(test)]
mod tests {
    use aws_config::retry::RetryConfig;
    use aws_config::{BehaviorVersion, Region as SdkRegion};
    use aws_lc_rs::digest::{SHA256, digest};
    use aws_sdk_sts::config::Credentials;
    use aws_sdk_sts::error::SdkError;
    use aws_sdk_sts::operation::get_caller_identity::{GetCallerIdentityError, GetCallerIdentityOutput};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;
    use crate::untrusted_server;

    /// The SHA-256 hashes of the subject public key information of all roots, as published on
    /// <https://www.amazontrust.com/repository/>.
    const PUBLISHED: [&str; 5] = [
        "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2",
        "7f4296fc5b6a4e3b35d3c369623e364ab1af381d8fa7121533c9d6c633ea2461",
        "36abc32656acfc645c61b71613c4bf21c787f5cabbee48348d58597803d7abc9",
        "f7ecded5c66047d28ed6466b543c40e0743abe81d109254dcf845d4c2c7853c5",
        "2b071c59a0a0ae76b0eadb2bad23bad4580b69c3601b630c2eaf0613afa83f92",
    ];

    /// Encodes a DER sequence of at most 65,535 bytes.
    fn sequence(content: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
        let mut sequence = match (high, low) {
            (0, 0..128) => vec![0x30, low],
            (0, _) => vec![0x30, 0x81, low],
            _ => vec![0x30, 0x82, high, low],
        };
        sequence.extend_from_slice(content);
        sequence
    }

    #[test]
    fn amazons_roots_are_the_published_ones() {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(AMAZON_ROOTS).map(Result::unwrap).collect();
        let hashes: Vec<String> = certificates
            .iter()
            .map(|certificate| {
                let anchor = webpki::anchor_from_trusted_cert(certificate).unwrap();
                let hash = digest(&SHA256, &sequence(&anchor.subject_public_key_info));
                hash.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
            })
            .collect();
        assert_eq!(hashes, PUBLISHED);
    }

    #[test]
    fn only_amazon_is_trusted_where_amazon_signs_unless_the_operator_says_otherwise() {
        let none = |_: &str| false;
        for region in ["us-east-1", "eu-central-1", "ap-southeast-7"] {
            assert_eq!(Roots::choose(Some(region), none), Roots::Amazon, "{region}");
            for own in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
                assert_eq!(Roots::choose(Some(region), |name| name == own), Roots::System, "{region} {own}");
            }
        }
        for region in [Some("cn-north-1"), Some("us-gov-west-1"), Some("eusc-de-east-1"), Some(""), None] {
            assert_eq!(Roots::choose(region, none), Roots::System, "{region:?}");
        }
    }

    async fn call(
        endpoint: String,
        trust_store: TrustStore,
    ) -> Result<GetCallerIdentityOutput, SdkError<GetCallerIdentityError, HttpResponse>> {
        let configuration = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(SharedConnections::new(trust_store).unwrap())
            .credentials_provider(Credentials::for_tests())
            .region(SdkRegion::new("us-east-1"))
            .endpoint_url(endpoint)
            .retry_config(RetryConfig::disabled())
            .build();
        aws_sdk_sts::Client::from_conf(configuration).get_caller_identity().send().await
    }

    #[tokio::test]
    async fn a_server_without_a_certificate_of_amazon_gets_no_request() {
        let (endpoint, certificate) = untrusted_server::start().await;
        let trusting = TrustStore::empty().with_pem_certificate(certificate);
        let response = call(endpoint.clone(), trusting).await.unwrap_err();
        assert_eq!(response.raw_response().unwrap().status().as_u16(), untrusted_server::STATUS);

        let refusal = call(endpoint, Roots::Amazon.trust_store()).await.unwrap_err();
        assert!(matches!(&refusal, SdkError::DispatchFailure(_)), "{refusal:?}");
        assert!(format!("{refusal:?}").contains("UnknownIssuer"), "{refusal:?}");
    }
}
