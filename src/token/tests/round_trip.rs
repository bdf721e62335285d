//! What is issued is accepted, by every algorithm, for as long as it should be.

use std::time::Duration;

use serde_json::{Value, json};

use super::forge::{AUDIENCE, ISSUER, NOW, blocklist, config, jti, private, shared, tokens};
use crate::config::Algorithm;
use crate::id::{Email, KeyId, MAX_ROLES, Role, SessionId, UserId, UserName};
use crate::store::{Revocation, Revoked};
use crate::time::Timestamp;
use crate::token::key::Key;
use crate::token::{KeySet, Reason, Refusal, Subject, TokenError, Tokens, read_unverified};

struct Ann {
    user: UserId,
    email: Email,
    name: UserName,
    roles: Vec<Role>,
    session: SessionId,
}

fn ann() -> Ann {
    Ann {
        user: UserId::generate(NOW),
        email: "ann@example.com".parse().unwrap(),
        name: "Ann Ö. Lee".parse().unwrap(),
        roles: vec!["admin".parse().unwrap(), "user".parse().unwrap()],
        session: SessionId::generate(NOW),
    }
}

impl Ann {
    fn subject(&self) -> Subject<'_> {
        Subject {
            user: self.user,
            email: &self.email,
            name: &self.name,
            roles: &self.roles,
            session: self.session,
            generation: 3,
            session_expires_at: NOW + Duration::from_hours(720),
        }
    }
}

#[test]
fn a_key_that_begins_within_a_minute_signs_where_no_other_does() {
    let ann = ann();
    let issues = |keys: Vec<Key>| {
        let tokens = Tokens::new(&config(Algorithm::EdDsa), KeySet::new(keys), blocklist());
        let issued = tokens.issue(&ann.subject(), NOW).ok()?;
        assert!(tokens.authenticate(issued.text.expose(), NOW).is_ok());
        Some(read_unverified(issued.text.expose()).unwrap().header["alg"].clone())
    };
    let from = |algorithm: Algorithm, seconds| {
        let kid = algorithm.as_str().parse().unwrap();
        let key = Key::from_private(Some(kid), algorithm, private(algorithm)).unwrap();
        key.within(NOW + Duration::from_secs(seconds), None)
    };
    assert_eq!(issues(vec![from(Algorithm::EdDsa, 60)]), Some(json!("EdDSA")));
    assert_eq!(issues(vec![from(Algorithm::EdDsa, 61)]), None);
    let both = vec![from(Algorithm::EdDsa, 30), from(Algorithm::Es256, 0)];
    assert_eq!(issues(both), Some(json!("ES256")));
}

#[test]
fn a_revoked_key_neither_vouches_for_its_tokens_nor_signs_new_ones() {
    let (tokens, ann) = (tokens(Algorithm::EdDsa), ann());
    let issued = tokens.issue(&ann.subject(), NOW).unwrap();
    let revoke = |kid: &str| {
        let target = Revoked::Key(kid.parse::<KeyId>().unwrap().digest());
        let expires_at = tokens.revoke_until(NOW);
        tokens.revocations.apply(&[Revocation { target, expires_at }], NOW);
    };
    revoke("another");
    assert!(tokens.authenticate(issued.text.expose(), NOW).is_ok());
    revoke("k1");
    for _ in 0..2 {
        let refused = tokens.authenticate(issued.text.expose(), NOW);
        assert_eq!(refused.err(), Some(Refusal::Revoked));
    }
    let refused = tokens.issue(&ann.subject(), NOW);
    assert!(matches!(refused, Err(TokenError::NoSigningKey)), "{refused:?}");
}

#[test]
fn as_many_roles_as_a_user_may_have_fit_by_every_algorithm_and_what_does_not_fit_is_not_issued() {
    let role = |number: usize| format!("{number:064}").parse::<Role>().unwrap();
    for algorithm in Algorithm::ALL.iter().copied() {
        let (tokens, mut ann) = (tokens(algorithm), ann());
        ann.name = "🦀".repeat(100).parse().unwrap();
        ann.roles = (0..MAX_ROLES).map(role).collect();
        let issued = tokens.issue(&ann.subject(), NOW).unwrap();
        assert!(tokens.authenticate(issued.text.expose(), NOW).is_ok(), "{algorithm:?}");
        ann.roles = (0..200).map(role).collect();
        let refused = tokens.issue(&ann.subject(), NOW);
        assert!(
            matches!(refused, Err(TokenError::TooLong(_))),
            "{algorithm:?}: {refused:?}"
        );
    }
}

#[test]
fn what_is_issued_is_accepted_by_every_algorithm() {
    for algorithm in Algorithm::ALL.iter().copied() {
        let (tokens, ann) = (tokens(algorithm), ann());
        let issued = tokens.issue(&ann.subject(), NOW).unwrap();
        for _ in 0..2 {
            let verified = tokens.authenticate(issued.text.expose(), NOW).unwrap();
            assert_eq!(verified.user, ann.user, "{algorithm:?}");
            assert_eq!(verified.identity.email.as_ref(), Some(&ann.email));
            assert_eq!(verified.identity.name.as_ref(), Some(&ann.name));
            assert_eq!(verified.identity.roles, ann.roles);
            assert_eq!(verified.session, ann.session);
            assert_eq!((verified.token, verified.generation), (issued.id, 3));
            assert_eq!((verified.issued_at, verified.expires_at), (NOW, issued.expires_at));
        }
    }
}

#[test]
fn an_issued_token_says_what_the_design_says_and_nothing_more() {
    let (tokens, ann) = (tokens(Algorithm::EdDsa), ann());
    let issued = tokens.issue(&ann.subject(), NOW).unwrap();
    let read = read_unverified(issued.text.expose()).unwrap();
    assert_eq!(
        Value::Object(read.header),
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k1" })
    );
    assert_eq!(
        Value::Object(read.claims),
        json!({
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": ann.user,
            "jti": issued.id,
            "sid": ann.session,
            "gen": 3,
            "iat": NOW.unix_seconds(),
            "exp": NOW.unix_seconds() + 900,
            "name": "Ann Ö. Lee",
            "email": "ann@example.com",
            "roles": ["admin", "user"],
        })
    );
}

#[test]
fn a_token_of_a_shared_secret_bears_no_kid() {
    let issued = shared().issue(&ann().subject(), NOW).unwrap();
    let read = read_unverified(issued.text.expose()).unwrap();
    assert_eq!(Value::Object(read.header), json!({ "alg": "HS256", "typ": "at+jwt" }));
    assert!(shared().authenticate(issued.text.expose(), NOW).is_ok());
}

#[test]
fn a_token_is_neither_printed_nor_logged() {
    let issued = shared().issue(&ann().subject(), NOW).unwrap();
    assert!(!format!("{issued:?}").contains("eyJ"));
}

#[test]
fn a_token_never_outlives_its_session() {
    let (tokens, ann) = (tokens(Algorithm::EdDsa), ann());
    let mut subject = ann.subject();
    subject.session_expires_at = NOW + Duration::from_millis(5_900);
    let issued = tokens.issue(&subject, NOW).unwrap();
    assert_eq!(issued.expires_at, NOW + Duration::from_secs(5));
    subject.session_expires_at = NOW;
    assert!(matches!(tokens.issue(&subject, NOW), Err(TokenError::SessionOver)));
}

#[test]
fn a_token_is_good_to_the_last_millisecond_of_its_time_and_its_leeway() {
    for leeway in [0, 5] {
        let mut config = config(Algorithm::EdDsa);
        config.leeway = Duration::from_secs(leeway);
        let key = Key::from_private(Some("k1".parse().unwrap()), Algorithm::EdDsa, private(Algorithm::EdDsa)).unwrap();
        let tokens = Tokens::new(&config, KeySet::new(vec![key]), blocklist());
        let issued = tokens.issue(&ann().subject(), NOW).unwrap();
        let end = issued.expires_at + Duration::from_secs(leeway);
        let at = |now: Timestamp| {
            tokens
                .authenticate(issued.text.expose(), now)
                .map(|verified| verified.token)
        };
        assert_eq!(at(end - Duration::from_millis(1)), Ok(issued.id));
        // The cache still holds it: it was seen, and no time has passed by the clock of the machine.
        assert_eq!(at(end), Err(Refusal::Expired));
        assert_eq!(at(end - Duration::from_millis(1)), Ok(issued.id));
        assert_eq!(
            at(NOW - Duration::from_hours(1)),
            Err(Refusal::Invalid(Reason::NotYetValid))
        );
    }
}

#[test]
fn a_revocation_outlives_every_token_that_could_have_been_issued_before_it() {
    // A day is the longest life that any configuration allows; this gateway may have been configured so an hour ago.
    let longest = NOW + Duration::from_hours(24) + Duration::from_mins(5);
    assert!(tokens(Algorithm::EdDsa).revoke_until(NOW) > longest);
}

#[test]
fn a_revocation_of_a_token_at_hand_outlives_that_token() {
    let exp = NOW.unix_seconds() + 1_000_000;
    let token = super::forge::signed(
        &super::forge::header(),
        &super::forge::with(super::forge::claims(), "exp", json!(exp)),
    );
    let tokens = shared();
    let verified = tokens.authenticate(&token, NOW).unwrap();
    assert_eq!(verified.token, jti());
    assert!(tokens.revoke_until_for(&verified, NOW) > verified.expires_at);
}

#[test]
fn without_a_key_nothing_is_issued_and_nothing_accepted() {
    let issued = tokens(Algorithm::EdDsa).issue(&ann().subject(), NOW).unwrap();
    let none = Tokens::new(&config(Algorithm::EdDsa), KeySet::new(Vec::new()), blocklist());
    assert!(matches!(
        none.issue(&ann().subject(), NOW),
        Err(TokenError::NoSigningKey)
    ));
    assert!(matches!(
        none.authenticate(issued.text.expose(), NOW),
        Err(Refusal::Invalid(Reason::KeyId))
    ));
}
