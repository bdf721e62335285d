//! How often may be tried what can be guessed. Two rules, both pure: [`Delays`], for one account from one place, which grow
//! with each failure and go after a quiet time; and a [`Quota`], for all that comes from one address or at one account, which
//! is never quiet: there the failures of many people have to be forgotten one by one.
//!
//! An attempt is taken before it is judged, so that no two at once are one, and given back if it was no failure.

use std::time::Duration;

use super::gcra::{Quota, Verdict};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Some failures are free; each one more doubles the wait, up to a longest. A quiet time forgets all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// How many failures cost no time. At least 1.
    pub free: u32,
    /// The wait after one more than these.
    pub first: Duration,
    /// The longest wait: nobody is locked out for good.
    pub most: Duration,
    /// After how long without an attempt all is forgotten; at least `most`.
    pub forget: Duration,
}

/// By how much the clocks of gateways that count together may differ. Also what lies between the moment that an attempt is
/// judged for and that at which it gets hold of its rows: it waits for connections and for others.
pub const SKEW: Duration = Duration::from_mins(1);

/// How what is counted is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// By delays that grow.
    Delays(Delays),
    /// By a rate.
    Quota(Quota),
}

/// What is remembered of the attempts so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// With [`Delays`], the failures and what is still being judged; 0 with a [`Quota`].
    pub strikes: u32,
    /// In nanoseconds since 1970: with [`Delays`] the last attempt, with a [`Quota`] its theoretical arrival.
    pub moment: i64,
}

/// What an attempt is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The account, from an address that has logged in to it.
    KnownAddress,
    /// The account, from one network.
    AccountFromNetwork,
    /// The account, from wherever.
    Account,
    /// The address, whatever the account.
    Address,
    /// The network, whatever the account.
    Network,
    /// New accounts from the address.
    SignupAddress,
    /// New accounts from the network.
    SignupNetwork,
}

impl Kind {
    /// Its name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KnownAddress => "known_address",
            Self::AccountFromNetwork => "account_from_network",
            Self::Account => "account",
            Self::Address => "address",
            Self::Network => "network",
            Self::SignupAddress => "signup_address",
            Self::SignupNetwork => "signup_network",
        }
    }
}

impl Rule {
    /// What to remember once an attempt at `now` is taken, or how long it has to wait. One that has to counts for nothing.
    pub fn take(self, count: Count, now: Timestamp) -> Result<Count, Duration> {
        match self {
            Self::Delays(delays) => delays.take(count, now),
            Self::Quota(quota) => match quota.judge_among(unsigned(count.moment), unsigned(nanos(now)), SKEW) {
                Verdict::Passes { arrival, .. } => Ok(Count {
                    strikes: 0,
                    moment: i64::try_from(arrival).unwrap_or(i64::MAX),
                }),
                Verdict::Exceeds { retry_after, .. } => Err(retry_after),
            },
        }
    }

    /// What to remember when an attempt that was taken is given back; `None`: nothing.
    #[must_use]
    pub fn give_back(self, count: Count, now: Timestamp) -> Option<Count> {
        match self {
            Self::Delays(_) => {
                let strikes = count.strikes.saturating_sub(1);
                (strikes > 0).then_some(Count { strikes, ..count })
            }
            Self::Quota(quota) => {
                let interval = i64::try_from(quota.interval().as_nanos()).unwrap_or(i64::MAX);
                let moment = count.moment.saturating_sub(interval);
                (moment > nanos(now)).then_some(Count { strikes: 0, moment })
            }
        }
    }

    /// From when on the count says nothing any more.
    #[must_use]
    pub fn forgotten_at(self, count: Count) -> Timestamp {
        // Rounded up: a little too late harms nobody.
        let moment = Timestamp::from_unix_ms(count.moment.div_euclid(NANOS_PER_MS).saturating_add(1));
        match self {
            Self::Delays(delays) => moment + delays.forget,
            Self::Quota(_) => moment,
        }
    }
}

impl Delays {
    /// The wait after so many strikes.
    #[must_use]
    pub fn after(self, strikes: u32) -> Duration {
        let Some(doublings) = strikes.checked_sub(self.free) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }

    fn take(self, count: Count, now: Timestamp) -> Result<Count, Duration> {
        let now = nanos(now);
        let elapsed = now.saturating_sub(count.moment);
        // Clocks of gateways differ by less than this. A clock that was that wrong is no debt.
        let absurd = elapsed < 0 && since(elapsed.saturating_neg()) > self.most;
        let strikes = if absurd || since(elapsed) >= self.forget {
            0
        } else {
            count.strikes
        };
        let wait = self.after(strikes).saturating_sub(since(elapsed));
        if strikes > 0 && !wait.is_zero() {
            return Err(wait);
        }
        Ok(Count {
            strikes: strikes.saturating_add(1),
            // Of two gateways' clocks, the one that is ahead.
            moment: if strikes == 0 { now } else { now.max(count.moment) },
        })
    }
}

const NANOS_PER_MS: i64 = 1_000_000;

fn nanos(at: Timestamp) -> i64 {
    at.unix_ms().saturating_mul(NANOS_PER_MS)
}

fn unsigned(nanos: i64) -> u64 {
    u64::try_from(nanos).unwrap_or(0)
}

fn since(nanos: i64) -> Duration {
    Duration::from_nanos(unsigned(nanos))
}
