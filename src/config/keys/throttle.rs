//! How guesses are slowed down.

use super::Default::{Derived, Value};
use super::Kind::{Duration, Integer, Text};
use super::{DAY, Key, Kind, YEAR, key, ms};

const RATE: Kind =
    Text("a whole number from 1 to 1000000 and a unit of time, such as \"20/m\", \"100/h\" or \"1000/d\", or \"off\"");

/// `[throttle]`, and what `[passwords]` says of it.
pub(super) static KEYS: &[Key] = &[
    key(
        "passwords.queue_per_address",
        Integer(1, 100_000),
        Derived("half of `passwords.concurrency` and `passwords.queue` together, at least one"),
        "How many of those that run and wait may be for one address (of IPv6, a network of /64).",
    ),
    key(
        "throttle.free_failures",
        Integer(1, 1000),
        Value("5"),
        "How many wrong passwords for one account from one network (of IPv4 /24, of IPv6 /48), or from one address that the \
         account was logged in to from, cost no time.",
    ),
    key(
        "throttle.first_delay",
        Duration(ms(1), DAY),
        Value("\"1s\""),
        "How long the next attempt from there has to wait then. Each one more doubles it.",
    ),
    key(
        "throttle.max_delay",
        Duration(ms(0), DAY),
        Value("\"15m\""),
        "The longest such wait; `\"0s\"`: none.",
    ),
    key(
        "throttle.forget_after",
        Duration(ms(1), YEAR),
        Value("\"1h\""),
        "After how long without an attempt the failures are forgotten; at least `throttle.max_delay`.",
    ),
    key(
        "throttle.known_for",
        Duration(ms(0), YEAR),
        Value("\"30d\""),
        "How long after a login its address keeps an allowance of its own for that account; `\"0s\"`: no address does.",
    ),
    key(
        "throttle.per_account",
        RATE,
        Value("\"100/h\""),
        "How many wrong passwords for one account, from all addresses that it is not known to be used from.",
    ),
    key(
        "throttle.per_address",
        RATE,
        Value("\"100/h\""),
        "How many wrong passwords from one address (of IPv6, a network of /64), whatever the accounts.",
    ),
    key(
        "throttle.per_network",
        RATE,
        Value("\"500/h\""),
        "The same from one network: of IPv4 /24, of IPv6 /48.",
    ),
    key(
        "throttle.signups_per_address",
        RATE,
        Value("\"50/h\""),
        "How many sign-ups from one address (of IPv6, a network of /64). Ten times as many passwords are judged.",
    ),
    key(
        "throttle.signups_per_network",
        RATE,
        Value("\"250/h\""),
        "The same from one network: of IPv4 /24, of IPv6 /48.",
    ),
    key(
        "throttle.refreshes_per_session",
        RATE,
        Value("\"60/m\""),
        "How often one session may be refreshed.",
    ),
    key(
        "throttle.bad_refreshes_per_address",
        RATE,
        Value("\"1000/h\""),
        "How many different refresh tokens that are no good may come from one address (of IPv6, a network of /64). Those that were \
         seen to be no good may come again, all together, 60 times as often.",
    ),
    key(
        "throttle.bad_secrets_per_client",
        RATE,
        Value("\"60/h\""),
        "How many wrong secrets for one id of `[[clients]]` from one address.",
    ),
    key(
        "throttle.capacity",
        Integer(16, 100_000_000),
        Value("1000000"),
        "How many rows the table of attempts may have, about, without those of known addresses. Newcomers beyond that share what a \
         few of them may.",
    ),
];
