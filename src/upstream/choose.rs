//! Choosing a server for a request, and what its outcome says of the server.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use http::StatusCode;

use super::balance::{by_key, in_turn, least_requests};
use super::flight::Flight;
use super::shared::Shared;
use super::standing::{Breaker, Change, Fitness, Health, WHOLE};
use super::{Server, ServerId, Upstream, UpstreamError};
use crate::config;
use crate::time::{monotonic, recent};

/// How many servers are weighed without allocating.
const FEW: usize = 16;

/// The servers of an upstream at one time.
#[derive(Debug)]
pub(super) struct Choice {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    server: Arc<Server>,
    weight: u16,
}

/// Which servers come into question: the next where there are none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tier {
    /// Those that are well, and those that are due to be tried.
    Fit,
    /// Those that requests failed at: better than none.
    Ejected,
    /// Those whose checks fail, where the configuration says that so many failing at a time may be the checks' fault.
    Any,
}

/// Why no server was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nobody {
    /// All that might be have as many requests in flight as they may.
    Full,
    /// None may be.
    Fit,
}

impl Choice {
    /// The servers of the configuration, at the addresses of their names where those are resolved; those that `before` has
    /// already stay what they are. What a name was resolved to before is used until it is resolved again.
    pub(super) fn new(
        config: &Arc<config::Upstream>,
        shared: &Arc<Shared>,
        before: Option<&Self>,
        resolved: &[Option<Vec<IpAddr>>],
    ) -> Self {
        let mut entries = Vec::new();
        for (index, (address, weight)) in config.servers.iter().zip(&config.weights).enumerate() {
            let known = || {
                before
                    .into_iter()
                    .flat_map(Self::servers)
                    .filter(|server| server.address() == address)
            };
            let of_name = |addresses: &Vec<IpAddr>| addresses.iter().copied().map(Some).collect();
            let mut places: Vec<Option<IpAddr>> = match resolved.get(index).and_then(Option::as_ref) {
                Some(addresses) => of_name(addresses),
                None => known().map(|server| server.resolved()).collect(),
            };
            if places.is_empty() && resolved.get(index).is_none_or(Option::is_none) {
                places.push(None);
            }
            entries.extend(places.into_iter().map(|place| {
                Entry {
                    server: known()
                        .find(|server| server.is(address, place, config))
                        .map_or_else(|| Server::new(address, place, config, shared), Arc::clone),
                    weight: *weight,
                }
            }));
        }
        Self { entries }
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.entries.iter().map(|entry| &entry.server)
    }

    /// The server itself, where there is one alone, and nothing to tell of it.
    fn only(&self) -> Option<&Arc<Server>> {
        match self.entries.as_slice() {
            [Entry { server, weight: 1.. }] if server.ledger.standing.is_plain() => Some(server),
            _ => None,
        }
    }

    /// Whether fewer than this share, in percent, are up by their checks.
    fn is_below(&self, percent: u32) -> bool {
        let up = |server: &&Arc<Server>| matches!(server.condition().0, Health::Up { .. });
        let up = self.servers().filter(up).count() as u128;
        up * 100 < self.entries.len() as u128 * u128::from(percent)
    }
}

impl Upstream {
    /// A server for a request, among those that were not tried yet. `key` is what the request is known by again, where
    /// that decides. Where all are busy and `patient`, waits in line.
    pub async fn board(&self, key: Option<u64>, tried: &[ServerId], patient: bool) -> Result<Flight, UpstreamError> {
        if tried.is_empty() {
            self.shared.budget.request();
        }
        let caps = &self.config.resilience.caps;
        let queue = &self.shared.queue;
        let limited = self.shared.max_requests().is_some() && patient;
        if !limited || self.line.is_empty() {
            match self.choose(key, tried) {
                Ok(flight) => return Ok(flight),
                Err(Nobody::Fit) => return Err(UpstreamError::NoneFit),
                Err(Nobody::Full) if !limited => return Err(UpstreamError::Full),
                Err(Nobody::Full) => {}
            }
        }
        let enter = || match self.choose(key, tried) {
            Ok(flight) => Some(Ok(flight)),
            Err(Nobody::Fit) => Some(Err(UpstreamError::NoneFit)),
            Err(Nobody::Full) => None,
        };
        let entered = Box::pin(queue.wait(&self.line, caps.queue, caps.queue_timeout, enter)).await;
        entered.unwrap_or(Err(UpstreamError::Full))
    }

    fn choose(&self, key: Option<u64>, tried: &[ServerId]) -> Result<Flight, Nobody> {
        let choice = self.choice.load();
        let resilience = &self.config.resilience;
        let max = self.shared.max_requests();
        if tried.is_empty()
            && max.is_none()
            && let Some(server) = choice.only()
        {
            return Ok(Flight::uncounted(server));
        }
        let (mut few, mut many) = ([0_u32; FEW], Vec::new());
        let weights = if let Some(few) = few.get_mut(..choice.entries.len()) {
            few
        } else {
            many.resize(choice.entries.len(), 0_u32);
            many.as_mut_slice()
        };
        // Each server at most once more than needed: another request may be faster to take the last place of one.
        for _ in 0..=choice.entries.len() {
            self.weigh(&choice, tried, weights)?;
            let Some(index) = self.pick(&choice, key, weights) else {
                return Err(Nobody::Fit);
            };
            let Some(Entry { server, .. }) = choice.entries.get(index) else {
                return Err(Nobody::Fit);
            };
            let standing = &server.ledger.standing;
            let due = || standing.fitness(recent, resilience.slow_start) == Fitness::Due;
            let probe = !standing.is_plain() && due() && standing.begin_probe(monotonic());
            if let Some(flight) = Flight::counted(server, max, probe) {
                return Ok(flight);
            }
            if probe {
                standing.abandon_probe(monotonic());
            }
        }
        Err(Nobody::Full)
    }

    /// What each server weighs at this moment, of the best tier that has any.
    fn weigh(&self, choice: &Choice, tried: &[ServerId], weights: &mut [u32]) -> Result<(), Nobody> {
        let resilience = &self.config.resilience;
        let max = self.shared.max_requests().unwrap_or(usize::MAX);
        for tier in [Tier::Fit, Tier::Ejected, Tier::Any] {
            if tier == Tier::Any && !choice.is_below(resilience.panic) {
                break;
            }
            let (mut any, mut full) = (false, false);
            for (Entry { server, weight }, weighed) in choice.entries.iter().zip(&mut *weights) {
                *weighed = 0;
                if *weight == 0 || tried.contains(&server.id()) {
                    continue;
                }
                let share = match (server.ledger.standing.fitness(recent, resilience.slow_start), tier) {
                    (Fitness::Fit(share), _) => share,
                    (Fitness::Due, _) | (Fitness::Ejected, Tier::Ejected | Tier::Any) | (Fitness::Down, Tier::Any) => {
                        WHOLE
                    }
                    (Fitness::Ejected, Tier::Fit) | (Fitness::Down, Tier::Fit | Tier::Ejected) => continue,
                };
                if server.in_flight() >= max {
                    full = true;
                    continue;
                }
                *weighed = u32::from(*weight) * share;
                any = true;
            }
            if any {
                return Ok(());
            }
            if full {
                return Err(Nobody::Full);
            }
        }
        Err(Nobody::Fit)
    }

    fn pick(&self, choice: &Choice, key: Option<u64>, weights: &mut [u32]) -> Option<usize> {
        let server = |index: usize| choice.entries.get(index).map(|entry| &entry.server);
        match (&self.config.resilience.balance, key) {
            (config::Balance::Hash(_), Some(key)) => {
                by_key(weights, |index| server(index).map_or(0, |server| server.digest), key)
            }
            (config::Balance::RoundRobin, _) => {
                let _round = self.shared.round.lock().unwrap_or_else(PoisonError::into_inner);
                let credit = |index: usize, by: i64| {
                    server(index).map_or(0, |server| server.ledger.credit.fetch_add(by, Ordering::Relaxed) + by)
                };
                in_turn(weights, credit)
            }
            (config::Balance::LeastRequests | config::Balance::Hash(_), _) => {
                let in_flight = |index: usize| server(index).map_or(0, |server| server.in_flight());
                least_requests(weights, in_flight, &self.chance)
            }
        }
    }

    /// The server answered with this status.
    pub fn answered(&self, flight: &mut Flight, status: StatusCode) {
        if self.config.resilience.eject.status.contains(status) {
            return self.failed(flight);
        }
        if flight.server().ledger.standing.is_plain() {
            return;
        }
        let probe = flight.take_probe();
        let change = flight.server().ledger.standing.passed(probe, recent);
        tell(flight.server(), change, None);
    }

    /// The server failed.
    pub fn failed(&self, flight: &mut Flight) {
        let now = monotonic();
        // One at a time: two that fail together must not both think that the other stays.
        let _one = self.shared.decide();
        let in_force = self.shared.in_force();
        let rule = &in_force.resilience.eject;
        if rule.is_off() {
            return;
        }
        let probe = flight.take_probe();
        let server = Arc::clone(flight.server());
        let change = server
            .ledger
            .standing
            .failed(probe, now, rule, || self.can_do_without(&server, now));
        tell(&server, change, None);
    }

    /// Whether enough servers are left without this one.
    fn can_do_without(&self, server: &Server, now: Instant) -> bool {
        let choice = self.choice.load();
        let slow_start = self.config.resilience.slow_start;
        let (mut ejected, mut left) = (0_usize, 0_usize);
        for Entry { server: other, weight } in &choice.entries {
            match other.ledger.standing.fitness(|| now, slow_start) {
                _ if other.id() == server.id() || *weight == 0 => {}
                Fitness::Fit(_) => left += 1,
                Fitness::Due | Fitness::Ejected => ejected += 1,
                Fitness::Down => {}
            }
        }
        let share = self.config.resilience.eject.max_share as usize;
        let most = (choice.entries.len() * share / 100).max(usize::from(share > 0));
        left > 0 && ejected < most
    }

    /// Whether a request that a server may have seen may be sent again: takes it out of the budget.
    pub fn may_repeat(&self) -> bool {
        let granted = self.shared.budget.withdraw(monotonic(), self.retry());
        if granted {
            self.shared.retries.fetch_add(1, Ordering::Relaxed);
        }
        granted
    }

    /// How often a server was ejected since the start.
    #[must_use]
    pub fn ejections(&self) -> u64 {
        self.shared.ejections.load(Ordering::Relaxed)
    }

    /// How many requests were sent again since the start.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.shared.retries.load(Ordering::Relaxed)
    }
}

/// Says of a server that something has changed, and why if that is known.
pub(super) fn tell(server: &Server, change: Option<Change>, why: Option<&str>) {
    let shared = &server.ledger.shared;
    let (upstream, told) = (server.settings().name.as_str(), server.to_string());
    match change {
        None => return,
        Some(Change::WentDown) => tracing::warn!(upstream, server = told, why, "a server is down: its checks fail"),
        Some(Change::CameUp) => tracing::info!(upstream, server = told, "a server is up again: its checks pass"),
        Some(Change::Ejected(time)) => {
            shared.ejections.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                upstream,
                server = told,
                ?time,
                "a server is ejected: requests to it failed in a row"
            );
        }
        Some(Change::Returned) => tracing::info!(upstream, server = told, "a server is back: a request got through"),
    }
    // One that waits may have been waiting for this one.
    shared.queue.wake();
}

impl Server {
    /// What `/readyz` and the log say of it, if there is something to say.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        match self.condition() {
            (Health::Down { .. }, _) => Some("down: its checks fail"),
            (Health::Up { .. }, Breaker::Open { .. } | Breaker::Probing) => Some("ejected: requests to it failed"),
            (Health::Up { .. }, Breaker::Closed { .. }) => None,
        }
    }
}
