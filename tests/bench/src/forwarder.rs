//! One endpoint for two servers: requests to DynamoDB go to one, all others to the other. A function takes one endpoint for
//! all services.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hyper::{Request, Response, StatusCode, body::Incoming, client::conn::http1::handshake, header::CONNECTION};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime::Handle};

use crate::server::Server;

/// The prefix of DynamoDB's operations in `X-Amz-Target`. A version of its API follows.
const DATABASE_TARGET: &str = "DynamoDB_";

/// The servers that the forwarder sends requests to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routes {
    pub database: SocketAddr,
    pub others: SocketAddr,
}

impl Routes {
    /// Returns the server for an `X-Amz-Target`, which S3 and STS do not have.
    fn server(&self, target: Option<&str>) -> SocketAddr {
        match target {
            Some(target) if target.starts_with(DATABASE_TARGET) => self.database,
            _ => self.others,
        }
    }
}

/// Starts the forwarder.
pub fn start(runtime: &Handle, routes: Routes) -> Result<Server> {
    Server::start(runtime, move |request| respond(routes, request))
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

/// Forwards a request. Bodies are streamed in both directions; `Host` stays, because the client has signed it.
async fn forward(server: SocketAddr, mut request: Request<Incoming>) -> Result<Answer> {
    let connection = TcpStream::connect(server).await?;
    connection.set_nodelay(true)?;
    // One connection for each request: servers may close theirs at any time, and this part is not measured.
    let (mut sender, connection) = handshake(TokioIo::new(connection)).await?;
    tokio::spawn(connection);
    request.headers_mut().remove(CONNECTION);
    let mut response = sender.send_request(request).await?;
    response.headers_mut().remove(CONNECTION);
    Ok(response.map(BodyExt::boxed))
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use hyper::header::HOST;
    use tokio::net::TcpListener;

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

    /// Starts a server that answers with its name, the request's host and the length of its body.
    fn echo(name: &'static str) -> Server {
        let respond = move |request: Request<Incoming>| async move {
            let host = request.headers()[HOST].to_str().unwrap().to_owned();
            let length = request.into_body().collect().await?.to_bytes().len();
            Ok(Response::new(Full::new(Bytes::from(format!("{name} {host} {length}")))))
        };
        Server::start(&Handle::current(), respond).unwrap()
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
        let (database, others) = (echo("database"), echo("others"));
        let routes = Routes { database: database.address, others: others.address };
        let forwarder = start(&Handle::current(), routes).unwrap();
        let ok = |text: &str| (StatusCode::OK, text.to_owned());
        assert_eq!(ask(forwarder.address, "DynamoDB_20120810.Query", 5).await, ok("database signed.example 5"));
        assert_eq!(ask(forwarder.address, "", 9_000_000).await, ok("others signed.example 9000000"));
    }

    #[tokio::test]
    async fn a_server_that_is_gone_is_no_success() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let forwarder = start(&Handle::current(), Routes { database: gone, others: gone }).unwrap();
        assert_eq!(ask(forwarder.address, "", 0).await.0, StatusCode::BAD_GATEWAY);
    }
}
