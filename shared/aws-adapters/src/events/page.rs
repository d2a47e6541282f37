//! A strict reader of pages of blocks, for the exporter's hot path.
//!
//! The SDK builds a map of owned names and values for every item, which takes a third of an export's processor time. This
//! reader takes the blocks from the JSON text. It knows one spelling: compact JSON without escapes, and items with the
//! attributes of [`item::write_block`](super::item::write_block) in any order. It refuses everything else, which the SDK
//! then reads.

use std::str::FromStr;

use base64_simd::STANDARD;
use bytes::Bytes;
use domain::{
    block::{BlockId, StoredBlock},
    time::Timestamp,
};
use memchr::memchr;

use super::item::{
    BLOCK, BLOCK_ID, CRC32, CRC32C, EVENT_COUNT, EXPIRES_AT, NEWEST_EVENT_TIMESTAMP, OLDEST_EVENT_TIMESTAMP, PARTITION,
    RAW_LENGTH,
};

/// The most digits of a number of items that certainly fits into the SDK's type.
const MAX_COUNT_DIGITS: usize = 9;

/// The blocks of a page, not yet [checked](StoredBlock::check).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageOfBlocks {
    pub(super) blocks: Vec<StoredBlock>,
    pub(super) is_last: bool,
}

impl PageOfBlocks {
    /// Reads the answer to a query. `None`: its spelling is unknown, or it is malformed.
    pub(super) fn read(answer: &[u8]) -> Option<Self> {
        let mut blocks = None;
        let (mut count, mut scanned_count, mut last_key) = (None, None, None);
        let mut text = Text { rest: answer };
        text.members(|name, text| match name {
            "Items" => set(&mut blocks, text.blocks()?),
            "Count" => set(&mut count, text.count()?),
            "ScannedCount" => set(&mut scanned_count, text.count()?),
            "LastEvaluatedKey" => set(&mut last_key, text.last_key()?),
            _ => None,
        })?;
        text.rest.is_empty().then_some(Self { blocks: blocks?, is_last: last_key.is_none() })
    }
}

/// The attributes of an item.
#[derive(Default)]
struct Attributes<'a> {
    partition: Option<&'a str>,
    id: Option<BlockId>,
    deflate: Option<Vec<u8>>,
    event_count: Option<u32>,
    raw_length: Option<u32>,
    crc32: Option<u32>,
    crc32c: Option<u32>,
    oldest_event: Option<Timestamp>,
    newest_event: Option<Timestamp>,
    expires_at: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    fn read(&mut self, name: &str, text: &mut Text<'a>) -> Option<()> {
        match name {
            PARTITION => set(&mut self.partition, text.plain("S")?),
            BLOCK_ID => set(&mut self.id, BlockId::parse(text.plain("S")?).ok()?),
            BLOCK => set(&mut self.deflate, STANDARD.decode_to_vec(text.attribute("B")?).ok()?),
            EVENT_COUNT => set(&mut self.event_count, text.number()?),
            RAW_LENGTH => set(&mut self.raw_length, text.number()?),
            CRC32 => set(&mut self.crc32, text.number()?),
            CRC32C => set(&mut self.crc32c, text.number()?),
            OLDEST_EVENT_TIMESTAMP => set(&mut self.oldest_event, text.time()?),
            NEWEST_EVENT_TIMESTAMP => set(&mut self.newest_event, text.time()?),
            EXPIRES_AT => set(&mut self.expires_at, text.plain("N")?),
            _ => None,
        }
    }

    fn into_block(self) -> Option<StoredBlock> {
        Some(StoredBlock {
            id: self.id?,
            event_count: self.event_count?,
            raw_length: self.raw_length?,
            crc32: self.crc32?,
            crc32c: self.crc32c?,
            oldest_event: self.oldest_event?,
            newest_event: self.newest_event?,
            deflate: Bytes::from(self.deflate?),
        })
    }
}

/// JSON text that is read from its start.
struct Text<'a> {
    rest: &'a [u8],
}

impl<'a> Text<'a> {
    fn skip(&mut self, expected: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        (*first == expected).then_some(())
    }

    fn is_next(&self, expected: u8) -> bool {
        self.rest.first() == Some(&expected)
    }

    /// Reads the bytes between two quotation marks. They are not a string if they have escapes or are not UTF-8.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        self.skip(b'"')?;
        let (quoted, rest) = self.rest.split_at_checked(memchr(b'"', self.rest)?)?;
        self.rest = rest;
        self.skip(b'"')?;
        Some(quoted)
    }

    /// Reads a list of values, without its brackets, up to `end`.
    fn list(&mut self, end: u8, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.is_next(end) {
            return self.skip(end);
        }
        loop {
            read(self)?;
            if self.is_next(end) {
                return self.skip(end);
            }
            self.skip(b',')?;
        }
    }

    /// Reads the members of an object.
    fn members(&mut self, mut read: impl FnMut(&'a str, &mut Self) -> Option<()>) -> Option<()> {
        self.skip(b'{')?;
        self.list(b'}', |text| {
            let name = plain(text.quoted()?)?;
            text.skip(b':')?;
            read(name, text)
        })
    }

    /// Reads the quoted value of an attribute, such as `{"S":"…"}`.
    fn attribute(&mut self, kind: &str) -> Option<&'a [u8]> {
        self.skip(b'{')?;
        let is_kind = self.quoted()? == kind.as_bytes();
        self.skip(b':')?;
        let value = self.quoted()?;
        self.skip(b'}')?;
        is_kind.then_some(value)
    }

    fn plain(&mut self, kind: &str) -> Option<&'a str> {
        plain(self.attribute(kind)?)
    }

    fn number<N: FromStr>(&mut self) -> Option<N> {
        self.plain("N")?.parse().ok()
    }

    fn time(&mut self) -> Option<Timestamp> {
        Timestamp::parse(self.plain("S")?).ok()
    }

    fn blocks(&mut self) -> Option<Vec<StoredBlock>> {
        let mut blocks = Vec::new();
        self.skip(b'[')?;
        self.list(b']', |text| {
            let mut attributes = Attributes::default();
            text.members(|name, text| attributes.read(name, text))?;
            blocks.push(attributes.into_block()?);
            Some(())
        })?;
        Some(blocks)
    }

    /// Reads the key of the last item. Its value is not needed.
    fn last_key(&mut self) -> Option<()> {
        self.members(|name, text| match name {
            PARTITION | BLOCK_ID => text.plain("S").map(drop),
            _ => None,
        })
    }

    /// Reads a number of items. Its value is not needed.
    fn count(&mut self) -> Option<()> {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        let is_number = matches!(digits, [b'0'] | [b'1'..=b'9', ..]);
        (is_number && length <= MAX_COUNT_DIGITS).then_some(())
    }
}

/// Returns a string that has only printable ASCII characters and no escapes.
fn plain(quoted: &[u8]) -> Option<&str> {
    let is_plain = quoted.iter().all(|byte| matches!(byte, b' '..=b'[' | b']'..=b'~'));
    if is_plain { std::str::from_utf8(quoted).ok() } else { None }
}

/// Sets what is not set yet: a name that appears twice is refused.
fn set<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

#[cfg(test)]
mod tests;
