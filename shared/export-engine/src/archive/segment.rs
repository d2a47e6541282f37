//! Reading the next segment of a tenant from the table.

use domain::{
    archive::{ArchiveRow, ArchiveTimes, MAX_SEGMENT_BLOCKS, SEGMENT_LENGTH, SegmentWriter},
    block::{BlockId, StoredBlock},
    export_run::BlockRange,
};

use super::reader::damaged;
use crate::{
    merge::BlockMerge,
    object::check,
    ports::{BlockSource, ErrorKind, PortError},
};

/// The blocks of the next segment, and what it covers.
pub(super) struct NextSegment {
    pub(super) first: BlockId,
    pub(super) covers: BlockRange,
    pub(super) writer: SegmentWriter,
}

/// Reads the next segment of the blocks before `end`. `None`: there are none.
///
/// It ends with the span of its first block, before a corrupt block, or with the block that makes it large enough.
pub(super) async fn read_segment<S: BlockSource>(
    blocks: &mut BlockMerge<'_, S>,
    row: &ArchiveRow,
    end: BlockId,
    times: &ArchiveTimes,
) -> Result<Option<NextSegment>, PortError> {
    let Some(first) = blocks.peek().await? else { return Ok(None) };
    if first < row.archived_through {
        return Err(damaged(&row.tenant, &format!("block {first} is in no segment, and before archivedThrough")));
    }
    let mut covers = BlockRange { first: row.segments_through, end: ArchiveRow::span_end(first, times).min(end) };
    let mut writer = SegmentWriter::new();
    let mut last = None;
    loop {
        let block = match next_before(blocks, covers.end, row).await {
            Ok(Some(block)) => block,
            Ok(None) => break,
            Err(PortError { kind: ErrorKind::CorruptBlock(id), .. }) if last.is_some_and(|last| last < id) => {
                covers.end = covers.end.min(id);
                break;
            }
            Err(error) => return Err(error),
        };
        writer.push(&block);
        last = Some(block.id);
        if writer.stored_length() >= SEGMENT_LENGTH || writer.blocks() >= MAX_SEGMENT_BLOCKS {
            covers.end = block.id.next();
            break;
        }
        blocks.yield_turn().await;
    }
    Ok(Some(NextSegment { first, covers, writer }))
}

/// Takes the next block before `end`, and checks it.
async fn next_before<S: BlockSource>(
    blocks: &mut BlockMerge<'_, S>,
    end: BlockId,
    row: &ArchiveRow,
) -> Result<Option<StoredBlock>, PortError> {
    if blocks.peek().await?.is_none_or(|id| id >= end) {
        return Ok(None);
    }
    let Some(block) = blocks.next().await? else { return Ok(None) };
    check(&block, &row.tenant)?;
    Ok(Some(block))
}
