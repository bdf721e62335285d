//! [`Limiter`]: how many requests may come from whom. The arithmetic is in [`gcra`](crate::rules::gcra); here is what is
//! remembered of each client, within bounds, or in a Redis for several gateways; and how an answer tells where the client stands.

mod counts;
mod shared;
mod table;
mod tally;
mod tell;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::HeaderMap;
use prometheus_client::metrics::counter::Counter;

use crate::config::{self, LimitBy};
use crate::id::Principal;
use crate::rules::gcra::{Quota, Verdict};
use crate::time::monotonic;
pub use counts::Counts;
pub use tally::{Gauge, Place, Tally};

use shared::Shared;
use table::{Key, Table};

/// All limits of one configuration, and what every client has used of them.
#[derive(Debug)]
pub struct Limiter {
    limits: Vec<Limit>,
    /// Whether answers tell where the client stands also when it passed.
    tells: bool,
    memory: Arc<Memory>,
    /// Where all gateways count together, if they do.
    shared: Option<Shared>,
}

/// What is remembered: it outlives a configuration.
#[derive(Debug)]
struct Memory {
    /// The moment that arrivals are counted from.
    start: Instant,
    table: Table,
    /// Requests that were counted here alone because Redis did not count them.
    alone: OnceLock<Counter>,
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

/// What the Redis of `[limiter]` can't be reached by: a file that can't be read, or is no authority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Redis of [limiter]: {0}")]
pub struct InvalidLimiter(String);

/// A client has used up a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// How long until one more request may pass.
    pub retry_after: Duration,
    /// What tells where it stands, with this limit and those asked before.
    pub fields: Box<HeaderMap>,
}

impl Limiter {
    /// The limits of a configuration. What was remembered by the limiter `before` it goes on to count. A Redis is connected to
    /// on the runtime that this is called on; nothing waits for that.
    pub fn new(
        config: &config::Limiter,
        limits: &[config::Limit],
        before: Option<&Self>,
    ) -> Result<Self, InvalidLimiter> {
        let limits = limits.iter().map(|limit| Limit {
            name: limit.name.as_str().into(),
            quota: limit.quota,
            by: limit.by,
        });
        let memory = before.map(|before| Arc::clone(&before.memory));
        let memory = memory.filter(|memory| memory.table.capacity() == config.capacity);
        let shared = before.and_then(|before| before.shared.as_ref());
        let shared = match &config.redis {
            Some(redis) => Some(Shared::new(redis, config.timeout, shared).map_err(InvalidLimiter)?),
            None => None,
        };
        Ok(Self {
            limits: limits.collect(),
            tells: config.headers,
            memory: memory.unwrap_or_else(|| {
                Arc::new(Memory {
                    start: monotonic(),
                    table: Table::new(config.capacity),
                    alone: OnceLock::new(),
                })
            }),
            shared,
        })
    }

    /// Where to count the requests that Redis did not count.
    pub fn count_alone(&self, counter: Counter) {
        // The first one stays: it is the same for as long as the process lives.
        let _ = self.memory.alone.set(counter);
    }

    /// Counts a request against these limits (their indices in the configuration), in this order and up to the first that is
    /// used up. Where the client stands is added to `standings`.
    ///
    /// Waits for nothing but a Redis, and for that no longer than `limiter.timeout`. What passes counts in our own memory as
    /// well, so that whoever has used up a limit here does not get it anew when Redis fails.
    pub async fn take(
        &self,
        limits: &[usize],
        client: Client<'_>,
        now: Instant,
        standings: &mut Vec<Standing>,
    ) -> Result<(), Exceeded> {
        let moment = now.saturating_duration_since(self.memory.start);
        let moment = u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX);
        let known = limits
            .iter()
            .filter_map(|index| Some((*index, self.limits.get(*index)?)));
        let count = |limit: &Limit| self.memory.table.judge(&limit.key(client), limit.quota, moment);
        if let Some(shared) = &self.shared {
            let asked: Vec<_> = known
                .clone()
                .map(|(_, limit)| (limit.key(client), limit.quota))
                .collect();
            // Boxed: requests without it need not have room for it.
            if let Some(verdicts) = Box::pin(shared.judge(&asked)).await {
                for ((index, limit), verdict) in known.zip(verdicts) {
                    self.note(index, verdict, standings)?;
                    count(limit);
                }
                return Ok(());
            }
            if let Some(counter) = self.memory.alone.get() {
                counter.inc();
            }
        }
        for (index, limit) in known {
            self.note(index, count(limit), standings)?;
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
            redis: None,
            timeout: Duration::from_millis(50),
            capacity: 1024,
            headers: true,
        };
        let limit = config::Limit {
            name: "l".to_owned(),
            quota: Quota::new(1, Duration::from_mins(1), 2).unwrap(),
            by,
        };
        Limiter::new(&config, &[limit], before).unwrap()
    }

    async fn passes(limiter: &Limiter, address: &str, principal: Option<&Principal>) -> bool {
        let address = address.parse().unwrap();
        let client = Client { address, principal };
        let taken = limiter.take(&[0], client, monotonic(), &mut Vec::new()).await;
        taken.is_ok()
    }

    #[tokio::test]
    async fn addresses_of_one_network_are_one_client() {
        let limiter = limiter(LimitBy::Address, None);
        assert!(passes(&limiter, "2001:db8::1", None).await && passes(&limiter, "2001:db8::2", None).await);
        assert!(!passes(&limiter, "2001:db8:0:0:ffff::3", None).await);
        assert!(passes(&limiter, "2001:db8:0:1::1", None).await);
        assert!(passes(&limiter, "192.0.2.1", None).await && passes(&limiter, "::ffff:192.0.2.1", None).await);
        assert!(!passes(&limiter, "192.0.2.1", None).await);
        assert!(passes(&limiter, "192.0.2.2", None).await);
    }

    #[tokio::test]
    async fn users_are_counted_wherever_they_are_and_strangers_by_their_address() {
        let limiter = limiter(LimitBy::User, None);
        let ann = Principal::Foreign {
            issuer: "corp".parse().unwrap(),
            subject: "ann".parse().unwrap(),
        };
        let bob = Principal::Foreign {
            issuer: "corp".parse().unwrap(),
            subject: "bob".parse().unwrap(),
        };
        assert!(passes(&limiter, "192.0.2.1", Some(&ann)).await && passes(&limiter, "192.0.2.2", Some(&ann)).await);
        assert!(!passes(&limiter, "192.0.2.3", Some(&ann)).await);
        assert!(passes(&limiter, "192.0.2.3", Some(&bob)).await);
        assert!(passes(&limiter, "192.0.2.3", None).await && passes(&limiter, "192.0.2.3", None).await);
        assert!(!passes(&limiter, "192.0.2.3", None).await);
    }

    #[tokio::test]
    async fn another_configuration_goes_on_to_count() {
        let first = limiter(LimitBy::Everybody, None);
        assert!(passes(&first, "192.0.2.1", None).await && passes(&first, "192.0.2.2", None).await);
        let second = limiter(LimitBy::Everybody, Some(&first));
        assert!(!passes(&second, "192.0.2.3", None).await);
    }
}
