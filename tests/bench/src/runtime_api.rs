//! Lambda's side of a function: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, mpsc as channel},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, runtime::Handle, sync::mpsc};

use crate::{Outcome, failure, stub::Pieces};

/// What a function gets at most; the exporter's slice ends before.
const INVOCATION_TIME: Duration = Duration::from_mins(15);

const NEXT: &str = "/2018-06-01/runtime/invocation/next";

/// What a program made of an invocation.
#[derive(Clone, Debug)]
pub struct Answer {
    pub body: Bytes,
    pub is_error: bool,
    /// When the program was given the invocation, and when it had answered.
    pub taken_at: Instant,
    pub answered_at: Instant,
}

impl Answer {
    pub fn time(&self) -> Duration {
        self.answered_at - self.taken_at
    }

    /// The answer of a function that did not fail.
    pub fn json(&self) -> Outcome<Value> {
        if self.is_error {
            return Err(failure(format!("the function failed: {}", String::from_utf8_lossy(&self.body))));
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// The Runtime API of one process.
#[derive(Debug)]
pub struct RuntimeApi {
    pub address: SocketAddr,
    invocations: mpsc::UnboundedSender<Bytes>,
    answers: channel::Receiver<Answer>,
    polls: channel::Receiver<Instant>,
}

struct Shared {
    invocations: tokio::sync::Mutex<mpsc::UnboundedReceiver<Bytes>>,
    answers: channel::Sender<Answer>,
    polls: channel::Sender<Instant>,
    taken: Mutex<(u64, Instant)>,
    is_closed: tokio::sync::Notify,
}

impl RuntimeApi {
    pub fn start(runtime: &Handle) -> Outcome<Self> {
        let (invocations, receiver) = mpsc::unbounded_channel();
        let (answers, answered) = channel::channel();
        let (polls, polled) = channel::channel();
        let (listening, listens) = channel::channel();
        let shared = Arc::new(Shared {
            invocations: tokio::sync::Mutex::new(receiver),
            answers,
            polls,
            taken: Mutex::new((0, Instant::now())),
            is_closed: tokio::sync::Notify::new(),
        });
        runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await;
            let _ = listening.send(listener.as_ref().ok().and_then(|listener| listener.local_addr().ok()));
            let Ok(listener) = listener else { return };
            loop {
                // The driver is gone: nobody will invoke any more.
                let connection = tokio::select! {
                    connection = listener.accept() => connection,
                    () = shared.is_closed.notified() => return,
                };
                let Ok((connection, _)) = connection else { continue };
                let _ = connection.set_nodelay(true);
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| respond(Arc::clone(&shared), request));
                tokio::spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
                });
            }
        });
        let address = listens.recv()?.ok_or_else(|| failure("the Runtime API can't listen"))?;
        Ok(Self { address, invocations, answers: answered, polls: polled })
    }

    /// When the program asked for its next invocation.
    pub fn polled(&self, within: Duration) -> Outcome<Instant> {
        self.polls.recv_timeout(within).map_err(|_| failure("the program doesn't ask for an invocation"))
    }

    /// Invokes and waits for the answer.
    pub fn invoke(&self, payload: &Bytes, within: Duration) -> Outcome<Answer> {
        self.send(payload)?;
        self.answer(within)
    }

    pub fn send(&self, payload: &Bytes) -> Outcome<()> {
        self.invocations.send(payload.clone()).map_err(|_| failure("the Runtime API has ended"))
    }

    pub fn answer(&self, within: Duration) -> Outcome<Answer> {
        self.answers.recv_timeout(within).map_err(|_| failure(format!("no answer within {within:?}")))
    }
}

async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Pieces>, hyper::Error> {
    if request.method() == Method::GET && request.uri().path() == NEXT {
        let _ = shared.polls.send(Instant::now());
        let Some(payload) = shared.invocations.lock().await.recv().await else {
            shared.is_closed.notify_one();
            return Ok(plain(410, Bytes::new()));
        };
        let number = {
            let mut taken = shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
            *taken = (taken.0 + 1, Instant::now());
            taken.0
        };
        return Ok(invocation(number, payload));
    }
    let is_error = request.uri().path().ends_with("/error");
    let body = request.into_body().collect().await?.to_bytes();
    let taken_at = shared.taken.lock().unwrap_or_else(PoisonError::into_inner).1;
    let _ = shared.answers.send(Answer { body, is_error, taken_at, answered_at: Instant::now() });
    Ok(plain(202, Bytes::from_static(br#"{"status":"OK"}"#)))
}

fn invocation(number: u64, payload: Bytes) -> Response<Pieces> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let response = Response::builder()
        .header("Lambda-Runtime-Aws-Request-Id", format!("00000000-0000-4000-8000-{number:012}"))
        .header("Lambda-Runtime-Deadline-Ms", (now + INVOCATION_TIME).as_millis().to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:111111111111:function:bench")
        .header("Content-Type", "application/json")
        .body(Pieces::new([payload]));
    response.unwrap_or_else(|_| plain(500, Bytes::new()))
}

fn plain(status: u16, body: Bytes) -> Response<Pieces> {
    let mut response = Response::new(Pieces::new([body]));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response
}
