use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_ms(1_795_361_760_123);

const USUAL: Delays = Delays {
    free: 5,
    first: Duration::from_secs(1),
    most: Duration::from_mins(15),
    forget: Duration::from_hours(1),
};

fn at(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

#[test]
fn delays_double_up_to_the_longest() {
    let seconds: Vec<u64> = (4..20).map(|strikes| USUAL.after(strikes).as_secs()).collect();
    assert_eq!(
        seconds,
        [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]
    );
    assert_eq!(USUAL.after(u32::MAX), USUAL.most);
}

#[test]
fn gateways_whose_clocks_differ_do_not_forget_what_the_others_counted() {
    let rule = Rule::Quota(Quota::new(100, Duration::from_hours(1), 10).unwrap());
    for skew in [1, 7, 40, 60] {
        let (mut count, mut passed) = (Count::default(), 0);
        // In turns, as fast as they can: at one gateway, and at one whose clock is ahead.
        for now in [at(skew), NOW].into_iter().cycle().take(2000) {
            if let Ok(next) = rule.take(count, now) {
                (count, passed) = (next, passed + 1);
            }
        }
        // Ten at once, and what the rate adds in the time between the clocks.
        assert!((10..=10 + skew / 36 + 1).contains(&passed), "{skew} s: {passed}");
    }
    // A clock that was wrong by more is no debt.
    let far = rule.take(Count::default(), at(86_400)).unwrap();
    assert!(rule.take(far, NOW).is_ok());
}

#[test]
fn five_are_free_and_then_each_waits() {
    let rule = Rule::Delays(USUAL);
    let mut count = Count::default();
    for _ in 0..5 {
        count = rule.take(count, NOW).unwrap();
    }
    assert_eq!(rule.take(count, NOW), Err(Duration::from_secs(1)));
    let count = rule.take(count, at(1)).unwrap();
    assert_eq!(rule.take(count, at(1)), Err(Duration::from_secs(2)));
    assert_eq!(rule.take(count, at(2)), Err(Duration::from_secs(1)));
    let late = rule.take(count, at(3601)).unwrap();
    assert_eq!(late.strikes, 1, "a quiet hour forgets");
}

#[test]
fn what_is_given_back_leaves_what_was() {
    let rule = Rule::Delays(USUAL);
    let one = rule.take(Count::default(), NOW).unwrap();
    assert_eq!(rule.give_back(one, NOW), None);
    let two = rule.take(one, NOW).unwrap();
    assert_eq!(rule.give_back(two, NOW), Some(one));

    let rule = Rule::Quota(Quota::new(2, Duration::from_secs(2), 2).unwrap());
    let one = rule.take(Count::default(), NOW).unwrap();
    let two = rule.take(one, NOW).unwrap();
    assert_eq!(rule.take(two, NOW), Err(Duration::from_secs(1)));
    assert_eq!(rule.give_back(two, NOW), Some(one));
    assert_eq!(rule.give_back(one, NOW), None);
}

#[test]
fn a_clock_that_was_wrong_locks_nobody_out() {
    for rule in [
        Rule::Delays(USUAL),
        Rule::Quota(Quota::new(1, Duration::from_secs(1), 1).unwrap()),
    ] {
        let mut count = Count::default();
        for _ in 0..20 {
            count = rule.take(count, at(40_000_000)).unwrap_or(count);
        }
        assert!(rule.take(count, NOW).is_ok() || rule.take(count, NOW).unwrap_err() <= Duration::from_secs(1));
    }
}

/// The rule again, by going through all attempts that were taken: how long one at `now` has to wait, all in milliseconds.
fn naive(delays: Delays, taken: &[u64], now: u64) -> Option<u64> {
    let (mut strikes, mut last) = (0, None);
    let forgotten =
        |last: Option<u64>, moment: u64| last.is_none_or(|last| u128::from(moment - last) >= delays.forget.as_millis());
    for moment in taken {
        if forgotten(last, *moment) {
            strikes = 0;
        }
        strikes += 1;
        last = Some(*moment);
    }
    if forgotten(last, now) || strikes < delays.free {
        return None;
    }
    let mut wait = delays.first;
    for _ in 0..strikes - delays.free {
        wait = (wait * 2).min(delays.most);
    }
    let until = last? + u64::try_from(wait.as_millis()).unwrap();
    (until > now).then(|| until - now)
}

fn delays() -> impl Strategy<Value = Delays> {
    (1_u32..5, 1_u64..50, 1_u64..20, 1_u64..5).prop_map(|(free, first, most, forget)| Delays {
        free,
        first: Duration::from_millis(first),
        most: Duration::from_millis(first * most),
        forget: Duration::from_millis(first * most * forget),
    })
}

proptest! {
    #[test]
    fn delays_are_those_of_the_naive_rule(delays in delays(), steps in prop::collection::vec(0_u64..400, 1..60)) {
        let (mut count, mut now, mut taken) = (Count::default(), 0, Vec::new());
        for step in steps {
            now += step;
            let expected = naive(delays, &taken, now);
            let moment = NOW + Duration::from_millis(now);
            match Rule::Delays(delays).take(count, moment) {
                Ok(next) => {
                    prop_assert_eq!(expected, None);
                    count = next;
                    taken.push(now);
                }
                Err(wait) => {
                    prop_assert_eq!(Some(wait), expected.map(Duration::from_millis));
                    prop_assert!(wait <= delays.most);
                    // Whoever waits that long gets in.
                    prop_assert!(Rule::Delays(delays).take(count, moment + wait).is_ok());
                }
            }
        }
    }

    #[test]
    fn who_gives_everything_back_is_never_refused_and_leaves_nothing(
        quota in (1_u32..50, 1_u64..100, 1_u32..20),
        steps in prop::collection::vec(0_u64..100, 1..60),
    ) {
        let quota = Quota::new(quota.0, Duration::from_secs(quota.1), quota.2).unwrap();
        for rule in [Rule::Quota(quota), Rule::Delays(USUAL)] {
            let (mut count, mut now) = (None, NOW);
            for step in &steps {
                now = now + Duration::from_millis(*step);
                let taken = rule.take(count.unwrap_or_default(), now);
                prop_assert!(taken.is_ok());
                count = rule.give_back(taken.unwrap(), now);
                prop_assert_eq!(count, None);
            }
        }
    }

    #[test]
    fn what_is_forgotten_says_nothing(delays in delays(), strikes in 1_u32..40) {
        let rule = Rule::Delays(delays);
        let count = Count { strikes, moment: NOW.unix_ms() * 1_000_000 };
        let fresh = rule.take(Count::default(), rule.forgotten_at(count)).unwrap();
        prop_assert_eq!(rule.take(count, rule.forgotten_at(count)), Ok(fresh));
    }
}
