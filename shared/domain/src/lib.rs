//! The rules of the audit-log export service, as types and pure functions.
//!
//! The crate uses no AWS, clock or random numbers: callers pass times and numbers in. A value of one of these types is valid
//! by construction; its text was parsed once, at the edge.

pub mod allowance;
pub mod archive;
pub mod block;
pub mod circuit;
pub mod configuration;
pub mod connection;
pub mod connection_test;
pub mod customer_policy;
pub mod customer_server;
pub mod customer_template;
pub mod digest;
pub mod encoded_object;
pub mod encoding;
pub mod envelope;
pub mod erasure;
pub mod error_code;
pub mod event;
pub mod event_filter;
pub mod explanation;
pub mod export_format;
pub mod export_health;
pub mod export_job;
pub mod export_run;
pub mod export_status;
pub mod gzip;
mod hex;
pub mod interval;
pub mod lag;
mod named;
pub mod next_steps;
pub mod notice;
pub mod notice_id;
pub mod object_key;
pub mod ocsf;
pub mod operator_reason;
pub mod otlp;
pub mod policy;
pub mod repair;
pub mod replay;
pub mod retention;
pub mod tenant;
pub mod time;
pub mod webhook;
