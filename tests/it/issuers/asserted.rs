//! What a backend is told of another issuer's token, signed by us.

use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};

use super::{get, good, refused, routes, with};
use crate::support::idp::{Idp, Signer, now};
use crate::support::{Account, TestGateway, Upstream};

/// A gateway with the usual routes, all of them with assertions.
async fn gateway(upstream: &Upstream, idp: &Idp, lines: &str) -> TestGateway {
    let toml = format!(
        "{}\n[identity]\nassertion = true\n{}",
        routes(upstream),
        idp.toml("corp", lines)
    );
    TestGateway::start(&toml).await
}

/// The one assertion that the upstream sees with this token.
async fn assertion(gateway: &TestGateway, upstream: &Upstream, path: &str, token: &str) -> String {
    assert_eq!(get(gateway, path, token).await, good());
    let seen = upstream.seen().pop().unwrap();
    let [one] = seen.all("x-auth-assertion").try_into().expect("one assertion");
    str::to_owned(one)
}

/// The claims of an assertion for the upstream `app`, verified by the keys that we publish.
async fn verify(gateway: &TestGateway, assertion: &str) -> Value {
    let keys = gateway.get("/auth/.well-known/jwks.json", None).await.1;
    let keys: JwkSet = serde_json::from_str(&keys).unwrap();
    let metadata = gateway.get("/auth/.well-known/openid-configuration", None).await.1;
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let header = jsonwebtoken::decode_header(assertion).unwrap();
    assert_eq!(header.typ.as_deref(), Some("doorward-assertion+jwt"));
    let key = keys.find(header.kid.as_deref().unwrap()).expect("a key of ours");
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&["app"]);
    validation.set_issuer(&[metadata["issuer"].as_str().unwrap()]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    let key = DecodingKey::from_jwk(key).unwrap();
    let verified = jsonwebtoken::decode::<Value>(assertion, &key, &validation);
    verified.unwrap().claims
}

/// The names of the members, sorted.
fn names(claims: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_backend_is_told_with_our_signature_who_vouches_for_whom() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let lines = "role_prefix = 'corp:'\nclaims.email = 'email'\nclaims.name = 'name'\nclaims.roles = 'groups'";
    let gateway = gateway(&upstream, &idp, lines).await;
    let ours = Account::sign_up(&gateway).await;

    // Somebody who claims to be a user of ours in whatever our own tokens say.
    let own = doorward::token::read_unverified(&ours.token).unwrap().claims;
    let mut claims = idp.claims();
    for name in ["sub", "sid", "jti", "gen"] {
        claims[name] = own[name].clone();
    }
    claims["email"] = "Ann@Example.com".into();
    claims["name"] = "Ann".into();
    claims["roles"] = json!(["root"]);
    claims["groups"] = json!(["staff", "a,b"]);
    let theirs = assertion(&gateway, &upstream, "/both", &signer.sign(&claims)).await;
    let told = verify(&gateway, &theirs).await;
    assert_eq!(told["sub"], format!("corp:{}", ours.id));
    assert_eq!(told["aud"], "app");
    assert_eq!(told["email"], "ann@example.com");
    assert_eq!(told["name"], "Ann");
    assert_eq!(told["roles"], json!(["corp:staff"]));
    assert_eq!(
        names(&told),
        ["aud", "email", "exp", "iat", "iss", "name", "roles", "sub"]
    );
    assert_eq!(told["iss"], own["iss"], "we say it, not they");

    let mine = verify(&gateway, &assertion(&gateway, &upstream, "/both", &ours.token).await).await;
    assert_eq!((&mine["sub"], &mine["sid"]), (&own["sub"], &own["sid"]));
    for path in ["/both", "/corp", "/c", "/auth/user"] {
        assert_eq!(get(&gateway, path, &theirs).await, refused("token_invalid"), "{path}");
    }
}

#[tokio::test]
async fn nothing_is_asserted_that_the_issuer_does_not_say_or_that_is_not_mapped() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let gateway = gateway(&upstream, &idp, "claims.email = 'email'").await;
    let mut claims = with(idp.claims(), "sid", json!("0190a000-0000-7000-8000-000000000002"));
    claims["name"] = "Ann".into();
    claims["roles"] = json!(["admin"]);
    claims["email"] = "ann@example.com".into();
    claims["email_verified"] = false.into();
    let told = verify(
        &gateway,
        &assertion(&gateway, &upstream, "/corp", &signer.sign(&claims)).await,
    )
    .await;
    assert_eq!(names(&told), ["aud", "exp", "iat", "iss", "roles", "sub"]);
    assert_eq!((&told["sub"], &told["roles"]), (&json!("corp:ann"), &json!([])));
}

#[tokio::test]
async fn a_subject_is_asserted_as_the_issuer_writes_it() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let gateway = gateway(&upstream, &idp, "").await;
    for subject in ["auth0|5f:7c", "self:x", "Zo\u{eb}\", \"sid\": \"1", "a b%41\\"] {
        let token = signer.sign(&with(idp.claims(), "sub", json!(subject)));
        let told = verify(&gateway, &assertion(&gateway, &upstream, "/corp", &token).await).await;
        assert_eq!(told["sub"], format!("corp:{subject}"));
        assert!(told.get("sid").is_none(), "{told}");
    }
}

#[tokio::test]
async fn an_assertion_lives_a_minute_and_never_longer_than_the_token_of_another_issuer() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let gateway = gateway(&upstream, &idp, "").await;
    let token = signer.sign(&idp.claims());
    let first = assertion(&gateway, &upstream, "/corp", &token).await;
    let told = verify(&gateway, &first).await;
    assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 60);
    assert_eq!(
        assertion(&gateway, &upstream, "/both", &token).await,
        first,
        "it is kept"
    );
    gateway.shift.advance(Duration::from_secs(31));
    assert_ne!(assertion(&gateway, &upstream, "/corp", &token).await, first);

    let ends = now() + 31 + 20;
    let short = signer.sign(&with(idp.claims(), "exp", json!(ends)));
    let told = verify(&gateway, &assertion(&gateway, &upstream, "/corp", &short).await).await;
    assert_eq!(told["exp"], ends);
}
