//! The `Content-Type` of requests.

use http::{HeaderMap, header::CONTENT_TYPE};

/// Returns the type that the only `Content-Type` header declares, in lower case. It may have parameters; a charset must be
/// UTF-8.
#[must_use]
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let mut parts = value.to_str().ok()?.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media_type = parts.next()?;
    let is_utf_8 = parts.all(|parameter| match parameter.split_once('=') {
        Some(("charset", charset)) => matches!(charset.trim_matches('"'), "utf-8" | "utf8"),
        _ => true,
    });
    is_utf_8.then_some(media_type)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_TYPE, HeaderValue::from_bytes(value).unwrap());
        }
        media_type(&headers)
    }

    #[test]
    fn a_type_may_have_parameters_and_its_charset_is_utf_8() {
        for json in [
            "application/json",
            " application/json ",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\" ; v=1",
            "application/json; charset=utf8",
            "application/json;",
        ] {
            assert_eq!(of(&[json.as_bytes()]).as_deref(), Some("application/json"), "{json}");
        }
        for other in ["text/plain; v=application/json", "application/jsonp", "", "json", "*/*"] {
            assert_ne!(of(&[other.as_bytes()]).as_deref(), Some("application/json"), "{other}");
        }
        for bad in [
            &[b"application/json; charset=latin1".as_slice()][..],
            &[],
            &[b"application/json".as_slice(); 2],
            &[b"\xE9"],
        ] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }
}
