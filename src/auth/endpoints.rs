//! The list of endpoints. Method and path are written once, in the `utoipa::path` attribute beside each handler: from
//! there they reach the router and the OpenAPI document alike.

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use utoipa::openapi::path::{HttpMethod, Operation};

use super::{
    AuthState, docs, introspect, jwks, login, logout, metadata, password, ping, refresh, revoke_token, sessions,
    signup, user,
};

/// An endpoint.
pub(super) struct Endpoint {
    /// Its method. HEAD comes with GET.
    pub(super) method: Method,
    /// Its path below [`crate::config::Auth::path`].
    pub(super) path: String,
    /// What the OpenAPI document says about it.
    pub(super) operation: Operation,
    /// What answers.
    pub(super) route: MethodRouter<AuthState>,
}

/// Every endpoint, with or without those that describe the others, and those for other services.
pub(super) fn all(with_docs: bool, with_clients: bool) -> Vec<Endpoint> {
    let mut all = vec![
        endpoint("service", ping::__path_ping, ping::ping),
        endpoint("session", signup::__path_signup, signup::signup),
        endpoint("session", login::__path_login, login::login),
        endpoint("session", refresh::__path_refresh, refresh::refresh),
        endpoint("session", logout::__path_logout, logout::logout),
        endpoint("user", user::__path_show, user::show),
        endpoint("user", user::__path_change, user::change),
        endpoint("user", user::__path_delete, user::delete),
        endpoint("user", password::__path_change, password::change),
        endpoint("user", sessions::__path_list, sessions::list),
        endpoint("user", sessions::__path_end, sessions::end),
        endpoint("metadata", jwks::__path_jwks, jwks::jwks),
        endpoint("metadata", metadata::__path_metadata, metadata::metadata),
    ];
    if with_clients {
        all.push(endpoint(
            "client",
            introspect::__path_introspect,
            introspect::introspect,
        ));
        all.push(endpoint("client", revoke_token::__path_revoke, revoke_token::revoke));
    }
    if with_docs {
        all.push(endpoint("service", docs::__path_openapi, docs::openapi));
        all.push(endpoint("service", docs::__path_page, docs::page));
    }
    all
}

/// Pairs a handler with what its attribute says, under one of the document's tags. The description is a value only so that its type need not be spelled.
fn endpoint<P: utoipa::Path, T: 'static>(
    tag: &'static str,
    _description: P,
    handler: impl Handler<T, AuthState>,
) -> Endpoint {
    let mut operation = P::operation();
    operation.tags = Some(vec![tag.to_owned()]);
    let (method, filter) = match P::methods().first() {
        Some(HttpMethod::Post) => (Method::POST, MethodFilter::POST),
        Some(HttpMethod::Put) => (Method::PUT, MethodFilter::PUT),
        Some(HttpMethod::Patch) => (Method::PATCH, MethodFilter::PATCH),
        Some(HttpMethod::Delete) => (Method::DELETE, MethodFilter::DELETE),
        Some(_) | None => (Method::GET, MethodFilter::GET),
    };
    Endpoint {
        method,
        path: P::path(),
        operation,
        route: on(filter, handler),
    }
}
