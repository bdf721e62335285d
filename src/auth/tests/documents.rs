//! Keys, metadata and documentation.

use std::collections::BTreeSet;

use super::support::App;

#[tokio::test]
async fn the_keys_are_public_ones_and_sign_the_tokens() {
    let app = App::start().await;
    let keys = app.bare("GET", "/auth/.well-known/jwks.json").await;
    assert_eq!(keys.headers["content-type"], "application/json");
    let key = &keys.json()["keys"][0];
    assert_eq!((&key["kty"], &key["alg"]), (&"OKP".into(), &"EdDSA".into()));
    assert!(key["d"].is_null() && key["k"].is_null());
}

#[tokio::test]
async fn the_metadata_says_where_the_keys_are_and_claims_nothing_untrue() {
    let app = App::start().await;
    let metadata = app.bare("GET", "/auth/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["issuer"], "http://127.0.0.1:8080/auth");
    assert_eq!(metadata["jwks_uri"], "http://127.0.0.1:8080/auth/.well-known/jwks.json");
    assert_eq!(metadata["response_types_supported"], serde_json::json!([]));
    for untrue in [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "id_token_signing_alg_values_supported",
    ] {
        assert!(metadata[untrue].is_null(), "{untrue}");
    }
}

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

#[tokio::test]
async fn the_document_and_the_router_hold_the_same_endpoints() {
    let app = App::start().await;
    let document = app.bare("GET", "/auth/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let mut documented = BTreeSet::new();
    for (path, item) in paths {
        for method in item.as_object().unwrap().keys() {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    assert_eq!(documented, the_table());

    for path in paths.keys() {
        let asked = path.replace("{id}", "00000000-0000-7000-8000-000000000000");
        for method in METHODS {
            let status = app.bare(method, &asked).await.status;
            let as_get = if method == "HEAD" { "GET" } else { method };
            let expected = documented.contains(&(as_get.to_owned(), path.clone()));
            assert_eq!(status != 405, expected, "{method} {path}: {status}");
            assert_ne!(status, 404, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn what_other_proxies_ask_is_documented_where_it_is_answered() {
    let app = App::start_with(|config| config.auth.verify = true).await;
    let document = app.bare("GET", "/auth/openapi.json").await.json();
    assert!(document["paths"]["/auth/verify"]["get"].is_object());
}

/// The endpoints as the interface was agreed on, written once more by hand: nothing goes missing by accident.
fn the_table() -> BTreeSet<(String, String)> {
    [
        ("GET", "/auth/ping"),
        ("POST", "/auth/signup"),
        ("POST", "/auth/login"),
        ("POST", "/auth/refresh"),
        ("POST", "/auth/logout"),
        ("GET", "/auth/user"),
        ("PATCH", "/auth/user"),
        ("DELETE", "/auth/user"),
        ("POST", "/auth/user/password"),
        ("GET", "/auth/sessions"),
        ("DELETE", "/auth/sessions/{id}"),
        ("POST", "/auth/introspect"),
        ("POST", "/auth/revoke"),
        ("GET", "/auth/.well-known/jwks.json"),
        ("GET", "/auth/.well-known/openid-configuration"),
        ("GET", "/auth/openapi.json"),
        ("GET", "/auth/docs"),
    ]
    .into_iter()
    .map(|(method, path)| (method.to_owned(), path.to_owned()))
    .collect()
}

#[tokio::test]
async fn the_page_may_run_its_own_script_and_talk_to_this_gateway_alone() {
    let app = App::start().await;
    let page = app.bare("GET", "/auth/docs").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert!(policy.contains("connect-src 'self'") && policy.contains("frame-ancestors 'none'"));
}

#[tokio::test]
async fn the_documentation_can_be_turned_off() {
    let app = App::start_with(|config| config.auth.docs = false).await;
    for path in ["/auth/docs", "/auth/openapi.json"] {
        assert_eq!(app.bare("GET", path).await.code(), "not_found");
    }
    let metadata = app.bare("GET", "/auth/.well-known/openid-configuration").await.json();
    assert!(metadata["service_documentation"].is_null());
}

#[tokio::test]
async fn the_metadata_says_where_other_services_ask_and_how_they_authenticate() {
    let app = App::start().await;
    let metadata = app.bare("GET", "/auth/.well-known/openid-configuration").await.json();
    let methods = serde_json::json!(["client_secret_basic", "client_secret_post"]);
    for endpoint in ["introspection", "revocation"] {
        let path = if endpoint == "introspection" {
            "introspect"
        } else {
            "revoke"
        };
        let url = format!("http://127.0.0.1:8080/auth/{path}");
        assert_eq!(metadata[format!("{endpoint}_endpoint")], url);
        assert_eq!(metadata[format!("{endpoint}_endpoint_auth_methods_supported")], methods);
    }
}

#[tokio::test]
async fn without_clients_nothing_is_there_for_other_services() {
    let app = App::start_with(|config| config.clients.clear()).await;
    for path in ["/auth/introspect", "/auth/revoke"] {
        assert_eq!(app.bare("POST", path).await.code(), "not_found");
    }
    let metadata = app.bare("GET", "/auth/.well-known/openid-configuration").await.json();
    assert!(!metadata.to_string().contains("introspect") && !metadata.to_string().contains("revoke"));
    let document = app.bare("GET", "/auth/openapi.json").await.json();
    assert!(document["paths"]["/auth/introspect"].is_null() && document["paths"]["/auth/revoke"].is_null());
}
