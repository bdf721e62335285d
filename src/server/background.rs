//! [`keep`]: work that goes on as long as the gateway, whatever becomes of one try.

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::lasting::{REST, panics};
use crate::time::Clock;

/// Spawns work that ends by itself when told to stop. Where it panics instead, it begins again with what it was given:
/// without the poll of the revocations all guarded routes would be closed until somebody starts the gateway anew.
pub(super) fn keep<G, W>(
    (clock, stop): &(Clock, watch::Receiver<bool>),
    name: &'static str,
    given: G,
    work: impl Fn(G, Clock, watch::Receiver<bool>) -> W + Send + 'static,
) -> JoinHandle<()>
where
    G: Clone + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let (clock, mut stop) = (clock.clone(), stop.clone());
    tokio::spawn(async move {
        while panics(name, work(given.clone(), clock.clone(), stop.clone())).await {
            if timeout(REST, stop.wait_for(|stop| *stop)).await.is_ok() {
                return;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_panics_begins_again_until_it_ends_by_itself() {
        let (_going, stop) = watch::channel(false);
        let begun = Arc::new(AtomicU32::new(0));
        let kept = keep(
            &(Clock::system(), stop),
            "a test",
            Arc::clone(&begun),
            |begun, _, _| async move {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                assert!(number >= 2, "the first two panic");
            },
        );
        kept.await.unwrap();
        assert_eq!(begun.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_panics_does_not_outlive_the_gateway() {
        let (going, stop) = watch::channel(false);
        let kept = keep(&(Clock::system(), stop), "a test", (), |(), _, _| async {
            panic!("each time")
        });
        going.send_replace(true);
        kept.await.unwrap();
    }
}
