//! The headers that every response has: what a browser may do with the page.

use lambda_http::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONTENT_SECURITY_POLICY, InvalidHeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

use crate::{origin::Origin, settings::Settings};

/// Features of browsers that the page does not use.
const NO_FEATURES: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

/// Returns the headers that every response has.
pub(crate) fn headers(settings: &Settings) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy(settings))?);
    headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("permissions-policy"), HeaderValue::from_static(NO_FEATURES));
    if settings.frame_ancestors.is_empty() {
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    // A portal that opened the page in a window hands over the token through that window, which the header would cut off.
    if settings.portal_origin.is_none() {
        headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    }
    Ok(headers)
}

/// Returns the content security policy. The worker is the verification of downloaded files.
fn policy(settings: &Settings) -> String {
    let issuer = settings.sign_in.as_ref().map(|sign_in| &sign_in.issuer_origin);
    let connect = listed("'self'", issuer.into_iter().chain(&settings.connect_origins));
    let ancestors =
        if settings.frame_ancestors.is_empty() { "'none'".to_owned() } else { listed("", &settings.frame_ancestors) };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; worker-src 'self'; \
         connect-src {connect}; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
    )
}

fn listed<'a>(first: &str, origins: impl IntoIterator<Item = &'a Origin>) -> String {
    let mut text = first.to_owned();
    for origin in origins {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&origin.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::read;

    #[test]
    fn nothing_is_permitted_that_the_page_does_not_need() {
        let headers = headers(&read(&[]).unwrap()).unwrap();
        assert_eq!(
            headers[CONTENT_SECURITY_POLICY],
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; worker-src 'self'; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], "max-age=31536000");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[REFERRER_POLICY], "no-referrer");
        assert_eq!(headers[X_FRAME_OPTIONS], "DENY");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
        assert!(headers.contains_key("permissions-policy"));
    }

    #[test]
    fn issuer_and_portal_are_admitted_by_origin() {
        let settings = read(&[
            ("PAGE_ISSUER", "https://id.example.com/tenant"),
            ("PAGE_CLIENT_ID", "page"),
            ("PAGE_CONNECT_ORIGINS", "https://login.example.com, https://keys.example.com"),
            ("PAGE_PORTAL_ORIGIN", "https://portal.example.com"),
            ("PAGE_FRAME_ANCESTORS", "https://portal.example.com"),
        ])
        .unwrap();
        let headers = headers(&settings).unwrap();
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.contains(
                "connect-src 'self' https://id.example.com https://login.example.com https://keys.example.com;"
            )
        );
        assert!(policy.ends_with("frame-ancestors https://portal.example.com"));
        assert!(!headers.contains_key(X_FRAME_OPTIONS));
        assert!(!headers.contains_key("cross-origin-opener-policy"));
    }
}
