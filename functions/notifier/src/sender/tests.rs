use std::{path::PathBuf, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use function_runtime::environment::{DeploymentMode, Environment};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A receiver on this machine, with the file of its certificate and the requests that it got.
struct Receiver {
    url: WebhookUrl,
    certificate: tempfile::NamedTempFile,
    requests: mpsc::UnboundedReceiver<String>,
}

/// Starts a receiver that answers every request with `response`. `None`: it never answers.
async fn receiver(response: Option<&'static str>) -> Receiver {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let configuration = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(configuration));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/hooks?a=b", listener.local_addr().unwrap().port());
    let (sender, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let Ok(mut connection) = acceptor.accept(connection).await else { continue };
            let mut request = String::new();
            while !request.ends_with("{\"version\":1}") {
                let mut bytes = [0; 1_024];
                let read = connection.read(&mut bytes).await.unwrap();
                request.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
            }
            sender.send(request).unwrap();
            match response {
                Some(response) => {
                    connection.write_all(response.as_bytes()).await.unwrap();
                    // A client may close first.
                    let _ = connection.shutdown().await;
                }
                None => std::future::pending().await,
            }
        }
    });
    let certificate = tempfile::NamedTempFile::new().unwrap();
    let pem = STANDARD.encode(issued.cert.der());
    std::fs::write(&certificate, format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n")).unwrap();
    Receiver { url: WebhookUrl::parse_for(CustomerServers::PublicAndLocal, &url).unwrap(), certificate, requests }
}

fn sender(certificate: Option<PathBuf>) -> Sender {
    let path = certificate.map(|path| path.into_os_string().into_string().unwrap()).unwrap_or_default();
    let mut environment = Environment::from_map([("DEVELOPMENT_CA_FILE", path.as_str())]);
    let local = LocalServers::read(&mut environment, Some(DeploymentMode::Development)).unwrap();
    Sender::new(&local).unwrap()
}

fn headers() -> SignedHeaders {
    [
        ("webhook-id", "notice-1".to_owned()),
        ("webhook-timestamp", "1".to_owned()),
        ("webhook-signature", "v1,a".to_owned()),
    ]
}

async fn post(sender: &Sender, url: &WebhookUrl) -> Result<u16, WebhookFailure> {
    let body = WebhookBody::new("{\"version\":1}".to_owned()).unwrap();
    sender.post(url, &headers(), &body).await
}

#[tokio::test]
async fn a_receiver_gets_one_signed_json_document() {
    let mut receiver = receiver(Some("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let sender = sender(Some(receiver.certificate.path().to_owned()));
    assert_eq!(post(&sender, &receiver.url).await, Ok(204));
    let request = receiver.requests.recv().await.unwrap();
    assert!(request.starts_with("POST /hooks?a=b HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"version\":1}"), "{request}");
    let request = request.to_lowercase();
    for line in [
        "webhook-id: notice-1",
        "webhook-timestamp: 1",
        "webhook-signature: v1,a",
        "content-type: application/json",
        "content-length: 13",
        "user-agent: audit-export/",
        &format!("host: localhost:{}", receiver.url.port()),
    ] {
        assert!(request.contains(&format!("\r\n{line}")), "{line}: {request}");
    }
}

#[tokio::test]
async fn every_other_answer_has_its_code_and_no_redirect_is_followed() {
    for (response, code, status) in [
        (
            "HTTP/1.1 302 Found\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n",
            WebhookFailureCode::WebhookRedirected,
            302,
        ),
        ("HTTP/1.1 307 X\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", WebhookFailureCode::WebhookRedirected, 307),
        ("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", WebhookFailureCode::WebhookGone, 410),
        ("HTTP/1.1 401 X\r\nContent-Length: 2\r\n\r\nno", WebhookFailureCode::WebhookRefused, 401),
        // The connection ends before the body.
        ("HTTP/1.1 500 X\r\nContent-Length: 99999\r\n\r\nx", WebhookFailureCode::WebhookServerError, 500),
    ] {
        let mut receiver = receiver(Some(response)).await;
        let sender = sender(Some(receiver.certificate.path().to_owned()));
        let failure = WebhookFailure { code, status: Some(status) };
        assert_eq!(post(&sender, &receiver.url).await, Err(failure), "{response}");
        receiver.requests.recv().await.unwrap();
        assert!(receiver.requests.try_recv().is_err(), "a second request after {response}");
    }
}

#[tokio::test]
async fn a_receiver_has_a_limited_time() {
    let receiver = receiver(None).await;
    let timeout = Duration::from_millis(500);
    let sender = Sender { timeout, ..sender(Some(receiver.certificate.path().to_owned())) };
    let started = std::time::Instant::now();
    let failure = post(&sender, &receiver.url).await.unwrap_err();
    assert_eq!(failure, WebhookFailure::without_response(WebhookFailureCode::WebhookTimedOut));
    assert!(started.elapsed() >= timeout);
}

#[tokio::test]
async fn no_notice_is_sent_to_a_receiver_that_nobody_vouches_for() {
    let mut receiver = receiver(Some("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = tempfile::NamedTempFile::new().unwrap();
    let pem = STANDARD.encode(other.cert.der());
    std::fs::write(&certificate, format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n")).unwrap();
    let failure = post(&sender(Some(certificate.path().to_owned())), &receiver.url).await.unwrap_err();
    assert_eq!(failure, WebhookFailure::without_response(WebhookFailureCode::WebhookTlsFailed));
    assert!(receiver.requests.try_recv().is_err());
}

#[tokio::test]
async fn a_production_stack_connects_to_no_receiver_on_its_machine() {
    let mut receiver = receiver(Some("HTTP/1.1 204 No Content\r\n\r\n")).await;
    // Refused by its URL.
    let failure = post(&sender(None), &receiver.url).await.unwrap_err();
    assert_eq!(failure, WebhookFailure::without_response(WebhookFailureCode::WebhookAddressNotPublic));
    // Refused by its address, when nothing but the resolver knows the rule.
    let careless = Sender { servers: CustomerServers::PublicAndLocal, ..sender(None) };
    let failure = post(&careless, &receiver.url).await.unwrap_err();
    assert_eq!(failure, WebhookFailure::without_response(WebhookFailureCode::WebhookAddressNotPublic));
    assert!(receiver.requests.try_recv().is_err());
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_named() {
    let receiver = receiver(None).await;
    let sender = sender(Some(receiver.certificate.path().to_owned()));
    // Port 1 of this machine is closed.
    let closed = WebhookUrl::parse_for(CustomerServers::PublicAndLocal, "https://localhost:1/").unwrap();
    let failure = post(&sender, &closed).await.unwrap_err();
    assert_eq!(failure, WebhookFailure::without_response(WebhookFailureCode::WebhookUnreachable));
}

#[test]
fn a_name_without_an_address_is_not_one_that_was_not_resolved() {
    for (error, expected) in [
        (AddressError::NotFound, WebhookFailureCode::WebhookHostNotFound),
        (AddressError::Unresolved, WebhookFailureCode::WebhookUnreachable),
        (AddressError::NotPublic, WebhookFailureCode::WebhookAddressNotPublic),
    ] {
        assert_eq!(classify(&ConnectorError::io(error.into())), expected);
    }
}
