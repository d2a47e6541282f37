//! The tables, one tenant's view of them, and what several tests need.

use std::{
    collections::{BTreeMap, HashMap},
    env,
    future::Future,
    time::Duration,
};

use aws_adapters::{
    allowance::Allowances,
    archive::records::ArchiveTable,
    configurations::{ConfigurationEditor, ConfigurationTable},
    events::{
        backlog::{Backlog, EventCounter},
        eraser::EventEraser,
        reader::EventTableReader,
        writer::{EventTable, EventWriter},
    },
    export_history::ExportHistory,
    runs::RunTable,
};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    config::{ConfigBag, Intercept, interceptors::BeforeSerializationInterceptorContextRef},
    error::BoxError,
    operation::{batch_get_item::BatchGetItemInput, get_item::GetItemInput, query::QueryInput},
    types::AttributeValue,
};
use domain::{
    block::BlockId,
    configuration::{
        ConfigurationId, ConfigurationKey, ExportConfiguration,
        change::{Author, Stamp},
        test_support,
    },
    connection::{Connection, ConnectionError, ConnectionErrorCode},
    customer_server::CustomerServers,
    event_filter::{EventFilter, RawFilter, RawLists},
    export_format::ExportFormat,
    tenant::TenantId,
    time::Timestamp,
    webhook::{SealedWebhookSecret, Webhook, WebhookUrl},
};
use export_engine::ports::{ErrorKind, PortError};
use host::{Clock, Machine, Random};

pub type Item = HashMap<String, AttributeValue>;

/// The retention of the tests' events.
pub const RETENTION: Duration = Duration::from_hours(90 * 24);

/// The longest wait for an eventual effect.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// Attempts of a request that meets others on the same items, beyond the attempts of the adapter itself.
const MAX_ATTEMPTS: usize = 20;

/// A table, named as in the environment of the functions.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    Events,
    Configurations,
    Runs,
}

impl Table {
    fn name(self) -> String {
        let variable = match self {
            Self::Events => "EVENTS_TABLE",
            Self::Configurations => "CONFIGURATIONS_TABLE",
            Self::Runs => "RUNS_TABLE",
        };
        env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} is not set: python -m infra.local.stores runs these tests"))
    }

    fn partition(self) -> &'static str {
        match self {
            Self::Events => "partition",
            Self::Configurations => "tenantId",
            Self::Runs => "run",
        }
    }
}

/// Refuses reads that are not strongly consistent, except for those of an index, which can't be. The emulators have one copy
/// of an item, so that no response shows the difference.
#[derive(Debug)]
struct ConsistentReads;

impl Intercept for ConsistentReads {
    fn name(&self) -> &'static str {
        "ConsistentReads"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        let get = input.downcast_ref::<GetItemInput>().map(GetItemInput::consistent_read);
        let query = input.downcast_ref::<QueryInput>().filter(|query| query.index_name().is_none());
        let batch = input.downcast_ref::<BatchGetItemInput>().and_then(BatchGetItemInput::request_items);
        let batch = batch.map(|tables| Some(tables.values().all(|table| table.consistent_read() == Some(true))));
        match get.or(query.map(QueryInput::consistent_read)).or(batch) {
            None | Some(Some(true)) => Ok(()),
            Some(_) => Err("a read that is not strongly consistent".into()),
        }
    }
}

/// The tables, for a tenant that no other test uses.
pub struct Store {
    pub client: Client,
    pub shared: SdkConfig,
    pub tenant: TenantId,
}

impl Store {
    pub fn new() -> Self {
        let shared = function_runtime::aws_configuration::aws_configuration().unwrap();
        let tenant = TenantId::parse(&format!("tenant-{:032x}", Machine.bits())).unwrap();
        let configuration = aws_sdk_dynamodb::config::Builder::from(&shared).interceptor(ConsistentReads).build();
        Self { client: Client::from_conf(configuration), shared, tenant }
    }

    pub fn configurations(&self) -> ConfigurationTable {
        ConfigurationTable::new(self.client.clone(), Table::Configurations.name())
    }

    pub fn editor(&self) -> ConfigurationEditor {
        let events = EventTable { name: Table::Events.name(), retention: RETENTION };
        ConfigurationEditor::new(&self.client, Table::Configurations.name(), events)
    }

    pub fn allowances(&self) -> Allowances {
        Allowances::new(self.client.clone(), Table::Configurations.name())
    }

    pub fn runs(&self) -> RunTable {
        RunTable::new(self.client.clone(), Table::Runs.name())
    }

    pub fn history(&self) -> ExportHistory {
        ExportHistory::new(self.client.clone(), Table::Runs.name())
    }

    pub fn writer(&self) -> EventWriter {
        EventWriter::new(&self.shared, Table::Events.name())
    }

    pub fn reader(&self) -> EventTableReader {
        EventTableReader::new(self.client.clone(), Table::Events.name())
    }

    pub fn archive(&self) -> ArchiveTable {
        ArchiveTable::new(self.client.clone(), Table::Events.name())
    }

    pub fn eraser(&self) -> EventEraser {
        EventEraser::new(self.client.clone(), Table::Events.name())
    }

    pub async fn backlog(&self) -> Backlog {
        let counter = EventCounter::new(self.client.clone(), Table::Events.name());
        let backlogs = counter.count_from(&self.tenant, &[BlockId::lowest_at(Timestamp::EPOCH)], now()).await.unwrap();
        backlogs[0]
    }

    /// Returns a configuration of the tenant with all its optional parts.
    pub fn configuration(&self) -> ExportConfiguration {
        let now = now();
        let actions = RawLists { actions: Some(vec!["LOGIN".to_owned()]), ..RawLists::default() };
        ExportConfiguration {
            key: self.key(),
            version: 1,
            format: ExportFormat::Parquet,
            filter: EventFilter::parse(&RawFilter { include: Some(actions), exclude: None }).ok(),
            start_from: now,
            connection: Connection::Failed {
                checked_at: now,
                error: ConnectionError { code: ConnectionErrorCode::WriteDenied, message: "Allow it.".to_owned() },
            },
            webhooks: vec![Webhook {
                url: WebhookUrl::parse_for(CustomerServers::Public, "https://hooks.example.com/").unwrap(),
                sealed_secret: SealedWebhookSecret::from_ciphertext(vec![1, 2, 3]),
            }],
            created_at: now,
            updated_at: now,
            ..test_support::with_key()
        }
    }

    /// Returns the key of a configuration that does not exist.
    pub fn key(&self) -> ConfigurationKey {
        let configuration_id = ConfigurationId::from_bytes(Machine.bits().to_be_bytes());
        ConfigurationKey { tenant_id: self.tenant.clone(), configuration_id }
    }

    /// Returns the items of a partition as they are stored, by their sort keys.
    pub async fn items(&self, table: Table, partition: &str) -> BTreeMap<String, Item> {
        let sort_key = match table {
            Table::Events => "blockId",
            Table::Configurations => "id",
            Table::Runs => "item",
        };
        let pages = self
            .client
            .query()
            .table_name(table.name())
            .consistent_read(true)
            .key_condition_expression("#partition = :partition")
            .expression_attribute_names("#partition", table.partition())
            .expression_attribute_values(":partition", AttributeValue::S(partition.to_owned()));
        let items = pages.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
        items.into_iter().map(|item| (item[sort_key].as_s().unwrap().clone(), item)).collect()
    }

    pub async fn put(&self, table: Table, item: Item) {
        self.client.put_item().table_name(table.name()).set_item(Some(item)).send().await.unwrap();
    }

    /// Returns the time at which DynamoDB may delete the item, by the time to live of its table. `None`: never.
    ///
    /// Panics if the attribute is there and not a number of seconds: DynamoDB ignores others silently.
    pub async fn expiry(&self, table: Table, item: &Item) -> Option<Timestamp> {
        let answer = self.client.describe_time_to_live().table_name(table.name()).send().await.unwrap();
        let description = answer.time_to_live_description.unwrap();
        let value = item.get(description.attribute_name().unwrap())?;
        let seconds = value.as_n().unwrap().parse::<u64>().unwrap();
        let expiry = Timestamp::from_millis(seconds * 1_000).unwrap();
        let ten_years = Duration::from_hours(10 * 365 * 24);
        assert!(expiry.saturating_since(now()) < ten_years, "{seconds} are not seconds since 1970");
        Some(expiry)
    }
}

pub fn now() -> Timestamp {
    Machine.now()
}

pub fn author() -> Author {
    Author { subject: "user-1".to_owned(), issuer: "https://login.example".to_owned(), ip: None, request_id: None }
}

pub fn stamp() -> Stamp {
    Stamp { at: now(), event: Machine.bits(), block: Machine.bits() }
}

pub fn is_fenced<T>(answer: &Result<T, PortError>) -> bool {
    matches!(answer, Err(PortError { kind: ErrorKind::Fenced, .. }))
}

pub fn is_transient<T>(answer: &Result<T, PortError>) -> bool {
    matches!(answer, Err(PortError { kind: ErrorKind::Transient, .. }))
}

/// Repeats a request that met another one, as the callers of the adapters do.
pub async fn settled<T, A: Future<Output = Result<T, PortError>>>(
    mut attempt: impl FnMut() -> A,
) -> Result<T, PortError> {
    for _ in 1..MAX_ATTEMPTS {
        let answer = attempt().await;
        if !is_transient(&answer) {
            return answer;
        }
    }
    attempt().await
}

/// Waits for an eventual effect and returns the last observation.
pub async fn eventually<T, A: Future<Output = T>>(mut look: impl FnMut() -> A, is_there: impl Fn(&T) -> bool) -> T {
    let attempts = PATIENCE.as_millis() / POLL.as_millis();
    for _ in 0..attempts {
        let seen = look().await;
        if is_there(&seen) {
            return seen;
        }
        tokio::time::sleep(POLL).await;
    }
    look().await
}
