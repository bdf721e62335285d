//! On HTTP/2, too, a client can't set an identity header, and no spelling of a path or method gets past the guard.

use serde_json::json;

use super::clients::h2c;
use super::play::{Play, get, play, stream};
use crate::identity::{SPOOFS, assert_is};
use crate::paths::WITHOUT_A_TOKEN;
use crate::support::{Account, TestGateway, Upstream};

#[tokio::test]
async fn the_upstream_sees_one_identity_however_a_client_spells_another() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let (host, bearer) = (gateway.address.to_string(), format!("Bearer {}", user.token));
    let mut paths = Vec::new();
    let mut plays = Vec::new();
    for (index, spoof) in SPOOFS.iter().enumerate() {
        paths.push(format!("/c/{index}/x"));
        let lines: Vec<(String, &str)> = spoof
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim()))
            .collect();
        let mut fields = get(&host, &paths[index], &bearer);
        fields.extend(lines.iter().map(|(name, value)| (name.as_str(), *value)));
        plays.push(Play::request(&fields));
    }
    let told = play(gateway.address, plays).await;
    let mut passed = 0;
    for (index, told) in told.iter().enumerate() {
        let (spoof, seen) = (SPOOFS[index], upstream.seen_with(&format!("/c/{index}/")));
        match (stream(told, 1).status, stream(told, 1).reset) {
            (Some(200), _) => {
                assert_is(&seen[0], &user, spoof);
                assert_eq!(seen.len(), 1, "{spoof}");
                passed += 1;
            }
            (Some(400), _) | (None, Some(1)) => assert!(seen.is_empty(), "{spoof}"),
            _ => panic!("{spoof}: {told}"),
        }
    }
    assert!(passed > 20, "{passed}");
    assert!(upstream.faults().is_empty(), "{:?}", upstream.faults());
}

#[tokio::test]
async fn a_trailer_carries_no_identity_and_two_authorizations_are_refused() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let (host, bearer) = (gateway.address.to_string(), format!("Bearer {}", user.token));
    let mut post = get(&host, "/c/trailer", &bearer);
    post[0].1 = "POST";
    post.push(("trailer", "x-auth-user-id, x_auth_roles, authorization, x-sum"));
    let trailer = [
        ("x-auth-user-id", "1"),
        ("x_auth_roles", "admin"),
        ("authorization", "Bearer x"),
        ("x-sum", "7"),
    ];
    let sent = Play::default()
        .step(json!(["headers", 1, post, false]))
        .step(json!(["data", 1, "body", false]))
        .step(json!(["headers", 1, trailer, true]))
        .step(json!(["end", 1]));
    let mut twice = get(&host, "/c/twice", &bearer);
    twice.push(("authorization", &bearer));
    let told = play(gateway.address, vec![sent, Play::request(&twice)]).await;
    assert_eq!(stream(&told[0], 1).status, Some(200));
    let seen = upstream.only();
    assert_is(&seen, &user, "a trailer");
    assert_eq!(seen.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    assert!(matches!(stream(&told[1], 1).status, Some(400 | 401)), "{}", told[1]);
}

#[tokio::test]
async fn no_spelling_of_a_path_or_method_gets_past_the_guard() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let host = gateway.address.to_string();
    // One character for each byte, as the player takes it.
    let bytes = |text: &str| -> String { text.bytes().map(char::from).collect() };
    let mut cases: Vec<(&str, String)> = Vec::new();
    cases.extend(
        WITHOUT_A_TOKEN
            .iter()
            .map(|path| ("GET", bytes(&path.replace("HOST", &host)))),
    );
    for method in ["get", "Get", "GETX", "OPTIONS", "HEAD", "PRI", "PUT", "a"] {
        cases.extend(["/c/x", "/admin/x", "*"].map(|path| (method, path.to_owned())));
    }
    let request = |(method, path): &(&str, String)| {
        Play::request(&[
            (":method", method),
            (":scheme", "http"),
            (":authority", &host),
            (":path", path),
            ("x-original-url", "/public/x"),
            ("x-http-method-override", "OPTIONS"),
        ])
    };
    let told = play(gateway.address, cases.iter().map(request).collect()).await;
    for (case, told) in cases.iter().zip(&told) {
        let stream = stream(told, 1);
        let refused = matches!(stream.status, Some(400 | 401 | 404 | 405)) || stream.reset == Some(1);
        assert!(refused, "{case:?}: {told}");
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}
