//! What a guesser meets.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::{Scene, enter, guess, guesses, log_in, on_both, send};
use crate::support::Backend;
use crate::support::account::PASSWORD;

on_both!(
    after_five_wrong_passwords_each_has_to_wait_whatever_it_is_and_whoever_it_is_for,
    what_was_counted_survives_a_restart_and_is_known_to_a_replica,
    many_guesses_at_once_are_judged_no_more_often_than_the_rule_allows,
    whoever_tries_many_accounts_is_stopped_by_the_address_and_by_the_network,
    a_wrong_current_password_is_a_guess,
);

const FIVE: [u16; 5] = [401; 5];

/// Slow enough that a busy machine does not see a wait end by itself.
const SLOW: &str = "first_delay = \"1m\"";

/// What is left of a wait of so many seconds a moment after it began.
fn assert_about(wait: Option<u64>, seconds: u64) {
    assert!(
        wait.is_some_and(|wait| (seconds - 30..=seconds).contains(&wait)),
        "{wait:?}"
    );
}

async fn after_five_wrong_passwords_each_has_to_wait_whatever_it_is_and_whoever_it_is_for(backend: Backend) {
    let scene = Scene::start(backend, SLOW).await;
    let gateway = &scene.gateway;
    let ann = scene.account("ann").await;
    assert_eq!(guesses(gateway, &ann.email, "192.0.2.1", 5).await, FIVE);
    assert_eq!(guesses(gateway, "nobody@example.com", "198.51.100.1", 5).await, FIVE);
    let wrong = guess(gateway, &ann.email, "192.0.2.1").await;
    let right = log_in(gateway, &ann.email, PASSWORD, "192.0.2.1").await;
    let nobody = guess(gateway, "nobody@example.com", "198.51.100.1").await;
    assert_eq!(wrong.body["code"], "too_many_attempts");
    for told in [&wrong, &right, &nobody] {
        assert_eq!((told.status, &told.body), (429, &wrong.body), "nobody learns anything");
        assert_about(told.wait, 60);
    }

    // The network has had its five; another network has not.
    assert_eq!(guess(gateway, "ANN@example.com", "192.0.2.77").await.status, 429);
    assert_eq!(guess(gateway, &ann.email, "192.0.3.1").await.status, 401);
    // Hammering makes nothing worse, and each guess that is judged doubles the wait.
    for wait in [120, 240, 480] {
        gateway.shift.advance(Duration::from_secs(wait / 2));
        assert_eq!(guess(gateway, &ann.email, "192.0.2.1").await.status, 401);
        assert_about(guess(gateway, &ann.email, "192.0.2.1").await.wait, wait);
    }
    let known = "doorward_throttled_total{kind=\"account_from_network\"}";
    assert_eq!(gateway.metric(known).await, Some(7.0));
}

async fn what_was_counted_survives_a_restart_and_is_known_to_a_replica(backend: Backend) {
    let mut scene = Scene::start(backend, SLOW).await;
    let ann = scene.account("ann").await;
    let mut replica = scene.gateway.replica().await;
    assert_eq!(guesses(&scene.gateway, &ann.email, "192.0.2.1", 3).await, FIVE[..3]);
    assert_eq!(guesses(&replica, &ann.email, "192.0.2.1", 3).await, [401, 401, 429]);
    assert_eq!(guess(&scene.gateway, &ann.email, "192.0.2.1").await.status, 429);
    scene.gateway.restart().await;
    assert_eq!(enter(&scene.gateway, &ann, "192.0.2.1").await, 429);
    replica.stop().await;
}

async fn many_guesses_at_once_are_judged_no_more_often_than_the_rule_allows(backend: Backend) {
    let scene = Scene::start_with(
        backend,
        SLOW,
        "trusted_proxies = [\"127.0.0.1\"]\n[passwords]\nqueue = 1000\nqueue_per_address = 1000",
    )
    .await;
    let ann = scene.account("ann").await;
    let replica = scene.gateway.replica().await;
    // From a network that nobody knows, and from an address that she is known to use.
    assert_eq!(enter(&replica, &ann, "2001:db8::1").await, 200);
    for from in ["192.0.2.1", "2001:db8::2"] {
        let mut attempts = Vec::new();
        for index in 0..200 {
            let gateway = if index % 2 == 0 { &scene.gateway } else { &replica };
            attempts.push(guess(gateway, &ann.email, from));
        }
        let statuses: Vec<u16> = join_all(attempts).await.into_iter().map(|told| told.status).collect();
        let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
        assert_eq!((count(401), count(429)), (5, 195), "{from}: {statuses:?}");
    }
    let known = "doorward_throttled_total{kind=\"known_address\"}";
    assert_eq!(
        scene
            .gateway
            .metric(known)
            .await
            .zip(replica.metric(known).await)
            .map(|(a, b)| a + b),
        Some(195.0)
    );
}

async fn whoever_tries_many_accounts_is_stopped_by_the_address_and_by_the_network(backend: Backend) {
    let scene = Scene::start(backend, "per_address = \"6/h\"\nper_network = \"9/h\"").await;
    let gateway = &scene.gateway;
    let own = scene.account("mallory").await;
    let mut statuses = Vec::new();
    for index in 0..9 {
        // A login to an account of one's own buys nothing.
        enter(gateway, &own, "192.0.2.1").await;
        let email = format!("user{index}@example.com");
        statuses.push(guess(gateway, &email, "192.0.2.1").await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429, 429, 429]);
    let told = guess(gateway, "user9@example.com", "192.0.2.1").await;
    assert!((500..=600).contains(&told.wait.unwrap()), "{told:?}");
    // Its neighbours have what the network has left, and others are served.
    let mut statuses = Vec::new();
    for index in 10..14 {
        let email = format!("user{index}@example.com");
        statuses.push(guess(gateway, &email, &format!("192.0.2.{index}")).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 429]);
    assert_eq!(guess(gateway, "user1@example.com", "2001:db8::1").await.status, 401);
}

async fn a_wrong_current_password_is_a_guess(backend: Backend) {
    let scene = Scene::start(backend, SLOW).await;
    let gateway = &scene.gateway;
    let ann = scene.account("ann").await;
    let change = async |current: &str, from: &str| {
        let body = json!({"current_password": current, "new_password": "another-fine-kettle-9"});
        send(gateway, "/auth/user/password", from, Some(&ann.token), &body).await
    };
    for _ in 0..3 {
        assert_eq!(change("wrong", "192.0.2.1").await.status, 401);
    }
    assert_eq!(guesses(gateway, &ann.email, "192.0.2.1", 3).await, [401, 401, 429]);
    assert_eq!(change(PASSWORD, "192.0.2.1").await.status, 429);
    assert_eq!(change(PASSWORD, "198.51.100.1").await.status, 204);
}

#[tokio::test]
async fn an_address_that_nobody_vouches_for_is_not_believed() {
    let scene = Scene::start_with(Backend::Sqlite, "first_delay = \"1m\"\nknown_for = \"0s\"", "").await;
    let ann = scene.account("ann").await;
    let mut statuses = Vec::new();
    for index in 0..7 {
        statuses.push(
            guess(&scene.gateway, &ann.email, &format!("10.{index}.0.1"))
                .await
                .status,
        );
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
}

#[tokio::test]
async fn each_rule_can_be_switched_off() {
    let off = "max_delay = \"0s\"\nper_account = \"off\"\nper_address = \"off\"\nper_network = \"off\"";
    let scene = Scene::start(Backend::Sqlite, off).await;
    let ann = scene.account("ann").await;
    assert_eq!(guesses(&scene.gateway, &ann.email, "192.0.2.1", 120).await, [401; 120]);
    assert_eq!(enter(&scene.gateway, &ann, "192.0.2.1").await, 200);
}
