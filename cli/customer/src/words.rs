//! The service's texts in the words of this program.

use std::{fmt, ops::Deref};

use serde::Deserialize;
use terminal::text::Text;

/// Names of the API, and what stands for them here. Texts of the service are for everybody who calls its API.
const WORDS: [(&str, &str); 7] = [
    ("GraphQL: ", "Commands: "),
    ("AUDIT for GraphQL", "AUDIT for export configurations"),
    ("getAllExportConfigurations", "audit-export config list"),
    ("getExportRepair returns", "audit-export config repair ID shows"),
    ("exportReplays lists it", "audit-export config replays ID lists it"),
    ("with cancelExportReplay", "with audit-export config replay-cancel"),
    (", which exportServiceIdentity returns", "; its operator can tell you which that is"),
];

/// Replaces the names of the API's operations by commands.
pub fn in_commands(text: &str) -> String {
    WORDS.iter().fold(text.to_owned(), |text, (name, word)| text.replace(name, word))
}

/// Fields of an export configuration, and the options of `config create` and `config update` that set them. A region is the same
/// word in both.
const OPTIONS: [(&str, &str); 7] = [
    ("bucketName", "--bucket"),
    ("bucketPath", "--path"),
    ("endpointUrl", "--endpoint-url"),
    ("roleArn", "--role-arn"),
    ("accessKeyId", "--access-key-id"),
    ("kmsKeyArn", "--kms-key-arn"),
    ("expectedBucketOwner", "--owner"),
];

/// A sentence of the service that says what to change, with the options of this program instead of the API's fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Text")]
pub struct Advice(String);

impl From<Text> for Advice {
    fn from(text: Text) -> Self {
        Self(OPTIONS.iter().fold(text.to_string(), |text, (field, option)| text.replace(field, option)))
    }
}

impl Deref for Advice {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use domain::{
        configuration::test_support::{on_server, with_role},
        connection::ConnectionFailure,
        policy::AccountScope,
    };
    use serde_json::json;

    use super::*;
    use crate::Arguments;

    fn advice(failure: &ConnectionFailure, is_on_server: bool) -> String {
        let configuration = if is_on_server { on_server() } else { with_role() };
        let message = failure.explain(&configuration.destination, AccountScope::Same).message;
        serde_json::from_value::<Advice>(json!(message)).unwrap().to_string()
    }

    #[test]
    fn advice_names_options_and_no_fields() {
        let missing = advice(&ConnectionFailure::BucketNotFound, true);
        assert!(missing.contains("or correct --bucket or --endpoint-url."), "{missing}");
        let denied = advice(&ConnectionFailure::WriteDenied, false);
        assert!(denied.contains("a wrong --owner is denied"), "{denied}");

        let program = Arguments::command();
        let config = program.find_subcommand("config").unwrap();
        for command in ["create", "update"] {
            let options: Vec<&str> = config
                .find_subcommand(command)
                .unwrap()
                .get_arguments()
                .filter_map(|option| option.get_long())
                .collect();
            for (_, option) in OPTIONS {
                assert!(options.contains(&option.strip_prefix("--").unwrap()), "{command}: {option}");
            }
        }
    }
}
