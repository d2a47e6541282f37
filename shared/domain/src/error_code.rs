//! The one list of the codes that callers may rely on: what each means, what to do, and where it appears.
//!
//! Codes of fields and of connections are their own types'; they are part of the list as they are. Those of the verification
//! of an export are `verification::BreakCode`, since a verifier needs nothing of the service.

use std::fmt;

use crate::{configuration::field_error::FieldErrorCode, connection::ConnectionErrorCode};

/// What a code says, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// One sentence on what happened.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Where a code appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    GraphQl,
    Http,
    Ingest,
    Queue,
    Field,
    Connection,
}

impl Place {
    pub const ALL: [Self; 6] = [Self::GraphQl, Self::Http, Self::Ingest, Self::Queue, Self::Field, Self::Connection];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GraphQl => "GraphQL",
            Self::Http => "HTTP",
            Self::Ingest => "Ingest",
            Self::Queue => "Queue",
            Self::Field => "Field",
            Self::Connection => "Connection",
        }
    }

    /// Where exactly, as a sentence.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::GraphQl => "An answer of `POST /api/audit/graphql` with status 200: `errors[].extensions.code`.",
            Self::Http => "An answer with another status than 2xx, whatever the path: `errors[].extensions.code`.",
            Self::Ingest => "A refusal by `POST /api/audit/events`: `errors[].extensions.code`.",
            Self::Queue => {
                "The ingest function's log, in `code` of the lines that tell of messages of the events queue that were \
                 refused or put off: no answer goes to whoever sent them."
            }
            Self::Field => {
                "One input field that has to change: `extensions.fields[].code` of a GraphQL error `INVALID_INPUT`."
            }
            Self::Connection => {
                "What a connection test or an export found at the customer's side: `connectionError.code` of an export \
                 configuration, `connectionChecks[].code`, and `extensions.connectionError.code` of a GraphQL error \
                 `NEW_ACCESS_KEY_REFUSED` or `NEW_CONNECTION_REFUSED`."
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

macro_rules! error_codes {
    ($($variant:ident = $name:literal, $places:expr, $meaning:literal, $remedy:literal;)+) => {
        /// A code that the service answers with or logs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($variant,)+
            Field(FieldErrorCode),
            Connection(ConnectionErrorCode),
        }

        /// Those that are of no other type.
        const OWN: &[ErrorCode] = &[$(ErrorCode::$variant,)+];

        impl ErrorCode {
            /// The stable name that callers may rely on.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Field(code) => code.name(),
                    Self::Connection(code) => code.name(),
                }
            }

            #[must_use]
            pub fn explanation(self) -> Explanation {
                match self {
                    $(Self::$variant => Explanation { meaning: $meaning, remedy: $remedy },)+
                    Self::Field(code) => code.explanation(),
                    Self::Connection(code) => code.explanation(),
                }
            }

            /// Wherever the code appears; at least one place.
            #[must_use]
            pub fn places(self) -> &'static [Place] {
                match self {
                    $(Self::$variant => &$places,)+
                    // The same rule in another place: of a header of HTTP.
                    Self::Field(FieldErrorCode::IdempotencyKeyInvalid) => &[Place::Field, Place::Ingest],
                    Self::Field(_) => &[Place::Field],
                    Self::Connection(_) => &[Place::Connection],
                }
            }
        }
    };
}

use Place::{GraphQl, Http, Ingest, Queue};

error_codes! {
    GraphQlParseFailed = "GRAPHQL_PARSE_FAILED", [GraphQl],
        "The document is not valid GraphQL.",
        "Correct the document; locations[] says where it goes wrong.";
    GraphQlValidationFailed = "GRAPHQL_VALIDATION_FAILED", [GraphQl],
        "The document or its variables don't fit the schema, or exceed a bound on size, depth or number.",
        "Compare with schema.graphql; the message names the field or the bound.";
    TooManyVerifications = "TOO_MANY_VERIFICATIONS", [GraphQl],
        "One request has more than one mutation that tests a connection.",
        "Send such mutations one by one.";
    InvalidInput = "INVALID_INPUT", [GraphQl],
        "One or more fields of the input are not valid; nothing was changed.",
        "Correct each field of extensions.fields, which has a code and a message of its own.";
    NotFound = "NOT_FOUND", [GraphQl, Http],
        "GraphQL: the tenant has no such export configuration or job. HTTP: there is nothing at this path for this method.",
        "Look the id up in getAllExportConfigurations; over HTTP, check URL and method.";
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED", [GraphQl, Ingest],
        "The idempotency key was used within the last 24 hours for something else, or for a configuration that was deleted.",
        "Make a new key for each new request; repeat a key only with the same content.";
    LimitExceeded = "LIMIT_EXCEEDED", [GraphQl],
        "The tenant has as many export configurations as are possible.",
        "Delete one that is not needed, or update it instead.";
    ConfigurationDisabled = "CONFIGURATION_DISABLED", [GraphQl],
        "A disabled export configuration can't be run.",
        "Enable it first.";
    Conflict = "CONFLICT", [GraphQl],
        "The configuration was changed by somebody else since the version that the update was made for; nothing was changed.",
        "Read the configuration again, and send the update with extensions.currentVersion as its version.";
    NewAccessKeyRefused = "NEW_ACCESS_KEY_REFUSED", [GraphQl],
        "The connection test with the new access key failed, so the old one was kept and nothing was changed.",
        "Do what extensions.connectionError says, which has a code of its own, and send the update again.";
    NewConnectionRefused = "NEW_CONNECTION_REFUSED", [GraphQl],
        "The connection test with another role, bucket, path, region, KMS key or bucket owner failed, so the connection that \
         works was kept and nothing was changed.",
        "Do what extensions.connectionError says, which has a code of its own, and send the update again; with `force`, it is \
         stored although the test fails.";
    CursorInvalid = "CURSOR_INVALID", [GraphQl],
        "The cursor is none that this list answered.",
        "Send an endCursor of the same list unchanged, or begin without `after`.";
    TooManyTests = "TOO_MANY_TESTS", [GraphQl],
        "The tenant has tested as many connections within this minute as are possible; nothing was changed or tested.",
        "Try again after extensions.retryAfterSeconds.";
    TooManyRuns = "TOO_MANY_RUNS", [GraphQl],
        "The tenant has requested as many runs within this minute, or of this export configuration within this hour, as are \
         possible; nothing was queued.",
        "Try again after extensions.retryAfterSeconds, or wait for the next scheduled export.";
    TooManyCounts = "TOO_MANY_COUNTS", [GraphQl],
        "The tenant's backlog was counted as often within this minute as is possible, and none of the counts includes this \
         export configuration.",
        "Try again after extensions.retryAfterSeconds, and ask for the backlogs of all configurations at once.";
    TryAgain = "TRY_AGAIN", [GraphQl, Ingest, Queue],
        "The service is busy, or took too long; the request may have taken effect.",
        "Look at what is there first, then repeat the request, events with the same Idempotency-Key. A message comes back \
         by itself.";
    Internal = "INTERNAL", [GraphQl, Http, Ingest, Queue],
        "The service failed in a way that is not the caller's doing.",
        "Repeat the request later; if it keeps failing, tell the service's operators the time and extensions.requestId, if \
         there is one.";

    Unauthenticated = "UNAUTHENTICATED", [Http],
        "There is no valid bearer token: it is missing, expired, wrongly signed, or of another issuer or audience.",
        "Get a new token, and send it as `Authorization: Bearer <token>`, once.";
    Forbidden = "FORBIDDEN", [Http],
        "The token is valid but lacks the permission: AUDIT for GraphQL, AUDIT_WRITE for sending events.",
        "Ask whoever issues tokens for the permission.";
    KeysUnavailable = "KEYS_UNAVAILABLE", [Http],
        "The token issuer's keys can't be had at the moment, so that no token can be verified.",
        "Try again later; operators check TokenJwksUrl and the issuer.";
    UpgradeRequired = "UPGRADE_REQUIRED", [Http],
        "The command line is older than this service accepts, or its Audit-Export-Version header is no version.",
        "Install audit-export of at least the version in extensions.minimumVersion.";
    MethodNotAllowed = "METHOD_NOT_ALLOWED", [Http],
        "The path takes POST only.",
        "Send a POST request.";
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", [Http],
        "A GraphQL request has to be JSON: neither forms nor uploads are taken.",
        "Send `Content-Type: application/json`, once, in UTF-8.";
    BadRequest = "BAD_REQUEST", [Http],
        "The body is no GraphQL request, or a batch of them, or API Gateway could not read the request.",
        "Send one JSON object with the text `query`, and optionally `variables` and `operationName`.";
    PayloadTooLarge = "PAYLOAD_TOO_LARGE", [Http],
        "The body is larger than the path takes.",
        "Send less at once.";
    TooManyRequests = "TOO_MANY_REQUESTS", [Http, Ingest],
        "API Gateway gets more requests than it may pass on; or the tenant has sent as many events within this minute as it may.",
        "Try again after the Retry-After header if there is one, else later, and more slowly.";
    Timeout = "TIMEOUT", [Http],
        "The answer took too long; the request may still take effect.",
        "Look at what is there first, then repeat the request, events with the same Idempotency-Key.";

    ContentTypeUnsupported = "CONTENT_TYPE_UNSUPPORTED", [Ingest],
        "The Content-Type header doesn't say how the events follow each other.",
        "Send application/json (an array) or application/x-ndjson (one event a line), once, in UTF-8.";
    GzipInvalid = "GZIP_INVALID", [Ingest],
        "The body begins like gzip but is broken or cut off.",
        "Compress the body again, and send all of it.";
    BodyEmpty = "BODY_EMPTY", [Ingest, Queue],
        "The body holds no event.",
        "Send at least one event.";
    BodyTooLarge = "BODY_TOO_LARGE", [Ingest, Queue],
        "The body is too large after decompression, or its events take too much room even after compression.",
        "Send the events in several smaller requests.";
    BodyNotAnArray = "BODY_NOT_AN_ARRAY", [Ingest, Queue],
        "The body of an application/json request is no JSON array.",
        "Wrap the events in [ and ], or send one event a line as application/x-ndjson.";
    JsonInvalid = "JSON_INVALID", [Ingest, Queue],
        "The body is no valid JSON in UTF-8.",
        "Correct it where the message says; extensions.eventIndex and extensions.line lead to the event.";
    TooManyEvents = "TOO_MANY_EVENTS", [Ingest, Queue],
        "The body holds more events than one request may.",
        "Send the events in several smaller requests.";
    EventNotAnObject = "EVENT_NOT_AN_OBJECT", [Ingest, Queue],
        "An event is no JSON object.",
        "Make every event an object; as NDJSON, put each on a line of its own.";
    EventIdMissing = "EVENT_ID_MISSING", [Ingest, Queue],
        "An event has no field id.",
        "Give it an id that names it uniquely, for example a UUID.";
    EventIdInvalid = "EVENT_ID_INVALID", [Ingest, Queue],
        "An event's id is no text, is empty or is too long.",
        "Give it a short text, for example a UUID.";
    EventTimestampMissing = "EVENT_TIMESTAMP_MISSING", [Ingest, Queue],
        "An event has no field eventTimestamp.",
        "Give it the time of the event, for example 2026-01-31T23:59:59.123Z.";
    EventTimestampInvalid = "EVENT_TIMESTAMP_INVALID", [Ingest, Queue],
        "An event's eventTimestamp is not a time that every reader of an export reads: text as in RFC 3339, in the years 1970 to 9999 of UTC, with at most 9 decimals, an offset of at most 14:00, and no second 60.",
        "Write it as text, for example 2026-01-31T23:59:59.123Z; a number of seconds or milliseconds is not accepted.";
    EventTooLarge = "EVENT_TOO_LARGE", [Ingest, Queue],
        "An event is larger than one event may be.",
        "Shorten it, or split it into several events.";
    EventNestedTooDeeply = "EVENT_NESTED_TOO_DEEPLY", [Ingest, Queue],
        "An event nests objects and arrays too deeply.",
        "Flatten it.";
    EventFieldDuplicated = "EVENT_FIELD_DUPLICATED", [Ingest, Queue],
        "An event has a field twice: id, eventTimestamp, tenantId, receivedTimestamp or another one, in the event itself or in an object within it. Names are compared after unescaping; names that differ in case are different.",
        "Send each field once; extensions.field names it.";
    EventTextInvalid = "EVENT_TEXT_INVALID", [Ingest, Queue],
        "A text or a field name of an event has half of a surrogate pair, such as \\ud800 alone, which stands for no character.",
        "Send both halves, or \\ufffd in its place; a program that cuts texts has to cut between characters.";
    WriteTooSlow = "WRITE_TOO_SLOW", [Ingest, Queue],
        "Storing the events took too long; some may be stored.",
        "Send them again, with the same Idempotency-Key if they had one. A message comes back by itself.";
    TenantMissing = "TENANT_MISSING", [Queue],
        "A message has no attribute tenantId of type String.",
        "Set the attribute on every message; the message goes to the dead-letter queue in the end.";
    TenantInvalid = "TENANT_INVALID", [Queue],
        "A message's attribute tenantId is no tenant's id.",
        "Send the id as tokens carry it; the message goes to the dead-letter queue in the end.";
    OutOfTime = "OUT_OF_TIME", [Queue],
        "The invocation was nearly over before the messages' turn came; they come back by themselves.",
        "Nothing; if it happens often, send smaller messages.";
}

impl ErrorCode {
    /// Every code, each once.
    pub fn all() -> impl Iterator<Item = Self> {
        let fields = FieldErrorCode::ALL.into_iter().map(Self::Field);
        let connections = ConnectionErrorCode::ALL.iter().copied().map(Self::Connection);
        OWN.iter().copied().chain(fields).chain(connections)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_one_name_in_one_spelling() {
        let names: BTreeSet<&str> = ErrorCode::all().map(ErrorCode::name).collect();
        assert_eq!(names.len(), ErrorCode::all().count(), "two codes share a name");
        for name in names {
            assert!(name.split('_').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase())));
        }
    }

    #[test]
    fn every_code_is_explained_and_appears_somewhere() {
        for code in ErrorCode::all() {
            let Explanation { meaning, remedy } = code.explanation();
            for sentence in [meaning, remedy] {
                assert!(
                    sentence.ends_with('.') && !sentence.contains("  ") && !sentence.contains('|'),
                    "{code}: {sentence}"
                );
            }
            assert!(!code.places().is_empty(), "{code}");
            assert_eq!(code.places().iter().collect::<std::collections::HashSet<_>>().len(), code.places().len());
        }
        for place in Place::ALL {
            assert!(ErrorCode::all().any(|code| code.places().contains(&place)), "{place}");
        }
    }
}
