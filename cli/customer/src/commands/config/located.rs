//! The bucket of an export, for commands that are printed.

use serde_json::json;

use crate::{
    api::operations,
    failure::Failure,
    model::{Endpoint, Located},
    service::Service,
};

/// Returns what the configuration `id` exports to. `None` if the service does not know it any more, or it exports to another bucket
/// than `bucket` now.
pub async fn endpoint_of(service: &Service, id: &str, bucket: &str) -> Result<Option<Endpoint>, Failure> {
    match service.ask(&operations::PLACE, &json!({ "id": id })).await {
        Ok(answer) => {
            let endpoint = answer.parse::<Located>()?.endpoint_configuration;
            Ok(Some(endpoint).filter(|endpoint| &*endpoint.bucket_name == bucket))
        }
        Err(Failure::NotFound { .. }) => Ok(None),
        Err(failure) => Err(failure),
    }
}
