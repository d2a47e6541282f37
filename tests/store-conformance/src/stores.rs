//! What the stores rely on of DynamoDB, asked of whatever answers under `AWS_ENDPOINT_URL`.
//!
//! The adapters are those that are deployed, with the clients that the functions give them. `infra/local/stores.py` makes
//! the tables as template.yaml describes them, for one run; each test has a tenant of its own. Waits for what DynamoDB
//! does eventually, so that the suite also holds on AWS.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod allowance;
mod configurations;
mod events;
mod housekeeping;
mod index;
mod outcomes;
mod runs;
mod shared_state;
mod support;
