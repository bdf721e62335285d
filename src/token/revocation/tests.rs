//! The blocklist against a store that a test plays.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::watch;

use super::poll::{Feed, Pace};
use super::*;
use crate::store::{Blocked, Revoked, StoreError};
use crate::time::Clock;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn config(on_stale: OnStale) -> config::Revocation {
    config::Revocation {
        poll_interval: SECOND / 2,
        overlap: 30 * SECOND,
        full_reread: 60 * SECOND,
        max_staleness: 10 * SECOND,
        on_stale,
    }
}

fn blocklist() -> Blocklist {
    Blocklist::new(&config(OnStale::Refuse))
}

/// A table of revocations, of which a test decides what is visible.
#[derive(Default)]
struct Table {
    rows: Mutex<BTreeMap<i64, Revocation>>,
    down: AtomicU64,
    queries: Mutex<Vec<i64>>,
}

impl Table {
    /// Makes a row visible, and returns the token that it blocks.
    fn commit(&self, seq: i64) -> TokenId {
        let token = TokenId::generate(NOW);
        let revocation = Revocation {
            target: Revoked::Token(token),
            expires_at: NOW + 900 * SECOND,
        };
        self.rows.lock().unwrap().insert(seq, revocation);
        token
    }
}

impl Feed for Table {
    async fn blocked_after(&self, seq: i64, limit: u32) -> Result<Vec<Blocked>, StoreError> {
        self.queries.lock().unwrap().push(seq);
        if self.down.load(Ordering::Relaxed) > 0 {
            return Err(StoreError::Timeout(SECOND));
        }
        let rows = self.rows.lock().unwrap();
        let after = rows.range(seq + 1..).take(limit as usize);
        Ok(after
            .map(|(seq, revocation)| Blocked {
                seq: *seq,
                revocation: *revocation,
            })
            .collect())
    }
}

fn session() -> SessionId {
    SessionId::generate(NOW)
}

#[test]
fn what_was_applied_here_is_refused_at_once_even_before_the_first_load() {
    let blocklist = blocklist();
    let token = TokenId::generate(NOW);
    blocklist.apply(
        &[Revocation {
            target: Revoked::Token(token),
            expires_at: NOW + SECOND,
        }],
        NOW,
    );
    assert_eq!(blocklist.standing(token, session(), 1), Standing::Revoked);
}

#[test]
fn nothing_is_known_before_the_first_load_whatever_the_operator_prefers() {
    for on_stale in [OnStale::Refuse, OnStale::Allow] {
        let blocklist = Blocklist::new(&config(on_stale));
        assert_eq!(blocklist.status(), Freshness::NeverLoaded);
        assert_eq!(
            blocklist.standing(TokenId::generate(NOW), session(), 1),
            Standing::Unknown
        );
    }
}

#[tokio::test]
async fn a_restart_loads_all_that_was_revoked_before_it_page_by_page() {
    let table = Table::default();
    let tokens: Vec<TokenId> = (1..=12_000).map(|seq| table.commit(seq)).collect();
    let blocklist = blocklist();
    assert_eq!(blocklist.read_all(&table, NOW, Pace::Full).await.unwrap(), 12_000);
    assert!(tokens.iter().all(|token| blocklist.is_revoked(*token, session(), 1)));
    assert_eq!(*table.queries.lock().unwrap(), [0, 5_000, 10_000]);
    assert!(matches!(blocklist.status(), Freshness::Fresh { .. }));
}

#[tokio::test]
async fn a_session_that_ended_is_refused_in_every_generation() {
    let blocklist = blocklist();
    let (table, ended) = (Table::default(), session());
    let target = Revoked::Session {
        id: ended,
        up_to: u32::MAX,
    };
    table.rows.lock().unwrap().insert(
        1,
        Revocation {
            target,
            expires_at: NOW + SECOND,
        },
    );
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    assert_eq!(blocklist.standing(TokenId::generate(NOW), ended, 1), Standing::Revoked);
    assert_eq!(
        blocklist.standing(TokenId::generate(NOW), ended, u32::MAX),
        Standing::Revoked
    );
    assert_eq!(blocklist.standing(TokenId::generate(NOW), session(), 1), Standing::Live);
}

#[tokio::test]
async fn a_poll_sees_a_row_that_became_visible_after_a_later_one() {
    let (table, blocklist) = (Table::default(), blocklist());
    table.commit(100_000);
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    table.commit(100_007);
    blocklist.read_new(&table, NOW).await.unwrap();
    let late = table.commit(100_003);
    let later_still = table.commit(99_998);
    blocklist.read_new(&table, NOW).await.unwrap();
    assert!(blocklist.is_revoked(late, session(), 1) && blocklist.is_revoked(later_still, session(), 1));
}

#[tokio::test]
async fn a_poll_asks_for_what_it_has_not_seen_and_for_nothing_else() {
    let (table, blocklist) = (Table::default(), blocklist());
    for seq in 1..=12_000 {
        table.commit(seq);
    }
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    assert_eq!(blocklist.read_new(&table, NOW).await.unwrap(), 0);
    table.commit(12_001);
    table.commit(12_003);
    assert_eq!(blocklist.read_new(&table, NOW).await.unwrap(), 2);
    table.queries.lock().unwrap().clear();
    let late = table.commit(12_002);
    assert_eq!(blocklist.read_new(&table, NOW).await.unwrap(), 1);
    assert_eq!(*table.queries.lock().unwrap(), [12_001, 12_003]);
    assert!(blocklist.is_revoked(late, session(), 1));
    table.queries.lock().unwrap().clear();
    blocklist.read_new(&table, NOW).await.unwrap();
    assert_eq!(*table.queries.lock().unwrap(), [12_003]);
}

#[tokio::test]
async fn after_a_poll_that_failed_all_within_the_overlap_is_read_again() {
    let (table, blocklist) = (Table::default(), blocklist());
    for seq in 1..=20 {
        table.commit(seq);
    }
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    // The server lost its last row in a crash, and gave its number to another one when it was back.
    table.down.store(1, Ordering::Relaxed);
    let other = table.commit(20);
    assert!(blocklist.record(blocklist.read_new(&table, NOW).await, "poll").is_err());
    table.down.store(0, Ordering::Relaxed);
    blocklist.read_new(&table, NOW).await.unwrap();
    assert!(blocklist.is_revoked(other, session(), 1));
}

#[tokio::test]
async fn a_full_re_read_finds_what_no_poll_could_see() {
    let (table, blocklist) = (Table::default(), blocklist());
    table.commit(100_000);
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    let ancient = table.commit(1);
    blocklist.read_new(&table, NOW).await.unwrap();
    assert!(!blocklist.is_revoked(ancient, session(), 1));
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    assert!(blocklist.is_revoked(ancient, session(), 1));
}

#[tokio::test]
async fn a_database_that_was_made_anew_is_followed_after_a_full_re_read() {
    let (table, blocklist) = (Table::default(), blocklist());
    let old = table.commit(100_000);
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    table.rows.lock().unwrap().clear();
    table.commit(1);
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    let new = table.commit(2);
    blocklist.read_new(&table, NOW).await.unwrap();
    assert!(blocklist.is_revoked(new, session(), 1));
    assert!(
        blocklist.is_revoked(old, session(), 1),
        "what was known is not forgotten"
    );
}

#[tokio::test]
async fn a_poll_that_fails_half_way_reads_the_rest_the_next_time() {
    let (table, blocklist) = (Table::default(), blocklist());
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    table.down.store(1, Ordering::Relaxed);
    let token = table.commit(1);
    assert!(blocklist.record(blocklist.read_new(&table, NOW).await, "poll").is_err());
    assert_eq!((blocklist.failures(), blocklist.last_error().is_some()), (1, true));
    table.down.store(0, Ordering::Relaxed);
    assert!(blocklist.record(blocklist.read_new(&table, NOW).await, "poll").is_ok());
    assert_eq!((blocklist.failures(), blocklist.last_error()), (1, None));
    assert!(blocklist.is_revoked(token, session(), 1));
}

#[tokio::test]
async fn when_polls_have_failed_for_too_long_nothing_is_taken_for_live() {
    for (on_stale, expected) in [(OnStale::Refuse, Standing::Unknown), (OnStale::Allow, Standing::Live)] {
        let (table, blocklist) = (Table::default(), Blocklist::new(&config(on_stale)));
        blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
        let loaded = time::monotonic();
        assert_eq!(blocklist.standing_unless_revoked(loaded + 9 * SECOND), Standing::Live);
        assert!(matches!(
            blocklist.status_at(loaded + 11 * SECOND),
            Freshness::Stale { .. }
        ));
        assert_eq!(blocklist.standing_unless_revoked(loaded + 11 * SECOND), expected);
    }
}

#[tokio::test]
async fn a_failed_poll_does_not_make_the_list_fresh_and_a_good_one_does() {
    let (table, blocklist) = (Table::default(), blocklist());
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    blocklist.confirmed.store(0, Ordering::Relaxed);
    let age = |blocklist: &Blocklist| match blocklist.status_at(blocklist.started + 3600 * SECOND) {
        Freshness::Fresh { age } | Freshness::Stale { age } => age,
        Freshness::NeverLoaded => Duration::MAX,
    };
    table.down.store(1, Ordering::Relaxed);
    assert!(blocklist.read_new(&table, NOW).await.is_err());
    assert_eq!(age(&blocklist), 3600 * SECOND);
    table.down.store(0, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(2));
    blocklist.read_new(&table, NOW).await.unwrap();
    assert!(age(&blocklist) < 3600 * SECOND);
}

#[tokio::test]
async fn a_poll_of_a_list_that_was_never_loaded_reads_everything() {
    let (table, blocklist) = (Table::default(), blocklist());
    let ancient = table.commit(1);
    table.commit(100_000);
    blocklist.read_new(&table, NOW).await.unwrap();
    assert!(blocklist.is_revoked(ancient, session(), 1));
    assert!(matches!(blocklist.status(), Freshness::Fresh { .. }));
}

#[tokio::test]
async fn a_failed_load_leaves_the_list_unloaded() {
    let (table, blocklist) = (Table::default(), blocklist());
    table.down.store(1, Ordering::Relaxed);
    assert!(blocklist.read_all(&table, NOW, Pace::Full).await.is_err());
    assert_eq!(blocklist.status(), Freshness::NeverLoaded);
}

#[tokio::test]
async fn the_length_is_exact_after_a_poll() {
    let (table, blocklist) = (Table::default(), blocklist());
    assert!(blocklist.is_empty());
    for seq in 1..=3 {
        table.commit(seq);
    }
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    assert_eq!(blocklist.len(), 3);
    assert!(!blocklist.is_empty());
}

/// Waits for a condition, with a deadline.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = time::monotonic() + 10 * SECOND;
    while !condition() {
        assert!(time::monotonic() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_running_blocklist_follows_the_store_through_an_outage_until_it_is_told_to_stop() {
    let config = config::Revocation {
        poll_interval: Duration::from_millis(5),
        full_reread: Duration::from_millis(50),
        ..config(OnStale::Refuse)
    };
    let (table, blocklist, clock) = (Table::default(), Blocklist::new(&config), Clock::system());
    let (stopper, stop) = watch::channel(false);
    let old = table.commit(100_000);
    let scenario = async {
        until("the first load", || blocklist.is_revoked(old, session(), 1)).await;
        assert!(matches!(blocklist.status(), Freshness::Fresh { .. }));

        let new = table.commit(100_001);
        until("a poll", || blocklist.is_revoked(new, session(), 1)).await;
        until("an exact length", || blocklist.len() == 2).await;

        table.down.store(1, Ordering::Relaxed);
        until("a failed poll", || blocklist.last_error().is_some()).await;
        let unseen = table.commit(1);
        table.down.store(0, Ordering::Relaxed);
        until("a full re-read", || blocklist.is_revoked(unseen, session(), 1)).await;
        until("a good poll", || blocklist.last_error().is_none()).await;
        assert!(blocklist.failures() > 0);
        stopper.send(true).unwrap();
    };
    tokio::join!(blocklist.follow(&table, &clock, stop), scenario);
}

#[tokio::test]
async fn what_was_in_flight_at_the_load_is_looked_for_one_overlap_later() {
    let config = config::Revocation {
        overlap: Duration::from_millis(20),
        full_reread: Duration::from_hours(1),
        ..config(OnStale::Refuse)
    };
    let (table, blocklist) = (Table::default(), Blocklist::new(&config));
    table.commit(100_000);
    blocklist.read_all(&table, NOW, Pace::Full).await.unwrap();
    let far_below = table.commit(1);
    let ((stopper, stop), clock) = (watch::channel(false), Clock::system());
    let scenario = async {
        until("a full re-read", || blocklist.is_revoked(far_below, session(), 1)).await;
        stopper.send(true).unwrap();
    };
    tokio::join!(blocklist.follow(&table, &clock, stop), scenario);
}

#[tokio::test]
async fn a_running_blocklist_stops_when_nobody_can_tell_it_to() {
    let (table, blocklist) = (Table::default(), blocklist());
    let (stopper, stop) = watch::channel(false);
    drop(stopper);
    blocklist.follow(&table, &Clock::system(), stop).await;
}
