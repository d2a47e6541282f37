//! What a caller is told when something isn't done: a stable code and a sentence, never a detail of ours.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

use async_graphql::{Name, PathSegment, Pos, Response, ServerError, Value, indexmap::IndexMap};
use domain::{
    allowance::Allowance, configuration::field_error::FieldError, connection::ConnectionError, error_code::ErrorCode,
    interval::ExportInterval,
};
use export_engine::ports::{ErrorKind, PortError};
use serde_json::{Value as Json, json};

/// The most errors that an answer tells; a document can be wrong in thousands of places.
pub const MAX_ERRORS: usize = 20;

/// Bytes of a name that an error may repeat. A secret access key has 40: whoever puts it where a name belongs must not
/// find it in an answer, and so neither in a log on the way.
const MAX_ECHOED_NAME_LENGTH: usize = 39;

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    #[error("The document is not valid GraphQL.")]
    ParseFailed,
    /// The document doesn't fit the schema, or exceeds a bound. The text holds nothing of the caller's values.
    #[error("{0}")]
    ValidationFailed(String),
    #[error("Only one connection test fits into a request: send mutations that test a connection one at a time.")]
    TooManyVerifications,
    #[error("The input is not valid: see extensions.fields for each field that has to change.")]
    InvalidInput(Vec<FieldError>),
    #[error("There is no such export configuration.")]
    NotFound,
    #[error("The idempotency key was used for another request, or its configuration was deleted. Give a new key.")]
    IdempotencyKeyReused,
    #[error("No more than {limit} export configurations are possible. Delete one first.")]
    LimitExceeded { limit: u16 },
    #[error("The export configuration is disabled. Enable it first.")]
    ConfigurationDisabled,
    #[error("The export configuration was changed meanwhile. Read it again, and send the change with its version.")]
    Conflict { current_version: u64 },
    #[error(
        "The new access key can't write to the bucket, so nothing was changed: see extensions.connectionError for what to \
             change."
    )]
    NewAccessKeyRefused(ConnectionError),
    #[error(
        "The connection test of the change failed, so nothing was changed and the export goes on as it was: see \
             extensions.connectionError for what to change, or send the update with force."
    )]
    NewConnectionRefused(ConnectionError),
    #[error("The cursor is not one of this list. Give one that an earlier page answered, or none for the first page.")]
    CursorInvalid,
    #[error("{}", exhausted(*.allowance, *.retry_after_seconds))]
    AllowanceExhausted { allowance: Allowance, retry_after_seconds: u64 },
    #[error("The service is busy. The request may have taken effect: look first, then try again.")]
    TryAgain,
    #[error("The service failed. Our operators know of it.")]
    Internal,
}

/// The message of a refusal: what was asked for too often, and when to ask again.
fn exhausted(allowance: Allowance, retry_after_seconds: u64) -> String {
    let limit = allowance.limit();
    let what = match allowance {
        Allowance::ConnectionTests => format!("No more than {limit} connections can be tested within a minute."),
        Allowance::ManualRuns => format!("No more than {limit} runs can be requested within a minute."),
        Allowance::ConfigurationRuns(_) => {
            format!("No more than {limit} runs of one export configuration can be requested within an hour.")
        }
        Allowance::BacklogCounts => {
            format!(
                "The backlog can be counted {limit} times within a minute, and no count includes this configuration."
            )
        }
    };
    format!("{what} Try again in {retry_after_seconds} seconds.")
}

impl ApiError {
    /// The stable name that callers may rely on.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::ParseFailed => ErrorCode::GraphQlParseFailed,
            Self::ValidationFailed(_) => ErrorCode::GraphQlValidationFailed,
            Self::TooManyVerifications => ErrorCode::TooManyVerifications,
            Self::InvalidInput(_) => ErrorCode::InvalidInput,
            Self::NotFound => ErrorCode::NotFound,
            Self::IdempotencyKeyReused => ErrorCode::IdempotencyKeyReused,
            Self::LimitExceeded { .. } => ErrorCode::LimitExceeded,
            Self::ConfigurationDisabled => ErrorCode::ConfigurationDisabled,
            Self::Conflict { .. } => ErrorCode::Conflict,
            Self::NewAccessKeyRefused(_) => ErrorCode::NewAccessKeyRefused,
            Self::NewConnectionRefused(_) => ErrorCode::NewConnectionRefused,
            Self::CursorInvalid => ErrorCode::CursorInvalid,
            Self::AllowanceExhausted { allowance, .. } => match allowance {
                Allowance::ConnectionTests => ErrorCode::TooManyTests,
                Allowance::ManualRuns | Allowance::ConfigurationRuns(_) => ErrorCode::TooManyRuns,
                Allowance::BacklogCounts => ErrorCode::TooManyCounts,
            },
            Self::TryAgain => ErrorCode::TryAgain,
            Self::Internal => ErrorCode::Internal,
        }
    }

    /// What `extensions` says beside the code.
    fn detail(&self) -> Option<(&'static str, Json)> {
        match self {
            Self::InvalidInput(fields) => Some(("fields", fields.iter().map(describe_field).collect())),
            Self::Conflict { current_version } => Some(("currentVersion", json!(current_version))),
            Self::NewAccessKeyRefused(error) | Self::NewConnectionRefused(error) => {
                Some(("connectionError", json!(error)))
            }
            Self::AllowanceExhausted { retry_after_seconds, .. } => {
                Some(("retryAfterSeconds", json!(retry_after_seconds)))
            }
            Self::ParseFailed
            | Self::ValidationFailed(_)
            | Self::TooManyVerifications
            | Self::NotFound
            | Self::IdempotencyKeyReused
            | Self::LimitExceeded { .. }
            | Self::ConfigurationDisabled
            | Self::CursorInvalid
            | Self::TryAgain
            | Self::Internal => None,
        }
    }

    /// As an error of the whole request.
    #[must_use]
    pub fn into_response(self, locations: Vec<Pos>) -> Response {
        let mut error = ServerError::new(self.to_string(), None);
        error.locations = locations;
        error.source = Some(Arc::new(self));
        Response::from_errors(vec![error])
    }
}

impl From<PortError> for ApiError {
    /// The detail goes to the log and no further.
    fn from(error: PortError) -> Self {
        let PortError { kind, operation, detail } = error;
        match kind {
            ErrorKind::Transient | ErrorKind::Unreachable => {
                tracing::warn!(operation, detail, "a dependency is busy");
                Self::TryAgain
            }
            // No adapter that this function calls speaks for the customer's account, or holds a lease.
            ErrorKind::Internal | ErrorKind::Customer(_) | ErrorKind::Fenced | ErrorKind::CorruptBlock(_) => {
                tracing::error!(operation, detail, kind = %kind, "an operation failed");
                Self::Internal
            }
        }
    }
}

/// Gives every error of an answer its code, and takes out of it whatever a caller has written as a value.
pub fn finish(mut response: Response, sdl: &impl Fn() -> String) -> Response {
    response.errors.truncate(MAX_ERRORS);
    set_failed_fields(&mut response);
    for error in &mut response.errors {
        let known = match error.source::<ApiError>() {
            Some(known) => known.clone(),
            None => ApiError::ValidationFailed(without_values(&error.message, &|| vocabulary(sdl))),
        };
        error.message = known.to_string();
        let extensions = error.extensions.insert(async_graphql::ErrorExtensionValues::default());
        extensions.set("code", known.code().name());
        if let Some((name, detail)) = known.detail() {
            extensions.set(name, Value::from_json(detail).unwrap_or_default());
        }
    }
    response
}

/// The library leaves a field out that failed; to GraphQL it is null:
/// <https://spec.graphql.org/October2021/#sec-Handling-Field-Errors>. Every field that can fail is one of the root.
fn set_failed_fields(response: &mut Response) {
    for error in &response.errors {
        let [PathSegment::Field(name)] = error.path.as_slice() else { continue };
        if response.data == Value::Null {
            response.data = Value::Object(IndexMap::new());
        }
        if let Value::Object(fields) = &mut response.data {
            fields.entry(Name::new(name)).or_default();
        }
    }
}

fn describe_field(error: &FieldError) -> Json {
    json!({ "field": error.field, "code": error.code.name(), "message": error.message })
}

/// Names of the schema, which may be repeated however long they are.
fn vocabulary(sdl: &impl Fn() -> String) -> &'static HashSet<String> {
    static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let is_part_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        sdl().split(|character| !is_part_of_name(character)).map(ToOwned::to_owned).collect()
    })
}

/// How messages of the library start that hold nothing but names, each from the schema or written as a name.
const NAMING_MESSAGES: [&str; 18] = [
    "Directive \"",
    "Duplicate directive \"",
    "Field \"",
    "Fields \"",
    "Fragment ",
    "Invalid default value for argument",
    "Invalid value for argument \"",
    "Operation name required",
    "Query is ",
    "The number of directives on the field",
    "The recursion depth",
    "There can only be one ",
    "Unknown argument \"",
    "Unknown directive \"",
    "Unknown field \"",
    "Unknown fragment: \"",
    "Unknown type \"",
    "Variable ",
];

/// What comes behind these in a message is a value.
const BEFORE_A_VALUE: [(&str, &str); 2] = [
    (" does not contain the value \"", " does not contain the value that was given."),
    (", found ", ", found something else."),
];

fn without_values(message: &str, vocabulary: &dyn Fn() -> &'static HashSet<String>) -> String {
    for (before, replacement) in BEFORE_A_VALUE {
        if let Some((kept, _)) = message.split_once(before) {
            let hint = if kept.ends_with("\"ExportInterval\"") { one_of_the_intervals() } else { String::new() };
            return format!("{}{replacement}{hint}", without_long_names(kept, vocabulary));
        }
    }
    if NAMING_MESSAGES.iter().any(|start| message.starts_with(start)) {
        without_long_names(message, vocabulary)
    } else if message.starts_with("Unknown operation named ") {
        "The document has no operation of the name in operationName.".to_owned()
    } else {
        "The request doesn't fit the schema.".to_owned()
    }
}

fn one_of_the_intervals() -> String {
    format!(" Choose one of {}.", ExportInterval::ALL.map(ExportInterval::name).join(", "))
}

fn without_long_names(message: &str, vocabulary: &dyn Fn() -> &'static HashSet<String>) -> String {
    // The signs are a secret access key's: a name that came in a variable may hold whatever JSON does.
    let is_part_of_name =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '/' | '+' | '=');
    message
        .split_inclusive(|character| !is_part_of_name(character))
        .map(|piece| {
            let name = piece.trim_end_matches(|character| !is_part_of_name(character));
            if name.len() <= MAX_ECHOED_NAME_LENGTH || vocabulary().contains(name) {
                piece.to_owned()
            } else {
                piece.replacen(name, "…", 1)
            }
        })
        .collect()
}
