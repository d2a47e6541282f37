//! A local server that answers one request, for tests with answers that are not the service's.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use reqwest::Url;
use zeroize::Zeroizing;

use crate::{access::Access, secret::Token};

/// The longest time that a test or its server waits.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes.
const MAX_REQUEST_LENGTH: usize = 1_024 * 1_024;

pub struct TestServer {
    pub url: Url,
    requests: Receiver<String>,
}

impl TestServer {
    /// Answers the first request with exactly `answer`, and closes the connection.
    pub fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::start(answer.into(), Duration::ZERO)
    }

    /// Accepts the first request, and sends nothing for `duration`.
    pub fn silent_for(duration: Duration) -> Self {
        Self::start(Vec::new(), duration)
    }

    fn start(answer: Vec<u8>, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            let Some(mut connection) = accept(&listener) else { return };
            let request = read_request(&mut connection);
            // The test may have ended.
            let _ = sender.send(request);
            thread::sleep(pause);
            let _ = connection.write_all(&answer);
        });
        Self { url, requests }
    }

    pub fn access(&self) -> Access {
        access(self.url.as_str())
    }

    /// Returns the request that was answered, head and body.
    pub fn request(&self) -> String {
        self.requests.recv_timeout(PATIENCE).unwrap()
    }
}

pub fn access(url: &str) -> Access {
    let token = Token::parse(&Zeroizing::new("the-token".to_owned())).unwrap();
    Access { url: Url::parse(url).unwrap(), token }
}

/// Formats an HTTP response with a body.
pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

fn accept(listener: &TcpListener) -> Option<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok((connection, _)) = listener.accept() {
            connection.set_nonblocking(false).ok()?;
            connection.set_read_timeout(Some(PATIENCE)).ok()?;
            return Some(connection);
        }
        thread::sleep(Duration::from_millis(1));
    }
    None
}

fn read_request(connection: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut chunk = [0; 4_096];
    while request.len() < MAX_REQUEST_LENGTH {
        let Ok(length @ 1..) = connection.read(&mut chunk) else { break };
        request.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            // Anything but HTTP, such as a TLS handshake, is answered at once.
            if !text.starts_with("POST ") {
                break;
            }
            continue;
        };
        let expected = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .and_then(|length| length.parse::<usize>().ok())
            .unwrap_or(0);
        if body.len() >= expected {
            break;
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}
