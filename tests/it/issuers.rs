//! Tokens of other issuers: where they are accepted, whom they make of a request, what is refused, and how keys are fetched.

mod accepted;
mod asserted;
mod fetching;
mod refused;

use serde_json::Value;

use crate::support::idp::Idp;
use crate::support::{TestGateway, Upstream, usual_routes};

/// The usual routes, and `/corp` and `/both` for the issuer `corp`, the latter for our own tokens, too.
pub(crate) fn routes(upstream: &Upstream) -> String {
    let more = r#"
        [[routes]]
        path = "/corp"
        upstream = "app"
        issuers = ["corp"]
        [[routes]]
        path = "/corp/admin"
        upstream = "app"
        issuers = ["corp"]
        roles = ["admin"]
        [[routes]]
        path = "/both"
        upstream = "app"
        issuers = ["self", "corp"]
        "#;
    usual_routes(upstream) + more
}

/// A gateway with these routes before this issuer.
async fn gateway(upstream: &Upstream, idp: &Idp, lines: &str) -> TestGateway {
    TestGateway::start(&(routes(upstream) + &idp.toml("corp", lines))).await
}

/// GETs a path: the status, and the code of the problem if there is one.
async fn get(gateway: &TestGateway, path: &str, token: &str) -> (u16, String) {
    let (status, body) = gateway.get(path, Some(token)).await;
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// `object` with this member set, or taken away when it is `None`.
fn with(mut object: Value, name: &str, value: impl Into<Option<Value>>) -> Value {
    match value.into() {
        Some(value) => object[name] = value,
        None => drop(object.as_object_mut().unwrap().remove(name)),
    }
    object
}

/// As [`get`] gives a good answer.
fn good() -> (u16, String) {
    (200, String::new())
}

fn refused(code: &str) -> (u16, String) {
    (if code.ends_with("unavailable") { 503 } else { 401 }, code.to_owned())
}
