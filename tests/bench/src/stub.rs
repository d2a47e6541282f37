//! AWS on loopback with prepared answers, so that the client is what is measured. Requests are counted; their order and
//! conditions are not checked: the simulation, the stores' tests and the end-to-end tests do that.

mod aws;
pub mod dynamodb;
mod reply;
pub mod s3;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use host::{Clock, Machine};
use http_body_util::BodyExt;
use hyper::{
    Method, Request, Response,
    body::Incoming,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RANGE},
    http::request::Parts,
};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use self::{aws::Queue, dynamodb::Database, reply::Reply, s3::Buckets};
use crate::server::{Pieces, Server};

/// The service's account in all ARNs.
pub const ACCOUNT: &str = "111111111111";
pub const REGION: &str = "eu-central-1";
pub const QUEUE_PATH: &str = "/111111111111/export-runs";

/// The requests of each operation.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    requests: BTreeMap<String, u64>,
}

impl Traffic {
    pub fn total(&self) -> u64 {
        self.of("")
    }

    /// Returns the requests to one service, by the prefix of the operation's name.
    pub fn of(&self, prefix: &str) -> u64 {
        self.requests.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, count)| count).sum()
    }
}

/// The services behind the stub's address.
#[derive(Debug, Default)]
pub struct World {
    pub database: Database,
    pub buckets: Buckets,
    pub queue: Queue,
    pub traffic: Traffic,
    /// The delay of every answer, for a network and a busy service. Concurrent requests are delayed concurrently.
    pub latency: Duration,
    /// Requests without a prepared answer. They make a measurement void.
    unprepared: Vec<String>,
}

impl World {
    fn answer(&mut self, head: &Parts, body: &Bytes) -> Reply {
        let (operation, reply) = self.route(head, body);
        if reply.is_unprepared() {
            self.unprepared.push(operation.clone());
        }
        *self.traffic.requests.entry(operation).or_default() += 1;
        reply
    }

    fn route(&mut self, head: &Parts, body: &Bytes) -> (String, Reply) {
        let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if let Some((service, operation)) = target.split_once('.') {
            let request: Value = serde_json::from_slice(body).unwrap_or_default();
            return match service {
                "DynamoDB_20120810" => (format!("dynamodb:{operation}"), self.database.answer(operation, &request)),
                "TrentService" => (format!("kms:{operation}"), aws::kms(operation, &request)),
                "AmazonSQS" => (format!("sqs:{operation}"), self.queue.answer(operation, &request)),
                other => (other.to_owned(), Reply::unprepared()),
            };
        }
        let path = percent_decode_str(head.uri.path()).decode_utf8_lossy();
        if path.starts_with("/2015-03-31/functions/") {
            let outcome = json!({
                "connectionStatus": "SUCCESS", "connectionCheckedAt": Machine.now(), "connectionError": null,
            });
            return ("lambda:Invoke".to_owned(), Reply::json(&outcome));
        }
        if path == "/" && head.method == Method::POST {
            return aws::sts(&String::from_utf8_lossy(body));
        }
        if head.method == Method::GET {
            let range = head.headers.get(RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
            let prepared = self.database.archive.as_ref().and_then(|archive| archive.read(&path, range));
            let found = prepared.or_else(|| self.buckets.read(&path, range));
            return ("s3:GetObject".to_owned(), found.map_or_else(Reply::unprepared, Reply::part));
        }
        // The SDK sends `x-id=PutObject`; other requests have other parameters.
        let has_other_parameters = head.uri.query().is_some_and(|query| query != "x-id=PutObject");
        let is_chunked =
            head.headers.get(CONTENT_ENCODING).is_some_and(|value| value.as_bytes().starts_with(b"aws-chunked"));
        if head.method != Method::PUT || has_other_parameters || is_chunked {
            return (format!("s3:{} {:?}", head.method, head.uri.query()), Reply::unprepared());
        }
        ("s3:PutObject".to_owned(), self.buckets.put(&path, &head.headers, body))
    }
}

/// A stub that listens.
#[derive(Clone, Debug)]
pub struct Stub {
    server: Arc<Server>,
    world: Arc<Mutex<World>>,
}

impl Stub {
    pub fn start(runtime: &Handle) -> Result<Self> {
        let world: Arc<Mutex<World>> = Arc::default();
        let shared = Arc::clone(&world);
        let server = Server::start(runtime, move |request| respond(Arc::clone(&shared), request))?;
        Ok(Self { server: Arc::new(server), world })
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub fn queue_url(&self) -> String {
        format!("{}{QUEUE_PATH}", self.endpoint())
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all state.
    pub fn reset(&self) {
        *self.world() = World::default();
    }

    /// Fails if a request had no prepared answer: the figures are worthless then.
    pub fn check(&self) -> Result<()> {
        let unprepared = std::mem::take(&mut self.world().unprepared);
        ensure!(unprepared.is_empty(), "the stub has no answer to {unprepared:?}");
        Ok(())
    }
}

async fn respond(world: Arc<Mutex<World>>, request: Request<Incoming>) -> Result<Response<Pieces>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (reply, latency) = {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        (world.answer(&head, &body), world.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let mut response = Response::builder()
        .status(reply.status)
        .header(CONTENT_TYPE, reply.content_type)
        .header(CONTENT_LENGTH, reply.length());
    if let Some(tag) = &reply.entity_tag {
        response = response.header(ETAG, tag);
    }
    Ok(response.body(Pieces::new(reply.body)).unwrap_or_else(|_| Response::new(Pieces::new([]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(world: &mut World, target: &str, body: &str) -> Reply {
        let request = Request::post("/").header("x-amz-target", target).body(()).unwrap();
        world.answer(&request.into_parts().0, &Bytes::from(body.to_owned()))
    }

    #[test]
    fn a_role_is_given_only_for_its_external_id() {
        let mut world = World::default();
        let request = |id: &str| format!("Action=AssumeRole&RoleSessionName=audit-export-1{id}");
        assert_eq!(ask(&mut world, "", &request("&ExternalId=1")).status, 200);
        assert_eq!(ask(&mut world, "", &request("&ExternalId=2")).status, 403);
        assert_eq!(ask(&mut world, "", &request("")).status, 403);
        assert_eq!(world.traffic.of("sts:"), 3);
    }

    #[test]
    fn unprepared_calls_fail_the_measurement() {
        let mut world = World::default();
        ask(&mut world, "DynamoDB_20120810.Scan", "{}");
        ask(&mut world, "TrentService.CreateKey", "{}");
        assert_eq!(world.unprepared, ["dynamodb:Scan", "kms:CreateKey"]);
        let body = r#"{"Entries": [{"Id": "0", "MessageBody": "a"}, {"Id": "1", "MessageBody": "b"}]}"#;
        ask(&mut world, "AmazonSQS.SendMessageBatch", body);
        assert_eq!(world.queue.messages, ["a", "b"]);
    }
}
