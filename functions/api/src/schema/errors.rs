//! Errors in responses: each gets its code, and values of the caller are removed from its message.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

use async_graphql::{Name, PathSegment, Pos, Response, ServerError, Value, indexmap::IndexMap};
use domain::{configuration::field_error::FieldError, export_format::ExportFormat, interval::ExportInterval};
use serde_json::{Value as Json, json};

use crate::error::ApiError;

/// The most errors of one response. A document can have thousands.
pub const MAX_ERRORS: usize = 20;

/// The most bytes of a name that an error may repeat. A secret access key has 40: one that was sent in the place of a name
/// must not get into a response, nor into a log on the way.
const MAX_ECHOED_NAME_LENGTH: usize = 39;

/// Makes a response that has this error only.
pub fn response_of(error: ApiError, locations: Vec<Pos>) -> Response {
    let mut server_error = ServerError::new(error.to_string(), None);
    server_error.locations = locations;
    server_error.source = Some(Arc::new(error));
    Response::from_errors(vec![server_error])
}

/// Gives every error of a response its code, and removes the caller's values from its message.
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
        if let Some((name, detail)) = detail_of(&known) {
            extensions.set(name, Value::from_json(detail).unwrap_or_default());
        }
    }
    response
}

/// Sets failed fields to null, as GraphQL requires:
/// <https://spec.graphql.org/October2021/#sec-Handling-Field-Errors>. The library leaves them out. Every field that can fail
/// is at the root.
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

/// Returns the extension that an error has beside its code.
fn detail_of(error: &ApiError) -> Option<(&'static str, Json)> {
    match error {
        ApiError::InvalidInput(fields) => Some(("fields", fields.iter().map(describe_field).collect())),
        ApiError::Conflict { current_version } => Some(("currentVersion", json!(current_version))),
        ApiError::NewAccessKeyRefused(error) | ApiError::NewConnectionRefused(error) => {
            Some(("connectionError", json!(error)))
        }
        ApiError::AllowanceExhausted { retry_after_seconds, .. } => {
            Some(("retryAfterSeconds", json!(retry_after_seconds)))
        }
        ApiError::ParseFailed
        | ApiError::ValidationFailed(_)
        | ApiError::TooManyTestsInRequest
        | ApiError::NotFound
        | ApiError::IdempotencyKeyReused
        | ApiError::LimitExceeded { .. }
        | ApiError::ReplayInProgress
        | ApiError::ConfigurationDisabled
        | ApiError::RepairInProgress
        | ApiError::CursorInvalid
        | ApiError::TryAgain
        | ApiError::Internal => None,
    }
}

fn describe_field(error: &FieldError) -> Json {
    json!({ "field": error.field, "code": error.code.name(), "message": error.message })
}

/// Returns the names of the schema, which errors may repeat however long they are.
fn vocabulary(sdl: &impl Fn() -> String) -> &'static HashSet<String> {
    static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let is_part_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        sdl().split(|character| !is_part_of_name(character)).map(ToOwned::to_owned).collect()
    })
}

/// The beginnings of those messages of the library that have no values: only names, of the schema or of the document.
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

/// The texts of a message that are followed by a value, each with its replacement.
const BEFORE_A_VALUE: [(&str, &str); 2] = [
    (" does not contain the value \"", " does not contain the value that was given."),
    (", found ", ", found something else."),
];

fn without_values(message: &str, vocabulary: &dyn Fn() -> &'static HashSet<String>) -> String {
    for (before, replacement) in BEFORE_A_VALUE {
        if let Some((kept, value)) = message.split_once(before) {
            let hint = match kept.rsplit('"').nth(1) {
                Some("ExportInterval") => one_of(ExportInterval::ALL.map(ExportInterval::name)),
                Some("ExportFormat") => one_of_the_formats(value),
                _ => String::new(),
            };
            return format!("{}{replacement}{hint}", without_long_names(kept, vocabulary));
        }
    }
    if NAMING_MESSAGES.iter().any(|start| message.starts_with(start)) {
        without_long_names(message, vocabulary)
    } else if message.starts_with("Unknown operation named ") {
        "The document has no operation with the name in operationName.".to_owned()
    } else {
        "The request doesn't match the schema.".to_owned()
    }
}

fn one_of(names: impl IntoIterator<Item = &'static str>) -> String {
    format!(" Choose one of {}.", names.into_iter().collect::<Vec<_>>().join(", "))
}

/// Names the formats, and the one that the refused value is nearest to.
fn one_of_the_formats(value: &str) -> String {
    let near = ExportFormat::near(value).map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
    one_of(ExportFormat::ALL.iter().map(|format| format.name())) + &near
}

fn without_long_names(message: &str, vocabulary: &dyn Fn() -> &'static HashSet<String>) -> String {
    // The signs are those of a secret access key: a name in the variables may have any character.
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
