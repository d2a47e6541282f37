//! A reply of the stub, before it is HTTP.

use bytes::Bytes;
use serde_json::Value;

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub entity_tag: Option<String>,
    pub body: Vec<Bytes>,
}

impl Reply {
    pub fn json(body: &Value) -> Self {
        Self::pieces(vec![body.to_string().into()])
    }

    /// A reply of JSON in pieces.
    pub fn pieces(body: Vec<Bytes>) -> Self {
        Self { status: 200, content_type: "application/x-amz-json-1.0", entity_tag: None, body }
    }

    /// A part of an object.
    pub fn part(body: Bytes) -> Self {
        Self { status: 206, content_type: "application/octet-stream", entity_tag: None, body: vec![body] }
    }

    pub fn xml(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: "application/xml", entity_tag: None, body: vec![body.into()] }
    }

    pub fn xml_error(status: u16, code: &str) -> Self {
        Self::xml(status, format!("<Error><Code>{code}</Code><Message>Refused by the stub.</Message></Error>"))
    }

    /// The reply to a request for which nothing is prepared. The stub reports it at the end of a measurement.
    pub fn unprepared() -> Self {
        Self::xml_error(501, "NotImplemented")
    }

    pub fn is_unprepared(&self) -> bool {
        self.status == 501
    }

    pub fn length(&self) -> u64 {
        self.body.iter().map(|piece| piece.len() as u64).sum()
    }
}
