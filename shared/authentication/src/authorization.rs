//! The `Authorization` header and the parts of the token in it. Nothing here is trusted yet.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, header::AUTHORIZATION};
use serde_json::{Map, Value};

use crate::{claim_path::ClaimPath, refusal::Refusal, unique_json::UniqueValue};

/// The longest accepted token, in bytes.
pub const MAX_TOKEN_LENGTH_BYTES: usize = 8 * 1024;

/// The values of `typ`, in small letters: of any token (RFC 7519 section 5.1) and of an access token (RFC 9068).
const ANY_TOKEN_TYPE: &str = "jwt";
const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// Members of a token's header that carry or reference a key, or require extensions that are not supported.
const REFUSED_HEADER_MEMBERS: [&str; 5] = ["jku", "jwk", "x5u", "x5c", "crit"];

/// Returns the only `Authorization` header of a request.
///
/// Several headers, or one that isn't visible ASCII, result in `Some("")`, which is always refused: a proxy may have
/// used another one of them.
#[must_use]
pub fn authorization_header(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next()?;
    match values.next() {
        None => Some(first.to_str().unwrap_or_default()),
        Some(_) => Some(""),
    }
}

/// The members of a JSON object without duplicate names at any depth.
#[derive(Debug)]
pub(crate) struct UniqueObject(Map<String, Value>);

impl UniqueObject {
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(crate) fn find(&self, path: &ClaimPath) -> Option<&Value> {
        path.find(&self.0)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Decodes a part of a token.
    fn decode(part: &str) -> Result<Self, Refusal> {
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)?;
        let value: UniqueValue = serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)?;
        value.into_object().map(Self).ok_or(Refusal::Malformed)
    }
}

/// A well-formed token whose signature has not been checked.
#[derive(Debug)]
pub(crate) struct UncheckedToken<'a> {
    /// The part that the signature covers: header and payload as they were sent.
    pub(crate) signed_part: &'a str,
    /// The signature, in base64url.
    pub(crate) signature: &'a str,
    pub(crate) algorithm: String,
    pub(crate) key_id: String,
    /// Whether the header says that it is an access token (RFC 9068 section 2.1).
    pub(crate) is_marked_access_token: bool,
    /// The payload. Only the issuer's name may be used before the signature is checked.
    pub(crate) claims: UniqueObject,
}

impl<'a> UncheckedToken<'a> {
    /// Parses `Bearer <token>` (RFC 6750 section 2.1): the scheme in any case, then one or more spaces, then three
    /// parts in base64url without padding (RFC 7515 section 7.1) and nothing after them.
    pub(crate) fn parse(authorization: Option<&'a str>) -> Result<Self, Refusal> {
        let header = authorization.ok_or(Refusal::NoToken)?;
        let (scheme, token) = header.split_once(' ').ok_or(Refusal::NoToken)?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(Refusal::NoToken);
        }
        let token = token.trim_start_matches(' ');
        if token.len() > MAX_TOKEN_LENGTH_BYTES {
            return Err(Refusal::TooLong);
        }

        let (signed_part, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, payload) = signed_part.split_once('.').ok_or(Refusal::Malformed)?;
        let is_base64url = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if ![header, payload, signature].into_iter().all(is_base64url) {
            return Err(Refusal::Malformed);
        }

        let header = UniqueObject::decode(header)?;
        if REFUSED_HEADER_MEMBERS.iter().any(|name| header.get(name).is_some()) {
            return Err(Refusal::RefusedHeader);
        }
        let is_marked_access_token = token_type(&header)?.is_some_and(|kind| kind == ACCESS_TOKEN_TYPE);
        let algorithm = header.text("alg").ok_or(Refusal::Algorithm)?;
        let key_id = header.text("kid").filter(|id| !id.is_empty()).ok_or(Refusal::NoKeyId)?;
        Ok(Self {
            signed_part,
            signature,
            algorithm: algorithm.to_owned(),
            key_id: key_id.to_owned(),
            is_marked_access_token,
            claims: UniqueObject::decode(payload)?,
        })
    }
}

/// Returns `typ` in small letters if there is one. It has to be `JWT` or that of an access token: an issuer may sign
/// other things with the same keys, such as logout tokens (RFC 8725 section 3.11).
fn token_type(header: &UniqueObject) -> Result<Option<String>, Refusal> {
    let Some(kind) = header.get("typ") else { return Ok(None) };
    let kind = kind.as_str().ok_or(Refusal::Type)?.to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    if [ANY_TOKEN_TYPE, ACCESS_TOKEN_TYPE].contains(&kind) { Ok(Some(kind.to_owned())) } else { Err(Refusal::Type) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_authorization_header_is_taken_and_several_are_no_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(authorization_header(&headers), None);

        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"));
        assert_eq!(authorization_header(&headers), Some("Bearer a.b.c"));

        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"));
        assert_eq!(authorization_header(&headers), Some(""));

        let unreadable = HeaderValue::from_bytes(b"Bearer \xe4").unwrap();
        let unreadable = HeaderMap::from_iter([(AUTHORIZATION, unreadable)]);
        assert_eq!(authorization_header(&unreadable), Some(""));
    }
}
