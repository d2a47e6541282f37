//! The error of the encoder of objects.

use crate::block::{CorruptBlock, EncodeError};

/// The error of blocks that can't be encoded as an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    #[error(transparent)]
    Corrupt(#[from] CorruptBlock),
    #[error("blocks can't be recompressed: {0}")]
    Compressor(EncodeError),
    #[error("recompressed blocks don't decode to their content")]
    NotReversible,
}
