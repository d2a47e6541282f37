//! Requests to receivers: one POST over HTTPS, without a proxy and without following redirects.

use std::{error::Error, time::Duration};

use aws_adapters::customer_server::{AddressError, ServerConnections, cause};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::{
    client::{http::HttpConnector, orchestrator::HttpRequest, result::ConnectorError},
    http::HttpError,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use domain::{
    customer_server::CustomerServers,
    webhook::{
        WebhookUrl,
        delivery::WebhookBody,
        failure::{WebhookFailure, WebhookFailureCode},
    },
};
use function_runtime::local_servers::LocalServers;
use tokio::time::{Instant, timeout_at};

use crate::signature::SignedHeaders;

/// The time that a receiver has for everything: from the resolution of its name to the end of its response.
pub(crate) const RECEIVER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a response that are read, so that a receiver can end it in peace. They are not looked at.
const MAX_RESPONSE_LENGTH: usize = 4 * 1024;

const USER_AGENT: &str = concat!("audit-export/", env!("CARGO_PKG_VERSION"));

/// Sends requests to receivers.
#[derive(Debug)]
pub(crate) struct Sender {
    client: Connector,
    servers: CustomerServers,
    /// [`RECEIVER_TIMEOUT`], except in tests.
    timeout: Duration,
}

impl Sender {
    /// Prepares TLS. Connections are not kept: they would not survive a freeze of the function.
    ///
    /// # Errors
    /// The certificates of local servers can't be read.
    pub(crate) fn new(local: &LocalServers) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let servers = local.servers();
        let client = ServerConnections::new(servers, local.certificates()?)?.connector_without_pool();
        Ok(Self { client, servers, timeout: RECEIVER_TIMEOUT })
    }

    /// Sends one request. Returns the status of a receiver that accepted it.
    pub(crate) async fn post(
        &self,
        url: &WebhookUrl,
        headers: &SignedHeaders,
        body: &WebhookBody,
    ) -> Result<u16, WebhookFailure> {
        let without_response = |code| Err(WebhookFailure::without_response(code));
        // The queue's messages are read without the rules of this stack.
        if !url.suits(self.servers) {
            return without_response(WebhookFailureCode::WebhookAddressNotPublic);
        }
        let Ok(request) = request(url, headers, body) else {
            return without_response(WebhookFailureCode::WebhookUnreachable);
        };
        let deadline = Instant::now() + self.timeout;
        let response = match timeout_at(deadline, self.client.call(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return without_response(classify(&error)),
            Err(_) => return without_response(WebhookFailureCode::WebhookTimedOut),
        };
        let status = response.status().as_u16();
        // The status is the answer, whatever becomes of the rest.
        let _ = timeout_at(deadline, skip(ByteStream::new(response.into_body()))).await;
        match WebhookFailureCode::of_status(status) {
            None => Ok(status),
            Some(code) => Err(WebhookFailure { code, status: Some(status) }),
        }
    }
}

fn request(url: &WebhookUrl, headers: &SignedHeaders, body: &WebhookBody) -> Result<HttpRequest, HttpError> {
    let mut request = HttpRequest::new(SdkBody::from(body.as_str()));
    request.set_method("POST")?;
    request.set_uri(url.as_str())?;
    for (name, value) in headers {
        request.headers_mut().try_insert(*name, value.clone())?;
    }
    request.headers_mut().insert("content-type", "application/json");
    request.headers_mut().insert("user-agent", USER_AGENT);
    Ok(request)
}

/// Reads the beginning of a body.
async fn skip(mut body: ByteStream) {
    let mut length = 0;
    while let Ok(Some(chunk)) = body.try_next().await {
        length += chunk.len();
        if length > MAX_RESPONSE_LENGTH {
            break;
        }
    }
}

/// Decides why there was no response, by the error's causes.
fn classify(error: &ConnectorError) -> WebhookFailureCode {
    if let Some(address) = cause::<AddressError>(error) {
        return match address {
            AddressError::NotFound => WebhookFailureCode::WebhookHostNotFound,
            AddressError::Unresolved => WebhookFailureCode::WebhookUnreachable,
            AddressError::NotPublic => WebhookFailureCode::WebhookAddressNotPublic,
        };
    }
    if cause::<rustls::Error>(error).is_some() {
        return WebhookFailureCode::WebhookTlsFailed;
    }
    if error.is_timeout() {
        return WebhookFailureCode::WebhookTimedOut;
    }
    WebhookFailureCode::WebhookUnreachable
}

#[cfg(test)]
mod tests;
