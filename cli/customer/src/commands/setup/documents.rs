//! The policies and the CloudFormation template as files, and the commands of the AWS CLI that apply them.

use std::path::Path;

use domain::configuration::arn::RoleArn;
use serde_json::json;
use terminal::text::shell_word;

use crate::{
    commands::config::render_policies::DocumentName,
    model::{Configuration, Parameter, Policies},
};

/// The template of the customer's role, in this program so that it fits the program.
pub const TEMPLATE: &str = include_str!("../../../../../infra/customer/cloudformation.yaml");

const TEMPLATE_FILE: &str = "cloudformation.yaml";
const PARAMETERS: &str = "parameters.json";

const TRUST_POLICY: &str = "trust-policy.json";
const IAM_POLICY: &str = "iam-policy.json";
const BUCKET_POLICY: &str = "bucket-policy.json";
const KEY_POLICY_STATEMENT: &str = "kms-key-policy-statement.json";
const COMMANDS: &str = "commands.sh";

/// The name of the policy in the role or user.
const POLICY_NAME: &str = "audit-export";
/// A placeholder for the reader to replace.
const UNKNOWN_USER: &str = "NAME-OF-THE-IAM-USER";

/// A file for the customer's AWS account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub name: &'static str,
    /// The end of the sentence "this file has …".
    pub purpose: &'static str,
    pub content: String,
}

/// Returns all files: the template and its parameters if it can be used, the policies, and the commands. For a bucket that is not
/// in AWS, only the permissions of the access key.
pub fn files(policies: &Policies, configuration: &Configuration) -> Vec<Document> {
    if configuration.endpoint_configuration.endpoint_url.is_some() {
        return vec![Document {
            name: IAM_POLICY,
            purpose: "the permissions of the access key, in the form of IAM",
            content: format!("{}\n", policies.iam_policy.document.trim_end()),
        }];
    }
    let mut files = Vec::new();
    if has_template(policies) {
        let parameters: Vec<String> = policies.cloud_formation.parameters.iter().map(override_of).collect();
        files.push(Document {
            name: TEMPLATE_FILE,
            purpose: "the role with its permissions, as a template",
            content: TEMPLATE.to_owned(),
        });
        files.push(Document {
            name: PARAMETERS,
            purpose: "the values of the template's parameters",
            content: format!("{:#}\n", json!(parameters)),
        });
    }
    let policy = |document: DocumentName| {
        let policy = document.of(policies)?;
        let (name, purpose) = match (document, policy.is_required) {
            (DocumentName::Trust, _) => (TRUST_POLICY, "the trust policy of the role"),
            (DocumentName::Iam, _) => (IAM_POLICY, "the permissions of the role or user"),
            (DocumentName::Bucket, true) => (BUCKET_POLICY, "the policy of the bucket (required)"),
            (DocumentName::Bucket, false) => (BUCKET_POLICY, "a policy of the bucket (optional)"),
            (DocumentName::Key, true) => (KEY_POLICY_STATEMENT, "a statement for the key's policy (required)"),
            (DocumentName::Key, false) => (KEY_POLICY_STATEMENT, "a statement for the key's policy (optional)"),
        };
        Some(Document { name, purpose, content: format!("{}\n", policy.document.trim_end()) })
    };
    files.extend(DocumentName::ALL.into_iter().filter_map(policy));
    files.push(Document {
        name: COMMANDS,
        purpose: if has_template(policies) { "the same as commands, without the template" } else { "the commands" },
        content: format!("{}\n", commands(policies, configuration)),
    });
    files
}

/// Returns whether the template can be used: it creates a role without a path, and no user.
pub fn has_template(policies: &Policies) -> bool {
    !policies.cloud_formation.parameters.is_empty()
}

/// Returns what to do if somebody else creates the role with its trust policy and permissions: Security Lake does, with the custom
/// source.
pub fn creation_of_source(policies: &Policies) -> Option<&str> {
    policies.trust_policy.as_ref().filter(|policy| !policy.is_required).map(|policy| &*policy.instruction)
}

/// Returns the name of the stack, which is the one in the service's link to CloudFormation.
pub fn stack_name(configuration: &Configuration) -> String {
    format!("audit-export-{}", configuration.id)
}

/// Formats a parameter for `aws cloudformation deploy`.
fn override_of(parameter: &Parameter) -> String {
    format!("{}={}", parameter.name, parameter.value)
}

/// Returns the one command that creates what the export needs, from the files in `directory`.
pub fn command(policies: &Policies, configuration: &Configuration, directory: &Path) -> String {
    let word = |name: &str| shell_word(&directory.join(name).display().to_string());
    if !has_template(policies) {
        return format!("(cd {} && sh {COMMANDS})", shell_word(&directory.display().to_string()));
    }
    let parameters = format!("file://{}", directory.join(PARAMETERS).display());
    [
        format!("aws cloudformation deploy --region {}", shell_word(&configuration.endpoint_configuration.region)),
        format!("--stack-name {}", stack_name(configuration)),
        format!("--template-file {}", word(TEMPLATE_FILE)),
        format!("--parameter-overrides {}", shell_word(&parameters)),
        "--capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset".to_owned(),
    ]
    .join(" \\\n    ")
}

/// Returns a POSIX shell script to run in the folder of the files. Optional commands are commented out.
fn commands(policies: &Policies, configuration: &Configuration) -> String {
    let mut lines = vec![
        "#!/bin/sh".to_owned(),
        "# Run this in its folder. If the bucket or the key is in another account, run that part with its credentials."
            .to_owned(),
        "set -eu".to_owned(),
    ];
    lines.extend(identity(policies, configuration));
    lines.extend(bucket(policies, configuration));
    lines.extend(key(policies, configuration));
    lines.join("\n")
}

fn identity(policies: &Policies, configuration: &Configuration) -> Vec<String> {
    let endpoint = &configuration.endpoint_configuration;
    let Some(role) = endpoint.role_arn.as_ref().and_then(|arn| RoleArn::parse(arn).ok()) else {
        let user = policies.principal_arn.as_ref().and_then(|arn| arn.rsplit_once("user/")).map(|(_, user)| user);
        let user = user.map_or(UNKNOWN_USER, |user| user.rsplit('/').next().unwrap_or(user));
        return vec![
            format!("\n# The permissions of the IAM user that has the access key. {}", policies.iam_policy.instruction),
            format!(
                "aws iam put-user-policy --user-name {} --policy-name {POLICY_NAME} --policy-document file://{IAM_POLICY}",
                shell_word(user)
            ),
        ];
    };
    let name = shell_word(role.name());
    if let Some(instruction) = creation_of_source(policies) {
        return vec![
            format!("\n# {instruction}"),
            format!("# aws iam update-assume-role-policy --role-name {name} --policy-document file://{TRUST_POLICY}"),
        ];
    }
    let path = role.as_str().split_once(":role").map_or("/", |(_, rest)| &rest[..rest.len() - role.name().len()]);
    let path = if path == "/" { String::new() } else { format!(" --path {}", shell_word(path)) };
    vec![
        format!("\n# The role, in the account {}. If it exists, use this instead of create-role:", role.account()),
        format!("# aws iam update-assume-role-policy --role-name {name} --policy-document file://{TRUST_POLICY}"),
        format!("aws iam create-role --role-name {name}{path} --assume-role-policy-document file://{TRUST_POLICY}"),
        format!(
            "aws iam put-role-policy --role-name {name} --policy-name {POLICY_NAME} --policy-document file://{IAM_POLICY}"
        ),
    ]
}

fn bucket(policies: &Policies, configuration: &Configuration) -> Vec<String> {
    let policy = &policies.bucket_policy;
    let bucket = shell_word(&configuration.endpoint_configuration.bucket_name);
    let comment = if policy.is_required { "" } else { "# " };
    vec![
        format!("\n# The bucket's policy. {}", policy.instruction),
        "# The command replaces an existing policy: check first whether there is one, and merge both.".to_owned(),
        format!("# aws s3api get-bucket-policy --bucket {bucket} --query Policy --output text"),
        format!("{comment}aws s3api put-bucket-policy --bucket {bucket} --policy file://{BUCKET_POLICY}"),
    ]
}

fn key(policies: &Policies, configuration: &Configuration) -> Vec<String> {
    let endpoint = &configuration.endpoint_configuration;
    let (Some(statement), Some(arn)) = (&policies.kms_key_policy_statement, &endpoint.kms_key_arn) else {
        return Vec::new();
    };
    let (arn, region) = (shell_word(arn), shell_word(&endpoint.region));
    let comment = if statement.is_required { "" } else { "# " };
    vec![
        format!("\n# The policy of the KMS key. {}", statement.instruction),
        format!(
            "{comment}aws kms get-key-policy --region {region} --key-id {arn} --policy-name default --query Policy \
             --output text > key-policy.json"
        ),
        format!("{comment}jq '.Statement += [input]' key-policy.json {KEY_POLICY_STATEMENT} > new-key-policy.json"),
        format!(
            "{comment}aws kms put-key-policy --region {region} --key-id {arn} --policy-name default \
             --policy file://new-key-policy.json"
        ),
    ]
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{
        self,
        tests::{changed, configuration_json},
    };

    fn document(text: &str, is_required: bool) -> Value {
        json!({ "document": text, "isRequired": is_required, "instruction": format!("Put {text} there.") })
    }

    pub fn policies(changes: &Value) -> Policies {
        let answer = json!({
            "externalId": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b",
            "principalArn": "arn:aws:iam::222222222222:role/audit-export",
            "trustPolicy": document("{trust}", true), "iamPolicy": document("{iam}", true),
            "bucketPolicy": document("{bucket}", false), "kmsKeyPolicyStatement": null,
            "cloudFormation": { "launchUrl": null, "parameters": [] },
        });
        changed(answer, changes)
    }

    pub fn configuration(endpoint: &Value) -> Configuration {
        let endpoint: Value = changed(configuration_json()["endpointConfiguration"].clone(), endpoint);
        model::tests::configuration(&json!({ "endpointConfiguration": endpoint }))
    }

    #[test]
    fn a_role_is_created_with_its_policies() {
        let policies = policies(&json!({}));
        insta::assert_snapshot!("commands_role", commands(&policies, &configuration(&json!({}))));
        let written: Vec<_> =
            files(&policies, &configuration(&json!({}))).into_iter().map(|file| (file.name, file.content)).collect();
        let expected = [(TRUST_POLICY, "{trust}\n"), (IAM_POLICY, "{iam}\n"), (BUCKET_POLICY, "{bucket}\n")];
        assert_eq!(written[..3], expected.map(|(name, content)| (name, content.to_owned())));
        assert_eq!(written[3].0, COMMANDS);
    }

    #[test]
    fn the_template_is_deployed_with_one_command() {
        let parameters =
            [("ExternalId", "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b"), ("BucketPath", "it's"), ("KmsKeyArn", "")];
        let parameters = parameters.map(|(name, value)| json!({ "name": name, "value": value }));
        let policies = policies(&json!({ "cloudFormation": { "launchUrl": null, "parameters": parameters } }));
        let configuration = configuration(&json!({}));
        let files = files(&policies, &configuration);
        assert_eq!((files[0].name, &*files[0].content), (TEMPLATE_FILE, TEMPLATE));
        let overrides: Vec<String> = serde_json::from_str(&files[1].content).unwrap();
        assert_eq!(
            overrides,
            ["ExternalId=0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b", "BucketPath=it's", "KmsKeyArn="],
            "the names are those of the template"
        );
        insta::assert_snapshot!("command_template", command(&policies, &configuration, Path::new("my policies")));
        let without = super::tests::policies(&json!({}));
        assert_eq!(command(&without, &configuration, Path::new("a b")), "(cd 'a b' && sh commands.sh)");
    }

    #[test]
    fn the_template_has_the_parameters_that_the_service_fills_in() {
        for name in [
            "ServiceAccountId",
            "ServiceRolePath",
            "ExternalId",
            "RoleName",
            "BucketName",
            "BucketPath",
            "CreateBucket",
        ] {
            assert!(TEMPLATE.contains(&format!("\n  {name}:\n    Type: String\n")), "{name}");
        }
    }

    #[test]
    fn required_commands_are_not_commented_out() {
        let policies = policies(&json!({
            "bucketPolicy": document("{bucket}", true), "kmsKeyPolicyStatement": document("{key}", true),
        }));
        let configuration = configuration(&json!({
            "roleArn": "arn:aws:iam::222222222222:role/team's/audit+export",
            "kmsKeyArn": "arn:aws:kms:eu-west-1:333333333333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        }));
        insta::assert_snapshot!("commands_everything", commands(&policies, &configuration));
    }

    #[test]
    fn a_role_of_security_lake_is_not_created() {
        let policies =
            policies(&json!({ "trustPolicy": document("{trust}", false), "iamPolicy": document("{iam}", false) }));
        let commands = commands(&policies, &configuration(&json!({})));
        assert!(commands.contains("\n# Put {trust} there.\n"), "{commands}");
        let executed: Vec<_> = commands.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(executed, ["set -eu"]);
    }

    #[test]
    fn a_user_gets_a_policy() {
        let endpoint = configuration(&json!({ "roleArn": null, "accessKeyId": "AKIAIOSFODNN7EXAMPLE" }));
        let known = policies(&json!({
            "trustPolicy": null, "principalArn": "arn:aws:iam::222222222222:user/team/zoe",
        }));
        insta::assert_snapshot!("commands_user", commands(&known, &endpoint));
        let unknown = policies(&json!({ "trustPolicy": null, "principalArn": null }));
        assert!(commands(&unknown, &endpoint).contains("--user-name NAME-OF-THE-IAM-USER "));
    }
}
