//! The endpoints, described: an OpenAPI document for programs and a page for people.
//!
//! The page is one file with everything in it. Its Content-Security-Policy lets it talk to this gateway and to nobody
//! else, and run no script but its own.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::Extension;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, header};

const PAGE: &str = include_str!("docs/page.html");
const STYLE: &str = include_str!("docs/page.css");
const SCRIPT: &str = include_str!("docs/page.js");

/// Both descriptions, made once.
#[derive(Debug)]
pub(super) struct Documents {
    openapi: Bytes,
    page: Bytes,
    policy: HeaderValue,
}

impl Documents {
    /// Describes the endpoints below `auth_path`, with or without those for other services and for other proxies.
    pub(super) fn new(auth_path: &str, with_clients: bool, with_verify: bool) -> Self {
        let openapi = super::openapi::document(auth_path, with_clients, with_verify)
            .to_json()
            .unwrap_or_default();
        let page = PAGE.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT);
        Self {
            openapi: openapi.into(),
            page: page.into(),
            policy: HeaderValue::try_from(policy()).unwrap_or(HeaderValue::from_static("default-src 'none'")),
        }
    }
}

/// Content Security Policy, Level 3: our script and our style by their digests, requests to this origin, nothing else.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE),
    )
}

/// This document
///
/// The OpenAPI 3.1 document of the endpoints.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openApi",
    responses((status = 200, description = "The document.", content_type = "application/json", body = Object)),
)]
pub(super) async fn openapi(Extension(documents): Extension<Arc<Documents>>) -> Response {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (headers, documents.openapi.clone()).into_response()
}

/// Documentation page
///
/// A page that shows this document and sends requests to try the endpoints. It asks nothing of any other server.
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "docsPage",
    responses((status = 200, description = "The page.", content_type = "text/html", body = String)),
)]
pub(super) async fn page(Extension(documents): Extension<Arc<Documents>>) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_SECURITY_POLICY, documents.policy.clone()),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, documents.page.clone()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_nothing_of_another_server() {
        let page = Documents::new("/auth", true, true).page;
        let page = std::str::from_utf8(&page).unwrap();
        for outside in ["http://", "https://", "src=", "@import", "url(", "//cdn"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn the_policy_knows_the_script_and_the_style_as_they_are_in_the_page() {
        let page = Documents::new("/auth", true, true).page;
        let page = std::str::from_utf8(&page).unwrap();
        let inside = |tag: &str| {
            let from = page.find(&format!("<{tag}>")).unwrap() + tag.len() + 2;
            &page[from..page.find(&format!("</{tag}>")).unwrap()]
        };
        assert_eq!(inside("script"), SCRIPT);
        assert_eq!(inside("style"), STYLE);
        assert!(!page.contains("style=\"") && !page.contains("onclick"));
    }
}
