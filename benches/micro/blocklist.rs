//! Whether a token was revoked: among nothing, and among a million revocations.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use doorward::id::{SessionId, TokenId};
use doorward::store::{Revocation, Revoked};
use doorward::time::{Clock, Timestamp};
use doorward::token::{Blocklist, Standing};
use tokio::runtime::Runtime;

use crate::state;

const MANY: usize = 1_000_000;

/// How many sessions are asked about in turn: too many for a processor to have all their places at hand.
const ASKED: usize = 1 << 16;

pub(crate) fn bench(criterion: &mut Criterion, runtime: &Runtime) {
    let now = Clock::system().now();
    let list = runtime.block_on(loaded(now));
    let mut group = criterion.benchmark_group("blocklist");
    let strangers: Vec<SessionId> = (0..ASKED).map(|_| SessionId::generate(now)).collect();
    measure(&mut group, &list, ("miss", 0), &strangers, Standing::Live);

    let sessions: Vec<SessionId> = (0..MANY).map(|_| SessionId::generate(now)).collect();
    let ended = sessions.iter().map(|session| Revocation {
        target: Revoked::Session {
            id: *session,
            up_to: u32::MAX,
        },
        expires_at: now + Duration::from_hours(24),
    });
    list.apply(&ended.collect::<Vec<_>>(), now);
    // A prime step: neighbours in this order are none in time.
    let revoked: Vec<SessionId> = (1..=ASKED).map(|turn| sessions[turn * 611_953 % MANY]).collect();
    measure(&mut group, &list, ("miss", MANY), &strangers, Standing::Live);
    measure(&mut group, &list, ("hit", MANY), &revoked, Standing::Revoked);
    group.finish();
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    list: &Blocklist,
    (what, among): (&str, usize),
    sessions: &[SessionId],
    standing: Standing,
) {
    let token = TokenId::generate(Clock::system().now());
    assert_eq!(list.len(), among as u64);
    assert!(
        sessions
            .iter()
            .all(|session| list.standing(token, *session, 1) == standing)
    );
    let mut turn = 0;
    group.bench_function(BenchmarkId::new(what, among), |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % ASKED;
            list.standing(black_box(token), black_box(sessions[turn]), black_box(1))
        });
    });
}

async fn loaded(now: Timestamp) -> Blocklist {
    let dir = tempfile::tempdir().expect("a folder");
    let store = state::store(dir.path(), now).await;
    let list = state::blocklist(&store, now).await;
    store.close().await;
    list
}
