//! The policies that a customer needs for one configuration: the permissions of an export, and nothing more.

use std::collections::BTreeMap;

use crate::{
    configuration::{
        Authentication, Destination, ExportConfiguration, Layout, ServiceIdentity,
        arn::{AccountId, RoleArn, UserArn},
        bucket::BucketPath,
    },
    object_key,
    policy::{
        AccountScope, Condition, Document, KEY_ACTIONS, Principal, Statement, everything_under, use_of_named_key,
        writes,
    },
};

/// The path of every role of this service, set in template.yaml. Trust policies name the path and not a role, so they stay
/// valid if the service is deployed again under other names.
pub const SERVICE_ROLE_PATH: &str = "audit-export";

/// The placeholder in a policy for the ARN of an IAM user that no test has found yet. AWS refuses it, so it can't be
/// overlooked.
pub const UNKNOWN_USER: &str = "REPLACE-WITH-THE-ARN-OF-THE-IAM-USER";

/// A policy, and the instruction where to put it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDocument {
    /// JSON with indentation.
    pub document: String,
    /// True if an export is impossible without it.
    pub is_required: bool,
    /// One or more sentences for the customer.
    pub instruction: String,
}

/// All policies of one configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerPolicies {
    /// The trust policy of the role. An IAM user has none.
    pub trust_policy: Option<PolicyDocument>,
    /// The permissions of the role or user.
    pub iam_policy: PolicyDocument,
    pub bucket_policy: PolicyDocument,
    /// A statement for the policy of the bucket's KMS key, if the configuration names one.
    pub kms_key_policy_statement: Option<PolicyDocument>,
}

impl CustomerPolicies {
    #[must_use]
    pub fn of(configuration: &ExportConfiguration, service: &ServiceIdentity) -> Self {
        Self::with_replays(configuration, None, service)
    }

    /// Returns the policies that also allow replays of the configuration under a path.
    #[must_use]
    pub fn with_replays(
        configuration: &ExportConfiguration,
        replay_path: Option<&BucketPath>,
        service: &ServiceIdentity,
    ) -> Self {
        let writer = Writer::of(configuration);
        Self {
            trust_policy: match writer {
                Writer::Role(role) => Some(PolicyDocument {
                    document: trust_policy(configuration, service),
                    is_required: true,
                    instruction: format!(
                        "Create the role {role} with this trust policy, or replace its trust policy with this one."
                    ),
                }),
                Writer::LakeRole(role) => Some(PolicyDocument {
                    document: trust_policy(configuration, service),
                    is_required: false,
                    instruction: creation_of_source(configuration, role, service),
                }),
                Writer::User(_) | Writer::UnknownUser => None,
            },
            iam_policy: iam_policy(configuration, replay_path, writer),
            bucket_policy: bucket_policy(configuration, replay_path, writer),
            kms_key_policy_statement: kms_key_policy_statement(configuration, writer),
        }
    }
}

/// The identity that writes the files.
#[derive(Clone, Copy)]
enum Writer<'a> {
    Role(&'a RoleArn),
    /// A role that Security Lake creates with the custom source, with its trust policy and its permissions.
    LakeRole(&'a RoleArn),
    User(&'a UserArn),
    UnknownUser,
}

impl<'a> Writer<'a> {
    fn of(configuration: &'a ExportConfiguration) -> Self {
        match (&configuration.authentication, &configuration.user_arn) {
            (Authentication::AssumedRole { role_arn }, _) => match configuration.destination.layout {
                Layout::Folder => Self::Role(role_arn),
                Layout::SecurityLake => Self::LakeRole(role_arn),
            },
            (Authentication::AccessKey { .. }, Some(user)) => Self::User(user),
            (Authentication::AccessKey { .. }, None) => Self::UnknownUser,
        }
    }

    fn arn(self) -> &'a str {
        match self {
            Self::Role(role) | Self::LakeRole(role) => role.as_str(),
            Self::User(user) => user.as_str(),
            Self::UnknownUser => UNKNOWN_USER,
        }
    }

    fn account(self) -> Option<&'a AccountId> {
        match self {
            Self::Role(role) | Self::LakeRole(role) => Some(role.account()),
            Self::User(user) => Some(user.account()),
            Self::UnknownUser => None,
        }
    }

    fn principal(self) -> Principal {
        Principal { aws: self.arn().to_owned() }
    }

    /// Returns the instruction that precedes a policy that names the writer.
    fn preparation(self) -> String {
        match self {
            Self::Role(_) => {
                "Create the role first: AWS refuses a policy that names a role that doesn't exist. ".to_owned()
            }
            Self::LakeRole(_) => {
                "Create the custom source in Security Lake first: AWS refuses a policy that names a role that doesn't exist. "
                    .to_owned()
            }
            Self::User(_) => String::new(),
            Self::UnknownUser => format!(
                "Test the connection first, so that the service knows the IAM user of the access key, or replace \
                 {UNKNOWN_USER} with the user's ARN. "
            ),
        }
    }
}

/// Returns the policy that allows this service to assume the role, for this configuration only.
///
/// It trusts the roles of the account under [`SERVICE_ROLE_PATH`]. A principal that names a role itself would become invalid
/// with the deletion of the role: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles>.
fn trust_policy(configuration: &ExportConfiguration, service: &ServiceIdentity) -> String {
    let arn = |resource: &str| format!("arn:{}:iam::{}:{resource}", service.partition, service.account);
    let external_id = configuration.key.configuration_id.to_string();
    let statement = Statement {
        principal: Some(Principal { aws: arn("root") }),
        condition: Condition::from([
            ("StringEquals", BTreeMap::from([("sts:ExternalId", external_id)])),
            ("ArnLike", BTreeMap::from([("aws:PrincipalArn", arn(&format!("role/{SERVICE_ROLE_PATH}/*")))])),
        ]),
        ..Statement::allow(["sts:AssumeRole"], [""; 0])
    };
    format!("{:#}", Document::of(vec![statement]))
}

/// Returns the instruction to create the custom source, with which Security Lake creates the role:
/// <https://docs.aws.amazon.com/security-lake/latest/userguide/custom-sources.html>.
fn creation_of_source(configuration: &ExportConfiguration, role: &RoleArn, service: &ServiceIdentity) -> String {
    let Destination { bucket_path, site, .. } = &configuration.destination;
    let path = bucket_path.as_ref().map_or_else(|| "not set".to_owned(), |path| format!("now {path}"));
    format!(
        "Create the custom source in Security Lake, in {}, with {} as the account that writes data and {} as its external ID. \
         Don't create the role: Security Lake does, with a trust policy and permissions. Set roleArn to that role (now {role}), \
         and bucketPath to the path of the source ({path}). This trust policy may replace that of Security Lake; it also \
         requires a role of this service.",
        site.region_name(),
        service.account,
        configuration.key.configuration_id
    )
}

/// Returns the statements for the writes of an export and, below `replay_path`, of its replays. The ID of a replay is part of
/// its prefix and not known before its request.
fn all_writes(
    configuration: &ExportConfiguration,
    replay_path: Option<&BucketPath>,
    scope: AccountScope,
) -> Vec<Statement> {
    let destination = &configuration.destination;
    let mut statements = writes(destination, configuration.key.configuration_id, scope);
    if let Some(path) = replay_path {
        let replays = Destination { bucket_path: Some(path.clone()), ..destination.clone() };
        for statement in &mut statements {
            statement.resource.push(everything_under(&replays));
        }
    }
    statements
}

fn iam_policy(
    configuration: &ExportConfiguration,
    replay_path: Option<&BucketPath>,
    writer: Writer<'_>,
) -> PolicyDocument {
    let destination = &configuration.destination;
    let scope = AccountScope::of(destination, writer.account());
    let mut statements = all_writes(configuration, replay_path, scope);
    statements.extend(use_of_named_key(destination));
    let server = destination.site.endpoint();
    PolicyDocument {
        document: format!("{:#}", Document::of(statements)),
        is_required: server.is_none() && !matches!(writer, Writer::LakeRole(_)),
        instruction: match (server, writer) {
            (Some(server), _) => format!(
                "Allow the access key to put objects under the export's prefix and the marker {}, on {server}. A server with policies \
                 in the form of IAM takes this one.",
                object_key::marker(destination)
            ),
            (None, Writer::Role(role)) => format!("Attach this policy to the role {role}."),
            (None, Writer::LakeRole(role)) => format!(
                "Security Lake has given the role {role} its permissions. Attach this policy only if the connection test fails \
                 with WRITE_DENIED although bucketPath is the path of the source."
            ),
            (None, Writer::User(user)) => format!("Attach this policy to {user}."),
            (None, Writer::UnknownUser) => "Attach this policy to the IAM user of the access key.".to_owned(),
        },
    }
}

fn bucket_policy(
    configuration: &ExportConfiguration,
    replay_path: Option<&BucketPath>,
    writer: Writer<'_>,
) -> PolicyDocument {
    let destination = &configuration.destination;
    let scope = AccountScope::of(destination, writer.account());
    let statements: Vec<_> = all_writes(configuration, replay_path, scope)
        .into_iter()
        .map(|statement| Statement { principal: Some(writer.principal()), ..statement })
        .collect();
    let is_required = scope == AccountScope::Cross;
    let noun = if statements.len() == 1 { "statement" } else { "statements" };
    let need = match (is_required, writer) {
        (true, Writer::UnknownUser) => "Required if the bucket belongs to another account than the IAM user.",
        (true, _) => "Required because the bucket belongs to another account.",
        (false, _) => {
            "Not required: within one account the policy of the role or user is enough, unless the bucket policy denies it."
        }
    };
    PolicyDocument {
        document: format!("{:#}", Document::of(statements)),
        is_required,
        instruction: if destination.site.server().is_some() {
            "Not required. It is for buckets in AWS.".to_owned()
        } else {
            format!(
                "{need} {}Add the {noun} to the policy of the bucket {}; if it has none, this is a complete policy.",
                writer.preparation(),
                destination.bucket_name
            )
        },
    }
}

fn kms_key_policy_statement(configuration: &ExportConfiguration, writer: Writer<'_>) -> Option<PolicyDocument> {
    let key = configuration.destination.kms_key_arn.as_ref()?;
    let statement = Statement {
        principal: Some(writer.principal()),
        // In a key policy, `*` is the key itself.
        ..Statement::allow(KEY_ACTIONS, ["*"])
    };
    let is_required = writer.account() != Some(key.account());
    let need = match (is_required, writer) {
        (true, Writer::UnknownUser) => "Required if the key belongs to another account than the IAM user.",
        (true, _) => "Required because the key belongs to another account.",
        (false, _) => {
            "Required only if the key policy doesn't allow access by IAM policies. The default key policy allows it."
        }
    };
    Some(PolicyDocument {
        document: format!("{statement:#}"),
        is_required,
        instruction: format!("{need} {}Add the statement to the policy of the key {key}.", writer.preparation()),
    })
}

#[cfg(test)]
mod tests;
