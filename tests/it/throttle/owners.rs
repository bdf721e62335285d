//! What the owner of an account meets while others guess.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Scene, enter, guess, guesses, log_in, on_both};
use crate::support::Backend;
use crate::support::account::PASSWORD;

on_both!(
    whoever_logged_in_from_an_address_gets_in_from_there_while_others_guess,
    the_owner_gets_in_from_anywhere_within_the_longest_wait,
    an_account_that_is_guessed_at_from_everywhere_is_open_to_known_addresses_alone,
    who_had_an_e_mail_address_before_is_not_known_to_the_account_that_has_it_now,
    the_operator_sees_who_has_to_wait_and_lifts_it,
);

async fn whoever_logged_in_from_an_address_gets_in_from_there_while_others_guess(backend: Backend) {
    let scene = Scene::start(backend, "first_delay = \"1m\"\nper_address = \"8/h\"").await;
    let gateway = &scene.gateway;
    let ann = scene.account("ann").await;
    assert_eq!(enter(gateway, &ann, "192.0.2.1").await, 200);
    // From the same network, and for other accounts from the same address.
    assert_eq!(guesses(gateway, &ann.email, "192.0.2.9", 6).await[5], 429);
    for index in 0..8 {
        let other = format!("user{index}@example.com");
        assert_eq!(guess(gateway, &other, "192.0.2.1").await.status, 401);
    }
    assert_eq!(guess(gateway, "user9@example.com", "192.0.2.1").await.status, 429);
    for _ in 0..3 {
        assert_eq!(enter(gateway, &ann, "192.0.2.1").await, 200);
    }
    // Mistakes of one's own are forgiven with the right password, and cost time without.
    for _ in 0..2 {
        assert_eq!(guesses(gateway, &ann.email, "192.0.2.1", 4).await, [401; 4]);
        assert_eq!(enter(gateway, &ann, "192.0.2.1").await, 200);
    }
    assert_eq!(guesses(gateway, &ann.email, "192.0.2.1", 6).await[4..], [401, 429]);
    assert_eq!(enter(gateway, &ann, "192.0.2.1").await, 429);
    gateway.shift.advance(Duration::from_mins(1));
    assert_eq!(enter(gateway, &ann, "192.0.2.1").await, 200);
}

async fn the_owner_gets_in_from_anywhere_within_the_longest_wait(backend: Backend) {
    let scene = Scene::start(backend, "max_delay = \"10s\"\nforget_after = \"1h\"").await;
    let gateway = &scene.gateway;
    let ann = scene.account("ann").await;
    let mut longest = 0;
    for _ in 0..12 {
        let told = guess(gateway, &ann.email, "192.0.2.1").await;
        if let Some(wait) = told.wait {
            longest = longest.max(wait);
            gateway.shift.advance(Duration::from_secs(wait));
        }
    }
    assert!((1..=10).contains(&longest), "{longest}");
    for _ in 0..10 {
        guess(gateway, &ann.email, "192.0.2.1").await;
    }
    gateway.shift.advance(Duration::from_secs(10));
    assert_eq!(
        enter(gateway, &ann, "192.0.2.1").await,
        200,
        "from the guesser's own network"
    );
    // What is quiet for an hour is forgotten.
    gateway.shift.advance(Duration::from_hours(1));
    assert_eq!(guesses(gateway, &ann.email, "192.0.2.2", 5).await, [401; 5]);
}

async fn an_account_that_is_guessed_at_from_everywhere_is_open_to_known_addresses_alone(backend: Backend) {
    let scene = Scene::start(backend, "per_account = \"8/h\"").await;
    let gateway = &scene.gateway;
    let ann = scene.account("ann").await;
    assert_eq!(enter(gateway, &ann, "192.0.2.1").await, 200);
    for index in 0..8 {
        assert_eq!(guess(gateway, &ann.email, &format!("10.0.{index}.1")).await.status, 401);
    }
    assert_eq!(guess(gateway, &ann.email, "10.0.8.1").await.status, 429);
    assert_eq!(enter(gateway, &ann, "10.0.9.1").await, 429);
    assert_eq!(enter(gateway, &ann, "192.0.2.1").await, 200);
    // It is one guess each seven and a half minutes from then on, and one of them may be hers.
    gateway.shift.advance(Duration::from_secs(450));
    assert_eq!(enter(gateway, &ann, "10.0.9.1").await, 200);
    assert_eq!(enter(gateway, &ann, "10.0.9.1").await, 200, "this one is known by now");
}

async fn the_operator_sees_who_has_to_wait_and_lifts_it(backend: Backend) {
    let scene = Scene::start(
        backend,
        "first_delay = \"1h\"\nmax_delay = \"1h\"\nper_address = \"7/d\"",
    )
    .await;
    let gateway = &scene.gateway;
    let ann = scene.account("ann").await;
    let run = async |args: &str| {
        let (done, out, err) = gateway.command(args).await;
        assert!(done, "{args}: {err}");
        (out, err)
    };
    let throttled = async || {
        let (shown, _) = run("users show ann@example.com --json").await;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        shown["throttled_until"].clone()
    };
    assert_eq!(throttled().await, Value::Null);
    assert_eq!(guesses(gateway, &ann.email, "192.0.2.1", 6).await[5], 429);
    assert!(throttled().await.is_string());
    let (shown, _) = run("users show ann@example.com").await;
    assert!(shown.contains("throttled somewhere, until "), "{shown}");

    let (_, told) = run("users unlock Ann@example.com").await;
    assert!(
        told.contains("unlocked ann@example.com: 2 counters forgotten"),
        "{told}"
    );
    assert_eq!(throttled().await, Value::Null);
    assert_eq!(
        guesses(gateway, &ann.email, "192.0.2.1", 3).await,
        [401, 401, 429],
        "the address is another matter"
    );
    let (_, told) = run("users unlock --address 192.0.2.1").await;
    assert!(told.contains("unlocked 192.0.2.1: 2 counters forgotten"), "{told}");
    assert_eq!(enter(gateway, &ann, "192.0.2.1").await, 200);
    let (_, told) = run("users unlock --address 198.51.100.1").await;
    assert!(told.contains("nothing was held against 198.51.100.1"), "{told}");
    for wrong in [
        "users unlock",
        "users unlock bob@example.com",
        "users unlock --address nowhere",
    ] {
        assert!(!gateway.command(wrong).await.0, "{wrong}");
    }
}

async fn who_had_an_e_mail_address_before_is_not_known_to_the_account_that_has_it_now(backend: Backend) {
    let scene = Scene::start(backend, "per_account = \"2/h\"").await;
    let gateway = &scene.gateway;
    let (user, bot) = (gateway.url("/auth/user"), "10.0.0.1");
    // Logs in to whoever has this address for now, from where it is to be known.
    let known_as = async |email| {
        let told = log_in(gateway, email, PASSWORD, bot).await;
        assert_eq!(told.status, 200, "{told:?}");
        told.body["access_token"].as_str().unwrap().to_owned()
    };
    let renames = async |token: &str, email| {
        let change = gateway
            .http
            .patch(&user)
            .bearer_auth(token)
            .json(&json!({"email": email}));
        assert_eq!(change.send().await.unwrap().status(), 200);
    };
    let mallory = scene.account("mallory").await;
    renames(&mallory.token, "ann@example.com").await;
    renames(&known_as("ann@example.com").await, "mallory@example.com").await;
    scene.account("bob").await;
    let removal = gateway
        .http
        .delete(&user)
        .bearer_auth(known_as("bob@example.com").await);
    assert_eq!(removal.send().await.unwrap().status(), 204);

    for name in ["ann", "bob"] {
        let owner = scene.account(name).await;
        for network in 1..=2 {
            let elsewhere = format!("10.{network}.0.1");
            assert_eq!(guess(gateway, &owner.email, &elsewhere).await.status, 401);
        }
        assert_eq!(guess(gateway, &owner.email, bot).await.status, 429, "{name}");
        assert_eq!(enter(gateway, &owner, "127.0.0.1").await, 200, "from where it was made");
    }
}
