//! How much is under way at once: [`Gauge`] for all together, [`Tally`] for each client. Both hand out a [`Place`], which is
//! free again when dropped.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many parts a [`Tally`] has: clients wait for one another only within one.
const SHARDS: usize = 16;

/// How much of one thing is under way.
#[derive(Clone, Debug)]
pub struct Gauge {
    most: usize,
    now: Arc<AtomicUsize>,
}

/// How much each client has under way. What is remembered is only of those that have something.
#[derive(Clone, Debug)]
pub struct Tally {
    most: usize,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    shards: Vec<Mutex<HashMap<u64, usize>>>,
    hasher: RandomState,
}

/// One of those that there are. It is free again when this is dropped.
#[derive(Debug)]
pub struct Place(Held);

#[derive(Debug)]
enum Held {
    OfAll(Arc<AtomicUsize>),
    OfOne(Arc<State>, u64),
}

impl Gauge {
    /// One with so many places.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            now: Arc::default(),
        }
    }

    /// A place, if there is one.
    #[must_use]
    pub fn enter(&self) -> Option<Place> {
        if self.now.fetch_add(1, Ordering::Relaxed) < self.most {
            return Some(Place(Held::OfAll(Arc::clone(&self.now))));
        }
        self.now.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Tally {
    /// One with so many places for each client.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let state = State {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        };
        Self {
            most,
            state: Arc::new(state),
        }
    }

    /// The same with so many places; those that are taken stay taken.
    #[must_use]
    pub fn resized(&self, most: usize) -> Self {
        Self {
            most,
            state: Arc::clone(&self.state),
        }
    }

    /// A place for this client, if there is one. Clients are known by a keyed hash: that two share one is as good as never.
    #[must_use]
    pub fn enter(&self, client: &impl Hash) -> Option<Place> {
        let id = self.state.hasher.hash_one(client);
        let mut shard = self.state.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        let count = shard.entry(id).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(shard);
        Some(Place(Held::OfOne(Arc::clone(&self.state), id)))
    }
}

impl State {
    fn shard(&self, id: u64) -> &Mutex<HashMap<u64, usize>> {
        &self.shards[usize::try_from(id >> 32).unwrap_or_default() % SHARDS]
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match &self.0 {
            Held::OfAll(now) => {
                now.fetch_sub(1, Ordering::Relaxed);
            }
            Held::OfOne(state, id) => {
                let mut shard = state.shard(*id).lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(count) = shard.get_mut(id) {
                    *count -= 1;
                    if *count == 0 {
                        shard.remove(id);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let gauge = Gauge::new(2);
        let (first, second) = (gauge.enter(), gauge.enter());
        assert!(first.is_some() && second.is_some() && gauge.enter().is_none());
        drop(first);
        let third = gauge.enter();
        assert!(third.is_some() && gauge.enter().is_none());
    }

    #[test]
    fn each_client_has_places_of_its_own_and_leaves_nothing_behind() {
        let tally = Tally::new(2);
        let held = [tally.enter(&"a"), tally.enter(&"a"), tally.enter(&"b")];
        assert!(held.iter().all(Option::is_some));
        assert!(tally.enter(&"a").is_none());
        assert!(tally.enter(&"b").is_some());
        drop(held);
        let left: usize = tally.state.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert_eq!(left, 0);
        assert!(tally.enter(&"a").is_some());
    }

    #[test]
    fn no_more_than_there_are_places_are_taken_by_many_at_once() {
        let (gauge, tally) = (Gauge::new(5), Tally::new(5));
        let most = AtomicUsize::new(0);
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        if let (Some(_all), Some(_one)) = (gauge.enter(), tally.enter(&7)) {
                            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!((1..=5).contains(&most.into_inner()));
        assert!(
            (0..5)
                .map(|_| gauge.enter())
                .collect::<Vec<_>>()
                .iter()
                .all(Option::is_some)
        );
    }
}
