//! The tables, through the stores that the service itself uses, and objects in S3.

use aws_adapters::{
    archive::records::ArchiveTable,
    configurations::{ConfigurationTable, OverviewPage, OverviewPosition},
    events::volume::{StoredVolume, VolumeReader},
};
use domain::{export_run::BlockRange, tenant::TenantId, time::Timestamp};
use export_engine::{
    archive::for_each_row,
    ports::{ErrorKind, PortError},
};

use super::{
    Aws,
    answer::{call, kind_of_code},
};
use crate::{
    call::Call,
    failure::{CallFailure, CallFailureKind, Failure},
    ports::{ArchiveStanding, Archives, Objects, Overviews, Volumes},
    stack::{Stack, Table},
};

/// Converts an error of a store. Its detail begins with AWS's code.
fn stored(call: Call) -> impl FnOnce(PortError) -> CallFailure {
    move |error| {
        let code = error.detail.split(':').next().unwrap_or_default();
        let kind = kind_of_code(code).unwrap_or(match error.kind {
            ErrorKind::Transient | ErrorKind::Unreachable => CallFailureKind::Unavailable,
            _ => CallFailureKind::Refused,
        });
        CallFailure { call, kind, detail: error.detail }
    }
}

impl Overviews for Aws {
    async fn overviews(
        &self,
        stack: &Stack,
        tenant: Option<&TenantId>,
        after: Option<OverviewPosition>,
    ) -> Result<OverviewPage, Failure> {
        let name = stack.id_of(Table::ExportConfigurationsTable)?.to_owned();
        let table = ConfigurationTable::new(self.dynamodb.clone(), name);
        let call = if tenant.is_some() { Call::QueryConfigurations } else { Call::ScanConfigurations };
        Ok(table.overview_page(tenant, after).await.map_err(stored(call))?)
    }
}

impl Volumes for Aws {
    async fn volume(
        &self,
        stack: &Stack,
        tenant: &TenantId,
        range: BlockRange,
        max_pages_per_shard: usize,
    ) -> Result<StoredVolume, Failure> {
        let reader = VolumeReader::new(self.dynamodb.clone(), stack.id_of(Table::AuditEventsTable)?.to_owned());
        Ok(reader.volume(tenant, range, max_pages_per_shard).await.map_err(stored(Call::QueryEvents))?)
    }
}

impl Archives for Aws {
    async fn archive(&self, stack: &Stack, now: Timestamp) -> Result<ArchiveStanding, Failure> {
        let table = ArchiveTable::new(self.dynamodb.clone(), stack.id_of(Table::AuditEventsTable)?.to_owned());
        let bucket = stack.archive_bucket()?;
        let mut standing = ArchiveStanding::default();
        let read = for_each_row(&table, 0, |row| standing.add(row.ok(), &bucket, now)).await;
        read.map_err(stored(Call::QueryEvents))?;
        Ok(standing)
    }
}

impl Objects for Aws {
    async fn object(&self, bucket: &str, key: &str, max_length: u64) -> Result<Option<Vec<u8>>, CallFailure> {
        let request = self.s3.get_object().bucket(bucket).key(key);
        let object = match call(Call::GetObject, request.send()).await {
            Ok(object) => object,
            Err(failure) if failure.detail.starts_with("NoSuchKey:") => return Ok(None),
            Err(failure) if failure.kind == CallFailureKind::Denied => return Err(with_missing_object(&failure)),
            Err(failure) => return Err(failure),
        };
        let refused = |detail| CallFailure { call: Call::GetObject, kind: CallFailureKind::Refused, detail };
        let length = object.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(u64::MAX);
        if length > max_length {
            return Err(refused(format!("the object has {length} bytes, more than {max_length}")));
        }
        let bytes = object.body.collect().await.map_err(|error| refused(error.to_string()))?;
        Ok(Some(bytes.to_vec()))
    }
}

/// Adds the other cause to a denied read. Without `s3:ListBucket`, S3 denies reading an object that does not exist:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>.
fn with_missing_object(denied: &CallFailure) -> CallFailure {
    let detail = format!("{}; S3 says this of an object that does not exist, too: check bucket and key", denied.detail);
    CallFailure { detail, ..*denied }
}
