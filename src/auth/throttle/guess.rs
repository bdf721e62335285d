//! [`Guess`]: a password that is about to be tried.

use std::net::IpAddr;

use super::address;
use crate::auth::AuthState;
use crate::auth::error::Failure;
use crate::config;
use crate::id::Email;
use crate::limiter::Place;
use crate::password::Verdict;
use crate::problem::Code;
use crate::rules::gcra::Quota;
use crate::rules::throttle::{Kind, Rule};
use crate::store::{AccountDigest, Attempt, Counter, CounterId, Taken};

/// A password that may be tried: it has been counted as a failure, and has a place among those that are hashed.
#[derive(Debug)]
pub(in crate::auth) struct Guess {
    taken: Taken,
    /// The account at this address, where that is to be remembered.
    here: Option<CounterId>,
    _place: Place,
}

/// What became of a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Outcome {
    /// It was the password.
    Right,
    /// It was not, or nobody is told.
    Wrong,
    /// Nobody has learned whether it was: too much to do, or no store.
    Unjudged,
}

impl Outcome {
    /// What an answer tells whoever guesses.
    pub(in crate::auth) fn of<T>(answer: &Result<T, Failure>) -> Self {
        match answer {
            Ok(_) => Self::Right,
            Err(failure) if failure.code() == Code::InvalidCredentials => Self::Wrong,
            Err(_) => Self::Unjudged,
        }
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Right { .. } => Self::Right,
            Verdict::Wrong => Self::Wrong,
        }
    }
}

impl Guess {
    /// Counts a guess at an account, whether or not it exists, or refuses it. `None`: what was typed is the address of none.
    pub(in crate::auth) async fn begin(
        state: &AuthState,
        email: Option<&Email>,
        from: Option<IpAddr>,
    ) -> Result<Self, Failure> {
        let from = address(from);
        let place = state.throttle.enter(state, from)?;
        let attempt = attempt(&state.config.throttle, email, from, state.throttle.is_crowded());
        let taken = state.store.take_attempt(&attempt, state.clock.now()).await?;
        let taken = taken.map_err(|throttled| state.throttle.refusal(throttled.kind.as_str(), from, throttled.wait))?;
        Ok(Self {
            taken,
            here: attempt.known.map(|(id, _)| id),
            _place: place,
        })
    }

    /// Settles what was counted. A login does not fail because this does: what is not given back is forgotten in time.
    pub(in crate::auth) async fn end(self, state: &AuthState, outcome: Outcome) {
        let (store, now) = (&state.store, state.clock.now());
        let settled = match outcome {
            Outcome::Right => {
                let until = now + state.config.throttle.known_for;
                let here = self.here.map(|id| (id, until));
                let crowded = state.throttle.is_crowded();
                store.attempt_succeeded(&self.taken, here, crowded, now).await
            }
            Outcome::Wrong => Ok(()),
            Outcome::Unjudged => store.give_back(&self.taken, now).await,
        };
        if let Err(error) = settled {
            tracing::warn!(%error, "what was counted of an attempt is not settled");
        }
    }
}

/// By what a guess is counted.
fn attempt(config: &config::Throttle, email: Option<&Email>, from: IpAddr, crowded: bool) -> Attempt {
    let account = AccountDigest::of(email);
    let quota = |kind, id, quota: Option<Quota>| {
        let rule = Rule::Quota(quota?);
        Some(Counter { kind, id, rule })
    };
    let delays = config.delays.map(|delays| Counter {
        kind: Kind::AccountFromNetwork,
        id: CounterId::account_from_network(account, from),
        rule: Rule::Delays(delays),
    });
    let counters = [
        delays,
        quota(Kind::Account, CounterId::account(account), config.per_account),
        quota(Kind::Address, CounterId::address(from), config.per_address),
        quota(Kind::Network, CounterId::network(from), config.per_network),
    ];
    // Without delays nothing would hold whoever guesses from there.
    let known = config.delays.filter(|_| !config.known_for.is_zero());
    Attempt {
        known: known.map(|delays| (CounterId::account_at_address(account, from), delays)),
        counters: counters.into_iter().flatten().collect(),
        crowded,
    }
}
