//! [`Batches`]: endings of sessions, many to a transaction.
//!
//! A commit waits for a disk, so that a transaction for each logout bounds how many there can be. Whoever finds no batch
//! under way begins one; those who come meanwhile form the next. Each is told what became of its own session, after the
//! commit, and an error of one session is not the others'. A batch belongs to nobody's call: one that is dropped harms none.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::ending::{Ending, Locked, MANY, Outcome};
use super::error::{Cause, Failure};
use super::{Revocation, Store, StoreError};

type Answer = Result<Option<Revocation>, StoreError>;

struct Waiting {
    ending: Ending,
    answer: oneshot::Sender<Answer>,
}

#[derive(Default)]
pub(super) struct Batches {
    waiting: Mutex<VecDeque<Waiting>>,
    /// Whether a task works on them. Written by whoever holds `waiting`.
    busy: watch::Sender<bool>,
}

impl Batches {
    /// Puts one in the queue, and says whether somebody has to begin with it.
    fn push(&self, waiting: Waiting) -> bool {
        let mut queue = self.queue();
        queue.push_back(waiting);
        !self.busy.send_replace(true)
    }

    /// The next batch, without those whose callers have gone. `None`: there is none, and nobody is at it any more.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue();
        queue.retain(|waiting| !waiting.answer.is_closed());
        if queue.is_empty() {
            self.busy.send_replace(false);
            return None;
        }
        let many = queue.len().min(MANY);
        Some(queue.drain(..many).collect())
    }

    /// Waits until nobody waits for an ending, for so long at the most.
    pub(super) async fn settle(&self, patience: Duration) {
        let mut busy = self.busy.subscribe();
        drop(timeout(patience, busy.wait_for(|busy| !busy)).await);
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody works on the batches. If that ends before all is done, with the runtime or by a panic, the next caller begins
/// anew, and those who wait are told.
struct Turn<'b> {
    batches: &'b Batches,
    done: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.done {
            let mut queue = self.batches.queue();
            queue.clear();
            self.batches.busy.send_replace(false);
        }
    }
}

impl Store {
    /// Ends a session with whatever others there are to end, and waits for the commit, for no longer than a call may take.
    pub(super) async fn end_with_others(&self, ending: Ending) -> Answer {
        let (answer, answered) = oneshot::channel();
        if self.batches.push(Waiting { ending, answer }) {
            tokio::spawn(work_off(self.clone()));
        }
        let patience = self.patience + self.query_timeout;
        match timeout(patience, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Unavailable(Cause::of("the store is closed"))),
            Err(_) => Err(StoreError::Timeout(patience)),
        }
    }

    /// One batch, and where that fails for a reason that may be one session's, its halves.
    async fn end_batch(&self, batch: Vec<Waiting>, locked: Locked) {
        let mut batches = vec![batch];
        while let Some(mut batch) = batches.pop() {
            let endings: Vec<Ending> = batch.iter().map(|waiting| waiting.ending.clone()).collect();
            match self.end_all(&endings, locked).await {
                Ok(outcomes) => {
                    for (waiting, outcome) in batch.into_iter().zip(outcomes) {
                        self.answer(waiting, outcome);
                    }
                }
                Err(failure) if batch.len() > 1 && is_of_one(&failure) => {
                    batches.push(batch.split_off(batch.len() / 2));
                    batches.push(batch);
                }
                // On a server that can't skip, waiting can do no harm.
                Err(failure) if locked == Locked::Skip && is_of_one(&failure) => {
                    for waiting in batch {
                        self.end_apart(waiting);
                    }
                }
                Err(failure) => {
                    let error = StoreError::from(failure);
                    for waiting in batch {
                        // A caller that has gone does not want to know.
                        let _ = waiting.answer.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    fn answer(&self, waiting: Waiting, outcome: Outcome) {
        let ended = match outcome {
            Outcome::Ended(revocation) => {
                if let Some(event) = &waiting.ending.event {
                    self.tell(event);
                }
                Some(revocation)
            }
            Outcome::NotLive => None,
            Outcome::Locked => return self.end_apart(waiting),
        };
        let _ = waiting.answer.send(Ok(ended));
    }

    /// Whoever holds a session's row may do so for long: no batch waits for that.
    fn end_apart(&self, waiting: Waiting) {
        let store = self.clone();
        tokio::spawn(async move { store.end_batch(vec![waiting], Locked::Wait).await });
    }
}

async fn work_off(store: Store) {
    let mut turn = Turn {
        batches: &store.batches,
        done: false,
    };
    while let Some(batch) = turn.batches.next() {
        store.end_batch(batch, Locked::Skip).await;
    }
    turn.done = true;
}

/// Whether a failure may be due to one of the sessions alone.
fn is_of_one(failure: &Failure) -> bool {
    match failure {
        Failure::Conflict(_) | Failure::Duplicate(_) => true,
        Failure::Broken(_) => false,
        Failure::Final(error) => match error {
            StoreError::Query(_) | StoreError::Corrupt(_) => true,
            StoreError::Timeout(_)
            | StoreError::Unavailable(_)
            | StoreError::Unwritable(_)
            | StoreError::Redis(_)
            | StoreError::Unsettled
            | StoreError::SchemaBehind { .. }
            | StoreError::SchemaAhead { .. }
            | StoreError::SchemaHalfApplied { .. } => false,
        },
    }
}
