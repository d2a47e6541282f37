//! Making the bytes of a delivered object again, and proving them with the signed digest.

use bytes::{Bytes, BytesMut};
use domain::{
    digest::{DigestObject, Hex32},
    encoded_object::{Content, EncodedObject},
    encoding::Encoding,
    export_run::BlockRange,
    tenant::TenantId,
};

use crate::{
    merge::BlockMerge,
    object::{MAX_RESERVED_LENGTH, check},
    ports::{BlockSource, Encoders, ErrorKind, ObjectEncoder, PortError},
};

/// Returns the bytes of an object as its digest signs them. `None`: the stored blocks don't make these bytes any more.
///
/// The digest does not name the encoder, so each one of its encoding that the program has is tried, the newest first.
pub(super) async fn proven_bytes(
    source: &impl BlockSource,
    encoders: &impl Encoders,
    encoding: &Encoding,
    tenant: &TenantId,
    object: &DigestObject,
) -> Result<Option<Bytes>, PortError> {
    for number in encoders.numbers(encoding) {
        let reserved = usize::try_from(object.stored_length).unwrap_or(usize::MAX).min(MAX_RESERVED_LENGTH);
        let Some(object_encoder) = encoders.encoder(number, encoding, BytesMut::with_capacity(reserved)) else {
            continue;
        };
        let encoded = match encode(source, tenant, object, object_encoder).await {
            Ok(encoded) => encoded,
            Err(PortError { kind: ErrorKind::CorruptBlock(_), .. }) => None,
            Err(error) => return Err(error),
        };
        // Other events than those that were signed: no encoder makes the same bytes of them.
        let encoded = encoded.into_iter().flatten().find(|encoded| has_content_of(encoded, object));
        let Some(encoded) = encoded else { return Ok(None) };
        let is_proven =
            encoded.bytes.len() as u64 == object.stored_length && Hex32::sha256_of(&encoded.bytes) == object.sha256;
        if is_proven {
            return Ok(Some(encoded.bytes));
        }
    }
    Ok(None)
}

/// Encodes the blocks from the first to the last of the object. `None`: they hold more than the object.
async fn encode(
    source: &impl BlockSource,
    tenant: &TenantId,
    object: &DigestObject,
    mut encoder: impl ObjectEncoder,
) -> Result<Option<Vec<EncodedObject>>, PortError> {
    // A skipped block lies between two objects, never within one.
    let range = BlockRange { first: object.first_block, end: object.last_block.next() };
    let mut blocks = BlockMerge::new(source, tenant, range);
    while let Some(block) = blocks.next().await? {
        check(&block, tenant)?;
        encoder.push(block)?;
        // With classes, the other objects of the same blocks have the other events.
        if object.class.is_none() && encoder.raw_length() > object.raw_length {
            return Ok(None);
        }
        blocks.yield_turn().await;
    }
    encoder.finish().map(Some)
}

fn has_content_of(encoded: &EncodedObject, object: &DigestObject) -> bool {
    let Content { raw_length, crc32, event_count, .. } = encoded.content;
    let class = encoded.records.map(|records| records.class);
    (class, raw_length, crc32, event_count) == (object.class, object.raw_length, object.crc32, object.events)
}

#[cfg(test)]
mod tests {
    use domain::{encoded_object::OcsfRecords, export_run::test_support::object, ocsf::Class};

    use super::*;

    /// Of the objects of the same blocks, two may have lines of the same length and number.
    #[test]
    fn an_object_of_another_class_is_another_one() {
        let object = DigestObject { class: Some(Class::ApiActivity), other: Some(0), ..object(0) };
        let content = Content {
            raw_length: object.raw_length,
            crc32: object.crc32,
            event_count: object.events,
            oldest_event: object.oldest_event,
            newest_event: object.newest_event,
        };
        let encoded = |class: Option<Class>| EncodedObject {
            bytes: Bytes::new(),
            content,
            records: class.map(|class| OcsfRecords { class, other: 0 }),
        };
        assert!(has_content_of(&encoded(Some(Class::ApiActivity)), &object));
        assert!(!has_content_of(&encoded(Some(Class::Authentication)), &object));
        assert!(!has_content_of(&encoded(None), &object));
    }
}
