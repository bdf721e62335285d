//! Logout.

use super::support::{App, id_of};

async fn works(app: &App, token: &str) -> bool {
    let answer = app.with_token("GET", "/auth/user", token).await;
    if answer.status == 200 {
        return true;
    }
    assert_eq!((answer.status, answer.code().as_str()), (401, "token_revoked"));
    false
}

#[tokio::test]
async fn after_a_logout_neither_token_of_the_session_works() {
    let app = App::start().await;
    for path in ["/auth/logout", "/auth/logout?scope=this"] {
        let other = app.sign_up(&format!("a{}@example.com", path.len())).await;
        let held = app.log_in(other.user["email"].as_str().unwrap()).await;
        let answer = app.with_token("POST", path, &held.access).await;
        assert_eq!((answer.status, answer.bytes.len()), (204, 0));
        assert!(!works(&app, &held.access).await);
        assert_eq!(app.try_refresh(&held.refresh).await.code(), "invalid_refresh_token");
        assert!(works(&app, &other.access).await);
    }
}

#[tokio::test]
async fn scope_others_ends_every_session_but_this_one() {
    let app = App::start().await;
    let stranger = app.sign_up("eve@example.com").await;
    let first = app.sign_up("ann@example.com").await;
    let second = app.log_in("ann@example.com").await;
    let third = app.log_in("ann@example.com").await;
    let answer = app
        .with_token("POST", "/auth/logout?scope=others", &second.access)
        .await;
    assert_eq!(answer.status, 204);
    assert!(!works(&app, &first.access).await);
    assert!(works(&app, &second.access).await);
    assert!(!works(&app, &third.access).await);
    assert!(works(&app, &stranger.access).await);
    assert_eq!(app.try_refresh(&first.refresh).await.status, 401);
    assert_eq!(app.try_refresh(&second.refresh).await.status, 200);
}

#[tokio::test]
async fn scope_all_ends_every_session_of_the_user() {
    let app = App::start().await;
    let stranger = app.sign_up("eve@example.com").await;
    let first = app.sign_up("ann@example.com").await;
    let second = app.log_in("ann@example.com").await;
    let answer = app.with_token("POST", "/auth/logout?scope=all", &second.access).await;
    assert_eq!(answer.status, 204);
    assert!(!works(&app, &first.access).await);
    assert!(!works(&app, &second.access).await);
    assert!(works(&app, &stranger.access).await);
    assert!(works(&app, &app.log_in("ann@example.com").await.access).await);
}

#[tokio::test]
async fn a_scope_that_is_none_ends_nothing() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    for query in ["scope=", "scope=everything", "scope=all&scope=this", "scope=ALL"] {
        let path = format!("/auth/logout?{query}");
        assert_eq!(
            app.with_token("POST", &path, &held.access).await.fields(),
            ["scope invalid"]
        );
    }
    assert!(works(&app, &held.access).await);
}

#[tokio::test]
async fn a_revocation_that_was_answered_is_known_to_a_replica_that_starts_later() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let token = app
        .state
        .tokens
        .authenticate(&held.access, app.state.clock.now())
        .unwrap();
    app.with_token("POST", "/auth/logout", &held.access).await;
    let later = crate::token::Blocklist::new(&app.state.config.revocation);
    later.load(&app.state.store, app.state.clock.now()).await.unwrap();
    assert!(later.is_revoked(token.token, token.identity.session, token.generation));
}

#[tokio::test]
async fn a_session_that_ended_elsewhere_is_refused_here_after_its_logout() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let now = app.state.clock.now();
    let token = app.state.tokens.authenticate(&held.access, now).unwrap();
    // Another replica ended it, and this one has not polled yet.
    let (user, session) = (token.identity.user, token.identity.session);
    let until = app.state.tokens.revoke_until(now);
    app.state
        .store
        .end_session(user, session, until, now)
        .await
        .unwrap()
        .unwrap();
    assert!(works(&app, &held.access).await);
    assert_eq!(app.with_token("POST", "/auth/logout", &held.access).await.status, 204);
    assert!(!works(&app, &held.access).await);
}

#[tokio::test]
async fn a_logout_whose_client_goes_away_is_a_logout() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let user = id_of(&held.user);
    let mut request = Box::pin(app.with_token("POST", "/auth/logout", &held.access));
    // Asked on until the store has ended the session, and dropped at that moment.
    while !app
        .state
        .store
        .live_sessions(user, app.state.clock.now())
        .await
        .unwrap()
        .is_empty()
    {
        tokio::select! {
            biased;
            _ = &mut request => break,
            () = tokio::task::yield_now() => {}
        }
    }
    drop(request);
    let deadline = crate::time::monotonic() + std::time::Duration::from_secs(5);
    while works(&app, &held.access).await {
        assert!(crate::time::monotonic() < deadline, "the revocation never arrived");
        tokio::task::yield_now().await;
    }
}
