//! The lines of blocks, inflated, checked and filtered, for the encoders that need them.

use std::borrow::Cow;

use domain::{
    block::{BlockDecoder, StoredBlock},
    encoded_object::Content,
    event_filter::EventFilter,
};
use export_engine::ports::PortError;

/// The lines of the blocks of one object, one block after the other.
#[derive(Debug)]
pub(crate) struct BlockLines {
    decoder: BlockDecoder,
    /// The lines of one block.
    raw: Vec<u8>,
    /// `None`: all lines are in the object.
    filter: Option<EventFilter>,
    /// The lines that are in the object.
    pub(crate) content: Content,
}

impl BlockLines {
    pub(crate) fn new(filter: Option<&EventFilter>) -> Self {
        Self { decoder: BlockDecoder::default(), raw: Vec::new(), filter: filter.cloned(), content: Content::default() }
    }

    /// Returns those lines of the next block that are in the object.
    ///
    /// # Errors
    /// Of a block that does not decode to what its attributes say.
    pub(crate) fn next(&mut self, block: &StoredBlock) -> Result<Cow<'_, [u8]>, PortError> {
        self.raw.clear();
        self.decoder.append(block, &mut self.raw)?;
        let Some(filter) = &self.filter else {
            self.content.add(block);
            return Ok(Cow::Borrowed(&self.raw));
        };
        let filtered = filter.apply(&self.raw);
        self.content.add_filtered(block, &filtered);
        Ok(filtered.lines)
    }

    /// Returns whether no line is in the object.
    pub(crate) fn is_empty(&self) -> bool {
        self.content.event_count == 0
    }
}
