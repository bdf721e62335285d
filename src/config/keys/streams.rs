//! `[[routes]]`: what goes on for longer than a request and its answer.

use super::Default::{Unset, Value};
use super::Kind::{Duration, List, OneOf};
use super::{DAY, Key, key, ms};

pub(super) static KEYS: &[Key] = &[
    key(
        "routes[].on_token_end",
        OneOf(&["end", "finish"]),
        Value("\"end\""),
        "What becomes of an exchange under way when its token expires or is revoked: it ends, or it may finish.",
    ),
    key(
        "routes[].upgrades",
        List("\"websocket\", or another protocol's upgrade token; not h2c, HTTP/… or TLS/…"),
        Value("[]"),
        "The protocols that connections may change to, as the `Upgrade` header names them.",
    ),
    key(
        "routes[].upgrade_idle_timeout",
        Duration(ms(10), DAY),
        Value("\"10m\""),
        "How long nothing may move in a tunnel, in either direction, before it is closed.",
    ),
    key(
        "routes[].upgrade_max_age",
        Duration(ms(10), DAY),
        Unset,
        "How long a tunnel may last; not set: for as long as its token is good.",
    ),
    key(
        "routes[].websocket_token",
        OneOf(&["header", "protocol"]),
        Value("\"header\""),
        "`protocol`: the token may also be a subprotocol `bearer.TOKEN`, for browsers, which can't set `Authorization` there. The upstream does not see it.",
    ),
];
