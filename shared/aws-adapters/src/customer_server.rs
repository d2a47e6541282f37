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
use domain::customer_server::{CustomerServers, address::is_public};

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

/// The reason why a server has no address to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the name has no address")]
    NotFound,
    /// Nobody knows whether the name has one: the resolver gave no answer, or could not be asked.
    #[error("the name was not resolved")]
    Unresolved,
    #[error("an address is not public")]
    NotPublic,
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
            addresses(name, found).and_then(|addresses| self.check(name, addresses)).map_err(ResolveDnsError::new)
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

impl CheckedResolver {
    /// Returns the addresses if there are any, and all of them may be connected to. One that may not be makes the name
    /// suspicious: it is not left to chance which address answers.
    fn check(self, name: &str, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, AddressError> {
        let is_local = self.servers.is_local(name);
        let is_allowed = |address: &IpAddr| if is_local { address.is_loopback() } else { is_public(*address) };
        if addresses.is_empty() {
            Err(AddressError::NotFound)
        } else if addresses.iter().all(is_allowed) {
            Ok(addresses)
        } else {
            Err(AddressError::NotPublic)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(servers: CustomerServers, name: &str, addresses: &[&str]) -> Result<usize, AddressError> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        CheckedResolver { servers }.check(name, addresses).map(|checked| checked.len())
    }

    #[test]
    fn every_address_of_a_name_has_to_be_public() {
        let name = "hooks.example.com";
        for servers in [CustomerServers::Public, CustomerServers::PublicAndLocal] {
            assert_eq!(check(servers, name, &["1.1.1.1", "2606:4700::1111"]), Ok(2));
            assert_eq!(check(servers, name, &[]), Err(AddressError::NotFound));
            for bad in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:10.0.0.1", "fd00:ec2::254"] {
                assert_eq!(check(servers, name, &[bad]), Err(AddressError::NotPublic), "{bad}");
                assert_eq!(check(servers, name, &["1.1.1.1", bad]), Err(AddressError::NotPublic), "{bad}");
            }
        }
    }

    #[test]
    fn this_machine_is_for_development_stacks_and_under_one_name() {
        assert_eq!(check(CustomerServers::Public, "localhost", &["127.0.0.1"]), Err(AddressError::NotPublic));
        let local = CustomerServers::PublicAndLocal;
        assert_eq!(check(local, "localhost", &["127.0.0.1", "::1"]), Ok(2));
        assert_eq!(check(local, "localhost", &["127.0.0.1", "10.0.0.1"]), Err(AddressError::NotPublic));
        assert_eq!(check(local, "a.localhost", &["127.0.0.1"]), Err(AddressError::NotPublic));
    }

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
