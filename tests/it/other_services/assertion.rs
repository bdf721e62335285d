//! The signed assertion by which a backend verifies whom it is told of.

use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::support::{Account, Conversation, Seen, TestGateway, Upstream, exchange};

const HEADER: &str = "x-auth-assertion";

/// Two upstreams that want assertions, and routes of them that can't have any or want none.
fn config(orders: &Upstream, bills: &Upstream) -> String {
    format!(
        r#"
        [identity]
        assertion = true
        [upstreams.orders]
        servers = ["{}"]
        [upstreams.doorward]
        servers = ["{}"]
        [[routes]]
        path = "/orders"
        upstream = "orders"
        [[routes]]
        path = "/bills"
        upstream = "doorward"
        auth = "optional"
        [[routes]]
        path = "/public"
        upstream = "orders"
        auth = "none"
        [[routes]]
        path = "/trusting"
        upstream = "orders"
        assertion = false
        [[routes]]
        path = "/admin"
        upstream = "orders"
        roles = ["admin"]
        "#,
        orders.url(),
        bills.url(),
    )
}

struct Site {
    gateway: TestGateway,
    orders: Upstream,
    /// Called as the audience of access tokens is.
    bills: Upstream,
}

impl Site {
    async fn start(more: &str) -> Self {
        let (orders, bills) = (Upstream::echo().await, Upstream::echo().await);
        let gateway = TestGateway::start(&format!("{more}{}", config(&orders, &bills))).await;
        Self { gateway, orders, bills }
    }

    /// The headers of the assertion that the upstream sees.
    async fn asserted(&self, upstream: &Upstream, path: &str, token: Option<&str>) -> Vec<String> {
        let before = upstream.seen().len();
        assert_eq!(self.gateway.get(path, token).await.0, 200, "{path}");
        let seen = upstream.seen().split_off(before);
        assert_eq!(seen.len(), 1);
        seen[0].all(HEADER).into_iter().map(str::to_owned).collect()
    }

    /// The one assertion that the upstream sees.
    async fn one(&self, upstream: &Upstream, path: &str, token: &str) -> String {
        let mut asserted = self.asserted(upstream, path, Some(token)).await;
        assert_eq!(asserted.len(), 1, "{path}");
        asserted.remove(0)
    }

    /// The claims of an assertion for this audience, verified as a careful backend would by the published keys.
    async fn verify(&self, assertion: &str, audience: &str) -> Value {
        let keys = self.gateway.get("/auth/.well-known/jwks.json", None).await.1;
        let keys: JwkSet = serde_json::from_str(&keys).unwrap();
        let header = jsonwebtoken::decode_header(assertion).unwrap();
        assert_eq!(header.typ.as_deref(), Some("doorward-assertion+jwt"));
        let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[audience]);
        let issuer = self.gateway.get("/auth/.well-known/openid-configuration", None).await.1;
        let issuer: Value = serde_json::from_str(&issuer).unwrap();
        validation.set_issuer(&[issuer["issuer"].as_str().unwrap()]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.leeway = 0;
        validation.validate_exp = false; // by the machine's clock, which the test moves away from
        let key = DecodingKey::from_jwk(key).unwrap();
        jsonwebtoken::decode::<Value>(assertion, &key, &validation)
            .unwrap()
            .claims
    }
}

#[tokio::test]
async fn a_backend_verifies_with_the_published_keys_whom_a_request_comes_from() {
    for (algorithm, jws) in [
        ("EdDSA", Algorithm::EdDSA),
        ("ES256", Algorithm::ES256),
        ("PS256", Algorithm::PS256),
    ] {
        let site = Site::start(&format!("[tokens]\nalgorithm = \"{algorithm}\"\n")).await;
        let user = Account::sign_up_as(&site.gateway, "zoe@example.com", "Zo\u{eb}").await;
        let assertion = site.one(&site.orders, "/orders/1", &user.token).await;
        assert_eq!(jsonwebtoken::decode_header(&assertion).unwrap().alg, jws);
        let claims = site.verify(&assertion, "orders").await;
        let token = doorward::token::read_unverified(&user.token).unwrap().claims;
        for name in ["iss", "sub", "sid", "email", "name", "roles"] {
            assert_eq!(claims[name], token[name], "{name}");
        }
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
        // It is no copy of the token.
        assert!(claims["jti"].is_null() && claims["gen"].is_null(), "{claims}");
        let other = site.one(&site.bills, "/bills", &user.token).await;
        assert_eq!(site.verify(&other, "doorward").await["aud"], "doorward");
    }
}

#[tokio::test]
async fn an_assertion_is_used_again_for_a_while_and_then_made_anew() {
    let site = Site::start("").await;
    let user = Account::sign_up(&site.gateway).await;
    let first = site.one(&site.orders, "/orders/1", &user.token).await;
    assert_eq!(site.one(&site.orders, "/orders/2", &user.token).await, first);
    assert_ne!(site.one(&site.bills, "/bills", &user.token).await, first);
    assert_eq!(site.one(&site.orders, "/orders/1", &user.token).await, first);
    let session = user.log_in(&site.gateway).await;
    assert_ne!(site.one(&site.orders, "/orders/1", &session.token).await, first);

    site.gateway.shift.advance(Duration::from_secs(31));
    let second = site.one(&site.orders, "/orders/1", &user.token).await;
    let [before, after] = [
        site.verify(&first, "orders").await,
        site.verify(&second, "orders").await,
    ];
    assert!(after["iat"].as_i64().unwrap() >= before["iat"].as_i64().unwrap() + 31);
    assert_eq!(site.one(&site.orders, "/orders/1", &user.token).await, second);
}

#[tokio::test]
async fn an_assertion_never_outlives_its_token() {
    let site = Site::start("[tokens]\naccess_ttl = \"20s\"\n").await;
    let user = Account::sign_up(&site.gateway).await;
    let assertion = site.one(&site.orders, "/orders/1", &user.token).await;
    let token = doorward::token::read_unverified(&user.token).unwrap().claims;
    assert_eq!(site.verify(&assertion, "orders").await["exp"], token["exp"]);
}

#[tokio::test]
async fn nobody_is_asserted_where_nobody_is_known() {
    let site = Site::start("").await;
    let user = Account::sign_up(&site.gateway).await;
    for (path, token) in [
        ("/public", None),
        ("/public", Some(&*user.token)),
        ("/trusting", Some(&user.token)),
    ] {
        assert!(site.asserted(&site.orders, path, token).await.is_empty(), "{path}");
    }
    assert!(site.asserted(&site.bills, "/bills", None).await.is_empty());
    assert_eq!(site.gateway.get("/admin", Some(&user.token)).await.0, 403);
    assert_eq!(site.orders.seen_with("/admin").len(), 0);
}

#[tokio::test]
async fn an_assertion_opens_no_door_of_ours() {
    let site = Site::start("").await;
    let user = Account::sign_up(&site.gateway).await;
    for (upstream, path) in [(&site.orders, "/orders"), (&site.bills, "/bills")] {
        let assertion = site.one(upstream, path, &user.token).await;
        for path in ["/orders", "/bills", "/auth/user"] {
            let (status, answer) = site.gateway.get(path, Some(&assertion)).await;
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!((status, &answer["code"]), (401, &json!("token_invalid")), "{path}");
        }
    }
}

#[tokio::test]
async fn what_a_client_asserts_of_itself_does_not_arrive() {
    let site = Site::start("").await;
    let user = Account::sign_up(&site.gateway).await;
    let stolen = site.one(&site.orders, "/orders", &user.token).await;
    let other = Account::sign_up(&site.gateway).await;
    let claims_to_be = |seen: &Seen| -> Vec<String> {
        let folded = |name: &str| name.to_lowercase().replace(['_', '.'], "-");
        let of = seen
            .headers
            .iter()
            .filter(|(name, _)| folded(name).starts_with("x-auth-assertion"));
        of.map(|(_, value)| value.clone()).collect()
    };
    for spelling in [
        "X-Auth-Assertion",
        "x_auth_assertion",
        "X.Auth.Assertion",
        "X-Auth_Assertion",
        "X-AUTH-ASSERTION-",
    ] {
        for (path, expected) in [("/orders", 1), ("/public", 0), ("/trusting", 0)] {
            let before = site.orders.seen().len();
            let raw = format!(
                "GET {path} HTTP/1.1\r\nHost: HOST\r\n{spelling}: {stolen}\r\n{spelling}: x\r\n\
                 Authorization: Bearer TOKEN\r\nConnection: close\r\n\r\n"
            );
            let ended = exchange(site.gateway.address, site.gateway.fill(&raw, &other.token)).await;
            assert_eq!(ended.statuses(), [200], "{spelling}");
            let seen = site.orders.seen().split_off(before);
            let found = claims_to_be(&seen[0]);
            assert_eq!(found.len(), expected, "{spelling} {path}: {seen:?}");
            for assertion in found {
                assert_eq!(site.verify(&assertion, "orders").await["sub"], other.id, "{spelling}");
            }
        }
    }
    // In a trailer, too.
    let raw = format!(
        "POST /orders HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nTransfer-Encoding: chunked\r\n\
         TE: trailers\r\nConnection: TE\r\n\r\n0\r\nX-Auth-Assertion: {stolen}\r\n\r\n"
    );
    let mut conversation = Conversation::open(site.gateway.address).await;
    conversation.send(site.gateway.fill(&raw, &other.token)).await;
    assert_eq!(conversation.answer().await.status, 200);
    let last = site.orders.seen().pop().unwrap();
    assert_eq!((last.method.as_str(), last.trailers.len()), ("POST", 0), "{last:?}");
}
