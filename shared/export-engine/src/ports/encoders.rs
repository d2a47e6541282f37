//! The encoders that make objects of blocks. A function links only those of the formats that it makes.

use bytes::BytesMut;
use domain::{block::StoredBlock, encoded_object::EncodedObject, encoding::Encoding, export_run::PlanLimits};

use super::error::PortError;

/// The encoders of a function. A plan names its encoder by number; see
/// [`ExportFormat::of_encoder`](domain::export_format::ExportFormat::of_encoder).
pub trait Encoders: Send + Sync {
    type Encoder: ObjectEncoder;

    /// Returns the number of the encoder of new windows. `None`: another function makes this encoding.
    fn current(&self, encoding: &Encoding) -> Option<u32>;

    /// Returns the numbers of all encoders of an encoding, the newest first.
    fn numbers(&self, encoding: &Encoding) -> Vec<u32>;

    /// Returns an encoder, which may use the memory of `buffer`. `None`: there is no encoder of this number and encoding.
    fn encoder(&self, number: u32, encoding: &Encoding, buffer: BytesMut) -> Option<Self::Encoder>;

    /// Returns the limits of new windows. `usual` are those of the operator's release.
    fn limits(&self, _encoding: &Encoding, usual: PlanLimits) -> PlanLimits {
        usual
    }

    /// Returns whether this function makes an encoding.
    fn makes(&self, encoding: &Encoding) -> bool {
        self.current(encoding).is_some()
    }
}

/// An encoder of consecutive blocks. They are pushed in the order of their events, after [`StoredBlock::check`].
pub trait ObjectEncoder: Send {
    /// Appends a block's events.
    ///
    /// # Errors
    /// [`ErrorKind::CorruptBlock`](super::ErrorKind::CorruptBlock) if the block can't be decoded, else internal. The objects are
    /// not valid then.
    fn push(&mut self, block: StoredBlock) -> Result<(), PortError>;

    /// Returns the length of the NDJSON of the objects in bytes.
    fn raw_length(&self) -> u64;

    /// Returns the length of the objects if they were finished now. It may be an estimate, but depends on the blocks alone.
    fn stored_length(&self) -> u64;

    /// Returns the objects, none of which is without events.
    ///
    /// # Errors
    /// Those of [`ObjectEncoder::push`].
    fn finish(self) -> Result<Vec<EncodedObject>, PortError>;
}
