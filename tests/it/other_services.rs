//! What other services may ask about tokens: introspection (RFC 7662) and revocation (RFC 7009).

mod assertion;
mod credentials;
mod introspection;
mod revocation;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::support::{TestGateway, Upstream, usual_routes};

/// A secret whose characters need escapes, in a form and in HTTP Basic alike.
const SECRET: &str = "%41+=&:/@\"'~ 0123456789abcdef!?#";

/// One client for each thing that clients do, and one for both; short polls; the usual routes.
fn config(upstream: &Upstream) -> String {
    let secret = toml::Value::from(SECRET);
    format!(
        "{}\n[revocation]\npoll_interval = \"50ms\"\n[[clients]]\nid = \"both\"\nsecret = {secret}\n\
         [[clients]]\nid = \"asks\"\nsecret = {secret}\nallow = \"introspect\"\n\
         [[clients]]\nid = \"ends\"\nsecret = {secret}\nallow = [\"revoke\"]\n",
        usual_routes(upstream)
    )
}

async fn start() -> (TestGateway, Upstream) {
    let upstream = Upstream::echo().await;
    (TestGateway::start(&config(&upstream)).await, upstream)
}

/// As RFC 6749, appendix B, wants ids and secrets encoded.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// The body of a form.
fn form(parameters: &[(&str, &str)]) -> String {
    let pairs = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// A form, on its way to one of the endpoints, from nobody.
fn post(gateway: &TestGateway, path: &str, body: String) -> RequestBuilder {
    let request = gateway.http.post(gateway.url(path));
    request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

/// Asks as the client of this id, by HTTP Basic.
async fn ask_as(gateway: &TestGateway, client: &str, path: &str, token: &str) -> Response {
    let request = post(gateway, path, form(&[("token", token)]));
    let request = request.basic_auth(encode(client), Some(encode(SECRET)));
    request.send().await.expect("an answer")
}

/// What introspection says of a token.
async fn introspect(gateway: &TestGateway, token: &str) -> Value {
    let answer = ask_as(gateway, "both", "/auth/introspect", token).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["content-type"], "application/json");
    answer.json().await.expect("JSON")
}

/// Revokes a token; the answer says nothing.
async fn revoke(gateway: &TestGateway, token: &str) {
    let answer = ask_as(gateway, "both", "/auth/revoke", token).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.text().await.expect("a whole body"), "");
}

/// Asserts that nothing is told of a token.
async fn assert_inactive(gateway: &TestGateway, token: &str) {
    let answer = introspect(gateway, token).await;
    assert_eq!(answer, serde_json::json!({ "active": false }), "{token}");
}
