//! The blocks of the events table.

use domain::{
    archive::BlockLayout,
    block::{BlockId, Shard, StoredBlock},
    export_run::BlockRange,
    tenant::TenantId,
};

use super::error::PortError;

/// An item of the events table under a block's ID.
#[derive(Clone, Debug)]
pub enum StoredItem {
    /// A block, not yet checked.
    Block(StoredBlock),
    /// An item that no version of ingest wrote.
    Malformed { id: BlockId, detail: String },
}

impl StoredItem {
    #[must_use]
    pub fn id(&self) -> BlockId {
        match self {
            Self::Block(block) => block.id,
            Self::Malformed { id, .. } => *id,
        }
    }
}

/// Some items of one shard, in the order of their IDs.
#[derive(Clone, Debug, Default)]
pub struct BlockPage {
    pub items: Vec<StoredItem>,
    /// The start of the next page. `None`: this is the last.
    pub next: Option<BlockId>,
}

/// The events of a tenant, as blocks, in the table and in the archive. Reads are strongly consistent.
///
/// `crate::archive::ArchivedBlocks` adds the archive to a source of the table alone: an adapter of the table implements
/// [`BlockSource::page`] only.
pub trait BlockSource: Send + Sync {
    /// Returns where the blocks of a range are. A merge asks once, and reads each part from its place.
    fn layout(
        &self,
        _tenant: &TenantId,
        range: BlockRange,
    ) -> impl Future<Output = Result<BlockLayout, PortError>> + Send {
        std::future::ready(Ok(BlockLayout::in_table(range)))
    }

    /// Reads a page of a shard of the table.
    fn page(
        &self,
        tenant: &TenantId,
        shard: Shard,
        range: BlockRange,
    ) -> impl Future<Output = Result<BlockPage, PortError>> + Send;

    /// Reads a page of an archived range, or of the rest of one, as a layout has named it.
    fn archived_page(
        &self,
        _tenant: &TenantId,
        range: BlockRange,
    ) -> impl Future<Output = Result<BlockPage, PortError>> + Send {
        let detail = format!("no archive is read here, and blocks from {} on are archived", range.first);
        std::future::ready(Err(PortError::internal("read archive", detail)))
    }
}
