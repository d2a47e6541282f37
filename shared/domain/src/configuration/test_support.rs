//! Configurations for the tests of this crate and of other crates (feature `test-support`).

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test may panic")]

use super::{
    access_key::{AccessKeyId, SealedSecret},
    arn::{AccountId, KmsKeyArn, RoleArn, UserArn},
    bucket::{BucketName, BucketPath},
    description::Description,
    destination::{Destination, Layout, MAX_LAKE_PATH_LENGTH},
    endpoint::EndpointUrl,
    export_configuration::{Authentication, ExportConfiguration, ExportProgress},
    key::{ConfigurationId, ConfigurationKey},
    region::{Partition, Region, SigningRegion},
    service_identity::ServiceIdentity,
    site::{S3Server, Site},
};
use crate::{
    connection::{Connection, ConnectionError, ConnectionErrorCode},
    customer_server::CustomerServers,
    event_filter::{EventFilter, MAX_FILTER_VALUE_LENGTH, MAX_FILTER_VALUES, RawFilter, RawLists},
    export_format::ExportFormat,
    interval::ExportInterval,
    ocsf::{Class, MAX_RULE_NAME_LENGTH, MAX_RULES, OcsfSettings, OwnRules, RawRule, Version},
    tenant::{MAX_TENANT_ID_LENGTH, TenantId},
    time::Timestamp,
    webhook::{MAX_WEBHOOKS, SealedWebhookSecret, Webhook, WebhookUrl, url::MAX_WEBHOOK_URL_LENGTH},
};

pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const ID: &str = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";

#[must_use]
pub fn service() -> ServiceIdentity {
    ServiceIdentity {
        account: AccountId::parse("111111111111").unwrap(),
        partition: Partition::Commercial,
        region: Region::parse("us-east-1").unwrap(),
    }
}

#[must_use]
pub fn with_role() -> ExportConfiguration {
    let at = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
    ExportConfiguration {
        key: ConfigurationKey {
            tenant_id: TenantId::parse("acme").unwrap(),
            configuration_id: ConfigurationId::parse(ID).unwrap(),
        },
        replay_of: None,
        version: 7,
        description: Some(Description::parse("For the auditors").unwrap()),
        interval: ExportInterval::Every2Hours,
        format: ExportFormat::default(),
        ocsf: None,
        filter: None,
        enabled: true,
        destination: Destination {
            bucket_name: BucketName::parse("acme-audit").unwrap(),
            bucket_path: Some(BucketPath::parse("audit/log").unwrap()),
            site: Region::parse("eu-west-1").unwrap().into(),
            kms_key_arn: Some(
                KmsKeyArn::parse("arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab")
                    .unwrap(),
            ),
            expected_bucket_owner: Some(AccountId::parse("222222222222").unwrap()),
            layout: Layout::default(),
        },
        authentication: Authentication::AssumedRole {
            role_arn: RoleArn::parse("arn:aws:iam::222222222222:role/export").unwrap(),
        },
        user_arn: None,
        start_from: Timestamp::EPOCH,
        connection: Connection::Success { checked_at: at },
        progress: ExportProgress::default(),
        requested_through: None,
        requested_until: None,
        webhooks: Vec::new(),
        created_by: "user-1".to_owned(),
        created_at: at,
        updated_by: "user-1".to_owned(),
        updated_at: at,
    }
}

#[must_use]
pub fn with_key() -> ExportConfiguration {
    let access_key_id = AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap();
    let secret = SealedSecret::from_ciphertext(b"sealed".to_vec());
    ExportConfiguration {
        authentication: Authentication::AccessKey { access_key_id, secret },
        user_arn: UserArn::parse("arn:aws:iam::222222222222:user/export"),
        ..with_role()
    }
}

/// Returns the configuration of an export to a bucket on another server than AWS's.
#[must_use]
pub fn on_server() -> ExportConfiguration {
    let site = Site::Server(S3Server {
        endpoint: EndpointUrl::parse_for(CustomerServers::Public, "https://s3.example.com:3900").unwrap(),
        region: SigningRegion::parse("garage").unwrap(),
    });
    ExportConfiguration {
        destination: Destination { site, kms_key_arn: None, expected_bucket_owner: None, ..with_key().destination },
        authentication: Authentication::AccessKey {
            access_key_id: AccessKeyId::parse("GK31c2f218a2e44f485b94239e").unwrap(),
            secret: SealedSecret::from_ciphertext(b"sealed".to_vec()),
        },
        user_arn: None,
        ..with_key()
    }
}

/// Returns a configuration with as many and as long values as a tenant may give, and the longest identifiers.
#[must_use]
pub fn largest() -> ExportConfiguration {
    let filled = |number: usize, length: usize| format!("{number:A>length$}");
    let class = Class::EntityManagement;
    let activity = class.activities().iter().map(|activity| activity.caption).max_by_key(|caption| caption.len());
    let rule = |number| RawRule {
        action: filled(number, MAX_RULE_NAME_LENGTH),
        target_type: Some(filled(number, MAX_RULE_NAME_LENGTH)),
        class: class.name().to_owned(),
        activity: activity.map(str::to_owned),
    };
    let rules: Vec<_> = (0..MAX_RULES).map(rule).collect();
    let actions = (0..MAX_FILTER_VALUES).map(|number| filled(number, MAX_FILTER_VALUE_LENGTH)).collect();
    let include = RawLists { actions: Some(actions), ..RawLists::default() };
    let webhook = |number| {
        let begin = "https://hooks.example.com/";
        let url = format!("{begin}{}", filled(number, MAX_WEBHOOK_URL_LENGTH - begin.len()));
        Webhook {
            url: WebhookUrl::parse_for(CustomerServers::Public, &url).unwrap(),
            sealed_secret: SealedWebhookSecret::from_ciphertext(vec![7; 400]),
        }
    };
    let person = "\u{1F600}".repeat(256);
    let path = filled(0, 500);
    let (with_role, at) = (with_role(), Timestamp::parse("2026-11-22T00:00:00Z").unwrap());
    ExportConfiguration {
        key: ConfigurationKey {
            tenant_id: TenantId::parse(&filled(0, MAX_TENANT_ID_LENGTH)).unwrap(),
            ..with_role.key
        },
        description: Some(Description::parse(&person).unwrap()),
        interval: ExportInterval::Every24Hours,
        format: ExportFormat::OcsfParquet,
        ocsf: Some(OcsfSettings { version: Version::V1_8_0, classes: OwnRules::parse(&rules).unwrap() }),
        filter: Some(EventFilter::parse(&RawFilter { include: Some(include), exclude: None }).unwrap()),
        destination: Destination {
            bucket_name: BucketName::parse(&"a".repeat(63)).unwrap(),
            bucket_path: Some(BucketPath::parse(&filled(0, MAX_LAKE_PATH_LENGTH)).unwrap()),
            layout: Layout::of(ExportFormat::OcsfParquet),
            ..with_role.destination
        },
        authentication: Authentication::AssumedRole {
            role_arn: RoleArn::parse(&format!("arn:aws:iam::222222222222:role/{path}/{}", filled(0, 64))).unwrap(),
        },
        connection: Connection::Failed {
            checked_at: at,
            error: ConnectionError { code: ConnectionErrorCode::BucketInAnotherRegion, message: filled(0, 2_000) },
        },
        progress: ExportProgress {
            exported_through: Some(at),
            last_export_at: Some(at),
            consecutive_failures: u32::MAX,
            last_failure_at: Some(at),
        },
        requested_through: Some(at),
        requested_until: Some(at),
        webhooks: (0..MAX_WEBHOOKS).map(webhook).collect(),
        created_by: person.clone(),
        updated_by: person,
        ..with_role
    }
}
