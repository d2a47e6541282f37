//! The encoders of formats that are not made by joining stored blocks: the events of each block are inflated and encoded again.
//!
//! Only the functions and tests that convert link this crate, so that the exporter stays small.

mod block_lines;
mod encoders;
mod parquet_encoder;
mod zstd_encoder;

pub use encoders::{ConversionEncoder, ConversionEncoders};
