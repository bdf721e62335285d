//! Refresh.

use std::time::Duration;

use serde_json::json;

use super::support::{App, Held, id_of};
use crate::rules::gcra::Quota;
use crate::token::read_unverified;

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn a_refresh_answers_with_the_next_pair_and_the_user_of_this_moment() {
    let app = App::start().await;
    let first = app.sign_up("ann@example.com").await;
    let change = json!({ "name": "Ann B. Lee" });
    app.with_token_and_body("PATCH", "/auth/user", &first.access, &change)
        .await;
    let answer = app.try_refresh(&first.refresh).await;
    assert_eq!(answer.status, 200);
    let second = Held::from(&answer);
    assert_ne!(second.refresh, first.refresh);
    assert_ne!(second.access, first.access);
    assert_eq!(second.user["name"], "Ann B. Lee");
    // What the first one says is not so any more.
    let answer = app.with_token("GET", "/auth/user", &first.access).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "token_revoked"));
    assert_eq!(app.with_token("GET", "/auth/user", &second.access).await.status, 200);
}

#[tokio::test]
async fn a_refresh_whose_answer_was_lost_can_be_asked_again() {
    let app = App::start().await;
    let first = app.sign_up("ann@example.com").await;
    let lost = Held::from(&app.try_refresh(&first.refresh).await);
    let second = Held::from(&app.try_refresh(&first.refresh).await);
    for held in [&first, &lost, &second] {
        assert_eq!(app.with_token("GET", "/auth/user", &held.access).await.status, 200);
    }
    let third = Held::from(&app.try_refresh(&second.refresh).await);
    // Whoever found the lost answer after all is a second one: the session ends for both.
    assert_eq!(app.try_refresh(&lost.refresh).await.status, 401);
    for held in [&first, &lost, &second, &third] {
        let answer = app.with_token("GET", "/auth/user", &held.access).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "token_revoked"));
    }
    assert_eq!(app.try_refresh(&third.refresh).await.status, 401);
}

#[tokio::test]
async fn a_refresh_token_presented_after_its_successor_was_used_ends_its_session_here_at_once() {
    let app = App::start().await;
    let first = app.sign_up("ann@example.com").await;
    let other = app.log_in("ann@example.com").await;
    let second = Held::from(&app.try_refresh(&first.refresh).await);
    let third = Held::from(&app.try_refresh(&second.refresh).await);
    let replayed = app.try_refresh(&first.refresh).await;
    assert_eq!(
        (replayed.status, replayed.code().as_str()),
        (401, "invalid_refresh_token")
    );
    for held in [&first, &second, &third] {
        let answer = app.with_token("GET", "/auth/user", &held.access).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "token_revoked"));
    }
    assert_eq!(app.try_refresh(&third.refresh).await.status, 401);
    assert_eq!(app.with_token("GET", "/auth/user", &other.access).await.status, 200);
    assert_eq!(app.try_refresh(&other.refresh).await.status, 200);
}

#[tokio::test]
async fn every_refused_refresh_gets_the_same_bytes() {
    let app = App::start().await;
    let used = app.sign_up("ann@example.com").await;
    let next = Held::from(&app.try_refresh(&used.refresh).await);
    app.try_refresh(&next.refresh).await;
    let ended = app.log_in("ann@example.com").await;
    app.with_token("POST", "/auth/logout", &ended.access).await;
    let disabled = app.sign_up("off@example.com").await;
    app.disable(id_of(&disabled.user)).await;
    let deleted = app.sign_up("gone@example.com").await;
    app.with_token("DELETE", "/auth/user", &deleted.access).await;
    let answers = [
        app.try_refresh("").await,
        app.try_refresh("not a token").await,
        app.try_refresh(&"A".repeat(43)).await,
        app.try_refresh(&used.access).await,
        app.try_refresh(&used.refresh).await,
        app.try_refresh(&ended.refresh).await,
        app.try_refresh(&disabled.refresh).await,
        app.try_refresh(&deleted.refresh).await,
    ];
    for answer in &answers {
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_refresh_token"));
        assert_eq!(answer.bytes, answers[0].bytes);
        assert_eq!(answer.headers, answers[0].headers);
    }
}

#[tokio::test]
async fn a_refresh_token_ends_unused_after_its_time() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    app.shift.advance(7 * DAY + Duration::from_secs(1));
    assert_eq!(app.try_refresh(&held.refresh).await.status, 401);
}

#[tokio::test]
async fn no_refresh_makes_a_session_longer_than_it_may_be() {
    let app = App::start().await;
    let mut held = app.sign_up("ann@example.com").await;
    for _ in 0..4 {
        app.shift.advance(6 * DAY);
        held = Held::from(&app.try_refresh(&held.refresh).await);
    }
    // 24 of 30 days are over.
    app.shift.advance(Duration::from_mins(6 * 24 * 60 - 5));
    let last = app.try_refresh(&held.refresh).await;
    let left = last.json()["expires_in"].as_i64().unwrap();
    assert!((1..=300).contains(&left), "{left}");
    app.shift.advance(Duration::from_mins(6));
    assert_eq!(app.try_refresh(&last.text("refresh_token")).await.status, 401);
    let answer = app.with_token("GET", "/auth/user", &last.text("access_token")).await;
    assert_eq!(answer.code(), "token_expired");
}

#[tokio::test]
async fn of_refreshes_at_once_with_one_token_one_pair_goes_on() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let answers = futures_util::future::join_all((0..8).map(|_| app.try_refresh(&held.refresh))).await;
    let pairs: Vec<Held> = answers.iter().map(Held::from).collect();
    let claims = |pair: &Held| read_unverified(&pair.access).unwrap().claims["gen"].as_u64();
    let last = pairs.iter().max_by_key(|pair| claims(pair)).unwrap();
    assert_eq!(claims(last), Some(9));
    assert_eq!(app.with_token("GET", "/auth/user", &last.access).await.status, 200);
    let sessions = app.with_token("GET", "/auth/sessions", &last.access).await;
    assert_eq!(sessions.json().as_array().unwrap().len(), 1);
    assert_eq!(app.try_refresh(&last.refresh).await.status, 200);
}

#[tokio::test]
async fn a_refresh_without_its_field_is_told_so() {
    let app = App::start().await;
    assert_eq!(
        app.post("/auth/refresh", &json!({})).await.fields(),
        ["refresh_token missing"]
    );
    let wrong = app.post("/auth/refresh", &json!({ "refresh_token": 1 })).await;
    assert_eq!(wrong.fields(), ["refresh_token wrong_type"]);
}

#[tokio::test]
async fn a_bad_token_that_comes_often_at_once_counts_as_often() {
    let app = App::start_with(|config| {
        config.throttle.bad_refreshes_per_address = Quota::new(3, 24 * DAY, 3);
    })
    .await;
    let (throttle, state) = (&app.state.throttle, &app.state);
    let (token, other) = ([1; 32], [2; 32]);
    // All of them are looked at before one of them is known to be no good.
    let admitted: Vec<_> = (0..3).map(|_| throttle.may_refresh(state, token, None)).collect();
    for presented in admitted {
        throttle.note_bad_refresh(state, presented.unwrap(), None);
    }
    assert!(throttle.may_refresh(state, other, None).is_err());
}
