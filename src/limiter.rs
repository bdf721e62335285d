//! [`Limiter`]: how many requests may come from whom. The arithmetic is in [`gcra`](crate::rules::gcra); here is what is
//! remembered of each client, within bounds, and how an answer tells where the client stands.

mod table;
mod tally;
mod tell;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;

use crate::config::{self, LimitBy};
use crate::id::Principal;
use crate::rules::gcra::{Quota, Verdict};
use crate::time::monotonic;
pub use tally::{Gauge, Place, Tally};

use table::{Key, Table};

/// All limits of one configuration, and what every client has used of them.
#[derive(Debug)]
pub struct Limiter {
    limits: Vec<Limit>,
    /// Whether answers tell where the client stands also when it passed.
    tells: bool,
    memory: Arc<Memory>,
}

/// What is remembered: it outlives a configuration.
#[derive(Debug)]
struct Memory {
    /// The moment that arrivals are counted from.
    start: Instant,
    table: Table,
}

#[derive(Debug)]
struct Limit {
    name: Box<str>,
    quota: Quota,
    by: LimitBy,
}

/// Whom a request comes from, as far as it is known when a limit is asked.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The address, as far as trusted proxies tell.
    pub address: IpAddr,
    /// Who it is, once authenticated.
    pub principal: Option<&'a Principal>,
}

/// Where a client stands with one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    limit: usize,
    remaining: u32,
    reset: Duration,
}

/// A client has used up a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// How long until one more request may pass.
    pub retry_after: Duration,
    /// What tells where it stands, with this limit and those asked before.
    pub fields: Box<HeaderMap>,
}

impl Limiter {
    /// The limits of a configuration. What was remembered by the limiter `before` it goes on to count.
    #[must_use]
    pub fn new(config: &config::Limiter, limits: &[config::Limit], before: Option<&Self>) -> Self {
        let limits = limits.iter().map(|limit| Limit {
            name: limit.name.as_str().into(),
            quota: limit.quota,
            by: limit.by,
        });
        let memory = before.map(|before| Arc::clone(&before.memory));
        let memory = memory.filter(|memory| memory.table.capacity() == config.capacity);
        Self {
            limits: limits.collect(),
            tells: config.headers,
            memory: memory.unwrap_or_else(|| {
                Arc::new(Memory {
                    start: monotonic(),
                    table: Table::new(config.capacity),
                })
            }),
        }
    }

    /// Counts a request against these limits (their indices in the configuration), in this order and up to the first that is
    /// used up. Where the client stands is added to `standings`.
    pub fn take(
        &self,
        limits: &[usize],
        client: Client<'_>,
        now: Instant,
        standings: &mut Vec<Standing>,
    ) -> Result<(), Exceeded> {
        let moment = now.saturating_duration_since(self.memory.start);
        let moment = u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX);
        for (index, limit) in limits
            .iter()
            .filter_map(|index| Some((*index, self.limits.get(*index)?)))
        {
            let verdict = self.memory.table.judge(&limit.key(client), limit.quota, moment);
            self.note(index, verdict, standings)?;
        }
        Ok(())
    }

    fn note(&self, limit: usize, verdict: Verdict, standings: &mut Vec<Standing>) -> Result<(), Exceeded> {
        let (remaining, reset, wait) = match verdict {
            Verdict::Passes { remaining, reset, .. } => (remaining, reset, None),
            Verdict::Exceeds { retry_after, reset } => (0, reset, Some(retry_after)),
        };
        standings.push(Standing {
            limit,
            remaining,
            reset,
        });
        match wait {
            None => Ok(()),
            Some(retry_after) => Err(Exceeded {
                retry_after,
                fields: Box::new(self.fields(standings)),
            }),
        }
    }
}

impl Limit {
    /// By what the client is counted. Who is not authenticated is counted by the address.
    fn key<'a>(&'a self, client: Client<'a>) -> Key<'a> {
        let name = &*self.name;
        match (self.by, client.principal) {
            (LimitBy::Everybody, _) => Key::Everybody(name),
            (LimitBy::User, Some(principal)) => Key::User(name, principal),
            (LimitBy::User, None) | (LimitBy::Address, _) => Key::Address(name, network(client.address)),
        }
    }
}

/// An address as clients are counted by: of IPv6, the network that one subscriber has at the least (RFC 6177, section 2).
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(by: LimitBy, before: Option<&Limiter>) -> Limiter {
        let config = config::Limiter {
            capacity: 1024,
            headers: true,
        };
        let limit = config::Limit {
            name: "l".to_owned(),
            quota: Quota::new(1, Duration::from_mins(1), 2).unwrap(),
            by,
        };
        Limiter::new(&config, &[limit], before)
    }

    fn passes(limiter: &Limiter, address: &str, principal: Option<&Principal>) -> bool {
        let address = address.parse().unwrap();
        let client = Client { address, principal };
        limiter.take(&[0], client, monotonic(), &mut Vec::new()).is_ok()
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let limiter = limiter(LimitBy::Address, None);
        assert!(passes(&limiter, "2001:db8::1", None) && passes(&limiter, "2001:db8::2", None));
        assert!(!passes(&limiter, "2001:db8:0:0:ffff::3", None));
        assert!(passes(&limiter, "2001:db8:0:1::1", None));
        assert!(passes(&limiter, "192.0.2.1", None) && passes(&limiter, "::ffff:192.0.2.1", None));
        assert!(!passes(&limiter, "192.0.2.1", None));
        assert!(passes(&limiter, "192.0.2.2", None));
    }

    #[test]
    fn users_are_counted_wherever_they_are_and_strangers_by_their_address() {
        let limiter = limiter(LimitBy::User, None);
        let ann = Principal::Foreign {
            issuer: "corp".parse().unwrap(),
            subject: "ann".parse().unwrap(),
        };
        let bob = Principal::Foreign {
            issuer: "corp".parse().unwrap(),
            subject: "bob".parse().unwrap(),
        };
        assert!(passes(&limiter, "192.0.2.1", Some(&ann)) && passes(&limiter, "192.0.2.2", Some(&ann)));
        assert!(!passes(&limiter, "192.0.2.3", Some(&ann)));
        assert!(passes(&limiter, "192.0.2.3", Some(&bob)));
        assert!(passes(&limiter, "192.0.2.3", None) && passes(&limiter, "192.0.2.3", None));
        assert!(!passes(&limiter, "192.0.2.3", None));
    }

    #[test]
    fn another_configuration_goes_on_to_count() {
        let first = limiter(LimitBy::Everybody, None);
        assert!(passes(&first, "192.0.2.1", None) && passes(&first, "192.0.2.2", None));
        let second = limiter(LimitBy::Everybody, Some(&first));
        assert!(!passes(&second, "192.0.2.3", None));
    }
}
