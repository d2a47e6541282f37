//! The operations of the GraphQL API that the commands use.

/// The fields of an export configuration in a list.
const CONFIGURATION: &str = "id version type description interval format \
    filter { include { actions actorTypes targetTypes } exclude { actions actorTypes targetTypes } } \
    ocsf { version classes { action targetType class activity } } enabled connectionStatus connectionCheckedAt \
    connectionError { code message } endpointConfiguration { ... on S3EndpointConfiguration { bucketName bucketPath region \
    endpointUrl roleArn accessKeyId kmsKeyArn expectedBucketOwner } } principalArn exportedThrough lastExport nextExportAt \
    consecutiveFailures startFrom externalId createdBy createdAt updatedBy updatedAt status { health lagSeconds \
    lastSuccessAt exportedThrough consecutiveFailures nextExportAt retentionUsedPercent advice }";
/// The further fields of a single export configuration.
const WHOLE: &str = "backlog { events oldest isComplete } nextSteps { code instruction document } \
    connectionChecks { check status title code message } notifications { url }";
const JOB: &str = "id exportConfigurationId startTimestamp endTimestamp startedAt endedAt attempts status failureReason \
    objects events leftOut bytes gap { startTimestamp endTimestamp reason blockId } \
    gaps { startTimestamp endTimestamp reason blockId }";
const TASK: &str = "id startTimestamp endTimestamp attempts offset limit status failureReason objects events bytes objectKey ocsfClass \
     unknownActions";
const DIGEST_FILES: &str =
    "exportJobId bucketName objectKey digest sha256 signatureObjectKey signature signatureSha256";
const DOCUMENTS: &str = "externalId principalArn trustPolicy { document isRequired instruction } \
    iamPolicy { document isRequired instruction } bucketPolicy { document isRequired instruction } \
    kmsKeyPolicyStatement { document isRequired instruction } \
    cloudFormation { launchUrl parameters { name value } }";

const REPAIR: &str = "id exportConfigurationId status from to overwrite requestedBy requestedAt updatedAt \
    error { code message } checked repaired present unrepaired \
    unrepairedFiles { exportJobId reason bucketName objectKey }";
const REPLAY: &str = "id exportConfigurationId status error { code message } from to bucketName bucketPath format \
    filter { include { actions actorTypes targetTypes } exclude { actions actorTypes targetTypes } } \
    ocsf { version classes { action targetType class activity } } place percent exportedThrough objects events bytes \
    requestedBy requestedAt startedAt endedAt";

/// An operation that selects one field.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The end of the sentence "the service refused …".
    pub what: &'static str,
    /// The field of `data` that has the answer.
    pub field: &'static str,
    keyword: &'static str,
    argument: Option<Argument>,
    selection: &'static [&'static str],
}

/// The arguments of the field, and the variables that are their values.
#[derive(Clone, Copy, Debug)]
enum Argument {
    /// The ID of an export configuration or an export job, under the argument's name.
    Id(&'static str),
    /// An input object of this type.
    Data(&'static str),
    /// Several arguments with their types. Each is the variable of its name.
    Several(&'static [(&'static str, &'static str)]),
}

impl Operation {
    /// Returns the GraphQL document.
    pub fn document(&self) -> String {
        let Self { field, keyword, .. } = self;
        let selection = self.selection.join(" ");
        match self.argument {
            None => format!("{keyword} {{ {field} {{ {selection} }} }}"),
            Some(Argument::Id(name)) => {
                format!("{keyword}($id: ID!) {{ {field}({name}: $id) {{ {selection} }} }}")
            }
            Some(Argument::Data(kind)) => {
                format!("{keyword}($data: {kind}!) {{ {field}(data: $data) {{ {selection} }} }}")
            }
            Some(Argument::Several(arguments)) => {
                let join =
                    |part: fn(&(&str, &str)) -> String| arguments.iter().map(part).collect::<Vec<_>>().join(", ");
                let variables = join(|(name, kind)| format!("${name}: {kind}!"));
                let values = join(|(name, _)| format!("{name}: ${name}"));
                format!("{keyword}({variables}) {{ {field}({values}) {{ {selection} }} }}")
            }
        }
    }
}

/// Defines operations: name, keyword, field, argument, selection, and the end of the sentence "the service refused …".
macro_rules! operations {
    ($($name:ident: $keyword:ident $field:ident($($argument:expr)?) [$($selection:expr),*], $what:literal;)*) => {
        $(pub const $name: Operation = Operation {
            what: $what,
            field: stringify!($field),
            keyword: stringify!($keyword),
            argument: operations!(@argument $($argument)?),
            selection: &[$($selection),*],
        };)*

        #[cfg(test)]
        pub const ALL: &[Operation] = &[$($name),*];
    };
    (@argument) => { None };
    (@argument $argument:expr) => { Some($argument) };
}

const ID: Argument = Argument::Id("id");
const CONFIGURATION_ID: Argument = Argument::Id("exportConfigurationId");
const JOB_ID: Argument = Argument::Id("exportJobId");
const REPLAY_ID: Argument = Argument::Several(&[("exportConfigurationId", "ID"), ("id", "ID")]);

operations! {
    LIST: query getAllExportConfigurations() [CONFIGURATION], "to list the export configurations";
    GET: query getExportConfiguration(ID) [CONFIGURATION, WHOLE], "to show the export configuration";
    STATUS: query getExportConfiguration(ID) [CONFIGURATION], "to show the status of the export configuration";
    PROGRESS: query getExportConfiguration(ID) [CONFIGURATION, WHOLE, "requestedRunThrough"],
        "to show the export configuration";
    PLACE: query getExportConfiguration(ID)
        ["endpointConfiguration { ... on S3EndpointConfiguration { bucketName bucketPath region endpointUrl } }"],
        "to name the bucket of the export configuration";
    EXPORTED_THROUGH: query getExportConfiguration(ID) ["exportedThrough"],
        "to show how far the configuration is exported (give --expect-through instead)";
    CREATE_WITH_ACCESS_KEY: mutation createS3AccessKeyExportConfiguration(
        Argument::Data("CreateS3AccessKeyExportConfigurationInput")
    ) [CONFIGURATION, WHOLE], "to create the export configuration";
    CREATE_WITH_ROLE: mutation createS3AssumedRoleExportConfiguration(
        Argument::Data("CreateS3AssumedRoleExportConfigurationInput")
    ) [CONFIGURATION, WHOLE], "to create the export configuration";
    UPDATE_WITH_ACCESS_KEY: mutation updateS3AccessKeyExportConfiguration(
        Argument::Data("UpdateS3AccessKeyExportConfigurationInput")
    ) [CONFIGURATION, WHOLE], "to update the export configuration";
    UPDATE_WITH_ROLE: mutation updateS3AssumedRoleExportConfiguration(
        Argument::Data("UpdateS3AssumedRoleExportConfigurationInput")
    ) [CONFIGURATION, WHOLE], "to update the export configuration";
    ENABLE: mutation enableExportConfiguration(ID) [CONFIGURATION, WHOLE], "to enable the export configuration";
    DISABLE: mutation disableExportConfiguration(ID) [CONFIGURATION, WHOLE], "to disable the export configuration";
    DELETE: mutation deleteExportConfiguration(ID) [CONFIGURATION, "backlog { events oldest isComplete }"],
        "to delete the export configuration";
    TEST: mutation testExportConfiguration(ID) [CONFIGURATION, WHOLE], "to test the connection";
    CONNECTION_TEST: query getExportConnectionTest(CONFIGURATION_ID) ["isRunning checks { status title }"],
        "to show the progress of the connection test";
    NOTIFICATIONS: query getExportConfiguration(ID) ["type version notifications { url }"],
        "to list the webhooks of the export configuration";
    TEST_NOTIFICATIONS: mutation testExportNotifications(ID) ["url isDelivered status error { code message }"],
        "to test the webhooks";
    RUN: mutation runExportConfiguration(ID) [CONFIGURATION, WHOLE, "requestedRunThrough"], "to export now";
    REQUEST_REPAIR: mutation repairExportConfiguration(
        Argument::Several(&[("id", "ID"), ("from", "DateTime"), ("to", "DateTime"), ("overwrite", "Boolean")])
    ) [REPAIR], "to repair the export";
    LAST_REPAIR: query getExportRepair(CONFIGURATION_ID) [REPAIR], "to show the last repair of the export";
    JOBS: query getAllExportJobs(CONFIGURATION_ID) [JOB], "to list the export jobs";
    TASKS: query getAllExportJobTasks(JOB_ID) [TASK], "to list the tasks of the export job";
    DIGEST: query getExportDigest(JOB_ID) [DIGEST_FILES], "to return the digest of the export job";
    DIGEST_LOCATION: query getExportDigest(JOB_ID) ["bucketName objectKey sha256"],
        "to name the digest of the export job (give --expect-head instead)";
    POLICIES: query getExportConfigurationPolicies(ID) [DOCUMENTS], "to show the policies of the export configuration";
    POLICIES_WITH_REPLAYS: query getExportConfigurationPolicies(
        Argument::Several(&[("id", "ID"), ("replayBucketPath", "String")])
    ) [DOCUMENTS], "to show the policies of the export configuration and its replays";
    START_REPLAY: mutation replayExportConfiguration(
        Argument::Several(&[("id", "ID"), ("from", "String"), ("to", "String"), ("bucketPath", "String")])
    ) [REPLAY], "to export the period again";
    GET_REPLAY: query getExportReplay(REPLAY_ID) [REPLAY], "to show the replay";
    REPLAYS: query exportReplays(CONFIGURATION_ID) [REPLAY], "to list the replays";
    CANCEL_REPLAY: mutation cancelExportReplay(REPLAY_ID) [REPLAY], "to cancel the replay";
    SIGNING_KEYS: query exportSigningKeys() ["fingerprint publicKey"], "to show its public keys";
    IDENTITY: query exportServiceIdentity() ["account partition region"], "to show its AWS identity";
}

#[cfg(test)]
mod tests {
    use apollo_compiler::{ExecutableDocument, Schema};

    use super::*;

    /// The committed schema of the API.
    const SCHEMA: &str = include_str!("../../../../functions/api/schema.graphql");

    #[test]
    fn every_operation_fits_the_schema() {
        let schema = Schema::parse_and_validate(SCHEMA, "schema.graphql").unwrap();
        for operation in ALL {
            let checked = ExecutableDocument::parse_and_validate(&schema, operation.document(), operation.field);
            assert!(checked.is_ok(), "{}", checked.unwrap_err().errors);
        }
    }
}
