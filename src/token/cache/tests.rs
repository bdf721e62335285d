use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const LONG: Duration = Duration::from_hours(1);

/// What the entries are, counted one by one.
fn counted<V: Clone>(cache: &Cache<V>) -> (u64, u64) {
    let sets = (0..cache.sets).filter_map(|place| cache.made(place));
    sets.fold((0, 0), |(len, weight), set| {
        let set = read(set);
        (
            len + set.len() as u64,
            weight + set.iter().map(|slot| slot.weight).sum::<u64>(),
        )
    })
}

fn is_counted_right<V: Clone>(cache: &Cache<V>) -> bool {
    let counts = (cache.len(), cache.weight.load(Ordering::Relaxed));
    counted(cache) == counts && counts.1 <= cache.capacity
}

#[test]
fn the_oldest_go_and_what_is_asked_for_stays() {
    let cache = Cache::new(1000);
    for number in 0..10_000 {
        cache.remember(&format!("token {number}"), number, LONG);
        // One that was asked for within the last quarter of what there is room for.
        let hot = number - number % 200;
        assert_eq!(cache.get(format!("token {hot}").as_bytes()), Some(hot), "at {number}");
    }
    assert!(is_counted_right(&cache));
    assert!((900..=1000).contains(&cache.len()), "{}", cache.len());
    let kept = (9_500..10_000).filter(|number| cache.get(format!("token {number}").as_bytes()) == Some(*number));
    assert!(kept.count() >= 450);
    assert!((0..5_000).all(|number| number % 200 == 0 || cache.get(format!("token {number}").as_bytes()).is_none()));
}

#[test]
fn as_many_as_there_is_room_for_are_remembered() {
    let cache = Cache::new(10_000);
    for number in 0..10_000 {
        cache.remember(&format!("token {number}"), number, LONG);
    }
    let kept = (0..10_000).filter(|number| cache.get(format!("token {number}").as_bytes()) == Some(*number));
    // Only a set that would have more than its sixteen has lost some.
    assert!(kept.count() >= 9_990, "{}", cache.len());
}

#[test]
fn with_room_for_nothing_nothing_is_remembered() {
    let cache = Cache::new(0);
    cache.remember("token", 1, LONG);
    assert_eq!((cache.get(b"token"), cache.len()), (None, 0));
    let cache = Cache::new(1);
    for (number, text) in ["one", "other"].into_iter().enumerate() {
        cache.remember(text, number, LONG);
        assert_eq!((cache.get(text.as_bytes()), cache.len()), (Some(number), 1));
    }
    // It would count as two.
    cache.remember(&"x".repeat(UNIT_BYTES + 1), 2, LONG);
    assert!(cache.len() <= 1 && is_counted_right(&cache));
}

#[test]
fn what_has_expired_goes_when_others_come_though_there_is_room() {
    let cache = Cache::new(1000);
    for number in 0..100 {
        cache.remember(&format!("old {number}"), number, Duration::ZERO);
    }
    for number in 0..cache.sets {
        cache.remember(&format!("new {number}"), number, LONG);
    }
    assert!((0..100).all(|number| cache.get(format!("old {number}").as_bytes()).is_none()));
    assert!(is_counted_right(&cache));
}

#[test]
fn of_threads_that_remember_and_ask_at_once_nothing_is_counted_wrong() {
    let cache = Cache::new(300);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                for number in 0..20_000 {
                    let number = (number * 7 + thread) % 900;
                    let text = format!("token {number} {}", "y".repeat(number % 3 * UNIT_BYTES));
                    match cache.get(text.as_bytes()) {
                        Some(value) => assert_eq!(value, number),
                        None => cache.remember(&text, number, Duration::from_millis(number as u64 % 9)),
                    }
                    assert!(cache.weight.load(Ordering::Relaxed) <= 300);
                }
            });
        }
    });
    assert!(is_counted_right(&cache));
}

proptest! {
    /// Texts of equal length, with the same beginning, middle or end: many are found in the same set by the same hash.
    #[test]
    fn a_text_never_stands_for_what_was_remembered_of_another(
        steps in proptest::collection::vec((0_usize..4, 0_usize..4, 0_usize..4, any::<bool>()), 1..200),
        capacity in 1_u64..60,
    ) {
        let cache = Cache::new(capacity);
        let mut remembered: HashMap<String, usize> = HashMap::new();
        for (number, (begin, middle, end, asks)) in steps.into_iter().enumerate() {
            let part = |which: usize| ["a", "b", "c", "d"][which].repeat(TAIL);
            let text = format!("{}{}{}", part(begin), part(middle), part(end));
            if asks {
                let found = cache.get(text.as_bytes());
                prop_assert!(found.is_none() || found == remembered.get(&text).copied());
            } else {
                cache.remember(&text, number, LONG);
                prop_assert_eq!(cache.get(text.as_bytes()), Some(number));
                remembered.insert(text, number);
            }
            prop_assert!(is_counted_right(&cache));
        }
    }
}
