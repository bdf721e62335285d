//! What the claims of another issuer's token say, and which of it becomes an identity.

use serde_json::{Map, Value};

use crate::config;
use crate::id::{Identity, Principal, Role, Subject, Told, UserName};
use crate::time::Timestamp;
use crate::token::claims::{LAST_SECOND, names};
use crate::token::{CLOCK_SKEW, Reason};

/// The most roles that are taken from one token: with the longest prefix they still fit a header.
const MAX_FOREIGN_ROLES: usize = 128;

/// When a token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) expires_at: Timestamp,
    pub(super) not_before: Option<Timestamp>,
}

/// Checks what every token has to say, whoever issued it: that it is for one of these audiences, and until when.
pub(super) fn check(claims: &Map<String, Value>, audiences: &[String]) -> Result<Times, Reason> {
    let is_ours = |one: &str| audiences.iter().any(|audience| audience == one);
    if !claims.get("aud").is_some_and(|aud| names(aud, is_ours)) {
        return Err(Reason::Audience);
    }
    // A security event, such as a logout token, is signed by the same keys and gives nobody access (RFC 8417, section 4).
    if claims.contains_key("events") {
        return Err(Reason::Type);
    }
    let expires_at = time(claims, "exp")?.ok_or(Reason::Time)?;
    let issued_by = time(claims, "iat")?.map(|issued_at| issued_at - CLOCK_SKEW);
    let not_before = time(claims, "nbf")?.max(issued_by);
    Ok(Times { expires_at, not_before })
}

/// A `NumericDate` of a year up to 9999, if the claim is there. Others may write fractions of a second (RFC 7519, section
/// 2), which are cut off.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Reason> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = match (value.as_i64(), value.as_f64()) {
        (Some(seconds), _) => seconds,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it saturates, and the bounds are checked below"
        )]
        (None, Some(seconds)) => seconds.floor() as i64,
        (None, None) => return Err(Reason::Time),
    };
    if (0..=LAST_SECOND).contains(&seconds) {
        Ok(Some(Timestamp::from_unix_seconds(seconds)))
    } else {
        Err(Reason::Time)
    }
}

/// The identity that the configuration makes of these claims. Without a user there is none; what else is missing or is not
/// what it should be is left out, and never guessed.
pub(super) fn identity(claims: Map<String, Value>, config: &config::Issuer) -> Result<Identity, Reason> {
    let paths = &config.claims;
    let text = |path: &Option<_>| -> Option<&str> { find(path.as_ref(), &claims)?.as_str() };
    let subject: Option<Subject> = paths.user.find(&claims).and_then(|user| user.as_str()?.parse().ok());
    let email = text(&paths.email).and_then(|email| email.parse().ok());
    let verified = paths
        .email
        .as_ref()
        .and_then(|path| path.beside("email_verified").find(&claims));
    let identity = Identity {
        principal: Principal::Foreign {
            issuer: config.name.clone(),
            subject: subject.ok_or(Reason::Id)?,
        },
        // An address that anybody can claim as theirs must not open what belongs to its owner.
        email: email.filter(|_| verified.is_none_or(says_yes)),
        name: text(&paths.name).and_then(|name| name.parse::<UserName>().ok()),
        roles: find(paths.roles.as_ref(), &claims)
            .map(|value| roles(value, &paths.role_prefix))
            .unwrap_or_default(),
        session: None,
        claims: Map::new(),
        told: Told::default(),
    };
    Ok(Identity { claims, ..identity })
}

fn find<'a>(path: Option<&crate::rules::claim_path::ClaimPath>, claims: &'a Map<String, Value>) -> Option<&'a Value> {
    path?.find(claims)
}

/// `email_verified` is a boolean, and with some issuers a string.
fn says_yes(value: &Value) -> bool {
    value.as_bool() == Some(true) || value.as_str() == Some("true")
}

/// The roles in a list of strings, or in one string with blanks or commas between them. What is no role of ours, even with
/// the prefix, is none.
fn roles(value: &Value, prefix: &str) -> Vec<Role> {
    let role = |text: &str| {
        format!("{prefix}{text}")
            .parse::<Role>()
            .ok()
            .filter(|_| !text.is_empty())
    };
    let mut roles: Vec<Role> = match value {
        Value::Array(list) => list
            .iter()
            .filter_map(|one| role(one.as_str()?))
            .take(MAX_FOREIGN_ROLES)
            .collect(),
        Value::String(text) => text
            .split([' ', ','])
            .filter_map(role)
            .take(MAX_FOREIGN_ROLES)
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    roles.sort_unstable();
    roles.dedup();
    roles
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn checked(claims: &Value) -> Result<Times, Reason> {
        check(&object(claims), &["api".to_owned(), "web".to_owned()])
    }

    #[test]
    fn times_may_have_fractions_and_must_be_of_this_era() {
        let at = Timestamp::from_unix_seconds;
        let times = checked(&json!({ "aud": "web", "exp": 1_800_000_000.9, "nbf": 5.5, "iat": 70 })).unwrap();
        assert_eq!(times.expires_at, at(1_800_000_000));
        assert_eq!(times.not_before, Some(at(10)));
        let times = checked(&json!({ "aud": ["x", "api"], "exp": 0 })).unwrap();
        assert_eq!((times.expires_at, times.not_before), (at(0), None));
        for bad in [
            json!(-0.5),
            json!(1e18),
            json!(f64::MAX),
            json!("1"),
            json!(null),
            json!(u64::MAX),
            json!([1]),
        ] {
            for name in ["exp", "nbf", "iat"] {
                let mut claims = json!({ "aud": "api", "exp": 1 });
                claims[name] = bad.clone();
                assert_eq!(checked(&claims), Err(Reason::Time), "{name}: {bad}");
            }
        }
        assert_eq!(checked(&json!({ "aud": "api" })), Err(Reason::Time));
    }

    #[test]
    fn roles_are_never_invented() {
        let of = |value: Value, prefix: &str| -> Vec<String> {
            roles(&value, prefix).iter().map(ToString::to_string).collect()
        };
        assert_eq!(of(json!(["b", "a", "b", "a b", "", 1, ["c"], "é"]), ""), ["a", "b"]);
        assert_eq!(of(json!(" b,,a  b "), "x:"), ["x:a", "x:b"]);
        assert_eq!(of(json!("r".repeat(60)), "12345"), [""; 0]);
        for none in [
            json!({ "admin": true }),
            json!(true),
            json!(null),
            json!(1),
            json!([""]),
            json!(""),
        ] {
            assert_eq!(of(none.clone(), "admin"), [""; 0], "{none}");
        }
        assert_eq!(of(json!(vec!["a"; 1000]), "").len(), 1);
        let many: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(of(json!(many), "").len(), MAX_FOREIGN_ROLES);
    }

    proptest! {
        #[test]
        fn a_role_is_what_the_issuer_says_with_the_prefix(
            said in proptest::collection::vec("[a-z:,. é]{0,6}", 0..6),
            prefix in "[a-z:]{0,4}",
            as_text in any::<bool>(),
        ) {
            let value = if as_text { json!(said.join(" ")) } else { json!(said) };
            let whole = said.join(" ");
            for role in roles(&value, &prefix) {
                let own = role.as_str().strip_prefix(&*prefix);
                prop_assert!(own.is_some_and(|own| !own.is_empty() && whole.contains(own)), "{role}");
            }
        }
    }
}
