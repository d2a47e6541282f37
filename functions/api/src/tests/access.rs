//! Authentication, and the form of requests.

use std::time::Duration;

use lambda_http::{
    Body, Request,
    http::{HeaderName, HeaderValue, Method, header},
};
use serde_json::json;

use tokio::{net::TcpListener, time::Instant};

use super::world::{World, code, json_of};
use crate::handler::{MAX_BODY_LENGTH, REQUEST_TIMEOUT};

const QUERY: &str = r#"{"query": "{ exportServiceIdentity { account } }"}"#;

async fn refusal(world: &World, change: impl FnOnce(&mut Request)) -> (u16, String) {
    let mut request = world.post("acme", QUERY);
    change(&mut request);
    let response = world.send(request).await;
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/json");
    (status, code(&json_of(&response)).to_owned())
}

fn set(request: &mut Request, name: HeaderName, value: &str) {
    request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
}

/// The function ends 1 s after this limit, so all that a request waits for has to be within it.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_request_includes_its_authentication() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut world = World::new();
    world.fetch_keys(&format!("http://{}/keys", silent.local_addr().unwrap()), 2 * REQUEST_TIMEOUT);
    let begun = Instant::now();
    let response = world.send(world.post("acme", QUERY)).await;
    assert_eq!(code(&json_of(&response)), "TRY_AGAIN");
    assert!(begun.elapsed() <= REQUEST_TIMEOUT + Duration::from_millis(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_request_in_order_is_answered() {
    let world = World::new();
    for body in [Body::from(QUERY), Body::from(QUERY.as_bytes().to_vec())] {
        for content_type in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json; charset=utf8",
            "application/json;",
        ] {
            let mut request = world.post("acme", body.clone());
            set(&mut request, header::CONTENT_TYPE, content_type);
            let response = world.send(request).await;
            assert_eq!(json_of(&response), json!({"data": {"exportServiceIdentity": {"account": "111111111111"}}}));
        }
    }
}

#[tokio::test]
async fn requests_without_a_valid_token_are_refused() {
    let world = World::new();
    let unauthenticated = (401, "UNAUTHENTICATED".to_owned());
    let valid = format!("Bearer {}", world.token("acme", &["AUDIT"]));
    for authorization in ["", "Bearer ", "Basic YTpi", &valid[7..], &format!("{valid}x"), &world.token("", &["AUDIT"])]
    {
        let answer = refusal(&world, |request| set(request, header::AUTHORIZATION, authorization)).await;
        assert_eq!(answer, unauthenticated, "{authorization}");
    }
    let answer = refusal(&world, |request| drop(request.headers_mut().remove(header::AUTHORIZATION))).await;
    assert_eq!(answer, unauthenticated);
    let twice = |request: &mut Request| {
        request.headers_mut().append(header::AUTHORIZATION, HeaderValue::from_str(&valid).unwrap());
    };
    assert_eq!(refusal(&world, twice).await, unauthenticated);

    for permissions in [&[][..], &["AUDIT_WRITE"], &["audit"], &["AUDIT_"]] {
        let token = format!("Bearer {}", world.token("acme", permissions));
        let answer = refusal(&world, |request| set(request, header::AUTHORIZATION, &token)).await;
        assert_eq!(answer, (403, "FORBIDDEN".to_owned()), "{permissions:?}");
    }
}

#[tokio::test]
async fn the_token_comes_before_everything_about_the_body() {
    let world = World::new();
    for body in ["{".to_owned(), "[]".to_owned(), "x".repeat(MAX_BODY_LENGTH + 1)] {
        let change = |request: &mut Request| {
            request.headers_mut().remove(header::AUTHORIZATION);
            set(request, header::CONTENT_TYPE, "text/plain");
            *request.body_mut() = Body::from(body);
        };
        assert_eq!(refusal(&world, change).await.0, 401);
    }
}

#[tokio::test]
async fn an_old_command_line_has_to_be_upgraded_once_it_is_known_who_asks() {
    let world = World::new();
    for (version, expected) in [("0.2.0", None), ("1.0.0", None), ("0.1.9", Some(400)), ("0.2", Some(400))] {
        let mut request = world.post("acme", QUERY);
        set(&mut request, HeaderName::from_static("audit-export-version"), version);
        let response = world.send(request).await;
        match expected {
            None => assert_eq!(response.status(), 200, "{version}"),
            Some(status) => {
                assert_eq!(response.status(), status, "{version}");
                let extensions = &json_of(&response)["errors"][0]["extensions"];
                assert_eq!(*extensions, json!({"code": "UPGRADE_REQUIRED", "minimumVersion": "0.2.0"}));
            }
        }
        let without_token = |request: &mut Request| {
            set(request, HeaderName::from_static("audit-export-version"), version);
            request.headers_mut().remove(header::AUTHORIZATION);
        };
        assert_eq!(refusal(&world, without_token).await, (401, "UNAUTHENTICATED".to_owned()));
    }
}

#[tokio::test]
async fn only_post_of_json_is_a_request() {
    let world = World::new();
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = refusal(&world, |request| *request.method_mut() = method).await;
        assert_eq!(answer, (405, "METHOD_NOT_ALLOWED".to_owned()));
    }
    let unsupported = (415, "UNSUPPORTED_MEDIA_TYPE".to_owned());
    for content_type in [
        "text/plain",
        "application/graphql",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin1",
        "application/jsonp",
        "",
    ] {
        let answer = refusal(&world, |request| set(request, header::CONTENT_TYPE, content_type)).await;
        assert_eq!(answer, unsupported, "{content_type}");
    }
    let answer = refusal(&world, |request| drop(request.headers_mut().remove(header::CONTENT_TYPE))).await;
    assert_eq!(answer, unsupported);
}

#[tokio::test]
async fn bodies_are_bounded_and_hold_one_operation() {
    let world = World::new();
    let padded = |length: usize| format!("{QUERY}{}", " ".repeat(length - QUERY.len()));
    let answer = refusal(&world, |request| *request.body_mut() = Body::from(padded(MAX_BODY_LENGTH + 1))).await;
    assert_eq!(answer, (413, "PAYLOAD_TOO_LARGE".to_owned()));
    let response = world.send(world.post("acme", padded(MAX_BODY_LENGTH))).await;
    assert_eq!(response.status(), 200);

    for bad in [
        String::new(),
        "{".to_owned(),
        "\"text\"".to_owned(),
        "{}".to_owned(),
        r#"{"query": 1}"#.to_owned(),
        r#"{"query": "{a}", "variables": []}"#.to_owned(),
        r#"{"query": "{a}", "variables": "{}"}"#.to_owned(),
        r#"{"query": "{a}", "query": "{b}"}"#.to_owned(),
        format!("[{QUERY}]"),
        format!(" [{QUERY}, {QUERY}]"),
        format!("{QUERY}{QUERY}"),
        format!(r#"{{"query": "{{a}}", "variables": {{"a": {}1{}}}}}"#, "[".repeat(1_000), "]".repeat(1_000)),
    ] {
        let answer = refusal(&world, |request| *request.body_mut() = Body::from(bad.clone())).await;
        assert_eq!(answer, (400, "BAD_REQUEST".to_owned()), "{bad}");
    }
}
