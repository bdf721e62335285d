//! Who may pass a route. [`decide`] is the only maker of a [`Permit`], and nothing is forwarded without one.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::id::{Identity, IssuerName, Principal, Role};

/// What a route asks of a request's identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Whether a token is needed.
    pub auth: AuthMode,
    /// Who has to vouch for it.
    pub issuers: TrustedIssuers,
    /// Any of these; empty: no role is asked for.
    pub roles: Vec<Role>,
    /// All of these, with equal values (or, where the token's value is a list, contained in it).
    pub claims: Map<String, Value>,
}

/// Whose word about an identity a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuers {
    /// Ours.
    pub own: bool,
    /// That of these.
    pub others: Vec<IssuerName>,
}

impl TrustedIssuers {
    /// Nobody's but ours.
    #[must_use]
    pub const fn own() -> Self {
        Self {
            own: true,
            others: Vec::new(),
        }
    }

    /// Whether the one who vouches for this principal is among them.
    #[must_use]
    pub fn vouch_for(&self, principal: &Principal) -> bool {
        match principal {
            Principal::User(_) => self.own,
            Principal::Foreign { issuer, .. } => self.others.contains(issuer),
        }
    }
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

/// The proof that one request may pass one route.
#[derive(Debug)]
pub struct Permit {
    identity: Option<Arc<Identity>>,
}

impl Permit {
    /// Who the upstream is told that the request comes from; `None` for an anonymous one.
    #[must_use]
    pub const fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }
}

/// Why a request may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The route needs an identity.
    #[error("this route needs a bearer token")]
    TokenMissing,
    /// Somebody vouches for the identity whose word the route does not take.
    #[error("a token of an issuer that this route does not accept")]
    Issuer,
    /// The identity has none of the route's roles.
    #[error("none of the roles that this route asks for")]
    MissingRole,
    /// A claim that the route asks for is missing or has another value.
    #[error("a claim that this route asks for is missing")]
    MissingClaim,
}

/// Decides whether a request of `who` (`None`: no token was sent) may pass.
///
/// With [`AuthMode::None`] the permit never carries an identity: what was not asked for is not vouched for. With
/// [`AuthMode::Optional`] an anonymous request passes only where neither roles nor claims are asked for: otherwise
/// leaving the token out would open what sending it closes.
pub fn decide(access: &Access, who: Option<&Arc<Identity>>) -> Result<Permit, Denied> {
    let restricted = !access.roles.is_empty() || !access.claims.is_empty();
    let identity = match (access.auth, who) {
        (AuthMode::None, _) => return Ok(Permit { identity: None }),
        (AuthMode::Optional, None) if !restricted => return Ok(Permit { identity: None }),
        (AuthMode::Required | AuthMode::Optional, None) => return Err(Denied::TokenMissing),
        (AuthMode::Required | AuthMode::Optional, Some(identity)) => identity,
    };
    // Whoever found out who it is has looked only at these issuers. A slip there must not open a door.
    if !access.issuers.vouch_for(&identity.principal) {
        return Err(Denied::Issuer);
    }
    if !access.roles.is_empty() && !access.roles.iter().any(|role| identity.roles.contains(role)) {
        return Err(Denied::MissingRole);
    }
    let holds = |(name, wanted): (&String, &Value)| match identity.claims.get(name) {
        Some(Value::Array(values)) => values.contains(wanted) || wanted.as_array() == Some(values),
        Some(value) => value == wanted,
        None => false,
    };
    if !access.claims.iter().all(holds) {
        return Err(Denied::MissingClaim);
    }
    Ok(Permit {
        identity: Some(Arc::clone(identity)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{SessionId, Told, UserId};
    use serde_json::json;

    fn ann(roles: &[&str], claims: Value) -> Arc<Identity> {
        let Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        Arc::new(Identity {
            principal: UserId::from_bytes([1; 16]).into(),
            email: "ann@example.com".parse().ok(),
            name: "Ann".parse().ok(),
            roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
            session: Some(SessionId::from_bytes([2; 16])),
            claims,
            told: Told::default(),
        })
    }

    fn access(auth: AuthMode, roles: &[&str], claims: Value) -> Access {
        let Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        Access {
            auth,
            issuers: TrustedIssuers::own(),
            roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
            claims,
        }
    }

    #[test]
    fn a_required_route_needs_an_identity_and_passes_it_on() {
        let access = access(AuthMode::Required, &[], json!({}));
        assert_eq!(decide(&access, None).unwrap_err(), Denied::TokenMissing);
        let who = ann(&[], json!({}));
        assert_eq!(decide(&access, Some(&who)).unwrap().identity(), Some(&who));
    }

    #[test]
    fn a_public_route_never_vouches_for_anybody() {
        let access = access(AuthMode::None, &[], json!({}));
        assert!(
            decide(&access, Some(&ann(&["admin"], json!({}))))
                .unwrap()
                .identity()
                .is_none()
        );
        assert!(decide(&access, None).unwrap().identity().is_none());
    }

    #[test]
    fn an_optional_route_takes_both() {
        let access = access(AuthMode::Optional, &[], json!({}));
        assert!(decide(&access, None).unwrap().identity().is_none());
        let who = ann(&[], json!({}));
        assert_eq!(decide(&access, Some(&who)).unwrap().identity(), Some(&who));
    }

    #[test]
    fn leaving_the_token_out_never_opens_what_sending_it_closes() {
        let user = ann(&["user"], json!({}));
        let by_role = access(AuthMode::Optional, &["admin"], json!({}));
        assert_eq!(decide(&by_role, None).unwrap_err(), Denied::TokenMissing);
        assert_eq!(decide(&by_role, Some(&user)).unwrap_err(), Denied::MissingRole);
        let by_claim = access(AuthMode::Optional, &[], json!({"tenant": "acme"}));
        assert_eq!(decide(&by_claim, None).unwrap_err(), Denied::TokenMissing);
        assert_eq!(decide(&by_claim, Some(&user)).unwrap_err(), Denied::MissingClaim);
    }

    #[test]
    fn a_route_takes_the_word_of_the_issuers_that_it_names_and_of_nobody_else() {
        let of_corp = Arc::new(Identity {
            principal: Principal::Foreign {
                issuer: "corp".parse().unwrap(),
                subject: "ann".parse().unwrap(),
            },
            ..(*ann(&["admin"], json!({}))).clone()
        });
        let ours = ann(&["admin"], json!({}));
        let passes = |own: bool, others: &[&str], who: &Arc<Identity>| {
            let access = Access {
                issuers: TrustedIssuers {
                    own,
                    others: others.iter().map(|name| name.parse().unwrap()).collect(),
                },
                ..access(AuthMode::Required, &["admin"], json!({}))
            };
            decide(&access, Some(who))
        };
        assert!(passes(true, &[], &ours).is_ok() && passes(false, &["partner", "corp"], &of_corp).is_ok());
        for denied in [
            passes(true, &[], &of_corp),
            passes(true, &["partner"], &of_corp),
            passes(false, &["corp"], &ours),
        ] {
            assert_eq!(denied.unwrap_err(), Denied::Issuer);
        }
    }

    #[test]
    fn any_role_is_enough_and_case_matters() {
        let access = access(AuthMode::Required, &["admin", "support"], json!({}));
        assert!(decide(&access, Some(&ann(&["support", "x"], json!({})))).is_ok());
        for roles in [&[][..], &["Admin"], &["admins"], &["user"]] {
            let denied = decide(&access, Some(&ann(roles, json!({})))).unwrap_err();
            assert_eq!(denied, Denied::MissingRole, "{roles:?}");
        }
    }

    #[test]
    fn every_claim_must_hold_with_its_type() {
        let access = access(AuthMode::Required, &[], json!({"tenant": "acme", "level": 3}));
        for held in [
            json!({"tenant": "acme", "level": 3, "more": 1}),
            json!({"tenant": ["other", "acme"], "level": [3]}),
        ] {
            assert!(decide(&access, Some(&ann(&[], held))).is_ok());
        }
        for lacking in [
            json!({"tenant": "acme"}),
            json!({"tenant": "acme", "level": "3"}),
            json!({"tenant": "Acme", "level": 3}),
            json!({"tenant": {"acme": true}, "level": 3}),
            json!({"tenant": [["acme"]], "level": 3}),
            json!({"tenant": [], "level": 3}),
            json!({"tenant": null, "level": 3}),
        ] {
            let denied = decide(&access, Some(&ann(&[], lacking.clone()))).unwrap_err();
            assert_eq!(denied, Denied::MissingClaim, "{lacking}");
        }
    }

    #[test]
    fn a_list_that_is_asked_for_equals_a_list() {
        let access = access(AuthMode::Required, &[], json!({"scopes": ["a", "b"]}));
        assert!(decide(&access, Some(&ann(&[], json!({"scopes": ["a", "b"]})))).is_ok());
        assert!(decide(&access, Some(&ann(&[], json!({"scopes": ["a"]})))).is_err());
    }
}
