//! Lambda's side of a function: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, mpsc as channel},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use host::{Clock, Machine};
use http_body_util::BodyExt;
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use serde_json::Value;
use tokio::{runtime::Handle, sync::mpsc};

use crate::server::{Pieces, Server};

/// The deadline of an invocation; the exporter's slice ends before.
const INVOCATION_TIME: Duration = Duration::from_mins(15);

const NEXT: &str = "/2018-06-01/runtime/invocation/next";

/// A function's response to an invocation.
#[derive(Clone, Debug)]
pub struct Invoked {
    body: Bytes,
    is_error: bool,
    /// From the handover of the invocation to the response.
    pub time: Duration,
}

impl Invoked {
    /// Returns the response of a function that did not fail.
    pub fn json(&self) -> Result<Value> {
        ensure!(!self.is_error, "the function failed: {}", String::from_utf8_lossy(&self.body));
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// The Runtime API of one process.
#[derive(Debug)]
pub struct RuntimeApi {
    server: Server,
    invocations: mpsc::UnboundedSender<Bytes>,
    responses: channel::Receiver<Invoked>,
    polls: channel::Receiver<Instant>,
}

struct Shared {
    invocations: tokio::sync::Mutex<mpsc::UnboundedReceiver<Bytes>>,
    responses: channel::Sender<Invoked>,
    polls: channel::Sender<Instant>,
    /// The number of the current invocation and the time of its handover.
    current: Mutex<(u64, Instant)>,
}

impl RuntimeApi {
    pub fn start(runtime: &Handle) -> Result<Self> {
        let (invocations, receiver) = mpsc::unbounded_channel();
        let (response_sender, responses) = channel::channel();
        let (poll_sender, polls) = channel::channel();
        let shared = Arc::new(Shared {
            invocations: tokio::sync::Mutex::new(receiver),
            responses: response_sender,
            polls: poll_sender,
            current: Mutex::new((0, Instant::now())),
        });
        let server = Server::start(runtime, move |request| respond(Arc::clone(&shared), request))?;
        Ok(Self { server, invocations, responses, polls })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Waits until the program asks for its next invocation, and returns that time.
    pub fn polled(&self, within: Duration) -> Result<Instant> {
        self.polls.recv_timeout(within).context("the program does not ask for an invocation")
    }

    /// Invokes the function and waits for its response.
    pub fn invoke(&self, payload: &Bytes, within: Duration) -> Result<Invoked> {
        self.invocations.send(payload.clone()).context("the Runtime API has ended")?;
        self.responses.recv_timeout(within).with_context(|| format!("no response within {within:?}"))
    }
}

async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Pieces>, hyper::Error> {
    if request.method() == Method::GET && request.uri().path() == NEXT {
        let _ = shared.polls.send(Instant::now());
        let Some(payload) = shared.invocations.lock().await.recv().await else {
            return Ok(plain(StatusCode::GONE, Bytes::new()));
        };
        let number = {
            let mut current = shared.current.lock().unwrap_or_else(PoisonError::into_inner);
            *current = (current.0 + 1, Instant::now());
            current.0
        };
        return Ok(invocation(number, payload));
    }
    let is_error = request.uri().path().ends_with("/error");
    let body = request.into_body().collect().await?.to_bytes();
    let time = shared.current.lock().unwrap_or_else(PoisonError::into_inner).1.elapsed();
    let _ = shared.responses.send(Invoked { body, is_error, time });
    Ok(plain(StatusCode::ACCEPTED, Bytes::from_static(br#"{"status":"OK"}"#)))
}

fn invocation(number: u64, payload: Bytes) -> Response<Pieces> {
    let response = Response::builder()
        .header("Lambda-Runtime-Aws-Request-Id", format!("00000000-0000-4000-8000-{number:012}"))
        .header("Lambda-Runtime-Deadline-Ms", Machine.now().saturating_add(INVOCATION_TIME).as_millis().to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:111111111111:function:bench")
        .header("Content-Type", "application/json")
        .body(Pieces::new([payload]));
    response.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()))
}

fn plain(status: StatusCode, body: Bytes) -> Response<Pieces> {
    let mut response = Response::new(Pieces::new([body]));
    *response.status_mut() = status;
    response
}
