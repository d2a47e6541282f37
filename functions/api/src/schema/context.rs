//! The data that resolvers take from the context.

use std::sync::Arc;

use async_graphql::Context;
use authentication::Caller;
use domain::configuration::change::Author;

use crate::{
    error::ApiError,
    service::{BacklogCounts, ListedConfigurations, Service},
};

/// Returns the service and the caller.
///
/// # Errors
/// Internal, if the schema or request was built without them.
pub fn of<'a>(context: &'a Context<'_>) -> Result<(&'a Service, &'a Caller), ApiError> {
    Ok((data::<Arc<Service>>(context)?, data(context)?))
}

/// Returns the service, the caller, and the author for the audit event of a change.
///
/// # Errors
/// As [`of`].
pub fn of_change<'a>(context: &'a Context<'_>) -> Result<(&'a Service, &'a Caller, &'a Author), ApiError> {
    Ok((data::<Arc<Service>>(context)?, data(context)?, data(context)?))
}

/// Returns the service, and the backlogs that this request has counted.
///
/// # Errors
/// As [`of`].
pub fn of_backlog<'a>(context: &'a Context<'_>) -> Result<(&'a Service, &'a BacklogCounts), ApiError> {
    Ok((data::<Arc<Service>>(context)?, data(context)?))
}

/// Returns the service, the caller, and the configurations that this request has listed.
///
/// # Errors
/// As [`of`].
pub fn of_list<'a>(context: &'a Context<'_>) -> Result<(&'a Service, &'a Caller, &'a ListedConfigurations), ApiError> {
    Ok((data::<Arc<Service>>(context)?, data(context)?, data(context)?))
}

fn data<'a, D: Send + Sync + 'static>(context: &'a Context<'_>) -> Result<&'a D, ApiError> {
    context.data_opt::<D>().ok_or_else(|| {
        tracing::error!(data = std::any::type_name::<D>(), "a resolver has no such data");
        ApiError::Internal
    })
}
