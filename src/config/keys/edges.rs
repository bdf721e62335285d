//! `[[routes]]`: what a route does at its edges, beside forwarding.

use super::Default::{Unset, Value};
use super::Kind::{Bool, Integer, Text};
use super::{Key, key};

/// The keys of the route itself.
pub(super) static ROUTE: &[Key] = &[
    key(
        "routes[].add_prefix",
        Text("a path such as \"/v2\": segments of A-Z a-z 0-9 - . _ ~, no slash at the end"),
        Unset,
        "Put in front of the path before it is forwarded, after `strip_prefix`.",
    ),
    key(
        "routes[].rewrite",
        Text("a path such as \"/v2/{id}\", of plain segments and parameters of the route's path"),
        Unset,
        "Forwarded in place of the path that the route matched; what is below it is kept. Segments are taken byte for byte.",
    ),
    key(
        "routes[].upstream_host",
        Text("\"client\", \"server\", or a host such as \"orders.internal\" or \"orders.internal:8443\""),
        Value("\"client\""),
        "Which `Host` the upstream gets: the client's, that of the server that is asked, or this one.",
    ),
    key(
        "routes[].verify_only",
        Bool,
        Value("false"),
        "Whether the route is for `/auth/verify` alone: it has no `upstream`, and requests to the gateway itself get 404.",
    ),
];

/// The keys of its tables.
pub(super) static TABLES: &[Key] = &[
    key(
        "routes[].redirect.to",
        Text(
            "\"https://host/path\" or \"/path\", of plain segments, parameters of the route's path, and at the end {path} or {rest}",
        ),
        Unset,
        "Where the route sends its clients; it has no `upstream` then. `{path}` is the whole path of the request, `{rest}` what \
         is below the route's path. The query is kept.",
    ),
    key(
        "routes[].redirect.status",
        Integer(301, 308),
        Value("308"),
        "301, 302, 303, 307 or 308.",
    ),
];
