//! The encoders that make objects of blocks. A function links only those of the formats that it makes.

use bytes::BytesMut;
use domain::{block::StoredBlock, encoded_object::EncodedObject, export_format::ExportFormat, export_run::PlanLimits};

use super::error::PortError;

/// The encoders of a function. A plan names its encoder by number; see [`ExportFormat::of_encoder`].
pub trait Encoders: Send + Sync {
    type Encoder: ObjectEncoder;

    /// Returns the number of the encoder of new windows. `None`: another function makes this format.
    fn current(&self, format: ExportFormat) -> Option<u32>;

    /// Returns the numbers of all encoders of a format, the newest first.
    fn numbers(&self, format: ExportFormat) -> Vec<u32>;

    /// Returns an encoder of one object, which may use the memory of `buffer`. `None`: there is no encoder of this number.
    fn encoder(&self, number: u32, buffer: BytesMut) -> Option<Self::Encoder>;

    /// Returns the limits of new windows. `usual` are those of the operator's release.
    fn limits(&self, _format: ExportFormat, usual: PlanLimits) -> PlanLimits {
        usual
    }

    /// Returns whether this function makes a format.
    fn makes(&self, format: ExportFormat) -> bool {
        self.current(format).is_some()
    }
}

/// An encoder of the blocks of one object. They are pushed in the order of their events, after [`StoredBlock::check`].
pub trait ObjectEncoder: Send {
    /// Appends a block's events.
    ///
    /// # Errors
    /// [`ErrorKind::CorruptBlock`](super::ErrorKind::CorruptBlock) if the block can't be decoded, else internal. The object is
    /// not valid then.
    fn push(&mut self, block: StoredBlock) -> Result<(), PortError>;

    /// Returns the length of the NDJSON in bytes.
    fn raw_length(&self) -> u64;

    /// Returns the length of the object if it were finished now. It may be an estimate, but depends on the blocks alone.
    fn stored_length(&self) -> u64;

    /// # Errors
    /// Those of [`ObjectEncoder::push`].
    fn finish(self) -> Result<EncodedObject, PortError>;
}
