//! Outages: whether they pass by themselves.

use domain::{configuration::Site, connection::ConnectionFailure};

use crate::ports::{ErrorKind, PortError};

/// Turns an unreachable Region into a failure that passes: it answered when the connection was tested. The outage of another
/// server stays the customer's: nobody else can end it.
pub(crate) fn as_passing(error: PortError, site: &Site) -> PortError {
    match (&error.kind, site) {
        (ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), Site::Aws(_)) => {
            PortError { kind: ErrorKind::Unreachable, ..error }
        }
        _ => error,
    }
}
