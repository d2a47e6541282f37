//! A GET request to a server of any operator, over the HTTP client of the AWS SDK.

use std::net::IpAddr;

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::{
    client::{
        dns::{DnsFuture, ResolveDns, ResolveDnsError},
        http::HttpConnector,
        orchestrator::HttpRequest,
        result::ConnectorError,
    },
    http::HttpError,
};
use aws_smithy_types::{
    body::SdkBody,
    byte_stream::{self, ByteStream},
};
use domain::customer_server::{AddressError, CustomerServers};
use url::{Host, Url};

/// The reason why a document was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    #[error("the address is invalid")]
    Address(#[source] HttpError),
    #[error("the server is not public")]
    NotPublic(#[source] AddressError),
    #[error("the request failed")]
    Request(#[source] ConnectorError),
    #[error("the response broke off")]
    Response(#[source] byte_stream::error::Error),
    #[error("status {0} instead of 200")]
    Status(u16),
    #[error("longer than {0} bytes")]
    TooLong(usize),
}

/// Fetches a document without a proxy and without following redirects. The caller sets a timeout.
///
/// The server of an `https` address must have public addresses alone: a customer's issuer may name any server. An `http` address
/// exists in development only, where the server is on the same machine.
///
/// A function has one HTTP client, the one that it calls AWS with, but here it trusts the system's certificates: the
/// server can belong to anybody. The client lives for one request: a connection would not survive until the next one,
/// least of all through a frozen function, and reading the certificates takes milliseconds that a start need not wait
/// for.
///
/// # Errors
/// [`GetError`]: the response is not a 200 or is longer than `max_length_bytes`.
pub async fn get(address: &Url, max_length_bytes: usize) -> Result<Vec<u8>, GetError> {
    let client = Connector::builder().tls_provider(Provider::rustls(CryptoMode::AwsLc));
    if address.scheme() == "http" {
        return get_over(&client.build(), address, max_length_bytes).await;
    }
    // The client resolves names only.
    let literal = match address.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) | None => None,
    };
    if let Some(literal) = literal {
        CustomerServers::Public.checked("", vec![literal]).map_err(GetError::NotPublic)?;
    }
    get_over(&client.build_with_resolver(PublicResolver), address, max_length_bytes).await
}

/// A resolver that returns public addresses only.
#[derive(Clone, Copy, Debug)]
struct PublicResolver;

impl ResolveDns for PublicResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            // A failed lookup says nothing about the name: its cause is passed on.
            let found = tokio::net::lookup_host((name, 0)).await.map_err(ResolveDnsError::new)?;
            let addresses = found.map(|address| address.ip()).collect();
            CustomerServers::Public.checked(name, addresses).map_err(ResolveDnsError::new)
        })
    }
}

async fn get_over(client: &Connector, address: &Url, max_length_bytes: usize) -> Result<Vec<u8>, GetError> {
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(address.as_str()).map_err(GetError::Address)?;
    request.headers_mut().insert("accept", "*/*");
    let response = client.call(request).await.map_err(GetError::Request)?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(GetError::Status(status));
    }
    let mut body = ByteStream::new(response.into_body());
    let mut document = Vec::new();
    while let Some(chunk) = body.try_next().await.map_err(GetError::Response)? {
        if document.len() + chunk.len() > max_length_bytes {
            return Err(GetError::TooLong(max_length_bytes));
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::untrusted_server;

    #[tokio::test]
    async fn an_issuer_that_nobody_vouches_for_is_not_asked() {
        let (endpoint, _) = untrusted_server::start().await;
        let client = Connector::builder().tls_provider(Provider::rustls(CryptoMode::AwsLc)).build();
        let error = get_over(&client, &Url::parse(&endpoint).unwrap(), 1_024).await.err();
        assert!(matches!(error, Some(GetError::Request(_))), "{error:?}");
        assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    }

    #[tokio::test]
    async fn the_cause_of_a_failed_lookup_is_kept() {
        let error = get(&Url::parse("https://issuer.invalid/keys").unwrap(), 1_024).await.unwrap_err();
        assert!(format!("{error:?}").contains("failed to lookup address information"), "{error:?}");
    }

    #[tokio::test]
    async fn no_connection_is_opened_to_a_server_that_is_not_public() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in
            ["localhost", "127.0.0.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"]
        {
            let error = get(&Url::parse(&format!("https://{host}:{port}/keys")).unwrap(), 1_024).await.unwrap_err();
            assert!(format!("{error:?}").contains("NotPublic"), "{host}: {error:?}");
        }
        let accepted = tokio::time::timeout(std::time::Duration::from_millis(50), listener.accept()).await;
        assert!(accepted.is_err(), "a connection was opened");
    }
}
