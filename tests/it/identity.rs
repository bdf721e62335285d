//! The identity headers: set by the gateway alone, once, on every route, however a client spells them.

use serde_json::Value;

use crate::support::{Account, Conversation, Seen, TestGateway, Upstream, exchange, usual_routes};

/// Headers in which a server that folds `_` and `.` to `-` could see an identity.
fn identity_headers(seen: &Seen) -> Vec<(String, String)> {
    seen.headers
        .iter()
        .map(|(name, value)| (name.to_lowercase().replace(['_', '.'], "-"), value.clone()))
        .filter(|(name, _)| name.starts_with("x-auth"))
        .collect()
}

/// What is wrong with the identity that an upstream saw, which is this user's and nothing else; without one, there is none.
pub(crate) fn stranger_to(seen: &Seen, user: Option<&Account>) -> Option<String> {
    let headers = identity_headers(seen);
    let Some(user) = user else {
        return (!headers.is_empty()).then(|| format!("an identity in {seen:?}"));
    };
    let all = |name: &str| -> Vec<&str> {
        let same = headers.iter().filter(|(n, _)| n == name);
        same.map(|(_, value)| value.as_str()).collect()
    };
    for (name, value) in [
        ("x-auth-user-id", user.id.as_str()),
        ("x-auth-email", user.email.as_str()),
        ("x-auth-name", user.name.as_str()),
        ("x-auth-issuer", "self"),
    ] {
        if all(name) != [value] {
            return Some(format!("{name} is not {value} alone in {seen:?}"));
        }
    }
    let known = [
        "x-auth-user-id",
        "x-auth-email",
        "x-auth-name",
        "x-auth-roles",
        "x-auth-session",
        "x-auth-issuer",
    ];
    let unknown = headers.iter().any(|(name, _)| !known.contains(&name.as_str()));
    let more = all("x-auth-session").len() != 1 || format!("{headers:?}").contains("admin");
    (unknown || more || !seen.all("authorization").is_empty()).then(|| format!("more than the user in {seen:?}"))
}

#[track_caller]
pub(crate) fn assert_is(seen: &Seen, user: &Account, why: &str) {
    if let Some(wrong) = stranger_to(seen, Some(user)) {
        panic!("{why}: {wrong}");
    }
}

#[tokio::test]
async fn identity_in_a_trailer_does_not_arrive() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let raw = "POST /c/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nTransfer-Encoding: chunked\r\n\
        Trailer: X-Auth-User-Id, X-Checksum\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n5\r\nhello\r\n0\r\n\
        X-Auth-User-Id: 1\r\nx_auth_roles: admin\r\nAuthorization: Bearer x\r\nContent-Length: 9\r\nHost: evil\r\n\
        Transfer-Encoding: chunked\r\nX-Forwarded-For: 6.6.6.6\r\nX-Checksum: 5d41\r\n\r\n";
    let ended = exchange(gateway.address, gateway.fill(raw, &user.token)).await;
    match ended.statuses()[..] {
        [200] => {
            let seen = upstream.only();
            assert_is(&seen, &user, "trailer");
            assert_eq!(seen.body, b"hello");
            assert_eq!(seen.trailers, [("x-checksum".to_owned(), "5d41".to_owned())]);
        }
        [400] => {
            assert!(upstream.seen().is_empty());
        }
        _ => panic!("{ended:?}"),
    }
}

#[tokio::test]
async fn a_name_beyond_ascii_is_percent_encoded() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up_as(&gateway, "zoe@example.com", "Zo\u{eb} 100% \u{738b}").await;
    gateway.get("/c/x", Some(&user.token)).await;
    assert_eq!(upstream.only().header("x-auth-name"), Some("Zo%C3%AB 100%25 %E7%8E%8B"));
}

#[tokio::test]
async fn the_prefix_and_the_token_go_as_configured() {
    let upstream = Upstream::echo().await;
    let routes = format!(
        "[identity]\nprefix = \"X-User-\"\nforward_token = true\n{}",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&routes).await;
    let user = Account::sign_up(&gateway).await;
    let raw = "GET /c/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nx_user_user_id: 1\r\n\
        X-Auth-User-Id: mine\r\nConnection: close, authorization\r\n\r\n";
    exchange(gateway.address, gateway.fill(raw, &user.token)).await;
    let seen = upstream.only();
    assert_eq!(seen.header("x-user-user-id"), Some(user.id.as_str()));
    assert!(seen.all("x_user_user_id").is_empty());
    assert_eq!(seen.header("authorization"), Some(user.bearer().as_str()));
    assert_eq!(
        seen.header("x-auth-user-id"),
        Some("mine"),
        "with another prefix it is a header like any other"
    );
}

#[tokio::test]
async fn each_request_on_a_connection_is_judged_by_itself() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let other = Account::sign_up(&gateway).await;
    let with = |token: &str| {
        gateway.fill(
            "GET /c/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n\r\n",
            token,
        )
    };
    let without = gateway.fill("GET /c/x HTTP/1.1\r\nHost: HOST\r\n\r\n", "");

    let mut conversation = Conversation::open(gateway.address).await;
    // Pipelined: all at once.
    let requests = [
        with(&user.token),
        without.clone(),
        with(&other.token),
        with("x"),
        with(&user.token),
    ]
    .concat();
    conversation.send(requests).await;
    let mut ids = Vec::new();
    for expected in [200, 401, 200, 401, 200] {
        let answer = conversation.answer().await;
        assert_eq!(answer.status, expected);
        if expected == 200 {
            ids.push(answer.json()["headers"]["x-auth-user-id"].clone());
        }
    }
    assert_eq!(
        ids,
        [user.id.as_str(), other.id.as_str(), user.id.as_str()].map(Value::from)
    );

    // And on the same connection after a logout in between.
    gateway.log_out(&user.token).await;
    conversation.send(with(&user.token)).await;
    assert_eq!(conversation.answer().await.problem(), "token_revoked");
}

#[tokio::test]
async fn a_token_seen_on_one_route_is_judged_anew_on_the_next() {
    let upstream = Upstream::echo().await;
    let routes = format!(
        "{}\n[[routes]]\npath = \"/tenant\"\nupstream = \"app\"\nclaims = {{ tenant = \"acme\" }}\n",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&routes).await;
    let user = Account::sign_up(&gateway).await;
    for _ in 0..2 {
        assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 200);
        for path in ["/admin/x", "/tenant/x"] {
            let response = gateway
                .http
                .get(gateway.url(path))
                .bearer_auth(&user.token)
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), 403, "{path}");
            let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
            assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        }
    }
    gateway.shift.advance(std::time::Duration::from_secs(3600));
    assert_eq!(
        gateway.get("/c/x", Some(&user.token)).await.0,
        401,
        "seen, then expired"
    );
}
