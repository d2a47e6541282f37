//! What can be changed.

use async_graphql::{Context, ID, Object, Result};

use super::{
    context,
    inputs::{
        CreateS3AccessKeyExportConfigurationInput, CreateS3AssumedRoleExportConfigurationInput,
        UpdateS3AccessKeyExportConfigurationInput, UpdateS3AssumedRoleExportConfigurationInput,
    },
    types::ExportConfiguration,
};

/// Everything is of the tenant that the token names.
pub struct Mutation;

// Fields that can fail are nullable: a failed one must not take from the answer what the one before it has done.
#[Object]
impl Mutation {
    /// Creates an enabled export with an access key, and tests its connection at once. A test that fails is told by
    /// `connectionStatus` and undoes nothing.
    async fn create_s3_access_key_export_configuration(
        &self,
        context: &Context<'_>,
        data: CreateS3AccessKeyExportConfigurationInput,
    ) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        let created = service
            .create_with_access_key(caller, author, &data.settings(), &data.access_key_id, &data.secret_access_key)
            .await?;
        Ok(Some(created.into()))
    }

    /// Creates an enabled export with a role, which need not exist yet: the answer's `externalId` is needed for its trust
    /// policy. Test the connection when the role is there.
    async fn create_s3_assumed_role_export_configuration(
        &self,
        context: &Context<'_>,
        data: CreateS3AssumedRoleExportConfigurationInput,
    ) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        Ok(Some(service.create_with_role(caller, author, &data.settings(), &data.role_arn).await?.into()))
    }

    /// Changes what is given; what is left out stays. Another bucket, path, region, KMS key or bucket owner is tested before
    /// it replaces a connection that works: unless that succeeds, nothing is changed (`NEW_CONNECTION_REFUSED`). With `force`,
    /// or where the connection does not work, it is stored and then tested. A new access key, by its id and secret or by its
    /// secret alone, is always tested first (`NEW_ACCESS_KEY_REFUSED`). An export that used a role uses the access key from
    /// now on.
    async fn update_s3_access_key_export_configuration(
        &self,
        context: &Context<'_>,
        data: UpdateS3AccessKeyExportConfigurationInput,
    ) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        let change = (&data.update(), &data.identity());
        Ok(Some(service.update(caller, author, &data.id, data.terms(), change).await?.into()))
    }

    /// Changes what is given; what is left out stays. Another role, bucket, path, region, KMS key or bucket owner is tested
    /// before it replaces a connection that works: unless that succeeds, nothing is changed (`NEW_CONNECTION_REFUSED`). With
    /// `force`, or where the connection does not work, it is stored and then tested, and a test that fails undoes nothing. An
    /// export that used an access key uses the role from now on.
    async fn update_s3_assumed_role_export_configuration(
        &self,
        context: &Context<'_>,
        data: UpdateS3AssumedRoleExportConfigurationInput,
    ) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        let change = (&data.update(), &data.identity());
        Ok(Some(service.update(caller, author, &data.id, data.terms(), change).await?.into()))
    }

    /// Tests the connection: writes a marker object to the bucket, and, with a role, sees that nobody else can make us
    /// assume it. The answer has the outcome. A connection that works now and did not before starts the export that is due.
    async fn test_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller) = context::of(context)?;
        Ok(Some(service.test(caller, &id).await?.into()))
    }

    /// Exports from now on, beginning where the last export ended.
    async fn enable_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        Ok(Some(service.set_enabled(caller, author, &id, true).await?.into()))
    }

    /// Stops exporting. Events are kept until their retention ends.
    async fn disable_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        Ok(Some(service.set_enabled(caller, author, &id, false).await?.into()))
    }

    /// Deletes an export for good, and answers with what it was: its `backlog` was not exported, and won't be. What is in
    /// the bucket stays there. The id is never used again.
    async fn delete_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        Ok(Some(service.delete(caller, author, &id).await?.into()))
    }

    /// Exports now what was received until a settling time ago (20 minutes, unless the operator chose otherwise), without
    /// waiting for the next time. The answer doesn't wait for the export. While such a run is in the queue, it exports for
    /// further requests as well. `TOO_MANY_RUNS`: at most 10 requests a minute, and 10 runs of one configuration an hour.
    async fn run_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller) = context::of(context)?;
        Ok(Some(service.run(caller, &id).await?.into()))
    }
}
