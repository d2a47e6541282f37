//! HTTP errors. All have the shape of GraphQL errors: `{"errors":[{"message":"…","extensions":{"code":"…"}}]}`.

use domain::error_code::ErrorCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

/// The challenge of a request without a token. RFC 6750 section 3 requires a parameter.
const CHALLENGE: &str = r#"Bearer realm="audit-export""#;

/// An error response: status, stable code, message for people, and further fields of `extensions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    extensions: Map<String, Value>,
    /// The parameters of the challenge.
    challenge: Option<Box<str>>,
}

impl ErrorBody {
    /// Creates an error. `message` says what to do and is not stable.
    #[must_use]
    pub fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), extensions: Map::new(), challenge: None }
    }

    /// Adds a field to `extensions`, such as the index of an invalid event. `code` can't be replaced.
    #[must_use]
    pub fn with_extension(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the challenge of a 401 or 403 to `Bearer` with these parameters (RFC 6750 section 3).
    #[must_use]
    pub fn with_challenge(mut self, parameters: &str) -> Self {
        self.challenge = Some(parameters.into());
        self
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns the message for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the body as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut extensions = self.extensions.clone();
        extensions.insert("code".to_owned(), Value::from(self.code.name()));
        json!({ "errors": [{ "message": self.message, "extensions": extensions }] })
    }

    /// Returns the response, for any body type that can be created from a string (`lambda_http::Body`, `String`).
    ///
    /// A 401 has the challenge that RFC 9110 section 15.5.2 requires, with the parameters of
    /// [`with_challenge`](Self::with_challenge).
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.to_json().to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED || self.challenge.is_some() {
            let parameters = self.challenge.map(|parameters| format!(", {parameters}")).unwrap_or_default();
            let challenge = HeaderValue::try_from(format!("{CHALLENGE}{parameters}"));
            headers.insert(WWW_AUTHENTICATE, challenge.unwrap_or(HeaderValue::from_static(CHALLENGE)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_shape_of_graphql() {
        let error = ErrorBody::new(StatusCode::BAD_REQUEST, ErrorCode::EventIdMissing, "Event 3 has no `id`.")
            .with_extension("eventIndex", 3)
            .with_extension("code", "SOMETHING_ELSE");
        let response: Response<String> = error.into_response();

        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
        let body: Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(
            body,
            json!({"errors": [{
                "message": "Event 3 has no `id`.",
                "extensions": {"code": "EVENT_ID_MISSING", "eventIndex": 3}
            }]})
        );
    }

    #[test]
    fn a_401_carries_a_challenge() {
        let error = ErrorBody::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthenticated, "No.");
        let response: Response<String> = error.clone().into_response();
        assert_eq!(response.headers()[WWW_AUTHENTICATE], CHALLENGE);
        let response: Response<String> = error.with_challenge(r#"error="invalid_token""#).into_response();
        assert_eq!(response.headers()[WWW_AUTHENTICATE], r#"Bearer realm="audit-export", error="invalid_token""#);
    }
}
