//! The handler over ports in memory, and the requests of callers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use authentication::{Authenticator, Issuers, JwksLimits};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    configuration::{
        ExportConfiguration, ServiceIdentity,
        arn::AccountId,
        region::{Partition, Region},
    },
    connection_test::progress::ConnectionTestProgress,
    customer_server::CustomerServers,
    customer_template::TemplateUrl,
    digest::Hex32,
    interval::ExportSchedule,
    repair::Repair,
    replay::Replay,
    tenant::TenantId,
};
use function_runtime::{
    client_version::MinimumClientVersion,
    environment::{DeploymentMode, Environment},
    lazy::created_meanwhile,
};
use host::{Clock, Machine};
use lambda_http::{Body, Request, RequestExt, Response, http};
use serde_json::{Value, json};

use super::{
    history::{History, key},
    memory::{Memory, MemorySigningKeys, Tables, Tester},
};
use crate::{
    handler::Handler,
    ports::{Ports, SecretSealer},
    schema::ApiSchema,
    service::Service,
};

/// A secret of the form that IAM issues. It has letters and digits only, so it is a valid name of GraphQL too.
pub const SECRET: &str = "wJalrXUtnFEMIxK7MDENGxbPxRfiCYEXAMPLEKEY";

pub struct World {
    pub history: History,
    memory: Memory,
    handler: Handler,
    token_key: EcdsaKeyPair,
    subject: Mutex<&'static str>,
    signing_keys: [Hex32; 2],
}

impl World {
    pub fn new() -> Self {
        Self::with_introspection(false)
    }

    pub fn with_introspection(introspection: bool) -> Self {
        let memory = Memory::default();
        let secrets = Box::new(memory.clone());
        Self::build(memory, secrets, introspection)
    }

    /// A world with another port for secrets.
    pub fn with_secrets(secrets: Box<dyn SecretSealer>) -> Self {
        Self::build(Memory::default(), secrets, true)
    }

    fn build(memory: Memory, secrets: Box<dyn SecretSealer>, introspection: bool) -> Self {
        let history = History::default();
        let signing_keys = MemorySigningKeys::new(memory.clone());
        let fingerprints = signing_keys.fingerprints();
        let service = Service {
            ports: Ports {
                configurations: Box::new(memory.clone()),
                changes: Box::new(memory.clone()),
                allowances: Box::new(memory.clone()),
                history: Box::new(history.clone()),
                events: Box::new(history.clone()),
                backlogs: Box::new(memory.clone()),
                tester: Box::new(memory.clone()),
                webhook_tester: Box::new(memory.clone()),
                secrets,
                signing_keys: Box::new(signing_keys),
                manual_runs: Box::new(memory.clone()),
                repairs: Box::new(memory.clone()),
                replays: Box::new(memory.clone()),
            },
            clock: Box::new(memory.clone()),
            random: Box::new(memory.clone()),
            identity: ServiceIdentity {
                account: AccountId::parse("111111111111").unwrap(),
                partition: Partition::Commercial,
                region: Region::parse("us-east-1").unwrap(),
            },
            servers: CustomerServers::Public,
            customer_template: TemplateUrl::parse("https://templates.s3.us-east-1.amazonaws.com/audit-export.yaml"),
            schedule: ExportSchedule { settle: Duration::from_mins(20), development_slot_length: None },
            retention: Duration::from_hours(24 * 90),
            history: Duration::from_hours(24 * 400),
        };

        let token_key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = token_key.public_key().as_ref();
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "1", "x": base64url(&point[1..33]), "y": base64url(&point[33..])});
        let keys = json!({"keys": [jwk]}).to_string();
        let mut environment = Environment::from_map([
            ("TOKEN_ISSUER", "https://issuer"),
            ("TOKEN_AUDIENCE", "audit-export"),
            ("TOKEN_DEVELOPMENT_JWKS", &keys),
        ]);
        let issuers = Issuers::from_environment(&mut environment, DeploymentMode::Development).unwrap();
        let tokens = Authenticator::new(issuers);
        let handler = Handler {
            tokens,
            minimum_client_version: MinimumClientVersion::parse("0.2.0").unwrap(),
            schema: created_meanwhile(move || ApiSchema::new(Arc::new(service), introspection)),
        };
        Self { history, memory, handler, token_key, subject: Mutex::new("user-1"), signing_keys: fingerprints }
    }

    /// Lets the keys of the tokens' issuer be at an address, and each fetch take up to `timeout`.
    pub fn fetch_keys(&mut self, address: &str, timeout: Duration) {
        let mut environment = Environment::from_map([
            ("TOKEN_ISSUER", "https://issuer"),
            ("TOKEN_AUDIENCE", "audit-export"),
            ("TOKEN_JWKS_URL", address),
        ]);
        let issuers = Issuers::from_environment(&mut environment, DeploymentMode::Development).unwrap();
        let limits = JwksLimits { timeout, ..JwksLimits::DEFAULT };
        self.handler.tokens = Authenticator::with_limits(issuers, limits, Arc::new(Machine));
    }

    pub fn set_tester(&self, tester: Tester) {
        self.memory.lock().tester = tester;
    }

    /// Returns the number of connection tests.
    pub fn tests(&self) -> usize {
        self.memory.lock().tests
    }

    /// Stores the progress of a test of a configuration of tenant `acme`, as the verifier does.
    pub fn set_progress(&self, id: &str, progress: ConnectionTestProgress) {
        self.memory.lock().progress.insert(key(id), progress);
    }

    /// Returns the changes that were tested before they were stored.
    pub fn candidates(&self) -> Vec<Value> {
        self.memory.lock().candidates.clone()
    }

    /// Returns the audit events of changes.
    pub fn changes(&self) -> Vec<Value> {
        self.memory.lock().changes.clone()
    }

    /// Lets the next changes conflict with one of another person.
    pub fn interfere(&self, times: usize) {
        self.memory.lock().interferences = times;
    }

    /// Lets each change take so long.
    pub fn delay_writes(&self, delay: Duration) {
        self.memory.lock().delay = delay;
    }

    /// Lets another person make the next requests.
    pub fn act_as(&self, subject: &'static str) {
        *self.subject.lock().unwrap() = subject;
    }

    /// Lets time pass.
    pub fn wait(&self, time: Duration) {
        self.memory.lock().elapsed += time;
    }

    /// Returns everything that is stored.
    pub fn tables(&self) -> Tables {
        self.memory.lock().tables.clone()
    }

    /// Returns a stored configuration of tenant `acme`.
    pub fn stored(&self, id: &str) -> ExportConfiguration {
        self.memory.lock().tables.configurations[&key(id)].clone()
    }

    /// Stores a configuration that nobody has created.
    pub fn store(&self, configuration: ExportConfiguration) {
        self.memory.lock().tables.configurations.insert(configuration.key.clone(), configuration);
    }

    /// Changes a stored configuration of tenant `acme`, as runs do.
    pub fn change_stored(&self, id: &str, change: impl FnOnce(&mut ExportConfiguration)) {
        change(self.memory.lock().tables.configurations.get_mut(&key(id)).unwrap());
    }

    /// Changes the last repair of a configuration of tenant `acme`, as the exporter does.
    pub fn change_repair(&self, id: &str, change: impl FnOnce(&mut Repair)) {
        change(self.memory.lock().tables.repairs.get_mut(&key(id)).unwrap());
    }

    /// Ends the requested run of a configuration of tenant `acme`, as the exporter does.
    pub fn end_requested_run(&self, id: &str) {
        self.change_stored(id, |stored| (stored.requested_through, stored.requested_until) = (None, None));
    }

    /// Changes the newest replay, as runs do.
    pub fn change_replay(&self, change: impl FnOnce(&mut Replay)) {
        change(self.memory.lock().replays.last_mut().unwrap());
    }

    /// Removes the stored count of a tenant's backlog.
    pub fn drop_counted(&self, tenant: &str) {
        self.memory.lock().tables.backlogs.remove(&TenantId::parse(tenant).unwrap()).unwrap();
    }

    /// Returns the number of times that the configurations of a tenant were listed.
    pub fn lists(&self) -> usize {
        self.memory.lock().lists
    }

    /// Returns the secrets that were encrypted.
    pub fn plaintexts(&self) -> Vec<String> {
        self.memory.lock().plaintexts.clone()
    }

    /// Lets the queue refuse every message, or take them again.
    pub fn set_queue_down(&self, is_down: bool) {
        self.memory.lock().is_queue_down = is_down;
    }

    /// Returns the messages in the queue of manual runs.
    pub fn messages(&self) -> Vec<Value> {
        self.memory.lock().messages.clone()
    }

    /// Makes a signing key unreadable.
    pub fn disable_signing_key(&self) {
        self.memory.lock().is_signing_key_disabled = true;
    }

    /// Returns the fingerprints of the current and the retired signing key.
    pub fn signing_keys(&self) -> [Hex32; 2] {
        self.signing_keys
    }

    pub fn token(&self, tenant: &str, permissions: &[&str]) -> String {
        let header = json!({"alg": "ES256", "kid": "1"});
        let claims = json!({"iss": "https://issuer", "aud": "audit-export", "sub": *self.subject.lock().unwrap(),
            "exp": Machine.now().as_seconds() + 600, "tenant_id": tenant, "permissions": permissions});
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let signature = self.token_key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64url(signature))
    }

    pub fn sdl(&self) -> String {
        self.handler.schema.sdl()
    }

    pub async fn send(&self, request: Request) -> Response<Body> {
        self.handler.handle(request).await
    }

    /// Returns the response to a document of tenant `acme`.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        self.ask_as("acme", query, variables).await
    }

    pub async fn ask_as(&self, tenant: &str, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables}).to_string();
        let response = self.send(self.post(tenant, body)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        json_of(&response)
    }

    pub fn post(&self, tenant: &str, body: impl Into<Body>) -> Request {
        let context = json!({"requestId": "request-1", "httpMethod": "POST", "identity": {"sourceIp": "192.0.2.7"}});
        http::Request::post("/api/audit/graphql")
            .header("authorization", format!("Bearer {}", self.token(tenant, &["AUDIT"])))
            .header("content-type", "application/json")
            .body(body.into())
            .unwrap()
            .with_request_context(serde_json::from_value(context).unwrap())
    }
}

pub fn json_of(response: &Response<Body>) -> Value {
    serde_json::from_slice(response.body().as_ref()).unwrap()
}

/// Returns the code of the only error of a response.
pub fn code(answer: &Value) -> &str {
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{answer}");
    errors[0]["extensions"]["code"].as_str().unwrap()
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
