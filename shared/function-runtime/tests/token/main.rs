//! Verification of bearer tokens: attacks on the token, and the cache of the issuer's keys against a real HTTP server.
#![expect(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod cache;
mod issuer;
mod server;
