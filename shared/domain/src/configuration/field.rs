//! The names of the input fields, as the API and configuration files spell them.

pub const INTERVAL: &str = "interval";
pub const FORMAT: &str = "format";
pub const BUCKET_NAME: &str = "bucketName";
pub const BUCKET_PATH: &str = "bucketPath";
pub const REGION: &str = "region";
pub const ENDPOINT_URL: &str = "endpointUrl";
pub const KMS_KEY_ARN: &str = "kmsKeyArn";
pub const EXPECTED_BUCKET_OWNER: &str = "expectedBucketOwner";
pub const ROLE_ARN: &str = "roleArn";
pub const ACCESS_KEY_ID: &str = "accessKeyId";
pub const SECRET_ACCESS_KEY: &str = "secretAccessKey";
pub const DESCRIPTION: &str = "description";
pub const START_FROM: &str = "startFrom";
pub const IDEMPOTENCY_KEY: &str = "idempotencyKey";
pub const NOTIFICATIONS: &str = "notifications";
pub const FILTER: &str = "filter";
pub const OCSF: &str = "ocsf";
pub const OCSF_VERSION: &str = "ocsf.version";
pub const OCSF_CLASSES: &str = "ocsf.classes";

/// The lists of a filter, in the order of their names.
pub const FILTER_INCLUDE: [&str; 3] =
    ["filter.include.actions", "filter.include.actorTypes", "filter.include.targetTypes"];
pub const FILTER_EXCLUDE: [&str; 3] =
    ["filter.exclude.actions", "filter.exclude.actorTypes", "filter.exclude.targetTypes"];

/// The fields of each webhook: its URL and its secret.
pub const WEBHOOKS: [(&str, &str); crate::webhook::MAX_WEBHOOKS] = [
    ("notifications[0].url", "notifications[0].secret"),
    ("notifications[1].url", "notifications[1].secret"),
    ("notifications[2].url", "notifications[2].secret"),
];

// Of requests for repairs and replays.
pub const FROM: &str = "from";
pub const TO: &str = "to";
pub const REPLAY_BUCKET_PATH: &str = "replayBucketPath";
