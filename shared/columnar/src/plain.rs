//! The encoding PLAIN of Parquet.

/// Appends a text in the encoding PLAIN.
#[inline]
pub(crate) fn push_plain(output: &mut Vec<u8>, text: &[u8]) {
    // A text is shorter than its line.
    let length = u32::try_from(text.len()).unwrap_or_default();
    output.extend_from_slice(&length.to_le_bytes());
    output.extend_from_slice(text);
}
