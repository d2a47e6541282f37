//! The list of all codes that callers may rely on: the meaning, the remedy and the places of each.
//!
//! The codes of fields and of connections are defined by their own types, and are part of the list. Those of the verification
//! of an export are `verification::BreakCode`, because a verification needs nothing of the service.

use std::fmt;

use strum::{IntoStaticStr, VariantArray};

use crate::{
    configuration::field_error::FieldErrorCode, connection::ConnectionErrorCode, explanation::Explanation,
    webhook::failure::WebhookFailureCode,
};

/// A place where codes appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
pub enum Place {
    #[strum(serialize = "GraphQL")]
    GraphQl,
    #[strum(serialize = "HTTP")]
    Http,
    Ingest,
    Queue,
    Field,
    Connection,
    Webhook,
    Replay,
}

impl Place {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns a sentence that describes the place.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::GraphQl => "`errors[].extensions.code` of responses of `POST /api/audit/graphql` with status 200.",
            Self::Http => "`errors[].extensions.code` of responses with a status other than 2xx, whatever the path.",
            Self::Ingest => {
                "`errors[].extensions.code` of events that `POST /api/audit/events` refused; `details[].reason` of requests to \
                 `POST /v1/logs` that were refused, and the first word of `partialSuccess.errorMessage`."
            }
            Self::Queue => {
                "`code` in the log of the ingest function, for messages of the queues of events that were refused or delayed. \
                 The sender gets no response."
            }
            Self::Field => {
                "`extensions.fields[].code` of a GraphQL error `INVALID_INPUT`, for each input field that has to change."
            }
            Self::Connection => {
                "Failures on the customer's side that a connection test or an export found: `connectionError.code` of an \
                 export configuration, `connectionChecks[].code`, and `extensions.connectionError.code` of a GraphQL error \
                 `NEW_ACCESS_KEY_REFUSED` or `NEW_CONNECTION_REFUSED`."
            }
            Self::Webhook => {
                "Failures of a receiver of notices: `error.code` of a result of `testExportNotifications`."
            }
            Self::Replay => "Failures that ended a replay: `error.code` of an export replay.",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Defines the codes as a table: a row holds the name, the places, the meaning and the remedy of a code, which
/// separate `match`es over 50 variants would scatter.
macro_rules! error_codes {
    ($($variant:ident = $name:literal, $places:expr, $meaning:literal, $remedy:literal;)+) => {
        /// A code that the service responds with or logs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($variant,)+
            Field(FieldErrorCode),
            Connection(ConnectionErrorCode),
            Webhook(WebhookFailureCode),
        }

        /// The codes that no other type defines.
        const OWN: &[ErrorCode] = &[$(ErrorCode::$variant,)+];

        impl ErrorCode {
            /// Returns the stable name that callers may rely on.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Field(code) => code.name(),
                    Self::Connection(code) => code.name(),
                    Self::Webhook(code) => code.name(),
                }
            }

            #[must_use]
            pub fn explanation(self) -> Explanation {
                match self {
                    $(Self::$variant => Explanation { meaning: $meaning, remedy: $remedy },)+
                    Self::Field(code) => code.explanation(),
                    Self::Connection(code) => code.explanation(),
                    Self::Webhook(code) => code.explanation(),
                }
            }

            /// Returns the places where the code appears; at least one.
            #[must_use]
            pub fn places(self) -> &'static [Place] {
                match self {
                    $(Self::$variant => &$places,)+
                    // Ingest has the same rule for its HTTP header.
                    Self::Field(FieldErrorCode::IdempotencyKeyInvalid) => &[Place::Field, Place::Ingest],
                    Self::Field(_) => &[Place::Field],
                    Self::Webhook(_) => &[Place::Webhook],
                    // A replay ends with the failure of its connection.
                    Self::Connection(_) => &[Place::Connection, Place::Replay],
                }
            }
        }
    };
}

use Place::{GraphQl, Http, Ingest, Queue, Replay};

error_codes! {
    GraphQlParseFailed = "GRAPHQL_PARSE_FAILED", [GraphQl],
        "The document is not valid GraphQL.",
        "Correct the document at the position in locations[].";
    GraphQlValidationFailed = "GRAPHQL_VALIDATION_FAILED", [GraphQl],
        "The document or its variables do not match the schema, or exceed a limit on size, depth or number.",
        "Compare the document with schema.graphql. The message names the field or the limit.";
    TooManyVerifications = "TOO_MANY_VERIFICATIONS", [GraphQl],
        "One request has more than one mutation that tests a connection.",
        "Send each of these mutations in its own request.";
    InvalidInput = "INVALID_INPUT", [GraphQl],
        "One or more input fields are not valid. Nothing was changed.",
        "Correct each field in extensions.fields, which has a code and a message for it.";
    NotFound = "NOT_FOUND", [GraphQl, Http],
        "GraphQL: the tenant has no export configuration, job or replay with this ID. HTTP: the path does not exist for this method.",
        "GraphQL: look the ID up with getAllExportConfigurations. HTTP: check the URL and the method.";
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED", [GraphQl, Ingest],
        "The idempotency key was used within the last 24 hours for another request, or for a configuration that was deleted.",
        "Use a new key for each new request. Repeat a key only with the same content.";
    LimitExceeded = "LIMIT_EXCEEDED", [GraphQl],
        "The tenant has reached the maximum number of export configurations.",
        "Delete a configuration that is not needed, or update it instead.";
    ConfigurationDisabled = "CONFIGURATION_DISABLED", [GraphQl],
        "The export configuration is disabled and can't be run.",
        "Enable the configuration first.";
    RepairInProgress = "REPAIR_IN_PROGRESS", [GraphQl],
        "A repair of this export configuration has not ended yet. Nothing was queued.",
        "Wait until getExportRepair returns a status other than PENDING and RUNNING, then request the repair again. One without \
         progress for 5 hours may be replaced.";
    Conflict = "CONFLICT", [GraphQl],
        "The configuration has changed since the version that the update names. Nothing was changed by this update.",
        "Read the configuration again, and send the update with extensions.currentVersion as its version.";
    NewAccessKeyRefused = "NEW_ACCESS_KEY_REFUSED", [GraphQl],
        "The connection test with the new access key failed. The old access key was kept and nothing was changed.",
        "Follow the message of extensions.connectionError, and send the update again.";
    NewConnectionRefused = "NEW_CONNECTION_REFUSED", [GraphQl],
        "The connection test with another role, bucket, path, Region, KMS key or bucket owner failed. The working connection \
         was kept and nothing was changed.",
        "Follow the message of extensions.connectionError, and send the update again. With `force`, the update is stored \
         even if the test fails.";
    CursorInvalid = "CURSOR_INVALID", [GraphQl],
        "The cursor was not returned by this list.",
        "Send an endCursor of the same list unchanged, or start without `after`.";
    TooManyTests = "TOO_MANY_TESTS", [GraphQl],
        "The tenant has reached the limit of connection tests within 20 seconds. Nothing was changed or tested.",
        "Try again after extensions.retryAfterSeconds.";
    TooManyRuns = "TOO_MANY_RUNS", [GraphQl],
        "The tenant has reached the limit of requested runs per minute, or per hour for this export configuration. Nothing was \
         queued.",
        "Try again after extensions.retryAfterSeconds, or wait for the next scheduled export.";
    TooManyCounts = "TOO_MANY_COUNTS", [GraphQl],
        "The tenant has reached the limit of backlog counts per minute, and none of the counts includes this export \
         configuration.",
        "Try again after extensions.retryAfterSeconds, and request the backlogs of all configurations at once.";
    TooManyChanges = "TOO_MANY_CHANGES", [GraphQl],
        "The person or the tenant has reached the limit of changes per hour that send notices, such as disabling or deleting \
         an export configuration, or that create one with webhooks. Nothing was changed.",
        "Try again after extensions.retryAfterSeconds. Enabling an export configuration is never refused. Where the person's \
         own limit is reached, another one can still make the change.";
    ReplayInProgress = "REPLAY_IN_PROGRESS", [GraphQl],
        "Another replay of the export configuration has not ended. Nothing was requested.",
        "Wait until it has ended (exportReplays lists it), or cancel it with cancelExportReplay.";
    ReplayTimedOut = "REPLAY_TIMED_OUT", [Replay],
        "The replay did not end within 7 days of its request. What it exported stays in the bucket, with its digests.",
        "Request the rest, from exportedThrough on, as another replay under another path.";
    TryAgain = "TRY_AGAIN", [GraphQl, Ingest, Queue],
        "The service is busy or did not finish in time. The request may have taken effect.",
        "Check whether the request took effect, then repeat it; repeat events with the same Idempotency-Key. The queue \
         delivers a message again by itself.";
    Internal = "INTERNAL", [GraphQl, Http, Ingest, Queue],
        "The service failed for a reason that the caller did not cause.",
        "Repeat the request later. If it fails again, report the time and extensions.requestId, if there is one, to the \
         operator of the service.";

    Unauthenticated = "UNAUTHENTICATED", [Http],
        "The request has no valid bearer token: it is missing, has a wrong signature, is of another issuer, or has the fault \
         of extensions.reason: EXPIRED, NOT_YET_VALID, WRONG_AUDIENCE, NOT_AN_ACCESS_TOKEN, BOUND_TO_A_KEY, NO_TENANT or \
         INVALID_CLAIM.",
        "Get a new token, and send it in one header `Authorization: Bearer <token>`. The message says what to change.";
    Forbidden = "FORBIDDEN", [Http],
        "The token is valid but lacks the permission: AUDIT for GraphQL, AUDIT_WRITE for sending events, or what the operator \
         calls them.",
        "Request the permission of extensions.requiredPermission from the issuer of your tokens.";
    KeysUnavailable = "KEYS_UNAVAILABLE", [Http],
        "The token issuer's keys are not available at the moment, so no token can be checked.",
        "Try again later. Operators: check TokenIssuer or TokenJwksUrl, and the issuer.";
    UpgradeRequired = "UPGRADE_REQUIRED", [Http],
        "The command line is older than this service accepts, or its Audit-Export-Version header is not a version.",
        "Install audit-export in the version of extensions.minimumVersion or later.";
    MethodNotAllowed = "METHOD_NOT_ALLOWED", [Http],
        "The path accepts POST only.",
        "Send a POST request.";
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", [Http],
        "The GraphQL request is not JSON. Forms and uploads are not supported.",
        "Send one header `Content-Type: application/json`, and the body in UTF-8.";
    BadRequest = "BAD_REQUEST", [Http],
        "The body is not a GraphQL request, or is a batch of them, or API Gateway could not read the request.",
        "Send one JSON object with the string `query`, and optionally `variables` and `operationName`.";
    PayloadTooLarge = "PAYLOAD_TOO_LARGE", [Http],
        "The body is larger than the path accepts.",
        "Send less in one request.";
    TooManyRequests = "TOO_MANY_REQUESTS", [Http, Ingest],
        "API Gateway has reached its limit of requests, or the tenant has reached its limit of bytes per minute.",
        "Try again after the time in the Retry-After header, or later if there is none, and at a lower rate.";
    Timeout = "TIMEOUT", [Http],
        "The response took too long. The request may still take effect.",
        "Check whether the request took effect, then repeat it; repeat events with the same Idempotency-Key.";

    ContentTypeUnsupported = "CONTENT_TYPE_UNSUPPORTED", [Ingest],
        "The Content-Type header does not name a supported format of events.",
        "Send one header with application/json (an array) or application/x-ndjson (one event per line), in UTF-8; to \
         /v1/logs, application/x-protobuf or application/json.";
    ContentEncodingUnsupported = "CONTENT_ENCODING_UNSUPPORTED", [Ingest],
        "The Content-Encoding header names another compression than gzip, or several.",
        "Compress the body with gzip, or send it uncompressed. Exporters and collectors of OpenTelemetry: set compression to gzip \
         or none.";
    GzipInvalid = "GZIP_INVALID", [Ingest],
        "The body begins like gzip but is damaged or incomplete.",
        "Compress the body again, and send all of it.";
    OtlpInvalid = "OTLP_INVALID", [Ingest],
        "The body of a request to /v1/logs is not an ExportLogsServiceRequest of OTLP in the encoding of its Content-Type, or \
         nests values too deeply.",
        "Send what an OTLP/HTTP exporter of OpenTelemetry sends, with the matching Content-Type.";
    BodyEmpty = "BODY_EMPTY", [Ingest, Queue],
        "The body contains no event.",
        "Send at least one event.";
    BodyTooLarge = "BODY_TOO_LARGE", [Ingest, Queue],
        "The body is larger than 3.5 MiB after decompression, or its events are too large even after compression.",
        "Send the events in several smaller requests.";
    BodyNotAnArray = "BODY_NOT_AN_ARRAY", [Ingest, Queue],
        "The body of an application/json request is not a JSON array.",
        "Wrap the events in [ and ], or send one event per line as application/x-ndjson.";
    JsonInvalid = "JSON_INVALID", [Ingest, Queue],
        "The body is not valid JSON in UTF-8.",
        "Correct the position that the message names. extensions.eventIndex and extensions.line locate the event.";
    TooManyEvents = "TOO_MANY_EVENTS", [Ingest, Queue],
        "The body contains more than 10,000 events; of an OTLP request, log records, resources or scopes.",
        "Send the events in several smaller requests.";
    EventNotAnObject = "EVENT_NOT_AN_OBJECT", [Ingest, Queue],
        "An event is not a JSON object.",
        "Send every event as an object; in NDJSON, each on its own line.";
    EventIdMissing = "EVENT_ID_MISSING", [Ingest, Queue],
        "An event has no field id.",
        "Add a unique ID, for example a UUID.";
    EventIdInvalid = "EVENT_ID_INVALID", [Ingest, Queue],
        "The ID of an event is not a string, is empty or is too long.",
        "Use a string of 1 to 256 bytes, for example a UUID.";
    EventTimestampMissing = "EVENT_TIMESTAMP_MISSING", [Ingest, Queue],
        "An event has no field eventTimestamp.",
        "Add the time of the event, for example 2026-01-31T23:59:59.123Z.";
    EventTimestampInvalid = "EVENT_TIMESTAMP_INVALID", [Ingest, Queue],
        "The eventTimestamp of an event is not a time that every reader of an export can read: a string as in RFC 3339, in \
         the years 1970 to 9999 of UTC, with at most 9 decimals, an offset of at most 14:00, and no second 60.",
        "Write it as a string, for example 2026-01-31T23:59:59.123Z. Numbers of seconds or milliseconds are not accepted.";
    EventTooLarge = "EVENT_TOO_LARGE", [Ingest, Queue],
        "An event is larger than 256 KiB.",
        "Shorten the event, or split it into several events.";
    EventNestedTooDeeply = "EVENT_NESTED_TOO_DEEPLY", [Ingest, Queue],
        "An event nests objects and arrays deeper than 128 levels.",
        "Flatten the event.";
    EventFieldDuplicated = "EVENT_FIELD_DUPLICATED", [Ingest, Queue],
        "An event has a field twice: id, eventTimestamp, tenantId, receivedTimestamp or another one, in the event itself or in \
         an object within it. Names are compared after unescaping; names that differ in case are different.",
        "Send each field once. extensions.field names the field.";
    EventTextInvalid = "EVENT_TEXT_INVALID", [Ingest, Queue],
        "A string or a field name of an event contains half of a surrogate pair, such as \\ud800 alone, which is not a \
         character.",
        "Send both halves, or \\ufffd instead. A program that cuts strings has to cut between characters.";
    WriteTooSlow = "WRITE_TOO_SLOW", [Ingest, Queue],
        "Storing the events took too long. They may have been stored.",
        "Send the events again, with the same Idempotency-Key if they had one. The queue delivers a message again by itself.";
    TenantMissing = "TENANT_MISSING", [Queue],
        "A message names no tenant: it has no attribute tenantId of type String, or, from EventBridge, no text at the path of \
         EventRuleTenantPath.",
        "Name the tenant in every message. After all retries, the message goes to the dead-letter queue.";
    TenantInvalid = "TENANT_INVALID", [Queue],
        "What a message names as its tenant is not a valid tenant ID.",
        "Send the ID that tokens of the tenant have. After all retries, the message goes to the dead-letter queue.";
    EnvelopeInvalid = "ENVELOPE_INVALID", [Queue],
        "A message of the queue for topics is no notification of SNS, such as one that was delivered raw and without attributes \
         although EventTopicDelivery is Enveloped, or one of the queue for rules is no event of EventBridge.",
        "Subscribe the queue for topics to SNS topics alone, with RawMessageDelivery as EventTopicDelivery says, and make the \
         other one the target of EventBridge rules alone, without an input transformer.";
    TopicDeliveryMismatch = "TOPIC_DELIVERY_MISMATCH", [Queue],
        "A message of the queue for topics was delivered raw, with attributes, although EventTopicDelivery is Enveloped, or in an \
         envelope although it is Raw.",
        "Set RawMessageDelivery of the topic's subscription to false for Enveloped and to true for Raw, or change \
         EventTopicDelivery if all subscriptions of the queue deliver the other way. Then redrive the dead letters that match.";
    OutOfTime = "OUT_OF_TIME", [Queue],
        "The invocation had too little time left for the messages. The queue delivers them again.",
        "No action is needed. If it happens often, send smaller messages.";
}

impl ErrorCode {
    /// Returns every code, each once.
    pub fn all() -> impl Iterator<Item = Self> {
        let fields = FieldErrorCode::ALL.iter().copied().map(Self::Field);
        let connections = ConnectionErrorCode::ALL.iter().copied().map(Self::Connection);
        let webhooks = WebhookFailureCode::ALL.iter().copied().map(Self::Webhook);
        OWN.iter().copied().chain(fields).chain(connections).chain(webhooks)
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
    use crate::{
        configuration::{MAX_LAKE_PATH_LENGTH, bucket::MAX_BUCKET_PATH_LENGTH},
        event::{MAX_BODY_LENGTH, MAX_EVENT_ID_LENGTH, MAX_EVENT_LENGTH, MAX_EVENTS_PER_BODY, MAX_NESTING_DEPTH},
        event_filter::{MAX_FILTER_VALUE_LENGTH, MAX_FILTER_VALUES},
        interval::ExportInterval,
        ocsf::{MAX_RULE_NAME_LENGTH, MAX_RULES},
        webhook::{MAX_WEBHOOKS, url::MAX_WEBHOOK_URL_LENGTH},
    };

    #[test]
    fn every_code_has_one_name_in_one_spelling() {
        let names: BTreeSet<&str> = ErrorCode::all().map(ErrorCode::name).collect();
        assert_eq!(names.len(), ErrorCode::all().count(), "two codes share a name");
        for name in names {
            assert!(name.split('_').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase())));
        }
    }

    #[test]
    fn explanations_state_the_limits() {
        let thousands = |number: usize| format!("{},{:03}", number / 1_000, number % 1_000);
        let mebibytes = |bytes: usize| format!("{}.{} MiB", bytes >> 20, (bytes % (1 << 20) * 10) >> 20);
        for (code, limit) in [
            (ErrorCode::EventIdInvalid, format!(" 1 to {MAX_EVENT_ID_LENGTH} bytes")),
            (ErrorCode::EventTooLarge, format!(" {} KiB", MAX_EVENT_LENGTH / 1_024)),
            (ErrorCode::TooManyEvents, format!(" {} events", thousands(MAX_EVENTS_PER_BODY))),
            (ErrorCode::EventNestedTooDeeply, format!(" {MAX_NESTING_DEPTH} levels")),
            (ErrorCode::BodyTooLarge, format!(" {} after", mebibytes(MAX_BODY_LENGTH))),
            (ErrorCode::Field(FieldErrorCode::BucketPathInvalid), format!(" {MAX_BUCKET_PATH_LENGTH} characters")),
            (ErrorCode::Field(FieldErrorCode::BucketPathInvalid), format!(" {MAX_LAKE_PATH_LENGTH} with")),
            (
                ErrorCode::Field(FieldErrorCode::WebhookUrlInvalid),
                format!(" {} characters", thousands(MAX_WEBHOOK_URL_LENGTH)),
            ),
            (ErrorCode::Field(FieldErrorCode::WebhooksTooMany), format!(" {MAX_WEBHOOKS} webhooks")),
            (ErrorCode::Field(FieldErrorCode::FilterValueInvalid), format!(" 1 to {MAX_FILTER_VALUE_LENGTH} bytes")),
            (ErrorCode::Field(FieldErrorCode::FilterTooManyValues), format!(" {MAX_FILTER_VALUES} values")),
            (ErrorCode::Field(FieldErrorCode::OcsfClassInvalid), format!(" 1 to {MAX_RULE_NAME_LENGTH} printable")),
            (ErrorCode::Field(FieldErrorCode::OcsfClassesTooMany), format!(" {MAX_RULES} rules")),
        ] {
            let Explanation { meaning, remedy } = code.explanation();
            assert!(meaning.contains(&limit) || remedy.contains(&limit), "{code}: {limit}");
        }
        let remedy = ErrorCode::Field(FieldErrorCode::IntervalInvalid).explanation().remedy;
        assert!(ExportInterval::ALL.iter().all(|interval| remedy.contains(interval.name())), "{remedy}");
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
            assert!(ErrorCode::all().any(|code| code.places().contains(place)), "{place}");
        }
    }
}
