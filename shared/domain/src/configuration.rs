//! Export configurations: what a customer sets up, and what runs and connection tests report of it.

pub mod access_key;
pub mod arn;
pub mod bucket;
pub mod change;
pub mod description;
pub mod destination;
pub mod endpoint;
pub mod export_configuration;
pub mod field;
pub mod field_error;
pub mod input;
pub mod key;
pub mod region;
pub mod service_identity;
pub mod site;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
pub(crate) mod text_type;
pub mod update;

pub use self::{
    destination::{Destination, Layout, MAX_LAKE_PATH_LENGTH},
    export_configuration::{Authentication, ExportConfiguration, ExportProgress},
    key::{ConfigurationId, ConfigurationKey},
    service_identity::ServiceIdentity,
    site::{S3Server, Site},
};
