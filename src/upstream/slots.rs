//! [`Slots`]: how many connections there are to one server, over all workers, and who waits for one.
//!
//! First come, first served, whatever the worker: a connection that an exchange gives back goes to the first in line where
//! both are of one worker. Where they are not, it closes and the first in line makes one of its own, since a connection is
//! never handed to another worker.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::http1::Http1;
use super::pool::Pool;
use crate::config::Caps;

/// The connections to one server.
#[derive(Debug, Default)]
pub(super) struct Slots {
    state: Mutex<State>,
    /// Tells that a connection of HTTP/2 carries an exchange less.
    pub(super) freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    /// The most that there may be, as the configuration in force says.
    max: Option<usize>,
    line: VecDeque<Waiter>,
    /// Where connections may be idle.
    pools: Vec<Weak<Pool>>,
}

#[derive(Debug)]
struct Waiter {
    pool: Weak<Pool>,
    /// The most connections that there may be, where the configuration in force has no limit.
    max: usize,
    tell: oneshot::Sender<Turn>,
}

/// What whoever wants a connection gets.
#[derive(Debug)]
pub(super) enum Turn {
    /// Leave to make one; `None` where nobody counts them.
    New(Option<Slot>),
    /// One that another exchange has just given back.
    Idle(Http1),
}

/// Leave to have one connection, until dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    pool: Weak<Pool>,
}

/// Whom a connection of HTTP/2 tells when it carries an exchange less.
#[derive(Debug)]
pub(super) struct Line {
    slots: Arc<Slots>,
    pool: Weak<Pool>,
}

impl Slot {
    /// Whom to tell.
    pub(super) fn line(&self) -> Line {
        Line {
            slots: Arc::clone(&self.slots),
            pool: Weak::clone(&self.pool),
        }
    }
}

impl Line {
    /// Whether the next turn is another worker's, which a connection that goes on for ever would never let come.
    pub(super) fn is_others(&self) -> bool {
        self.slots.is_wanted_by_others(&self.pool)
    }

    /// There may be room on a connection now.
    pub(super) fn move_on(&self) {
        self.slots.freed.notify_waiters();
    }

    /// A connection takes no more exchanges.
    pub(super) fn forget_closed(&self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.forget_closed();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.lock();
        state.open = state.open.saturating_sub(1);
        let undelivered = state.admit(&self.slots);
        // They take the lock themselves.
        drop(state);
        drop(undelivered);
    }
}

impl Slots {
    /// From now on connections may be idle there.
    pub(super) fn register(&self, pool: &Arc<Pool>) {
        let mut state = self.lock();
        state.pools.retain(|pool| pool.strong_count() > 0);
        state.pools.push(Arc::downgrade(pool));
    }

    /// From now on there may be so many, whoever asks; those who wait come in where there may be more.
    pub(super) fn limit(self: &Arc<Self>, max: Option<usize>) {
        let mut state = self.lock();
        state.max = max;
        if max.is_none() {
            state.line.iter_mut().for_each(|waiter| waiter.max = usize::MAX);
        }
        let undelivered = state.admit(self);
        // They take the lock themselves.
        drop(state);
        drop(undelivered);
    }

    /// A turn for this pool, where there are fewer connections than there may be: `max`, if none is in force. `None` where
    /// the line is full, or after too long.
    pub(super) async fn turn(self: &Arc<Self>, pool: &Arc<Pool>, max: usize, caps: &Caps) -> Option<Turn> {
        let (told, pools) = {
            let mut state = self.lock();
            state.line.retain(|waiter| !waiter.tell.is_closed());
            if state.line.is_empty() && state.open < state.max.unwrap_or(max) {
                state.open += 1;
                let (slots, pool) = (Arc::clone(self), Arc::downgrade(pool));
                return Some(Turn::New(Some(Slot { slots, pool })));
            }
            if state.line.len() >= caps.queue {
                return None;
            }
            let (tell, told) = oneshot::channel();
            let pool = Arc::downgrade(pool);
            state.line.push_back(Waiter { pool, max, tell });
            (told, state.pools.clone())
        };
        make_room(pool, &pools);
        timeout(caps.queue_timeout, told).await.ok()?.ok()
    }

    /// Whether somebody waits.
    pub(super) fn is_wanted(&self) -> bool {
        !self.lock().line.is_empty()
    }

    /// Whether the first in line is of another worker.
    pub(super) fn is_wanted_by_others(&self, pool: &Weak<Pool>) -> bool {
        let mut state = self.lock();
        state.line.retain(|waiter| !waiter.tell.is_closed());
        state.line.front().is_some_and(|first| !first.pool.ptr_eq(pool))
    }

    /// Gives a connection that is idle to the first in line, or closes it for them. Comes back where nobody waits.
    pub(super) fn pass_on(&self, pool: &Arc<Pool>, mut connection: Http1) -> Option<Http1> {
        let mut state = self.lock();
        while let Some(first) = state.line.front() {
            let here = first.pool.as_ptr() == Arc::as_ptr(pool);
            if !here && !first.tell.is_closed() {
                // Its slot is passed on, which takes the lock.
                drop(state);
                drop(connection);
                return None;
            }
            let Some(first) = state.line.pop_front() else { break };
            match first.tell.send(Turn::Idle(connection)) {
                Err(Turn::Idle(back)) => connection = back,
                Ok(()) | Err(Turn::New(_)) => return None,
            }
        }
        Some(connection)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets in who may come in now. What comes back was for one who has just gone, and is to be dropped without the lock.
    fn admit(&mut self, slots: &Arc<Slots>) -> Vec<Turn> {
        let mut undelivered = Vec::new();
        while let Some(first) = self.line.pop_front() {
            if first.tell.is_closed() {
                continue;
            }
            if self.open >= self.max.unwrap_or(first.max) {
                self.line.push_front(first);
                break;
            }
            self.open += 1;
            let (slots, pool) = (Arc::clone(slots), Weak::clone(&first.pool));
            let turn = Turn::New(Some(Slot { slots, pool }));
            undelivered.extend(first.tell.send(turn).err());
        }
        undelivered
    }
}

/// Closes a connection that carries nothing, of any worker. Where there is none, and this pool has none at all, another worker
/// gives up one of HTTP/2 when what it carries has ended: it might never fall idle.
fn make_room(pool: &Arc<Pool>, pools: &[Weak<Pool>]) {
    let others = || {
        let pools = pools.iter().filter_map(Weak::upgrade);
        pools.filter(|other| !Arc::ptr_eq(other, pool))
    };
    let made = others().any(|other| other.give_up(false)) || pool.give_up(false);
    if !made && !pool.shares() {
        let _ = others().any(|other| other.give_up(true));
    }
}
