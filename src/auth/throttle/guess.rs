//! [`Guess`]: a password that is about to be tried.

use std::net::IpAddr;

use super::address;
use crate::auth::AuthState;
use crate::auth::caller::Client;
use crate::auth::error::Failure;
use crate::config;
use crate::id::Email;
use crate::password::Verdict;
use crate::problem::Code;
use crate::rules::gcra::Quota;
use crate::rules::throttle::{Kind, Rule};
use crate::store::{AccountDigest, Attempt, Counter, CounterId, Taken};

/// A password that may be tried: it has been counted as a failure.
#[derive(Debug)]
pub(in crate::auth) struct Guess {
    taken: Taken,
    /// The account at this address, where that is to be remembered.
    here: Option<CounterId>,
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
            Err(failure) if matches!(failure.code(), Code::InvalidCredentials | Code::EmailTaken) => Self::Wrong,
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
    /// Counts a guess at an account, whether or not it exists, or refuses it. `None`: what was typed is the address of none. Who
    /// asks has a place (`Throttle::enter`).
    pub(in crate::auth) async fn begin(
        state: &AuthState,
        email: Option<&Email>,
        client: &Client,
    ) -> Result<Self, Failure> {
        let from = address(client.ip);
        let attempt = attempt(&state.config.throttle, email, from, state.throttle.is_crowded(state));
        let taken = state.throttle.take(state, &attempt, from).await?;
        Ok(Self {
            taken,
            here: attempt.known.map(|(id, _)| id),
        })
    }

    /// Settles what was counted.
    pub(in crate::auth) async fn end(self, state: &AuthState, outcome: Outcome) {
        state.throttle.settle(state, &self.taken, self.here, outcome).await;
    }
}

/// By what a guess is counted.
fn attempt(config: &config::Throttle, email: Option<&Email>, from: IpAddr, crowded: bool) -> Attempt {
    let account = AccountDigest::of(email);
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
    Attempt {
        known: account_here(config, email, from).zip(config.delays),
        counters: counters.into_iter().flatten().collect(),
        crowded,
    }
}

/// An account at an address, where it is to be remembered that it is used from there.
pub(super) fn account_here(config: &config::Throttle, email: Option<&Email>, from: IpAddr) -> Option<CounterId> {
    // Without delays nothing would hold whoever guesses from there.
    let remembered = config.delays.is_some() && !config.known_for.is_zero();
    remembered.then(|| CounterId::account_at_address(AccountDigest::of(email), from))
}

/// A counter by a rate, unless that is off.
pub(super) fn quota(kind: Kind, id: CounterId, quota: Option<Quota>) -> Option<Counter> {
    let rule = Rule::Quota(quota?);
    Some(Counter { kind, id, rule })
}
