//! What a resolver works with.

use std::sync::Arc;

use async_graphql::Context;
use runtime::token::Caller;

use super::errors::ApiError;
use crate::service::Service;

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
