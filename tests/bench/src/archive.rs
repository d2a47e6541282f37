//! The archive of a corpus: its segments, their items, and the row of the tenant, as the archiver would have made them.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use domain::{
    archive::{ArchiveTimes, DayClass, RegistryShard, SEGMENT_LENGTH, SegmentWriter, segment_key},
    block::{BlockId, EXPIRY_GRACE},
    digest::Hex32,
    export_run::BlockRange,
    tenant::TenantId,
    time::Timestamp,
};
use host::{Clock, Machine};
use serde_json::{Value, json};

use crate::{
    corpus::{CorpusFile, RETENTION, TENANT, WRITE_SHARDS},
    stub::s3::part,
};

/// The bucket of the functions' environment.
pub const BUCKET: &str = "archive";

const SPAN: Duration = ArchiveTimes::PRODUCTION.span;

/// The archive of the tenant of the corpus.
#[derive(Debug)]
pub struct Archive {
    /// The row of the tenant.
    pub row: Value,
    /// The items of the segments, by their last IDs.
    items: BTreeMap<String, Value>,
    objects: BTreeMap<String, Bytes>,
}

/// The segment that blocks are added to.
struct Open {
    first: BlockId,
    writer: SegmentWriter,
}

impl Archive {
    /// Archives the blocks of a file as they are on that day: an hour in a segment, or less.
    pub fn of(file: &CorpusFile, day: Timestamp) -> Result<Self> {
        let tenant = TenantId::parse(TENANT)?;
        let start = BlockId::lowest_at(day);
        let mut archive = Self { row: Value::Null, items: BTreeMap::new(), objects: BTreeMap::new() };
        let mut open = Open { first: start, writer: SegmentWriter::new() };
        let mut hour = day;
        for placed in file.placed(day, WRITE_SHARDS)? {
            let block = placed?.block;
            let of_block = block.id.timestamp().floor_to(SPAN);
            if of_block > hour && open.writer.blocks() > 0 {
                open = archive.close(&tenant, open, BlockId::lowest_at(hour.saturating_add(SPAN)));
            }
            hour = of_block;
            open.writer.push(&block);
            if open.writer.stored_length() >= SEGMENT_LENGTH {
                open = archive.close(&tenant, open, block.id.next());
            }
        }
        let mut end = open.first;
        if open.writer.blocks() > 0 {
            end = BlockId::lowest_at(hour.saturating_add(SPAN));
            archive.close(&tenant, open, end);
        }
        let through = BlockId::lowest_at(Machine.now().saturating_sub(SPAN * 2));
        archive.row = row_item(&tenant, [start, through, end]);
        Ok(archive)
    }

    fn close(&mut self, tenant: &TenantId, open: Open, end: BlockId) -> Open {
        let covers = BlockRange { first: open.first, end };
        let (blocks, event_count) = (open.writer.blocks(), open.writer.event_count());
        let bytes = open.writer.finish(tenant, covers);
        let sha256 = Hex32::sha256_of(&bytes);
        let object_key = segment_key(DayClass::of(RETENTION + EXPIRY_GRACE), tenant, covers, sha256);
        let id = covers.end.previous().to_string();
        let (text, number) = (|text: &str| json!({ "S": text }), |number: u64| json!({ "N": number.to_string() }));
        // As shared/aws-adapters/src/archive/item.rs.
        let item = json!({
            "partition": text(&format!("{tenant}#archive")), "blockId": text(&id),
            "firstBlock": text(&covers.first.to_string()), "objectKey": text(&object_key),
            "length": number(bytes.len() as u64), "sha256": text(&sha256.to_string()), "eventCount": number(event_count),
            "blocks": number(blocks.into()), "leftOut": number(0), "expiresAt": number(expires_at()),
        });
        self.items.insert(id, item);
        self.objects.insert(format!("/{BUCKET}/{object_key}"), bytes);
        Open { first: end, writer: SegmentWriter::new() }
    }

    /// Returns the items from an ID on.
    pub fn items(&self, first: &str, limit: usize) -> Vec<&Value> {
        self.items.range(first.to_owned()..).map(|(_, item)| item).take(limit).collect()
    }

    /// Returns bytes of an object, by a header `Range`.
    pub fn read(&self, path: &str, range: &str) -> Option<Bytes> {
        part(self.objects.get(path)?, range)
    }
}

/// Returns the row of a tenant with the marks `archivedFrom`, `archivedThrough` and `segmentsThrough`.
pub fn row_item(tenant: &TenantId, marks: [BlockId; 3]) -> Value {
    let text = |text: &str| json!({ "S": text });
    let [from, through, segments_through] = marks.map(|id| text(&id.to_string()));
    json!({
        "partition": text(&RegistryShard::of(tenant).to_string()), "blockId": text(tenant.as_str()), "bucket": text(BUCKET),
        "archivedFrom": from, "archivedThrough": through, "segmentsThrough": segments_through,
        "expiresAt": {"N": expires_at().to_string()},
    })
}

fn expires_at() -> u64 {
    Machine.now().saturating_add(RETENTION).as_seconds()
}
