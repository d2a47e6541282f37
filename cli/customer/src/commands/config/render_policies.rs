//! Texts with the policies for the customer's AWS account.

use clap::ValueEnum;

use crate::{
    model::{Parameter, Policies, PolicyDocument},
    output::{Column, Style, Tone},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DocumentName {
    /// Permissions of the role or the IAM user
    Iam,
    /// Trust policy of the role
    Trust,
    /// Policy of the bucket
    Bucket,
    /// Statement for the policy of the KMS key
    Key,
}

impl DocumentName {
    pub const ALL: [Self; 4] = [Self::Trust, Self::Iam, Self::Bucket, Self::Key];

    pub fn of(self, policies: &Policies) -> Option<&PolicyDocument> {
        match self {
            Self::Iam => Some(&policies.iam_policy),
            Self::Trust => policies.trust_policy.as_ref(),
            Self::Bucket => Some(&policies.bucket_policy),
            Self::Key => policies.kms_key_policy_statement.as_ref(),
        }
    }
}

pub fn policies(policies: &Policies, style: &Style) -> String {
    let mut sections = Vec::new();
    let fields = style.fields(&[
        ("external ID", policies.trust_policy.as_ref().map(|_| policies.external_id.to_string())),
        ("writes as", policies.principal_arn.as_ref().map(ToString::to_string)),
    ]);
    if !fields.is_empty() {
        sections.push(fields);
    }
    let documents = DocumentName::ALL.iter().filter_map(|name| Some(section(*name, name.of(policies)?, style)));
    sections.extend(documents);
    if policies.cloud_formation.launch_url.is_some() {
        // The external ID is the configuration's id.
        sections.push(format!(
            "To create everything with CloudFormation: audit-export config policies {} --cloudformation",
            policies.external_id
        ));
    }
    sections.join("\n\n")
}

fn section(name: DocumentName, document: &PolicyDocument, style: &Style) -> String {
    let (title, argument) = match name {
        DocumentName::Trust => ("Trust policy of the role", "trust"),
        DocumentName::Iam => ("Permissions (IAM policy)", "iam"),
        DocumentName::Bucket => ("Bucket policy", "bucket"),
        DocumentName::Key => ("Statement for the policy of the KMS key", "key"),
    };
    let is_required = if document.is_required { "required" } else { "optional" };
    let heading = style.paint(Tone::Strong, title);
    format!(
        "{heading} ({is_required}; only this: --document {argument})\n{}\n\n{}",
        document.instruction,
        document.document.trim_end()
    )
}

pub fn cloud_formation(policies: &Policies, style: &Style) -> String {
    let template = &policies.cloud_formation;
    let columns = [
        Column { heading: "PARAMETER", cell: |parameter: &Parameter, _| (Tone::Plain, parameter.name.to_string()) },
        Column { heading: "VALUE", cell: |parameter, _| (Tone::Plain, parameter.value.to_string()) },
    ];
    let table = style.fitted(&columns, columns.len(), &template.parameters);
    match &template.launch_url {
        Some(url) => format!(
            "Open this link while signed in to the bucket's account, and create the stack:\n\n{url}\n\nThe parameters are filled in:\n{table}"
        ),
        // It makes a role without a path, and no user.
        None if template.parameters.is_empty() => {
            "CloudFormation creates nothing for this export. See audit-export config policies without --cloudformation."
                .to_owned()
        }
        None => format!(
            "There is no link, because the operator of the service has not published the CloudFormation template. Ask for \
             infra/customer/cloudformation.yaml, and create a stack from it with these parameters:\n\n{table}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{model::tests::changed, output::tests::style};

    fn with(changes: &Value) -> Policies {
        let document = |is_required: bool, instruction: &str| {
            json!({
                "document": "{\n  \"Version\": \"2012-10-17\"\n}", "isRequired": is_required,
                "instruction": instruction,
            })
        };
        let answer = json!({
            "externalId": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b",
            "principalArn": "arn:aws:iam::222222222222:role/audit-export",
            "trustPolicy": document(true, "Create the role with it."),
            "iamPolicy": document(true, "Attach it to the role."),
            "bucketPolicy": document(false, "Add it to the bucket's policy, if the bucket is in another account."),
            "kmsKeyPolicyStatement": document(true, "Add it to the key's policy."),
            "cloudFormation": {
                "launchUrl": "https://console.aws.amazon.com/cloudformation/home#/stacks/create/review?a=b",
                "parameters": [{ "name": "ExternalId", "value": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b" }],
            },
        });
        changed(answer, changes)
    }

    #[test]
    fn all_documents() {
        insta::assert_snapshot!(policies(&with(&json!({})), &style()));
    }

    #[test]
    fn those_of_an_access_key() {
        let changes = json!({ "trustPolicy": null, "kmsKeyPolicyStatement": null, "principalArn": null });
        insta::assert_snapshot!(policies(&with(&changes), &style()));
        for absent in [DocumentName::Trust, DocumentName::Key] {
            assert!(absent.of(&with(&changes)).is_none(), "{absent:?}");
        }
    }

    #[test]
    fn a_link_to_cloud_formation() {
        let unpublished =
            json!({ "cloudFormation": { "launchUrl": null, "parameters": [{ "name": "A", "value": "b" }] } });
        let shown = [&json!({}), &unpublished].map(|changes| cloud_formation(&with(changes), &style()));
        insta::assert_snapshot!(shown.join("\n\n"));
    }

    #[test]
    fn a_document_is_what_the_service_says() {
        let policies = with(&json!({}));
        for name in DocumentName::ALL {
            let parsed: Value = serde_json::from_str(&name.of(&policies).unwrap().document).unwrap();
            assert_eq!(parsed, json!({ "Version": "2012-10-17" }));
        }
    }
}
