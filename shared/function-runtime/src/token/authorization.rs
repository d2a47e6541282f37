//! The `Authorization` header, up to a token split into its parts. Nothing here is trusted yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};

use super::object::UniqueObject;
use super::verifier::Refusal;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_LENGTH_BYTES: usize = 8 * 1024;

/// Members of a token's header that bring or point to a key, or demand extensions that we don't have.
const REFUSED_HEADER_MEMBERS: [&str; 5] = ["jku", "jwk", "x5u", "x5c", "crit"];

/// The one `Authorization` header of a request.
///
/// Several of them, or one that isn't visible ASCII, answer `Some("")`, which no verifier takes: a proxy before us may
/// have looked at another one than we would.
#[must_use]
pub fn authorization_header(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next()?;
    match values.next() {
        None => Some(first.to_str().unwrap_or_default()),
        Some(_) => Some(""),
    }
}

/// A token whose form is right and whose signature hasn't been checked.
#[derive(Debug)]
pub(super) struct UnverifiedToken<'a> {
    /// What the signature covers: header and payload as they were sent.
    pub(super) signed_part: &'a str,
    /// The signature, in base64url.
    pub(super) signature: &'a str,
    pub(super) algorithm: String,
    pub(super) key_id: String,
    payload: &'a str,
}

impl<'a> UnverifiedToken<'a> {
    /// Takes `Bearer <token>` apart (RFC 6750 section 2.1): the scheme in any case, then one or more spaces, then three
    /// parts in base64url without padding (RFC 7515 section 7.1) and nothing after them.
    pub(super) fn parse(authorization: Option<&'a str>) -> Result<Self, Refusal> {
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

        let header = decode_object(header)?;
        if REFUSED_HEADER_MEMBERS.iter().any(|name| header.contains_key(*name)) {
            return Err(Refusal::RefusedHeader);
        }
        if !has_token_type(&header) {
            return Err(Refusal::Type);
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        Ok(Self {
            signed_part,
            signature,
            algorithm: text("alg").ok_or(Refusal::Algorithm)?,
            key_id: text("kid").filter(|id| !id.is_empty()).ok_or(Refusal::NoKeyId)?,
            payload,
        })
    }

    /// The payload. To be believed only after the signature was checked.
    pub(super) fn payload(&self) -> Result<Map<String, Value>, Refusal> {
        decode_object(self.payload)
    }
}

/// Whether `typ` is absent, `JWT` or that of an access token (RFC 9068): an issuer signs other things with the same keys,
/// such as logout tokens (RFC 8725 section 3.11).
fn has_token_type(header: &Map<String, Value>) -> bool {
    match header.get("typ") {
        None => true,
        Some(Value::String(kind)) => {
            let kind = kind.to_ascii_lowercase();
            matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
        }
        Some(_) => false,
    }
}

fn decode_object(part: &str) -> Result<Map<String, Value>, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)?;
    let UniqueObject(members) = serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)?;
    Ok(members)
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
