//! Logout.

use std::sync::Arc;
use std::time::Duration;

use super::support::{App, id_of};
use crate::id::SessionId;
use crate::time::monotonic;
use crate::token::{Blocklist, MasterKey, Refusal, Subject, Tokens, load_keys};

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
    assert!(!known_to_a_later_replica(&app, &held.access).await);
    app.with_token("POST", "/auth/logout", &held.access).await;
    assert!(known_to_a_later_replica(&app, &held.access).await);
}

#[tokio::test]
async fn a_session_that_ended_elsewhere_is_refused_here_after_its_logout() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let now = app.state.clock.now();
    let token = app.state.tokens.authenticate(&held.access, now).unwrap();
    // Another replica ended it, and this one has not polled yet.
    let (user, session) = (token.user, token.session);
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
async fn a_session_that_the_store_never_had_is_refused_after_its_logout_for_good() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let now = app.state.clock.now();
    // As another program would issue it that shares our secret.
    let user = app.state.store.user_by_id(id_of(&held.user)).await.unwrap().unwrap();
    let subject = Subject {
        user: user.id,
        email: &user.email,
        name: &user.name,
        roles: &user.roles,
        session: SessionId::generate(now),
        generation: 1,
        session_expires_at: now + Duration::from_hours(1),
    };
    for path in ["/auth/logout", "/auth/logout?scope=all"] {
        let session = SessionId::generate(now);
        let foreign = app.state.tokens.issue(&Subject { session, ..subject }, now).unwrap();
        let foreign = foreign.text.expose();
        assert_eq!(app.with_token("POST", path, foreign).await.status, 204);
        assert!(!works(&app, foreign).await);
        assert!(known_to_a_later_replica(&app, foreign).await);
    }
}

#[tokio::test]
async fn a_logout_whose_client_goes_away_happens_wholly_or_not_at_all() {
    let app = App::start().await;
    app.sign_up("ann@example.com").await;
    let mut ended = 0;
    for polls in 0..60 {
        let held = app.log_in("ann@example.com").await;
        let token = app
            .state
            .tokens
            .authenticate(&held.access, app.state.clock.now())
            .unwrap();
        let mut request = Box::pin(app.with_token("POST", "/auth/logout", &held.access));
        for _ in 0..polls {
            tokio::select! {
                biased;
                _ = &mut request => break,
                () = tokio::time::sleep(Duration::from_micros(100)) => {}
            }
        }
        drop(request);
        // Long enough for what the store had begun.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let live = app
            .state
            .store
            .live_sessions(token.user, app.state.clock.now())
            .await
            .unwrap();
        if !live.iter().any(|session| session.id == token.session) {
            ended += 1;
            eventually_refused(&app, &held.access).await;
        }
    }
    assert!(ended > 0);
}

async fn eventually_refused(app: &App, token: &str) {
    let deadline = monotonic() + Duration::from_secs(5);
    while works(app, token).await {
        assert!(
            monotonic() < deadline,
            "the store has revoked it, and this replica lets it in"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a replica that starts now refuses the token.
async fn known_to_a_later_replica(app: &App, token: &str) -> bool {
    let now = app.state.clock.now();
    let later = Arc::new(Blocklist::new(&app.state.config.revocation));
    later.load(&app.state.store, now).await.unwrap();
    let master = MasterKey::from_bytes(&[7; 32]).unwrap();
    let keys = load_keys(&app.state.store, &master, now).await.unwrap();
    let tokens = Tokens::new(&app.state.config.tokens, keys, later);
    matches!(tokens.authenticate(token, now), Err(Refusal::Revoked))
}
