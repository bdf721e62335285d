//! When keys are fetched, and what becomes of requests when they can't be.

use std::time::{Duration, Instant};

use doorward::time::monotonic;
use serde_json::json;

use super::{gateway, get, good, refused, routes, with};
use crate::support::idp::{COOLED_DOWN, Idp, Mood, Signer};
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, when};

/// Waits until the token is answered so.
async fn becomes(gateway: &TestGateway, token: &str, answer: (u16, String)) {
    let what = format!("the answer becomes {answer:?}");
    eventually(DEADLINE, &what, || async {
        when(get(gateway, "/corp", token).await == answer)
    })
    .await;
}

/// What `/readyz` says: that it is ready, and what is not as it should be.
async fn reasons(gateway: &TestGateway) -> String {
    let answer = gateway.http.get(gateway.admin_url("/readyz")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "another issuer keeps nobody from being ready");
    answer.text().await.unwrap()
}

#[tokio::test]
async fn a_flood_of_unknown_keys_fetches_once_per_cooldown_at_the_most() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "ES256"));
    let idp = Idp::start(&[&signer]).await;
    let lines = "algorithms = 'ES256'\ncooldown = '400ms'\nrefresh_every = '1h'";
    let gateway = gateway(&upstream, &idp, lines).await;
    assert_eq!(get(&gateway, "/corp", &signer.sign(&idp.claims())).await, good());
    let began: Instant = monotonic();
    let mut sent = 0;
    while began.elapsed() < Duration::from_secs(2) {
        let flood = (0..40).map(|index| {
            let header = json!({ "alg": "ES256", "kid": format!("unknown-{sent}-{index}") });
            let token = signer.sign_as(&header, &idp.claims());
            let gateway = &gateway;
            async move { get(gateway, "/corp", &token).await }
        });
        for answer in futures_util::future::join_all(flood).await {
            assert_eq!(answer, refused("token_invalid"));
        }
        sent += 40;
    }
    let most = 2 + usize::try_from(began.elapsed().as_millis() / 400).unwrap();
    let fetches = idp.fetches();
    assert!(
        (2..=most).contains(&fetches),
        "{fetches} fetches for {sent} unknown keys, {most} allowed"
    );
    assert!(sent > 2 * most, "{sent} are no flood");
    assert_eq!(get(&gateway, "/corp", &signer.sign(&idp.claims())).await, good());
}

#[tokio::test]
async fn a_new_key_is_taken_with_the_first_token_that_it_signed_and_an_old_one_goes() {
    let upstream = Upstream::echo().await;
    let (old, new) = (Signer::new("old", "RS256"), Signer::new("new", "RS256"));
    let idp = Idp::start(&[&old]).await;
    let gateway = gateway(&upstream, &idp, "cooldown = '100ms'\nrefresh_every = '1h'").await;
    let before = old.sign(&idp.claims());
    assert_eq!(get(&gateway, "/corp", &before).await, good());
    // The cooldown of the first fetch is over.
    tokio::time::sleep(COOLED_DOWN).await;
    let fetches = idp.fetches();
    idp.publish(&[&new]);
    assert_eq!(
        get(&gateway, "/corp", &before).await,
        good(),
        "it is remembered, and nobody asks"
    );
    assert_eq!(idp.fetches(), fetches);
    assert_eq!(get(&gateway, "/corp", &new.sign(&idp.claims())).await, good());
    assert_eq!(get(&gateway, "/corp", &before).await, refused("token_invalid"));
}

#[tokio::test]
async fn an_issuer_that_is_down_keeps_its_keys_for_a_while_and_then_nobody_can_know() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let lines = "cooldown = '100ms'\nrefresh_every = '100ms'\nkeep = '1h'";
    let gateway = gateway(&upstream, &idp, lines).await;
    let mut claims = idp.claims();
    claims["exp"] = json!(4_102_444_800_i64);
    let (seen, unseen) = (signer.sign(&claims), signer.sign(&with(claims, "jti", json!("2"))));
    assert_eq!(get(&gateway, "/corp", &seen).await, good());
    idp.set(Mood::Down);
    let failed = idp.fetches();
    eventually(DEADLINE, "fetches fail", || async { when(idp.fetches() > failed + 2) }).await;
    gateway.shift.advance(Duration::from_mins(50));
    assert_eq!(get(&gateway, "/corp", &seen).await, good());
    assert_eq!(get(&gateway, "/corp", &unseen).await, good());
    assert!(reasons(&gateway).await.contains("the issuer corp can't be fetched"));

    gateway.shift.advance(Duration::from_mins(11));
    for token in [&seen, &unseen] {
        assert_eq!(get(&gateway, "/corp", token).await, refused("issuer_unavailable"));
    }
    assert_eq!(get(&gateway, "/c", &seen).await, refused("token_invalid"));
    idp.publish(&[&signer]);
    becomes(&gateway, &seen, good()).await;
    eventually(DEADLINE, "nothing is wrong any more", || async {
        when(!reasons(&gateway).await.contains("corp"))
    })
    .await;
}

#[tokio::test]
async fn a_gateway_starts_without_its_issuers_and_serves_everybody_else() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    idp.set(Mood::Down);
    let gateway = gateway(&upstream, &idp, "cooldown = '100ms'").await;
    let token = signer.sign(&idp.claims());
    assert_eq!(get(&gateway, "/public", &token).await, good());
    let response = gateway
        .http
        .get(gateway.url("/corp"))
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    idp.publish(&[&signer]);
    becomes(&gateway, &token, good()).await;
    let metrics = gateway
        .http
        .get(gateway.admin_url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("doorward_issuer_keys{issuer=\"corp\"} 1\n"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("doorward_issuer_fetch_failures{issuer=\"corp\"} 0\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_answer_that_is_no_key_set_is_not_taken_for_one() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let body = |head: &str, body: &str| Mood::Raw(format!("HTTP/1.1 {head}\r\n\r\n{body}"));
    let padded = format!("{{\"keys\":[]{}}}", " ".repeat(256 * 1024));
    let many = json!({ "keys": vec![signer.jwk(); 101] }).to_string();
    for (mood, why) in [
        (body("200 OK", "<html>"), "not a JWK Set"),
        (body("200 OK", "[]"), "not a JWK Set"),
        (body("200 OK", "{}"), "no list `keys`"),
        (body("200 OK", r#"{"keys":[],"keys":[]}"#), "not a JWK Set"),
        (body("200 OK", &many), "more than 100 keys"),
        (body("200 OK", &padded), "larger than 262144 bytes"),
        (body("200 OK\r\nContent-Length: 999999999", "{"), "answer"),
        (body("200 OK\r\nContent-Length: 999", "{}"), "broke off"),
        (body("200 OK\r\nContent-Encoding: gzip", "{}"), "encoded"),
        (body("302 Found\r\nLocation: /keys", ""), "302"),
        (body("500 Oh", "{}"), "500"),
        (Mood::Raw("SSH-2.0-x\r\n".to_owned()), "did not answer"),
        (Mood::Down, "did not answer"),
        (Mood::Silent, "not fetched within 300ms"),
    ] {
        idp.set(mood.clone());
        let gateway = gateway(&upstream, &idp, "cooldown = '1h'\ntimeout = '300ms'").await;
        let token = signer.sign(&idp.claims());
        assert_eq!(
            get(&gateway, "/corp", &token).await,
            refused("issuer_unavailable"),
            "{mood:?}"
        );
        let said = reasons(&gateway).await;
        assert!(said.contains(why), "{mood:?}: {said}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn keys_are_taken_from_nobody_but_the_server_that_was_meant() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let (idp, other) = (Idp::start(&[&signer]).await, Idp::start(&[&signer]).await);
    let token = signer.sign(&idp.claims());
    let (of_idp, of_other) = (
        idp.ca_file().display().to_string(),
        other.ca_file().display().to_string(),
    );
    let untrusted = [
        // Another authority, the public ones, and a name that is not in the certificate.
        idp.toml("corp", "").replace(&of_idp, &of_other),
        idp.toml("corp", "").replace(&format!("ca_file = '{of_idp}'"), ""),
        idp.toml("corp", "")
            .replace("jwks_url = 'https://127.0.0.1", "jwks_url = 'https://localhost"),
    ];
    for issuer in untrusted {
        let gateway = TestGateway::start(&(routes(&upstream) + &issuer)).await;
        assert_eq!(
            get(&gateway, "/corp", &token).await,
            refused("issuer_unavailable"),
            "{issuer}"
        );
        let said = reasons(&gateway).await;
        assert!(
            said.contains("no TLS with") || said.contains("no connection to"),
            "{said}"
        );
    }
    assert_eq!(idp.fetches(), 0);

    let metadata = json!({ "issuer": idp.issuer(), "jwks_uri": format!("{}/keys", idp.issuer()) });
    for (wrong, why) in [
        (
            with(metadata.clone(), "issuer", json!(other.issuer())),
            "of another issuer",
        ),
        (
            with(metadata.clone(), "issuer", json!(format!("{}/", idp.issuer()))),
            "of another issuer",
        ),
        (with(metadata.clone(), "issuer", None), "of another issuer"),
        (with(metadata.clone(), "jwks_uri", None), "no jwks_uri"),
        (
            with(metadata.clone(), "jwks_uri", json!("file:///etc/passwd")),
            "the jwks_uri",
        ),
        (
            with(metadata.clone(), "jwks_uri", json!("http://127.0.0.1:1/keys")),
            "without TLS",
        ),
    ] {
        idp.set_metadata(wrong.clone());
        let issuer = idp.toml_of_discovery("corp", "");
        let gateway = TestGateway::start(&(routes(&upstream) + &issuer)).await;
        assert_eq!(
            get(&gateway, "/corp", &token).await,
            refused("issuer_unavailable"),
            "{wrong}"
        );
        let said = reasons(&gateway).await;
        assert!(said.contains(why), "{wrong}: {said}");
    }
    assert_eq!(idp.fetches(), 0);
}

#[tokio::test]
async fn requests_that_wait_for_a_key_keep_nobody_else_waiting() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "ES256"));
    let idp = Idp::start(&[&signer]).await;
    idp.set(Mood::Silent);
    let lines = "algorithms = 'ES256'\ncooldown = '1h'\ntimeout = '1m'";
    let gateway = gateway(&upstream, &idp, lines).await;
    let ours = Account::sign_up(&gateway).await.token;
    let (theirs, gateway) = (signer.sign(&idp.claims()), &gateway);
    let waiting = (0..150).map(|_| get(gateway, "/corp", &theirs));
    // Of one worker: if those who wait held it, they would hold it for two minutes, and no client is so patient.
    let passing = async {
        for _ in 0..20 {
            assert_eq!(get(gateway, "/both", &ours).await, good());
        }
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(waiting), passing);
    for answer in answers {
        assert_eq!(answer, refused("issuer_unavailable"));
    }
    assert_eq!(idp.fetches(), 1);
}
