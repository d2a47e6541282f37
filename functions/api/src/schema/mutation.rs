//! The mutations.

use async_graphql::{Context, ID, MergedObject, Object, Result};

use super::{
    configuration::ExportConfiguration,
    context,
    inputs::{
        CreateS3AccessKeyExportConfigurationInput, CreateS3AssumedRoleExportConfigurationInput,
        UpdateS3AccessKeyExportConfigurationInput, UpdateS3AssumedRoleExportConfigurationInput,
    },
    notifications::NotificationTestResult,
    repairs::{self, ExportRepair},
    replays::ReplayMutation,
    scalars::DateTime,
};

/// The mutations. Each changes data of the tenant that the token names.
#[derive(Default, MergedObject)]
pub struct Mutation(ConfigurationMutation, ReplayMutation);

#[derive(Default)]
pub struct ConfigurationMutation;

// Fields that can fail are nullable, so that a failed mutation leaves the results of those before it in the response.
#[Object]
impl ConfigurationMutation {
    /// Creates an enabled export with an access key, and tests its connection at once. A failed test is reported in
    /// `connectionStatus` and doesn't undo the creation. `TOO_MANY_CHANGES`: exports with webhooks count as changes that send
    /// notices, also where an idempotency key repeats a creation; try again later with the same key.
    async fn create_s3_access_key_export_configuration(
        &self,
        context: &Context<'_>,
        data: CreateS3AccessKeyExportConfigurationInput,
    ) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        let parts = data.parts();
        let settings = data.settings(&parts);
        let created = service.create_with_access_key(caller, author, &settings, &data.access_key()).await?;
        Ok(Some(created.into()))
    }

    /// Creates an enabled export with a role, which need not exist yet: its trust policy needs the returned `externalId`.
    /// Test the connection when the role exists. `TOO_MANY_CHANGES`: as for an access key.
    async fn create_s3_assumed_role_export_configuration(
        &self,
        context: &Context<'_>,
        data: CreateS3AssumedRoleExportConfigurationInput,
    ) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        let parts = data.parts();
        let settings = data.settings(&parts);
        Ok(Some(service.create_with_role(caller, author, &settings, &data.role_arn).await?.into()))
    }

    /// Changes the given fields. An export that assumed a role uses the access key afterwards. Another bucket, path, Region,
    /// endpoint, KMS key or bucket owner, or a change to or from the format `OCSF_PARQUET`, is tested before it replaces a
    /// working connection: unless the test succeeds, nothing changes (`NEW_CONNECTION_REFUSED`). With `force`, or if the
    /// connection does not work, the change is stored and then tested. A new access key, given by its ID and secret or by its
    /// secret alone, is always tested first (`NEW_ACCESS_KEY_REFUSED`). `TOO_MANY_CHANGES`: changes that send notices are
    /// limited to 200 an hour, and to 100 of one person.
    async fn update_s3_access_key_export_configuration(
        &self,
        context: &Context<'_>,
        data: UpdateS3AccessKeyExportConfigurationInput,
    ) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        let parts = data.parts();
        let (update, identity) = data.change(&parts);
        let target = &data.target;
        Ok(Some(service.update(caller, author, &target.id, target.terms(), (&update, &identity)).await?.into()))
    }

    /// Changes the given fields. An export that used an access key assumes the role afterwards. Another role, bucket, path,
    /// Region, KMS key or bucket owner, or a change to or from the format `OCSF_PARQUET`, is tested before it replaces a
    /// working connection: unless the test succeeds, nothing changes (`NEW_CONNECTION_REFUSED`). With `force`, or if the
    /// connection does not work, the change is stored and then tested, and a failed test undoes nothing. `TOO_MANY_CHANGES`:
    /// changes that send notices are limited to 200 an hour, and to 100 of one person.
    async fn update_s3_assumed_role_export_configuration(
        &self,
        context: &Context<'_>,
        data: UpdateS3AssumedRoleExportConfigurationInput,
    ) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        let parts = data.parts();
        let (update, identity) = data.change(&parts);
        let target = &data.target;
        Ok(Some(service.update(caller, author, &target.id, target.terms(), (&update, &identity)).await?.into()))
    }

    /// Tests the connection: writes a marker object to the bucket and, with a role, checks that the trust policy requires
    /// the external ID. Returns the outcome. If the connection works now and did not before, the export that is due starts.
    async fn test_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller) = context::of(context)?;
        Ok(Some(service.test(caller, &id).await?.into()))
    }

    /// Sends a test notice to each webhook of the configuration, once. Returns a result for each.
    async fn test_export_notifications(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> Result<Option<Vec<NotificationTestResult>>> {
        let (service, caller) = context::of(context)?;
        let results = service.test_notifications(caller, &id).await?;
        Ok(Some(results.into_iter().map(Into::into).collect()))
    }

    /// Resumes exporting, from where the last export ended.
    async fn enable_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        Ok(Some(service.set_enabled(caller, author, &id, true).await?.into()))
    }

    /// Stops exporting. Events are kept until their retention ends. `TOO_MANY_CHANGES`: changes that send notices are limited to
    /// 200 an hour, and to 100 of one person.
    async fn disable_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        Ok(Some(service.set_enabled(caller, author, &id, false).await?.into()))
    }

    /// Deletes an export permanently, and returns it as it was. The events of its `backlog` are not exported. Files in the
    /// bucket stay. The ID is never used again. `TOO_MANY_CHANGES`: changes that send notices are limited to 200 an hour, and
    /// to 100 of one person.
    async fn delete_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller, author) = context::of_change(context)?;
        Ok(Some(service.delete(caller, author, &id).await?.into()))
    }

    /// Puts the files and digests of past exports into the bucket again that are missing there: every job that overlaps the
    /// times of receipt from `from` to before `to`, byte for byte as its signed digest states. Files that are there are left as
    /// they are, unless `overwrite` is given: then each file of the range is written, and replaces what is there. Returns
    /// before the repair ends; `getExportRepair` has its progress. A disabled export can be repaired too.
    /// `REPAIR_IN_PROGRESS`: the last repair has not ended. `TOO_MANY_RUNS`: a repair counts as a requested run.
    async fn repair_export_configuration(
        &self,
        context: &Context<'_>,
        id: ID,
        from: DateTime,
        #[graphql(desc = "Exclusive.")] to: DateTime,
        #[graphql(default = false)] overwrite: bool,
    ) -> Result<Option<ExportRepair>> {
        let (service, caller, author) = context::of_change(context)?;
        let repair = service.repair(caller, author, &id, (from.0, to.0), repairs::mode(overwrite)).await?;
        Ok(Some(repairs::with_id(id, repair)))
    }

    /// Starts an export now, of everything received until the settling time ago (20 minutes, unless the operator chose
    /// otherwise). Returns before the export ends. While such a run is in the queue, it covers further requests.
    /// `TOO_MANY_RUNS`: the limit is 10 requests per minute, and 10 runs of one configuration per hour.
    async fn run_export_configuration(&self, context: &Context<'_>, id: ID) -> Result<Option<ExportConfiguration>> {
        let (service, caller) = context::of(context)?;
        Ok(Some(service.run(caller, &id).await?.into()))
    }
}
