//! The lines of blocks, inflated and checked, for the encoders that need them.

use domain::{
    block::{BlockDecoder, StoredBlock},
    encoded_object::Content,
};
use export_engine::ports::PortError;

/// The lines of the blocks of one object, one block after the other.
#[derive(Debug, Default)]
pub(crate) struct BlockLines {
    decoder: BlockDecoder,
    /// The lines of one block.
    raw: Vec<u8>,
    pub(crate) content: Content,
}

impl BlockLines {
    /// Returns the lines of the next block.
    ///
    /// # Errors
    /// Of a block that does not decode to what its attributes say.
    pub(crate) fn next(&mut self, block: &StoredBlock) -> Result<&[u8], PortError> {
        self.raw.clear();
        self.decoder.append(block, &mut self.raw)?;
        self.content.add(block);
        Ok(&self.raw)
    }
}
