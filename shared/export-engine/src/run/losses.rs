//! Events that an export can't deliver: those past their retention and those in corrupt blocks.

use domain::{
    block::BlockId,
    export_run::{MAX_SKIPPED_BLOCKS, Window},
};

use super::{engine::EnginePorts, leased_run::LeasedRun};
use crate::{
    alarms::RETENTION_GAP,
    ports::{CorruptBlocks, PortError, READ_BLOCK, RunStore},
};

/// The corrupt blocks of a window, in order.
#[derive(Debug, Default)]
pub(super) struct WindowCorruptBlocks {
    /// Those that an operator has approved to skip.
    pub(super) skipped: Vec<BlockId>,
    /// The others: each has to be there, and sound.
    pub(super) expected: Vec<BlockId>,
    /// True if the write of an object with a skipped block was announced. That object can't be made again, but it may be in
    /// the bucket. So the window ends before it, and the next one has objects of other names.
    pub(super) is_announced: bool,
}

impl<P: EnginePorts> LeasedRun<'_, P> {
    /// Returns the corrupt blocks in the rest of the window.
    pub(super) async fn corrupt_blocks(&self, window: &Window) -> Result<WindowCorruptBlocks, PortError> {
        let runs = self.engine.runs;
        let range = window.remaining();
        let known = runs.corrupt_blocks(&self.lease.key.tenant_id).await?;
        let left =
            known.into_iter().filter(|known| range.contains(known.block) && !window.skipped.contains(&known.block));
        let (approved, expected): (Vec<_>, Vec<_>) = left.partition(|known| known.is_skip_approved);
        let mut corrupt = WindowCorruptBlocks {
            skipped: approved.into_iter().map(|known| known.block).collect(),
            expected: expected.into_iter().map(|known| known.block).collect(),
            is_announced: false,
        };
        if corrupt.skipped.is_empty() {
            return Ok(corrupt);
        }
        let intents = runs.intents(self.lease, window.id).await?;
        corrupt.is_announced = intents.iter().any(|intent| {
            corrupt.skipped.iter().any(|block| intent.first_block <= *block && *block <= intent.last_block)
        });
        if window.skipped.len() + corrupt.skipped.len() > MAX_SKIPPED_BLOCKS {
            let detail =
                format!("more than {MAX_SKIPPED_BLOCKS} corrupt blocks in one window: restore the events table");
            return Err(PortError::internal(READ_BLOCK, detail));
        }
        Ok(corrupt)
    }

    /// Records a corrupt block for all runs of the tenant, for as long as it may be exported. A failure is only logged: the
    /// next run finds the block again.
    pub(super) async fn record_corrupt_block(&self, block: BlockId) {
        let found_at = self.now();
        let settings = &self.engine.settings;
        let expires_at = found_at.saturating_add(settings.retention + settings.grace);
        let tenant = &self.configuration.key.tenant_id;
        if let Err(error) = self.engine.runs.record_corrupt_block(tenant, block, found_at, expires_at).await {
            tracing::warn!(%error, %block, "a corrupt block was not recorded");
        }
    }

    /// Records what is lost, at the time of the loss, for the gap that the next window signs. A failure is only logged: the
    /// next run records it.
    pub(super) async fn record_lost(&self) {
        let Some(gap) = self.state.lost(self.configuration, self.retention_floor(), self.grace_floor()) else { return };
        let key = &self.configuration.key;
        if self.state.begins_loss(&gap) {
            tracing::error!(tenant = %key.tenant_id, configuration = %key.configuration_id, from = %gap.from, to = %gap.to,
                alarm = RETENTION_GAP, "events are past their retention, and the export fails");
        } else {
            tracing::warn!(tenant = %key.tenant_id, configuration = %key.configuration_id, from = %gap.from, to = %gap.to,
                "more events are past their retention, and the export still fails");
        }
        if self.state.lost_through < Some(gap.to)
            && let Err(error) = self.engine.runs.record_lost(self.lease, gap.to).await
        {
            tracing::warn!(%error, "what is lost was not recorded this time");
        }
    }
}
