//! The rules of the audit-log export service, as types and pure functions.
//!
//! Nothing in here knows AWS, reads a clock or draws a random number: whoever calls passes those in. A value of one of
//! these types is valid by construction; the text it came from was parsed once, at the edge.

pub mod allowance;
pub mod block;
pub mod circuit;
pub mod configuration;
pub mod connection;
pub mod customer_policy;
pub mod customer_template;
pub mod digest;
pub mod erasure;
pub mod error_code;
pub mod event;
pub mod explanation;
pub mod export_job;
pub mod export_run;
pub mod guidance;
pub mod gzip;
pub mod interval;
pub mod lag;
pub mod object_key;
pub mod policy;
pub mod retention;
pub mod tenant;
pub mod time;
pub mod verification;
