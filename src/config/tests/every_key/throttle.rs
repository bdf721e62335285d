//! How guesses are slowed down.

use super::{Row, row};

const RATE: &[&str] = &["\"20\"", "\"0/s\"", "\"1/w\"", "\"no\"", "\"\"", "20", "false"];

pub(super) const ROWS: &[Row] = &[
    row(
        "passwords.queue_per_address",
        "7",
        "queue_per_address: 7",
        &["0", "100001", "\"7\""],
    ),
    row(
        "throttle.free_failures",
        "7",
        "delays: Some(Delays { free: 7, first: 1s, most: 900s, forget: 3600s })",
        &["0", "1001", "\"7\"", "-1"],
    ),
    row(
        "throttle.first_delay",
        "\"2s\"",
        "first: 2s",
        &["2", "\"0s\"", "\"2d\"", "\"16m\""],
    ),
    row(
        "throttle.max_delay",
        "\"20m\"",
        "most: 1200s",
        &["20", "\"2d\"", "\"1ms\"", "\"2h\""],
    ),
    row(
        "throttle.forget_after",
        "\"2h\"",
        "forget: 7200s",
        &["2", "\"366d\"", "\"14m\""],
    ),
    row("throttle.known_for", "\"0s\"", "known_for: 0ns", &["0", "\"366d\""]),
    row("throttle.per_account", "\"off\"", "per_account: None", RATE),
    row(
        "throttle.per_address",
        "\"off\"",
        "per_address: None, per_network",
        RATE,
    ),
    row("throttle.per_network", "\"off\"", "per_network: None, signups", RATE),
    row(
        "throttle.signups_per_address",
        "\"off\"",
        "signups_per_address: None",
        RATE,
    ),
    row(
        "throttle.signups_per_network",
        "\"off\"",
        "signups_per_network: None",
        RATE,
    ),
    row(
        "throttle.refreshes_per_session",
        "\"off\"",
        "refreshes_per_session: None",
        RATE,
    ),
    row(
        "throttle.bad_refreshes_per_address",
        "\"20/m\"",
        "bad_refreshes_per_address: Some(Quota { interval: 3000000000, burst: 20 })",
        RATE,
    ),
    row(
        "throttle.bad_secrets_per_client",
        "\"off\"",
        "bad_secrets_per_client: None",
        RATE,
    ),
    row(
        "throttle.capacity",
        "1234",
        "capacity: 1234 }",
        &["15", "100000001", "\"7\""],
    ),
];
