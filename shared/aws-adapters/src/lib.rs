//! The ports of the engine over AWS, and the stores of the functions.

pub mod allowance;
pub mod archive;
pub mod configurations;
pub mod connector;
pub mod customer_server;
pub mod digest_signer;
mod dynamodb;
pub mod error;
pub mod event_queue;
pub mod events;
pub mod export_history;
pub mod function_client;
pub mod invocation;
pub mod notice_bus;
pub mod notifier_client;
pub mod object_sink;
pub mod replays;
pub mod run_queue;
pub mod runs;
pub mod secrets;
mod send_batch;
pub mod signing_keys;
pub mod verifier_client;
pub mod webhook_queue;
