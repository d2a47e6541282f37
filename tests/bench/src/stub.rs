//! AWS on loopback, as fast as it can be made: what is measured is the client. It answers what it was given before, checks
//! and counts what it gets, and drops it.

pub mod dynamodb;
mod expression;
pub mod s3;

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::time::Timestamp;
use http_body_util::BodyExt;
use hyper::{
    Method, Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Handle};

use self::{
    dynamodb::{Database, Reply},
    s3::Buckets,
};
use crate::{Outcome, failure};

/// The service's account in all ARNs.
pub const ACCOUNT: &str = "111111111111";
pub const REGION: &str = "eu-central-1";
pub const QUEUE_PATH: &str = "/111111111111/export-runs";

/// Before a point on P-256, what makes it a `SubjectPublicKeyInfo` in DER (RFC 5480).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE,
    0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// What was asked for, by operation.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    pub requests: BTreeMap<String, u64>,
    pub bytes_received: u64,
    pub bytes_sent: u64,
}

impl Traffic {
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Requests of one service, by the beginning of the operation's name.
    pub fn of(&self, prefix: &str) -> u64 {
        self.requests.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, count)| count).sum()
    }

    pub fn since(&self, before: &Self) -> Self {
        let earlier = |name: &str| before.requests.get(name).copied().unwrap_or_default();
        let requests = self.requests.iter().map(|(name, count)| (name.clone(), count - earlier(name)));
        Self {
            requests: requests.filter(|(_, count)| *count > 0).collect(),
            bytes_received: self.bytes_received - before.bytes_received,
            bytes_sent: self.bytes_sent - before.bytes_sent,
        }
    }
}

/// Everything behind the stub's address.
#[derive(Debug)]
pub struct World {
    pub database: Database,
    pub buckets: Buckets,
    /// Bodies of messages that were sent and not received yet.
    pub queue: VecDeque<String>,
    /// Messages are counted and not kept.
    pub drops_messages: bool,
    pub messages: u64,
    pub traffic: Traffic,
    /// How long an answer is held back, as a network and a busy service do; requests that come meanwhile don't wait for it.
    pub latency: Duration,
    /// What can't be answered: none, or something was not measured.
    pub refused: Vec<String>,
    signing_key: EcdsaKeyPair,
}

impl World {
    fn new() -> Outcome<Self> {
        let signing_key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| failure("no key"))?;
        Ok(Self {
            database: Database::default(),
            buckets: Buckets::default(),
            queue: VecDeque::new(),
            drops_messages: false,
            messages: 0,
            traffic: Traffic::default(),
            latency: Duration::ZERO,
            refused: Vec::new(),
            signing_key,
        })
    }

    /// Whether the stub's key made this signature (ASN.1 DER) over the SHA-256 of the bytes.
    pub fn is_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.signing_key.public_key().as_ref());
        key.verify(bytes, signature).is_ok()
    }

    fn answer(&mut self, head: &http_head::Head, body: &Bytes) -> Answer {
        let (operation, answer) = self.route(head, body);
        *self.traffic.requests.entry(operation.clone()).or_default() += 1;
        self.traffic.bytes_received += body.len() as u64;
        self.traffic.bytes_sent += answer.length();
        // Refusals that are a part of the conversation have a meaning; these have none.
        let is_unknown = answer.status == 501 || (answer.status == 400 && answer.says(b"ValidationException"));
        if is_unknown {
            let said = answer.body.first().map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default();
            self.refused.push(format!("{operation}: {said}"));
        }
        answer
    }

    fn route(&mut self, head: &http_head::Head, body: &Bytes) -> (String, Answer) {
        if let Some((service, operation)) = head.target.split_once('.') {
            let request: Value = serde_json::from_slice(body).unwrap_or_default();
            return match service {
                "DynamoDB_20120810" => {
                    let Reply { status, body } = self.database.answer(operation, &request);
                    (format!("dynamodb:{operation}"), Answer::json(status, body))
                }
                "TrentService" => (format!("kms:{operation}"), self.kms(operation, &request)),
                "AmazonSQS" => (format!("sqs:{operation}"), self.sqs(operation, &request)),
                other => (other.to_owned(), Answer::not_implemented()),
            };
        }
        if head.path.starts_with("/2015-03-31/functions/") {
            let outcome = json!({
                "connectionStatus": "SUCCESS", "connectionCheckedAt": now(), "connectionError": null,
            });
            return ("lambda:Invoke".to_owned(), Answer::json(200, vec![outcome.to_string().into()]));
        }
        if head.path == "/" && head.method == Method::POST {
            return sts(body);
        }
        let (operation, reply) = self.buckets.answer(&head.method, &head.path, &head.query, &head.headers, body);
        let answer = Answer {
            status: reply.status,
            content_type: "application/xml",
            entity_tag: reply.entity_tag,
            body: vec![reply.body.into()],
        };
        (operation.to_owned(), answer)
    }

    fn kms(&self, operation: &str, request: &Value) -> Answer {
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        let bytes = |name: &str| STANDARD.decode(text(name)).unwrap_or_default();
        let answer = match operation {
            "Sign" => {
                // A digest that was made before: it is signed as it is.
                let digest = aws_lc_rs::digest::Digest::import_less_safe(&bytes("Message"), &aws_lc_rs::digest::SHA256);
                let signature = digest.ok().and_then(|digest| self.signing_key.sign_digest(&digest).ok());
                let Some(signature) = signature else { return Answer::not_implemented() };
                json!({"KeyId": text("KeyId"), "Signature": STANDARD.encode(signature), "SigningAlgorithm": "ECDSA_SHA_256"})
            }
            "GetPublicKey" => {
                let der = [&SPKI_PREFIX[..], self.signing_key.public_key().as_ref()].concat();
                json!({
                    "KeyId": text("KeyId"), "PublicKey": STANDARD.encode(der), "KeySpec": "ECC_NIST_P256",
                    "CustomerMasterKeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": ["ECDSA_SHA_256"],
                })
            }
            // What is encrypted here protects nothing: it is turned round.
            "Encrypt" => json!({"KeyId": text("KeyId"), "CiphertextBlob": turned(&bytes("Plaintext"))}),
            "Decrypt" => json!({"KeyId": text("KeyId"), "Plaintext": turned(&bytes("CiphertextBlob"))}),
            _ => return Answer::not_implemented(),
        };
        Answer::json(200, vec![answer.to_string().into()])
    }

    fn sqs(&mut self, operation: &str, request: &Value) -> Answer {
        let answer = match operation {
            "SendMessageBatch" => {
                let entries = request["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
                let mut successful = Vec::new();
                for entry in entries {
                    let body = entry["MessageBody"].as_str().unwrap_or_default();
                    self.messages += 1;
                    if !self.drops_messages {
                        self.queue.push_back(body.to_owned());
                    }
                    // SQS answers with an MD5 that the SDK looks at only if it is there.
                    successful.push(json!({"Id": entry["Id"], "MessageId": format!("message-{}", self.messages)}));
                }
                json!({"Successful": successful, "Failed": []})
            }
            "ChangeMessageVisibility" => json!({}),
            _ => return Answer::not_implemented(),
        };
        Answer::json(200, vec![answer.to_string().into()])
    }
}

fn turned(bytes: &[u8]) -> String {
    STANDARD.encode(bytes.iter().rev().copied().collect::<Vec<_>>())
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.saturating_add(since)
}

/// STS, which takes forms and answers XML. A role is given only to who says its external ID: the probes have to be refused.
fn sts(body: &Bytes) -> (String, Answer) {
    let form = String::from_utf8_lossy(body);
    let field = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let operation = field("Action").unwrap_or_default();
    let session = field("RoleSessionName").unwrap_or_default();
    let xml = match operation {
        "AssumeRole" if field("ExternalId").is_some_and(|id| session.ends_with(id)) => {
            let expiration = now().saturating_add(Duration::from_hours(1));
            format!(
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
                 <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>bench</SecretAccessKey>\
                 <SessionToken>bench</SessionToken><Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult>\
                 </AssumeRoleResponse>"
            )
        }
        "AssumeRole" => {
            let body = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                        <Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
            return ("sts:AssumeRole".to_owned(), Answer::xml(403, body.to_owned()));
        }
        "GetCallerIdentity" => "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <GetCallerIdentityResult><Arn>arn:aws:iam::222222222222:user/exporter</Arn><UserId>AIDA</UserId>\
             <Account>222222222222</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            .to_owned(),
        _ => return (format!("sts:{operation}"), Answer::not_implemented()),
    };
    (format!("sts:{operation}"), Answer::xml(200, xml))
}

/// An answer, before it is HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    content_type: &'static str,
    entity_tag: Option<String>,
    body: Vec<Bytes>,
}

impl Answer {
    fn json(status: u16, body: Vec<Bytes>) -> Self {
        Self { status, content_type: "application/x-amz-json-1.0", entity_tag: None, body }
    }

    fn xml(status: u16, body: String) -> Self {
        Self { status, content_type: "text/xml", entity_tag: None, body: vec![body.into()] }
    }

    fn not_implemented() -> Self {
        Self::xml(501, "<Error><Code>NotImplemented</Code></Error>".to_owned())
    }

    fn length(&self) -> u64 {
        self.body.iter().map(|part| part.len() as u64).sum()
    }

    fn says(&self, what: &[u8]) -> bool {
        self.body.iter().any(|part| part.len() < 4_096 && part.windows(what.len()).any(|window| window == what))
    }
}

/// A body in pieces that are sent without being copied together.
#[derive(Debug)]
pub struct Pieces(VecDeque<Bytes>);

impl Pieces {
    pub fn new(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
    }

    fn length(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length())
    }
}

/// The parts of a request's head that decide who answers it.
mod http_head {
    use hyper::{HeaderMap, Method};

    #[derive(Debug)]
    pub(super) struct Head {
        pub(super) method: Method,
        pub(super) path: String,
        pub(super) query: String,
        pub(super) target: String,
        pub(super) headers: HeaderMap,
    }
}

/// A stub that listens.
#[derive(Clone, Debug)]
pub struct Stub {
    pub address: SocketAddr,
    world: Arc<Mutex<World>>,
}

impl Stub {
    /// Listens on loopback until the runtime ends.
    pub fn start(runtime: &Handle) -> Outcome<Self> {
        let world = Arc::new(Mutex::new(World::new()?));
        let (sender, receiver) = std::sync::mpsc::channel();
        let shared = Arc::clone(&world);
        runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await;
            let address = listener.as_ref().ok().and_then(|listener| listener.local_addr().ok());
            let _ = sender.send(address);
            if let Ok(listener) = listener {
                serve(listener, shared).await;
            }
        });
        let address = receiver.recv()?.ok_or_else(|| failure("the stub can't listen"))?;
        Ok(Self { address, world })
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn queue_url(&self) -> String {
        format!("{}{QUEUE_PATH}", self.endpoint())
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything, and takes another signing key.
    pub fn reset(&self) -> Outcome<()> {
        let fresh = World::new()?;
        *self.world() = fresh;
        Ok(())
    }

    pub fn traffic(&self) -> Traffic {
        self.world().traffic.clone()
    }

    /// Everything that was asked for has an answer, or the figures are worthless.
    pub fn check(&self) -> Outcome<()> {
        let refused = std::mem::take(&mut self.world().refused);
        if refused.is_empty() { Ok(()) } else { Err(failure(format!("the stub can't answer {refused:?}"))) }
    }
}

async fn serve(listener: TcpListener, world: Arc<Mutex<World>>) {
    loop {
        let Ok((connection, _)) = listener.accept().await else { continue };
        let _ = connection.set_nodelay(true);
        let world = Arc::clone(&world);
        let service = service_fn(move |request| respond(Arc::clone(&world), request));
        tokio::spawn(async move {
            // A client that was killed leaves half a connection.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

async fn respond(world: Arc<Mutex<World>>, request: Request<Incoming>) -> Result<Response<Pieces>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = decoded(parts.uri.path());
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let head = http_head::Head { method: parts.method, path, query, target, headers: parts.headers };
    let (answer, latency) = {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        (world.answer(&head, &body), world.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let pieces = Pieces::new(answer.body);
    let mut response = Response::builder()
        .status(answer.status)
        .header(CONTENT_TYPE, answer.content_type)
        .header(CONTENT_LENGTH, pieces.length());
    if let Some(tag) = answer.entity_tag {
        response = response.header(ETAG, tag);
    }
    Ok(response.body(pieces).unwrap_or_else(|_| Response::new(Pieces::new([]))))
}

/// A path without its percent signs.
fn decoded(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        if let Some(byte) = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            bytes.extend_from_slice(piece.get(2..).unwrap_or_default().as_bytes());
        } else {
            bytes.push(b'%');
            bytes.extend_from_slice(piece.as_bytes());
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn head(target: &str) -> http_head::Head {
        let method = Method::POST;
        http_head::Head {
            method,
            path: "/".to_owned(),
            query: String::new(),
            target: target.to_owned(),
            headers: hyper::HeaderMap::new(),
        }
    }

    fn ask(world: &mut World, target: &str, body: &str) -> (u16, String) {
        let answer = world.answer(&head(target), &Bytes::from(body.to_owned()));
        (answer.status, String::from_utf8(answer.body.concat()).unwrap())
    }

    #[test]
    fn what_it_signs_can_be_verified() {
        let mut world = World::new().unwrap();
        let request = json!({"KeyId": "k", "Message": STANDARD.encode(Sha256::digest(b"digest"))}).to_string();
        let (_, answer) = ask(&mut world, "TrentService.Sign", &request);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let signature = STANDARD.decode(answer["Signature"].as_str().unwrap()).unwrap();
        assert!(world.is_signed(b"digest", &signature));
        assert!(!world.is_signed(b"another", &signature));
    }

    #[test]
    fn a_role_is_given_only_for_its_external_id() {
        let mut world = World::new().unwrap();
        let request = |id: &str| format!("Action=AssumeRole&RoleSessionName=audit-export-1{id}");
        assert_eq!(ask(&mut world, "", &request("&ExternalId=1")).0, 200);
        assert_eq!(ask(&mut world, "", &request("&ExternalId=2")).0, 403);
        assert_eq!(ask(&mut world, "", &request("")).0, 403);
        assert_eq!(world.traffic.of("sts:"), 3);
    }

    #[test]
    fn paths_are_decoded() {
        assert_eq!(decoded("/bucket/date%3D2026-11-22/%C3%A4%zz"), "/bucket/date=2026-11-22/\u{e4}%zz");
    }

    #[test]
    fn what_it_does_not_know_is_told_at_the_end() {
        let mut world = World::new().unwrap();
        ask(&mut world, "DynamoDB_20120810.Scan", "{}");
        ask(&mut world, "TrentService.CreateKey", "{}");
        assert_eq!(world.refused.len(), 2);
        let body = r#"{"Entries": [{"Id": "0", "MessageBody": "a"}, {"Id": "1", "MessageBody": "b"}]}"#;
        ask(&mut world, "AmazonSQS.SendMessageBatch", body);
        assert_eq!(world.queue, ["a", "b"]);
    }
}
