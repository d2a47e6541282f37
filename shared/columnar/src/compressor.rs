//! The compressor of pages.

use bytes::Bytes;

use crate::{error::EncodeError, schema::ZSTD_LEVEL};

/// A compressor that keeps its memory from page to page: pages are so large that an allocator would return each to the system,
/// and the system would clear it again.
pub(crate) struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
    /// The page that is put together.
    body: Vec<u8>,
    output: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new() -> Result<Self, EncodeError> {
        let zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(EncodeError::Compression)?;
        Ok(Self { zstd, body: Vec::new(), output: Vec::new() })
    }

    /// Returns the place for the next page.
    pub(crate) fn empty_body(&mut self) -> &mut Vec<u8> {
        self.body.clear();
        &mut self.body
    }

    /// Compresses the page that was put together.
    pub(crate) fn compressed_body(&mut self) -> Result<Bytes, EncodeError> {
        compress(&mut self.zstd, &self.body, &mut self.output)
    }

    pub(crate) fn compressed(&mut self, page: &[u8]) -> Result<Bytes, EncodeError> {
        compress(&mut self.zstd, page, &mut self.output)
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
    Ok(Bytes::copy_from_slice(output))
}
