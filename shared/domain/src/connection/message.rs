//! The messages of failures, by the place of the bucket.

use super::{error::ConnectionError, failure::ConnectionFailure, server};
use crate::{
    configuration::{Destination, Site},
    policy::AccountScope,
};

impl ConnectionFailure {
    /// Returns the code and the message for the customer. `scope` relates the account of the writer to that of the bucket.
    #[must_use]
    pub fn explain(&self, destination: &Destination, scope: AccountScope) -> ConnectionError {
        let message = match &destination.site {
            Site::Aws(region) => self.explain_in(region, destination, scope),
            Site::Server(server) => server::explain(self, &destination.bucket_name, server),
        };
        ConnectionError { code: self.code(), message }
    }
}
