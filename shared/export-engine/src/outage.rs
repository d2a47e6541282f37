//! Outages: whether they pass by themselves.

use domain::{configuration::Site, connection::ConnectionFailure};

use crate::ports::{ErrorKind, PortError};

/// Returns the failure of an export whose connection has worked before.
///
/// An unreachable Region is a failure that passes: it answered when the connection was tested. The outage of another server stays the
/// customer's: nobody else can end it. A Region that the service's account had enabled is the operator's to enable again.
pub(crate) fn as_passing(error: PortError, site: &Site) -> PortError {
    match (&error.kind, site) {
        (ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), Site::Aws(_)) => {
            PortError { kind: ErrorKind::Unreachable, ..error }
        }
        (ErrorKind::Customer(ConnectionFailure::RegionNotOffered), _) => {
            PortError { kind: ErrorKind::Internal, ..error }
        }
        _ => error,
    }
}
