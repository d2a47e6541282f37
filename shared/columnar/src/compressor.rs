//! The compressor of pages.

use bytes::Bytes;
use zstd::zstd_safe::CParameter;

use crate::{error::EncodeError, plain::PlainValues};

/// The level of texts, which is the one that a file names.
pub(crate) const ZSTD_LEVEL: i32 = 3;

/// The tables in which earlier texts are found, a quarter as long as level 3 makes them for long inputs: a page is short, and
/// shorter tables stay in the processor's cache. Pages become longer by less than 0.3 %. Matches of less than six bytes are not
/// looked for, which makes pages as much shorter: names and words of payloads mostly have more.
const TEXT_PARAMETERS: [CParameter; 3] = [CParameter::HashLog(15), CParameter::ChainLog(14), CParameter::MinMatch(6)];

/// The level of values. They hardly repeat each other: level 3 takes more than twice the time to find matches that are hardly
/// shorter than what they replace, and makes longer pages.
const VALUE_LEVEL: i32 = 1;

/// A table that fits the processor's nearest cache. IDs become shorter by 2 to 5 % than with the parameters of the level.
const VALUE_PARAMETERS: [CParameter; 2] = [CParameter::HashLog(11), CParameter::MinMatch(6)];

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Texts with words that recur.
    Texts,
    /// Times, indexes of a dictionary, and IDs that never recur.
    Values,
}

/// A compressor that keeps its memory from page to page: pages are so large that an allocator would return each to the system,
/// and the system would clear it again.
pub(crate) struct Compressor {
    texts: zstd::bulk::Compressor<'static>,
    values: zstd::bulk::Compressor<'static>,
    /// The page that is put together.
    body: Vec<u8>,
    output: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new() -> Result<Self, EncodeError> {
        let with = |level, parameters: &[CParameter]| {
            let mut zstd = zstd::bulk::Compressor::new(level)?;
            parameters.iter().try_for_each(|parameter| zstd.set_parameter(*parameter))?;
            Ok(zstd)
        };
        let texts = with(ZSTD_LEVEL, &TEXT_PARAMETERS).map_err(EncodeError::Compression)?;
        let values = with(VALUE_LEVEL, &VALUE_PARAMETERS).map_err(EncodeError::Compression)?;
        Ok(Self { texts, values, body: Vec::new(), output: Vec::new() })
    }

    /// Returns the place for the next page.
    pub(crate) fn empty_body(&mut self) -> &mut Vec<u8> {
        self.body.clear();
        &mut self.body
    }

    /// Compresses the page that was put together, with the values that belong after it, and returns its length before.
    /// [`Self::reuse`] takes its memory back.
    pub(crate) fn compressed_body(
        &mut self,
        plain: &mut PlainValues,
        content: Content,
    ) -> Result<(Bytes, usize), EncodeError> {
        let Self { texts, values, body, output } = self;
        let zstd = match content {
            Content::Texts => texts,
            Content::Values => values,
        };
        let page = plain.after(body);
        Ok((compress(zstd, page, output)?, page.len()))
    }

    /// Compresses the page of a dictionary.
    pub(crate) fn compressed_dictionary(&mut self, page: &[u8]) -> Result<Bytes, EncodeError> {
        compress(&mut self.texts, page, &mut self.output)
    }

    /// Takes back the memory of a page that is written.
    pub(crate) fn reuse(&mut self, page: Bytes) {
        self.output = page.into();
    }
}

fn compress(
    zstd: &mut zstd::bulk::Compressor<'static>,
    page: &[u8],
    output: &mut Vec<u8>,
) -> Result<Bytes, EncodeError> {
    output.clear();
    output.reserve(zstd::zstd_safe::compress_bound(page.len()));
    zstd.compress_to_buffer(page, output).map_err(EncodeError::Compression)?;
    Ok(std::mem::take(output).into())
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use sha2::{Digest, Sha256};

    use super::*;

    fn lengths(page: &[u8]) -> [usize; 2] {
        let mut compressor = Compressor::new().unwrap();
        [Content::Texts, Content::Values].map(|content| {
            compressor.empty_body().extend_from_slice(page);
            let (compressed, _) = compressor.compressed_body(&mut PlainValues::default(), content).unwrap();
            assert_eq!(zstd::bulk::decompress(&compressed, page.len()).unwrap(), page);
            compressed.len()
        })
    }

    #[test]
    fn each_content_is_shortest_as_what_it_is() {
        let hashes = (0..4_000_u32).map(|number| Sha256::digest(number.to_le_bytes()));
        // In the encoding PLAIN.
        let id = |hash: &[u8]| [b"\x20\0\0\0", HEXLOWER.encode(&hash[..16]).as_bytes()].concat();
        let ids: Vec<u8> = hashes.clone().flat_map(|hash| id(&hash)).collect();
        let [as_texts, as_values] = lengths(&ids);
        assert!(as_values < as_texts, "{as_values} and {as_texts}");

        let words = ["SELECT", "orders", "customers", "amount", "FROM", "WHERE", "2026", "GROUP BY"];
        let payload = |hash: &[u8]| -> Vec<u8> {
            let text = hash.iter().flat_map(|byte| [words[usize::from(byte % 8)], " "]).collect::<String>();
            format!(r#"{{"type":"QueryAuditPayload","query":"{text}"}}"#).into_bytes()
        };
        let payloads: Vec<u8> = hashes.flat_map(|hash| payload(&hash)).collect();
        let [as_texts, as_values] = lengths(&payloads);
        assert!(as_texts < as_values, "{as_texts} and {as_values}");
    }
}
