//! Export objects of lines that are in no block: one gzip member, with a DEFLATE stream for each stretch of lines.

use bytes::BytesMut;

use super::{
    error::ObjectError,
    member::{HEADER, ended},
    stretch::{Recompressor, STRETCH_RAW_LENGTH},
};
use crate::encoded_object::{Content, EncodedObject};

/// An encoder of NDJSON as one gzip object. The same lines in the same portions become the same bytes: the encoder of a plan
/// whose number is 51 makes them, and a change of one byte needs another number.
#[derive(Debug, Default)]
pub struct LinesEncoder {
    encoded: BytesMut,
    /// Lines that are not yet in `encoded`.
    stretch: Vec<u8>,
    compressor: Recompressor,
}

impl LinesEncoder {
    /// Creates an encoder that writes into `buffer`, after clearing it.
    #[must_use]
    pub fn in_buffer(mut buffer: BytesMut) -> Self {
        buffer.clear();
        buffer.extend_from_slice(&HEADER);
        Self { encoded: buffer, ..Self::default() }
    }

    /// Appends whole lines.
    ///
    /// # Errors
    /// [`ObjectError`] if the compressor fails. The object is not valid then.
    pub fn push(&mut self, lines: &[u8]) -> Result<(), ObjectError> {
        self.stretch.extend_from_slice(lines);
        if self.stretch.len() >= STRETCH_RAW_LENGTH { self.end_stretch() } else { Ok(()) }
    }

    /// Returns the bytes that are written. Lines of the open stretch, at most 1 MiB and a portion, are not among them.
    #[must_use]
    pub fn stored_length(&self) -> usize {
        self.encoded.len()
    }

    /// Ends the object. `content` is that of all lines.
    ///
    /// # Errors
    /// Those of [`LinesEncoder::push`].
    pub fn finish(mut self, content: Content) -> Result<EncodedObject, ObjectError> {
        if !self.stretch.is_empty() {
            self.end_stretch()?;
        }
        Ok(ended(self.encoded, content))
    }

    fn end_stretch(&mut self) -> Result<(), ObjectError> {
        let compressed = self.compressor.compress(&self.stretch)?;
        self.encoded.extend_from_slice(&compressed);
        self.stretch.clear();
        Ok(())
    }
}
