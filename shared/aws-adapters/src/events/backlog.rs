//! Counting a tenant's events without reading them.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use domain::{
    archive::{ArchiveTimes, segment_partition},
    block::{BlockId, SHARDS, Shard, partition_key},
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::item::{self, MalformedItem};
use crate::dynamodb::{
    expression::Expression,
    item::{Attributes, Item, text},
    read::Query,
    table::Table,
};

/// Pages that are read for one count of any number of backlogs. `DynamoDB` ends a page when 1 MB of items is read,
/// including the blocks that the projection leaves out: some ten thousand events a page.
pub const MAX_PAGES: usize = 20;

/// Pages of the first pass: one of each shard.
const FIRST_PAGES: usize = SHARDS as usize;

/// Pages of the second pass: for the backlogs that begin beyond the end of the first one.
const FURTHER_PAGES: usize = MAX_PAGES - FIRST_PAGES;

/// The attributes that are read. The role of the api function permits no other attribute of the table.
const PROJECTION: &str = "blockId, eventCount";

/// Events that are not exported yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backlog {
    pub events: u64,
    /// The time at which the oldest of them was received. `None`: there are none, or, unless `is_complete`, it is not known.
    pub oldest: Option<Timestamp>,
    /// `false`: the counting ended at its bound, and there may be more than `events`.
    pub is_complete: bool,
}

/// The time that the blocks of a segment span at most.
const LONGEST_SEGMENT: Duration = Duration::from_hours(1);

/// A block or a segment, of which its events are counted and not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CountedBlock {
    id: BlockId,
    events: u32,
}

/// A page of a shard: all of its blocks from `first` to `last`.
#[derive(Clone, Debug)]
struct Page {
    shard: Shard,
    first: BlockId,
    /// `None`: the page goes to the end of the shard.
    last: Option<BlockId>,
    blocks: Vec<CountedBlock>,
}

impl Page {
    /// Returns whether the page shows what the shard holds at `first`.
    fn shows(&self, first: BlockId) -> bool {
        self.first <= first && self.last.is_none_or(|last| first <= last)
    }
}

/// The segments of a tenant in the archive, from some block on. The ID of each is the last one that it covers.
#[derive(Clone, Debug, Default)]
struct ArchivedPart {
    segments: Vec<CountedBlock>,
    /// The end of the segments: blocks from here on are counted in the table alone.
    end: Option<BlockId>,
}

impl ArchivedPart {
    /// Adds the archived events from `first` on to those that were counted in the table.
    ///
    /// A segment has blocks of one hour. Of the one in whose midst `first` is, nothing is counted, and of none it is known when its
    /// oldest event was received: then there may be more than `events`.
    fn with(&self, first: BlockId, in_table: Backlog) -> Backlog {
        let mut backlog = in_table;
        for segment in self.segments.iter().filter(|segment| segment.id >= first) {
            if first <= BlockId::lowest_at(segment.id.timestamp().floor_to(LONGEST_SEGMENT)) {
                backlog.events = backlog.events.saturating_add(segment.events.into());
            }
            backlog = Backlog { oldest: None, is_complete: false, ..backlog };
        }
        backlog
    }
}

/// Counts in the table `AuditEvents`, strongly consistently.
#[derive(Clone, Debug)]
pub struct EventCounter {
    table: Table,
}

impl EventCounter {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table { client, name: table } }
    }

    /// Returns one backlog for each of `firsts`: the tenant's events from that block on.
    ///
    /// They share one pass from the earliest of `firsts` on, one page of each shard. A backlog that begins beyond where a
    /// page ended is counted in a second pass, unless that takes more pages than are left. Of events that are no longer sure to be in
    /// the table at `now`, those in segments are counted.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn count_from(
        &self,
        tenant: &TenantId,
        firsts: &[BlockId],
        now: Timestamp,
    ) -> Result<Vec<Backlog>, PortError> {
        let Some(earliest) = firsts.iter().copied().min() else { return Ok(Vec::new()) };
        // What is younger is in the table, archived or not, and is counted there.
        let table_start = BlockId::lowest_at(now.saturating_sub(ArchiveTimes::PRODUCTION.read_from_table));
        let archive = if earliest < table_start {
            self.archive(tenant, earliest, table_start).await?
        } else {
            ArchivedPart::default()
        };
        let in_table: Vec<_> = firsts.iter().map(|first| archive.end.map_or(*first, |end| end.max(*first))).collect();
        let earliest = in_table.iter().copied().min().unwrap_or(earliest);
        let mut pages = self.pages(tenant, Shard::ALL.into_iter(), earliest).await?;
        if let Some((next, hidden)) = second_pass(&pages, &in_table) {
            pages.extend(self.pages(tenant, hidden.into_iter(), next).await?);
        }
        let backlogs = firsts.iter().zip(in_table);
        Ok(backlogs.map(|(first, in_table)| archive.with(*first, backlog_from(&pages, in_table))).collect())
    }

    /// Reads the segments from the one that has `first` on, of those that end before `end`, as far as a page goes.
    async fn archive(&self, tenant: &TenantId, first: BlockId, end: BlockId) -> Result<ArchivedPart, PortError> {
        let operation = "dynamodb:Query (count archived events)";
        let partition = segment_partition(tenant);
        let key = Expression::new("#partition = :partition AND blockId BETWEEN :first AND :last")
            .with("partition", text(&partition))
            .with("first", text(first))
            .with("last", text(end.previous()));
        let page = self.table.page(operation, &Query::new(key).project(PROJECTION), None).await?;
        let segments = page.items.iter().map(read_block).collect::<Result<Vec<_>, _>>().map_err(|error| {
            PortError::internal(operation, format!("an item of {partition}: {error}")).caused_by(error)
        })?;
        Ok(ArchivedPart { end: segments.last().map(|segment| segment.id.next()), segments })
    }

    async fn pages(
        &self,
        tenant: &TenantId,
        shards: impl Iterator<Item = Shard>,
        first: BlockId,
    ) -> Result<Vec<Page>, PortError> {
        let pages = stream::iter(shards).map(|shard| self.page(tenant, shard, first));
        pages.buffer_unordered(FIRST_PAGES).try_collect().await
    }

    async fn page(&self, tenant: &TenantId, shard: Shard, first: BlockId) -> Result<Page, PortError> {
        let operation = "dynamodb:Query (count events)";
        let partition = partition_key(tenant, shard);
        let key = Expression::new("#partition = :partition AND blockId >= :first")
            .with("partition", text(&partition))
            .with("first", text(first));
        let page = self.table.page(operation, &Query::new(key).project(PROJECTION), None).await?;
        let malformed = |error: MalformedItem| {
            PortError::internal(operation, format!("an item of {partition}: {error}")).caused_by(error)
        };
        let blocks = page.items.iter().map(read_block).collect::<Result<_, _>>().map_err(malformed)?;
        let last = page.next.as_ref().map(item::read_id).transpose().map_err(malformed)?;
        Ok(Page { shard, first, last, blocks })
    }
}

/// Returns the start and the shards of a second pass: the earliest of `firsts` that some page doesn't reach. `None`: every
/// page reaches all of them, or the pass would take too many pages.
fn second_pass(pages: &[Page], firsts: &[BlockId]) -> Option<(BlockId, Vec<Shard>)> {
    let is_hidden = |first: BlockId| pages.iter().any(|page| !page.shows(first));
    let next = firsts.iter().copied().filter(|first| is_hidden(*first)).min()?;
    let hidden: Vec<Shard> = pages.iter().filter(|page| !page.shows(next)).map(|page| page.shard).collect();
    (hidden.len() <= FURTHER_PAGES).then_some((next, hidden))
}

/// Returns the backlog from `first` on, as far as `pages` show it. Events beyond the end of a page are not counted, so
/// `events` is a lower bound; `oldest` is given only if no event beyond can be older.
fn backlog_from(pages: &[Page], first: BlockId) -> Backlog {
    let mut backlog = Backlog { events: 0, oldest: None, is_complete: true };
    let mut is_oldest_known = true;
    for shard in Shard::ALL {
        let of_shard = || pages.iter().filter(|page| page.shard == shard);
        for block in of_shard().flat_map(|page| &page.blocks).filter(|block| block.id >= first) {
            backlog.events = backlog.events.saturating_add(block.events.into());
            let time = block.id.timestamp();
            backlog.oldest = Some(backlog.oldest.map_or(time, |oldest| oldest.min(time)));
        }
        // If a page shows `first` and has an end, that end is a block of the backlog itself.
        is_oldest_known &= of_shard().any(|page| page.shows(first));
        backlog.is_complete &= of_shard().any(|page| page.shows(first) && page.last.is_none());
    }
    Backlog { oldest: backlog.oldest.filter(|_| is_oldest_known), ..backlog }
}

fn read_block(found: &Item) -> Result<CountedBlock, MalformedItem> {
    Ok(CountedBlock { id: item::read_id(found)?, events: Attributes(found).number(item::EVENT_COUNT)? })
}

#[cfg(test)]
mod tests;
