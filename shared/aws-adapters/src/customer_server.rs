//! Connections to servers of customers. A connection is made to an address that was checked here, and to no other one.

use std::{error::Error, io, net::IpAddr};

use aws_smithy_http_client::{
    Builder, Connector, HttpClientError,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    connector_metadata::ConnectorMetadata,
    dns::{DnsFuture, ResolveDns, ResolveDnsError},
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
pub use domain::customer_server::AddressError;
use domain::customer_server::CustomerServers;

/// The most bytes of a server's response to the SDK. A write is answered with a few headers or a short error document.
const MAX_RESPONSE_LENGTH: usize = 64 * 1_024;

/// The source of clients for servers of customers. None of them uses a proxy or follows a redirect.
#[derive(Clone, Debug)]
pub struct ServerConnections {
    resolver: CheckedResolver,
    tls: TlsContext,
}

impl ServerConnections {
    /// Prepares TLS. Servers can belong to anybody, so the system's certificates are trusted, and those in `certificates`
    /// (PEM).
    ///
    /// # Errors
    /// `certificates` has none.
    pub fn new(servers: CustomerServers, certificates: Option<Vec<u8>>) -> Result<Self, HttpClientError> {
        let mut trusted = TrustStore::default();
        if let Some(certificates) = certificates {
            trusted.add_pem_certificate(certificates);
        }
        let tls = TlsContext::builder().with_trust_store(trusted).build()?;
        Ok(Self { resolver: CheckedResolver { servers }, tls })
    }

    /// Returns a connector that makes a new connection for each request.
    #[must_use]
    pub fn connector_without_pool(&self) -> Connector {
        Connector::builder()
            .proxy_config(ProxyConfig::disabled())
            .pool_max_idle_per_host(0)
            .tls_provider(Provider::rustls(CryptoMode::AwsLc))
            .tls_context(self.tls.clone())
            .build_with_resolver(self.resolver)
    }

    /// Returns a client for the SDK, which keeps its connections and reads short responses only. It uses no proxy: the builder takes
    /// none, and `no_proxy_gets_a_request_to_a_server` tests that it reads none from the environment.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        let client = Builder::new()
            .tls_provider(Provider::rustls(CryptoMode::AwsLc))
            .tls_context(self.tls.clone())
            .build_with_resolver(self.resolver);
        bounded(client)
    }
}

/// Bounds the responses of a client.
pub(crate) fn bounded(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(BoundedClient(client))
}

/// A client whose responses have at most [`MAX_RESPONSE_LENGTH`] bytes, so that a server can't exhaust the memory.
#[derive(Debug)]
struct BoundedClient(SharedHttpClient);

impl HttpClient for BoundedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(BoundedConnector(self.0.http_connector(settings, components)))
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

#[derive(Debug)]
struct BoundedConnector(SharedHttpConnector);

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let response = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut response = response.await?;
            let mut body = ByteStream::new(response.take_body());
            let mut bytes = Vec::new();
            while let Some(chunk) = body.try_next().await.map_err(|error| ConnectorError::io(error.into()))? {
                if bytes.len() + chunk.len() > MAX_RESPONSE_LENGTH {
                    return Err(ConnectorError::io("the response is too long".into()));
                }
                bytes.extend_from_slice(&chunk);
            }
            *response.body_mut() = SdkBody::from(bytes);
            Ok(response)
        })
    }
}

/// Returns the first cause of this type. An I/O error names the error that it holds by `get_ref` only.
#[must_use]
pub fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match held {
        Some(held) => cause(held),
        None => cause(error.source()?),
    }
}

/// A resolver that returns public addresses only, and loopback addresses of `localhost` in a development stack.
#[derive(Clone, Copy, Debug)]
struct CheckedResolver {
    servers: CustomerServers,
}

impl ResolveDns for CheckedResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = tokio::net::lookup_host((name, 0)).await;
            let found = found.map(|addresses| addresses.map(|address| address.ip()).collect());
            addresses(name, found)
                .and_then(|addresses| self.servers.checked(name, addresses))
                .map_err(ResolveDnsError::new)
        })
    }
}

/// What the C library says of a name that does not exist or has no address: the texts of `EAI_NONAME` and `EAI_NODATA` in
/// glibc, and of both in musl. `std` has the text only; any other one, such as that of `EAI_AGAIN`, says nothing about the name.
const NO_SUCH_NAME: [&str; 4] = [
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
    "Name has no usable address",
];

/// Returns the addresses that a lookup has found. A failure of the lookup is not the owner's: its cause is logged here.
fn addresses(name: &str, found: io::Result<Vec<IpAddr>>) -> Result<Vec<IpAddr>, AddressError> {
    found.map_err(|error| {
        let text = error.to_string();
        if NO_SUCH_NAME.iter().any(|known| text.contains(known)) {
            return AddressError::NotFound;
        }
        tracing::warn!(host = name, %error, "a name was not resolved");
        AddressError::Unresolved
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_lookup_says_nothing_about_the_name() {
        let lookup = |error: io::Error| addresses("hooks.example.com", Err(error));
        for text in NO_SUCH_NAME {
            let error = io::Error::other(format!("failed to lookup address information: {text}"));
            assert_eq!(lookup(error), Err(AddressError::NotFound), "{text}");
        }
        for text in ["Temporary failure in name resolution", "Non-recoverable failure in name resolution", "Try again"]
        {
            let error = io::Error::other(format!("failed to lookup address information: {text}"));
            assert_eq!(lookup(error), Err(AddressError::Unresolved), "{text}");
        }
        // `EAI_SYSTEM`: too many open files.
        assert_eq!(lookup(io::Error::from_raw_os_error(24)), Err(AddressError::Unresolved));
        assert_eq!(addresses("hooks.example.com", Ok(Vec::new())), Ok(Vec::new()));
    }

    #[tokio::test]
    async fn names_are_resolved_and_then_checked() {
        let resolve = async |servers| {
            let resolver = CheckedResolver { servers };
            resolver.resolve_dns("localhost").await.is_ok()
        };
        assert!(resolve(CustomerServers::PublicAndLocal).await);
        assert!(!resolve(CustomerServers::Public).await);
    }
}
