//! The endpoints that we own: sign up, log in, refresh, log out, the user's account and sessions, keys and metadata, and
//! what other services ask about tokens.
//!
//! One file each, around what they share: bodies (`body`, `form`), callers (`caller`), failures (`error`). What is in
//! `endpoints` is at once the router and the OpenAPI document. A success that takes something away (a logout, a changed
//! password, a deleted account) is answered after the store has committed it and this replica enforces it.

mod answer;
mod audit;
mod begin;
mod body;
mod caller;
mod client;
mod docs;
mod endpoints;
mod error;
mod form;
mod introspect;
mod jwks;
mod login;
mod logout;
mod metadata;
mod openapi;
mod password;
mod ping;
mod refresh;
mod refresh_token;
mod revoke;
mod revoke_token;
mod sessions;
mod signup;
mod throttle;
mod user;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Extension;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::MethodRouter;
use http::{HeaderValue, header};

pub use body::BODY_TIMEOUT;
pub use openapi::openapi;
pub use throttle::Throttle;

use crate::config::Config;
use crate::password::Hasher;
use crate::problem::{Code, Problem};
use crate::store::Store;
use crate::time::Clock;
use crate::token::{Blocklist, Tokens};

use error::Failure;

/// What the endpoints work with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AuthState {
    /// Users and sessions.
    pub store: Store,
    /// Issues and verifies access tokens.
    pub tokens: Arc<Tokens>,
    /// What this replica refuses; `tokens` asks the same one.
    pub blocklist: Arc<Blocklist>,
    /// Hashes passwords.
    pub hasher: Hasher,
    /// Slows guessers down.
    pub throttle: Throttle,
    /// `[auth]`, `[tokens]` and what else is configured.
    pub config: Arc<Config>,
    /// What time it is.
    pub clock: Clock,
}

/// Where a request comes from, as far as it can be believed. The gateway puts it among the request's extensions; without
/// it, sessions know no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The endpoints, below [`crate::config::Auth::path`]. Every other path is answered with 404, every other method of an
/// endpoint with 405.
pub fn router(state: AuthState) -> axum::Router {
    let prefix = state.config.auth.path.clone();
    let mut by_path: BTreeMap<String, (Vec<String>, MethodRouter<AuthState>)> = BTreeMap::new();
    for endpoint in endpoints::all(state.config.auth.docs, !state.config.clients.is_empty()) {
        let (methods, routes) = by_path.entry(endpoint.path).or_default();
        methods.push(endpoint.method.to_string());
        if endpoint.method == http::Method::GET {
            methods.push("HEAD".to_owned());
        }
        *routes = std::mem::take(routes).merge(endpoint.route);
    }
    let mut router = axum::Router::new();
    for (path, (methods, routes)) in by_path {
        let allow = HeaderValue::try_from(methods.join(", ")).unwrap_or(HeaderValue::from_static(""));
        let fallback = move || std::future::ready(method_not_allowed(&allow));
        router = router.route(&format!("{prefix}{path}"), routes.fallback(fallback));
    }
    router
        .fallback(|| async { Failure::new(Code::NotFound, "no endpoint is at this path") })
        .layer(map_response(finish))
        .layer(Extension(Arc::new(docs::Documents::new(
            &prefix,
            !state.config.clients.is_empty(),
            state.config.auth.verify,
        ))))
        .with_state(state)
}

fn method_not_allowed(allow: &HeaderValue) -> Failure {
    let problem = Problem::new(Code::MethodNotAllowed, "see `Allow` for the methods of this endpoint");
    problem.allow(allow.clone()).into()
}

/// What every answer carries. Tokens are in many of them: nothing is cached unless an endpoint says that it may be.
async fn finish(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Runs what must not stop half-way, whether or not the client waits for it: a logout whose sender closes the page is a
/// logout, and what the store has revoked reaches the local blocklist.
async fn run_to_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    tokio::spawn(work)
        .await
        .unwrap_or_else(|error| Err(Failure::of_task(&error)))
}
