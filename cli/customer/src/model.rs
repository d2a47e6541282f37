//! The API's answers, as far as they are shown. Enumeration values stay text, because a newer service may have more.

use domain::configuration::ConfigurationId;
use serde::Deserialize;
use terminal::text::{Lines, Text, shell_word};
use verification::{InvalidPlace, Place};

use crate::{failure::Failure, words::Advice};

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the API's name")]
pub struct Configuration {
    pub id: Text,
    pub version: u64,
    #[serde(rename = "type")]
    pub kind: Text,
    pub description: Option<Text>,
    pub interval: Text,
    pub format: Text,
    /// `None`: all events are exported.
    pub filter: Option<Filter>,
    /// `None`: another format than `OCSF_PARQUET`.
    pub ocsf: Option<Ocsf>,
    pub enabled: bool,
    pub connection_status: Text,
    pub connection_checked_at: Option<Text>,
    pub connection_error: Option<ConnectionError>,
    pub endpoint_configuration: Endpoint,
    pub principal_arn: Option<Text>,
    pub exported_through: Option<Text>,
    pub last_export: Option<Text>,
    pub next_export_at: Option<Text>,
    /// Selected by `config run` only.
    pub requested_run_through: Option<Text>,
    pub consecutive_failures: u64,
    pub start_from: Text,
    pub external_id: Text,
    pub created_by: Text,
    pub created_at: Text,
    pub updated_by: Text,
    pub updated_at: Text,
    pub status: Status,
    /// Not selected in lists.
    pub backlog: Option<Backlog>,
    #[serde(default)]
    pub next_steps: Vec<NextStep>,
    #[serde(default)]
    pub connection_checks: Vec<ConnectionCheck>,
}

impl Configuration {
    pub fn parsed_id(&self) -> Result<ConfigurationId, Failure> {
        let malformed = || Failure::Unavailable("the service returned a malformed ID".to_owned());
        ConfigurationId::parse(&self.id).ok_or_else(malformed)
    }
}

/// The filter of an export: the lists that an event has to pass.
#[derive(Clone, Debug, Deserialize)]
pub struct Filter {
    pub include: Option<FilterLists>,
    pub exclude: Option<FilterLists>,
}

/// The lists of one side of a filter. `None`: the list is not given.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilterLists {
    pub actions: Option<Vec<Text>>,
    pub actor_types: Option<Vec<Text>>,
    pub target_types: Option<Vec<Text>>,
}

/// The choices of OCSF of an export.
#[derive(Clone, Debug, Deserialize)]
pub struct Ocsf {
    pub version: Text,
    /// Its own rules.
    pub classes: Vec<OcsfRule>,
}

/// A rule for the events of an action.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OcsfRule {
    pub action: Text,
    /// `None`: all.
    pub target_type: Option<Text>,
    pub class: Text,
    pub activity: Text,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the API's name")]
pub struct Endpoint {
    pub bucket_name: Text,
    pub bucket_path: Option<Text>,
    pub region: Text,
    pub endpoint_url: Option<Text>,
    pub role_arn: Option<Text>,
    pub access_key_id: Option<Text>,
    pub kms_key_arn: Option<Text>,
    pub expected_bucket_owner: Option<Text>,
}

impl Endpoint {
    /// Returns the place of the export's files and digests.
    pub fn place(&self, id: ConfigurationId) -> Result<Place, Failure> {
        let path = self.bucket_path.as_ref().map(|path| format!("{path}/")).unwrap_or_default();
        let place = format!("s3://{}/{path}{id}", self.bucket_name).parse();
        place.map_err(|error: InvalidPlace| Failure::Unavailable(format!("the service returned no place: {error}")))
    }

    /// Returns the option that names the S3 server, after a space. A bucket in AWS needs none.
    pub fn server_option(&self) -> String {
        self.endpoint_url.as_ref().map_or_else(String::new, |url| format!(" --endpoint-url {}", shell_word(url)))
    }
}

/// The place of a configuration, without its other fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Located {
    pub endpoint_configuration: Endpoint,
}

/// How the export is doing, beyond the fields of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `OK`, `DELAYED`, `FAILING`, `DISABLED` or `NEVER_RUN`.
    pub health: Text,
    pub lag_seconds: u64,
    pub retention_used_percent: u64,
    /// What to do.
    pub advice: Text,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ConnectionError {
    pub code: Text,
    pub message: Advice,
}

/// The webhooks of an export, and what a change of them needs.
#[derive(Clone, Debug, Deserialize)]
pub struct NotificationSettings {
    #[serde(rename = "type")]
    pub kind: Text,
    pub version: u64,
    pub notifications: Vec<Webhook>,
}

/// A receiver of notices.
#[derive(Clone, Debug, Deserialize)]
pub struct Webhook {
    pub url: Text,
}

/// The result of a test of a webhook.
#[derive(Clone, Debug, Deserialize)]
pub struct NotificationTest {
    pub url: Text,
    /// The status of the receiver's response, if there was one.
    pub status: Option<u16>,
    /// `None`: the notice was delivered.
    pub error: Option<ConnectionError>,
}

/// Events received and not yet exported.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backlog {
    pub events: u64,
    pub oldest: Option<Text>,
    /// Whether all were counted; otherwise there are at least as many.
    pub is_complete: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct NextStep {
    pub code: Text,
    pub instruction: Advice,
    pub document: Option<Lines>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ConnectionCheck {
    /// `PASSED`, `FAILED` or `NOT_CHECKED`.
    pub status: Text,
    pub title: Text,
    pub code: Option<Text>,
    pub message: Option<Advice>,
}

/// A connection test that is running, or the last one.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionTest {
    pub is_running: bool,
    pub checks: Vec<ConnectionCheck>,
}

/// A replay: a past period of an export, exported again.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    pub id: Text,
    pub export_configuration_id: Text,
    /// `PENDING`, `RUNNING`, `SUCCEEDED`, `FAILED` or `CANCELLED`.
    pub status: Text,
    /// What ended it.
    pub error: Option<ConnectionError>,
    pub from: Text,
    pub to: Text,
    pub bucket_name: Text,
    pub bucket_path: Text,
    /// `None`: as the configuration.
    pub format: Option<Text>,
    pub filter: Option<Filter>,
    pub ocsf: Option<Ocsf>,
    pub place: Text,
    pub percent: u8,
    pub exported_through: Option<Text>,
    pub objects: u64,
    pub events: u64,
    pub bytes: u64,
}

/// An export job: the events received within one window.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub id: Text,
    pub start_timestamp: Text,
    pub end_timestamp: Option<Text>,
    pub attempts: u64,
    /// `PENDING`, `RUNNING`, `SUCCEEDED` or `FAILED`.
    pub status: Text,
    pub failure_reason: Option<Advice>,
    pub objects: u64,
    pub events: u64,
    /// Events that the export's filter left out.
    pub left_out: u64,
    pub bytes: u64,
    /// Events that were not exported.
    pub gaps: Vec<Gap>,
}

/// Receipt times of events that could not be exported.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    pub start_timestamp: Text,
    pub end_timestamp: Text,
    pub reason: Text,
    /// The block, if only one was skipped.
    pub block_id: Option<Text>,
}

/// The signed digest of a job.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedDigest {
    pub bucket_name: Text,
    pub object_key: Text,
    /// The exact content of the object.
    pub digest: String,
    pub sha256: Text,
    pub signature_object_key: Text,
    /// Encoded in base64.
    pub signature: Text,
    pub signature_sha256: Text,
}

/// A repair of past exports.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repair {
    pub id: Text,
    pub export_configuration_id: Text,
    /// `PENDING`, `RUNNING`, `SUCCEEDED`, `INCOMPLETE` or `FAILED`.
    pub status: Text,
    pub from: Text,
    pub to: Text,
    pub overwrite: bool,
    pub requested_by: Text,
    pub requested_at: Text,
    pub updated_at: Text,
    pub error: Option<ConnectionError>,
    pub checked: u64,
    pub repaired: u64,
    pub present: u64,
    pub unrepaired: u64,
    pub unrepaired_files: Vec<UnrepairedFile>,
}

/// A file that can't be repaired.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnrepairedFile {
    pub export_job_id: Text,
    pub reason: Text,
    pub bucket_name: Option<Text>,
    pub object_key: Option<Text>,
}

/// A task: one object of an export job.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    pub id: Text,
    pub attempts: u64,
    /// The number of events in earlier tasks of the job.
    pub offset: u64,
    pub limit: u64,
    pub status: Text,
    pub failure_reason: Option<Advice>,
    pub bytes: u64,
    pub object_key: Text,
    /// The class of OCSF of its records. `None`: another format than `OCSF_PARQUET`.
    pub ocsf_class: Option<Text>,
    /// The number of records whose action no rule knows. `None`: as the class.
    pub unknown_actions: Option<u64>,
}

/// The policies for the customer's AWS account.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policies {
    pub external_id: Text,
    pub principal_arn: Option<Text>,
    pub trust_policy: Option<PolicyDocument>,
    pub iam_policy: PolicyDocument,
    pub bucket_policy: PolicyDocument,
    pub kms_key_policy_statement: Option<PolicyDocument>,
    pub cloud_formation: CloudFormation,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDocument {
    pub document: Lines,
    pub is_required: bool,
    /// The place to put the policy in.
    pub instruction: Text,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudFormation {
    /// `None` if the operator has not published the template.
    pub launch_url: Option<Text>,
    pub parameters: Vec<Parameter>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Parameter {
    pub name: Text,
    pub value: Text,
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Returns an answer after a change of its fields.
    pub fn changed<T: for<'a> Deserialize<'a>>(mut answer: Value, changes: &Value) -> T {
        answer.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(answer).unwrap()
    }

    /// The configuration of [`configuration_json`] after a change.
    pub fn configuration(changes: &Value) -> Configuration {
        changed(configuration_json(), changes)
    }

    /// The API's answer for a configuration with a role.
    pub fn configuration_json() -> Value {
        json!({
            "id": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b", "version": 1, "type": "S3_ASSUMED_ROLE", "description": null,
            "interval": "EVERY_24_HOURS", "format": "NDJSON_GZIP", "enabled": true, "connectionStatus": "SUCCESS",
            "connectionCheckedAt": "2026-11-21T10:00:00.000Z", "connectionError": null,
            "endpointConfiguration": {
                "bucketName": "acme-audit", "bucketPath": "logs", "region": "eu-west-1",
                "roleArn": "arn:aws:iam::222222222222:role/audit-export", "accessKeyId": null, "kmsKeyArn": null,
                "expectedBucketOwner": null,
            },
            "principalArn": "arn:aws:iam::222222222222:role/audit-export",
            "exportedThrough": "2026-11-22T00:00:00.000Z", "lastExport": "2026-11-22T00:20:31.000Z",
            "nextExportAt": "2026-11-23T00:20:00.000Z", "consecutiveFailures": 0,
            "startFrom": "2026-11-20T09:59:00.000Z", "externalId": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b",
            "createdBy": "zoe@example.com", "createdAt": "2026-11-20T09:59:00.000Z",
            "updatedBy": "zoe@example.com", "updatedAt": "2026-11-20T09:59:00.000Z",
            "status": {
                "health": "OK", "lagSeconds": 0, "lastSuccessAt": "2026-11-22T00:20:31.000Z",
                "exportedThrough": "2026-11-22T00:00:00.000Z", "consecutiveFailures": 0,
                "nextExportAt": "2026-11-23T00:20:00.000Z", "retentionUsedPercent": 0, "advice": "No action is needed.",
            },
            "backlog": { "events": 12, "oldest": "2026-11-22T00:00:01.000Z", "isComplete": true },
            "nextSteps": [{
                "code": "WAIT_FOR_EXPORT",
                "instruction": "Wait: the next export starts at 2026-11-23T00:20:00.000Z, and writes files if there are \
                                events. You can also export the received events now.",
                "document": null,
            }],
            "connectionChecks": [],
        })
    }

    #[test]
    fn an_id_that_is_no_file_name_is_refused() {
        assert!(configuration(&json!({})).parsed_id().is_ok());
        assert!(configuration(&json!({ "id": "../x" })).parsed_id().is_err());
    }
}
