//! `[upstreams.NAME]`

use super::Default::{Required, Value};
use super::Kind::{Duration, Integer, List};
use super::{DAY, HOUR, Key, key, ms};

pub(super) static KEYS: &[Key] = &[
    key(
        "upstreams.NAME.servers",
        List("\"http://HOST:PORT\" or \"builtin:whoami\""),
        Required,
        "The servers, used in turn. `builtin:whoami` answers with the request as an upstream would see it.",
    ),
    key(
        "upstreams.NAME.connect_timeout",
        Duration(ms(10), HOUR),
        Value("\"5s\""),
        "How long a connection may take to be made.",
    ),
    key(
        "upstreams.NAME.response_timeout",
        Duration(ms(10), DAY),
        Value("\"60s\""),
        "How long the upstream may take from the whole request head sent to the head of its answer.",
    ),
    key(
        "upstreams.NAME.pool_idle_timeout",
        Duration(ms(10), DAY),
        Value("\"60s\""),
        "How long an idle connection is kept.",
    ),
    key(
        "upstreams.NAME.pool_max_idle",
        Integer(0, 100_000),
        Value("128"),
        "How many idle connections each worker keeps per server.",
    ),
];
