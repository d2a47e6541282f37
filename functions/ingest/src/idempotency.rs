//! The `Idempotency-Key` of a request, and its equivalent for a message.

use aws_adapters::events::writer::IdempotencyRecord;
use domain::digest::Hex32;
use http::HeaderMap;
use sha2::{Digest, Sha256};

/// The header with the key, in lower case.
pub(crate) const IDEMPOTENCY_HEADER: &str = "idempotency-key";

/// The longest key, in characters. The key of a new configuration is another one, `domain::configuration::input::IdempotencyKey`.
pub(crate) const MAX_PRODUCER_KEY_LENGTH: usize = 255;

/// A producer's key for a request, which makes the request safe to repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProducerKey(String);

/// An invalid header, or several headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Send at most one Idempotency-Key, of 1 to {MAX_PRODUCER_KEY_LENGTH} visible ASCII characters.")]
pub(crate) struct InvalidProducerKey;

impl ProducerKey {
    /// Returns the request's key, if any.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, InvalidProducerKey> {
        let mut values = headers.get_all(IDEMPOTENCY_HEADER).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => {
                let text = value.to_str().map_err(|_| InvalidProducerKey)?;
                let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
                let has_length = (1..=MAX_PRODUCER_KEY_LENGTH).contains(&text.len());
                if is_visible && has_length { Ok(Some(Self(text.to_owned()))) } else { Err(InvalidProducerKey) }
            }
            (Some(_), Some(_)) => Err(InvalidProducerKey),
        }
    }

    /// Returns the record to store under the key. `body` is decompressed, because the same events may compress to
    /// different bytes.
    pub(crate) fn record(&self, body: &[u8], accepted: u64) -> IdempotencyRecord {
        IdempotencyRecord {
            key_hash: Hex32::sha256_of(&self.0).to_string(),
            body_hash: Sha256::digest(body).into(),
            accepted,
        }
    }
}

/// Returns the record to store for a message, under its ID, which is the same for every delivery.
pub(crate) fn record_of_message(id: &str, body: &[u8], accepted: u64) -> IdempotencyRecord {
    // A request's key can't contain this character.
    let key = format!("message\0{id}");
    IdempotencyRecord { key_hash: Hex32::sha256_of(key).to_string(), body_hash: Sha256::digest(body).into(), accepted }
}

/// Returns the record to store for a request whose sender repeats it without a key, under its content.
pub(crate) fn record_of_content(body: &[u8], accepted: u64) -> IdempotencyRecord {
    let body_hash: [u8; 32] = Sha256::digest(body).into();
    let key = format!("content\0{}", Hex32(body_hash));
    IdempotencyRecord { key_hash: Hex32::sha256_of(key).to_string(), body_hash, accepted }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&[u8]]) -> Result<Option<ProducerKey>, InvalidProducerKey> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        ProducerKey::of(&headers)
    }

    #[test]
    fn one_visible_key_is_taken() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[b"a-1"]), Ok(Some(ProducerKey("a-1".to_owned()))));
        assert!(of(&[b"k"]).is_ok() && of(&[&[b'k'; MAX_PRODUCER_KEY_LENGTH]]).is_ok());
        let too_long = [b'k'; MAX_PRODUCER_KEY_LENGTH + 1];
        for bad in [&[b"".as_slice()][..], &[b"a b"], &[b"\xE9"], &[&too_long], &[b"a", b"a"]] {
            assert_eq!(of(bad), Err(InvalidProducerKey));
        }
    }

    #[test]
    fn the_record_holds_hashes_only() {
        let record = of(&[b"key"]).unwrap().unwrap().record(b"body", 3);
        assert_eq!(record.key_hash, "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683");
        assert_eq!(record.body_hash, <[u8; 32]>::from(Sha256::digest(b"body")));
        assert_eq!(record.accepted, 3);
    }
}
