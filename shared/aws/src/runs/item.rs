//! The names and shapes of the run table's items.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use domain::{
    block::BlockId,
    configuration::ConfigurationKey,
    export_run::{RunState, WindowId},
    time::Timestamp,
};
use export::ports::{PortError, SealedDigest};
use serde::{Serialize, de::DeserializeOwned};

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) mod attribute {
    pub const RUN: &str = "run";
    pub const ITEM: &str = "item";
    pub const NEXT_BLOCK: &str = "nextBlock";
    pub const NEXT_SEQUENCE: &str = "nextSequence";
    pub const CHAIN_HEAD: &str = "chainHead";
    pub const FENCING_TOKEN: &str = "fencingToken";
    pub const LEASE_EXPIRES_AT: &str = "leaseExpiresAt";
    pub const OPEN_WINDOW: &str = "openWindow";
    pub const RERUN_THROUGH: &str = "rerunThrough";
    pub const DIGEST_OBJECT: &str = "digestObject";
    pub const END_BLOCK: &str = "endBlock";
    pub const DIGEST: &str = "digest";
    pub const SIGNATURE: &str = "signature";
    pub const RECORD: &str = "record";
}

pub(super) const STATE: &str = "state";

/// Sorts like the blocks of a window.
pub(super) fn intent_name(window: WindowId, first_block: BlockId) -> String {
    format!("{}{first_block}", intent_prefix(window))
}

pub(super) fn intent_prefix(window: WindowId) -> String {
    format!("intent#{:010}.{}#", window.sequence, window.revision)
}

pub(super) fn digest_name(sequence: u64) -> String {
    format!("digest#{sequence:010}")
}

pub(super) fn job_name(sequence: u64) -> String {
    format!("job#{sequence:010}")
}

pub(super) fn key(configuration: &ConfigurationKey, name: &str) -> Item {
    with_attributes(Item::new(), [(attribute::RUN, text(configuration)), (attribute::ITEM, text(name))])
}

pub(super) fn with_attributes<const N: usize>(mut item: Item, attributes: [(&str, AttributeValue); N]) -> Item {
    item.extend(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)));
    item
}

pub(super) fn text<T: ToString + ?Sized>(value: &T) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn json(operation: &'static str, value: &impl Serialize) -> Result<AttributeValue, PortError> {
    serde_json::to_string(value)
        .map(AttributeValue::S)
        .map_err(|error| PortError::internal(operation, error.to_string()))
}

pub(super) fn read_state(item: &Item) -> Result<RunState, PortError> {
    Ok(RunState {
        cursor: read_block(item, attribute::NEXT_BLOCK)?,
        next_sequence: read_number(item, attribute::NEXT_SEQUENCE)?,
        next_revision: 0,
        head: read_optional_json(item, attribute::CHAIN_HEAD)?,
        fencing_token: read_number(item, attribute::FENCING_TOKEN)?,
        window: read_optional_json(item, attribute::OPEN_WINDOW)?,
        rerun_through: read_optional_time(item, attribute::RERUN_THROUGH)?,
    })
}

pub(super) fn read_digest(mut item: Item) -> Result<SealedDigest, PortError> {
    let end_block = read_block(&item, attribute::END_BLOCK)?;
    let mut bytes = |name| match item.remove(name) {
        Some(AttributeValue::B(bytes)) => Ok(Bytes::from(bytes.into_inner())),
        _ => Err(corrupt(name)),
    };
    Ok(SealedDigest { end_block, bytes: bytes(attribute::DIGEST)?, signature: bytes(attribute::SIGNATURE)? })
}

pub(super) fn read_json<T: DeserializeOwned>(item: &Item, name: &'static str) -> Result<T, PortError> {
    read_optional_json(item, name)?.ok_or_else(|| corrupt(name))
}

pub(super) fn read_number(item: &Item, name: &'static str) -> Result<u64, PortError> {
    let number = item.get(name).and_then(|value| value.as_n().ok()).and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| corrupt(name))
}

pub(super) fn read_optional_time(item: &Item, name: &'static str) -> Result<Option<Timestamp>, PortError> {
    read_optional(item, name, |text| Timestamp::parse(text).ok())
}

fn read_block(item: &Item, name: &'static str) -> Result<BlockId, PortError> {
    read_optional(item, name, |text| BlockId::parse(text).ok())?.ok_or_else(|| corrupt(name))
}

fn read_optional_json<T: DeserializeOwned>(item: &Item, name: &'static str) -> Result<Option<T>, PortError> {
    read_optional(item, name, |text| serde_json::from_str(text).ok())
}

fn read_optional<T>(
    item: &Item,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, PortError> {
    let Some(value) = item.get(name) else { return Ok(None) };
    let parsed = value.as_s().ok().and_then(|text| parse(text));
    parsed.map(Some).ok_or_else(|| corrupt(name))
}

pub(super) fn corrupt(name: &'static str) -> PortError {
    PortError::internal("read run state", format!("attribute {name} is missing or has no valid value"))
}
