//! One address for two servers: what is meant for `DynamoDB` goes to one, all else to the other. A function is told one
//! endpoint for all services.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode, body::Incoming, client::conn::http1::handshake, header::CONNECTION,
    server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
};

use crate::{Outcome, failure};

/// How every operation of `DynamoDB` begins in `X-Amz-Target`: a version of its API follows.
const DATABASE_TARGET: &str = "DynamoDB_";

/// Where the forwarder sends what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routes {
    pub database: SocketAddr,
    pub others: SocketAddr,
}

impl Routes {
    /// By the request's `X-Amz-Target`, which S3 and STS don't have.
    fn server(&self, target: Option<&str>) -> SocketAddr {
        match target {
            Some(target) if target.starts_with(DATABASE_TARGET) => self.database,
            _ => self.others,
        }
    }
}

/// Listens on loopback until the runtime ends; returns where.
pub fn start(runtime: &Handle, routes: Routes) -> Outcome<SocketAddr> {
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let _ = sender.send(listener.as_ref().ok().and_then(|listener| listener.local_addr().ok()));
        let Ok(listener) = listener else { return };
        loop {
            let Ok((connection, _)) = listener.accept().await else { continue };
            let _ = connection.set_nodelay(true);
            let service = service_fn(move |request| respond(routes, request));
            tokio::spawn(async move {
                // A client that was killed leaves half a connection.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
            });
        }
    });
    receiver.recv()?.ok_or_else(|| failure("the forwarder can't listen"))
}

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

async fn respond(routes: Routes, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    let server = routes.server(target);
    forward(server, request).await.or_else(|_| {
        let mut refusal = Response::new(Empty::new().map_err(|never| match never {}).boxed());
        *refusal.status_mut() = StatusCode::BAD_GATEWAY;
        Ok(refusal)
    })
}

/// Bodies are passed on as they come, in both directions; so is `Host`, which the client has signed.
async fn forward(server: SocketAddr, mut request: Request<Incoming>) -> Outcome<Answer> {
    let connection = TcpStream::connect(server).await?;
    connection.set_nodelay(true)?;
    // One for each request: a server ends connections as it likes, and what goes on here isn't measured.
    let (mut sender, connection) = handshake(TokioIo::new(connection)).await?;
    tokio::spawn(connection);
    request.headers_mut().remove(CONNECTION);
    let mut response = sender.send_request(request).await?;
    response.headers_mut().remove(CONNECTION);
    Ok(response.map(BodyExt::boxed))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::Full;
    use hyper::header::HOST;

    use super::*;

    #[test]
    fn only_operations_of_dynamodb_go_to_the_database() {
        let (database, others) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        let routes = Routes { database, others };
        assert_eq!(routes.server(Some("DynamoDB_20120810.Query")), database);
        assert_eq!(routes.server(Some("DynamoDBStreams_20120810.GetRecords")), others);
        assert_eq!(routes.server(Some("TrentService.Sign")), others);
        assert_eq!(routes.server(Some("AmazonSQS.SendMessageBatch")), others);
        assert_eq!(routes.server(None), others);
    }

    /// A server that answers with its name, the request's host and its body.
    async fn echo(name: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let service = service_fn(move |request: Request<Incoming>| async move {
                    let host = request.headers()[HOST].to_str().unwrap().to_owned();
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let text = format!("{name} {host} {}", body.len());
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
            }
        });
        address
    }

    async fn ask(address: SocketAddr, target: &str, length: usize) -> (StatusCode, String) {
        let connection = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = handshake(TokioIo::new(connection)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::put("/bucket/key?partNumber=1")
            .header(HOST, "signed.example")
            .header("x-amz-target", target)
            .body(Full::new(Bytes::from(vec![b'x'; length])))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status();
        (status, String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn requests_arrive_as_they_were_signed() {
        let (database, others) = (echo("database").await, echo("others").await);
        let runtime = Handle::current();
        let address = tokio::task::spawn_blocking(move || start(&runtime, Routes { database, others }).unwrap());
        let address = address.await.unwrap();
        let ok = |text: &str| (StatusCode::OK, text.to_owned());
        assert_eq!(ask(address, "DynamoDB_20120810.Query", 5).await, ok("database signed.example 5"));
        assert_eq!(ask(address, "", 9_000_000).await, ok("others signed.example 9000000"));
    }

    #[tokio::test]
    async fn a_server_that_is_gone_is_no_success() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let runtime = Handle::current();
        let routes = Routes { database: gone, others: gone };
        let address = tokio::task::spawn_blocking(move || start(&runtime, routes).unwrap()).await.unwrap();
        assert_eq!(ask(address, "", 0).await.0, StatusCode::BAD_GATEWAY);
    }
}
