//! What is written when another service revokes a token.

use std::time::Duration;

use axum::body::Body;
use http::header;
use serde_json::{Value, json};

use super::support::{App, request};
use crate::config::Algorithm;
use crate::id::{SessionId, TokenId, UserId};
use crate::secret::Secret;
use crate::store::{Revocation, Revoked};
use crate::token::{KeySet, MAX_TOKEN_BYTES, MasterKey, Refusal, load_keys};

async fn revoke(app: &App, token: &str) {
    let body = format!("client_id=reports&client_secret=0123456789abcdef0123456789abcdef&token={token}");
    let request = request("POST", "/auth/revoke", None)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap();
    assert_eq!(app.send(request).await.status, 200);
}

/// What was revoked so far.
async fn revoked(app: &App) -> Vec<Revoked> {
    let rows = app.state.store.blocked_after(0, 100).await.unwrap();
    rows.into_iter().map(|row| row.revocation.target).collect()
}

#[tokio::test]
async fn a_token_that_is_over_here_is_revoked_while_a_slower_clock_may_accept_it() {
    let app = App::start().await;
    let ann = app.sign_up("ann@example.com").await;
    let id = app.state.tokens.read(&ann.access).unwrap().token;
    // `exp` and the leeway are over.
    app.shift.advance(Duration::from_mins(15) + Duration::from_secs(10));
    revoke(&app, &ann.access).await;
    assert_eq!(revoked(&app).await, [Revoked::Token(id)]);
    revoke(&app, &ann.access).await;
    assert_eq!(revoked(&app).await.len(), 1, "once is enough");
}

#[tokio::test]
async fn of_a_token_that_nobody_accepts_any_more_nothing_is_written() {
    let app = App::start().await;
    let ann = app.sign_up("ann@example.com").await;
    app.shift.advance(Duration::from_mins(22));
    revoke(&app, &ann.access).await;
    assert_eq!(revoked(&app).await, []);
}

#[tokio::test]
async fn a_refresh_token_whose_time_is_over_still_ends_its_session() {
    let app = App::start_with(|config| config.tokens.refresh_ttl = Duration::from_secs(60)).await;
    let ann = app.sign_up("ann@example.com").await;
    app.shift.advance(Duration::from_secs(61));
    revoke(&app, &ann.refresh).await;
    assert_eq!(
        app.with_token("GET", "/auth/user", &ann.access).await.code(),
        "token_revoked"
    );
}

#[tokio::test]
async fn a_refresh_token_whose_session_is_over_still_revokes_the_last_token_s_leeway() {
    let app = App::start_with(|config| {
        config.tokens.session_ttl = Duration::from_secs(60);
        config.tokens.leeway = Duration::from_secs(30);
    })
    .await;
    let ann = app.sign_up("ann@example.com").await;
    app.shift.advance(Duration::from_secs(70));
    assert_eq!(app.with_token("GET", "/auth/user", &ann.access).await.status, 200);
    revoke(&app, &ann.refresh).await;
    assert_eq!(
        app.with_token("GET", "/auth/user", &ann.access).await.code(),
        "token_revoked"
    );
    assert_eq!(revoked(&app).await.len(), 1);
}

#[tokio::test]
async fn a_token_of_a_key_that_is_read_a_moment_later_is_revoked() {
    let app = App::start().await;
    let ann = app.sign_up("ann@example.com").await;
    let id = app.state.tokens.read(&ann.access).unwrap().token;
    let now = app.state.clock.now();
    let master = MasterKey::from_bytes(&[7; 32]).unwrap();
    let known = load_keys(&app.state.store, &master, now).await.unwrap();
    let others = KeySet::from_secret(Algorithm::Hs256, &Secret::new(vec![1; 32])).unwrap();
    app.state.tokens.replace_keys(&others);
    let reading = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(revoked(&app).await, []);
        app.state.tokens.replace_keys(&known);
    };
    tokio::join!(revoke(&app, &ann.access), reading);
    assert_eq!(revoked(&app).await, [Revoked::Token(id)]);
}

/// What the secret is that others issue tokens with.
const SHARED: [u8; 32] = [5; 32];

/// The gateway with a secret that another program shares.
async fn sharing() -> App {
    let app = App::start().await;
    let keys = KeySet::from_secret(Algorithm::Hs256, &Secret::new(SHARED.to_vec())).unwrap();
    app.state.tokens.replace_keys(&keys);
    app
}

/// A token as another program issues it, with this time to live and a claim of this length.
fn foreign(app: &App, session: SessionId, ttl: Duration, padding: usize) -> String {
    let tokens = &app.state.config.tokens;
    let now = app.state.clock.now();
    let claims: Value = json!({
        "iss": tokens.issuer, "aud": tokens.audience, "sub": UserId::generate(now), "jti": TokenId::generate(now),
        "sid": session, "gen": 1, "iat": now.unix_seconds(), "exp": (now + ttl).unix_seconds(), "name": "Bo",
        "email": "bo@example.com", "roles": [], "padding": "a".repeat(padding),
    });
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    header.typ = Some("at+jwt".to_owned());
    jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(&SHARED)).unwrap()
}

#[tokio::test]
async fn a_token_that_outlives_the_memory_of_its_session_s_end_is_revoked_for_as_long_as_it_lives() {
    let app = sharing().await;
    let session = SessionId::generate(app.state.clock.now());
    let short = foreign(&app, session, Duration::from_mins(10), 0);
    let long = foreign(&app, session, Duration::from_hours(30 * 24), 0);
    let now = app.state.clock.now();
    let ended = Revocation {
        target: Revoked::Session { id: session, up_to: 1 },
        expires_at: app
            .state
            .tokens
            .revoke_until_for(&app.state.tokens.read(&short).unwrap(), now),
    };
    app.state.store.block(&[ended], now).await.unwrap();
    app.state.blocklist.apply(&[ended], now);

    revoke(&app, &long).await;
    let token = app.state.tokens.read(&long).unwrap();
    let rows = app.state.store.blocked_after(0, 100).await.unwrap();
    let covers = |until| until > token.expires_at;
    let last = rows.last().unwrap().revocation;
    assert_eq!(last.target, Revoked::Token(token.token));
    assert!(!covers(ended.expires_at) && covers(last.expires_at));
}

#[tokio::test]
async fn the_longest_token_that_is_let_in_can_be_revoked() {
    let app = sharing().await;
    let session = SessionId::generate(app.state.clock.now());
    let of = |padding| foreign(&app, session, Duration::from_mins(10), padding);
    // Three bytes are four characters.
    let padding = (MAX_TOKEN_BYTES - of(0).len()) / 4 * 3 - 3;
    let token = of(padding);
    assert!(
        (MAX_TOKEN_BYTES - 8..=MAX_TOKEN_BYTES).contains(&token.len()),
        "{}",
        token.len()
    );
    assert!(app.state.tokens.authenticate(&token, app.state.clock.now()).is_ok());
    revoke(&app, &token).await;
    assert_eq!(
        app.state
            .tokens
            .authenticate(&token, app.state.clock.now())
            .unwrap_err(),
        Refusal::Revoked
    );
}
