//! Who may pass a route.

use serde_json::{Map, Value};

use crate::id::Role;

/// What a route asks of a request's identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Whether a token is needed.
    pub auth: AuthMode,
    /// Any of these; empty: no role is asked for.
    pub roles: Vec<Role>,
    /// All of these, with equal values (or, where the token's value is a list, contained in it).
    pub claims: Map<String, Value>,
}

/// Whether a route needs a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Yes.
    Required,
    /// A request without one is anonymous, one with a bad one is refused.
    Optional,
    /// No, and one that is sent is not looked at.
    None,
}
