//! The events of the measurements: generated once, stored on disk as the blocks that ingest would make, and served in the pages
//! that DynamoDB would return.

use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};
use dev_tools::event_generator::EventGenerator;
use domain::{
    block::{BlockEncoder, BlockId, EXPIRY_GRACE, MAX_BLOCK_RAW_LENGTH, Shard, StoredBlock, partition_key},
    tenant::TenantId,
    time::Timestamp,
};

/// The tenant of the events: that of the recorded token in tests/events.
pub const TENANT: &str = "acme";

/// The shards that ingest writes to by default.
pub const WRITE_SHARDS: u8 = 4;

/// The version of stored corpora. It changes with the generator, the encoder and the format of the file.
const FORMAT: u32 = 2;

const SEED: u64 = 20_261_122;
const DAY: Duration = Duration::from_hours(24);
/// An upper bound of the bytes of `,"receivedTimestamp":"…"`.
const STAMP_LENGTH: usize = 48;
pub const RETENTION: Duration = Duration::from_hours(90 * 24);

/// The time over which blocks are spread. Half of the day, because long events end blocks early and make more of them.
const PERIOD: Duration = Duration::from_hours(12);

/// The time between two events: at a hundred a second, 10 million take a bit more than a day.
const EVENT_SPACING: Duration = Duration::from_millis(10);

/// A block of the file.
#[derive(Clone, Debug)]
pub struct CorpusBlock {
    shape: Shape,
    deflate: Bytes,
}

impl CorpusBlock {
    /// Returns the block under an ID, with the checksum of [`StoredBlock::check`].
    pub fn stored(&self, tenant: &TenantId, id: BlockId) -> Result<StoredBlock> {
        let Shape { event_count, raw_length, crc32, oldest_event, newest_event } = self.shape;
        // At once: to combine checksums takes longer than to read a block.
        let crc32c = crc32c(&[&self.deflate, &self.shape.tail(tenant, id)?]);
        let deflate = self.deflate.clone();
        Ok(StoredBlock { id, event_count, raw_length, crc32, crc32c, oldest_event, newest_event, deflate })
    }
}

/// The fields that a block's checksum covers in addition to its bytes, its tenant and its ID.
#[derive(Clone, Copy, Debug)]
struct Shape {
    event_count: u32,
    raw_length: u32,
    crc32: u32,
    oldest_event: Timestamp,
    newest_event: Timestamp,
}

impl Shape {
    fn checksum(&self, deflate_crc32c: u32, tenant: &TenantId, id: BlockId) -> Result<u32> {
        let tail = self.tail(tenant, id)?;
        let combined = crc_fast::checksum_combine(
            CrcAlgorithm::Crc32Iscsi,
            deflate_crc32c.into(),
            crc32c(&[&tail]).into(),
            tail.len() as u64,
        );
        Ok(u32::try_from(combined)?)
    }

    /// Returns what the checksum covers after the block's bytes.
    fn tail(&self, tenant: &TenantId, id: BlockId) -> Result<Vec<u8>> {
        let mut tail = Vec::with_capacity(64);
        tail.extend_from_slice(tenant.as_str().as_bytes());
        tail.extend_from_slice(&ulid_bytes(id)?);
        for number in [self.event_count, self.raw_length, self.crc32] {
            tail.extend_from_slice(&number.to_be_bytes());
        }
        for time in [self.oldest_event, self.newest_event] {
            tail.extend_from_slice(&time.as_millis().to_be_bytes());
        }
        Ok(tail)
    }
}

fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    u32::try_from(digest.finalize() & u64::from(u32::MAX)).unwrap_or_default()
}

/// Parses the printed form of an ID, which is Crockford's base 32, most significant digit first.
fn ulid_bytes(id: BlockId) -> Result<[u8; 16]> {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let number = id.to_string().bytes().try_fold(0_u128, |number, letter| {
        let digit = DIGITS.iter().position(|digit| *digit == letter)?;
        Some((number << 5) | u128::try_from(digit).ok()?)
    });
    Ok(number.context("an ID is not a ULID")?.to_be_bytes())
}

/// The kind of a corpus's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Those of `dev-tools events generate`.
    Ordinary,
    /// 2 KiB each, of random letters, which hardly compress.
    Random,
    /// The same with 200 KiB.
    Long,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Ordinary => "",
            Self::Random => "-random",
            Self::Long => "-long",
        }
    }
}

/// Actions of each class of OCSF.
const ACTIONS: [&str; 4] = ["QUERY", "LOGIN", "UPDATE", "ENABLE_MFA"];

/// Writes an event with a text of random letters.
fn write_random(line: &mut Vec<u8>, number: u64, length: usize, start: Timestamp) -> Result<()> {
    let time = start.saturating_add(EVENT_SPACING * u32::try_from(number)?);
    let action = ACTIONS[usize::try_from(number)? % ACTIONS.len()];
    // Each number has the letters of its own text.
    let bytes = (0..length.div_ceil(8) * 3 / 4).flat_map(|part| scatter(number << 32 | part as u64).to_le_bytes());
    let text = STANDARD.encode(bytes.collect::<Vec<_>>());
    let id = scatter(number);
    writeln!(
        line,
        r#"{{"id":"{id:016x}","eventTimestamp":"{time}","action":"{action}","actor":{{"id":"user-{}"}},"auditPayload":"{text}"}}"#,
        number % 1_000,
    )?;
    Ok(())
}

/// A file with `events` events in blocks of `block_events`.
#[derive(Clone, Debug)]
pub struct CorpusFile {
    pub path: PathBuf,
    pub events: u64,
    pub block_events: u64,
    /// The time over which the blocks are spread, from the start of their day on.
    period: Duration,
}

impl CorpusFile {
    /// Returns a file that was prepared before, to read its blocks.
    pub fn existing(path: PathBuf) -> Self {
        Self { path, events: 0, block_events: 1, period: PERIOD }
    }

    /// Spreads the blocks over another time.
    pub fn within(self, period: Duration) -> Self {
        Self { period, ..self }
    }

    /// Creates the file unless it exists. Ten million events take some two minutes.
    pub fn prepare(directory: &Path, events: u64, block_events: u64) -> Result<Self> {
        Self::prepare_of(Kind::Ordinary, directory, events, block_events)
    }

    pub fn prepare_of(kind: Kind, directory: &Path, events: u64, block_events: u64) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let path = directory.join(format!("corpus-{FORMAT}-{events}-by-{block_events}{}.blocks", kind.suffix()));
        let file = Self { path, events, block_events, period: PERIOD };
        if !file.path.exists() {
            let unfinished = file.path.with_extension("unfinished");
            file.write(&unfinished, kind)?;
            fs::rename(&unfinished, &file.path)?;
        }
        Ok(file)
    }

    fn write(&self, path: &Path, kind: Kind) -> Result<()> {
        let start = Timestamp::parse("2026-11-01T00:00:00Z")?;
        let mut generator = EventGenerator::new(TenantId::parse(TENANT)?, SEED, start, EVENT_SPACING);
        let mut writer = BlockWriter {
            tenant: TenantId::parse(TENANT)?,
            encoder: BlockEncoder::default(),
            output: BufWriter::new(File::create(path)?),
            lines: Vec::new(),
            length: 0,
        };
        let mut line = Vec::new();
        for number in 0..self.events {
            line.clear();
            match kind {
                Kind::Ordinary => generator.write_next(&mut line)?,
                Kind::Random => write_random(&mut line, number, 2 * 1024, start)?,
                Kind::Long => write_random(&mut line, number, 200 * 1024, start)?,
            }
            writer.push(&line, self.block_events)?;
        }
        writer.end_block()?;
        writer.output.flush()?;
        Ok(())
    }

    /// Reads the blocks one after the other.
    pub fn blocks(&self) -> Result<impl Iterator<Item = Result<CorpusBlock>>> {
        let mut input = BufReader::with_capacity(1024 * 1024, File::open(&self.path)?);
        Ok(std::iter::from_fn(move || match read_block(&mut input) {
            Ok(Some(block)) => Some(Ok(block)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }))
    }

    /// Returns the blocks as ingest would have written them to the first `write_shards` shards, evenly over their period, in the
    /// order of their IDs.
    pub fn placed(&self, day: Timestamp, write_shards: u8) -> Result<impl Iterator<Item = Result<PlacedBlock>>> {
        let tenant = TenantId::parse(TENANT)?;
        let blocks = self.events.div_ceil(self.block_events).max(1);
        let spacing = u64::try_from(self.period.as_millis())? / blocks;
        ensure!(spacing > 0, "more blocks than the period has milliseconds");
        Ok((0..).zip(self.blocks()?).map(move |(number, block)| {
            let block = block?;
            let random = scatter(number);
            let millis = number * spacing;
            Ok(PlacedBlock {
                number,
                millis,
                random,
                shard: Shard::new(u8::try_from((random >> 40) % u64::from(write_shards))?)?,
                shape: block.shape,
                block: block.stored(&tenant, block_id(day, millis, random))?,
            })
        }))
    }
}

/// A block of the tenant with its ID and shard.
#[derive(Clone, Debug)]
pub struct PlacedBlock {
    pub shard: Shard,
    pub block: StoredBlock,
    number: u64,
    millis: u64,
    random: u64,
    shape: Shape,
}

struct BlockWriter {
    tenant: TenantId,
    encoder: BlockEncoder,
    output: BufWriter<File>,
    lines: Vec<Vec<u8>>,
    /// The bytes of the block so far.
    length: usize,
}

impl BlockWriter {
    /// Adds an event. A block has fewer than `block_events` events if they are long, as in ingest.
    fn push(&mut self, line: &[u8], block_events: u64) -> Result<()> {
        let length = line.len() + STAMP_LENGTH;
        if self.lines.len() as u64 >= block_events || self.length + length > MAX_BLOCK_RAW_LENGTH {
            self.end_block()?;
        }
        self.lines.push(line.to_vec());
        self.length += length;
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        let lines = std::mem::take(&mut self.lines);
        self.length = 0;
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return Ok(()) };
        let (oldest, newest) = (event_timestamp(first)?, event_timestamp(last)?);
        let mut raw = Vec::new();
        for line in &lines {
            // The stamp of ingest.
            raw.extend_from_slice(line.strip_suffix(b"}\n").context("an event is not an object")?);
            raw.extend_from_slice(format!(",\"receivedTimestamp\":\"{newest}\"}}\n").as_bytes());
        }
        let block = self.encoder.encode(&self.tenant, BlockId::from_parts(newest, 0), &raw, oldest, newest)?;
        for number in [block.event_count, block.raw_length, block.crc32, u32::try_from(block.deflate.len())?] {
            self.output.write_all(&number.to_le_bytes())?;
        }
        for time in [oldest, newest] {
            self.output.write_all(&time.as_millis().to_le_bytes())?;
        }
        self.output.write_all(&block.deflate)?;
        Ok(())
    }
}

fn read_block(input: &mut impl Read) -> Result<Option<CorpusBlock>> {
    let mut head = [0; 32];
    match input.read(&mut head[..1])? {
        0 => return Ok(None),
        _ => input.read_exact(&mut head[1..])?,
    }
    let number = |start: usize| head.get(start..start + 4)?.try_into().ok().map(u32::from_le_bytes);
    let time = |start: usize| Timestamp::from_millis(u64::from_le_bytes(head.get(start..start + 8)?.try_into().ok()?));
    let parts = (|| Some((number(0)?, number(4)?, number(8)?, number(12)?, time(16)?, time(24)?)))();
    let (event_count, raw_length, crc32, length, oldest_event, newest_event) =
        parts.context("the corpus is damaged")?;
    let mut deflate = vec![0; usize::try_from(length)?];
    input.read_exact(&mut deflate)?;
    let shape = Shape { event_count, raw_length, crc32, oldest_event, newest_event };
    Ok(Some(CorpusBlock { shape, deflate: deflate.into() }))
}

fn event_timestamp(line: &[u8]) -> Result<Timestamp> {
    let text = std::str::from_utf8(line)?;
    let value = text.split_once("\"eventTimestamp\":\"").and_then(|(_, rest)| rest.split('"').next());
    Ok(Timestamp::parse(value.context("an event without a timestamp")?)?)
}

/// The position of a block in the bytes of its shard, and the inputs for its copies under other IDs.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The time of the block since the start of its day.
    millis: u64,
    random: u64,
    start: usize,
    /// The end of the ID and the checksum, which differ between copies.
    rest: usize,
    end: usize,
    /// The length that DynamoDB counts towards a page.
    item_length: usize,
    deflate_crc32c: u32,
    /// The number of blocks of all shards before it.
    number: u64,
    shape: Shape,
}

#[derive(Debug, Default)]
struct ShardPages {
    /// Items as JSON, each followed by a comma.
    json: Bytes,
    places: Vec<Place>,
}

/// The blocks of a file as items of the table, spread evenly over half a UTC day.
#[derive(Debug)]
pub struct Corpus {
    tenant: TenantId,
    /// The first day; copies follow on the days after.
    day: Timestamp,
    shards: Vec<ShardPages>,
    totals: Vec<Totals>,
}

/// The sums over some blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub blocks: u64,
    pub events: u64,
    pub raw_bytes: u64,
    pub stored_bytes: u64,
}

impl Totals {
    fn add(&mut self, block: &StoredBlock) {
        self.blocks += 1;
        self.events += u64::from(block.event_count);
        self.raw_bytes += u64::from(block.raw_length);
        self.stored_bytes += block.deflate.len() as u64;
    }
}

impl Corpus {
    /// Loads a file as ingest would have written it to the first `write_shards` shards. `day` is a midnight.
    pub fn load(file: &CorpusFile, day: Timestamp, write_shards: u8) -> Result<Self> {
        let mut json = vec![BytesMut::new(); usize::from(write_shards)];
        let mut shards: Vec<ShardPages> = (0..write_shards).map(|_| ShardPages::default()).collect();
        let mut totals = Vec::new();
        let mut sum = Totals::default();
        let tenant = TenantId::parse(TENANT)?;
        for placed in file.placed(day, write_shards)? {
            let PlacedBlock { number, millis, random, shard: place_of, block, shape } = placed?;
            let shard = usize::from(place_of.number());
            let bytes = &mut json[shard];
            let start = bytes.len();
            write_stamp(bytes, block.id, block.crc32c);
            let rest = bytes.len();
            write_rest(bytes, &tenant, place_of, &block);
            // The block, and about 250 bytes of names and other values.
            let item_length = block.deflate.len() + 250;
            let place = Place {
                millis,
                random,
                start,
                rest,
                end: bytes.len(),
                item_length,
                deflate_crc32c: crc32c(&[&block.deflate]),
                number,
                shape,
            };
            shards[shard].places.push(place);
            sum.add(&block);
            totals.push(sum);
        }
        for (shard, bytes) in shards.iter_mut().zip(json) {
            shard.json = bytes.freeze();
        }
        Ok(Self { tenant, day, shards, totals })
    }

    /// Returns the first `blocks` blocks, once.
    pub fn window(self: &Arc<Self>, blocks: u64) -> Window {
        Window { corpus: Arc::clone(self), blocks: blocks.min(self.totals.len() as u64), copies: 1, others_blocks: 0 }
    }

    /// Returns all blocks on each of `copies` days.
    pub fn copies(self: &Arc<Self>, copies: u64) -> Window {
        Window { corpus: Arc::clone(self), blocks: self.totals.len() as u64, copies, others_blocks: 0 }
    }
}

/// Returns a distinct, evenly distributed number for each number (`SplitMix64`).
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn block_id(day: Timestamp, millis: u64, random: u64) -> BlockId {
    BlockId::from_parts(day.saturating_add(Duration::from_millis(millis)), random.into())
}

fn write_stamp(output: &mut BytesMut, id: BlockId, crc32c: u32) {
    output.put_slice(format!(r#"{{"blockId":{{"S":"{id}"}},"crc32c":{{"N":"{crc32c}"}},"#).as_bytes());
}

fn write_rest(output: &mut BytesMut, tenant: &TenantId, shard: Shard, block: &StoredBlock) {
    let partition = partition_key(tenant, shard);
    let expires_at = block.id.timestamp().saturating_add(RETENTION).saturating_add(EXPIRY_GRACE).as_seconds();
    let StoredBlock { event_count, raw_length, crc32, oldest_event, newest_event, deflate, .. } = block;
    output.put_slice(
        format!(
            r#""partition":{{"S":"{partition}"}},"eventCount":{{"N":"{event_count}"}},"rawLength":{{"N":"{raw_length}"}},"#
        )
        .as_bytes(),
    );
    output
        .put_slice(format!(r#""crc32":{{"N":"{crc32}"}},"oldestEventTimestamp":{{"S":"{oldest_event}"}},"#).as_bytes());
    output.put_slice(
        format!(r#""newestEventTimestamp":{{"S":"{newest_event}"}},"expiresAt":{{"N":"{expires_at}"}},"#).as_bytes(),
    );
    output.put_slice(br#""block":{"B":""#);
    output.put_slice(STANDARD.encode(deflate).as_bytes());
    output.put_slice(b"\"}},");
}

/// The blocks that an export is requested for.
#[derive(Clone, Debug)]
pub struct Window {
    corpus: Arc<Corpus>,
    /// The blocks of each copy.
    blocks: u64,
    copies: u64,
    /// The number of first blocks that every other tenant has too, under other IDs and checksums.
    others_blocks: u64,
}

impl Window {
    /// Gives the first `blocks` blocks to every other tenant as well.
    pub fn with_others(self, blocks: u64) -> Self {
        Self { others_blocks: blocks, ..self }
    }

    pub fn totals(&self) -> Totals {
        let index = usize::try_from(self.blocks).unwrap_or(usize::MAX).checked_sub(1);
        let one = index.and_then(|index| self.corpus.totals.get(index)).copied().unwrap_or_default();
        Totals {
            blocks: one.blocks * self.copies,
            events: one.events * self.copies,
            raw_bytes: one.raw_bytes * self.copies,
            stored_bytes: one.stored_bytes * self.copies,
        }
    }

    /// Returns the earliest time of a block.
    pub fn from(&self) -> Timestamp {
        self.corpus.day
    }

    /// Returns the midnight after all blocks.
    pub fn through(&self) -> Timestamp {
        self.corpus.day.saturating_add(DAY * u32::try_from(self.copies).unwrap_or(u32::MAX))
    }

    /// Returns the answer to a query of a partition as JSON in pieces. `first` and `last` are inclusive.
    pub fn page(
        &self,
        partition: &str,
        first: Option<BlockId>,
        last: Option<BlockId>,
        page_length: usize,
        is_projected: bool,
    ) -> Vec<Bytes> {
        let Some((tenant, shard)) = self.partition(partition) else { return empty_page() };
        let is_own = tenant == self.corpus.tenant;
        let (blocks, copies) = if is_own { (self.blocks, self.copies) } else { (self.others_blocks, 1) };
        let places = shard.places.partition_point(|place| place.number < blocks);
        let length = places as u64 * copies;
        let id_at = |position: u64| {
            let (copy, place) = (position / places as u64, position % places as u64);
            let place = shard.places.get(usize::try_from(place).unwrap_or(usize::MAX));
            place.map(|place| (copy, place, self.id(copy, place)))
        };
        let mut position = partition_point(
            length,
            |position| matches!((id_at(position), first), (Some((_, _, id)), Some(first)) if id < first),
        );
        let from = position;
        let mut read = 0;
        let mut items = Items::default();
        let mut last_read = None;
        while position < length {
            let Some((copy, place, id)) = id_at(position) else { break };
            if last.is_some_and(|last| id > last) {
                break;
            }
            if read > 0 && read + place.item_length > page_length {
                return items.into_page(position - from, last_read.map(|id: BlockId| (partition, id)));
            }
            read += place.item_length;
            if is_projected {
                items.project(id, place.shape.event_count);
            } else if copy == 0 && is_own {
                items.unchanged(&shard.json, place);
            } else {
                items.stamped(&shard.json, place, id, &tenant);
            }
            last_read = Some(id);
            position += 1;
        }
        items.into_page(position - from, None)
    }

    /// Returns the tenant and the blocks of a partition.
    fn partition(&self, partition: &str) -> Option<(TenantId, &ShardPages)> {
        let (tenant, shard) = partition.rsplit_once('#')?;
        let shard = Shard::parse(shard).ok()?;
        Some((TenantId::parse(tenant).ok()?, self.corpus.shards.get(usize::from(shard.number()))?))
    }

    fn id(&self, copy: u64, place: &Place) -> BlockId {
        let day = self.corpus.day.saturating_add(DAY * u32::try_from(copy).unwrap_or(u32::MAX));
        block_id(day, place.millis, place.random)
    }
}

/// Returns the first position for which `is_before` is false.
fn partition_point(length: u64, is_before: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn empty_page() -> Vec<Bytes> {
    vec![Bytes::from_static(br#"{"Count":0,"Items":[],"ScannedCount":0}"#)]
}

/// The items of a page: a range of the shard's bytes, or items that are made one by one.
#[derive(Debug, Default)]
struct Items {
    shard: Option<(Bytes, usize, usize)>,
    made: BytesMut,
}

impl Items {
    fn unchanged(&mut self, json: &Bytes, place: &Place) {
        match &mut self.shard {
            Some((_, _, end)) => *end = place.end,
            None => self.shard = Some((json.clone(), place.start, place.end)),
        }
    }

    fn stamped(&mut self, json: &Bytes, place: &Place, id: BlockId, tenant: &TenantId) {
        // IDs that were parsed have a checksum. Without one, the exporter refuses the block.
        let crc32c = place.shape.checksum(place.deflate_crc32c, tenant, id).unwrap_or_default();
        write_stamp(&mut self.made, id, crc32c);
        self.made.extend_from_slice(json.get(place.rest..place.end).unwrap_or_default());
    }

    fn project(&mut self, id: BlockId, event_count: u32) {
        let item = format!(r#"{{"blockId":{{"S":"{id}"}},"eventCount":{{"N":"{event_count}"}}}},"#);
        self.made.extend_from_slice(item.as_bytes());
    }

    fn into_page(self, count: u64, next: Option<(&str, BlockId)>) -> Vec<Bytes> {
        if count == 0 {
            return empty_page();
        }
        let stretch = self.shard.map(|(json, start, end)| json.slice(start..end)).unwrap_or_default();
        let made = self.made.freeze();
        // Without the comma of the last item.
        let (stretch, made) = if made.is_empty() {
            (stretch.slice(..stretch.len() - 1), made)
        } else {
            (stretch, made.slice(..made.len() - 1))
        };
        let next = next.map_or_else(String::new, |(partition, id)| {
            format!(r#","LastEvaluatedKey":{{"partition":{{"S":"{partition}"}},"blockId":{{"S":"{id}"}}}}"#)
        });
        vec![
            Bytes::from(format!(r#"{{"Count":{count},"ScannedCount":{count},"Items":["#)),
            stretch,
            made,
            Bytes::from(format!("]{next}}}")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn corpus(name: &str) -> Arc<Corpus> {
        let directory = std::env::temp_dir().join(format!("bench-{}-{name}", std::process::id()));
        let file = CorpusFile::prepare(&directory, 230, 10).unwrap();
        let corpus = Corpus::load(&file, Timestamp::parse("2026-11-20T00:00:00Z").unwrap(), WRITE_SHARDS).unwrap();
        fs::remove_dir_all(directory).unwrap();
        Arc::new(corpus)
    }

    /// Reads all blocks of a window page by page.
    fn read(window: &Window, page_length: usize) -> Vec<StoredBlock> {
        let mut blocks = Vec::new();
        for shard in Shard::ALL {
            let partition = partition_key(&window.corpus.tenant, shard);
            let mut first = BlockId::lowest_at(window.from());
            loop {
                let last = BlockId::lowest_at(window.through()).previous();
                let page = window.page(&partition, Some(first), Some(last), page_length, false).concat();
                let page: Value = serde_json::from_slice(&page).unwrap();
                let items = page["Items"].as_array().unwrap();
                assert_eq!(page["Count"], items.len());
                for item in items {
                    let number = |name: &str| item[name]["N"].as_str().unwrap().parse().unwrap();
                    let time = |name: &str| Timestamp::parse(item[name]["S"].as_str().unwrap()).unwrap();
                    blocks.push(StoredBlock {
                        id: BlockId::parse(item["blockId"]["S"].as_str().unwrap()).unwrap(),
                        event_count: number("eventCount"),
                        raw_length: number("rawLength"),
                        crc32: number("crc32"),
                        crc32c: number("crc32c"),
                        oldest_event: time("oldestEventTimestamp"),
                        newest_event: time("newestEventTimestamp"),
                        deflate: STANDARD.decode(item["block"]["B"].as_str().unwrap()).unwrap().into(),
                    });
                }
                let Some(next) = page["LastEvaluatedKey"]["blockId"]["S"].as_str() else { break };
                first = BlockId::parse(next).unwrap().next();
            }
        }
        blocks
    }

    #[test]
    fn every_block_is_served_once_and_is_what_it_says() {
        let corpus = corpus("once");
        for (window, expected) in [(corpus.window(u64::MAX), 23), (corpus.window(5), 5), (corpus.copies(3), 69)] {
            for page_length in [1, 5_000, 1_000_000] {
                let mut blocks = read(&window, page_length);
                assert_eq!(blocks.len(), expected);
                let mut sum = Totals::default();
                for block in &blocks {
                    block.check(&window.corpus.tenant).unwrap();
                    assert_eq!(block.inflate().unwrap().len() as u64, u64::from(block.raw_length));
                    sum.add(block);
                }
                assert_eq!(sum, window.totals());
                blocks.sort_by_key(|block| block.id);
                blocks.dedup_by_key(|block| block.id);
                assert_eq!(blocks.len(), expected);
            }
        }
    }

    #[test]
    fn random_events_hardly_compress() {
        let directory = std::env::temp_dir().join(format!("bench-{}-random", std::process::id()));
        for (kind, events, least) in [(Kind::Random, 50, 2_048), (Kind::Long, 5, 204_800)] {
            let file = CorpusFile::prepare_of(kind, &directory, events, 1).unwrap();
            let corpus = Corpus::load(&file, Timestamp::parse("2026-11-20T00:00:00Z").unwrap(), 1).unwrap();
            let totals = Arc::new(corpus).window(u64::MAX).totals();
            assert_eq!((totals.blocks, totals.events), (events, events));
            assert!(totals.raw_bytes / events >= least && totals.raw_bytes / events < least + 256, "{totals:?}");
            assert!(totals.stored_bytes > totals.raw_bytes / 3 * 2, "{totals:?}");
        }
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn other_tenants_have_their_own_blocks() {
        let window = corpus("others").window(u64::MAX);
        let page = |window: &Window| {
            let page = window.page("other#00", None, None, 1_000_000, false).concat();
            serde_json::from_slice::<Value>(&page).unwrap()["Count"].as_u64().unwrap()
        };
        assert_eq!(page(&window), 0);
        let all = page(&window.clone().with_others(23));
        assert!(all > 0 && page(&window.with_others(1)) <= 1);
    }

    #[test]
    fn a_projection_has_ids_and_counts() {
        let window = corpus("projection").window(u64::MAX);
        let partition = partition_key(&window.corpus.tenant, Shard::ALL[0]);
        let page: Value =
            serde_json::from_slice(&window.page(&partition, None, None, 1_000_000, true).concat()).unwrap();
        let items = page["Items"].as_array().unwrap();
        assert!(!items.is_empty());
        assert!(items.iter().all(|item| item.as_object().unwrap().len() == 2 && item["eventCount"]["N"] == "10"));
    }
}
