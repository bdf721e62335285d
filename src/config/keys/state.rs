//! The keys of what the gateway keeps: store, signing keys, tokens, revocations, passwords.

use super::Default::{Derived, Unset, Value};
use super::Kind::{Bool, Duration, Integer, OneOf, Text};
use super::{DAY, HOUR, Key, MINUTE, SECOND, YEAR, key, ms, secret};

/// `[store]` to `[passwords]`.
pub(super) static KEYS: &[Key] = &[
    key(
        "store.url",
        Text("\"sqlite://PATH\", or \"mysql://USER@HOST:PORT/DATABASE\" with ?socket=, ?tls= and ?ca= where needed"),
        Value("\"sqlite://data/doorward.db\""),
        "Where users, sessions, keys and revocations are kept. A relative SQLite path is relative to the config file. \
         MySQL: `?socket=/path` (a Unix socket), `?tls=disabled|preferred|required|verify-ca|verify-identity` (default \
         `preferred`), `?ca=/path/to/ca.pem`.",
    ),
    secret(
        "store.password",
        "a string",
        "The MySQL password, where the URL does not hold it.",
    ),
    key(
        "store.password_file",
        Text("the path of a file"),
        Unset,
        "A file with the MySQL password; one newline at its end does not count.",
    ),
    key(
        "store.max_connections",
        Integer(1, 10_000),
        Value("10"),
        "The most connections to the database.",
    ),
    key(
        "store.connect_timeout",
        Duration(ms(10), HOUR),
        Value("\"5s\""),
        "How long a connection to the database may take to be made or to become free.",
    ),
    key(
        "store.query_timeout",
        Duration(ms(10), HOUR),
        Value("\"5s\""),
        "How long one query or transaction may take.",
    ),
    key(
        "store.migrate_on_start",
        Bool,
        Derived("`true` on SQLite, `false` on MySQL"),
        "Whether `serve` applies migrations itself.",
    ),
    key(
        "store.cleanup_every",
        Duration(ms(100), DAY),
        Value("\"60s\""),
        "How often expired rows are removed.",
    ),
    key(
        "store.cleanup_batch",
        Integer(1, 100_000),
        Value("1000"),
        "How many rows one statement of a clean-up removes at the most.",
    ),
    key(
        "keys.master_key_file",
        Text("the path of a file"),
        Derived("`master.key` beside the SQLite file; with MySQL `data/master.key` beside the config file"),
        "The key that seals the signing keys: 32 bytes, as 64 hex digits or base64.",
    ),
    key(
        "keys.create",
        Bool,
        Derived("`true` on SQLite, `false` on MySQL"),
        "Whether a missing master key and a missing signing key are made at start.",
    ),
    key(
        "keys.reload_every",
        Duration(ms(100), MINUTE),
        Value("\"5s\""),
        "How often a replica reads the signing keys again: how late it may learn of a new one.",
    ),
    key(
        "keys.rotate_every",
        Duration(HOUR, YEAR),
        Unset,
        "How long a signing key signs before another replaces it by itself; without this, `keys rotate` does.",
    ),
    key(
        "tokens.issuer",
        Text("an http:// or https:// URL without query and fragment"),
        Derived("`http://`, the first `server.listen` (or `https://` and the first `tls.listen`), and `auth.path`"),
        "The `iss` of our tokens and of the metadata: the public URL of the endpoints.",
    ),
    key(
        "tokens.audience",
        Text("1 to 255 printable ASCII characters without spaces"),
        Value("\"doorward\""),
        "The `aud` of our tokens.",
    ),
    key(
        "tokens.algorithm",
        OneOf(&[
            "EdDSA", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "HS256", "HS384", "HS512",
        ]),
        Value("\"EdDSA\""),
        "The algorithm of the signing keys that we make, or of `tokens.secret`.",
    ),
    key(
        "tokens.access_ttl",
        Duration(SECOND, DAY),
        Value("\"15m\""),
        "How long an access token lives; never beyond its session.",
    ),
    key(
        "tokens.refresh_ttl",
        Duration(SECOND, YEAR),
        Value("\"7d\""),
        "How long a refresh token lives unused; never beyond its session.",
    ),
    key(
        "tokens.session_ttl",
        Duration(SECOND, YEAR),
        Value("\"30d\""),
        "How long a session lives at the most.",
    ),
    key(
        "tokens.leeway",
        Duration(ms(0), std::time::Duration::from_mins(5)),
        Value("\"5s\""),
        "How far clocks may differ when `exp` and `nbf` are judged.",
    ),
    secret(
        "tokens.secret",
        "a string of at least 32 (HS256), 48 (HS384) or 64 (HS512) bytes",
        "A shared secret in place of stored keys, only with an HS algorithm. Tokens without `kid` are then accepted.",
    ),
    key(
        "tokens.secret_file",
        Text("the path of a file"),
        Unset,
        "A file with the shared secret; one newline at its end does not count.",
    ),
    key(
        "tokens.cache_capacity",
        Integer(0, 100_000_000),
        Value("100000"),
        "How many verified tokens are remembered, at two to three KiB each; one of more than 2 KiB counts as several.",
    ),
    key(
        "revocation.url",
        Text("\"redis://USER@HOST:PORT/NUMBER\", or \"rediss://…\" for TLS, with ?ca= where needed"),
        Unset,
        "A Redis or Valkey that keeps the revocations in place of the database. `rediss://` is TLS; \
         `?ca=/path/to/ca.pem` names a private authority.",
    ),
    secret(
        "revocation.password",
        "a string",
        "The Redis password, where the URL does not hold it.",
    ),
    key(
        "revocation.password_file",
        Text("the path of a file"),
        Unset,
        "A file with the Redis password; one newline at its end does not count.",
    ),
    key(
        "revocation.ca_file",
        Text("the path of a file"),
        Unset,
        "The authority (PEM) that signs the certificate of Redis, where `?ca=` does not name it; without one, those that \
         the system trusts.",
    ),
    key(
        "revocation.prefix",
        Text("1 to 64 characters of A-Z a-z 0-9 - _ . :"),
        Value("\"doorward\""),
        "What the keys in Redis begin with, in braces: those who share it share their revocations.",
    ),
    key(
        "revocation.poll_interval",
        Duration(ms(10), MINUTE),
        Value("\"500ms\""),
        "How often a replica asks for new revocations: the longest that it may not know a logout on another replica. \
         Redis pushes them: there it bounds how long the loss of data goes unnoticed.",
    ),
    key(
        "revocation.overlap",
        Duration(SECOND, HOUR),
        Value("\"30s\""),
        "How far back each poll looks for rows that become visible out of order; longer than `store.query_timeout`.",
    ),
    key(
        "revocation.full_reread",
        Duration(SECOND, DAY),
        Value("\"60s\""),
        "How often all revocations are read again.",
    ),
    key(
        "revocation.max_staleness",
        Duration(ms(100), HOUR),
        Value("\"10s\""),
        "How long polls may fail before `revocation.on_stale` applies; longer than `revocation.poll_interval`.",
    ),
    key(
        "revocation.on_stale",
        OneOf(&["refuse", "allow"]),
        Value("\"refuse\""),
        "What guarded routes do then: `refuse` answers 503, `allow` decides by what was known last.",
    ),
    key(
        "passwords.bcrypt_cost",
        Integer(4, 16),
        Value("12"),
        "The cost of a bcrypt hash: each step doubles its time.",
    ),
    key(
        "passwords.min_length",
        Integer(8, 72),
        Value("8"),
        "The fewest characters of a new password.",
    ),
    key(
        "passwords.concurrency",
        Integer(1, 1024),
        Derived("one per core"),
        "How many hashes run at once.",
    ),
    key(
        "passwords.queue",
        Integer(0, 100_000),
        Value("64"),
        "How many wait for their turn before the answer is 503.",
    ),
];
