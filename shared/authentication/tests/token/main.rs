//! Tests of authentication: attacks with forged tokens, and the cache of the issuer's keys with a real HTTP server.
#![expect(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod cache;
mod issuer;
mod server;
