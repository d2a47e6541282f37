//! What the wizard's questions say. Takes data, gives text.

use super::wizard::{Question, Wizard};
use crate::{
    commands::config::{
        file::{Field, Kind},
        render,
    },
    output::Style,
};

/// A question as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    pub explanation: String,
    pub question: String,
    /// What Enter alone stands for.
    pub suggestion: Option<String>,
    /// Whether `-` clears the suggestion, for what may be left empty.
    pub is_optional: bool,
}

pub fn prompt(question: Question, wizard: &Wizard, style: &Style) -> Prompt {
    let prompt = |explanation: &str, question: &str, suggestion: Option<&str>| Prompt {
        explanation: explanation.to_owned(),
        question: question.to_owned(),
        suggestion: suggestion.map(ToOwned::to_owned),
        is_optional: false,
    };
    match question {
        Question::Kind => prompt(
            "How does the export prove to your AWS account who it is?\n  \
             role        it assumes a role of yours that trusts it: there is no secret. The better choice\n  \
             access-key  it uses an access key of an IAM user of yours",
            "role or access-key",
            Some("role"),
        ),
        Question::Field(field) => Prompt {
            suggestion: wizard.suggestion(field),
            is_optional: is_optional(field),
            ..prompt(explanation(field), name(field), None)
        },
        Question::Confirm => prompt(&summary(wizard, style), "Create it? yes, or no to change something", Some("yes")),
        Question::Ready => prompt(
            "Put the policies in their places. You may leave meanwhile: audit-export setup goes on here.",
            "Enter when it is done, to test the connection; or quit",
            Some("done"),
        ),
        Question::Failed => prompt(
            "  retry     test again; a change in IAM can take a minute to arrive\n  \
             change    change the export's own settings\n  \
             policies  show the policies again\n  \
             quit      leave; audit-export setup goes on here",
            "retry, change, policies or quit",
            Some("retry"),
        ),
    }
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
        fields.push((label(*field), value));
    }
    style.fields(&fields)
}

/// As `config get` calls it.
fn label(field: Field) -> &'static str {
    match field {
        Field::Interval => "every",
        Field::BucketName => "bucket",
        Field::BucketPath => "path",
        Field::RoleArn => "role",
        Field::AccessKeyId => "access key",
        Field::KmsKeyArn => "KMS key",
        Field::ExpectedBucketOwner => "bucket owner",
        other => other.name(),
    }
}

fn is_optional(field: Field) -> bool {
    matches!(field, Field::BucketPath | Field::KmsKeyArn | Field::ExpectedBucketOwner)
}

/// The question itself.
pub fn name(field: Field) -> &'static str {
    match field {
        Field::Interval => "Hours between two exports: 2, 4, 6, 12 or 24",
        Field::BucketName => "Bucket",
        Field::BucketPath => "Path in the bucket",
        Field::Region => "Region of the bucket",
        Field::RoleArn => "ARN of the role, or the account that it will be in",
        Field::AccessKeyId => "Access key id",
        Field::SecretAccessKey => "Secret access key",
        Field::KmsKeyArn => "ARN of the bucket's KMS key",
        Field::ExpectedBucketOwner => "Account that owns the bucket",
        other => other.name(),
    }
}

fn explanation(field: Field) -> &'static str {
    match field {
        Field::Interval => "Each export ends at a full hour in UTC; one of 24 hours is a calendar day.",
        Field::BucketName => "The name of an S3 bucket of yours that exists.",
        Field::BucketPath => "Files are written under it. Leave it empty for the bucket's root.",
        Field::Region => "For example eu-west-1.",
        Field::RoleArn => {
            "The role need not exist yet: its trust policy is written in the next step. The 12 digits of an account stand \
             for the role named audit-export in it."
        }
        Field::AccessKeyId => "Of an IAM user that is used for nothing else.",
        Field::KmsKeyArn => "Leave it empty if the bucket doesn't encrypt with a KMS key of yours.",
        Field::ExpectedBucketOwner => "12 digits. Leave it empty if that is the account of the role or the IAM user.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use domain::configuration::{
        ServiceIdentity,
        arn::AccountId,
        region::{Partition, Region},
    };

    use super::*;
    use crate::{
        commands::setup::wizard::{State, questions},
        output::tests::style,
    };

    #[test]
    fn every_question_is_asked_in_words() {
        let service = ServiceIdentity {
            account: AccountId::parse("111111111111").unwrap(),
            partition: Partition::Commercial,
            region: Region::parse("us-east-1").unwrap(),
        };
        let state = State::new("https://example.com".to_owned(), "key".to_owned());
        let mut wizard = Wizard::new(state, service);
        let mut all = vec![Question::Kind];
        all.extend(questions(Kind::AssumedRole).iter().map(|field| Question::Field(*field)));
        all.extend([Field::AccessKeyId, Field::SecretAccessKey].map(Question::Field));
        all.extend([Question::Ready, Question::Failed]);
        let mut shown: Vec<String> =
            all.into_iter().map(|question| text(&prompt(question, &wizard, &style()))).collect();
        wizard.state.kind = Some(Kind::AssumedRole);
        wizard.state.answers.extend([
            (Field::Interval, Some("EVERY_24_HOURS".to_owned())),
            (Field::BucketName, Some("acme-audit".to_owned())),
            (Field::BucketPath, None),
        ]);
        shown.push(text(&prompt(Question::Confirm, &wizard, &style())));
        insta::assert_snapshot!("questions", shown.join("\n\n"));
    }

    fn text(prompt: &Prompt) -> String {
        let suggestion = prompt.suggestion.as_ref().map(|text| format!(" [{text}]")).unwrap_or_default();
        format!("{}\n{}{suggestion}: ", prompt.explanation, prompt.question)
    }
}
