//! The encoders of objects that are not made by joining stored blocks: those of other formats, and those of a filter. The events
//! of each block are inflated and encoded again.
//!
//! Only the functions and tests that convert link this crate, so that the exporter stays small.

mod block_lines;
mod encoders;
mod filtered_gzip_encoder;
mod ocsf_encoder;
mod parquet_encoder;
mod zstd_encoder;

pub use encoders::{ConversionEncoder, ConversionEncoders};
