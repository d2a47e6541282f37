//! The texts of the wizard's questions.

use super::{
    account::MAX_LISTED_BUCKETS,
    documents::stack_name,
    wizard::{Question, Wizard},
};
use crate::{
    commands::config::{
        file::{Field, Kind},
        render,
    },
    output::Style,
};

/// The text of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    pub explanation: String,
    pub question: String,
    /// The answer that an empty one stands for.
    pub suggestion: Option<String>,
    /// Whether `-` clears the suggestion.
    pub is_optional: bool,
}

impl Prompt {
    pub fn new(explanation: impl Into<String>, question: impl Into<String>) -> Self {
        Self { explanation: explanation.into(), question: question.into(), suggestion: None, is_optional: false }
    }

    pub fn suggesting(self, suggestion: impl Into<String>) -> Self {
        Self { suggestion: Some(suggestion.into()), ..self }
    }
}

pub fn prompt(question: Question, wizard: &Wizard, style: &Style) -> Prompt {
    match question {
        Question::Kind => Prompt::new(
            "How does the export authenticate?\n  \
             role        it assumes an IAM role in your AWS account; recommended: no secret\n  \
             access-key  it uses the access key of an IAM user, or of another S3 server",
            "role or access-key",
        )
        .suggesting("role"),
        Question::Field(field) => {
            let Texts { question, mut explanation, .. } = texts(field);
            if wizard.is_on_server() {
                explanation = on_server(field).unwrap_or(explanation);
            }
            let is_optional =
                matches!(field, Field::BucketPath | Field::EndpointUrl | Field::KmsKeyArn | Field::ExpectedBucketOwner);
            Prompt { suggestion: wizard.suggestion(field), is_optional, ..Prompt::new(explanation, question) }
        }
        Question::Bucket => bucket(&[]),
        Question::Confirm if wizard.can_apply() => {
            Prompt::new(resources(wizard, style), "Create these? yes, or no to change something").suggesting("yes")
        }
        Question::Confirm => {
            Prompt::new(summary(wizard, style), "Create it? yes, or no to change something").suggesting("yes")
        }
        Question::Apply => {
            Prompt::new(resources(wizard, style), "Create these? yes, or no to get the policies").suggesting("yes")
        }
        Question::Ready => Prompt::new(
            "You can quit meanwhile: audit-export setup continues here.",
            "Press Enter to test the connection, or enter quit",
        )
        .suggesting("done"),
        Question::Failed => Prompt::new(
            "  retry     test again; a change in IAM can take a minute to take effect\n  \
             change    change the settings of the export\n  \
             policies  show the policies\n  \
             quit      continue later with audit-export setup",
            "retry, change, policies or quit",
        )
        .suggesting("retry"),
    }
}

/// Asks for one of the buckets, or a new one.
pub fn bucket(listed: &[String]) -> Prompt {
    let shown = listed.iter().take(MAX_LISTED_BUCKETS).enumerate();
    let mut lines: Vec<String> = shown.map(|(index, name)| format!("  {:>2}  {name}", index + 1)).collect();
    if let Some(others) = listed.len().checked_sub(MAX_LISTED_BUCKETS).filter(|others| *others > 0) {
        lines.push(format!("      … and {others} others"));
    }
    if !lines.is_empty() {
        lines.insert(0, "The buckets of your account:".to_owned());
    }
    Prompt::new(lines.join("\n"), "Bucket (number or name; a new name creates one)")
}

/// Formats what setup creates.
fn resources(wizard: &Wizard, style: &Style) -> String {
    let known = |field: Field| wizard.known(field);
    let region = known(Field::Region).unwrap_or_default();
    let is_new = if wizard.creates_bucket() { "new, closed to the public" } else { "exists, and stays as it is" };
    let bucket = known(Field::BucketName).unwrap_or_default();
    let path = known(Field::BucketPath).map(|path| format!("/{path}")).unwrap_or_default();
    let role = known(Field::RoleArn).unwrap_or_default();
    let name = role.rsplit('/').next().unwrap_or_default();
    let account = wizard.caller().map(|caller| caller.account.to_string()).unwrap_or_default();
    let stack = wizard.configuration().map_or_else(|| "audit-export-<ID of the export>".to_owned(), stack_name);
    let interval = known(Field::Interval).map(|name| render::interval(&name)).unwrap_or_default();
    style.fields(&[
        ("export", Some(format!("every {interval}, from the oldest event that the service has"))),
        ("bucket", Some(format!("{bucket} in {region} ({is_new})"))),
        ("files", Some(format!("s3://{bucket}{path}"))),
        ("KMS key", known(Field::KmsKeyArn)),
        ("role", Some(format!("{name} (for this service only; writes these files only)"))),
        ("stack", Some(format!("{stack}, account {account}"))),
    ])
}

fn summary(wizard: &Wizard, style: &Style) -> String {
    let kind = match wizard.state.kind {
        Some(Kind::AccessKey) => "an access key",
        Some(Kind::AssumedRole) | None => "a role",
    };
    let mut fields = vec![("export with", Some(kind.to_owned()))];
    for (field, value) in &wizard.state.answers {
        let value = match field {
            Field::Interval => value.as_deref().map(render::interval),
            _ => value.clone(),
        };
        fields.push((texts(*field).label, value));
    }
    style.fields(&fields)
}

/// The texts of a field.
struct Texts {
    /// The one in `config get`.
    label: &'static str,
    question: &'static str,
    explanation: &'static str,
}

fn texts(field: Field) -> Texts {
    let (label, question, explanation) = match field {
        Field::Interval => (
            "interval",
            "Hours between two exports: 2, 4, 6, 12 or 24",
            "Exports end at a full hour in UTC. With 24 hours each export is a calendar day.",
        ),
        Field::BucketName => ("bucket", "Bucket", "The name of an existing S3 bucket."),
        Field::BucketPath => {
            ("path", "Path in the bucket", "The prefix of the files. Leave it empty for the root of the bucket.")
        }
        Field::Region => ("region", "Region of the bucket", "For example eu-west-1."),
        Field::EndpointUrl => (
            "endpoint",
            "URL of the S3 server",
            "For example https://minio.example.com:9000. Leave it empty for a bucket in AWS.",
        ),
        Field::RoleArn => (
            "role",
            "ARN of the role, or its account",
            "The role does not have to exist yet. 12 digits stand for the role audit-export in that account.",
        ),
        Field::AccessKeyId => ("access key", "Access key ID", "The access key of an IAM user for this export only."),
        Field::SecretAccessKey => ("secret access key", "Secret access key", ""),
        Field::KmsKeyArn => {
            ("KMS key", "ARN of the bucket's KMS key", "Leave it empty if the bucket does not encrypt with a KMS key.")
        }
        Field::ExpectedBucketOwner => (
            "bucket owner",
            "Account that owns the bucket",
            "12 digits. Leave it empty if the account is the one of the role or the IAM user.",
        ),
        other => (other.name(), other.name(), ""),
    };
    Texts { label, question, explanation }
}

/// Returns the explanation of a field that means something else on a server other than AWS's.
fn on_server(field: Field) -> Option<&'static str> {
    match field {
        Field::BucketName => Some("The name of an existing bucket on this server."),
        Field::Region => Some("The region that the server expects in signatures, for example us-east-1 or auto."),
        Field::AccessKeyId => Some("An access key of the server, for this export only."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::configuration::{
        ServiceIdentity,
        arn::AccountId,
        region::{Partition, Region},
    };

    use serde_json::json;

    use super::*;
    use crate::{
        commands::setup::{
            account::{Bucket, tests::caller},
            wizard::{Source, State, questions},
        },
        model::tests::configuration,
        output::tests::style,
    };

    fn service() -> ServiceIdentity {
        ServiceIdentity {
            account: AccountId::parse("111111111111").unwrap(),
            partition: Partition::Commercial,
            region: Region::parse("us-east-1").unwrap(),
        }
    }

    #[test]
    fn every_question_is_asked_in_words() {
        let state = State::new("https://example.com".to_owned(), None, "key".to_owned());
        let mut wizard = Wizard::new(state, service());
        let mut all = vec![Question::Kind];
        all.extend(questions(Kind::AssumedRole).into_iter().map(Question::Field));
        all.extend([Field::EndpointUrl, Field::AccessKeyId, Field::SecretAccessKey].map(Question::Field));
        all.extend([Question::Bucket, Question::Ready, Question::Failed]);
        let mut shown: Vec<String> =
            all.into_iter().map(|question| text(&prompt(question, &wizard, &style()))).collect();
        wizard.state.kind = Some(Kind::AssumedRole);
        wizard.state.answers.extend([
            (Field::Interval, Some("EVERY_24_HOURS".to_owned())),
            (Field::BucketName, Some("acme-audit".to_owned())),
            (Field::BucketPath, None),
        ]);
        shown.push(text(&prompt(Question::Confirm, &wizard, &style())));
        wizard.state.kind = Some(Kind::AccessKey);
        wizard.state.answers.insert(Field::EndpointUrl, Some("https://s3.example.com".to_owned()));
        let of_server = [Field::BucketName, Field::Region, Field::AccessKeyId].map(Question::Field);
        shown.extend(of_server.map(|question| text(&prompt(question, &wizard, &style()))));
        insta::assert_snapshot!("questions", shown.join("\n\n"));
    }

    #[test]
    fn what_is_created_fits_the_terminal() {
        let state =
            State::new("https://example.com".to_owned(), None, "3f2a9c1e-0000-4000-8000-000000000000".to_owned());
        let mut wizard = Wizard::new(state, service()).with_caller(Some(caller()));
        let mut found = Bucket {
            name: "acme-audit".to_owned(),
            is_new: false,
            region: Some(Region::parse("eu-west-1").unwrap()),
            kms_key_arn: None,
            is_own: true,
        };
        let names = |count: usize| (1..=count).map(|number| format!("acme-{number}")).collect::<Vec<_>>();
        let mut shown: Vec<String> = [0, 2, 20, 32].map(|count| text(&bucket(&names(count)))).into();
        for is_new in [false, true] {
            found.is_new = is_new;
            wizard.choose_bucket(&found).unwrap();
            wizard.state.answers.insert(Field::Interval, Some("EVERY_24_HOURS".to_owned()));
            shown.push(text(&prompt(Question::Confirm, &wizard, &style())));
        }
        wizard.seen(configuration(&json!({ "connectionStatus": "PENDING" })), Source::Get);
        shown.push(text(&prompt(Question::Apply, &wizard, &style())));
        let shown = shown.join("\n\n");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        insta::assert_snapshot!("resources", shown);
    }

    fn text(prompt: &Prompt) -> String {
        let suggestion = prompt.suggestion.as_ref().map(|text| format!(" [{text}]")).unwrap_or_default();
        format!("{}\n{}{suggestion}: ", prompt.explanation, prompt.question)
    }
}
