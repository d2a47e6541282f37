//! The export from real tables to a bucket that checks signatures and policies: MiniStack, and Amazon's DynamoDB Local with
//! MiniStack for all other services. Both are slower than the exporter, so only its own CPU and memory are comparable.

use std::{
    collections::BTreeMap,
    fmt,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use aws_adapters::events::item::{self, Item};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Region},
    types::{AttributeValue, PutRequest, WriteRequest},
};
use domain::tenant::TenantId;
use host::{Clock, Machine};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::export::{self, Pass, first_day};
use crate::{
    bench::Bench,
    corpus::{Corpus, CorpusFile, RETENTION, TENANT, Totals, WRITE_SHARDS, Window},
    forwarder::{self, Routes},
    functions::{self, EXPORTER_MEGABYTES, Surroundings, Tables, configuration_id, configuration_item, run_request},
    process::pin,
    report::{Report, grouped},
    server::Server,
    stub::Stub,
};

const SUITE: &str = "emulators";
const STUB: &str = "stub";

const EVENTS: u64 = 100_000;
const QUICK_EVENTS: u64 = 20_000;
const BLOCK_EVENTS: u64 = 100;

/// The time for starting both, including the installation of DynamoDB Local.
const START_TIME: Duration = Duration::from_mins(5);

/// The time for reading and unpacking the objects of one export.
const CHECK_TIME: Duration = Duration::from_mins(2);

/// The most stores.
const MAX_STORES: u64 = 2;

/// The most items of one request.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>.
const MAX_BATCH_ITEMS: usize = 25;

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let file = CorpusFile::prepare(&bench.directory, bench.size(EVENTS, QUICK_EVENTS), BLOCK_EVENTS)?;
    let window = Arc::new(Corpus::load(&file, first_day(1), WRITE_SHARDS)?).window(u64::MAX);
    // Each export needs its own configuration.
    let last_number = bench.rounds as u64 * MAX_STORES;
    let ids = (1..=last_number).map(|number| Ok(configuration_id(number)?.to_string())).collect::<Result<Vec<_>>>()?;
    let (mut emulators, world) = Emulators::start(bench, &ids)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut stores = Vec::new();
    for store in &world.stores {
        let store = Store::open(bench, &world, store)?;
        runtime.block_on(store.fill(&file, &window))?;
        stores.push(store);
    }
    let stub = Stub::start(&bench.runtime)?;
    let mut numbers = 1..=last_number;
    let mut passes: BTreeMap<&str, Vec<Pass>> = BTreeMap::new();
    for _ in 0..bench.rounds {
        passes.entry(STUB).or_default().push(export::export(bench, &stub, &window)?);
        for store in &stores {
            let number = numbers.next().context("more stores than configurations")?;
            runtime.block_on(store.put_configuration(&world, number, &window))?;
            let pass = store.export(bench, number, &window)?;
            emulators.exported(number)?.check(store.name, &window.totals())?;
            passes.entry(store.name).or_default().push(pass);
        }
    }
    let of = |name: &str| passes.get(name).map(Vec::as_slice).unwrap_or_default();
    let events = grouped(window.totals().events);
    for (title, name) in [("the bench's own stub", STUB)].into_iter().chain(stores.iter().map(|s| (s.name, s.name))) {
        export::add(report, SUITE, &format!("{title}, {events} events"), of(name), (STUB, of(STUB)));
    }
    report.note(
        "emulators: speed is that of the emulator, which takes most of the time; CPU and memory are the exporter's alone. \
         Every file was read back from the bucket and unpacked.",
    );
    if let Some(reason) = &world.left_out {
        report.note(format!("emulators: not measured: {reason}"));
    }
    Ok(())
}

/// The address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Endpoint(SocketAddr);

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let address = text.strip_prefix("http://").and_then(|address| address.parse().ok());
        address.map(Self).ok_or_else(|| format!("{text} is not http:// and an address"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}", self.0)
    }
}

/// The resources that `infra/local/bench_emulators.py` has created.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct World {
    /// The endpoint of all services, except that of some tables.
    endpoint: Endpoint,
    region: String,
    access_key_id: String,
    secret_access_key: String,
    queue_url: String,
    signing_key_arn: String,
    secret_key_arn: String,
    bucket_name: String,
    role_arn: String,
    stores: Vec<StoreDescription>,
    /// The reason why DynamoDB Local does not run on this machine.
    left_out: Option<String>,
}

impl World {
    fn credentials(&self) -> Credentials {
        Credentials::new(&self.access_key_id, &self.secret_access_key, None, None, "emulator")
    }
}

/// A set of tables and its endpoint.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreDescription {
    name: String,
    endpoint: Endpoint,
    tables: Tables,
}

/// The contents of the bucket of one configuration: read, unpacked and compared with the signed digests.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Exported {
    objects: u64,
    events: u64,
    raw_bytes: u64,
}

impl Exported {
    fn check(&self, store: &str, expected: &Totals) -> Result<()> {
        let is_whole = self.objects > 0 && (self.events, self.raw_bytes) == (expected.events, expected.raw_bytes);
        ensure!(is_whole, "{store}: {self:?} is in the bucket, expected {expected:?}");
        Ok(())
    }
}

/// The emulators, which run until this is dropped.
struct Emulators {
    program: Child,
    /// Closing it ends the program.
    questions: Option<ChildStdin>,
    answers: mpsc::Receiver<std::io::Result<String>>,
}

impl Emulators {
    fn start(bench: &Bench, ids: &[String]) -> Result<(Self, World)> {
        let root = bench.root.canonicalize()?;
        let mut command = Command::new(&bench.python);
        command
            .current_dir(&root)
            .args(["-m", "infra.local.bench_emulators"])
            .args(ids)
            // Apart from a stack that is running.
            .env("AUDIT_EXPORT_LOCAL_DIRECTORY", root.join(".local/bench"))
            .env("EMULATOR", "ministack")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let core = bench.cores.serving;
        // In another thread: programs that it starts stay on the core that it is bound to.
        let program = thread::spawn(move || pin(core).and_then(|()| Ok(command.spawn()?)));
        let mut program = program.join().map_err(|_| anyhow!("the emulators' thread failed"))??;
        let output = program.stdout.take().context("the emulators have no output")?;
        let questions = program.stdin.take();
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || BufReader::new(output).lines().try_for_each(|line| sender.send(line)));
        let mut emulators = Self { program, questions, answers };
        let world: World = emulators.answer(START_TIME)?;
        Ok((emulators, world))
    }

    fn exported(&mut self, number: u64) -> Result<Exported> {
        let questions = self.questions.as_mut().context("the emulators have ended")?;
        writeln!(questions, "{}", configuration_id(number)?)?;
        self.answer(CHECK_TIME)
    }

    fn answer<T: DeserializeOwned>(&mut self, within: Duration) -> Result<T> {
        Ok(serde_json::from_str(&self.answers.recv_timeout(within).context("the emulators do not answer")??)?)
    }
}

impl Drop for Emulators {
    fn drop(&mut self) {
        self.questions = None;
        // It ends the programs that it started within a bounded time.
        let _ = self.program.wait();
    }
}

/// Real tables.
struct Store<'a> {
    name: &'a str,
    client: Client,
    tables: &'a Tables,
    surroundings: Surroundings,
    /// The exporter's endpoint if tables and other services have different ones.
    _forwarder: Option<Server>,
}

impl<'a> Store<'a> {
    fn open(bench: &Bench, world: &World, description: &'a StoreDescription) -> Result<Self> {
        let client = Client::from_conf(
            Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new(world.region.clone()))
                .credentials_provider(world.credentials())
                .endpoint_url(description.endpoint.to_string())
                .build(),
        );
        let routes = Routes { database: description.endpoint.0, others: world.endpoint.0 };
        let is_split = routes.database != routes.others;
        let forwarder = is_split.then(|| forwarder::start(&bench.runtime, routes)).transpose()?;
        let endpoint = forwarder.as_ref().map_or(world.endpoint, |forwarder| Endpoint(forwarder.address));
        let surroundings = Surroundings {
            endpoint: endpoint.to_string(),
            region: world.region.clone(),
            credentials: world.credentials(),
            tables: description.tables.clone(),
            queue_url: world.queue_url.clone(),
            secret_key_arn: world.secret_key_arn.clone(),
            signing_key_arn: world.signing_key_arn.clone(),
        };
        Ok(Self { name: &description.name, client, tables: &description.tables, surroundings, _forwarder: forwarder })
    }

    /// Stores every block of the file as ingest does.
    async fn fill(&self, file: &CorpusFile, window: &Window) -> Result<()> {
        let tenant = TenantId::parse(TENANT)?;
        let mut batch = Vec::with_capacity(MAX_BATCH_ITEMS);
        for placed in file.placed(window.from(), WRITE_SHARDS)? {
            let placed = placed?;
            let expires_at = placed.block.id.timestamp().saturating_add(RETENTION);
            let item = item::write_block(&tenant, placed.shard, &placed.block, expires_at);
            let put = PutRequest::builder().set_item(Some(item)).build()?;
            batch.push(WriteRequest::builder().put_request(put).build());
            if batch.len() == MAX_BATCH_ITEMS {
                self.write(std::mem::take(&mut batch)).await?;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.write(batch).await }
    }

    async fn write(&self, batch: Vec<WriteRequest>) -> Result<()> {
        let answer = self.client.batch_write_item().request_items(&self.tables.events, batch).send().await?;
        let is_whole = answer.unprocessed_items.is_none_or(|items| items.is_empty());
        ensure!(is_whole, "{} did not take every block", self.name);
        Ok(())
    }

    async fn put_configuration(&self, world: &World, number: u64, window: &Window) -> Result<()> {
        let mut configuration = configuration_item(TENANT, number, window.from(), Machine.now())?;
        for (name, value) in
            [("bucketName", &world.bucket_name), ("region", &world.region), ("roleArn", &world.role_arn)]
        {
            configuration[name] = json!({ "S": value });
        }
        let item = to_item(&configuration).context("a configuration with an unknown kind of value")?;
        self.client.put_item().table_name(&self.tables.configurations).set_item(Some(item)).send().await?;
        Ok(())
    }

    /// Exports the window within one invocation.
    fn export(&self, bench: &Bench, number: u64, window: &Window) -> Result<Pass> {
        let exporter = functions::start_in(bench, "exporter", self.surroundings.clone(), EXPORTER_MEGABYTES)?;
        let (cpu, split) = (exporter.program.cpu()?, exporter.program.split()?);
        let request = run_request(TENANT, number, window.through())?;
        Ok(Pass {
            wall: exporter.export(&request).context(self.name.to_owned())?,
            cpu: exporter.program.cpu_since(cpu)?,
            split: exporter.program.split()?.since(split),
            peak_memory: exporter.program.peak_memory()?,
            invocations: 1,
            ..Pass::over(window)
        })
    }
}

/// Converts an item from the JSON of DynamoDB's protocol. `None`: it has kinds of values that no configuration has.
fn to_item(json: &Value) -> Option<Item> {
    json.as_object()?.iter().map(|(name, value)| Some((name.clone(), to_attribute(value)?))).collect()
}

fn to_attribute(json: &Value) -> Option<AttributeValue> {
    let (kind, value) = json.as_object()?.iter().next()?;
    match kind.as_str() {
        "S" => Some(AttributeValue::S(value.as_str()?.to_owned())),
        "N" => Some(AttributeValue::N(value.as_str()?.to_owned())),
        "BOOL" => Some(AttributeValue::Bool(value.as_bool()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address() {
        let endpoint = Endpoint::try_from("http://127.0.0.1:4566".to_owned()).unwrap();
        assert_eq!(endpoint.to_string(), "http://127.0.0.1:4566");
        for text in ["https://127.0.0.1:4566", "http://localhost:4566", "http://127.0.0.1:4566/"] {
            assert!(Endpoint::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_export_is_all_of_it() {
        let expected = Totals { blocks: 2, events: 10, raw_bytes: 100, stored_bytes: 20 };
        let check = |objects, events, raw_bytes| Exported { objects, events, raw_bytes }.check("store", &expected);
        assert!(check(1, 10, 100).is_ok());
        assert!(check(1, 9, 100).is_err() && check(1, 10, 99).is_err() && check(0, 0, 0).is_err());
        assert!(Exported { objects: 0, events: 0, raw_bytes: 0 }.check("store", &Totals::default()).is_err());
    }

    #[test]
    fn a_configuration_becomes_an_item_whole() {
        let json = configuration_item(TENANT, 1, Machine.now(), Machine.now()).unwrap();
        let item = to_item(&json).unwrap();
        assert_eq!(item.len(), json.as_object().unwrap().len());
        assert_eq!(item["tenantId"], AttributeValue::S(TENANT.to_owned()));
        assert_eq!(item["version"], AttributeValue::N("1".to_owned()));
        assert_eq!(item["enabled"], AttributeValue::Bool(true));
        assert_eq!(to_item(&json!({"tags": {"SS": ["a"]}})), None);
    }
}
