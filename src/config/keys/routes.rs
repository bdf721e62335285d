//! `[[routes]]`

use super::Default::{Derived, Required, Unset, Value};
use super::Kind::{Bool, Claims, Duration, Integer, Limit, List, OneOf, Text};
use super::{DAY, Key, key, ms};

pub(super) static KEYS: &[Key] = &[
    key(
        "routes[].path",
        Text("a path such as \"/orders\" or \"/orders/{id}/refunds\""),
        Required,
        "This path and all below it, by whole segments: `/orders` is not for `/ordersX`. `{name}` is any one segment.",
    ),
    key(
        "routes[].upstream",
        Text("the name of an upstream"),
        Unset,
        "Where the requests go: the NAME of an `[upstreams.NAME]`. It has to be there unless the route is a redirect or `verify_only`.",
    ),
    key(
        "routes[].host",
        Text("a host name such as \"api.example.com\", or \"*.example.com\" for its subdomains"),
        Unset,
        "The host that the route is for; not set: every host.",
    ),
    key(
        "routes[].exact",
        Bool,
        Value("false"),
        "Whether only the path itself matches, and not what is below it.",
    ),
    key(
        "routes[].methods",
        List("a method in upper case such as \"GET\", not CONNECT or TRACE"),
        Unset,
        "The methods that the route is for; not set: every one.",
    ),
    key(
        "routes[].auth",
        OneOf(&["required", "optional", "none"]),
        Value("\"required\""),
        "Whether a token is needed. `optional`: without one anonymous, with a bad one refused. `none`: not looked at.",
    ),
    key(
        "routes[].issuers",
        List("\"self\", or the name of an [[issuers]]"),
        Value("[\"self\"]"),
        "Whose tokens are accepted: `self` is the gateway itself.",
    ),
    key(
        "routes[].roles",
        List("a role: 1 to 64 characters of a-z A-Z 0-9 _ - . :"),
        Unset,
        "The user needs any of these.",
    ),
    key(
        "routes[].claims",
        Claims,
        Unset,
        "The token needs all of these, with equal values; where its value is a list, contained in it.",
    ),
    key(
        "routes[].assertion",
        Bool,
        Derived("`identity.assertion`; `false` with `auth = \"none\"`"),
        "Whether the upstream gets a signed assertion of who the request comes from, in `X-Auth-Assertion`.",
    ),
    key(
        "routes[].strip_prefix",
        Text("the first segments of the route's path, such as \"/orders\""),
        Unset,
        "Taken off the front of the path before it is forwarded, by whole segments.",
    ),
    key(
        "routes[].max_body",
        Limit,
        Derived("`server.max_body`"),
        "The largest request body.",
    ),
    key(
        "routes[].timeout",
        Duration(ms(10), DAY),
        Unset,
        "How long the whole exchange may take; not set: no limit beyond the others.",
    ),
    key(
        "routes[].limits",
        List("the name of one of the [[limits]]"),
        Unset,
        "Limits that its requests count against, in this order; those by `user` after the others, once it is known who asks.",
    ),
    key(
        "routes[].client_certificate",
        Bool,
        Value("false"),
        "Whether the client has to have shown a certificate, beside what `auth` asks for. Needs `tls.client_auth`.",
    ),
    key(
        "routes[].max_requests",
        Integer(1, 10_000_000),
        Unset,
        "The most requests at once; more are answered 503 `overloaded`.",
    ),
    key(
        "routes[].max_requests_per_user",
        Integer(1, 10_000_000),
        Unset,
        "The most requests at once of one user, or of one address (of IPv6, a network of /64) without a token; more are answered \
         429 `rate_limited`.",
    ),
];
