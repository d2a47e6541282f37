//! The names and shapes of the run table's items.

use std::fmt::Display;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    block::BlockId,
    digest::DigestObject,
    export_job::{ExportSnapshot, Intent},
    export_run::{ExportState, FencingToken, WindowId},
};
use export_engine::ports::SealedDigest;

use crate::dynamodb::item::{Attributes, Item, MalformedItem, binary, item, take_bytes, text};

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
    /// The number of runs that set out to write the object of an intent.
    pub const ATTEMPTS: &str = "attempts";
    pub const END_BLOCK: &str = "endBlock";
    pub const DIGEST: &str = "digest";
    pub const SIGNATURE: &str = "signature";
    /// Set if the name of a digest has a tag. Absent in items of earlier versions.
    pub const TAGGED: &str = "tagged";
    pub const RECORD: &str = "record";
    // The counts of what the finished windows of a replay delivered, in its state.
    pub const OBJECTS: &str = "objects";
    pub const EVENTS: &str = "events";
    pub const STORED_BYTES: &str = "storedBytes";
    pub const HISTORY: &str = "history";
    pub const CIRCUIT: &str = "circuit";
    pub const LEASE_HOLDER: &str = "leaseHolder";
    /// The message that the holder of the lease works on.
    pub const LEASE_MESSAGE: &str = "leaseMessage";
    /// The holder before the lease was taken, if that run had not let go of it; else empty.
    pub const TAKEN_FROM: &str = "takenFrom";
    pub const FOUND_AT: &str = "foundAt";
    pub const APPROVED_AT: &str = "approvedAt";
    pub const REASON: &str = "reason";
    /// JSON: the notes of the erasure of a tenant.
    pub const ERASURE: &str = "erasure";
    pub const REVISION: &str = "revision";
    pub const STATEMENT: &str = "statement";
    /// Seconds since the epoch: the attribute of the table's time to live.
    pub const EXPIRES_AT: &str = "expiresAt";
}

pub(crate) const STATE: &str = "state";

/// Follow a tenant's ID in the partitions of its shares and of its corrupt blocks.
pub(super) const SHARES_SUFFIX: &str = "#shares";
pub(super) const CORRUPT_SUFFIX: &str = "#corrupt";

/// Sorts like the blocks of a window; of the same blocks, like the numbers of their classes.
pub(crate) fn intent_name(window: WindowId, object: &DigestObject) -> String {
    let class = object.class.map(|class| format!("#{}", class.uid())).unwrap_or_default();
    format!("{}{}{class}", intent_prefix(window), object.first_block)
}

pub(crate) fn intent_prefix(window: WindowId) -> String {
    format!("{}{}#", intent_prefix_of_sequence(window.sequence), window.revision)
}

/// Returns the prefix of the intents of all revisions.
pub(crate) fn intent_prefix_of_sequence(sequence: u64) -> String {
    format!("intent#{sequence:010}.")
}

const JOB_PREFIX: &str = "job#";

/// Sorts behind every digit.
const BEHIND_EVERY_NUMBER: char = ':';

/// Returns the first and the last name of the jobs before `sequence`; `None`: of all jobs.
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

/// Returns the key of an item. The partition is that of a configuration, or one that runs share.
pub(crate) fn key(partition: impl Display, name: &str) -> Item {
    item([(attribute::RUN, text(partition)), (attribute::ITEM, text(name))])
}

pub(crate) fn read_snapshot(item: &Item) -> Result<ExportSnapshot, MalformedItem> {
    let attributes = Attributes(item);
    Ok(ExportSnapshot {
        state: read_state(attributes)?,
        lease_expires_at: attributes.optional_millis(attribute::LEASE_EXPIRES_AT)?,
    })
}

/// Items from before attempts were counted have one attempt.
pub(crate) fn read_intent(item: &Item) -> Result<Intent, MalformedItem> {
    let attributes = Attributes(item);
    let attempts: u64 = attributes.optional_number(attribute::ATTEMPTS)?.unwrap_or(1);
    Ok(Intent {
        object: attributes.json(attribute::DIGEST_OBJECT)?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    })
}

pub(crate) fn read_state(attributes: Attributes<'_>) -> Result<ExportState, MalformedItem> {
    Ok(ExportState {
        cursor: read_block(attributes, attribute::NEXT_BLOCK)?,
        next_sequence: attributes.number(attribute::NEXT_SEQUENCE)?,
        next_revision: 0,
        head: attributes.optional_json(attribute::CHAIN_HEAD)?,
        fencing_token: read_token(attributes)?,
        window: attributes.optional_json(attribute::OPEN_WINDOW)?,
        rerun_through: attributes.optional_time(attribute::RERUN_THROUGH)?,
        lost_through: attributes.optional_time(attribute::LOST_THROUGH)?,
    })
}

pub(crate) fn read_token(attributes: Attributes<'_>) -> Result<FencingToken, MalformedItem> {
    attributes.number(attribute::FENCING_TOKEN).map(FencingToken)
}

/// Returns the attributes of a digest, in the form that [`read_digest`] reads.
pub(crate) fn digest_attributes(digest: &SealedDigest) -> impl Iterator<Item = (&'static str, AttributeValue)> {
    [
        (attribute::END_BLOCK, text(digest.end_block)),
        (attribute::DIGEST, binary(&digest.bytes)),
        (attribute::SIGNATURE, binary(&digest.signature)),
    ]
    .into_iter()
    .chain(digest.is_tagged.then_some((attribute::TAGGED, AttributeValue::Bool(true))))
}

pub(crate) fn read_digest(mut item: Item) -> Result<SealedDigest, MalformedItem> {
    let end_block = read_block(Attributes(&item), attribute::END_BLOCK)?;
    let is_tagged = Attributes(&item).optional_flag(attribute::TAGGED)?.unwrap_or(false);
    let (bytes, signature) = (take_bytes(&mut item, attribute::DIGEST)?, take_bytes(&mut item, attribute::SIGNATURE)?);
    Ok(SealedDigest { end_block, bytes, signature, is_tagged })
}

pub(crate) fn read_block(attributes: Attributes<'_>, name: &'static str) -> Result<BlockId, MalformedItem> {
    attributes.required(name, |text| BlockId::parse(text).ok())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use domain::{export_run::test_support::object, ocsf::Class, time::Timestamp};

    use super::*;

    #[test]
    fn intents_of_the_same_blocks_are_in_the_order_of_their_classes() {
        let window = WindowId { sequence: 7, revision: 1 };
        let plain = object(3);
        let name = intent_name(window, &plain);
        assert_eq!(name, format!("intent#0000000007.1#{}", plain.first_block), "as earlier versions stored it");
        let of_class = |class| intent_name(window, &DigestObject { class: Some(class), ..plain.clone() });
        let mut names: Vec<String> = Class::ALL.iter().map(|class| of_class(*class)).collect();
        names.push(intent_name(window, &object(4)));
        assert!(names.is_sorted() && names[0].starts_with(&name) && names[0].ends_with("#3001"), "{names:?}");
    }

    #[test]
    fn a_digest_is_read_back_and_only_a_tagged_one_says_so() {
        for is_tagged in [false, true] {
            let digest = SealedDigest {
                end_block: BlockId::lowest_at(Timestamp::EPOCH),
                bytes: Bytes::from_static(b"digest"),
                signature: Bytes::from_static(b"signature"),
                is_tagged,
            };
            let stored: Item = item(digest_attributes(&digest));
            assert_eq!(stored.contains_key("tagged"), is_tagged, "earlier versions stored no such attribute");
            assert_eq!(read_digest(stored).unwrap(), digest);
        }
    }
}
