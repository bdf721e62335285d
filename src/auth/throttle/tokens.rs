//! What slows down those who try refresh tokens and the secrets of clients. Nobody guesses either: this bounds what trying costs.
//! Each gateway counts by itself, in bounded memory.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use moka::sync::Cache;

use super::{Throttle, address};
use crate::auth::AuthState;
use crate::auth::error::Failure;
use crate::id::SessionId;
use crate::limiter::{Counts, network};
use crate::rules::gcra::Quota;
use crate::time::monotonic;

/// How many are remembered of each kind, about.
pub(super) const CAPACITY: usize = 50_000;

/// How many refresh tokens are remembered that were no good, or that came too early.
const REMEMBERED: u64 = 20_000;

/// How many clients are remembered that have shown their secret, each with an address.
const KNOWN: u64 = 10_000;

/// How long a refresh token that was no good is remembered as such.
const BAD: Duration = Duration::from_hours(1);

/// What is counted in memory.
#[derive(Debug)]
pub(super) struct Tokens {
    /// By session, and by token where it is none of a session's.
    refreshes: Counts,
    /// By address.
    bad_refreshes: Counts,
    /// Tokens that are in `bad` already, by address.
    repeats: Counts,
    /// By client and address.
    bad_secrets: Counts,
    /// Refresh tokens that were no good. A page that tries its old one again and again is one, and does not use up what all
    /// behind its address have. Such pages share another allowance, and keep nobody out whose token is not among these.
    bad: Cache<[u8; 32], ()>,
    /// Clients by where they have shown their secret: a crowd that invents clients does not keep them out, and who has a
    /// secret does not guess at it.
    known_clients: Cache<(Box<str>, IpAddr), ()>,
    /// From when on a refresh token is looked at again, where it is of a session that was refreshed too often. Of which session
    /// a token is, only the store knows, and it is not asked.
    early: Cache<[u8; 32], Instant>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            refreshes: Counts::new("refreshes", CAPACITY),
            bad_refreshes: Counts::new("bad refreshes", CAPACITY),
            repeats: Counts::new("repeated bad refreshes", CAPACITY),
            bad_secrets: Counts::new("bad secrets", CAPACITY),
            bad: Cache::builder().max_capacity(REMEMBERED).time_to_live(BAD).build(),
            known_clients: Cache::new(KNOWN),
            early: Cache::new(REMEMBERED),
        }
    }
}

/// How often tokens that are known to be no good may come again: as many in a minute as different ones in an hour, or in whatever
/// time it is, and as many at once.
fn repeats(different: Quota) -> Quota {
    Quota::new(60, different.interval(), different.burst()).unwrap_or(different)
}

/// A refresh token that may be looked at, known by its digest.
#[derive(Clone, Copy, Debug)]
pub(in crate::auth) struct Presented {
    digest: [u8; 32],
    /// Whether it was known to be no good when it came. Of many that came at once, none was: each counts as another.
    again: bool,
}

impl Throttle {
    /// Whether a refresh token, known by its digest, may be looked at.
    pub(in crate::auth) fn may_refresh(
        &self,
        state: &AuthState,
        digest: [u8; 32],
        from: Option<IpAddr>,
    ) -> Result<Presented, Failure> {
        let (from, now, tokens) = (address(from), monotonic(), &self.0.tokens);
        if let Some(quota) = state.config.throttle.bad_refreshes_per_address {
            let may = tokens.bad_refreshes.may(&network(from), quota, now);
            may.map_err(|wait| self.refusal("bad_refresh", from, wait))?;
        }
        let early = tokens.early.get(&digest);
        match early.map(|then| then.saturating_duration_since(now)) {
            Some(wait) if !wait.is_zero() => return Err(self.refusal("session", from, wait)),
            Some(_) | None => {}
        }
        let again = tokens.bad.contains_key(&digest);
        let quota = state.config.throttle.bad_refreshes_per_address.map(repeats);
        if let Some(quota) = quota.filter(|_| again) {
            let may = tokens.repeats.take(&network(from), quota, now);
            may.map_err(|wait| self.refusal("bad_refresh", from, wait))?;
        }
        Ok(Presented { digest, again })
    }

    /// Notes a refresh token that was no good.
    pub(in crate::auth) fn note_bad_refresh(&self, state: &AuthState, presented: Presented, from: Option<IpAddr>) {
        let (Presented { digest, again }, tokens) = (presented, &self.0.tokens);
        if again {
            self.note(state, &digest, &[digest]);
            return;
        }
        tokens.bad.insert(digest, ());
        if let Some(quota) = state.config.throttle.bad_refreshes_per_address {
            // If it was one too many, the next is refused.
            let _ = tokens.bad_refreshes.take(&network(address(from)), quota, monotonic());
        }
    }

    /// Notes a refresh of a session, by these tokens: the one that was used, which may be presented again, and the one that was
    /// given for it. If there were too many, they are not looked at for a while.
    pub(in crate::auth) fn note_refresh(&self, state: &AuthState, session: SessionId, tokens: [[u8; 32]; 2]) {
        self.note(state, session.as_bytes(), &tokens);
    }

    fn note(&self, state: &AuthState, of: &[u8], tokens: &[[u8; 32]]) {
        let (memory, now) = (&self.0.tokens, monotonic());
        let Some(quota) = state.config.throttle.refreshes_per_session else {
            return;
        };
        let _ = memory.refreshes.take(&of, quota, now);
        if let Err(wait) = memory.refreshes.may(&of, quota, now) {
            for token in tokens {
                memory.early.insert(*token, now + wait);
            }
        }
    }

    /// Whether a secret that comes from this address for a client may be looked at.
    pub(in crate::auth) fn may_authenticate(
        &self,
        state: &AuthState,
        client: &str,
        from: Option<IpAddr>,
    ) -> Result<(), Failure> {
        let Some(quota) = state.config.throttle.bad_secrets_per_client else {
            return Ok(());
        };
        let (from, now, tokens) = (address(from), monotonic(), &self.0.tokens);
        let who = (client, network(from));
        let may = tokens.bad_secrets.may(&who, quota, now).or_else(|wait| {
            if tokens.known_clients.contains_key(&(Box::from(client), who.1)) {
                tokens.bad_secrets.may_alone(&who, quota, now)
            } else {
                Err(wait)
            }
        });
        may.map_err(|wait| self.refusal("client", from, wait))
    }

    /// Notes a secret that was right.
    pub(in crate::auth) fn note_good_secret(&self, client: &str, from: Option<IpAddr>) {
        let (known, who) = (
            &self.0.tokens.known_clients,
            (Box::from(client), network(address(from))),
        );
        if !known.contains_key(&who) {
            known.insert(who, ());
        }
    }

    /// Notes a secret that was not right.
    pub(in crate::auth) fn note_bad_secret(&self, state: &AuthState, client: &str, from: Option<IpAddr>) {
        if let Some(quota) = state.config.throttle.bad_secrets_per_client {
            let from = network(address(from));
            // If it was one too many, the next is refused.
            let _ = self.0.tokens.bad_secrets.take(&(client, from), quota, monotonic());
        }
    }
}
