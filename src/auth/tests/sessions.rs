//! The list of sessions.

use std::time::Duration;

use super::support::App;

#[tokio::test]
async fn the_list_holds_the_live_sessions_of_the_user_latest_first_and_marks_this_one() {
    let app = App::start().await;
    app.sign_up("eve@example.com").await;
    let first = app.sign_up("ann@example.com").await;
    app.shift.advance(Duration::from_secs(1));
    let second = app.log_in("ann@example.com").await;
    app.shift.advance(Duration::from_secs(1));
    let ended = app.log_in("ann@example.com").await;
    app.with_token("POST", "/auth/logout", &ended.access).await;
    app.try_refresh(&first.refresh).await;

    let answer = app.with_token("GET", "/auth/sessions", &second.access).await;
    assert_eq!(answer.status, 200);
    let list = answer.json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    let current: Vec<_> = list
        .iter()
        .map(|session| session["current"].as_bool().unwrap())
        .collect();
    assert_eq!(current, [true, false]);
    assert!(list[0]["created_at"].as_str() > list[1]["created_at"].as_str());
    assert!(
        list[1]["last_used_at"].as_str() > list[1]["created_at"].as_str(),
        "it was refreshed"
    );
    assert_eq!(list[0]["user_agent"], "test/1");
    assert_eq!(list[0]["ip"], "203.0.113.7");
    let members: Vec<&String> = list[0].as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "created_at",
            "current",
            "expires_at",
            "id",
            "ip",
            "last_used_at",
            "user_agent"
        ]
    );
}

#[tokio::test]
async fn a_session_that_nobody_can_refresh_any_more_is_not_listed() {
    let app = App::start().await;
    app.sign_up("ann@example.com").await;
    app.shift.advance(Duration::from_hours(7 * 24));
    let held = app.log_in("ann@example.com").await;
    let list = app.with_token("GET", "/auth/sessions", &held.access).await.json();
    let list = list.as_array().unwrap();
    assert_eq!((list.len(), &list[0]["current"]), (1, &true.into()));
}

#[tokio::test]
async fn one_session_is_ended_by_its_id() {
    let app = App::start().await;
    let first = app.sign_up("ann@example.com").await;
    let second = app.log_in("ann@example.com").await;
    for (ender, victim) in [(&second, &first), (&second, &second)] {
        let list = app.with_token("GET", "/auth/sessions", &victim.access).await.json();
        let list = list.as_array().unwrap();
        let id = list.iter().find(|session| session["current"] == true).unwrap()["id"]
            .as_str()
            .unwrap();
        let path = format!("/auth/sessions/{id}");
        let answer = app.with_token("DELETE", &path, &ender.access).await;
        assert_eq!((answer.status, answer.bytes.len()), (204, 0));
        let answer = app.with_token("GET", "/auth/user", &victim.access).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "token_revoked"));
        assert_eq!(app.try_refresh(&victim.refresh).await.status, 401);
    }
}

#[tokio::test]
async fn what_is_no_live_session_of_the_user_is_not_found() {
    let app = App::start().await;
    let stranger = app.sign_up("eve@example.com").await;
    let list = app.with_token("GET", "/auth/sessions", &stranger.access).await.json();
    let theirs = list[0]["id"].as_str().unwrap();
    let held = app.sign_up("ann@example.com").await;
    for id in [
        theirs,
        "00000000-0000-7000-8000-000000000000",
        "x",
        "%ff",
        &theirs.to_uppercase(),
    ] {
        let answer = app
            .with_token("DELETE", &format!("/auth/sessions/{id}"), &held.access)
            .await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{id}");
    }
    assert_eq!(app.with_token("GET", "/auth/user", &stranger.access).await.status, 200);
}
