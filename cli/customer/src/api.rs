//! The service over HTTP.

mod diagnosis;
mod graphql;
mod http;
pub mod operations;

pub use self::{
    diagnosis::{diagnose, explain},
    graphql::{Answer, GraphQl},
    http::{GRAPHQL_PATH, client, endpoint, read_text},
    operations::Operation,
};
