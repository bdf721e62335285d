//! Work whose panic ends nothing else.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::sleep;

use crate::time::monotonic;

/// How long after a panic the work begins again.
pub const REST: Duration = Duration::from_secs(1);

/// How long it rests at the most, where it panics again and again. Work that went on for as long begins with [`REST`] anew.
const LONGEST: Duration = Duration::from_mins(1);

/// Does work, by this name, until it ends by itself. Where it panics instead, it begins again [`REST`] later, and after twice
/// the time each time that it does so again: a server whose checker is gone would stay what it was until somebody starts the
/// gateway anew. What it shares with others must be whole at any moment.
pub async fn lasting<W: Future<Output = ()>>(name: impl Display, work: impl Fn() -> W) {
    let mut rest = REST;
    loop {
        let began = monotonic();
        if !panics(&name, work()).await {
            return;
        }
        if began.elapsed() >= LONGEST {
            rest = REST;
        }
        sleep(rest).await;
        rest = (rest * 2).min(LONGEST);
    }
}

/// Work panicked. Whether and where what it said is told is the business of the process's panic hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a panic")]
pub struct Panicked;

/// Does work once, and outlives its panic. What it shares with others must be whole at any moment.
// Not an `async fn`, in which the work would take its room twice.
pub fn caught<W: Future>(work: W) -> impl Future<Output = Result<W::Output, Panicked>> {
    let caught = AssertUnwindSafe(work).catch_unwind();
    caught.map(|done| done.map_err(|_| Panicked))
}

/// Does work once, and says whether it panicked instead of ending.
pub async fn panics(name: impl Display, work: impl Future<Output = ()>) -> bool {
    let panicked = caught(work).await.is_err();
    if panicked {
        tracing::error!(task = %name, "what goes on in the background panicked, and begins again");
    }
    panicked
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_panics_begins_again_after_longer_and_longer_until_it_ends_by_itself() {
        let (begun, since) = (Cell::new(0), tokio::time::Instant::now());
        lasting("a test", || async {
            begun.set(begun.get() + 1);
            assert!(begun.get() >= 10, "the first nine panic");
        })
        .await;
        assert_eq!(begun.get(), 10);
        let rested: u64 = [1, 2, 4, 8, 16, 32, 60, 60, 60].into_iter().sum();
        assert_eq!(since.elapsed().as_secs(), rested);
    }
}
