//! Upstreams whose servers fail: who gets the requests, who gets none, and what clients see of it.

mod balance;
mod caps;
mod checks;
mod connections;
mod dead;
mod names;
mod reloads;
mod retries;

use std::collections::BTreeMap;

use crate::support::{TestGateway, Upstream};

/// An upstream with these servers and settings, and an open route to it: `/up`.
fn route_to<S: AsRef<str>>(servers: &[S], settings: &str) -> String {
    let servers: Vec<&str> = servers.iter().map(AsRef::as_ref).collect();
    format!(
        "[upstreams.app]\nservers = {servers:?}\n{settings}\n\
         [[routes]]\npath = \"/up\"\nupstream = \"app\"\nauth = \"none\"\n"
    )
}

/// How many requests reached each server.
fn counts(servers: &[Upstream]) -> Vec<usize> {
    servers.iter().map(|server| server.seen().len()).collect()
}

/// What `/metrics` says now: the value of each line that begins with `doorward_upstream`.
async fn metrics(gateway: &TestGateway) -> BTreeMap<String, u64> {
    let answer = gateway.http.get(gateway.admin_url("/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let lines = text.lines().filter(|line| line.starts_with("doorward_upstream"));
    lines
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

/// The reasons in `/readyz`, which is ready all the same.
async fn reasons(gateway: &TestGateway) -> String {
    let answer = gateway.http.get(gateway.admin_url("/readyz")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let body: serde_json::Value = answer.json().await.unwrap();
    body["reasons"].to_string()
}
