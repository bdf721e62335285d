//! What clients may cost, and how it is known who they are.

use super::Default::{Derived, Required, Unset, Value};
use super::Kind::{Bool, Duration, Integer, List, OneOf, Size, Text};
use super::{Key, MIB, SECOND, key, ms, secret};

/// The end of `[server]`.
pub(super) static SERVER: &[Key] = &[
    key(
        "server.proxy_protocol",
        OneOf(&["off", "optional", "required"]),
        Value("\"off\""),
        "Whether a PROXY header (version 1 or 2) at the beginning of a connection says who the client is. Only \
     `server.trusted_proxies` may send one: with `required` all others are turned away, with `optional` theirs is not read.",
    ),
    key(
        "server.max_connections_per_ip",
        Integer(1, 10_000_000),
        Unset,
        "The most connections at once from one address (of IPv6, a network of /64). Those of `server.trusted_proxies` that name \
         no client in a PROXY header are not counted.",
    ),
    key(
        "server.max_requests",
        Integer(1, 10_000_000),
        Unset,
        "The most requests at once that are not for `auth.path`, over all routes; more are answered 503 `overloaded`.",
    ),
    key(
        "server.min_body_rate",
        Size(0, MIB),
        Value("\"64B\""),
        "How many bytes a second a client has to send of a body, or take of an answer. It may be slower only until it has been \
         waited for as long as `server.body_idle_timeout` more than that; 0: however slow.",
    ),
];

/// The end of `[auth]`.
pub(super) static AUTH: &[Key] = &[
    key(
        "auth.limits",
        List("the name of one of the [[limits]], not by \"user\""),
        Unset,
        "Limits that all requests at or below `auth.path` count against, in this order.",
    ),
    key(
        "auth.max_requests",
        Integer(1, 10_000_000),
        Unset,
        "The most requests at or below `auth.path` at once; `server.max_requests` does not count them.",
    ),
];

/// `[limiter]` and `[[limits]]`.
pub(super) static LIMITS: &[Key] = &[
    key(
        "limiter.url",
        Text("\"redis://USER@HOST:PORT/NUMBER\", or \"rediss://…\" for TLS, with ?ca= where needed"),
        Unset,
        "A Redis or Valkey in which all gateways count together, by its clock. Without one, or while it does not answer, each \
         counts by itself.",
    ),
    secret(
        "limiter.password",
        "a string",
        "The Redis password, where the URL does not hold it.",
    ),
    key(
        "limiter.password_file",
        Text("the path of a file"),
        Unset,
        "A file with the Redis password; one newline at its end does not count.",
    ),
    key(
        "limiter.ca_file",
        Text("the path of a file"),
        Unset,
        "The authority (PEM) that signs the certificate of Redis, where `?ca=` does not name it; without one, those that \
         the system trusts.",
    ),
    key(
        "limiter.prefix",
        Text("1 to 64 characters of A-Z a-z 0-9 - _ . :"),
        Value("\"doorward\""),
        "What the keys in Redis begin with, in braces: those who share it count together.",
    ),
    key(
        "limiter.timeout",
        Duration(ms(1), SECOND),
        Value("\"50ms\""),
        "How long a request waits for Redis to count it before it is counted by its gateway alone.",
    ),
    key(
        "limiter.capacity",
        Integer(64, 100_000_000),
        Value("100000"),
        "How many clients that used something of a limit are remembered, over all limits. Newcomers beyond that share what \
         one of them may.",
    ),
    key(
        "limiter.headers",
        Bool,
        Value("true"),
        "Whether answers to requests that passed say in `RateLimit` what is left, too.",
    ),
    key(
        "limits[].name",
        Text("1 to 32 characters of a-z 0-9 - _"),
        Required,
        "What routes call the limit. Those that name the same one share what it allows.",
    ),
    key(
        "limits[].rate",
        Text(
            "a whole number from 1 to 1000000 and a unit of time, such as \"100/s\", \"20/m\", \"1000/h\" or \"5000/d\"",
        ),
        Required,
        "How many requests each client may send in which time.",
    ),
    key(
        "limits[].burst",
        Integer(1, 1_000_000),
        Derived("the number in `rate`"),
        "How many of them it may send at once.",
    ),
    key(
        "limits[].by",
        OneOf(&["ip", "user", "all"]),
        Value("\"ip\""),
        "What a client is: an address (of IPv6, a network of /64), whoever the token names (without one, the address), or \
         everybody together.",
    ),
];
