//! What setup says about the files, the command for the customer's account, and its end.

use std::path::Path;

use terminal::text::shell_word;

use super::documents::{self, Document};
use crate::{
    commands::config::{render, render_policies},
    model::{Configuration, Policies},
    output::{Style, Tone},
};

pub fn explain_files(files: &[Document], directory: &Path, style: &Style) -> String {
    let width = files.iter().map(|file| file.name.len()).max().unwrap_or(0);
    let lines: Vec<String> = files.iter().map(|file| format!("  {:width$}  {}", file.name, file.purpose)).collect();
    format!("{} {}:\n{}", style.paint(Tone::Strong, "Written to"), directory.display(), lines.join("\n"))
}

/// Formats the command that the customer has to run, and what it does not do.
pub fn explain_command(policies: &Policies, configuration: &Configuration, directory: &Path) -> String {
    // No command of AWS applies to another server.
    if configuration.endpoint_configuration.endpoint_url.is_some() {
        return policies.iam_policy.instruction.to_string();
    }
    if let Some(instruction) = documents::creation_of_source(policies) {
        return instruction.to_owned();
    }
    let account = policies.principal_arn.as_ref().and_then(|arn| arn.split(':').nth(4));
    let account = account.map_or_else(|| "your account".to_owned(), |account| format!("the account {account}"));
    let mut sections = vec![format!(
        "Run this with AWS credentials of {account}:\n\n  {}",
        documents::command(policies, configuration, directory)
    )];
    // The commands have these parts; the template does not change an existing bucket or key.
    if documents::has_template(policies) {
        let others = [Some(&policies.bucket_policy), policies.kms_key_policy_statement.as_ref()];
        let required = others.into_iter().flatten().filter(|document| document.is_required);
        sections.extend(required.map(|document| format!("Also required: {}", document.instruction)));
    }
    if policies.cloud_formation.launch_url.is_some() {
        sections.push(format!(
            "Or in the AWS console, with all parameters filled in:\n\n  audit-export config policies {} --cloudformation",
            configuration.id
        ));
    }
    sections.join("\n\n")
}

pub fn explain_policies(
    policies: &Policies,
    configuration: &Configuration,
    files: &[Document],
    style: &Style,
) -> String {
    if configuration.endpoint_configuration.endpoint_url.is_some() {
        return policies.iam_policy.document.trim_end().to_owned();
    }
    let commands = files.last().map_or("", |file| file.content.trim_end());
    format!(
        "{}\n\n{}\n\n{commands}",
        render_policies::policies(policies, style),
        style.paint(Tone::Strong, "Commands of IAM"),
    )
}

/// Formats the success, the time of the next file, the next commands and, if there is a stack in `region`, how to undo all.
/// `service` are the options of the service.
pub fn finished(
    configuration: &Configuration,
    region: Option<&str>,
    has_files: Option<bool>,
    service: &str,
    style: &Style,
) -> String {
    let id = &configuration.id;
    let which = if has_files == Some(true) { "next" } else { "first" };
    let next = match (&configuration.next_export_at, configuration.enabled) {
        (Some(time), true) => {
            format!("The {which} file comes soon after {},\nif events are received until then.", style.time(time))
        }
        (None, true) => format!("The {which} file comes with the next export."),
        (_, false) => {
            format!("The export is disabled. To enable it: audit-export config enable {id}")
        }
    };
    let unverified = if has_files == Some(false) { "\nThere was nothing to verify yet." } else { "" };
    let verify = format!("audit-export verify {id}{}{service}", configuration.endpoint_configuration.server_option());
    let undo = region.map(|region| {
        format!(
            "\nTo undo it (files and bucket stay):\n  audit-export config delete {id}\n  aws cloudformation delete-stack \
             --region {} \\\n    --stack-name {}",
            shell_word(region),
            documents::stack_name(configuration)
        )
    });
    format!(
        "{} Done: {} can be written to.\n{next}{unverified}\n\nTo export now:      audit-export config run {id} --wait\nTo see its \
         status:  audit-export config status {id}\nTo verify:          {verify}{}",
        style.paint(Tone::Good, "✓"),
        render::location(configuration),
        undo.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;
    use crate::{
        commands::setup::documents::tests::{configuration, policies},
        model,
        output::tests::style,
    };

    #[test]
    fn files_and_one_command_are_shown_without_policies() {
        let document = |text: &str, is_required: bool| json!({ "document": text, "isRequired": is_required, "instruction": format!("Put {text} there.") });
        let of_another_account = json!({
            "bucketPolicy": document("{bucket}", true), "kmsKeyPolicyStatement": document("{key}", true),
            "cloudFormation": {
                "launchUrl": "https://console.aws.amazon.com/cloudformation/home#/stacks/create/review?x=y",
                "parameters": [{ "name": "ExternalId", "value": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b" }],
            },
        });
        let configuration = configuration(&json!({}));
        let directory = PathBuf::from(format!("audit-export-{}", configuration.id));
        let shown = [json!({}), of_another_account].map(|changes| {
            let policies = policies(&changes);
            let files = documents::files(&policies, &configuration);
            let command = explain_command(&policies, &configuration, &directory);
            format!("{}\n\n{command}", explain_files(&files, &directory, &style()))
        });
        let shown = shown.join("\n\n----\n\n");
        // An ID can't be shortened.
        assert!(shown.lines().all(|line| line.len() <= 80 || line.contains(&*configuration.id)), "{shown}");
        assert!(!shown.contains("{trust}"), "{shown}");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn the_policies_are_shown_when_asked_for() {
        let policies = policies(&json!({}));
        let of_role = configuration(&json!({}));
        let files = documents::files(&policies, &of_role);
        insta::assert_snapshot!(explain_policies(&policies, &of_role, &files, &style()));
    }

    #[test]
    fn another_server_gets_no_commands_of_aws() {
        let policies = policies(&json!({}));
        let of_server = configuration(&json!({ "roleArn": null, "endpointUrl": "https://s3.example.com" }));
        let files = documents::files(&policies, &of_server);
        let contents: Vec<_> = files.iter().map(|file| (file.name, &*file.content)).collect();
        assert_eq!(contents, [("iam-policy.json", "{iam}\n")]);
        assert_eq!(explain_command(&policies, &of_server, Path::new("x")), "Put {iam} there.");
        assert_eq!(explain_policies(&policies, &of_server, &files, &style()), "{iam}");
    }

    #[test]
    fn the_source_of_security_lake_is_created_instead_of_a_role() {
        let policies = policies(&json!({
            "trustPolicy": { "document": "{trust}", "isRequired": false, "instruction": "Create the source." },
        }));
        assert_eq!(explain_command(&policies, &configuration(&json!({})), Path::new("x")), "Create the source.");
    }

    #[test]
    fn the_end_says_when_the_first_file_comes() {
        let disabled = json!({ "enabled": false, "nextExportAt": null });
        // The stack stays where it was created.
        let stack = Some("eu-central-1");
        let ends = [
            (json!({}), None, None),
            (disabled, None, None),
            (json!({}), stack, Some(true)),
            (json!({}), None, Some(false)),
        ];
        let shown = ends.map(|(changes, stack, has_files)| {
            finished(&model::tests::configuration(&changes), stack, has_files, " --profile production", &style())
        });
        insta::assert_snapshot!(shown.join("\n\n"));
    }
}
