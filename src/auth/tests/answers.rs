//! What every answer has in common, and what is not JSON.

use axum::body::Body;
use serde_json::json;

use super::support::{App, request};
use crate::auth::endpoints;

/// A path of the list as a client would ask for it.
fn path_of(path: &str) -> String {
    format!("/auth{}", path.replace("{id}", "00000000-0000-7000-8000-000000000000"))
}

#[tokio::test]
async fn a_ping_answers() {
    let app = App::start().await;
    let answer = app.bare("GET", "/auth/ping").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "status": "ok" })));
}

#[tokio::test]
async fn nothing_is_cached_or_sniffed_but_keys_and_metadata_may_be_kept() {
    let app = App::start().await;
    for endpoint in endpoints::all(true, true) {
        let answer = app.bare(endpoint.method.as_str(), &path_of(&endpoint.path)).await;
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{}", endpoint.path);
        let expected = if endpoint.path.starts_with("/.well-known/") {
            "public, max-age=300"
        } else {
            "no-store"
        };
        assert_eq!(answer.headers["cache-control"], expected, "{}", endpoint.path);
    }
    for path in ["/auth/nosuch", "/auth/login"] {
        let answer = app.bare("GET", path).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn what_answers_get_answers_head_without_a_body() {
    let app = App::start().await;
    for endpoint in endpoints::all(true, true) {
        let path = path_of(&endpoint.path);
        let head = app.bare("HEAD", &path).await;
        if endpoint.method == http::Method::GET {
            let get = app.bare("GET", &path).await;
            assert_eq!((head.status, head.bytes.len()), (get.status, 0), "{path}");
            assert_eq!(
                head.headers.get("content-type"),
                get.headers.get("content-type"),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_and_says_which_are_right() {
    let app = App::start().await;
    for (method, path, allow) in [
        ("GET", "/auth/login", "POST"),
        ("OPTIONS", "/auth/login", "POST"),
        ("PUT", "/auth/user", "GET, HEAD, PATCH, DELETE"),
        ("BREW", "/auth/ping", "GET, HEAD"),
        ("TRACE", "/auth/ping", "GET, HEAD"),
        ("GET", "/auth/sessions/x", "DELETE"),
    ] {
        let answer = app.bare(method, path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (405, "method_not_allowed"),
            "{method} {path}"
        );
        assert_eq!(answer.headers["allow"], allow, "{method} {path}");
    }
}

#[tokio::test]
async fn a_path_that_is_no_endpoint_is_404() {
    let app = App::start().await;
    for path in [
        "/auth",
        "/auth/",
        "/auth/nosuch",
        "/auth/login/",
        "/auth/LOGIN",
        "/auth/login/x",
        "/auth/%6Cogin",
        "/login",
        "/",
    ] {
        for method in ["GET", "POST"] {
            let answer = app.bare(method, path).await;
            assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{path}");
        }
    }
}

#[tokio::test]
async fn the_endpoints_live_where_the_configuration_says() {
    let app = App::start_with(|config| config.auth.path = "/id/v1".to_owned()).await;
    assert_eq!(app.bare("GET", "/id/v1/ping").await.status, 200);
    assert_eq!(app.bare("GET", "/auth/ping").await.status, 404);
    let document = app.bare("GET", "/id/v1/openapi.json").await.json();
    assert!(document["paths"]["/id/v1/ping"].is_object());
}

const WITH_BODY: [&str; 3] = ["/auth/signup", "/auth/login", "/auth/refresh"];

#[tokio::test]
async fn a_body_that_is_not_json_is_415_or_400() {
    let app = App::start().await;
    let send = async |path, kind: Option<&str>, body: &'static str| {
        let mut request = request("POST", path, None);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answer = app.send(request.body(Body::from(body)).unwrap()).await;
        (answer.status, answer.code())
    };
    for path in WITH_BODY {
        for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
            assert_eq!(send(path, kind, "{}").await, (415, "unsupported_media_type".to_owned()));
        }
        for body in [
            "",
            "{",
            "[]",
            "null",
            "\"x\"",
            r#"{"email":"a@b.c","email":"a@b.c"}"#,
            "{}{}",
        ] {
            let answer = send(path, Some("application/json"), body).await;
            assert_eq!(answer, (400, "malformed".to_owned()), "{path} {body}");
        }
    }
}

#[tokio::test]
async fn a_body_of_8_kib_is_read_and_a_larger_one_refused_whether_or_not_it_says_its_length() {
    let app = App::start().await;
    let body = |length: usize| {
        let frame = r#"{"x":""}"#.len();
        format!(r#"{{"x":"{}"}}"#, "x".repeat(length - frame))
    };
    for path in WITH_BODY {
        for (length, status) in [(8 * 1024, 422), (8 * 1024 + 1, 413), (1024 * 1024, 413)] {
            let known = Body::from(body(length));
            let chunks = body(length).into_bytes();
            let chunks: Vec<_> = chunks
                .chunks(1000)
                .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
                .collect();
            let streamed = Body::from_stream(futures_util::stream::iter(chunks));
            for body in [known, streamed] {
                let request = request("POST", path, None).header("content-type", "application/json");
                let answer = app.send(request.body(body).unwrap()).await;
                assert_eq!(answer.status, status, "{path} {length}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_timeout_that_ends_the_connection() {
    let app = App::start().await;
    let stalled = std::io::Error::from(std::io::ErrorKind::TimedOut);
    // However deep: hyper wraps what the connection says.
    let parts = [Ok("{\"email\":"), Err(axum::Error::new(axum::Error::new(stalled)))];
    let body = Body::from_stream(futures_util::stream::iter(parts));
    let request = request("POST", "/auth/login", None).header("content-type", "application/json");
    let answer = app.send(request.body(body).unwrap()).await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "request_timeout"));
    assert_eq!(answer.headers["connection"], "close");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let app = App::start().await;
    let parts = [Ok("{\"email\":"), Err(std::io::Error::other("reset"))];
    let body = Body::from_stream(futures_util::stream::iter(parts));
    let request = request("POST", "/auth/login", None).header("content-type", "application/json");
    let answer = app.send(request.body(body).unwrap()).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"));
}
