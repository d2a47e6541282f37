//! The service over HTTP.

mod diagnosis;
mod graphql;
mod http;
pub mod operations;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the server of a test has its own thread")]
pub mod test_server;

pub use self::{
    diagnosis::{diagnose, explain},
    graphql::{Answer, GraphQl},
    http::{GRAPHQL_PATH, client, endpoint, read_text},
    operations::Operation,
};
