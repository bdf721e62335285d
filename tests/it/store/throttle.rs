//! What has been tried: counted once, whatever comes at once and wherever it comes.

use std::net::IpAddr;
use std::time::Duration;

use doorward::rules::gcra::Quota;
use doorward::rules::throttle::{Delays, Kind, Rule};
use doorward::store::{AccountDigest, Attempt, Counter, CounterId, Taken, Throttled};
use doorward::time::Timestamp;

use super::{Db, NOW, later, on_both};

on_both!(
    of_many_attempts_at_once_on_two_replicas_no_more_pass_than_may,
    an_attempt_that_has_to_wait_counts_for_nothing,
    what_is_given_back_leaves_no_row,
    an_address_that_was_logged_in_from_counts_alone,
    where_there_is_no_room_newcomers_share,
    what_is_forgotten_is_removed,
    lifting_forgets_the_failures_at_one_account,
);

const DELAYS: Delays = Delays {
    free: 3,
    first: Duration::from_secs(1),
    most: Duration::from_mins(15),
    forget: Duration::from_hours(1),
};

fn account(name: &str) -> AccountDigest {
    AccountDigest::of(format!("{name}@example.com").parse().ok().as_ref())
}

fn quota(burst: u32) -> Rule {
    Rule::Quota(Quota::new(burst, Duration::from_hours(1), burst).unwrap())
}

/// A login to this account from there, counted by account and network, and by the address.
fn attempt(name: &str, from: &str) -> Attempt {
    let from: IpAddr = from.parse().unwrap();
    let account = account(name);
    Attempt {
        known: Some((CounterId::account_at_address(account, from), DELAYS)),
        counters: vec![
            Counter {
                kind: Kind::AccountFromNetwork,
                id: CounterId::account_from_network(account, from),
                rule: Rule::Delays(DELAYS),
            },
            Counter {
                kind: Kind::Address,
                id: CounterId::address(from),
                rule: quota(7),
            },
        ],
        crowded: false,
    }
}

async fn take(db: &Db, attempt: &Attempt, now: Timestamp) -> Result<Taken, Throttled> {
    db.store.take_attempt(attempt, now).await.unwrap()
}

async fn succeed(db: &Db, attempt: &Attempt, now: Timestamp) {
    let taken = take(db, attempt, now).await.unwrap();
    let address = attempt.known.map(|(id, _)| (id, now + Duration::from_hours(24)));
    let done = db.store.attempt_succeeded(&taken, address, now).await;
    done.unwrap();
}

async fn of_many_attempts_at_once_on_two_replicas_no_more_pass_than_may(db: &Db) {
    let stores = [db.replica().await, db.replica().await];
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..120 {
        let store = stores[index % 2].clone();
        tasks.spawn(async move { store.take_attempt(&attempt("ann", "192.0.2.1"), NOW).await.unwrap() });
    }
    let passed = tasks.join_all().await.iter().filter(|taken| taken.is_ok()).count();
    assert_eq!(passed, 3);
}

async fn an_attempt_that_has_to_wait_counts_for_nothing(db: &Db) {
    let ann = attempt("ann", "192.0.2.1");
    for _ in 0..3 {
        take(db, &ann, NOW).await.unwrap();
    }
    for _ in 0..5 {
        let throttled = take(db, &ann, NOW).await.unwrap_err();
        assert_eq!(throttled.kind, Kind::AccountFromNetwork);
        assert_eq!(throttled.wait, Duration::from_secs(1));
    }
    take(db, &ann, later(1)).await.unwrap();
    assert_eq!(take(db, &ann, later(1)).await.unwrap_err().wait, Duration::from_secs(2));
    // Four of seven are used up, and other accounts find the rest.
    for _ in 0..3 {
        take(db, &attempt("bob", "192.0.2.1"), later(1)).await.unwrap();
    }
    let throttled = take(db, &attempt("eve", "192.0.2.1"), later(1)).await.unwrap_err();
    assert_eq!(throttled.kind, Kind::Address);
    take(db, &attempt("eve", "192.0.2.2"), later(1)).await.unwrap();
}

async fn what_is_given_back_leaves_no_row(db: &Db) {
    let ann = attempt("ann", "192.0.2.1");
    for _ in 0..20 {
        let taken = take(db, &ann, NOW).await.unwrap();
        assert_eq!(db.store.count_throttles().await.unwrap(), 2);
        db.store.give_back(&taken, NOW).await.unwrap();
        assert_eq!(db.store.count_throttles().await.unwrap(), 0);
    }
    // One of two is one.
    let (first, second) = (take(db, &ann, NOW).await.unwrap(), take(db, &ann, NOW).await.unwrap());
    db.store.give_back(&first, NOW).await.unwrap();
    db.store.lift_throttles(account("ann")).await.unwrap();
    db.store.give_back(&second, NOW).await.unwrap();
    assert_eq!(db.store.count_throttles().await.unwrap(), 0);
}

async fn an_address_that_was_logged_in_from_counts_alone(db: &Db) {
    let (home, elsewhere) = (attempt("ann", "192.0.2.1"), attempt("ann", "192.0.2.2"));
    succeed(db, &home, NOW).await;
    assert_eq!(db.store.count_throttles().await.unwrap(), 0);
    assert_eq!(
        db.store.tried(account("ann")).await.unwrap().len(),
        1,
        "the address is known"
    );
    // Somebody in the same network uses up what there is for it, and what there is for the address.
    for _ in 0..3 {
        take(db, &elsewhere, NOW).await.unwrap();
    }
    take(db, &elsewhere, NOW).await.unwrap_err();
    for index in 0..7 {
        take(db, &attempt(&format!("user{index}"), "192.0.2.1"), NOW)
            .await
            .unwrap();
    }
    take(db, &attempt("bob", "192.0.2.1"), NOW).await.unwrap_err();
    for _ in 0..10 {
        succeed(db, &home, NOW).await;
    }
    for _ in 0..3 {
        let taken = take(db, &home, NOW).await.unwrap();
        assert!(taken.is_from_known_address());
    }
    let throttled = take(db, &home, NOW).await.unwrap_err();
    assert_eq!((throttled.kind, throttled.wait.as_secs()), (Kind::KnownAddress, 1));
    let taken = take(db, &home, later(1)).await.unwrap();
    assert_eq!(take(db, &home, later(1)).await.unwrap_err().wait.as_secs(), 2);
    // What was not judged is given back.
    db.store.give_back(&taken, later(1)).await.unwrap();
    take(db, &home, later(2)).await.unwrap();
    // It is known for a day.
    let after = later(24 * 3600 + 1);
    assert!(!take(db, &home, after).await.unwrap().is_from_known_address());
}

async fn where_there_is_no_room_newcomers_share(db: &Db) {
    let home = attempt("ann", "192.0.2.1");
    succeed(db, &home, NOW).await;
    let before = db.store.count_throttles().await.unwrap();
    let mut passed = 0;
    for index in 0..300 {
        let from = IpAddr::from((0x0a00_0000_u32 + (index << 8)).to_be_bytes());
        let mut attempt = attempt(&format!("user{index}"), &from.to_string());
        attempt.crowded = true;
        if db.store.take_attempt(&attempt, NOW).await.unwrap().is_ok() {
            passed += 1;
        }
    }
    let rows = db.store.count_throttles().await.unwrap() - before;
    assert!(rows <= 2 * 16, "{rows}");
    assert!((3..=16 * 3).contains(&passed), "{passed}");
    let mut crowded = home.clone();
    crowded.crowded = true;
    succeed(db, &crowded, NOW).await;
    assert_eq!(db.store.tried(account("ann")).await.unwrap().len(), 1);
}

async fn what_is_forgotten_is_removed(db: &Db) {
    for index in 0..25 {
        take(db, &attempt(&format!("user{index}"), "192.0.2.1"), NOW).await.ok();
    }
    succeed(db, &attempt("ann", "198.51.100.1"), NOW).await;
    // Seven passed, by their accounts and all by one address.
    assert_eq!(db.store.count_throttles().await.unwrap(), 7 + 1);
    assert_eq!(db.store.cleanup(later(3599), 3).await.unwrap().throttles, 0);
    assert_eq!(db.store.cleanup(later(3601), 3).await.unwrap().throttles, 8);
    assert_eq!(db.store.count_throttles().await.unwrap(), 0);
    assert_eq!(
        db.store.tried(account("ann")).await.unwrap().len(),
        1,
        "who logged in is known"
    );
    assert_eq!(db.store.cleanup(later(25 * 3600), 3).await.unwrap().throttles, 1);
}

async fn lifting_forgets_the_failures_at_one_account(db: &Db) {
    let (ann, bob) = (attempt("ann", "192.0.2.1"), attempt("bob", "198.51.100.1"));
    let home = attempt("ann", "203.0.113.1");
    succeed(db, &home, NOW).await;
    for attempt in [&ann, &bob, &home] {
        for _ in 0..3 {
            take(db, attempt, NOW).await.unwrap();
        }
        take(db, attempt, NOW).await.unwrap_err();
    }
    let tried = db.store.tried(account("ann")).await.unwrap();
    let mut kinds: Vec<_> = tried
        .iter()
        .map(|tried| (tried.kind.as_str(), tried.count.strikes))
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [("account_from_network", 3), ("known_address", 3)]);
    assert_eq!(db.store.lift_throttles(account("ann")).await.unwrap(), 2);
    assert_eq!(db.store.lift_throttles(account("ann")).await.unwrap(), 0);
    take(db, &ann, NOW).await.unwrap();
    assert!(take(db, &home, NOW).await.unwrap().is_from_known_address());
    take(db, &bob, NOW).await.unwrap_err();
}
