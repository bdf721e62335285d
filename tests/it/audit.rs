//! The audit trail of a gateway: everything that is to be recorded is, by the real thing, with who, whom, whence and when;
//! and nothing that is secret.

mod actions;
mod circumstances;
mod operator;
mod processes;
mod rights;
mod throttled;

use doorward::store::audit::{Filter, Order, Recorded};
use serde_json::{Value, json};

use crate::support::{Backend, DEADLINE, TestGateway, Upstream, eventually, usual_routes};

/// Another service, which may revoke tokens.
const CLIENT: &str = "[[clients]]\nid = \"reports\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";

/// Everything, the oldest first.
fn all() -> Filter {
    Filter {
        user: None,
        kinds: Vec::new(),
        since: None,
        until: None,
        network: None,
        request_id: None,
        after: None,
        order: Order::OldestFirst,
        limit: 100_000,
    }
}

/// A gateway behind a proxy that it trusts, and the upstream behind it.
async fn start(backend: Backend, toml: &str) -> (TestGateway, Upstream) {
    let upstream = Upstream::echo().await;
    let toml = format!("{toml}\n{CLIENT}\n{}", usual_routes(&upstream));
    (TestGateway::start_on(backend, &toml).await, upstream)
}

/// The events that a filter lets through, once there are so many.
async fn recorded(gateway: &TestGateway, filter: &Filter, number: usize) -> Vec<Recorded> {
    let store = gateway.store().await;
    let events = eventually(DEADLINE, &format!("{number} events of {filter:?}"), || async {
        let events = store.audit_events(filter).await.unwrap();
        (events.len() >= number).then_some(events)
    })
    .await;
    store.close().await;
    events
}

/// A request as a client behind the proxy sends it: status and JSON.
async fn send(gateway: &TestGateway, id: &str, request: &Asked<'_>) -> (u16, Value) {
    let Asked {
        method,
        path,
        token,
        body,
    } = request;
    let mut sent = gateway.http.request(method.parse().unwrap(), gateway.url(path));
    sent = sent
        .header("x-request-id", id)
        .header("x-forwarded-for", "198.51.100.9");
    if let Some(token) = token {
        sent = sent.bearer_auth(token);
    }
    if let Some(body) = body {
        sent = sent.json(body);
    }
    let answer = sent.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// A request to be.
struct Asked<'a> {
    method: &'static str,
    path: &'a str,
    token: Option<&'a str>,
    body: Option<Value>,
}

fn post<'a>(path: &'a str, token: Option<&'a str>, body: Value) -> Asked<'a> {
    Asked {
        method: "POST",
        path,
        token,
        body: Some(body),
    }
}

fn without_body<'a>(method: &'static str, path: &'a str, token: &'a str) -> Asked<'a> {
    Asked {
        method,
        path,
        token: Some(token),
        body: None,
    }
}

fn credentials(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}
