//! [`Live`]: the exchanges that may only go on for as long as their token is good, and who ends them.
//!
//! A request is judged when it comes. One that goes on for longer than a moment (a stream, an upload, a tunnel) holds a
//! [`Leash`], and [`Tokens::watch_over`] judges its token again: after each reading of the revocations, at once after one
//! that was made here, and several times a second for all that comes with time. Nobody but whoever is ended is woken for
//! that, and an exchange that never has to wait is not known here at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Accepted, Reason, Refusal, Tokens, Verified};
use crate::time::{self, Clock, Timestamp};

/// How often all that is live is looked through, whatever happens: how late an expiry can be seen.
const EVERY: Duration = Duration::from_millis(250);

/// The shortest time between two looks: of many revocations in a row, the next look sees all.
const REST: Duration = Duration::from_millis(5);

/// How many times as long as a look the rest after it is, but never longer than [`EVERY`]: looking takes a twentieth of a core,
/// and more only where so much is live that a look takes longer than a twentieth of that.
const RESTS: u32 = 20;

/// After how many parts of an answer its token is watched, though it never had to be waited for: a client that is slower than
/// the upstream never waits.
const PARTS: u8 = 8;

/// Into how many parts the whole is cut, so that workers seldom wait for each other or for a look.
const SHARDS: usize = 64;

/// What is live.
#[derive(Debug)]
pub(super) struct Live {
    shards: Box<[Mutex<Shard>]>,
    turn: AtomicUsize,
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Shard {
    lines: Vec<Option<Arc<Line>>>,
    free: Vec<usize>,
}

/// One exchange that is live.
#[derive(Debug)]
struct Line {
    token: Accepted,
    /// Who accepted it, and judges it as long as the exchange lasts: a reload changes what comes after it.
    tokens: Arc<Tokens>,
    ended: OnceLock<Refusal>,
    /// Whom to wake when it ends.
    waker: Mutex<Waker>,
}

/// What ties an exchange to its token. It costs nothing until it is polled.
#[derive(Debug)]
pub struct Leash {
    tokens: Arc<Tokens>,
    state: State,
}

/// Whether an exchange has to end: for whoever can end it where it is not asked to go on itself.
#[derive(Clone, Debug)]
pub struct Watched(Arc<Line>);

#[derive(Debug)]
enum State {
    Slack {
        token: Accepted,
        parts: u8,
    },
    Tied {
        line: Arc<Line>,
        shard: usize,
        place: usize,
    },
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            turn: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
        }
    }

    fn shard(&self, shard: usize) -> MutexGuard<'_, Shard> {
        // Whole at any moment: a thread that panicked has left nothing half done.
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &Arc<Line>) -> (usize, usize) {
        let shard = self.turn.fetch_add(1, Ordering::Relaxed) % SHARDS;
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut lines = self.shard(shard);
        let place = if let Some(place) = lines.free.pop() {
            lines.lines[place] = Some(Arc::clone(line));
            place
        } else {
            lines.lines.push(Some(Arc::clone(line)));
            lines.lines.len() - 1
        };
        (shard, place)
    }

    fn remove(&self, shard: usize, place: usize) {
        let mut lines = self.shard(shard);
        lines.lines[place] = None;
        lines.free.push(place);
        if lines.free.len() == lines.lines.len() {
            // What a peak has left.
            *lines = Shard::default();
        }
        drop(lines);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Leash {
    /// Ties an exchange to the token that let it in.
    #[must_use]
    pub fn new(tokens: &Arc<Tokens>, token: Accepted) -> Self {
        Self {
            tokens: Arc::clone(tokens),
            state: State::Slack { token, parts: 0 },
        }
    }

    /// Why the exchange has to end, once it has to. From the first call on the token is watched; the task that called last
    /// is woken.
    pub fn poll_ended(&mut self, cx: &Context<'_>) -> Poll<Refusal> {
        match &self.state {
            State::Slack { token, .. } => {
                let line = Arc::new(Line {
                    token: token.clone(),
                    tokens: Arc::clone(&self.tokens),
                    ended: OnceLock::new(),
                    waker: Mutex::new(cx.waker().clone()),
                });
                let (shard, place) = self.tokens.live.add(&line);
                self.state = State::Tied { line, shard, place };
                Poll::Pending
            }
            State::Tied { line, .. } => {
                let mut waker = line.waker.lock().unwrap_or_else(PoisonError::into_inner);
                waker.clone_from(cx.waker());
                drop(waker);
                // Only now: whoever ends it wakes whom it finds after it has said so.
                line.ended.get().map_or(Poll::Pending, |refusal| Poll::Ready(*refusal))
            }
        }
    }

    /// Why the exchange has to end, if it has been watched and does.
    #[must_use]
    pub fn ended(&self) -> Option<Refusal> {
        match &self.state {
            State::Slack { .. } => None,
            State::Tied { line, .. } => line.ended.get().copied(),
        }
    }

    /// Notes that a part of the answer was there without waiting. From the eighth on the token is watched.
    pub fn part(&mut self, cx: &Context<'_>) {
        if let State::Slack { parts, .. } = &mut self.state {
            *parts += 1;
            if *parts >= PARTS {
                // Nothing can be known yet.
                let _ = self.poll_ended(cx);
            }
        }
    }

    /// What says whether the exchange has to end, once it is watched. Whoever holds that is not woken by it.
    #[must_use]
    pub fn watched(&self) -> Option<Watched> {
        match &self.state {
            State::Slack { .. } => None,
            State::Tied { line, .. } => Some(Watched(Arc::clone(line))),
        }
    }
}

impl Watched {
    /// Why the exchange has to end, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Refusal> {
        self.0.ended.get().copied()
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        if let State::Tied { shard, place, .. } = self.state {
            self.tokens.live.remove(shard, place);
        }
    }
}

impl Tokens {
    /// Judges a token again that was accepted: whether it would be accepted still.
    pub fn recheck(&self, token: &Accepted, now: Timestamp) -> Result<(), Refusal> {
        match token {
            Accepted::Own(verified) => self.recheck_own(verified, now),
            Accepted::Foreign(foreign) => foreign.recheck(self, now),
        }
    }

    fn recheck_own(&self, verified: &Verified, now: Timestamp) -> Result<(), Refusal> {
        verified.check_time(now, self.settings.leeway)?;
        self.stands(verified)?;
        if self.keys.load().holds(&verified.key) {
            Ok(())
        } else {
            Err(Refusal::Invalid(Reason::KeyId))
        }
    }

    /// How many exchanges are watched.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.live.count.load(Ordering::Relaxed)
    }

    /// Ends what is live once its token is not good any more, until `stop` says true or its sender is gone.
    pub async fn watch_over(self: Arc<Self>, clock: Clock, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.keep_looking(&clock) => {}
        }
    }

    async fn keep_looking(&self, clock: &Clock) {
        let mut rest = Duration::ZERO;
        loop {
            // Either is a reason to look.
            let _ = timeout(EVERY.saturating_sub(rest), self.revocations.news()).await;
            rest = Duration::ZERO;
            if self.watched() == 0 {
                continue;
            }
            let began = time::monotonic();
            for shard in 0..SHARDS {
                self.look(shard, clock.now());
                tokio::task::yield_now().await;
            }
            rest = (began.elapsed() * RESTS).clamp(REST, EVERY);
            sleep(rest).await;
        }
    }

    /// Judges what is live in one part, without keeping anybody out of it meanwhile.
    fn look(&self, shard: usize, now: Timestamp) {
        let lines: Vec<Arc<Line>> = self.live.shard(shard).lines.iter().flatten().cloned().collect();
        for line in lines {
            if line.ended.get().is_some() {
                continue;
            }
            if let Err(refusal) = line.tokens.recheck(&line.token, now) {
                let _ = line.ended.set(refusal);
                let waker = line.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
                waker.wake();
            }
        }
    }
}
