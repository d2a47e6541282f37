//! The blocks of the events table.

use domain::{
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

/// The events of a tenant, as blocks. Reads are strongly consistent.
pub trait BlockSource: Send + Sync {
    fn page(
        &self,
        tenant: &TenantId,
        shard: Shard,
        range: BlockRange,
    ) -> impl Future<Output = Result<BlockPage, PortError>> + Send;
}
