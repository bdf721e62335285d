//! Events that tell of no change: queued, and written behind whoever noted them, many to a transaction.
//!
//! The queue is bounded. What finds it full is counted, and one event says how many were not recorded; what tells of attempts
//! that had to wait finds it full when half of it is. Where the database does not answer, what is in the queue waits for it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::{Actor, Detail, Event, EventKind, row};
use crate::chain::Chain;
use crate::config::Audit;
use crate::store::error::Failure;
use crate::store::work::run;
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

/// The most events that wait: some megabytes.
const ROOM: usize = 8192;
/// How many wait at the most when one is added that tells of an attempt that had to wait: they leave room for what was tried.
const ROOM_FOR_WAITING: usize = ROOM / 2;
/// How many events one transaction writes at the most.
const MANY: usize = 500;
/// How long events are gathered before they are written: a flood costs ten commits a second.
const GATHERING: Duration = Duration::from_millis(100);
/// How long it takes until a failed write is tried again: at first, and at the most.
const RETRY: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(10)];

/// How events are told of, and those that wait to be written.
#[derive(Debug, Default)]
pub(in crate::store) struct Trail {
    pub(super) settings: RwLock<Audit>,
    queue: Mutex<Queue>,
    /// Whether a task writes. Changed by whoever holds `queue`.
    busy: watch::Sender<bool>,
    /// Whether no time is left to wait for anything.
    closing: watch::Sender<bool>,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    /// How many were not recorded since the last event that said so, and when the last of them happened.
    missed: Option<(u64, Timestamp)>,
}

impl Queue {
    fn remember(&mut self, missed: Option<(u64, Timestamp)>) {
        let Some((more, at)) = missed else { return };
        let (before, last) = self.missed.unwrap_or((0, at));
        self.missed = Some((before + more, last.max(at)));
    }
}

/// What one transaction writes.
struct Batch {
    events: Vec<Event>,
    missed: Option<(u64, Timestamp)>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("events", &self.events.len())
            .field("missed", &self.missed)
            .finish()
    }
}

impl Trail {
    /// Takes an event in, and says whether somebody has to begin with writing.
    fn push(&self, event: Event) -> bool {
        let mut queue = self.queue();
        let room = if event.kind.is_of_waiting() {
            ROOM_FOR_WAITING
        } else {
            ROOM
        };
        if queue.events.len() < room {
            queue.events.push_back(event);
        } else {
            self.miss(&mut queue, 1, event.at);
        }
        !self.busy.send_replace(true)
    }

    fn miss(&self, queue: &mut Queue, number: u64, at: Timestamp) {
        queue.remember(Some((number, at)));
        self.dropped.fetch_add(number, Ordering::Relaxed);
    }

    /// The next events to write. `None`: there are none, and nobody writes any more.
    fn next(&self) -> Option<Batch> {
        let mut queue = self.queue();
        let many = queue.events.len().min(MANY);
        let events: Vec<Event> = queue.events.drain(..many).collect();
        let missed = queue.missed.take();
        if events.is_empty() && missed.is_none() {
            self.busy.send_replace(false);
            return None;
        }
        Some(Batch { events, missed })
    }

    /// Takes back what could not be written.
    fn put_back(&self, batch: Batch) {
        let mut queue = self.queue();
        for event in batch.events.into_iter().rev() {
            queue.events.push_front(event);
        }
        queue.remember(batch.missed);
    }

    /// Gives events up that the database does not take, for whatever it has against them.
    fn give_up(&self, batch: &Batch) {
        let mut queue = self.queue();
        queue.remember(batch.missed);
        if let Some(last) = batch.events.last() {
            self.miss(
                &mut queue,
                u64::try_from(batch.events.len()).unwrap_or(u64::MAX),
                last.at,
            );
        }
    }

    /// How many wait.
    fn waiting(&self) -> usize {
        self.queue().events.len()
    }

    /// Waits until all events are written, for so long at the most, and not for a database that does not answer.
    pub(in crate::store) async fn settle(&self, patience: Duration) {
        self.closing.send_replace(true);
        let mut busy = self.busy.subscribe();
        drop(timeout(patience, busy.wait_for(|busy| !busy)).await);
        let lost = self.waiting();
        if lost > 0 {
            tracing::error!(lost, "audit events could not be written before the end");
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody writes. If that ends before all is written, with the runtime or by a panic, the next event has somebody begin
/// anew.
struct Turn<'t> {
    trail: &'t Trail,
    done: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _queue = self.trail.queue();
            self.trail.busy.send_replace(false);
        }
    }
}

impl Store {
    /// Records an event that tells of no change, behind the caller's back: it is logged at once, and written within moments.
    /// Within a tokio runtime only.
    pub fn note(&self, event: Event) {
        self.tell(&event);
        if self.stores_events() && self.trail.push(event) {
            tokio::spawn(write_behind(self.clone()));
        }
    }

    /// How many events could not be recorded since the start: they came faster than they could be written.
    #[must_use]
    pub fn audit_dropped(&self) -> u64 {
        self.trail.dropped.load(Ordering::Relaxed)
    }

    async fn write_events(&self, batch: &Batch) -> Result<(), Failure> {
        let missed = batch
            .missed
            .map(|(number, at)| Event::new(EventKind::NotRecorded, Actor::System, at).with(Detail::Count(number)));
        let events: Vec<&Event> = batch.events.iter().chain(&missed).collect();
        run!(self.transaction(), |connection| row::insert(connection, &events).await)
    }
}

async fn write_behind(store: Store) {
    let trail = &*store.trail;
    let mut turn = Turn { trail, done: false };
    let mut closing = trail.closing.subscribe();
    let mut pause = GATHERING;
    loop {
        let is_closing = timeout(pause, closing.wait_for(|closing| *closing)).await.is_ok();
        let Some(batch) = trail.next() else {
            turn.done = true;
            return;
        };
        let Err(failure) = store.write_events(&batch).await else {
            pause = GATHERING;
            continue;
        };
        let error = StoreError::from(failure);
        let [first, most] = RETRY;
        pause = (pause * 2).clamp(first, most);
        if is_for_good(&error) {
            tracing::error!(
                error = Chain(&error).to_string(),
                number = batch.events.len(),
                "audit events can't be written"
            );
            trail.give_up(&batch);
        } else {
            tracing::warn!(
                error = Chain(&error).to_string(),
                "audit events wait, as the database does not take them"
            );
            trail.put_back(batch);
        }
        if is_closing {
            return;
        }
    }
}

/// Whether the same write would fail again, whatever becomes of the database.
const fn is_for_good(error: &StoreError) -> bool {
    match error {
        StoreError::Query(_) | StoreError::Corrupt(_) => true,
        StoreError::Timeout(_)
        | StoreError::Unavailable(_)
        | StoreError::Unwritable(_)
        | StoreError::Redis(_)
        | StoreError::Unsettled
        | StoreError::SchemaBehind { .. }
        | StoreError::SchemaAhead { .. }
        | StoreError::SchemaHalfApplied { .. } => false,
    }
}
