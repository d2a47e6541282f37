//! KMS, SQS and STS with prepared answers.

use std::{collections::VecDeque, time::Duration};

use host::{Clock, Machine};
use serde_json::{Value, json};

use super::reply::Reply;

/// The `SubjectPublicKeyInfo` of a P-256 key, and a signature that it made.
const PUBLIC_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQTLfqpVz/uz22jFwZRtE2nBIpET9hJ06ijwSzErw9o8CfUOf159nB7fd79PaW5vZkYz5HEAMnyK0vODQ183HYQ==";
const SIGNATURE: &str =
    "MEYCIQC3yRYLyhyCYOJUJN/M9wXvpWxesWlq0LcoFWhK1pbuAAIhAKZ9zAlukmUZKkNpk0qoQ4BhqcLRsi1ck4KiZxC/zwBq";

/// Answers KMS. Signatures are always the same: the bench does not verify them.
pub fn kms(operation: &str, request: &Value) -> Reply {
    let key = &request["KeyId"];
    Reply::json(&match operation {
        "Sign" => json!({"KeyId": key, "Signature": SIGNATURE, "SigningAlgorithm": "ECDSA_SHA_256"}),
        "GetPublicKey" => json!({
            "KeyId": key, "PublicKey": PUBLIC_KEY, "KeySpec": "ECC_NIST_P256", "CustomerMasterKeySpec": "ECC_NIST_P256",
            "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": ["ECDSA_SHA_256"],
        }),
        // Any bytes: nothing decrypts them.
        "Encrypt" => json!({"KeyId": key, "CiphertextBlob": SIGNATURE}),
        _ => return Reply::unprepared(),
    })
}

/// The queue of runs.
#[derive(Debug, Default)]
pub struct Queue {
    /// Bodies of messages that were sent and not received yet.
    pub messages: VecDeque<String>,
    /// True if messages are only counted.
    pub drops_messages: bool,
    pub sent: u64,
}

impl Queue {
    pub fn answer(&mut self, operation: &str, request: &Value) -> Reply {
        match operation {
            "SendMessageBatch" => {
                let mut successful = Vec::new();
                for entry in request["Entries"].as_array().map(Vec::as_slice).unwrap_or_default() {
                    self.sent += 1;
                    if !self.drops_messages {
                        self.messages.push_back(entry["MessageBody"].as_str().unwrap_or_default().to_owned());
                    }
                    // The SDK checks an MD5 only if the answer has one.
                    successful.push(json!({"Id": entry["Id"], "MessageId": format!("message-{}", self.sent)}));
                }
                Reply::json(&json!({"Successful": successful, "Failed": []}))
            }
            "ChangeMessageVisibility" => Reply::json(&json!({})),
            _ => Reply::unprepared(),
        }
    }
}

/// Answers STS, which takes forms and returns XML. A role is granted only with the external ID of the configuration, so that
/// probes are refused.
pub fn sts(form: &str) -> (String, Reply) {
    let field = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let operation = field("Action").unwrap_or_default();
    let session = field("RoleSessionName").unwrap_or_default();
    let reply = match operation {
        "AssumeRole" if field("ExternalId").is_some_and(|id| session.ends_with(id)) => {
            let expiration = Machine.now().saturating_add(Duration::from_hours(1));
            Reply::xml(
                200,
                format!(
                    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
                     <Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>\
                     <SecretAccessKey>bench</SecretAccessKey><SessionToken>bench</SessionToken>\
                     <Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
                ),
            )
        }
        "AssumeRole" => Reply::xml(
            403,
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>",
        ),
        _ => Reply::unprepared(),
    };
    (format!("sts:{operation}"), reply)
}
