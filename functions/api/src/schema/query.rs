//! What can be asked.

use async_graphql::{Context, ID, MergedObject, Object, Result};

use super::{
    context,
    digests::DigestQuery,
    jobs::JobQuery,
    policies::PolicyQuery,
    types::{ExportConfiguration, ExportServiceIdentity, ExportSigningKey},
};

/// Everything is of the tenant that the token names.
#[derive(Default, MergedObject)]
pub struct Query(ConfigurationQuery, JobQuery, DigestQuery, PolicyQuery);

#[derive(Default)]
pub struct ConfigurationQuery;

// Fields that can fail are nullable, so that a failure takes nothing else of the answer away.
#[expect(clippy::unused_async, reason = "a resolver is async, whether it waits or not")]
#[Object]
impl ConfigurationQuery {
    /// All export configurations, the oldest first.
    async fn get_all_export_configurations(&self, context: &Context<'_>) -> Result<Option<Vec<ExportConfiguration>>> {
        let (service, caller) = context::of(context)?;
        let configurations = service.list(caller).await?;
        Ok(Some(configurations.into_iter().map(Into::into).collect()))
    }

    /// One export configuration; `NOT_FOUND` if there is none with this id.
    async fn get_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller) = context::of(context)?;
        Ok(Some(service.get(caller, &id).await?.into()))
    }

    /// Who this service is to AWS: needed to write the trust policy of a role.
    async fn export_service_identity(&self, context: &Context<'_>) -> Result<Option<ExportServiceIdentity>> {
        let (service, _) = context::of(context)?;
        Ok(Some(service.identity().into()))
    }

    /// The public keys that digests are or were signed with, the current one first. Keep them where whoever can write to
    /// the bucket can't change them.
    async fn export_signing_keys(&self, context: &Context<'_>) -> Result<Option<Vec<ExportSigningKey>>> {
        let (service, _) = context::of(context)?;
        let keys = service.signing_keys().await?;
        Ok(Some(keys.into_iter().enumerate().map(|(index, key)| ExportSigningKey::of(key, index == 0)).collect()))
    }
}
