//! `[[routes]]`: what a route does at its edges, beside forwarding.

use super::Default::{Derived, Unset, Value};
use super::Kind::{Bool, Duration, Headers, Integer, List, Text};
use super::{DAY, Key, SECOND, key, ms};

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
        "routes[].security_headers",
        Bool,
        Derived("`server.security_headers`"),
        "Whether answers get `X-Content-Type-Options: nosniff`, `X-Frame-Options: SAMEORIGIN`, `Referrer-Policy: \
         strict-origin-when-cross-origin` and `X-Permitted-Cross-Domain-Policies: none`, each unless the upstream says it itself.",
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
    key(
        "routes[].maintenance.on",
        Bool,
        Value("false"),
        "Whether the route is closed: it answers 503 `maintenance`.",
    ),
    key(
        "routes[].maintenance.retry_after",
        Duration(SECOND, DAY),
        Value("\"1m\""),
        "When clients are told to come back.",
    ),
    key(
        "routes[].maintenance.networks",
        List("a network such as \"10.0.0.0/8\" or an IP address"),
        Value("[]"),
        "Clients from there pass as ever.",
    ),
    key(
        "routes[].maintenance.roles",
        List("a role: 1 to 64 characters of a-z A-Z 0-9 _ - . :"),
        Value("[]"),
        "Users who have any of these pass as ever.",
    ),
    key(
        "routes[].cors.origins",
        List("an origin such as \"https://app.example.com\" or \"https://*.example.com\", \"null\", or \"*\" alone"),
        Unset,
        "The origins whose pages may read answers; not set: the gateway does nothing for such pages. Preflights are answered by \
         the gateway, and what the upstream says of it is replaced.",
    ),
    key(
        "routes[].cors.methods",
        List("a method in upper case such as \"GET\""),
        Derived("the route's `methods`, or GET, HEAD, POST, PUT, PATCH and DELETE"),
        "What pages may send.",
    ),
    key(
        "routes[].cors.headers",
        List("the name of a header"),
        Value("[\"Authorization\", \"Content-Type\"]"),
        "The headers that pages may send.",
    ),
    key(
        "routes[].cors.expose",
        List("the name of a header"),
        Value("[]"),
        "The headers of answers that pages may read, besides those that they always may.",
    ),
    key(
        "routes[].cors.credentials",
        Bool,
        Value("false"),
        "Whether browsers send cookies with requests of pages; never for `*` or `null`. The gateway's tokens need it not.",
    ),
    key(
        "routes[].cors.max_age",
        Duration(ms(0), DAY),
        Value("\"5m\""),
        "How long a browser may remember the answer to a preflight.",
    ),
    key(
        "routes[].request_headers.set",
        Headers,
        Unset,
        "Set on requests, in place of what the client sends: not headers that the gateway itself sets, removes or rests on.",
    ),
    key(
        "routes[].request_headers.add",
        Headers,
        Unset,
        "Added to requests, beside what the client sends.",
    ),
    key(
        "routes[].request_headers.remove",
        List("the name of a header"),
        Value("[]"),
        "Removed from requests, before others are set and added.",
    ),
    key(
        "routes[].response_headers.set",
        Headers,
        Unset,
        "Set on the upstream's answers, in place of what they say: not headers that the gateway itself sets, removes or rests on.",
    ),
    key(
        "routes[].response_headers.add",
        Headers,
        Unset,
        "Added to the upstream's answers, beside what they say.",
    ),
    key(
        "routes[].response_headers.remove",
        List("the name of a header"),
        Value("[]"),
        "Removed from the upstream's answers, before others are set and added.",
    ),
];
