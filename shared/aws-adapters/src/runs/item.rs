//! The names and shapes of the run table's items.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use domain::{
    block::BlockId,
    export_job::{Intent, RunSnapshot},
    export_run::{RunState, WindowId},
    time::Timestamp,
};
use export_engine::ports::{PortError, SealedDigest};
use serde::{Serialize, de::DeserializeOwned};

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) mod attribute {
    pub const RUN: &str = "run";
    pub const ITEM: &str = "item";
    pub const NEXT_BLOCK: &str = "nextBlock";
    pub const NEXT_SEQUENCE: &str = "nextSequence";
    pub const CHAIN_HEAD: &str = "chainHead";
    pub const FENCING_TOKEN: &str = "fencingToken";
    pub const LEASE_EXPIRES_AT: &str = "leaseExpiresAt";
    pub const OPEN_WINDOW: &str = "openWindow";
    pub const RERUN_THROUGH: &str = "rerunThrough";
    pub const LOST_THROUGH: &str = "lostThrough";
    pub const DIGEST_OBJECT: &str = "digestObject";
    /// Of an intent: how often a run set out to write its object.
    pub const ATTEMPTS: &str = "attempts";
    pub const END_BLOCK: &str = "endBlock";
    pub const DIGEST: &str = "digest";
    pub const SIGNATURE: &str = "signature";
    /// Of a digest: its name has a tag. Absent in what earlier versions stored.
    pub const TAGGED: &str = "tagged";
    pub const RECORD: &str = "record";
    pub const HISTORY: &str = "history";
    pub const CIRCUIT: &str = "circuit";
    pub const LEASE_HOLDER: &str = "leaseHolder";
    /// The message that the holder of the lease works on.
    pub const LEASE_MESSAGE: &str = "leaseMessage";
    /// Who held the lease before it was taken, if that run had not let go of it; else empty.
    pub const TAKEN_FROM: &str = "takenFrom";
    pub const FOUND_AT: &str = "foundAt";
    pub const APPROVED_AT: &str = "approvedAt";
    pub const REASON: &str = "reason";
    /// JSON: what is noted of the erasure of a tenant.
    pub const ERASURE: &str = "erasure";
    pub const REVISION: &str = "revision";
    pub const STATEMENT: &str = "statement";
    /// Seconds since the epoch; the attribute that the table's time to live looks at.
    pub const EXPIRES_AT: &str = "expiresAt";
}

pub(crate) const STATE: &str = "state";

/// Sorts like the blocks of a window.
pub(crate) fn intent_name(window: WindowId, first_block: BlockId) -> String {
    format!("{}{first_block}", intent_prefix(window))
}

pub(crate) fn intent_prefix(window: WindowId) -> String {
    format!("{}{}#", intent_prefix_of_sequence(window.sequence), window.revision)
}

/// Of the windows of all revisions.
pub(crate) fn intent_prefix_of_sequence(sequence: u64) -> String {
    format!("intent#{sequence:010}.")
}

const JOB_PREFIX: &str = "job#";

/// Sorts behind every digit.
const BEHIND_EVERY_NUMBER: char = ':';

/// The first and the last name that a job before `sequence` can have; `None`: any job.
pub(crate) fn job_names_before(sequence: Option<u64>) -> Option<(String, String)> {
    let last = match sequence {
        Some(sequence) => job_name(sequence.checked_sub(1)?),
        None => format!("{JOB_PREFIX}{BEHIND_EVERY_NUMBER}"),
    };
    Some((job_name(0), last))
}

pub(crate) fn digest_name(sequence: u64) -> String {
    format!("digest#{sequence:010}")
}

pub(crate) fn job_name(sequence: u64) -> String {
    format!("{JOB_PREFIX}{sequence:010}")
}

/// The key of an item; the partition is a configuration's, or one of what runs share.
pub(crate) fn key<P: ToString + ?Sized>(partition: &P, name: &str) -> Item {
    with_attributes(Item::new(), [(attribute::RUN, text(partition)), (attribute::ITEM, text(name))])
}

pub(crate) fn with_attributes(
    mut item: Item,
    attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>,
) -> Item {
    item.extend(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)));
    item
}

pub(crate) fn text<T: ToString + ?Sized>(value: &T) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(crate) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn json(operation: &'static str, value: &impl Serialize) -> Result<AttributeValue, PortError> {
    serde_json::to_string(value)
        .map(AttributeValue::S)
        .map_err(|error| PortError::internal(operation, error.to_string()))
}

/// Reads a text that has to be there, such as the hash key.
pub(crate) fn read_text(item: &Item, name: &'static str) -> Result<String, PortError> {
    read_optional_text(item, name)?.ok_or_else(|| corrupt(name))
}

pub(crate) fn read_optional_text(item: &Item, name: &'static str) -> Result<Option<String>, PortError> {
    read_optional(item, name, |text| Some(text.to_owned()))
}

pub(crate) fn read_snapshot(item: &Item) -> Result<RunSnapshot, PortError> {
    let lease_expires_at = match item.get(attribute::LEASE_EXPIRES_AT) {
        Some(_) => {
            let millis = read_number(item, attribute::LEASE_EXPIRES_AT)?;
            Some(Timestamp::from_millis(millis).ok_or_else(|| corrupt(attribute::LEASE_EXPIRES_AT))?)
        }
        None => None,
    };
    Ok(RunSnapshot { state: read_state(item)?, lease_expires_at })
}

/// What was stored before attempts were counted had one.
pub(crate) fn read_intent(item: &Item) -> Result<Intent, PortError> {
    let attempts = match item.get(attribute::ATTEMPTS) {
        Some(_) => read_number(item, attribute::ATTEMPTS)?,
        None => 1,
    };
    Ok(Intent {
        object: read_json(item, attribute::DIGEST_OBJECT)?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    })
}

pub(crate) fn read_state(item: &Item) -> Result<RunState, PortError> {
    Ok(RunState {
        cursor: read_block(item, attribute::NEXT_BLOCK)?,
        next_sequence: read_number(item, attribute::NEXT_SEQUENCE)?,
        next_revision: 0,
        head: read_optional_json(item, attribute::CHAIN_HEAD)?,
        fencing_token: read_number(item, attribute::FENCING_TOKEN)?,
        window: read_optional_json(item, attribute::OPEN_WINDOW)?,
        rerun_through: read_optional_time(item, attribute::RERUN_THROUGH)?,
        lost_through: read_optional_time(item, attribute::LOST_THROUGH)?,
    })
}

/// Returns what is stored of a digest, in the form that [`read_digest`] reads.
pub(crate) fn digest_attributes(digest: &SealedDigest) -> impl Iterator<Item = (&'static str, AttributeValue)> {
    [
        (attribute::END_BLOCK, text(&digest.end_block)),
        (attribute::DIGEST, AttributeValue::B(digest.bytes.to_vec().into())),
        (attribute::SIGNATURE, AttributeValue::B(digest.signature.to_vec().into())),
    ]
    .into_iter()
    .chain(digest.is_tagged.then_some((attribute::TAGGED, AttributeValue::Bool(true))))
}

pub(crate) fn read_digest(mut item: Item) -> Result<SealedDigest, PortError> {
    let end_block = read_block(&item, attribute::END_BLOCK)?;
    let is_tagged = match item.get(attribute::TAGGED) {
        Some(value) => *value.as_bool().map_err(|_| corrupt(attribute::TAGGED))?,
        None => false,
    };
    let mut bytes = |name| match item.remove(name) {
        Some(AttributeValue::B(bytes)) => Ok(Bytes::from(bytes.into_inner())),
        _ => Err(corrupt(name)),
    };
    let (bytes, signature) = (bytes(attribute::DIGEST)?, bytes(attribute::SIGNATURE)?);
    Ok(SealedDigest { end_block, bytes, signature, is_tagged })
}

pub(crate) fn read_json<T: DeserializeOwned>(item: &Item, name: &'static str) -> Result<T, PortError> {
    read_optional_json(item, name)?.ok_or_else(|| corrupt(name))
}

pub(crate) fn read_number(item: &Item, name: &'static str) -> Result<u64, PortError> {
    let number = item.get(name).and_then(|value| value.as_n().ok()).and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| corrupt(name))
}

pub(crate) fn read_optional_time(item: &Item, name: &'static str) -> Result<Option<Timestamp>, PortError> {
    read_optional(item, name, |text| Timestamp::parse(text).ok())
}

pub(crate) fn read_block(item: &Item, name: &'static str) -> Result<BlockId, PortError> {
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

pub(crate) fn corrupt(name: &'static str) -> PortError {
    PortError::internal("read run state", format!("attribute {name} is missing or has no valid value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_back_and_only_a_tagged_one_says_so() {
        for is_tagged in [false, true] {
            let digest = SealedDigest {
                end_block: BlockId::lowest_at(Timestamp::EPOCH),
                bytes: Bytes::from_static(b"digest"),
                signature: Bytes::from_static(b"signature"),
                is_tagged,
            };
            let stored: Item = with_attributes(Item::new(), digest_attributes(&digest));
            assert_eq!(stored.contains_key("tagged"), is_tagged, "earlier versions stored no such attribute");
            assert_eq!(read_digest(stored).unwrap(), digest);
        }
    }
}
