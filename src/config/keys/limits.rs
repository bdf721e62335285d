//! What clients may cost, and how it is known who they are.

use super::Default::Value;
use super::Key;
use super::Kind::OneOf;
use super::key;

/// The end of `[server]`.
pub(super) static SERVER: &[Key] = &[key(
    "server.proxy_protocol",
    OneOf(&["off", "optional", "required"]),
    Value("\"off\""),
    "Whether a PROXY header (version 1 or 2) at the beginning of a connection says who the client is. Only \
     `server.trusted_proxies` may send one: with `required` all others are turned away, with `optional` theirs is not read.",
)];
