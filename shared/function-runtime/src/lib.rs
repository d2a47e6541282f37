//! The environment of every Lambda function: settings from environment variables, logs, error responses, and the
//! configuration of AWS clients.

pub mod aws_configuration;
pub mod client_version;
pub mod content_type;
mod deadline;
pub mod environment;
pub mod http_error;
pub mod http_get;
pub mod lazy;
pub mod local_servers;
pub mod logging;
mod start;
pub mod timing;
#[cfg(test)]
mod untrusted_server;

pub use deadline::deadline_before;
pub use start::start;
