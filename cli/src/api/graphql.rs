//! Asking the service by GraphQL.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, StatusCode, Url, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{
    GRAPHQL_PATH, client,
    diagnosis::{self, ServiceError},
    endpoint, read_text,
};
use crate::{access::Access, failure::Failure, text::printable_json};

/// API Gateway gives up after 29 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);

/// A document with one operation that asks for one field.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Says in a failure what was asked for: "the service refused …".
    pub what: &'static str,
    /// The field of `data` that has the answer.
    pub field: &'static str,
    pub document: &'static str,
}

/// What the API answered in the field that an operation asks for.
#[derive(Debug)]
pub struct Answer(Box<RawValue>);

impl Answer {
    /// The answer as it came, on one line, with nothing in it that steers a terminal.
    #[must_use]
    pub fn json(&self) -> String {
        printable_json(self.0.get())
    }

    /// # Errors
    /// It has another shape than the API documents.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(self.0.get()).map_err(|error| Failure::NoAnswer(diagnosis::unexpected_shape(&error)))
    }

    #[cfg(test)]
    pub fn of(json: &str) -> Self {
        Self(RawValue::from_string(json.to_owned()).unwrap_or_default())
    }
}

#[derive(Serialize)]
struct Request<'a, V> {
    query: &'a str,
    variables: &'a V,
}

#[derive(Deserialize)]
struct GraphQlAnswer {
    #[serde(default)]
    data: Option<std::collections::HashMap<String, Box<RawValue>>>,
    #[serde(default)]
    errors: Vec<ServiceError>,
}

/// Asks the service by GraphQL. One attempt: a person waits for it.
pub struct GraphQl {
    client: Client,
    url: Url,
}

impl GraphQl {
    /// # Errors
    /// Those of [`client`] and [`endpoint`].
    pub fn new(access: &Access) -> Result<Self, Failure> {
        Ok(Self { client: client(access, REQUEST_TIMEOUT)?, url: endpoint(&access.url, GRAPHQL_PATH)? })
    }

    /// # Errors
    /// The service refused, could not be reached, or something else answered.
    pub async fn ask(&self, operation: &Operation, variables: &impl Serialize) -> Result<Answer, Failure> {
        // Variables may hold a secret: our copy of them is wiped.
        let body = serde_json::to_vec(&Request { query: operation.document, variables })
            .map(Zeroizing::new)
            .map_err(|error| Failure::StandardOutput(error.into()))?;
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let answer = request.body(Bytes::from_owner(body)).send().await.map_err(|error| self.no_answer(error))?;
        let (status, location) = (answer.status(), diagnosis::location(&answer));
        let text = read_text(answer).await.map_err(|error| self.no_answer(error))?;
        let someone_else = || Failure::NoAnswer(diagnosis::of_answer(status, location.as_deref(), &text));
        let Ok(GraphQlAnswer { data, errors }) = serde_json::from_str(&text) else {
            return Err(someone_else());
        };
        if !errors.is_empty() {
            return Err(diagnosis::refusal(operation.what, status, &errors));
        }
        if status != StatusCode::OK {
            return Err(someone_else());
        }
        data.and_then(|mut data| data.remove(operation.field)).map(Answer).ok_or_else(someone_else)
    }

    fn no_answer(&self, error: reqwest::Error) -> Failure {
        Failure::NoAnswer(diagnosis::of_error(error, &self.url))
    }
}
