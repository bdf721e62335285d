//! [`keep`] and [`until_told`]: work that goes on as long as the gateway, or as what it is for, whatever becomes of one try.

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::lasting::{REST, lasting, panics};
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

/// Does work until it is told something, which it hears first and may act on at once, and hands that on: nobody waits for what
/// the work does afterwards. Where it panics instead, it begins again.
pub(super) async fn until_told<T, W>(name: &str, told: T, work: impl Fn(Shared<T>) -> W) -> T::Output
where
    T: Future<Output: Clone>,
    W: Future<Output = ()>,
{
    let told = told.shared();
    tokio::select! {
        // The work first, which may have something in hand. While it rests after a panic it hears nothing.
        biased;
        () = lasting(name, || work(told.clone())) => {}
        _ = told.clone() => {}
    }
    told.await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_panics_begins_again_and_ends_when_it_is_told() {
        let (begun, done) = (Cell::new(0), Cell::new(false));
        let (tell, told) = oneshot::channel();
        let tell = Cell::new(Some(tell));
        let heard = until_told("a test", told, |told| async {
            begun.set(begun.get() + 1);
            assert!(begun.get() >= 3, "the first two panic");
            tell.take().unwrap().send("enough").unwrap();
            assert_eq!(told.await, Ok("enough"));
            tokio::task::yield_now().await;
            done.set(true);
        });
        assert_eq!(heard.await, Ok("enough"));
        assert_eq!((begun.get(), done.get()), (3, false));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_rests_after_a_panic_is_told_at_once() {
        let (tell, told) = oneshot::channel();
        let begun = Cell::new(0);
        let mut work = std::pin::pin!(until_told("a test", told, |_| async {
            begun.set(begun.get() + 1);
            panic!("each time")
        }));
        assert!(timeout(REST / 2, work.as_mut()).await.is_err(), "it rests");
        tell.send("enough").unwrap();
        assert_eq!(work.await, Ok("enough"));
        assert_eq!(begun.get(), 1);
    }

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
