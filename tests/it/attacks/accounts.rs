//! Accounts: whoever signs up or logs in gets their own, whatever they send; on both databases.

use serde_json::{Value, json};

use crate::support::account::PASSWORD;
use crate::support::{Account, Backend, TestGateway, Upstream, usual_routes};

/// The same on each database.
macro_rules! on_both {
    ($($test:ident,)*) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(super::Backend::Sqlite).await;
                }
            )*
        }
        mod on_mariadb {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(super::Backend::MariaDb).await;
                }
            )*
        }
    };
}

on_both! {
    twenty_sign_ups_of_one_address_at_once_make_one_account,
    an_address_that_looks_like_another_is_not_its_account,
    fields_that_nobody_asked_for_grant_nothing,
    passwords_that_are_equal_only_in_part_do_not_open_an_account,
    no_answer_repeats_a_secret,
}

async fn twenty_sign_ups_of_one_address_at_once_make_one_account(backend: Backend) {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start_on(backend, &usual_routes(&upstream)).await;
    let sign_up = |email: &str| {
        let body = json!({"email": email, "password": PASSWORD, "name": "Grace Hopper"});
        gateway.http.post(gateway.url("/auth/signup")).json(&body).send()
    };
    let answers = futures_util::future::join_all((0..20).map(|_| sign_up("grace@example.com"))).await;
    let mut statuses: Vec<u16> = answers
        .into_iter()
        .map(|answer| answer.unwrap().status().as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201, "{statuses:?}");
    assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");

    // The same address in other spellings is the same account; another address is another one.
    for same in ["GRACE@example.com", " grace@EXAMPLE.com ", "grace@example.com"] {
        assert_eq!(sign_up(same).await.unwrap().status(), 409, "{same:?}");
    }
}

/// Each guess here is one that must fail for what it is.
const NO_THROTTLE: &str = "[throttle]\nfree_failures = 1000\nper_account = \"off\"\nper_address = \"off\"\nper_network = \"off\"\n\
     signups_per_address = \"off\"\nsignups_per_network = \"off\"\nrefreshes_per_session = \"off\"\n";

/// Addresses that some database, mail server or eye takes for `kristin.ss@example.com`.
const LOOKALIKES: &[&str] = &[
    "kr\u{ed}stin.ss@example.com",
    "kri\u{301}stin.ss@example.com",
    "kr\u{131}stin.ss@example.com",
    "KR\u{130}STIN.SS@example.com",
    "\u{212a}ristin.ss@example.com",
    "\u{ff4b}ristin.ss@example.com",
    "\u{ff4b}\u{ff52}\u{ff49}\u{ff53}\u{ff54}\u{ff49}\u{ff4e}.ss@example.com",
    "kri\u{fb06}in.ss@example.com",
    "kristin.\u{df}@example.com",
    "kristin.\u{1e9e}@example.com",
    "kristin\u{2024}ss@example.com",
    "kristin.ss\u{ff20}example.com",
    "kristin.ss@ex\u{e4}mple.com",
    "kristin.ss@example\u{3002}com",
    "kristin.ss@example.com.",
    "kristin.ss@example.com\0",
    "kristin.ss\u{200b}@example.com",
    "kristin.ss\u{ad}@example.com",
    "kristin.ss@example.com\u{a0}",
    "kristin.ss @example.com",
    "\"kristin.ss\"@example.com",
    "kristin.ss+x@example.com",
    "kristinss@example.com",
];

async fn an_address_that_looks_like_another_is_not_its_account(backend: Backend) {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start_on(backend, &format!("{NO_THROTTLE}{}", usual_routes(&upstream))).await;
    let owner = Account::sign_up_as(&gateway, "kristin.ss@example.com", "Kristin").await;
    let mut others = 0;
    for (number, other) in LOOKALIKES.iter().enumerate() {
        // With the owner's password it opens what is its own, if anything.
        let log_in = json!({"email": other, "password": PASSWORD});
        let (status, answer) = gateway.post("/auth/login", &log_in).await;
        assert!(
            status == 401 || answer["user"]["email"] == owner.email,
            "{other:?}: {answer}"
        );
        let is_the_same = status == 200;
        let own = format!("{PASSWORD}-{number}");
        let sign_up = json!({"email": other, "password": own, "name": "Somebody"});
        let (status, answer) = gateway.post("/auth/signup", &sign_up).await;
        match status {
            201 => {
                assert!(!is_the_same, "{other:?}");
                assert_ne!(answer["user"]["id"], owner.id, "{other:?}");
                let (status, _) = gateway.post("/auth/login", &log_in).await;
                assert_eq!(status, 401, "{other:?}: the owner's password is not its");
                others += 1;
            }
            409 => assert!(answer["user"].is_null(), "{other:?}: {answer}"),
            _ => assert_eq!(status, 422, "{other:?}: {answer}"),
        }
        let own = json!({"email": owner.email, "password": own});
        assert_eq!(
            gateway.post("/auth/login", &own).await.0,
            401,
            "{other:?}: its password is not the owner's"
        );
        assert_eq!(owner.log_in(&gateway).await.id, owner.id, "{other:?}");
    }
    assert!(others > 2, "{others} are accounts of their own");
}

async fn fields_that_nobody_asked_for_grant_nothing(backend: Backend) {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start_on(backend, &usual_routes(&upstream)).await;
    let body = json!({
        "email": "eve@example.com", "password": PASSWORD, "name": "Eve",
        "roles": ["admin"], "role": "admin", "admin": true, "id": "00000000-0000-7000-8000-000000000000",
    });
    let (status, answer) = gateway.post("/auth/signup", &body).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["user"]["roles"], json!([]));
    assert_ne!(answer["user"]["id"], body["id"]);
    let token = answer["access_token"].as_str().unwrap();

    let change = json!({"name": "Eve II", "roles": ["admin"], "id": body["id"]});
    let changed = gateway
        .http
        .patch(gateway.url("/auth/user"))
        .bearer_auth(token)
        .json(&change)
        .send()
        .await
        .unwrap();
    assert_eq!(changed.status(), 200);
    let changed: Value = changed.json().await.unwrap();
    assert_eq!((&changed["roles"], &changed["id"]), (&json!([]), &answer["user"]["id"]));

    let refresh = json!({"refresh_token": answer["refresh_token"], "roles": ["admin"]});
    let (_, refreshed) = gateway.post("/auth/refresh", &refresh).await;
    let (status, body) = gateway.get("/admin/1", refreshed["access_token"].as_str()).await;
    assert_eq!((status, problem_code(&body).as_str()), (403, "forbidden"));
}

async fn passwords_that_are_equal_only_in_part_do_not_open_an_account(backend: Backend) {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start_on(backend, &usual_routes(&upstream)).await;
    // bcrypt reads 72 bytes, and C strings end at a NUL.
    let longest = "wistful-otter-47-lantern-".repeat(3)[..72].to_owned();
    let sign_up = |email: &str, password: &str| {
        let body = json!({"email": email, "password": password, "name": "Longest"});
        gateway.http.post(gateway.url("/auth/signup")).json(&body).send()
    };
    assert_eq!(sign_up("longest@example.com", &longest).await.unwrap().status(), 201);
    assert_eq!(
        sign_up("longer@example.com", &format!("{longest}x"))
            .await
            .unwrap()
            .status(),
        422
    );
    assert_eq!(
        sign_up("nul@example.com", "wistful-otter\0lantern")
            .await
            .unwrap()
            .status(),
        422
    );

    let mut answers = Vec::new();
    for password in [
        format!("{longest}x"),
        format!("{longest}\0"),
        longest[..71].to_owned(),
        "wrong".to_owned(),
    ] {
        let body = json!({"email": "longest@example.com", "password": password});
        answers.push(gateway.post("/auth/login", &body).await);
    }
    answers.push(
        gateway
            .post(
                "/auth/login",
                &json!({"email": "nobody@example.com", "password": longest}),
            )
            .await,
    );
    for answer in &answers {
        assert_eq!(answer.0, 401);
        assert_eq!(answer, &answers[0], "the same answer for every reason");
    }
    let body = json!({"email": "longest@example.com", "password": longest});
    assert_eq!(gateway.post("/auth/login", &body).await.0, 200);
}

async fn no_answer_repeats_a_secret(backend: Backend) {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start_on(backend, &usual_routes(&upstream)).await;
    let secret = "s3cr3t-wistful-otter-marker";
    for body in [
        json!({"email": "a@b.example", "password": secret}).to_string(),
        json!({"email": secret, "password": secret, "name": 7}).to_string(),
        json!({"email": ["x"], "password": {"x": secret}}).to_string(),
        format!("{{\"password\": \"{secret}\""),
        format!("{{\"password\": \"{secret}\", \"password\": \"{secret}\"}}"),
        format!("{secret}{{}}"),
    ] {
        for path in ["/auth/login", "/auth/signup", "/auth/refresh"] {
            let request = gateway
                .http
                .post(gateway.url(path))
                .header("content-type", "application/json");
            let response = request.body(body.clone()).send().await.unwrap();
            let status = response.status().as_u16();
            let headers = format!("{:?}", response.headers());
            let answer = response.text().await.unwrap();
            assert!((400..500).contains(&status), "{path} {body}: {status} {answer}");
            for shown in [&headers, &answer] {
                assert!(!shown.contains("s3cr3t"), "{path} {body}: {shown}");
                assert!(!shown.to_lowercase().contains("sql"), "{path} {body}: {shown}");
            }
        }
    }
}

fn problem_code(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {body:?}"));
    body["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no code in {body}"))
        .to_owned()
}
