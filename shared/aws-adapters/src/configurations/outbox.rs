//! The outbox: notices until they are published.
//!
//! A notice is written by the transaction of its cause, and found in separate partitions of the index of enabled
//! configurations. The names of the items begin with the tenant, so that a reader can skip one with many notices, and go on
//! with the time, so that the oldest of a tenant come first.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    configuration::{ConfigurationId, ConfigurationKey},
    notice::{Notice, NoticeKind},
    notice_id::NoticeId,
    tenant::TenantId,
    webhook::{Webhook, delivery::WebhookBody},
};
use export_engine::ports::{NoticeOutbox, PortError, QueuedNotice, QueuedNoticeKey, QueuedPage};

use super::{
    item::{self, ENABLED_BY_INTERVAL, INDEX_PAGE_SIZE, SCHEDULE_SHARDS, attribute},
    table::ConfigurationTable,
};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{Attributes, Item, MalformedItem, extended, json, text},
    read::{self, Query},
    write::Write,
};

/// Sorts behind every UUID, so that no list of configurations has one.
const PREFIX: &str = "notice#";

/// The partition of the index; no interval has such a name.
const PARTITION: &str = "NOTICE";

/// The names of `HousekeeperRole` in template.yaml: a request for another one is refused there.
const PROJECTION: &str = "#tenantId, #id, #configurationId, #kind, #notice, #receivers, #isLastExport, #onBus";

/// Returns the write that queues a notice, for the transaction of its cause.
///
/// # Errors
/// Internal.
pub(super) fn write(notice: &Notice, receivers: &[Webhook]) -> Result<Write, PortError> {
    let operation = "queue notice";
    let mut queued = extended(
        item::tenant_key(&notice.tenant_id, &name(&notice.tenant_id, &notice.id)),
        [
            (attribute::SCHEDULE_PARTITION, text(partition(shard(&notice.tenant_id)))),
            (attribute::CONFIGURATION_ID, text(notice.configuration_id)),
            (attribute::KIND, text(notice.kind.name())),
            (attribute::NOTICE, json(operation, notice)?),
        ],
    );
    if !receivers.is_empty() {
        queued.insert(attribute::RECEIVERS.to_owned(), json(operation, &receivers)?);
    }
    if notice.is_last_export() {
        queued.insert(attribute::IS_LAST_EXPORT.to_owned(), AttributeValue::Bool(true));
    }
    Ok(Write::put(queued))
}

/// Returns the name of the item of a notice.
fn name(tenant: &TenantId, id: &NoticeId) -> String {
    format!("{PREFIX}{tenant}#{id}")
}

/// Returns the ID of a notice from the name of its item. An earlier version of the service named items without the tenant.
fn read_name(name: &str, tenant: &TenantId) -> Option<NoticeId> {
    let name = name.strip_prefix(PREFIX)?;
    let id = match name.split_once('#') {
        Some((of, id)) => (of == tenant.as_str()).then_some(id)?,
        None => name,
    };
    NoticeId::parse(id).ok()
}

/// Returns the position behind all notices of a tenant: `~` sorts behind what an ID may have.
///
/// `None`: the notice is named without its tenant, and those of others follow it.
fn behind_tenant(key: &QueuedNoticeKey) -> Option<String> {
    let tenant = format!("{PREFIX}{}#", key.tenant_id);
    key.item.starts_with(&tenant).then(|| format!("{tenant}~"))
}

/// Returns the shard of a tenant: a flood of its notices delays those of an eighth of the others at most.
fn shard(tenant: &TenantId) -> u8 {
    tenant.as_str().bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % SCHEDULE_SHARDS
}

fn partition(shard: u8) -> String {
    format!("{PARTITION}#{shard}")
}

fn read_key(found: &Item) -> Result<QueuedNoticeKey, MalformedItem> {
    let attributes = Attributes(found);
    let tenant_id = item::read_tenant_id(attributes)?;
    let notice_id = attributes.required(attribute::ID, |name| read_name(name, &tenant_id))?;
    Ok(QueuedNoticeKey { notice_id, tenant_id, item: attributes.text(attribute::ID)? })
}

fn read_notice(found: &Item) -> Result<QueuedNotice, MalformedItem> {
    let attributes = Attributes(found);
    let key = read_key(found)?;
    Ok(QueuedNotice {
        kind: attributes.required(attribute::KIND, NoticeKind::parse)?,
        configuration: ConfigurationKey {
            tenant_id: key.tenant_id.clone(),
            configuration_id: attributes.required(attribute::CONFIGURATION_ID, ConfigurationId::parse)?,
        },
        body: attributes.required(attribute::NOTICE, |text| WebhookBody::new(text.to_owned()).ok())?,
        receivers: attributes.optional_json(attribute::RECEIVERS)?.unwrap_or_default(),
        is_last_export: attributes.optional_flag(attribute::IS_LAST_EXPORT)?.unwrap_or_default(),
        is_on_bus: attributes.optional_flag(attribute::ON_BUS)?.unwrap_or_default(),
        key,
    })
}

/// The name of an item: a page begins behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxPosition(String);

/// Names the item, so that an operator finds it: no pass can publish or remove it.
fn unreadable(found: &Item, error: MalformedItem) -> PortError {
    let key = |attribute: &str| found.get(attribute).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    let (tenant, id) = (key(attribute::TENANT_ID), key(attribute::ID));
    PortError::internal("read queued notice", format!("{error}: tenantId {tenant:?}, id {id:?}")).caused_by(error)
}

impl NoticeOutbox for ConfigurationTable {
    const MAX_BATCH: usize = read::MAX_READ_BATCH;

    type Position = OutboxPosition;

    fn shards(&self) -> u8 {
        SCHEDULE_SHARDS
    }

    async fn queued(&self, shard: u8, from: Option<OutboxPosition>) -> Result<QueuedPage<OutboxPosition>, PortError> {
        let mut key = Expression::new("#schedulePartition = :schedule").with("schedule", text(partition(shard)));
        if let Some(OutboxPosition(before)) = from {
            key.text.push_str(" AND #id > :before");
            key = key.with("before", text(before));
        }
        let query = Query::new(key).index(ENABLED_BY_INTERVAL).limit(INDEX_PAGE_SIZE);
        let page = self.table.page("dynamodb:Query (queued notices)", &query, None).await?;
        // A malformed key stops no other.
        let keys: Vec<_> =
            page.items.iter().map(|found| read_key(found).map_err(|error| unreadable(found, error))).collect();
        let next = page.next.map(|last| Attributes(&last).text(attribute::ID)).transpose()?;
        let next_tenant = keys.last().and_then(|key| behind_tenant(key.as_ref().ok()?));
        Ok(QueuedPage { keys, next: next.map(OutboxPosition), next_tenant: next_tenant.map(OutboxPosition) })
    }

    async fn notices(&self, batch: &[QueuedNoticeKey]) -> Result<Vec<Result<QueuedNotice, PortError>>, PortError> {
        let keys = batch.iter().map(|key| item::tenant_key(&key.tenant_id, &key.item)).collect();
        let found = self.table.get_batch("dynamodb:BatchGetItem (notices)", keys, Some(PROJECTION)).await?;
        // Nor does a malformed notice, or one of a throttled partition.
        Ok(found.each(|found| read_notice(found).map_err(|error| unreadable(found, error))))
    }

    async fn note_on_bus(&self, key: &QueuedNoticeKey) -> Result<(), PortError> {
        let changes = Changes::default().set(attribute::ON_BUS, AttributeValue::Bool(true));
        // Another pass may have removed it.
        let note = Write::update(item::tenant_key(&key.tenant_id, &key.item), changes)
            .when(Expression::new("attribute_exists(#id)"));
        self.table.write("dynamodb:UpdateItem (notice on the bus)", note).await.map(drop)
    }

    async fn remove(&self, key: &QueuedNoticeKey) -> Result<(), PortError> {
        self.table.delete("dynamodb:DeleteItem (notice)", item::tenant_key(&key.tenant_id, &key.item)).await
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        configuration::{
            change::{Author, Change, Stamp},
            test_support::with_role,
        },
        notice::change::notices_of,
        time::Timestamp,
        webhook::{SealedWebhookSecret, WebhookUrl},
    };

    use super::*;
    use crate::configurations::item::BEHIND_IDS;

    #[test]
    fn a_queued_notice_is_read_as_it_was_written() {
        let deleted = with_role();
        let author = Author {
            subject: "user-1".to_owned(),
            issuer: "https://login.example".to_owned(),
            ip: None,
            request_id: None,
        };
        let stamp = Stamp { at: Timestamp::parse("2026-11-22T12:00:00Z").unwrap(), event: 7, block: 1 };
        let receivers = [Webhook {
            url: WebhookUrl::try_from("https://hooks.example.com/".to_owned()).unwrap(),
            sealed_secret: SealedWebhookSecret::from_ciphertext(vec![1, 2, 3]),
        }];
        for (is_last_export, receivers) in [(true, &receivers[..]), (false, &[])] {
            let [notice] = notices_of(Change::Delete(&deleted), &author, is_last_export, stamp).try_into().unwrap();
            let part = write(&notice, receivers).unwrap().part("Configurations").unwrap();
            let stored = part.put().unwrap().item();
            let id = stored[attribute::ID].as_s().unwrap();
            assert!(id.starts_with(&format!("notice#{}#01M8", notice.tenant_id)) && **id > *BEHIND_IDS, "{id}");
            let partition = stored[attribute::SCHEDULE_PARTITION].as_s().unwrap();
            assert!((0..SCHEDULE_SHARDS).any(|shard| *partition == format!("NOTICE#{shard}")), "{partition}");
            let projected: Vec<&str> = PROJECTION.split(", ").map(|name| name.trim_start_matches('#')).collect();
            let mut found = stored.clone();
            found.retain(|name, _| projected.contains(&name.as_str()));
            let expected = QueuedNotice {
                key: QueuedNoticeKey {
                    notice_id: notice.id.clone(),
                    tenant_id: notice.tenant_id.clone(),
                    item: id.clone(),
                },
                kind: NoticeKind::ExportDeleted,
                configuration: deleted.key.clone(),
                body: WebhookBody::new(serde_json::to_string(&notice).unwrap()).unwrap(),
                receivers: receivers.to_vec(),
                is_last_export,
                is_on_bus: false,
            };
            assert_eq!(read_notice(&found).as_ref(), Ok(&expected));
            found.insert(attribute::ON_BUS.to_owned(), AttributeValue::Bool(true));
            assert_eq!(read_notice(&found), Ok(QueuedNotice { is_on_bus: true, ..expected }));
            found.remove(attribute::NOTICE);
            let error = unreadable(&found, read_notice(&found).unwrap_err());
            let name =
                format!("attribute notice is missing or malformed: tenantId \"{}\", id \"{id}\"", notice.tenant_id);
            assert!(error.detail.ends_with(&name), "{error}");
        }
    }

    fn key(tenant: &str, item: &str) -> Result<QueuedNoticeKey, MalformedItem> {
        read_key(&item::tenant_key(&TenantId::parse(tenant).unwrap(), item))
    }

    #[test]
    fn a_tenant_can_be_skipped_and_a_notice_of_an_earlier_version_skips_nobody() {
        let ulid = "01M81J18G00000000000000000";
        let notice_id = NoticeId::parse(ulid).unwrap();
        let named = key("acme", &format!("notice#acme#{ulid}")).unwrap();
        let earlier = key("acme", &format!("notice#{ulid}")).unwrap();
        assert_eq!((&named.notice_id, &earlier.notice_id), (&notice_id, &notice_id));
        assert_eq!(behind_tenant(&earlier), None);
        let behind = behind_tenant(&named).unwrap();
        let sorted = ["notice#acme#01", "notice#acme#z_", &behind, "notice#acme-2#01", "notice#acme2#01"];
        assert!(sorted.is_sorted());
        for malformed in ["notice#", "notice#other#01", "notice#acme#", "notice#acme#0#1", "acme#01"] {
            assert_eq!(key("acme", malformed), Err(MalformedItem { attribute: attribute::ID }), "{malformed}");
        }
    }

    #[test]
    fn tenants_spread_over_all_shards() {
        let shards: std::collections::BTreeSet<u8> =
            (0..100).map(|number| shard(&TenantId::parse(&format!("tenant-{number}")).unwrap())).collect();
        assert_eq!(shards.len(), usize::from(SCHEDULE_SHARDS));
    }
}
