//! Work that a panic does not end.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::sleep;

/// How long after a panic the work begins again.
pub const REST: Duration = Duration::from_secs(1);

/// Does work until it ends by itself. Where it panics instead, it begins again [`REST`] later: a server whose checker is gone
/// would stay what it was until somebody starts the gateway anew. What it shares with others must be whole at any moment.
pub async fn lasting<W: Future<Output = ()>>(work: impl Fn() -> W) {
    while panics(work()).await {
        sleep(REST).await;
    }
}

/// Does work once, and says whether it panicked instead of ending.
pub async fn panics(work: impl Future<Output = ()>) -> bool {
    let panicked = AssertUnwindSafe(work).catch_unwind().await.is_err();
    if panicked {
        tracing::error!("what goes on in the background panicked, and begins again");
    }
    panicked
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_panics_begins_again_until_it_ends_by_itself() {
        let begun = Cell::new(0);
        lasting(|| async {
            begun.set(begun.get() + 1);
            assert!(begun.get() >= 3, "the first two panic");
        })
        .await;
        assert_eq!(begun.get(), 3);
    }
}
