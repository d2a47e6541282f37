//! A GET request to a server of any operator, over the HTTP client of the AWS SDK.

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::{
    client::{http::HttpConnector, orchestrator::HttpRequest, result::ConnectorError},
    http::HttpError,
};
use aws_smithy_types::{
    body::SdkBody,
    byte_stream::{self, ByteStream},
};
use url::Url;

/// The reason why a document was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    #[error("the address is invalid")]
    Address(#[source] HttpError),
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
/// A function has one HTTP client, the one that it calls AWS with, but here it trusts the system's certificates: the
/// server can belong to anybody. The client lives for one request: a connection would not survive until the next one,
/// least of all through a frozen function, and reading the certificates takes milliseconds that a start need not wait
/// for.
///
/// # Errors
/// [`GetError`]: the response is not a 200 or is longer than `max_length_bytes`.
pub async fn get(address: &Url, max_length_bytes: usize) -> Result<Vec<u8>, GetError> {
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(address.as_str()).map_err(GetError::Address)?;
    request.headers_mut().insert("accept", "*/*");
    let client = Connector::builder().tls_provider(Provider::rustls(CryptoMode::AwsLc)).build();
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
        let error = get(&Url::parse(&endpoint).unwrap(), 1_024).await.err();
        assert!(matches!(error, Some(GetError::Request(_))), "{error:?}");
        assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    }
}
