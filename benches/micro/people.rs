//! Somebody who sends requests, and what routes ask of them.

use std::sync::Arc;

use doorward::id::{Identity, Role, SessionId, Told, UserId};
use doorward::rules::policy::{Access, AuthMode, TrustedIssuers};
use serde_json::{Value, json};

/// A user of ours, with three roles and the claims that a token of ours has, and two more.
pub(crate) fn ann() -> Arc<Identity> {
    let claims = json!({
        "iss": "https://shop.example.com/auth", "sub": "01010101-0101-0101-0101-010101010101", "aud": "doorward",
        "exp": 1_800_000_900, "iat": 1_800_000_000, "email": "ann@example.com", "name": "Ann Example",
        "roles": ["billing", "support", "user"], "gen": 1, "tenant": "acme", "scopes": ["read", "write", "delete"],
    });
    let Value::Object(claims) = claims else {
        unreachable!("claims are an object")
    };
    Arc::new(Identity {
        principal: UserId::from_bytes([1; 16]).into(),
        email: Some("ann@example.com".parse().expect("an e-mail address")),
        name: Some("Ann Example".parse().expect("a name")),
        roles: roles(&["billing", "support", "user"]),
        session: Some(SessionId::from_bytes([2; 16])),
        claims,
        told: Told::default(),
    })
}

/// What a route asks for that takes our own tokens.
pub(crate) fn access(auth: AuthMode, any_of: &[&str], claims: Value) -> Access {
    let Value::Object(claims) = claims else {
        unreachable!("claims are an object")
    };
    Access {
        auth,
        issuers: TrustedIssuers::own(),
        roles: roles(any_of),
        claims,
    }
}

fn roles(names: &[&str]) -> Vec<Role> {
    names.iter().map(|name| name.parse().expect("a role")).collect()
}
