//! Sign-ups, refreshes, secrets of other services, and floods of logins.

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use reqwest::Response;
use serde_json::json;

use super::{Scene, Told, enter, guess, log_in, on_both, send};
use crate::support::account::PASSWORD;
use crate::support::{Backend, DEADLINE, TestGateway, eventually, when};

on_both!(
    sign_ups_from_one_address_and_one_network_are_limited,
    a_flood_of_invented_addresses_does_not_fill_the_table,
);

async fn sign_up(gateway: &TestGateway, name: &str, from: &str) -> Told {
    let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD, "name": "Ann Lee"});
    send(gateway, "/auth/signup", from, None, &body).await
}

async fn weak_sign_up(gateway: &TestGateway, from: &str) -> Told {
    let body = json!({"email": "g@example.com", "password": "password", "name": "G"});
    send(gateway, "/auth/signup", from, None, &body).await
}

async fn sign_ups_from_one_address_and_one_network_are_limited(backend: Backend) {
    let limits = "signups_per_address = \"3/h\"\nsignups_per_network = \"5/h\"";
    let mut scene = Scene::start(backend, limits).await;
    let gateway = &scene.gateway;
    assert_eq!(sign_up(gateway, "a", "192.0.2.1").await.status, 201);
    assert_eq!(
        sign_up(gateway, "a", "192.0.2.1").await.status,
        409,
        "who looks for accounts counts"
    );
    assert_eq!(sign_up(gateway, "b", "192.0.2.1").await.status, 201);
    let told = sign_up(gateway, "c", "192.0.2.1").await;
    assert_eq!((told.status, &told.body["code"]), (429, &json!("too_many_attempts")));
    assert!((1100..=1200).contains(&told.wait.unwrap()), "{told:?}");
    let told = sign_up(gateway, "a", "192.0.2.1").await;
    assert_eq!(told.status, 429, "nobody learns whether there is an account");
    assert_eq!(sign_up(gateway, "c", "192.0.2.2").await.status, 201);
    assert_eq!(sign_up(gateway, "d", "192.0.2.2").await.status, 201);
    assert_eq!(sign_up(gateway, "e", "192.0.2.3").await.status, 429);
    assert_eq!(sign_up(gateway, "e", "198.51.100.1").await.status, 201);
    scene.gateway.restart().await;
    let gateway = &scene.gateway;
    assert_eq!(sign_up(gateway, "f", "192.0.2.1").await.status, 429);
    // What is not acceptable makes no account, and costs none.
    for _ in 0..6 {
        assert_eq!(weak_sign_up(gateway, "203.0.113.1").await.status, 422);
    }
    assert_eq!(sign_up(gateway, "g", "203.0.113.1").await.status, 201);
}

async fn a_flood_of_invented_addresses_does_not_fill_the_table(backend: Backend) {
    let flood = "capacity = 16\n[store]\ncleanup_every = \"100ms\"";
    let scene = Scene::start(backend, flood).await;
    let gateway = &scene.gateway;
    let ann = scene.account("ann").await;
    assert_eq!(enter(gateway, &ann, "203.0.113.1").await, 200);
    for index in 0..8 {
        let email = format!("first{index}@example.com");
        assert_eq!(guess(gateway, &email, &format!("10.0.{index}.1")).await.status, 401);
    }
    eventually(DEADLINE, "the table is full", || async {
        when(gateway.metric("doorward_throttle_rows").await >= Some(16.0))
    })
    .await;
    let store = gateway.store().await;
    let before = store.count_throttles().await.unwrap();
    let mut refused = 0;
    for index in 0..250 {
        let email = format!("second{index}@example.com");
        let told = guess(gateway, &email, &format!("10.1.{index}.1")).await;
        refused += u32::from(told.status == 429);
    }
    // Of four kinds, sixteen each.
    let rows = store.count_throttles().await.unwrap();
    assert!(rows <= before + 64, "{before} {rows}");
    assert!(refused > 100, "{refused}: newcomers share");
    assert_eq!(
        enter(gateway, &ann, "203.0.113.1").await,
        200,
        "who is known is not touched"
    );
    store.close().await;
}

#[tokio::test]
async fn a_session_may_not_be_refreshed_without_pause() {
    let scene = Scene::start(Backend::Sqlite, "refreshes_per_session = \"4/h\"").await;
    let gateway = &scene.gateway;
    let (ann, bob) = (scene.account("ann").await, scene.account("bob").await);
    let refresh = async |token: &str| {
        let body = json!({"refresh_token": token});
        send(gateway, "/auth/refresh", "192.0.2.1", None, &body).await
    };
    let (mut token, mut used) = (ann.refresh_token.clone(), String::new());
    for _ in 0..4 {
        let told = refresh(&token).await;
        assert_eq!(told.status, 200, "{told:?}");
        let next = told.body["refresh_token"].as_str().unwrap().to_owned();
        used = std::mem::replace(&mut token, next);
    }
    // Neither the token that is next nor the one before, which may be presented again.
    for token in [&token, &used] {
        let told = refresh(token).await;
        assert_eq!((told.status, &told.body["code"]), (429, &json!("too_many_attempts")));
        assert!((600..=900).contains(&told.wait.unwrap()), "{told:?}");
    }
    assert_eq!(refresh(&bob.refresh_token).await.status, 200, "another session");
    assert_eq!(
        gateway.metric("doorward_throttled_total{kind=\"session\"}").await,
        Some(2.0)
    );
}

#[tokio::test]
async fn refresh_tokens_that_are_no_good_are_limited_and_one_that_comes_again_is_one() {
    let limits = "bad_refreshes_per_address = \"3/h\"\nrefreshes_per_session = \"2/h\"";
    let scene = Scene::start(Backend::Sqlite, limits).await;
    let gateway = &scene.gateway;
    let ann = scene.account("ann").await;
    let refresh = async |token: &str, from: &str| {
        let body = json!({"refresh_token": token});
        send(gateway, "/auth/refresh", from, None, &body).await.status
    };
    let bad = |index: usize| format!("{}{}", "A".repeat(41), ["AA", "AE", "AI", "AM"][index]);
    // A page with an old token, which never stops: the token is refused, and nobody else behind its address.
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(refresh(&bad(0), "192.0.2.1").await);
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    assert_eq!(refresh(&bad(1), "192.0.2.1").await, 401);
    assert_eq!(refresh(&bad(2), "192.0.2.1").await, 401);
    assert_eq!(refresh(&bad(3), "192.0.2.1").await, 429);
    assert_eq!(refresh(&ann.refresh_token, "192.0.2.1").await, 429);
    assert_eq!(refresh(&ann.refresh_token, "192.0.2.2").await, 200);
}

#[tokio::test]
async fn refresh_tokens_that_come_again_are_limited_together_and_keep_no_other_out() {
    // Of the tests' sessions none is refreshed too often. One more may come again after twelve minutes.
    let scene = Scene::start(Backend::Sqlite, "bad_refreshes_per_address = \"2/d\"").await;
    let gateway = &scene.gateway;
    let ann = scene.account("ann").await;
    let refresh = async |token: &str, from: &str| {
        let body = json!({"refresh_token": token});
        send(gateway, "/auth/refresh", from, None, &body).await
    };
    let bad = |index: usize| format!("{}{}", "A".repeat(41), ["AA", "AE"][index]);
    for _ in 0..3 {
        assert_eq!(refresh(&bad(0), "192.0.2.1").await.status, 401);
    }
    let told = refresh(&bad(0), "192.0.2.1").await;
    assert_eq!((told.status, &told.body["code"]), (429, &json!("too_many_attempts")));
    assert!((1..=720).contains(&told.wait.unwrap()), "{told:?}");
    let answer = refresh(&ann.refresh_token, "192.0.2.1").await;
    assert_eq!(answer.status, 200, "a good one from there");
    assert_eq!(refresh(&bad(0), "192.0.2.2").await.status, 401, "from elsewhere");
    assert_eq!(refresh(&bad(1), "192.0.2.1").await.status, 401, "one that is new");
    assert_eq!(
        gateway.metric("doorward_throttled_total{kind=\"bad_refresh\"}").await,
        Some(1.0)
    );
}

#[tokio::test]
async fn wrong_secrets_of_a_client_are_limited_where_they_come_from() {
    let client = "bad_secrets_per_client = \"2/h\"\n[[clients]]\nid = \"reports\"\nsecret = \"0123456789abcdef0123456789abcdef\"";
    let scene = Scene::start(Backend::Sqlite, client).await;
    let gateway = &scene.gateway;
    let ask = async |path: &str, id: &str, secret: &str, from: &str| -> Response {
        let request = gateway.http.post(gateway.url(path)).header("x-forwarded-for", from);
        let request = request.basic_auth(id, Some(secret)).body("token=x");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.send().await.unwrap()
    };
    let right = "0123456789abcdef0123456789abcdef";
    for path in ["/auth/introspect", "/auth/revoke"] {
        assert_eq!(ask(path, "reports", "wrong", "192.0.2.1").await.status(), 401);
        assert_eq!(ask(path, "nobody", "wrong", "192.0.2.1").await.status(), 401);
    }
    for id in ["reports", "nobody"] {
        let refused = ask("/auth/introspect", id, right, "192.0.2.1").await;
        assert_eq!(refused.status(), 429);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(refused.headers()["x-doorward-error"], "too_many_attempts");
    }
    assert_eq!(ask("/auth/introspect", "other", "x", "192.0.2.1").await.status(), 401);
    assert_eq!(
        ask("/auth/introspect", "reports", right, "192.0.2.2").await.status(),
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_logins_leaves_routes_open_and_is_turned_away_at_once() {
    let passwords = "[passwords]\nbcrypt_cost = 13\nconcurrency = 1\nqueue = 3\nqueue_per_address = 2";
    let server = format!("trusted_proxies = [\"127.0.0.1\"]\n{passwords}");
    let scene = Scene::start_with(Backend::Sqlite, "", &server).await;
    let gateway = &scene.gateway;
    let ann = scene.account("ann").await;
    let from: Vec<String> = (0..40).map(|index| format!("10.0.{}.1", index / 8)).collect();
    let mut flood: FuturesUnordered<_> = from
        .iter()
        .map(|from| log_in(gateway, "nobody@example.com", "x", from))
        .collect();
    let mut statuses = Vec::new();
    let mut open = 0;
    while let Some(told) = flood.next().await {
        statuses.push(told.status);
        assert_eq!(told.wait.is_some(), told.status == 503, "{told:?}");
        // Somebody hashes and others wait, all the while.
        if !flood.is_empty() {
            assert_eq!(gateway.get("/c", Some(&ann.token)).await.0, 200);
            open += 1;
        }
    }
    let judged = statuses.iter().filter(|status| **status == 401).count();
    assert!((1..=8).contains(&judged), "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 40 - judged);
    assert_eq!(
        statuses.last(),
        Some(&401),
        "whoever is turned away does not wait for the others"
    );
    assert!(open >= 30, "{open}");
    assert!(gateway.metric("doorward_throttled_total{kind=\"queue\"}").await >= Some(1.0));
}

#[tokio::test]
async fn one_address_holds_a_part_of_the_queue_alone() {
    let passwords = "[passwords]\nbcrypt_cost = 13\nconcurrency = 1\nqueue = 7\nqueue_per_address = 2";
    let server = format!("trusted_proxies = [\"127.0.0.1\"]\n{passwords}");
    let scene = Scene::start_with(Backend::Sqlite, "", &server).await;
    let gateway = &scene.gateway;
    let one = (0..6).map(|_| log_in(gateway, "nobody@example.com", "x", "192.0.2.1"));
    let other = log_in(gateway, "somebody@example.com", "x", "198.51.100.1");
    let (statuses, other) = tokio::join!(join_all(one), other);
    let other = other.status;
    let turned_away = statuses.iter().filter(|told| told.status == 503).count();
    assert!((1..=4).contains(&turned_away), "{statuses:?}");
    assert_eq!(other, 401);
}

#[tokio::test]
async fn an_address_that_holds_its_part_of_the_queue_has_no_passwords_judged_either() {
    let passwords = "[passwords]\nbcrypt_cost = 13\nconcurrency = 1\nqueue = 7\nqueue_per_address = 2";
    let server = format!("trusted_proxies = [\"127.0.0.1\"]\n{passwords}");
    let scene = Scene::start_with(Backend::Sqlite, "per_account = \"off\"\nmax_delay = \"0s\"", &server).await;
    let gateway = &scene.gateway;
    let one = "192.0.2.1";
    eventually(DEADLINE, "a weak sign-up is turned away", || async {
        let logins = join_all((0..2).map(|_| log_in(gateway, "nobody@example.com", "x", one)));
        let (_, weak, other) = tokio::join!(
            logins,
            weak_sign_up(gateway, one),
            weak_sign_up(gateway, "198.51.100.1")
        );
        assert_eq!(other.status, 422, "{other:?}");
        assert!(matches!(weak.status, 422 | 503), "{weak:?}");
        when(weak.body["code"] == "busy")
    })
    .await;
}

#[tokio::test]
async fn from_one_address_ten_passwords_are_judged_for_each_account_that_may_be_made() {
    let scene = Scene::start(Backend::Sqlite, "signups_per_address = \"1/h\"").await;
    let gateway = &scene.gateway;
    for _ in 0..10 {
        assert_eq!(weak_sign_up(gateway, "192.0.2.1").await.status, 422);
    }
    let told = weak_sign_up(gateway, "192.0.2.1").await;
    assert_eq!((told.status, &told.body["code"]), (429, &json!("too_many_attempts")));
    assert!((300..=360).contains(&told.wait.unwrap()), "{told:?}");
    assert_eq!(sign_up(gateway, "ann", "192.0.2.1").await.status, 429);
    // Who has an account has as many, wherever others use up theirs.
    let ann = scene.account("ann").await;
    let change = json!({"current_password": PASSWORD, "new_password": "password"});
    let change = async |from| send(gateway, "/auth/user/password", from, Some(&ann.token), &change).await;
    for _ in 0..10 {
        assert_eq!(change("192.0.2.1").await.status, 422);
    }
    assert_eq!(change("192.0.2.1").await.status, 429);
    assert_eq!(change("192.0.2.2").await.status, 422);
    assert_eq!(sign_up(gateway, "bob", "192.0.2.2").await.status, 201);
    assert_eq!(
        gateway.metric("doorward_throttled_total{kind=\"judged\"}").await,
        Some(3.0)
    );
}
