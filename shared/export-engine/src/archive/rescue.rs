//! The rescue: blocks of tenants whose archive is behind get the full expiry.

use std::{collections::BTreeMap, future::ready, time::Duration};

use domain::{
    archive::{ArchiveRow, ArchiveTimes},
    block::{BlockId, Shard},
    export_run::BlockRange,
    retention::RetentionHistory,
    time::Timestamp,
};
use futures::stream::{FuturesUnordered, StreamExt, TryStreamExt, iter};
use host::Clock;

use super::registry::for_each_row;
use crate::{
    alarms::{ARCHIVE_BEHIND, ARCHIVE_DAMAGED},
    ports::{ArchiveRecords, BlockExpiry, PortError},
};

/// The tenants that are rescued at a time, and the shards of each.
const CONCURRENT_TENANTS: usize = 4;
const CONCURRENT_SHARDS: usize = 4;

/// The pages of a shard after which the progress of a tenant is stored, and it is the turn of the next.
const PAGES_OF_PIECE: u32 = 8;

/// The most tenants that one invocation rescues. The others come next: they are further behind then.
const MAX_TENANTS: usize = 20_000;

/// The settings of the rescue.
#[derive(Clone, Debug)]
pub struct RescueSettings {
    /// As for the archiver: blocks are kept for the longest retention that counts for one of them.
    pub retention: Duration,
    pub history: RetentionHistory,
    pub deploy_margin: Duration,
    pub grace: Duration,
    pub times: ArchiveTimes,
    /// The time after which no further page is begun.
    pub deadline: Timestamp,
}

/// The rescue, over its ports. It works without the archiver, and shares with it only the reading of the registry.
#[derive(Debug)]
pub struct Rescue<'a, R, E, K> {
    pub records: &'a R,
    pub expiry: &'a E,
    pub clock: &'a K,
    pub settings: RescueSettings,
}

/// The result of an invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RescueOutcome {
    /// The rows of the registry.
    pub tenants: u64,
    /// How far the archive of the tenant that is furthest behind is.
    pub furthest_lag: Duration,
    /// The longest time since which the blocks of a tenant wait for their rescue.
    pub overdue: Duration,
    /// The tenants whose blocks got the full expiry.
    pub rescued: u64,
    /// The tenants with blocks that may have been deleted before. Their archives stay closed, with an alarm.
    pub late: u64,
    /// The tenants whose rescue failed. The next one goes on where it was.
    pub failed: u64,
    /// True if every row was read and every rescue is done.
    pub is_complete: bool,
}

impl RescueOutcome {
    /// Returns how late the archive is, for its alarm. Where nothing is archived any more, blocks with the short expiry may be
    /// left from before: then it is how late their rescue is.
    #[must_use]
    pub fn lag(&self, is_archiving: bool) -> Duration {
        if is_archiving { self.furthest_lag } else { self.overdue }
    }
}

/// The place of a tenant among those that wait: no tenant has two turns while another one waits for its first, and of those
/// with as many turns, the furthest behind is first. The last number makes it unique.
type Turn = (u32, BlockId, usize);

/// The rest of a tenant's rescue.
struct Work {
    row: ArchiveRow,
    range: BlockRange,
    /// The blocks that may be deleted in part. What is left of them is kept, too, but after those that are still there.
    older: Option<BlockRange>,
    kept: Duration,
    /// True if some of the blocks may have been deleted, so that the row must not say that all are there.
    is_late: bool,
    /// The end of all blocks to rescue.
    end: BlockId,
}

/// The outcome of a turn.
enum Piece {
    Done,
    Continues,
    /// Another rescue goes on, the tenant was erased, or the answer to a request that worked was lost.
    Moved,
}

impl<R, E, K> Rescue<'_, R, E, K>
where
    R: ArchiveRecords,
    E: BlockExpiry,
    K: Clock,
{
    /// Rescues the blocks of every tenant whose archive is behind: a bounded piece of each in turn, the furthest behind first.
    /// It begins to read the registry at a random shard, so that of those equally far behind, others are first each time.
    ///
    /// # Errors
    /// Those of reading the registry. A failure of one tenant is logged and stops no other.
    pub async fn run(&self, random: u128) -> Result<RescueOutcome, PortError> {
        let mut outcome = RescueOutcome { is_complete: true, ..RescueOutcome::default() };
        let mut waiting = self.read_rows(random, &mut outcome).await?;
        let mut pieces = FuturesUnordered::new();
        loop {
            while pieces.len() < CONCURRENT_TENANTS {
                let Some((turn, mut work)) = waiting.pop_first() else { break };
                if self.clock.now() >= self.settings.deadline {
                    outcome.is_complete = false;
                    waiting.clear();
                    break;
                }
                pieces.push(async move {
                    let piece = self.rescue_piece(&mut work).await;
                    (turn, work, piece)
                });
            }
            let Some(((turns, _, number), work, piece)) = pieces.next().await else { return Ok(outcome) };
            let tenant = &work.row.tenant;
            match piece {
                Ok(Piece::Continues) => {
                    waiting.insert((turns + 1, work.range.first, number), work);
                }
                Ok(Piece::Done) => {
                    outcome.rescued += 1;
                    outcome.late += u64::from(work.is_late);
                    tracing::warn!(%tenant, "the archive of a tenant is behind: its blocks are kept for longer");
                }
                Ok(Piece::Moved) => {
                    outcome.is_complete = false;
                    tracing::info!(%tenant, "another rescue works on the tenant, or it was erased");
                }
                Err(error) => {
                    tracing::error!(%error, %tenant, "a rescue failed; the next one goes on");
                    outcome.failed += 1;
                    outcome.is_complete = false;
                }
            }
        }
    }

    /// Reads the whole registry before anything is rescued, so that the order is not that of the registry.
    async fn read_rows(&self, random: u128, outcome: &mut RescueOutcome) -> Result<BTreeMap<Turn, Work>, PortError> {
        let (mut waiting, mut number) = (BTreeMap::new(), 0);
        let take = |row| {
            outcome.tenants += 1;
            number += 1;
            match row {
                Ok(row) => {
                    let Some(work) = self.work(row, outcome) else { return };
                    waiting.insert((0, work.range.first, number), work);
                }
                Err(error) => {
                    tracing::error!(%error, "a registry row can't be read: its tenant is not rescued");
                    outcome.failed += 1;
                    outcome.is_complete = false;
                }
            }
            if waiting.len() > MAX_TENANTS {
                waiting.pop_last();
                outcome.is_complete = false;
            }
        };
        for_each_row(self.records, random, take).await?;
        Ok(waiting)
    }

    /// Returns what has to be rescued of a tenant, if anything.
    fn work(&self, row: ArchiveRow, outcome: &mut RescueOutcome) -> Option<Work> {
        let RescueSettings { retention, history, deploy_margin, grace, times, .. } = &self.settings;
        let now = self.clock.now();
        if let Err(error) = row.check_marks(now) {
            tracing::error!(tenant = %row.tenant, %error, alarm = ARCHIVE_DAMAGED, "the tenant is not rescued");
            outcome.failed += 1;
            outcome.is_complete = false;
            return None;
        }
        outcome.furthest_lag = outcome.furthest_lag.max(row.lag(now));
        let waits = now.saturating_since(row.safe_through().timestamp()).saturating_sub(times.rescued_after);
        outcome.overdue = outcome.overdue.max(waits);
        let is_late = row.has_losses(now, times);
        if is_late {
            report_losses(&row);
        }
        let Some(range) = row.to_rescue(now, times) else {
            outcome.late += u64::from(is_late);
            return None;
        };
        let kept = history.longest_since(range.first.timestamp(), *deploy_margin, *retention).saturating_add(*grace);
        let sure = times.surely_stored_from(now);
        let mut work = Work { row, range, older: None, kept, is_late, end: range.end };
        if range.first < sure {
            work.range.first = sure.min(range.end);
            work.older = Some(BlockRange { end: work.range.first, ..range });
        }
        Some(work)
    }

    /// Rescues the next blocks of a tenant, and stores how far it came.
    async fn rescue_piece(&self, work: &mut Work) -> Result<Piece, PortError> {
        let range = work.range;
        let shards: Vec<_> =
            Shard::ALL.into_iter().map(|shard| self.rescue_shard(&work.row, shard, range, work.kept)).collect();
        let reached = iter(shards).buffer_unordered(CONCURRENT_SHARDS);
        let reached = reached.try_fold(range.end, |first, of_shard| ready(Ok(first.min(of_shard)))).await?;
        if !work.is_late && range.first < self.settings.times.surely_stored_from(self.clock.now()) {
            work.is_late = true;
            report_losses(&work.row);
        }
        if let Some(next) = work.after_piece(reached) {
            if !self.records.extend_archive_row(&work.row, &next).await? {
                return Ok(Piece::Moved);
            }
            work.row = next;
        }
        work.range.first = reached;
        if !work.range.is_empty() {
            return Ok(Piece::Continues);
        }
        let Some(older) = work.older.take() else { return Ok(Piece::Done) };
        work.range = older;
        Ok(Piece::Continues)
    }

    /// Rescues a few pages of a shard, the first one in any case. Returns the block before which all are rescued.
    async fn rescue_shard(
        &self,
        row: &ArchiveRow,
        shard: Shard,
        range: BlockRange,
        kept: Duration,
    ) -> Result<BlockId, PortError> {
        let mut rest = range;
        for _ in 0..PAGES_OF_PIECE {
            match self.expiry.extend_expiry(&row.tenant, shard, rest, kept).await? {
                None => return Ok(range.end),
                Some(first) => rest.first = first,
            }
            if self.clock.now() >= self.settings.deadline {
                break;
            }
        }
        Ok(rest.first)
    }
}

impl Work {
    /// Returns the row after a piece that reached a block. A late rescue leaves `extended_through`, so that readers and the archiver
    /// go on failing until an operator has accepted what is there; it notes how far it kept that, so that the next one does not
    /// read everything again. `None`: there are older blocks to keep first.
    fn after_piece(&self, reached: BlockId) -> Option<ArchiveRow> {
        if !self.is_late {
            return Some(ArchiveRow { extended_through: Some(reached), ..self.row.clone() });
        }
        // The older blocks come last: what follows them is kept already.
        let kept = if reached >= self.range.end { self.end } else { reached };
        self.older.is_none().then(|| ArchiveRow { kept_through: Some(kept), ..self.row.clone() })
    }
}

/// Raises the alarm of a tenant with blocks that may be deleted, and says how far what is left of them is kept.
fn report_losses(row: &ArchiveRow) {
    let (since, through) = (row.safe_through(), row.rescued_through());
    tracing::error!(tenant = %row.tenant, %since, %through, alarm = ARCHIVE_BEHIND,
        "blocks are rescued after their expiry: some may be deleted, and no reader passes them until that is accepted");
}
