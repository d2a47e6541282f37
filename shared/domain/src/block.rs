//! Blocks: the form in which audit events are stored.
//!
//! A block holds events of one tenant as NDJSON, compressed to a raw DEFLATE stream that ends on a byte boundary with a full
//! flush and has no final block. Such streams can be concatenated and stay one valid stream, which [`crate::gzip`] relies on.

mod decoder;
mod encoder;
mod id;
mod limits;
mod shard;
mod stored;

pub(crate) use self::stored::truncate_to_32_bits;
pub use self::{
    decoder::BlockDecoder,
    encoder::{BlockEncoder, EncodeError, Packer, encode_block},
    id::{BlockId, InvalidBlockId},
    limits::{
        EXPIRY_GRACE, INGEST_WRITE_BOUND, MAX_BLOCK_EVENTS, MAX_BLOCK_RAW_LENGTH, MAX_BLOCK_STORED_LENGTH,
        SIGNATURE_LIFETIME,
    },
    shard::{InvalidShard, MAX_WRITE_SHARDS, SHARDS, Shard, partition_key},
    stored::{CorruptBlock, StoredBlock},
};

#[cfg(test)]
mod tests;
