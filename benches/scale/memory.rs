//! What revocations cost in memory, and a lookup among them in time.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use doorward::config::{self, OnStale};
use doorward::id::{SessionId, TokenId};
use doorward::store::{Revocation, Revoked};
use doorward::time::{Clock, Timestamp, monotonic};
use doorward::token::Blocklist;

use crate::usage::{percentile, resident_bytes};

pub(crate) fn config() -> config::Revocation {
    config::Revocation {
        poll_interval: Duration::from_millis(500),
        overlap: Duration::from_secs(30),
        full_reread: Duration::from_mins(1),
        max_staleness: Duration::from_secs(10),
        on_stale: OnStale::Refuse,
    }
}

pub(crate) fn revocation(now: Timestamp) -> Revocation {
    Revocation {
        target: Revoked::Session {
            id: SessionId::generate(now),
            up_to: u32::MAX,
        },
        expires_at: now + Duration::from_hours(24),
    }
}

fn apply(blocklist: &Blocklist, many: usize, now: Timestamp) {
    for _ in 0..many {
        blocklist.apply(&[revocation(now)], now);
    }
}

/// Growth of the process by so many revocations.
pub(crate) fn memory(many: usize) {
    let now = Clock::system().now();
    let blocklist = Blocklist::new(&config());
    apply(&blocklist, 1, now);
    let before = resident_bytes();
    apply(&blocklist, many, now);
    let grown = resident_bytes() - before;
    println!(
        "memory: {many} revocations take {grown} bytes, {} each",
        grown / many as u64
    );
    assert_eq!(blocklist.len(), many as u64 + 1);
}

/// How many lookups are timed together: one alone is shorter than it takes to read the clock.
const BLOCK: u32 = 50;

/// Lookups among so many revocations, alone and while another thread writes as a poll does.
pub(crate) fn lookup(many: usize) {
    let now = Clock::system().now();
    let blocklist = Blocklist::new(&config());
    let known: Vec<Revocation> = (0..many).map(|_| revocation(now)).collect();
    blocklist.apply(&known, now);
    let sessions = known.iter().map(|known| SessionId::from_bytes(*known.target.value()));
    let hits: Vec<SessionId> = scattered(&sessions.collect::<Vec<_>>());
    let misses: Vec<SessionId> = hits.iter().map(|_| SessionId::generate(now)).collect();
    let token = TokenId::generate(now);
    for writing in [false, true] {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            if writing {
                // Rows that it knows, and new ones: as many as a poll brings, without a pause.
                scope.spawn(|| {
                    for page in known.chunks(5_000).cycle() {
                        blocklist.apply(page, now);
                        apply(&blocklist, 500, now);
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                });
            }
            for (what, sessions) in [("miss", &misses), ("hit", &hits)] {
                let mut took: Vec<u128> = sessions
                    .chunks_exact(BLOCK as usize)
                    .map(|block| {
                        let since = monotonic();
                        for session in block {
                            black_box(blocklist.is_revoked(token, *session, 1));
                        }
                        since.elapsed().as_nanos() / u128::from(BLOCK)
                    })
                    .collect();
                took.sort_unstable();
                let (p50, p99) = (percentile(&took, 50), percentile(&took, 99));
                println!(
                    "lookup: {what} among {many}, {}: p50 {p50} ns, p99 {p99} ns",
                    if writing { "with a writer" } else { "no writer" }
                );
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

/// A quarter of a million of them, in an order that no cache foresees.
fn scattered(all: &[SessionId]) -> Vec<SessionId> {
    let mut at = 0;
    let next = |_| {
        // A prime step visits all of them.
        at = (at + 611_953) % all.len();
        all[at]
    };
    (0..250_000).map(next).collect()
}
