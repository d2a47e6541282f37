//! What every function needs around its own work: settings from the environment, logs, the caller's token, error bodies
//! and the configuration of AWS clients.

pub mod aws_configuration;
pub mod client_version;
pub mod environment;
pub mod http_error;
#[cfg(test)]
mod impostor;
pub mod lazy;
pub mod logging;
mod start;
pub mod timing;
pub mod token;

pub use start::start;
