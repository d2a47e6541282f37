//! Conformance of the stores: the behaviour of DynamoDB that they rely on, tested at `AWS_ENDPOINT_URL`.
//!
//! The adapters are those that are deployed, with the clients that the functions give them. `infra/local/stores.py` makes
//! the tables as template.yaml describes them, for one run; each test has a separate tenant. The tests wait for
//! eventual effects, so that the suite also passes on AWS.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod allowance;
mod archive;
mod configurations;
mod events;
mod housekeeping;
mod index;
mod notices;
mod outcomes;
mod repairs;
mod replays;
mod runs;
mod shared_state;
mod support;
