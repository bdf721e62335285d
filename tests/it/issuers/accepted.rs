//! Who comes in, and as whom.

use serde_json::json;

use super::{gateway, get, good, refused, routes, with};
use crate::support::idp::{Idp, Mood, Signer, key_set};
use crate::support::{Account, TestGateway, Upstream};

#[tokio::test]
async fn a_token_is_accepted_on_the_routes_that_name_its_issuer_and_on_no_others() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let gateway = gateway(&upstream, &idp, "").await;
    let theirs = signer.sign(&idp.claims());
    let ours = Account::sign_up(&gateway).await.token;
    // Three times: what is remembered from one route must not open another.
    for _ in 0..3 {
        assert_eq!(get(&gateway, "/c", &theirs).await, refused("token_invalid"));
        assert_eq!(get(&gateway, "/corp", &theirs).await, good());
        assert_eq!(get(&gateway, "/both", &theirs).await, good());
        assert_eq!(get(&gateway, "/optional", &theirs).await, refused("token_invalid"));
        assert_eq!(get(&gateway, "/admin", &theirs).await, refused("token_invalid"));
        assert_eq!(get(&gateway, "/auth/user", &theirs).await, refused("token_invalid"));
        assert_eq!(get(&gateway, "/corp", &ours).await, refused("token_invalid"));
        assert_eq!(get(&gateway, "/both", &ours).await, good());
        assert_eq!(get(&gateway, "/c", &ours).await, good());
    }
    gateway.log_out(&ours).await;
    assert_eq!(get(&gateway, "/both", &ours).await, refused("token_revoked"));
    assert_eq!(upstream.seen().len(), 12);
}

#[tokio::test]
async fn the_upstream_is_told_who_vouches_for_whom() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let lines =
        "role_prefix = 'corp:'\nclaims.email = 'email'\nclaims.name = 'name'\nclaims.roles = 'realm_access.roles'";
    let gateway = gateway(&upstream, &idp, lines).await;
    let ours = Account::sign_up(&gateway).await;
    let mut claims = idp.claims();
    claims["sub"] = ours.id.clone().into();
    claims["sid"] = "0190a000-0000-7000-8000-000000000002".into();
    claims["email"] = "Ann@Example.com".into();
    claims["email_verified"] = true.into();
    claims["name"] = "Ann".into();
    claims["roles"] = json!(["root"]);
    claims["realm_access"] = json!({ "roles": ["admin", "a b", 7, "", "x,y", "admin"] });
    let request = gateway.http.get(gateway.url("/both")).bearer_auth(signer.sign(&claims));
    let request = request.header("X-Auth-Issuer", "self").header("X_Auth_Issuer", "self");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let seen = upstream.seen().pop().unwrap();
    let mut identity: Vec<(String, &str)> = seen
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.as_str()))
        .filter(|(name, _)| name.replace('_', "-").starts_with("x-auth-"))
        .collect();
    identity.sort_unstable();
    let user = format!("corp:{}", ours.id);
    let expected = [
        ("x-auth-email", "ann@example.com"),
        ("x-auth-issuer", "corp"),
        ("x-auth-name", "Ann"),
        ("x-auth-roles", "corp:admin"),
        ("x-auth-user-id", user.as_str()),
    ];
    assert_eq!(identity, expected.map(|(name, value)| (name.to_owned(), value)));
    assert!(seen.all("authorization").is_empty(), "{seen:?}");
}

/// Every value of this header of the request that this token makes.
async fn told(upstream: &Upstream, gateway: &TestGateway, token: &str, header: &str) -> Vec<String> {
    assert_eq!(get(gateway, "/corp", token).await, good());
    let seen = upstream.seen().pop().unwrap();
    seen.all(header).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn nothing_is_taken_that_is_not_mapped_and_no_address_that_is_not_verified() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let plain = gateway(&upstream, &idp, "").await;
    let mut claims = idp.claims();
    claims["email"] = "ann@example.com".into();
    claims["name"] = "Ann".into();
    claims["roles"] = json!(["admin"]);
    let token = signer.sign(&claims);
    for header in ["x-auth-email", "x-auth-name", "x-auth-roles"] {
        assert!(told(&upstream, &plain, &token, header).await.is_empty(), "{header}");
    }
    assert_eq!(get(&plain, "/corp/admin", &token).await, (403, "forbidden".to_owned()));

    let mapped = gateway(&upstream, &idp, "claims.email = 'email'").await;
    for (verified, is_told) in [
        (json!(true), true),
        (json!("true"), true),
        (json!(false), false),
        (json!(null), false),
    ] {
        let token = signer.sign(&with(claims.clone(), "email_verified", verified.clone()));
        let told = told(&upstream, &mapped, &token, "x-auth-email").await;
        assert_eq!(!told.is_empty(), is_told, "{verified}");
    }
}

#[tokio::test]
async fn roles_are_found_where_the_issuer_puts_them() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    for (path, claim, expected) in [
        (
            "realm_access.roles",
            json!({ "realm_access": { "roles": ["admin", "b"] } }),
            &["admin,b"][..],
        ),
        (
            "/https:~1~1example.com~1roles",
            json!({ "https://example.com/roles": ["admin"] }),
            &["admin"],
        ),
        (
            "scope",
            json!({ "scope": "read write:all admin" }),
            &["admin,read,write:all"],
        ),
        ("groups", json!({ "groups": "admin,staff" }), &["admin,staff"]),
        ("groups", json!({ "groups": { "admin": true } }), &[]),
        ("groups", json!({ "groups": [["admin"], "x y", null] }), &[]),
    ] {
        let gateway = gateway(&upstream, &idp, &format!("claims.roles = '{path}'")).await;
        let mut claims = idp.claims();
        claims
            .as_object_mut()
            .unwrap()
            .extend(claim.as_object().unwrap().clone());
        let token = signer.sign(&claims);
        assert_eq!(
            told(&upstream, &gateway, &token, "x-auth-roles").await,
            expected,
            "{claim}"
        );
        let admin = get(&gateway, "/corp/admin", &token).await;
        assert_eq!(admin.0 == 200, expected.concat().contains("admin"), "{claim}");
    }
}

#[tokio::test]
async fn every_kind_of_key_and_token_that_the_configuration_names_is_accepted() {
    let upstream = Upstream::echo().await;
    let signers = [
        Signer::new("rsa", "RS256"),
        Signer::new("pss", "PS256"),
        Signer::new("ec", "ES256"),
        Signer::new("ed", "EdDSA"),
    ];
    let all: Vec<&Signer> = signers.iter().collect();
    let idp = Idp::start(&all).await;
    let gateway = gateway(&upstream, &idp, "algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA']").await;
    for signer in &signers {
        for typ in [json!("JWT"), json!("at+jwt"), json!("application/AT+JWT"), json!(null)] {
            let typ = Some(typ).filter(|typ| !typ.is_null());
            let header = with(json!({ "alg": signer.alg, "kid": signer.kid }), "typ", typ);
            let token = signer.sign_as(&header, &idp.claims());
            assert_eq!(get(&gateway, "/corp", &token).await, good(), "{header}");
        }
    }
    // The form of `aud`, fractions of a second, and times that others leave out.
    let mut claims = with(idp.claims(), "iat", None);
    claims["aud"] = json!(["other", "api"]);
    claims["exp"] = json!(4_102_444_800.75);
    claims["nbf"] = json!(1.5);
    assert_eq!(get(&gateway, "/corp", &signers[0].sign(&claims)).await, good());
}

#[tokio::test]
async fn keys_come_by_discovery_or_from_a_file_as_well() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "ES256"));
    let idp = Idp::start(&[&signer]).await;
    let token = signer.sign(&idp.claims());
    let discovered = idp.toml_of_discovery("corp", "algorithms = 'ES256'");
    let gateway = TestGateway::start(&(routes(&upstream) + &discovered)).await;
    assert_eq!(get(&gateway, "/corp", &token).await, good());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, key_set(&[&signer]).to_string()).unwrap();
    idp.set(Mood::Down);
    let (issuer, file) = (idp.issuer(), file.display());
    let of_file = format!(
        "[[issuers]]\nname = 'corp'\nissuer = '{issuer}'\naudiences = 'api'\nalgorithms = 'ES256'\njwks_file = '{file}'\n"
    );
    let gateway = TestGateway::start(&(routes(&upstream) + &of_file)).await;
    assert_eq!(get(&gateway, "/corp", &token).await, good());
}

#[tokio::test]
async fn a_token_that_names_no_key_is_held_against_the_only_one_there_is() {
    let upstream = Upstream::echo().await;
    let (first, second) = (Signer::new("k1", "ES256"), Signer::new("k2", "ES256"));
    let idp = Idp::start(&[&first]).await;
    let lines = "algorithms = ['ES256', 'RS256']\nrefresh_every = '100ms'\ncooldown = '100ms'";
    let gateway = gateway(&upstream, &idp, lines).await;
    let header = json!({ "alg": "ES256", "typ": "JWT" });
    assert_eq!(
        get(&gateway, "/corp", &first.sign_as(&header, &idp.claims())).await,
        good()
    );
    idp.publish(&[&first, &second]);
    let both = second.sign(&idp.claims());
    crate::support::eventually(crate::support::DEADLINE, "the second key is known", || async {
        crate::support::when(get(&gateway, "/corp", &both).await == good())
    })
    .await;
    let unnamed = first.sign_as(&header, &with(idp.claims(), "jti", json!("another")));
    assert_eq!(get(&gateway, "/corp", &unnamed).await, refused("token_invalid"));
}
