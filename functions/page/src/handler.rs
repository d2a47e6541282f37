//! Routes and responses.

use lambda_http::{
    Body, Error, Request, RequestExt, Response,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
            InvalidHeaderValue, LOCATION, VARY,
        },
    },
};
use sha2::{Digest, Sha256};

use crate::{
    files::{DOCUMENT, File, file},
    security,
    settings::Settings,
};

/// The page, as this stack serves it.
#[derive(Debug)]
pub(crate) struct Handler {
    security: HeaderMap,
    document_tag: HeaderValue,
    settings: String,
    settings_tag: HeaderValue,
}

/// What a path names.
enum Route {
    /// The page, or a file under a name that depends on its content.
    File(&'static File),
    Settings,
    /// The page with a slash after its address, to which its relative links would lead elsewhere.
    WithSlash,
    Nothing,
}

impl Route {
    /// Finds what a path names, below any prefix. Only the part after the last `/audit/` counts: where a gateway removes the
    /// slash at the end of a path, the page can't redirect, and its links lead to `/audit/audit/…`.
    fn of(path: &str) -> Self {
        let tail =
            if path.ends_with("/audit") { Some(DOCUMENT) } else { path.rsplit_once("/audit/").map(|(_, tail)| tail) };
        match tail {
            Some("") => Self::WithSlash,
            Some("settings.json") => Self::Settings,
            Some(DOCUMENT) if !path.ends_with("/audit") => Self::Nothing,
            Some(name) => file(name).map_or(Self::Nothing, Self::File),
            None => Self::Nothing,
        }
    }
}

impl Handler {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let security = security::headers(settings)?;
        let settings = settings.to_json()?;
        // A browser that gets 304 keeps the policy that it has. So another policy makes another tag.
        let document = format!("{}{security:?}", file(DOCUMENT).map_or("", |file| file.hash));
        let document_tag = tag_of(&document)?;
        let settings_tag = tag_of(&settings)?;
        Ok(Self { security, document_tag, settings, settings_tag })
    }

    /// Responds to a request. `HEAD` gets what `GET` gets, without the body.
    pub(crate) fn handle(&self, request: &Request) -> Response<Body> {
        let method = request.method();
        let mut response = if method == Method::GET || method == Method::HEAD {
            self.respond(request.raw_http_path(), request.headers())
        } else {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are served here.\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        };
        response.headers_mut().extend(self.security.clone());
        if method == Method::HEAD {
            *response.body_mut() = Body::Empty;
        }
        response
    }

    fn document(&self, file: &'static File, headers: &HeaderMap) -> Response<Body> {
        let mut response = if is_known(headers, &self.document_tag) {
            not_modified(&self.document_tag)
        } else {
            let mut response = serve(file, headers);
            revalidated(&mut response, &self.document_tag);
            response
        };
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        response
    }

    fn respond(&self, path: &str, headers: &HeaderMap) -> Response<Body> {
        match Route::of(path) {
            Route::File(file) if file.name == DOCUMENT => self.document(file, headers),
            Route::File(file) => {
                let mut response = serve(file, headers);
                let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
                response.headers_mut().insert(CACHE_CONTROL, kept);
                response
            }
            Route::Settings if is_known(headers, &self.settings_tag) => not_modified(&self.settings_tag),
            Route::Settings => {
                let mut response = Response::new(Body::from(self.settings.as_str()));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                revalidated(&mut response, &self.settings_tag);
                response
            }
            Route::WithSlash => {
                let mut response =
                    text(StatusCode::PERMANENT_REDIRECT, "The page is at the address without the slash.\n");
                response.headers_mut().insert(LOCATION, HeaderValue::from_static("../audit"));
                response
            }
            Route::Nothing => text(StatusCode::NOT_FOUND, "There is nothing at this path.\n"),
        }
    }
}

fn serve(file: &'static File, headers: &HeaderMap) -> Response<Body> {
    let compress = accepts_gzip(headers);
    // A gateway passes bytes on only in base64, which `Binary` becomes.
    let mut response = Response::new(Body::Binary(if compress { file.gzip } else { file.plain }.to_vec()));
    let own = response.headers_mut();
    own.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    own.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if compress {
        own.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Lets a browser keep a response that it has to ask for again.
fn revalidated(response: &mut Response<Body>, tag: &HeaderValue) {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(ETAG, tag.clone());
}

fn not_modified(tag: &HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    revalidated(&mut response, tag);
    response
}

/// Returns the entity tag of a content. A weak one, because it is the same for the compressed form.
fn tag_of(content: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let hash = Sha256::digest(content).iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
    HeaderValue::try_from(format!("W/\"{hash:016x}\""))
}

fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|value| value.split(',')).any(|value| tag.to_str().is_ok_and(|tag| value.trim() == tag))
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let is_refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse().is_ok_and(|q: f32| q <= 0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

fn text(status: StatusCode, sentence: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(sentence));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{files::FILES, settings::tests::read};

    fn get(path: &str) -> Response<Body> {
        send("GET", path, &[])
    }

    fn send(method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let handler = Handler::new(&read(&[]).unwrap()).unwrap();
        let builder = lambda_http::http::Request::builder().method(method).uri(path);
        let request = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        handler.handle(&request.body(Body::Empty).unwrap().with_raw_http_path(path))
    }

    fn asset() -> &'static File {
        FILES.iter().find(|file| file.media_type.starts_with("text/javascript")).unwrap()
    }

    #[test]
    fn the_page_is_served_below_any_prefix() {
        for prefix in ["", "/v1", "/security/logs", "/restapis/abc/v1/_user_request_"] {
            let response = get(&format!("{prefix}/audit"));
            assert_eq!(response.status(), StatusCode::OK, "{prefix}");
            assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(response.body().as_ref(), file(DOCUMENT).unwrap().plain);
            assert_eq!(get(&format!("{prefix}/audit/{}", asset().name)).status(), StatusCode::OK);
            assert_eq!(get(&format!("{prefix}/audit/settings.json")).status(), StatusCode::OK);
        }
    }

    #[test]
    fn a_slash_at_the_end_leads_to_the_page() {
        let response = get("/v1/audit/");
        assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
        assert_eq!(response.headers()[LOCATION], "../audit");
        // Where a gateway has removed the slash, relative links of the page name this.
        assert_eq!(get(&format!("/audit/audit/{}", asset().name)).status(), StatusCode::OK);
    }

    #[test]
    fn anything_else_is_not_there() {
        for path in
            ["/", "/audits", "/audit/index.html", "/audit/assets/", "/audit/../Cargo.toml", "/audit/assets/x.js"]
        {
            let response = get(path);
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert!(response.headers().contains_key("content-security-policy"), "{path}");
        }
    }

    #[test]
    fn only_get_and_head_are_served() {
        let response = send("POST", "/audit", &[]);
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
        let response = send("HEAD", "/audit", &[]);
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.body().is_empty());
        assert!(response.headers().contains_key(ETAG));
    }

    #[test]
    fn files_are_compressed_for_those_who_accept_it() {
        let path = format!("/audit/{}", asset().name);
        for (accepted, is_compressed) in [
            ("gzip", true),
            ("br, gzip;q=0.8", true),
            ("GZIP", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("br", false),
            ("identity", false),
        ] {
            let response = send("GET", &path, &[("accept-encoding", accepted)]);
            assert_eq!(response.headers().contains_key(CONTENT_ENCODING), is_compressed, "{accepted}");
            assert_eq!(response.headers()[VARY], "Accept-Encoding");
            let expected = if is_compressed { asset().gzip } else { asset().plain };
            assert!(response.body().as_ref() == expected, "{accepted}");
            assert!(matches!(response.body(), Body::Binary(_)));
        }
    }

    #[test]
    fn a_file_is_kept_for_ever_and_the_page_is_asked_for_again() {
        let response = get(&format!("/audit/{}", asset().name));
        assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        for path in ["/audit", "/audit/settings.json"] {
            let response = get(path);
            assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
            let known = response.headers()[ETAG].to_str().unwrap().to_owned();
            for sent in [known.clone(), format!("W/\"other\", {known}")] {
                let again = send("GET", path, &[("if-none-match", &sent)]);
                assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
                assert!(again.body().is_empty());
                assert_eq!(again.headers()[ETAG].to_str().unwrap(), known);
                assert!(again.headers().contains_key("content-security-policy"));
            }
            assert_eq!(send("GET", path, &[("if-none-match", "W/\"other\"")]).status(), StatusCode::OK);
        }
    }

    #[test]
    fn another_policy_is_another_document() {
        let tag = |variables| {
            let handler = Handler::new(&read(variables).unwrap()).unwrap();
            let request = lambda_http::http::Request::builder().uri("/audit").body(Body::Empty).unwrap();
            handler.handle(&request.with_raw_http_path("/audit")).headers()[ETAG].clone()
        };
        let tags = [
            tag(&[]),
            tag(&[("PAGE_FRAME_ANCESTORS", "https://a.example")]),
            tag(&[("PAGE_FRAME_ANCESTORS", "https://b.example")]),
            tag(&[("PAGE_PORTAL_ORIGIN", "https://a.example")]),
        ];
        assert_eq!(tag(&[]), tags[0]);
        for (index, one) in tags.iter().enumerate() {
            assert!(!tags[..index].contains(one), "{index}");
        }
    }

    #[test]
    fn a_file_has_a_name_that_depends_on_its_content() {
        for file in FILES.iter().filter(|file| file.name != DOCUMENT) {
            let name = file.name.strip_prefix("assets/").unwrap();
            let (stem, _) = name.rsplit_once('.').unwrap();
            let (_, hash) = stem.split_at(stem.len() - 9);
            assert!(hash.starts_with('-'), "{name}");
        }
    }
}
