//! Who the explained request comes from: somebody with the given roles and claims, or nobody.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::id::{Identity, IssuerName, Principal, Role, SessionId, Told, UserId};

#[derive(clap::Args, Debug)]
pub(super) struct Who {
    /// A role that the user has; repeatable
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
    /// A claim that the token has: JSON, or text where it is none; repeatable
    #[arg(long = "claim", value_name = "KEY=VALUE", value_parser = parse_claim)]
    claims: Vec<(String, Value)>,
    /// The issuer of the token, where it is not the gateway itself
    #[arg(long, value_name = "NAME")]
    pub(super) issuer: Option<IssuerName>,
    /// Send no token
    #[arg(long, conflicts_with_all = ["roles", "claims", "issuer"])]
    anonymous: bool,
}

fn parse_claim(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            Ok((key.to_owned(), value))
        }
        Some(_) | None => Err("expected KEY=VALUE".to_owned()),
    }
}

impl Who {
    /// The identity that a token of that user would prove; `None` for nobody.
    pub(super) fn identity(&self) -> Result<Option<Arc<Identity>>, String> {
        if self.anonymous {
            return Ok(None);
        }
        let mut roles = self.roles.clone();
        roles.sort();
        roles.dedup();
        let mut identity = Identity {
            principal: UserId::from_bytes([0; 16]).into(),
            email: "user@example.com"
                .parse()
                .map(Some)
                .map_err(|error| format!("{error}"))?,
            name: "Example User".parse().map(Some).map_err(|error| format!("{error}"))?,
            roles,
            session: Some(SessionId::from_bytes([0; 16])),
            claims: Map::new(),
            told: Told::default(),
        };
        if let Some(issuer) = &self.issuer {
            identity.principal = Principal::Foreign {
                issuer: issuer.clone(),
                subject: "user".parse().map_err(|error| format!("{error}"))?,
            };
            (identity.email, identity.name, identity.session) = (None, None, None);
        }
        identity.claims = claims(&identity);
        identity.claims.retain(|_, value| !value.is_null());
        identity.claims.extend(self.claims.iter().cloned());
        Ok(Some(Arc::new(identity)))
    }
}

/// The claims of a token that a route may ask for.
fn claims(identity: &Identity) -> Map<String, Value> {
    let standard = json!({
        "sub": identity.principal,
        "sid": identity.session,
        "email": identity.email,
        "name": identity.name,
        "roles": identity.roles,
    });
    match standard {
        Value::Object(claims) => claims,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// The user in words.
pub(super) fn describe(who: Option<&Identity>) -> String {
    let Some(identity) = who else {
        return "nobody (no token)".to_owned();
    };
    let email = identity.email.as_ref().map(ToString::to_string);
    let name = email.unwrap_or_else(|| identity.principal.to_string());
    let roles: Vec<_> = identity.roles.iter().map(Role::as_str).collect();
    if roles.is_empty() {
        format!("{name} without roles")
    } else {
        format!("{name} with role {}", roles.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_json_or_else_text() {
        for (given, value) in [
            ("a=acme", json!("acme")),
            ("a=3", json!(3)),
            ("a=\"3\"", json!("3")),
            ("a=0123", json!("0123")),
            ("a=[1,2]", json!([1, 2])),
            ("a=b=c", json!("b=c")),
            ("a=", json!("")),
        ] {
            assert_eq!(parse_claim(given), Ok(("a".to_owned(), value)));
        }
        assert!(parse_claim("acme").is_err() && parse_claim("=x").is_err());
    }

    #[test]
    fn nobody_has_no_identity() {
        let mut who = Who {
            roles: ["b", "a", "b"].map(|role| role.parse().unwrap()).into(),
            claims: vec![("tenant".to_owned(), json!("acme"))],
            issuer: None,
            anonymous: false,
        };
        let identity = who.identity().unwrap().unwrap();
        assert_eq!(identity.claims["tenant"], "acme");
        assert_eq!(identity.claims["roles"], json!(["a", "b"]));
        assert_eq!(describe(Some(&identity)), "user@example.com with role a, b");
        who.anonymous = true;
        assert_eq!(who.identity(), Ok(None));
    }
}
