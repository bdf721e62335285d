//! The keys of the gateway itself: listeners, endpoints, identity headers, logs.

use super::Default::{Derived, Required, Unset, Value};
use super::Kind::{Bool, Duration, Integer, Limit, List, OneOf, Size, Text};
use super::{DAY, HOUR, KIB, Key, MIB, key, ms, secret};

/// `[server]`, but for what [`limits`](super::limits) adds to it.
pub(super) static SERVER: &[Key] = &[
    key(
        "server.listen",
        List("an IP address and port such as \"127.0.0.1:8080\" or \"[::]:80\""),
        Derived("`\"127.0.0.1:8080\"`; none where `tls.listen` has one"),
        "Where HTTP without TLS is served. Port 0 asks the system for a free one.",
    ),
    key(
        "server.trusted_proxies",
        List("a network such as \"10.0.0.0/8\" or an IP address, never everybody (/0)"),
        Value("[]"),
        "Peers whose `X-Forwarded-*`, `Forwarded` and PROXY headers are believed.",
    ),
    key(
        "server.workers",
        Integer(1, 1024),
        Derived("one per core"),
        "Proxy worker threads.",
    ),
    key(
        "server.drain",
        Duration(ms(0), DAY),
        Value("\"30s\""),
        "How long requests in flight may take to finish once the gateway is told to stop.",
    ),
    key(
        "server.handover",
        Text("the path of a Unix socket"),
        Unset,
        "Where this gateway offers its listening sockets to the one of the same user that is started to take over, which finds them there.",
    ),
    key(
        "server.reuse_port",
        Bool,
        Value("false"),
        "Whether another gateway of the same user may listen beside this one, on all listeners and `admin.listen`: an upgrade by overlap. Without it, a second one is refused the addresses.",
    ),
    key(
        "server.watch",
        Duration(ms(10), HOUR),
        Unset,
        "How often the configuration and the files that it names are looked at; a change that two looks agree on is taken as SIGHUP would. Without this, SIGHUP alone does.",
    ),
    key(
        "server.max_header_bytes",
        Size(KIB, MIB),
        Value("\"64KiB\""),
        "The largest request head.",
    ),
    key(
        "server.max_headers",
        Integer(1, 1000),
        Value("100"),
        "The most header lines in a request.",
    ),
    key(
        "server.max_target_bytes",
        Size(64, MIB),
        Derived("8KiB, or `server.max_header_bytes` where that is less"),
        "The longest request target; at most `server.max_header_bytes`.",
    ),
    key(
        "server.max_body",
        Limit,
        Value("\"unlimited\""),
        "The largest request body where a route does not say otherwise.",
    ),
    key(
        "server.header_timeout",
        Duration(ms(10), HOUR),
        Value("\"10s\""),
        "How long a client may take from the first byte of a request head to its end.",
    ),
    key(
        "server.keep_alive",
        Duration(ms(10), DAY),
        Value("\"75s\""),
        "How long a connection may idle between requests.",
    ),
    key(
        "server.body_idle_timeout",
        Duration(ms(10), DAY),
        Value("\"30s\""),
        "How long a client may pause within a body, sending or receiving.",
    ),
    key(
        "server.trace",
        OneOf(&["pass", "start", "off"]),
        Value("\"pass\""),
        "What becomes of `traceparent` and `tracestate`: `pass` passes valid ones on and drops others, `start` also begins a trace \
         where there is none, `off` drops all.",
    ),
    key(
        "server.security_headers",
        Bool,
        Value("false"),
        "Whether answers get security headers where a route does not say otherwise, and those of our own endpoints do.",
    ),
    key(
        "server.max_connections",
        Integer(1, 10_000_000),
        Value("10000"),
        "The most connections at once, over all listeners and workers.",
    ),
    key(
        "server.h2c",
        Bool,
        Value("false"),
        "Whether clients without TLS may speak HTTP/2 at once (\"prior knowledge\"); with TLS, ALPN decides.",
    ),
];

/// `[admin]`.
pub(super) static ADMIN: &[Key] = &[key(
    "admin.listen",
    Text("an IP address and port such as \"127.0.0.1:9090\", or \"\" to turn it off"),
    Value("\"127.0.0.1:9090\""),
    "Where `/healthz`, `/readyz` and `/metrics` are served, never on the public listener; `\"\"` turns them off.",
)];

/// `[auth]`, but for what [`limits`](super::limits) adds to it.
pub(super) static AUTH: &[Key] = &[
    key(
        "auth.path",
        Text("a path such as \"/auth\": segments of A-Z a-z 0-9 - . _ ~, no slash at the end"),
        Value("\"/auth\""),
        "Where the endpoints that we own live. Nothing below it ever reaches an upstream.",
    ),
    key(
        "auth.signup",
        OneOf(&["open", "closed"]),
        Value("\"open\""),
        "Who makes accounts: anybody, or the operator alone by `doorward users add`.",
    ),
    key(
        "auth.docs",
        Bool,
        Value("true"),
        "Whether `/auth/docs` and `/auth/openapi.json` are served.",
    ),
];

/// `[identity]` to `[log]`.
pub(super) static ENDPOINTS: &[Key] = &[
    key(
        "auth.verify",
        Bool,
        Value("false"),
        "Whether `/auth/verify` answers the proxies in `server.trusted_proxies` that ask whether a request may pass.",
    ),
    key(
        "auth.cors.origins",
        List("an origin such as \"https://app.example.com\" or \"https://*.example.com\", or \"*\" alone"),
        Unset,
        "The origins whose pages may use the endpoints; not set: only pages of the gateway's own origin may.",
    ),
    key(
        "auth.cors.max_age",
        Duration(ms(0), DAY),
        Value("\"5m\""),
        "How long a browser may remember that.",
    ),
    key(
        "identity.prefix",
        Text("the beginning of a header name, ending in \"-\" and not that of a header with a meaning of its own"),
        Value("\"X-Auth-\""),
        "What the identity headers begin with: `X-Auth-User-Id`, `-Email`, `-Name`, `-Roles`, `-Session`, `-Issuer`, `-Assertion`.",
    ),
    key(
        "identity.forward_token",
        Bool,
        Value("false"),
        "Whether the upstream gets the `Authorization` header.",
    ),
    key(
        "identity.assertion",
        Bool,
        Value("false"),
        "Whether upstreams get a signed assertion of who a request comes from, where a route does not say otherwise. Needs a \
         `tokens.algorithm` with public keys.",
    ),
    key(
        "clients[].id",
        Text("1 to 64 characters of a-z A-Z 0-9 - _ ."),
        Required,
        "What the client is called.",
    ),
    secret(
        "clients[].secret",
        "a string of at least 32 bytes, all printable ASCII",
        "What it proves that with. It has to be here or in `secret_file`.",
    ),
    key(
        "clients[].secret_file",
        Text("the path of a file"),
        Unset,
        "A file with the secret; one newline at its end does not count.",
    ),
    key(
        "clients[].allow",
        List("\"introspect\" or \"revoke\""),
        Value("[\"introspect\", \"revoke\"]"),
        "What it may do: ask about tokens at `/auth/introspect`, end them at `/auth/revoke`.",
    ),
    key(
        "log.format",
        OneOf(&["auto", "text", "json"]),
        Value("\"auto\""),
        "How log lines look; `auto` is text on a terminal and JSON otherwise.",
    ),
    key(
        "log.filter",
        Text("a level (error, warn, info, debug, trace) or directives such as \"info,doorward::proxy=debug\""),
        Value("\"info\""),
        "What is logged.",
    ),
    key("log.access", Bool, Value("true"), "Whether each request gets a line."),
];
