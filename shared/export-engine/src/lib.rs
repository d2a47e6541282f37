//! The export engine: everything between the firing of a schedule and the files in a customer's bucket.
//!
//! It uses the rules of `domain` and the narrow [`ports`], and must not depend on AWS. The simulation runs all of it over
//! simulated ports and a simulated clock.

mod alarms;
pub mod archive;
pub mod connection_test;
pub mod dispatch;
pub mod erasure;
mod gzip_encoders;
mod merge;
pub mod message;
mod object;
mod outage;
pub mod ports;
pub mod publisher;
pub mod repair;
mod replay;
pub mod retention;
pub mod run;
mod seal;
mod shared_record;
pub mod sweep;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
pub mod upload;

pub use gzip_encoders::GzipEncoders;
pub use merge::MAX_PAGES;
pub use replay::ReplayOutcome;
