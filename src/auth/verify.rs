//! What the OpenAPI document says of `/auth/verify`. It is answered on the proxy path, before anything reaches the router here.

use http::Method;
use utoipa::Path;
use utoipa::openapi::path::Operation;

/// How such endpoints are tagged.
const TAG: &str = "proxy";

/// The endpoint's method, its path below [`crate::config::Auth::path`], and what the document says of it.
pub(super) fn described() -> (Method, String, Operation) {
    let mut operation = __path_verify::operation();
    operation.tags = Some(vec![TAG.to_owned()]);
    (Method::GET, __path_verify::path(), operation)
}

/// Forward-auth
///
/// Whether a request that another proxy has got may pass, decided as for requests of the gateway's own. The proxy is one of
/// `server.trusted_proxies`, `Authorization` is that of its client, and headers say what is asked about; besides these
/// `X-Original-Method`, `X-Original-Host`, `X-Original-URI` and `X-Original-URL` are read, and no two may say different things.
#[utoipa::path(
    get,
    path = "/verify",
    operation_id = "verify",
    params(
        ("X-Forwarded-Method" = String, Header, description = "The method of the request.", example = "GET"),
        ("X-Forwarded-Host" = String, Header, description = "Its host.", example = "app.example.com"),
        ("X-Forwarded-Uri" = String, Header, description = "Its path and query, as they were sent.", example = "/orders?open"),
    ),
    security((), ("bearer" = [])),
    responses(
        (status = 200, description = "It may pass. Every identity header (`X-Auth-User-Id` and the others, as \
            `identity.prefix` has it) is there, empty where there is nothing to say."),
        (status = 400, description = "`bad_request`: what is asked about is not said, or said in two ways. `ambiguous_path`: \
            its path could be read in two ways."),
        (status = 403, description = "`forbidden`: the token lacks a role or claim that the route asks for. \
            `client_certificate_required`: the route asks for one, and none is known of here."),
        (status = 404, description = "`not_found`: whoever asks is not trusted, no route is for the request, or it is for the \
            gateway itself."),
        (status = 405, description = "`method_not_allowed`: the route is not for the method, or this was asked with another than \
            GET or HEAD."),
        (status = 429, description = "`rate_limited`: one of the limits of the route is used up."),
        (status = 503, description = "`revocations_unavailable`, or `overloaded` or `maintenance` as the route says; \
            `Retry-After` says when to come back."),
    ),
)]
#[expect(dead_code, reason = "describes what the gateway answers before the router is asked")]
fn verify() {}
