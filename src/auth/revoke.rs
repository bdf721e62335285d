//! Ending sessions, so that a success is never answered before it holds: first the store commits, then this replica knows,
//! then the client is told. `store` is the one that records what is done.

use std::sync::Arc;

use super::AuthState;
use super::caller::Caller;
use super::error::Failure;
use crate::store::{Revocation, Revoked, Store};
use crate::time::Timestamp;
use crate::token::Verified;

/// Until when what is revoked at `now` must be remembered, with the caller's own token among it.
pub(super) fn until(state: &AuthState, caller: &Caller, now: Timestamp) -> Timestamp {
    state.tokens.revoke_until_for(&caller.token, now)
}

/// Ends the session of this token. The session says all about its user: while it lives, they are there and not disabled. So
/// they are looked up only where the store has no such live session.
pub(super) async fn own_session(state: &AuthState, store: &Store, token: Arc<Verified>) -> Result<(), Failure> {
    let now = state.clock.now();
    let (user, session) = (token.user, token.session);
    let until = state.tokens.revoke_until_for(&token, now);
    if let Some(ended) = store.end_session(user, session, until, now).await? {
        state.blocklist.apply(&[ended], now);
        return Ok(());
    }
    let caller = Caller::with(token, state).await?;
    own_too(state, store, &caller, &[], now).await
}

/// Ends all sessions of the caller.
pub(super) async fn all_sessions(state: &AuthState, store: &Store, caller: &Caller) -> Result<(), Failure> {
    let now = state.clock.now();
    let until = until(state, caller, now);
    let ended = store.end_sessions(caller.user.id, None, until, now).await?;
    // That has been recorded by now.
    own_too(state, &state.store, caller, &ended, now).await
}

/// Ends all sessions of the caller but this one.
pub(super) async fn other_sessions(state: &AuthState, store: &Store, caller: &Caller) -> Result<(), Failure> {
    let now = state.clock.now();
    let until = until(state, caller, now);
    let own = Some(caller.token.session);
    let ended = store.end_sessions(caller.user.id, own, until, now).await?;
    state.blocklist.apply(&ended, now);
    Ok(())
}

/// Applies what the store has revoked, and sees to it that the caller's own session is among it.
///
/// It is not where the store knew of no live one: it ended a moment ago on another replica that this one has not heard of,
/// or another program that shares our secret issued the token and the session was never here.
pub(super) async fn own_too(
    state: &AuthState,
    store: &Store,
    caller: &Caller,
    ended: &[Revocation],
    now: Timestamp,
) -> Result<(), Failure> {
    state.blocklist.apply(ended, now);
    let own = Revoked::Session {
        id: caller.token.session,
        up_to: u32::MAX,
    };
    if ended.iter().any(|revocation| revocation.target == own) {
        return Ok(());
    }
    let revocation = Revocation {
        target: own,
        expires_at: until(state, caller, now),
    };
    store.block(&[revocation], now).await?;
    state.blocklist.apply(&[revocation], now);
    Ok(())
}
