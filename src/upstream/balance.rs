//! Who gets a request: a choice among weights that are already known. No server, no clock, no health.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers by chance, for all threads, without a lock. Not for secrets.
#[derive(Debug)]
pub(super) struct Chance(AtomicU64);

impl Chance {
    /// Replicas that start at the same time do not choose the same.
    pub(super) fn new() -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        Self(AtomicU64::new(RandomState::new().hash_one(0)))
    }

    /// The next number.
    pub(super) fn draw(&self) -> u64 {
        mix(self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed))
    }
}

/// `SplitMix64`'s finaliser: each bit of the input changes about half of the output.
const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A number for this text, the same in every process (FNV-1a).
#[must_use]
pub fn digest(text: &[u8]) -> u64 {
    let hash = text.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    mix(hash)
}

/// One of them, each as likely as its weight says; `None` where all are 0.
pub(super) fn by_weight(weights: &[u32], draw: u64) -> Option<usize> {
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut left = draw.checked_rem(total)?;
    weights.iter().position(|weight| {
        let weight = u64::from(*weight);
        let here = left < weight;
        left = left.saturating_sub(weight);
        here
    })
}

/// Of two drawn by weight the one with fewer requests in flight for its weight; of equals the first drawn, so that idle
/// servers get as much as their weight says. The weights are changed on the way.
pub(super) fn least_requests(
    weights: &mut [u32],
    in_flight: impl Fn(usize) -> usize,
    chance: &Chance,
) -> Option<usize> {
    let first = by_weight(weights, chance.draw())?;
    let weight = std::mem::take(weights.get_mut(first)?);
    let Some(second) = by_weight(weights, chance.draw()) else {
        return Some(first);
    };
    let load = |index: usize, other: u32| in_flight(index) as u128 * u128::from(other);
    let other = weights.get(second).copied()?;
    Some(if load(second, weight) < load(first, other) {
        second
    } else {
        first
    })
}

/// The next in turn: each as often as its weight says, its turns spread evenly (as nginx does it). `credit` is what each
/// has saved up.
pub(super) fn in_turn(weights: &[u32], credit: impl Fn(usize, i64) -> i64) -> Option<usize> {
    let mut best: Option<(usize, i64)> = None;
    let mut total = 0_i64;
    for (index, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
        total += i64::from(*weight);
        let saved = credit(index, i64::from(*weight));
        if best.is_none_or(|(_, most)| saved > most) {
            best = Some((index, saved));
        }
    }
    let (index, _) = best?;
    credit(index, -total);
    Some(index)
}

/// The one that this key belongs to: rendezvous hashing with weights, so that a server that goes leaves its keys to all
/// others, one that comes takes its share from all others, and nothing else moves. `name` is a server's own number.
pub(super) fn by_key(weights: &[u32], name: impl Fn(usize) -> u64, key: u64) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (index, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
        let bits = mix(name(index) ^ key.rotate_left(32)) >> 12;
        #[expect(clippy::cast_precision_loss, reason = "52 bits fit")]
        let uniform = (bits as f64 + 0.5) / (1_u64 << 52) as f64;
        let score = -f64::from(*weight) / uniform.ln();
        if best.is_none_or(|(_, most)| score > most) {
            best = Some((index, score));
        }
    }
    best.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn owner(names: &[u64], weights: &[u32], key: u64) -> Option<u64> {
        by_key(weights, |index| names[index], key).map(|index| names[index])
    }

    /// Distinct numbers as servers' names have them, each with a weight.
    fn servers() -> impl Strategy<Value = (Vec<u64>, Vec<u32>)> {
        proptest::collection::btree_map(any::<u64>(), 1..=256_u32, 1..8)
            .prop_map(|servers| servers.into_iter().map(|(name, weight)| (mix(name), weight)).unzip())
    }

    proptest! {
        #[test]
        fn a_server_that_goes_leaves_its_keys_and_no_other_key_moves((names, weights) in servers(), gone in 0..8_usize, key: u64) {
            let gone = gone % names.len();
            let before = owner(&names, &weights, key).unwrap();
            let mut fewer = weights.clone();
            fewer[gone] = 0;
            let after = owner(&names, &fewer, key);
            if before == names[gone] {
                prop_assert_ne!(after, Some(before));
            } else {
                prop_assert_eq!(after, Some(before));
            }
        }

        #[test]
        fn a_server_whose_weight_grows_takes_keys_and_gives_none((names, weights) in servers(), grown in 0..8_usize, by in 1..256_u32, key: u64) {
            let grown = grown % names.len();
            let before = owner(&names, &weights, key).unwrap();
            let mut heavier = weights.clone();
            heavier[grown] += by;
            let after = owner(&names, &heavier, key).unwrap();
            prop_assert!(after == before || after == names[grown]);
        }

        #[test]
        fn the_order_of_the_servers_moves_no_key((names, weights) in servers(), key: u64) {
            let (back, weights_back): (Vec<u64>, Vec<u32>) = (names.iter().rev().copied().collect(), weights.iter().rev().copied().collect());
            prop_assert_eq!(owner(&names, &weights, key), owner(&back, &weights_back, key));
        }

        #[test]
        fn turns_are_as_many_as_the_weights_say_in_each_round((_, weights) in servers()) {
            let credits = RefCell::new(vec![0_i64; weights.len()]);
            let mut turns = vec![0_u32; weights.len()];
            for _ in 0..weights.iter().sum() {
                let next = in_turn(&weights, |index, by| {
                    credits.borrow_mut()[index] += by;
                    credits.borrow()[index]
                });
                turns[next.unwrap()] += 1;
            }
            prop_assert_eq!(&turns, &weights);
            prop_assert!(credits.borrow().iter().all(|credit| *credit == 0), "the next round begins as the first");
        }

        #[test]
        fn nobody_without_weight_is_chosen(weights in proptest::collection::vec(prop_oneof![Just(0), 0..5_u32], 0..6), key: u64) {
            let chance = Chance(AtomicU64::new(key));
            let any = weights.iter().any(|weight| *weight > 0);
            let drawn = least_requests(&mut weights.clone(), |_| 0, &chance);
            for chosen in [drawn, by_key(&weights, |index| index as u64, key), by_weight(&weights, key), in_turn(&weights, |_, by| by)] {
                prop_assert_eq!(chosen.is_some(), any);
                prop_assert!(chosen.is_none_or(|index| weights[index] > 0));
            }
        }
    }

    #[test]
    fn keys_are_spread_by_weight() {
        let (names, weights) = ([digest(b"a:1"), digest(b"b:1"), digest(b"c:1")], [1, 2, 5]);
        let mut counts: HashMap<u64, u32> = HashMap::new();
        for key in 0..8000_u64 {
            *counts.entry(owner(&names, &weights, mix(key)).unwrap()).or_default() += 1;
        }
        for (name, weight) in names.iter().zip(weights) {
            let share = counts[name];
            assert!((weight * 850..weight * 1150).contains(&share), "{counts:?}");
        }
    }

    #[test]
    fn idle_servers_get_what_their_weight_says_and_busy_ones_less() {
        let chance = Chance(AtomicU64::new(7));
        let count = |in_flight: [usize; 2]| {
            let mut counts = [0; 2];
            for _ in 0..4000 {
                counts[least_requests(&mut [1, 3], |index| in_flight[index], &chance).unwrap()] += 1;
            }
            counts
        };
        let [light, heavy] = count([0, 0]);
        assert!((850..1150).contains(&light) && light + heavy == 4000, "{light} {heavy}");
        assert_eq!(count([1, 4]), [4000, 0], "four for three are more than one for one");
        assert_eq!(count([2, 5]), [0, 4000]);
    }
}
