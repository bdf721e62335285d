//! The identity headers: set by the gateway alone, once, on every route, however a client spells them.

use serde_json::Value;

use crate::support::{Account, Conversation, Seen, TestGateway, Upstream, exchange, usual_routes};

/// Every spelling that some server folds into an identity header, and every way to make a proxy drop or double it.
pub(crate) const SPOOFS: &[&str] = &[
    "X-Auth-User-Id: 1",
    "x-auth-user-id: 1",
    "X-AUTH-USER-ID: 1",
    "X_Auth_User_Id: 1",
    "x_auth_user_id: 1",
    "X-Auth-User_Id: 1",
    "X.Auth.User.Id: 1",
    "X-Auth.User-Id: 1",
    "X-Auth-User-Id-: 1",
    "X-Auth-User-Id: 1\r\nX-Auth-User-Id: 2",
    "X-Auth-User-Id:",
    "X-Auth-User-Id: 1, 2",
    "X-Auth-Email: root@example.com",
    "X-Auth-Name: root",
    "X-Auth-Roles: admin",
    "X_AUTH_ROLES: admin",
    "X-Auth-Session: 1",
    "X-Auth-Issuer: corp",
    "X-Auth-Tenant: 1",
    "Connection: X-Auth-User-Id",
    "Connection: keep-alive, x-auth-user-id, X-Auth-Roles\r\nX-Auth-User-Id: 1",
    "Connection: x-auth-user-id\r\nConnection: x-auth-email",
    "Connection: x_auth_user_id",
    "Proxy-Connection: X-Auth-User-Id",
    "Keep-Alive: X-Auth-User-Id",
    "Connection: Host",
    "Connection: Content-Length",
    "Connection: X-Forwarded-For, X-Request-Id, Via",
    "Connection: te, transfer-encoding",
    "Trailer: X-Auth-User-Id",
    "Authorization_: Bearer x",
    "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https",
    "X-Original-URL: /auth/login\r\nX-Rewrite-URL: /auth/login\r\nX-Envoy-Original-Path: /auth/login",
    "X-HTTP-Method-Override: DELETE",
];

/// Headers in which a server that folds `_` and `.` to `-` could see an identity.
fn identity_headers(seen: &Seen) -> Vec<(String, String)> {
    seen.headers
        .iter()
        .map(|(name, value)| (name.to_lowercase().replace(['_', '.'], "-"), value.clone()))
        .filter(|(name, _)| name.starts_with("x-auth"))
        .collect()
}

pub(crate) fn assert_is(seen: &Seen, user: &Account, why: &str) {
    let headers = identity_headers(seen);
    let all = |name: &str| -> Vec<&str> {
        headers
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
            .collect()
    };
    assert_eq!(all("x-auth-user-id"), [user.id.as_str()], "{why}: {seen:?}");
    assert_eq!(all("x-auth-email"), [user.email.as_str()], "{why}: {seen:?}");
    assert_eq!(all("x-auth-name"), [user.name.as_str()], "{why}: {seen:?}");
    assert_eq!(all("x-auth-session").len(), 1, "{why}: {seen:?}");
    assert_eq!(all("x-auth-issuer"), ["self"], "{why}: {seen:?}");
    assert!(!format!("{headers:?}").contains("admin"), "{why}: {seen:?}");
    for (name, _) in &headers {
        let known = [
            "x-auth-user-id",
            "x-auth-email",
            "x-auth-name",
            "x-auth-roles",
            "x-auth-session",
            "x-auth-issuer",
        ];
        assert!(known.contains(&name.as_str()), "{why}: {name} in {seen:?}");
    }
    assert!(seen.all("authorization").is_empty(), "{why}: {seen:?}");
}

#[tokio::test]
async fn the_upstream_sees_one_identity_however_a_client_spells_another() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for spoof in SPOOFS {
        for path in ["/c/x", "/optional/x", "/api/x"] {
            let before = upstream.seen().len();
            let raw = format!(
                "GET {path} HTTP/1.1\r\nHost: HOST\r\n{spoof}\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n\r\n"
            );
            let ended = exchange(gateway.address, gateway.fill(&raw, &user.token)).await;
            let seen = upstream.seen().split_off(before);
            match ended.statuses()[..] {
                [200] => assert_is(&seen[0], &user, spoof),
                [400] => assert!(seen.is_empty(), "{spoof}"),
                _ => panic!("{spoof}: {ended:?}"),
            }
            assert!(seen.len() <= 1, "{spoof}");
        }
    }
    assert!(upstream.faults().is_empty(), "{:?}", upstream.faults());
}

#[tokio::test]
async fn an_open_route_forwards_no_identity_of_the_client_s_own_making() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for spoof in SPOOFS {
        for (method, path, credentials) in [
            ("GET", "/public/x", String::new()),
            ("OPTIONS", "/public/x", String::new()),
            ("GET", "/optional/x", String::new()),
            ("GET", "/public/x", format!("Authorization: Bearer {}\r\n", user.token)),
            ("GET", "/public/x", "Authorization: Bearer nonsense\r\n".to_owned()),
            (
                "GET",
                "/public/x",
                "Connection: Upgrade\r\nUpgrade: websocket\r\n".to_owned(),
            ),
        ] {
            let before = upstream.seen().len();
            let raw =
                format!("{method} {path} HTTP/1.1\r\nHost: HOST\r\n{spoof}\r\n{credentials}Connection: close\r\n\r\n");
            let ended = exchange(gateway.address, gateway.fill(&raw, "")).await;
            for seen in upstream.seen().split_off(before) {
                assert_eq!(identity_headers(&seen), [], "{method} {path} {spoof}: {seen:?}");
            }
            let statuses = ended.statuses();
            assert!(
                statuses == [200] || statuses == [400],
                "{method} {path} {spoof}: {ended:?}"
            );
        }
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

/// Not a bearer token in one `Authorization` header.
const NOT_AUTHORIZED: &[&str] = &[
    "Authorization: Bearer TOKEN\r\nAuthorization: Bearer x",
    "Authorization: Bearer x\r\nAuthorization: Bearer TOKEN",
    "Authorization: Bearer TOKEN\r\nAuthorization: Bearer TOKEN",
    "Authorization: Bearer TOKEN, Bearer x",
    "Authorization: Bearer TOKEN x",
    "Authorization: Bearer TOKEN=",
    "Authorization: Bearer TOKEN\u{a0}",
    "Authorization: Basic TOKEN",
    "Authorization: BearerX TOKEN",
    "Authorization: Bearer",
    "Authorization: Bearer ",
    "Authorization:",
    "Authorization: TOKEN",
    "Authorization: Bearer\tTOKEN\tx",
    "Authorization: Bearer \"TOKEN\"",
    "Authorization_: Bearer TOKEN",
    "X-Authorization: Bearer TOKEN",
    "Proxy-Authorization: Bearer TOKEN",
    "Cookie: jwt=TOKEN; token=TOKEN; access_token=TOKEN; Authorization=Bearer TOKEN",
    "X-Access-Token: TOKEN",
];

#[tokio::test]
async fn a_token_counts_in_one_authorization_header_only() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let mut requests: Vec<String> = NOT_AUTHORIZED
        .iter()
        .map(|header| format!("GET /c/x HTTP/1.1\r\nHost: HOST\r\n{header}\r\nConnection: close\r\n\r\n"))
        .collect();
    requests
        .push("GET /c/x?access_token=TOKEN&token=TOKEN HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n".to_owned());
    let body = format!("access_token={}", user.token);
    requests.push(format!(
        "POST /c/x HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    for request in &requests {
        let ended = exchange(gateway.address, gateway.fill(request, &user.token)).await;
        let statuses = ended.statuses();
        assert!(statuses == [401] || statuses == [400], "{request}: {ended:?}");
        if statuses == [401] {
            let challenge = ended.answers[0].header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer realm=\"doorward\""), "{challenge}");
        }
        assert!(upstream.seen().is_empty(), "{request}: {:?}", upstream.seen());
    }
    for good in [
        "authorization:   bearer   TOKEN   ",
        "AUTHORIZATION: BEARER TOKEN",
        "Authorization:Bearer TOKEN",
    ] {
        let raw = format!("GET /c/x HTTP/1.1\r\nHost: HOST\r\n{good}\r\nConnection: close\r\n\r\n");
        let ended = exchange(gateway.address, gateway.fill(&raw, &user.token)).await;
        assert_eq!(ended.statuses(), [200], "{good}");
    }
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
