//! What the API answers, as far as it is shown to people. Names of enumerations stay text: a newer service may know more.

use serde::Deserialize;

use crate::text::{Lines, Text};

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    pub id: Text,
    pub version: u64,
    #[serde(rename = "type")]
    pub kind: Text,
    pub description: Option<Text>,
    pub interval: Text,
    pub enabled: bool,
    pub connection_status: Text,
    pub connection_checked_at: Option<Text>,
    pub connection_error: Option<ConnectionError>,
    pub endpoint_configuration: Endpoint,
    pub principal_arn: Option<Text>,
    pub exported_through: Option<Text>,
    pub last_export: Option<Text>,
    pub next_export_at: Option<Text>,
    pub consecutive_failures: u64,
    pub start_from: Text,
    pub external_id: Text,
    pub created_by: Text,
    pub created_at: Text,
    pub updated_by: Text,
    pub updated_at: Text,
    /// Not asked for in lists.
    pub backlog: Option<Backlog>,
    #[serde(default)]
    pub next_steps: Vec<NextStep>,
    #[serde(default)]
    pub connection_checks: Vec<ConnectionCheck>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub bucket_name: Text,
    pub bucket_path: Option<Text>,
    pub region: Text,
    pub role_arn: Option<Text>,
    pub access_key_id: Option<Text>,
    pub kms_key_arn: Option<Text>,
    pub expected_bucket_owner: Option<Text>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ConnectionError {
    pub code: Text,
    pub message: Text,
}

/// Events received and not yet exported.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backlog {
    pub events: u64,
    pub oldest: Option<Text>,
    /// Otherwise there are at least as many.
    pub is_complete: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct NextStep {
    pub code: Text,
    pub instruction: Text,
    pub document: Option<Lines>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ConnectionCheck {
    pub check: Text,
    /// `PASSED`, `FAILED` or `NOT_CHECKED`.
    pub status: Text,
    pub title: Text,
    pub code: Option<Text>,
    pub message: Option<Text>,
}

/// The fields of a configuration in a list.
macro_rules! configuration_fields {
    () => {
        "id version type description interval enabled connectionStatus connectionCheckedAt \
         connectionError { code message } \
         endpointConfiguration { ... on S3EndpointConfiguration { \
         bucketName bucketPath region roleArn accessKeyId kmsKeyArn expectedBucketOwner } } \
         principalArn exportedThrough lastExport nextExportAt consecutiveFailures startFrom externalId \
         createdBy createdAt updatedBy updatedAt"
    };
}

/// The fields of a configuration that is looked at by itself.
macro_rules! all_configuration_fields {
    () => {
        concat!(
            $crate::model::configuration_fields!(),
            " backlog { events oldest isComplete } nextSteps { code instruction document } \
             connectionChecks { check status title code message }"
        )
    };
}

pub(crate) use all_configuration_fields;
pub(crate) use configuration_fields;
