//! The operations of the GraphQL API that the commands use.

/// The fields of an export configuration in a list.
const CONFIGURATION: &str = "id version type description interval enabled connectionStatus connectionCheckedAt \
    connectionError { code message } endpointConfiguration { ... on S3EndpointConfiguration { bucketName bucketPath region \
    roleArn accessKeyId kmsKeyArn expectedBucketOwner } } principalArn exportedThrough lastExport nextExportAt \
    consecutiveFailures startFrom externalId createdBy createdAt updatedBy updatedAt";
const BACKLOG: &str = "backlog { events oldest isComplete }";
const STEPS_AND_CHECKS: &str =
    "nextSteps { code instruction document } connectionChecks { check status title code message }";
/// The selection of a single export configuration.
const WHOLE: &[&str] = &[CONFIGURATION, BACKLOG, STEPS_AND_CHECKS];
const WHOLE_WITH_RUN: &[&str] = &[CONFIGURATION, BACKLOG, STEPS_AND_CHECKS, "requestedRunThrough"];

/// An operation with at most one variable that selects one field.
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

/// The argument of the field, and the variable that is its value.
#[derive(Clone, Copy, Debug)]
struct Argument {
    name: &'static str,
    variable: &'static str,
    kind: &'static str,
}

const ID: Option<Argument> = Some(Argument { name: "id", variable: "id", kind: "ID!" });
const CONFIGURATION_ID: Option<Argument> =
    Some(Argument { name: "exportConfigurationId", variable: "id", kind: "ID!" });
const JOB_ID: Option<Argument> = Some(Argument { name: "exportJobId", variable: "id", kind: "ID!" });

impl Operation {
    const fn query(
        field: &'static str,
        argument: Option<Argument>,
        selection: &'static [&'static str],
        what: &'static str,
    ) -> Self {
        Self { what, field, keyword: "query", argument, selection }
    }

    const fn mutation(
        field: &'static str,
        argument: Option<Argument>,
        selection: &'static [&'static str],
        what: &'static str,
    ) -> Self {
        Self { what, field, keyword: "mutation", argument, selection }
    }

    /// A mutation whose variable `data` is an input object.
    const fn input(field: &'static str, kind: &'static str, what: &'static str) -> Self {
        Self::mutation(field, Some(Argument { name: "data", variable: "data", kind }), WHOLE, what)
    }

    /// Returns the GraphQL document.
    #[must_use]
    pub fn document(&self) -> String {
        let Self { field, keyword, .. } = self;
        let selection = self.selection.join(" ");
        match self.argument {
            None => format!("{keyword} {{ {field} {{ {selection} }} }}"),
            Some(Argument { name, variable, kind }) => {
                format!("{keyword}(${variable}: {kind}) {{ {field}({name}: ${variable}) {{ {selection} }} }}")
            }
        }
    }
}

pub const LIST: Operation =
    Operation::query("getAllExportConfigurations", None, &[CONFIGURATION], "to list the export configurations");
pub const GET: Operation = Operation::query("getExportConfiguration", ID, WHOLE, "to show the export configuration");
pub const PROGRESS: Operation =
    Operation::query("getExportConfiguration", ID, WHOLE_WITH_RUN, "to show the export configuration");
pub const EXPORTED_THROUGH: Operation = Operation::query(
    "getExportConfiguration",
    ID,
    &["exportedThrough"],
    "to show how far the configuration is exported (give --expect-through instead)",
);
pub const CREATE_WITH_ACCESS_KEY: Operation = Operation::input(
    "createS3AccessKeyExportConfiguration",
    "CreateS3AccessKeyExportConfigurationInput!",
    "to create the export configuration",
);
pub const CREATE_WITH_ROLE: Operation = Operation::input(
    "createS3AssumedRoleExportConfiguration",
    "CreateS3AssumedRoleExportConfigurationInput!",
    "to create the export configuration",
);
pub const UPDATE_WITH_ACCESS_KEY: Operation = Operation::input(
    "updateS3AccessKeyExportConfiguration",
    "UpdateS3AccessKeyExportConfigurationInput!",
    "to update the export configuration",
);
pub const UPDATE_WITH_ROLE: Operation = Operation::input(
    "updateS3AssumedRoleExportConfiguration",
    "UpdateS3AssumedRoleExportConfigurationInput!",
    "to update the export configuration",
);
pub const ENABLE: Operation =
    Operation::mutation("enableExportConfiguration", ID, WHOLE, "to enable the export configuration");
pub const DISABLE: Operation =
    Operation::mutation("disableExportConfiguration", ID, WHOLE, "to disable the export configuration");
pub const DELETE: Operation = Operation::mutation(
    "deleteExportConfiguration",
    ID,
    &[CONFIGURATION, BACKLOG],
    "to delete the export configuration",
);
pub const TEST: Operation = Operation::mutation("testExportConfiguration", ID, WHOLE, "to test the connection");
pub const RUN: Operation = Operation::mutation("runExportConfiguration", ID, WHOLE_WITH_RUN, "to export now");
pub const JOBS: Operation = Operation::query(
    "getAllExportJobs",
    CONFIGURATION_ID,
    &[
        "id exportConfigurationId startTimestamp endTimestamp startedAt endedAt attempts status failureReason objects events \
       bytes gap { startTimestamp endTimestamp reason blockId } gaps { startTimestamp endTimestamp reason blockId }",
    ],
    "to list the export jobs",
);
pub const TASKS: Operation = Operation::query(
    "getAllExportJobTasks",
    JOB_ID,
    &["id startTimestamp endTimestamp attempts offset limit status failureReason objects events bytes objectKey"],
    "to list the tasks of the export job",
);
pub const DIGEST: Operation = Operation::query(
    "getExportDigest",
    JOB_ID,
    &["exportJobId bucketName objectKey digest sha256 signatureObjectKey signature signatureSha256"],
    "to return the digest of the export job",
);
pub const DIGEST_LOCATION: Operation = Operation::query(
    "getExportDigest",
    JOB_ID,
    &["bucketName objectKey sha256"],
    "to name the digest of the export job (give --expect-head instead)",
);
pub const POLICIES: Operation = Operation::query(
    "getExportConfigurationPolicies",
    ID,
    &[
        "externalId principalArn trustPolicy { document isRequired instruction } iamPolicy { document isRequired instruction } \
       bucketPolicy { document isRequired instruction } kmsKeyPolicyStatement { document isRequired instruction } \
       cloudFormation { launchUrl parameters { name value } }",
    ],
    "to show the policies of the export configuration",
);
pub const SIGNING_KEYS: Operation =
    Operation::query("exportSigningKeys", None, &["fingerprint publicKey"], "to show its public keys");
pub const IDENTITY: Operation =
    Operation::query("exportServiceIdentity", None, &["account partition region"], "to show its AWS identity");

#[cfg(test)]
mod tests {
    use apollo_compiler::{ExecutableDocument, Schema};

    use super::*;

    /// The committed schema of the API.
    const SCHEMA: &str = include_str!("../../../../functions/api/schema.graphql");

    #[test]
    fn every_operation_fits_the_schema() {
        let schema = Schema::parse_and_validate(SCHEMA, "schema.graphql").unwrap();
        for operation in [
            LIST,
            GET,
            PROGRESS,
            EXPORTED_THROUGH,
            CREATE_WITH_ACCESS_KEY,
            CREATE_WITH_ROLE,
            UPDATE_WITH_ACCESS_KEY,
            UPDATE_WITH_ROLE,
            ENABLE,
            DISABLE,
            DELETE,
            TEST,
            RUN,
            JOBS,
            TASKS,
            DIGEST,
            DIGEST_LOCATION,
            POLICIES,
            SIGNING_KEYS,
            IDENTITY,
        ] {
            let checked = ExecutableDocument::parse_and_validate(&schema, operation.document(), operation.field);
            assert!(checked.is_ok(), "{}", checked.unwrap_err().errors);
        }
    }
}
