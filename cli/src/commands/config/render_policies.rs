//! How the policies for the customer's account are shown to people. Takes data, gives text.

use super::policies::DocumentName;
use crate::{
    model::{Policies, PolicyDocument},
    output::{Style, Tone},
};

pub fn document(policies: &Policies, name: DocumentName) -> Option<&str> {
    let document = match name {
        DocumentName::Iam => Some(&policies.iam_policy),
        DocumentName::Trust => policies.trust_policy.as_ref(),
        DocumentName::Bucket => Some(&policies.bucket_policy),
        DocumentName::Key => policies.kms_key_policy_statement.as_ref(),
    };
    document.map(|document| &*document.document)
}

pub fn policies(policies: &Policies, style: &Style) -> String {
    let mut sections = vec![style.fields(&[
        ("external ID", Some(policies.external_id.to_string())),
        ("written as", policies.principal_arn.as_ref().map(ToString::to_string)),
    ])];
    let documents = [
        ("Trust policy of the role", policies.trust_policy.as_ref(), "trust"),
        ("Permissions (IAM policy)", Some(&policies.iam_policy), "iam"),
        ("Bucket policy", Some(&policies.bucket_policy), "bucket"),
        ("Statement for the policy of the KMS key", policies.kms_key_policy_statement.as_ref(), "key"),
    ];
    for (title, document, name) in documents {
        if let Some(document) = document {
            sections.push(section(title, document, name, style));
        }
    }
    if policies.cloud_formation.launch_url.is_some() {
        sections
            .push("All of it at once, by CloudFormation: audit-export config policies ID --cloudformation".to_owned());
    }
    sections.join("\n\n")
}

fn section(title: &str, document: &PolicyDocument, name: &str, style: &Style) -> String {
    let is_required = if document.is_required { "required" } else { "not required" };
    let heading = style.paint(Tone::Strong, title);
    format!(
        "{heading} ({is_required}; alone: --document {name})\n{}\n\n{}",
        document.instruction,
        document.document.trim_end()
    )
}

pub fn cloud_formation(policies: &Policies, style: &Style) -> String {
    let template = &policies.cloud_formation;
    let parameters: Vec<_> = template
        .parameters
        .iter()
        .map(|parameter| vec![(Tone::Plain, parameter.name.to_string()), (Tone::Plain, parameter.value.to_string())])
        .collect();
    let table = style.table(&["PARAMETER", "VALUE"], &parameters);
    match &template.launch_url {
        Some(url) => format!(
            "Open this link, signed in to the account of the bucket, and create the stack:\n\n{url}\n\nFilled in are:\n{table}"
        ),
        None => format!(
            "The operator of the service has not published the CloudFormation template, so there is no link. Ask for \
             infra/customer/cloudformation.yaml, and create a stack from it with these parameters:\n\n{table}"
        ),
    }
}
