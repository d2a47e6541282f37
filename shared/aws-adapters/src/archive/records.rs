//! The records of the archive in the events table, and the expiry of blocks.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use domain::{
    archive::{ArchiveRow, RegistryShard, SegmentReference, segment_partition},
    block::{BlockId, Shard, partition_key},
    configuration::bucket::BucketName,
    export_run::BlockRange,
    tenant::TenantId,
};
use export_engine::ports::{
    AdvanceOutcome, ArchiveRecords, ArchiveReset, ArchiveRowPage, BlockExpiry, PortError, RowPosition,
};

use super::item::{
    self, ARCHIVED_FROM, ARCHIVED_THROUGH, BUCKET, EXTENDED_THROUGH, KEPT_THROUGH, SEGMENTS_THROUGH, read_bucket,
    read_row, read_segment, row_key, write_row, write_segment,
};
use crate::{
    dynamodb::{
        expression::{Changes, Expression},
        item::{Attributes, Item, seconds, text},
        read::Query,
        table::Table,
        transaction::{Transaction, TransactionOutcome},
        write::{Write, WriteOutcome},
    },
    events::item::{BLOCK_ID, EXPIRES_AT, PARTITION, read_id},
};

/// The attributes of a row. The housekeeper's role permits no others, nor do the policies that the operator program prints.
pub const ROW_PROJECTION: &str = "#partition, #blockId, #bucket, #archivedFrom, #archivedThrough, #segmentsThrough, \
     #extendedThrough, #keptThrough, #expiresAt";

/// The attributes of a row that say where its segments are.
const BUCKET_PROJECTION: &str = "#partition, #blockId, #bucket";

/// The attributes of a block that decide on its expiry.
const EXPIRY_PROJECTION: &str = "#partition, #blockId, #expiresAt";

/// The rows of a page.
const PAGE_ROWS: i32 = 500;

/// The references to segments of a page: those of four days, if each hour has one.
const PAGE_SEGMENTS: i32 = 100;

/// The blocks whose expiry one call extends at most.
const PAGE_EXPIRIES: i32 = 500;

/// Concurrent updates of expiries. Each costs as much as the write of the block did, and a partition takes 1,000 write units a
/// second.
const MAX_CONCURRENT_UPDATES: usize = 8;

/// The time limit of one request of ingest, including its retries.
pub const INGEST_OPERATION_TIMEOUT: Duration = Duration::from_secs(1);
/// The time limit of one attempt of it.
const INGEST_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(450);
const INGEST_ATTEMPTS: u32 = 2;

const IS_ABSENT: &str = "attribute_not_exists(#partition)";
const IS_THERE: &str = "attribute_exists(#partition)";

/// The items of the archive in the table `AuditEvents`.
#[derive(Clone, Debug)]
pub struct ArchiveTable {
    table: Table,
}

impl ArchiveTable {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table { client, name: table } }
    }

    /// Creates a table with its own client, whose time-outs are short: a request with events waits for it, and can do without.
    #[must_use]
    pub fn for_ingest(shared: &SdkConfig, table: String) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(INGEST_OPERATION_TIMEOUT)
            .operation_attempt_timeout(INGEST_ATTEMPT_TIMEOUT)
            .build();
        let configuration = aws_sdk_dynamodb::config::Builder::from(shared)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(INGEST_ATTEMPTS))
            .build();
        Self::new(Client::from_conf(configuration), table)
    }
}

/// Returns a row, or the error that names what can't be read.
fn named_row(found: &Item) -> Result<ArchiveRow, PortError> {
    read_row(found).map_err(|error| {
        let tenant = found.get(BLOCK_ID).and_then(|id| id.as_s().ok()).map_or("?", String::as_str);
        PortError::internal("read archive row", format!("the row of {tenant}: {error}")).caused_by(error)
    })
}

impl ArchiveRecords for ArchiveTable {
    async fn archive_rows(
        &self,
        shard: RegistryShard,
        after: Option<&RowPosition>,
    ) -> Result<ArchiveRowPage, PortError> {
        let operation = "dynamodb:Query (archive rows)";
        let key = Expression::new("#partition = :partition").with("partition", text(shard));
        let query = Query::new(key).project(ROW_PROJECTION).limit(PAGE_ROWS);
        let page = self
            .table
            .page(operation, &query, after.map(|position| item::row_key_in(shard, position.as_str())))
            .await?;
        let next = page.next.as_ref().map(|key| Attributes(key).text(BLOCK_ID).map(RowPosition::new));
        Ok(ArchiveRowPage { rows: page.items.iter().map(named_row).collect(), next: next.transpose()? })
    }

    async fn archive_row(&self, tenant: &TenantId) -> Result<Option<ArchiveRow>, PortError> {
        let found = self.table.get("dynamodb:GetItem (archive row)", row_key(tenant)).await?;
        found.as_ref().map(named_row).transpose()
    }

    async fn create_archive_row(&self, row: &ArchiveRow) -> Result<bool, PortError> {
        let put = Write::put(write_row(row)).when(Expression::new(IS_ABSENT));
        Ok(self.table.write("dynamodb:PutItem (archive row)", put).await?.is_done())
    }

    async fn advance_archive(
        &self,
        current: &ArchiveRow,
        next: &ArchiveRow,
        segment: Option<&SegmentReference>,
    ) -> Result<AdvanceOutcome, PortError> {
        let operation = "move archive";
        let changes = Changes::default()
            .set_or_remove(BUCKET, next.bucket.as_ref().map(text))
            .set(ARCHIVED_THROUGH, text(next.archived_through))
            .set(SEGMENTS_THROUGH, text(next.segments_through))
            .set(EXPIRES_AT, seconds(next.expires_at));
        let is_current = match &current.bucket {
            Some(bucket) => {
                Expression::new("#archivedFrom = :from AND #archivedThrough = :through AND #bucket = :currentBucket")
                    .with("currentBucket", text(bucket))
            }
            None => Expression::new(
                "#archivedFrom = :from AND #archivedThrough = :through AND attribute_not_exists(#bucket)",
            ),
        };
        let is_current =
            is_current.with("from", text(current.archived_from)).with("through", text(current.archived_through));
        let update = Write::update(row_key(&current.tenant), changes).when(is_current);
        let Some(segment) = segment else {
            let is_done = self.table.write(operation, update).await?.is_done();
            return Ok(if is_done { AdvanceOutcome::Done } else { AdvanceOutcome::Moved });
        };
        let put = Write::put(write_segment(&current.tenant, segment)).when(Expression::new(IS_ABSENT));
        let mut transaction = Transaction::new(operation);
        let row = transaction.push(update.part(&self.table.name))?;
        transaction.push(put.part(&self.table.name))?;
        Ok(match self.table.transact(transaction).await? {
            TransactionOutcome::Done => AdvanceOutcome::Done,
            TransactionOutcome::Refused(cancellation) if cancellation.is_refused(row) => AdvanceOutcome::Moved,
            TransactionOutcome::Refused(_) => AdvanceOutcome::ReferenceExists,
        })
    }

    async fn extend_archive_row(&self, current: &ArchiveRow, next: &ArchiveRow) -> Result<bool, PortError> {
        let marks = [
            ("#extendedThrough", "extended", current.extended_through),
            ("#keptThrough", "kept", current.kept_through),
        ];
        let conditions = marks.map(|(name, placeholder, mark)| match mark {
            Some(_) => format!(" AND {name} = :{placeholder}"),
            None => format!(" AND attribute_not_exists({name})"),
        });
        let is_current = Expression::new(format!("#archivedFrom = :from{}", conditions.concat()))
            .with("from", text(current.archived_from));
        let is_current = marks.into_iter().fold(is_current, |condition, (_, placeholder, mark)| match mark {
            Some(mark) => condition.with(placeholder, text(mark)),
            None => condition,
        });
        let changes = Changes::default()
            .set_or_remove(EXTENDED_THROUGH, next.extended_through.map(text))
            .set_or_remove(KEPT_THROUGH, next.kept_through.map(text));
        let update = Write::update(row_key(&current.tenant), changes).when(is_current);
        Ok(self.table.write("dynamodb:UpdateItem (archive row)", update).await?.is_done())
    }

    async fn segments(&self, tenant: &TenantId, range: BlockRange) -> Result<Vec<SegmentReference>, PortError> {
        let operation = "dynamodb:Query (segments)";
        let partition = segment_partition(tenant);
        let key = Expression::new("#partition = :partition AND #blockId >= :first")
            .with("partition", text(&partition))
            .with("first", text(range.first));
        let page = self.table.page(operation, &Query::new(key).limit(PAGE_SEGMENTS), None).await?;
        let segments = page.items.iter().map(|found| {
            read_segment(found).map_err(|error| {
                PortError::internal(operation, format!("an item of {partition}: {error}")).caused_by(error)
            })
        });
        let mut found = Vec::new();
        for segment in segments {
            let segment = segment?;
            if segment.covers.first >= range.end {
                break;
            }
            found.push(segment);
        }
        Ok(found)
    }
}

impl ArchiveReset for ArchiveTable {
    async fn archive_bucket(&self, tenant: &TenantId) -> Result<Option<BucketName>, PortError> {
        let operation = "dynamodb:Query (bucket of an archive)";
        let key = Expression::new("#partition = :partition AND #blockId = :tenant")
            .with("partition", text(RegistryShard::of(tenant)))
            .with("tenant", text(tenant));
        let page = self.table.page(operation, &Query::new(key).project(BUCKET_PROJECTION).limit(1), None).await?;
        let found = page.items.first().map(read_bucket).transpose();
        let found =
            found.map_err(|error| PortError::internal(operation, format!("{tenant}: {error}")).caused_by(error))?;
        Ok(found.flatten())
    }

    async fn reset_archive_row(&self, row: &ArchiveRow) -> Result<(), PortError> {
        let changes = Changes::default()
            .set_or_remove(BUCKET, row.bucket.as_ref().map(text))
            .set(ARCHIVED_FROM, text(row.archived_from))
            .set(ARCHIVED_THROUGH, text(row.archived_through))
            .set(SEGMENTS_THROUGH, text(row.segments_through))
            .set_or_remove(EXTENDED_THROUGH, row.extended_through.map(text))
            .set_or_remove(KEPT_THROUGH, row.kept_through.map(text))
            .set(EXPIRES_AT, seconds(row.expires_at));
        // The update of an item that is not there would create one.
        let update = Write::update(row_key(&row.tenant), changes).when(Expression::new(IS_THERE));
        match self.table.write("dynamodb:UpdateItem (archive row of an erased tenant)", update).await? {
            WriteOutcome::Done(_) | WriteOutcome::Refused(_) => Ok(()),
        }
    }
}

impl BlockExpiry for ArchiveTable {
    async fn extend_expiry(
        &self,
        tenant: &TenantId,
        shard: Shard,
        range: BlockRange,
        lifetime: Duration,
    ) -> Result<Option<BlockId>, PortError> {
        let operation = "dynamodb:Query (expiries)";
        let partition = partition_key(tenant, shard);
        let key = Expression::new("#partition = :partition AND #blockId BETWEEN :first AND :last")
            .with("partition", text(&partition))
            .with("first", text(range.first))
            .with("last", text(range.end.previous()));
        let query = Query::new(key).project(EXPIRY_PROJECTION).limit(PAGE_EXPIRIES);
        let page = self.table.page(operation, &query, None).await?;
        let mut updates = Vec::new();
        for found in &page.items {
            // A malformed item has no stamp by which it could expire later; the run that meets it reports it.
            let Ok(id) = read_id(found) else { continue };
            let wanted = id.timestamp().saturating_add(lifetime);
            let expires_at = Attributes(found).optional_seconds(EXPIRES_AT).ok().flatten();
            if expires_at.is_some_and(|expires_at| expires_at.as_seconds() < wanted.as_seconds()) {
                let key = found.iter().filter(|(name, _)| [PARTITION, BLOCK_ID].contains(&name.as_str()));
                let key = key.map(|(name, value)| (name.clone(), value.clone())).collect();
                let is_shorter = Expression::new("attribute_exists(#partition) AND #expiresAt < :expiresAt");
                updates.push(Write::update(key, Changes::default().set(EXPIRES_AT, seconds(wanted))).when(is_shorter));
            }
        }
        self.table.write_each("dynamodb:UpdateItem (expiry)", MAX_CONCURRENT_UPDATES, updates.into_iter()).await?;
        let last = page.next.as_ref().map(|key| Attributes(key).text(BLOCK_ID)).transpose()?;
        Ok(last.and_then(|key| BlockId::first_after(&key)).filter(|rest| *rest < range.end))
    }
}

#[cfg(test)]
mod tests;
