//! What a resolver works with.

use std::sync::Arc;

use async_graphql::Context;
use domain::configuration::change::Author;
use function_runtime::token::Caller;

use super::errors::ApiError;
use crate::{jobs::BacklogCounts, service::Service};

/// The same for a change, with what its audit event tells of its author.
///
/// # Errors
/// As [`of`].
pub fn of_change<'a>(context: &'a Context<'_>) -> Result<(&'a Service, &'a Caller, &'a Author), ApiError> {
    let (service, caller) = of(context)?;
    let author = context.data_opt::<Author>().ok_or_else(|| {
        tracing::error!("a resolver has no author");
        ApiError::Internal
    })?;
    Ok((service, caller, author))
}

/// The use-cases, and who is calling.
///
/// # Errors
/// Internal, if the schema or request was built without them.
pub fn of<'a>(context: &'a Context<'_>) -> Result<(&'a Service, &'a Caller), ApiError> {
    let service = context.data_opt::<Arc<Service>>().map(Arc::as_ref);
    service.zip(context.data_opt::<Caller>()).ok_or_else(|| {
        tracing::error!("a resolver has no service or no caller");
        ApiError::Internal
    })
}

/// The use-cases, and what was counted for this request so far.
///
/// # Errors
/// Internal, if the schema or request was built without them.
pub fn of_request<'a>(context: &'a Context<'_>) -> Result<(&'a Service, &'a BacklogCounts), ApiError> {
    let (service, _) = of(context)?;
    let counts = context.data_opt::<BacklogCounts>().ok_or_else(|| {
        tracing::error!("a request has no counts");
        ApiError::Internal
    })?;
    Ok((service, counts))
}
