//! The registry of many tenants, for tests in which there is no reference.

use super::*;

/// The registry rows of many tenants.
#[derive(Default)]
pub(super) struct Rows {
    table: Mutex<BTreeMap<TenantId, ArchiveRow>>,
    /// True if the first shard has a row that can't be read.
    pub(super) has_unreadable: bool,
    /// True if there is always another page.
    pub(super) is_endless: bool,
    /// The tenants whose archive was moved, in order.
    pub(super) moved: Mutex<Vec<TenantId>>,
}

impl Rows {
    pub(super) fn new(rows: impl IntoIterator<Item = ArchiveRow>) -> Self {
        let table = rows.into_iter().map(|row| (row.tenant.clone(), row)).collect();
        Self { table: Mutex::new(table), ..Self::default() }
    }

    /// Returns all rows, in the order of the tenants.
    pub(super) fn all(&self) -> Vec<ArchiveRow> {
        self.table.lock().unwrap().values().cloned().collect()
    }
}

impl ArchiveRecords for Rows {
    async fn archive_rows(
        &self,
        shard: RegistryShard,
        _after: Option<&RowPosition>,
    ) -> Result<ArchiveRowPage, PortError> {
        let of_shard = self.all().into_iter().filter(|row| RegistryShard::of(&row.tenant) == shard).map(Ok);
        let is_first = RegistryShard::all().next() == Some(shard);
        let unreadable = (self.has_unreadable && is_first).then(|| Err(PortError::internal("test", "malformed")));
        Ok(ArchiveRowPage {
            rows: of_shard.chain(unreadable).collect(),
            next: self.is_endless.then(|| RowPosition::new("acme".to_owned())),
        })
    }

    async fn archive_row(&self, tenant: &TenantId) -> Result<Option<ArchiveRow>, PortError> {
        Ok(self.table.lock().unwrap().get(tenant).cloned())
    }

    async fn create_archive_row(&self, _row: &ArchiveRow) -> Result<bool, PortError> {
        unreachable!("ingest creates rows")
    }

    async fn advance_archive(
        &self,
        current: &ArchiveRow,
        next: &ArchiveRow,
        _segment: Option<&SegmentReference>,
    ) -> Result<AdvanceOutcome, PortError> {
        let mut rows = self.table.lock().unwrap();
        assert_eq!(rows.insert(current.tenant.clone(), next.clone()).as_ref(), Some(current));
        self.moved.lock().unwrap().push(current.tenant.clone());
        Ok(AdvanceOutcome::Done)
    }

    async fn extend_archive_row(&self, current: &ArchiveRow, next: &ArchiveRow) -> Result<bool, PortError> {
        let mut rows = self.table.lock().unwrap();
        let row = rows.get_mut(&current.tenant).unwrap();
        assert_eq!(row.extended_through, current.extended_through);
        *row = next.clone();
        Ok(true)
    }

    async fn segments(&self, _tenant: &TenantId, _range: BlockRange) -> Result<Vec<SegmentReference>, PortError> {
        Ok(Vec::new())
    }
}
