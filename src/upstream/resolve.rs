//! Names of servers, resolved in the background: every address of a name is a server of its own, and what the name server
//! says is asked for again when its time is over. Addresses that go are drained as servers are that leave the
//! configuration: requests in flight finish, and no more come.
//!
//! What is known stays while the name server fails. That a name has no addresses is believed when it is said twice in a
//! row: its addresses may be others' by then.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::Upstream;
use super::choose::Choice;
use crate::config::{Dns, ServerAddress};
use crate::lasting::lasting;
use crate::rules::headers::IdentityHeaders;

/// How often in a row it must be said that a name has no addresses.
const BELIEVED: u32 = 2;
/// How long after a failure it is asked again at the latest, if `dns.min_ttl` lets it: who waits for addresses that have
/// changed meanwhile does not wait for long once the name server is back.
const AGAIN: Duration = Duration::from_secs(2);
/// The most addresses of one name that are used.
const MOST: usize = 256;

/// What a name server said.
enum Answer {
    /// These addresses, in order, for so long.
    Addresses(Vec<IpAddr>, Duration),
    /// There are none.
    None,
    /// Nothing that can be used.
    Failed(NetError),
}

impl Upstream {
    /// Resolves each server's name from now on, on this runtime, until the upstream is gone.
    pub(super) fn resolve_all(self: &Arc<Self>, runtime: &Handle, identity: &Arc<IdentityHeaders>) {
        for (index, address) in self.config.servers.iter().enumerate() {
            if let Some(name) = name_of(address) {
                let (upstream, name, identity) = (Arc::downgrade(self), name.to_owned(), Arc::clone(identity));
                let (goes_on, told) = (runtime.clone(), format!("resolving {name}"));
                runtime.spawn(lasting(told, move || {
                    let (upstream, name) = (Weak::clone(&upstream), name.clone());
                    run(upstream, index, name, goes_on.clone(), Arc::clone(&identity))
                }));
            }
        }
    }

    fn was_resolved(&self, index: usize) -> bool {
        let resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        resolved.get(index).is_some_and(Option::is_some)
    }

    /// From now on the server with this index is these addresses.
    fn resolved(&self, index: usize, addresses: Vec<IpAddr>) -> bool {
        let mut resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = resolved.clone();
        match next.get_mut(index) {
            Some(known) if known.as_ref() != Some(&addresses) => *known = Some(addresses),
            Some(_) | None => return false,
        }
        // With the lock held, so that no other change is lost.
        let choice = Choice::new(&self.config, &self.shared, Some(&self.choice.load()), &next);
        self.choice.store(Arc::new(choice));
        let _one = self.shared.decide();
        if Arc::ptr_eq(&self.shared.in_force(), &self.config) {
            self.follow_all();
        }
        self.shared.queue.wake();
        // Last: what did not come to its end is done again.
        *resolved = next;
        true
    }
}

/// The name to resolve, where it is none of an address or of nothing.
fn name_of(address: &ServerAddress) -> Option<&str> {
    match address {
        ServerAddress::Remote { host, .. } => {
            let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
            (!is_address).then_some(host)
        }
        ServerAddress::Whoami => None,
    }
}

async fn run(upstream: Weak<Upstream>, index: usize, name: String, runtime: Handle, identity: Arc<IdentityHeaders>) {
    let (mut failures, mut denials) = (0_u32, 0_u32);
    loop {
        // Nothing of the upstream is held meanwhile, so that it can go.
        let Some(rule) = upstream
            .upgrade()
            .map(|upstream| upstream.config.resilience.dns.clone())
        else {
            return;
        };
        let answer = look_up(&name, &rule).await;
        let Some(upstream) = upstream.upgrade() else { return };
        let told = upstream.name();
        let again = rule.min_ttl.saturating_mul(1 << failures.min(16));
        let again = again.min(AGAIN.max(rule.min_ttl)).min(rule.max_ttl);
        let pause = match answer {
            Answer::Addresses(addresses, ttl) => {
                (failures, denials) = (0, 0);
                let list = format!("{addresses:?}");
                if upstream.resolved(index, addresses) {
                    tracing::info!(upstream = told, name, addresses = list, "a name of servers is resolved");
                }
                upstream.check_all(&runtime, &identity);
                ttl.clamp(rule.min_ttl, rule.max_ttl)
            }
            Answer::None => {
                (failures, denials) = (failures + 1, denials + 1);
                // A name that never had any is left to the system to resolve, which may know better.
                if denials >= BELIEVED && upstream.was_resolved(index) && upstream.resolved(index, Vec::new()) {
                    tracing::warn!(upstream = told, name, "a name of servers has no addresses any more");
                }
                again
            }
            Answer::Failed(error) => {
                if failures == 0 {
                    tracing::warn!(upstream = told, name, %error, "a name of servers can't be resolved: what is known stays");
                }
                (failures, denials) = (failures + 1, 0);
                again
            }
        };
        drop(upstream);
        sleep(pause).await;
    }
}

async fn look_up(name: &str, rule: &Dns) -> Answer {
    // Made anew each time: the system's files are read again, and nothing is remembered beyond its time.
    let resolver = match resolver(rule) {
        Ok(resolver) => resolver,
        Err(error) => return Answer::Failed(error),
    };
    match resolver.lookup_ip(name).await {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = found.iter().collect();
            addresses.sort_unstable();
            addresses.dedup();
            addresses.truncate(MOST);
            let ttl = found.as_lookup().answers().iter().map(|record| record.ttl).min();
            if addresses.is_empty() {
                return Answer::None;
            }
            Answer::Addresses(addresses, Duration::from_secs(ttl.unwrap_or(0).into()))
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Answer::None,
        Err(error) => Answer::Failed(error),
    }
}

fn resolver(rule: &Dns) -> Result<TokioResolver, NetError> {
    let mut builder = if rule.servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = rule.servers.iter().map(name_server).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // Where it asks again at once, it asks the next name server.
    (options.timeout, options.attempts) = (Duration::from_secs(2), 2);
    builder.build()
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
