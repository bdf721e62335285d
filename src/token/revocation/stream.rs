//! How the blocklist follows a Redis: everything is read once, and from then on Redis pushes what is written, over a stream
//! that is read on from where the last read ended, also after a disconnect. Each read, one without news too, confirms what
//! is known as of the moment it was asked for.
//!
//! Redis can lose its data, wholly (`FLUSHALL`, a restart without disk) or in part (a restart with a file that is a second
//! old, a failover, an eviction). What gives it away: the epoch is another one, what was read last is not in the stream any
//! more, or reading everything does not bring what is known here. Then this gateway writes back what it knows, and nobody
//! who comes to an epoch counts what they read as all that there is before the others had the time to do the same.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Blocklist;
use super::map::STEPS;
use crate::store::{Lease, Position, REDIS_PATIENCE, Reader, Redis, Revocation, State, Store, StoreError};
use crate::time::{self, Clock, Timestamp};

/// For how long others wait for a gateway that writes back what it knows, unless it says anew that it does.
const LEASE: Duration = Duration::from_secs(10);

/// How many of the database's rows are taken over at once.
const PAGE: u32 = 5_000;

/// While nothing may be confirmed, how often that is looked at again.
const SOON: Duration = Duration::from_millis(50);

/// How long after a read that brought something the next begins: under load, one read then brings many.
const BREATHER: Duration = Duration::from_millis(2);

/// Where in which epoch the stream is read on.
#[derive(Clone, Debug)]
pub(super) struct Place {
    epoch: String,
    position: Position,
}

/// What the reading of the stream and the reading of everything tell each other.
#[derive(Default)]
struct Rereads {
    /// How many readings of everything were asked for, beyond the regular ones.
    asked: AtomicU64,
    /// Which of them are done.
    done: AtomicU64,
    wake: Notify,
}

/// What one read of the stream has led to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// Everything that was written before it is known.
    Everything,
    /// There is more to read.
    Part,
    /// There may be more that Redis does not have (again) yet.
    Unsettled,
}

impl Rereads {
    fn ask(&self) {
        self.asked.fetch_add(1, Ordering::AcqRel);
        self.wake.notify_one();
    }

    fn are_done(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.asked.load(Ordering::Acquire)
    }
}

impl Blocklist {
    /// Takes over what the database still has from before there was a Redis, reads everything that Redis has, and returns
    /// how many revocations that was, once nobody can know more.
    pub(super) async fn load_from_redis(
        &self,
        store: &Store,
        redis: &Redis,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.take_over(store, redis, now).await?;
        let mut reader = redis.reader().await?;
        let state = reader.enter(Lease::Unchanged).await?;
        if state.age < self.grace() {
            tracing::info!(
                wait = ?self.grace().saturating_sub(state.age),
                "Redis is new or has lost its data: other gateways have some time to write back what they know"
            );
        }
        let mut place = Place {
            epoch: state.epoch,
            position: reader.end().await?,
        };
        let rereads = Rereads::default();
        rereads.ask();
        let mut found = 0;
        loop {
            if !rereads.are_done() {
                found = self.reread(redis, &mut reader, &rereads, now).await?;
            }
            if let (Read::Everything, _) = self.step(&mut reader, &mut place, &rereads, now).await? {
                break;
            }
        }
        *self.place() = Some(place);
        Ok(found)
    }

    async fn take_over(&self, store: &Store, redis: &Redis, now: Timestamp) -> Result<(), StoreError> {
        let (mut seq, mut taken) = (0, 0);
        loop {
            let rows = store.blocked_after(seq, PAGE).await?;
            let Some(last) = rows.last() else { break };
            seq = last.seq;
            let revocations: Vec<Revocation> = rows.iter().map(|row| row.revocation).collect();
            self.apply(&revocations, now);
            taken += redis.write_back(&revocations, now).await?;
        }
        if taken > 0 {
            tracing::info!(taken, "revocations taken over from the database");
        }
        Ok(())
    }

    /// Follows until it is dropped.
    pub(super) async fn keep_following(&self, redis: &Redis, clock: &Clock) {
        let rereads = Rereads::default();
        let mut following = pin!(self.keep_reading(redis, clock, &rereads));
        let mut rereading = pin!(self.keep_rereading_redis(redis, clock, &rereads));
        // Neither ends: reading everything takes its time, and the stream is read meanwhile.
        tokio::select! {
            () = &mut following => {}
            () = &mut rereading => {}
        }
    }

    async fn keep_reading(&self, redis: &Redis, clock: &Clock, rereads: &Rereads) {
        let mut reader = None;
        let mut tidied = time::monotonic();
        loop {
            let outcome = self.read_on(redis, &mut reader, rereads, clock.now()).await;
            if let Err(error) = self.record(outcome, "follow")
                && !matches!(error, StoreError::Unsettled)
            {
                // A connection that failed may be in the middle of an answer.
                reader = None;
                sleep(self.pause()).await;
            }
            if tidied.elapsed() >= self.config.poll_interval {
                tidied = time::monotonic();
                self.entries.tidy(tidied);
            }
        }
    }

    /// One read of the stream, over a new connection and from a new place where need be.
    async fn read_on(
        &self,
        redis: &Redis,
        connection: &mut Option<Reader>,
        rereads: &Rereads,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let known = self.place().clone();
        let (reader, is_new) = match connection {
            Some(reader) => (reader, false),
            None => (connection.insert(redis.reader().await?), true),
        };
        let mut place = match known {
            Some(place) if is_new => self.resume(reader, place, rereads).await?,
            Some(place) => place,
            None => self.begin(reader, rereads).await?,
        };
        let read = self.step(reader, &mut place, rereads, now).await;
        *self.place() = Some(place);
        let (read, news) = read?;
        if news {
            sleep(BREATHER).await;
        }
        match read {
            Read::Everything | Read::Part => Ok(()),
            Read::Unsettled => Err(StoreError::Unsettled),
        }
    }

    /// A place from which nothing that is written from now on is missed. Everything before it has to be read.
    async fn begin(&self, reader: &mut Reader, rereads: &Rereads) -> Result<Place, StoreError> {
        self.settled.store(false, Ordering::Release);
        let State { epoch, .. } = reader.enter(Lease::For(LEASE)).await?;
        let position = reader.end().await?;
        rereads.ask();
        Ok(Place { epoch, position })
    }

    /// The same place over a new connection, which may lead to a Redis that was restarted, or to another one.
    async fn resume(&self, reader: &mut Reader, place: Place, rereads: &Rereads) -> Result<Place, StoreError> {
        let State { epoch, .. } = reader.enter(Lease::Unchanged).await?;
        if epoch == place.epoch {
            return Ok(place);
        }
        tracing::warn!(
            known = self.len(),
            "Redis was restarted or has lost its data: what is known here stays refused, and what it lacks is written back"
        );
        self.begin(reader, rereads).await
    }

    /// Reads the stream once. Also says whether that brought anything.
    async fn step(
        &self,
        reader: &mut Reader,
        place: &mut Place,
        rereads: &Rereads,
        now: Timestamp,
    ) -> Result<(Read, bool), StoreError> {
        let settled = rereads.are_done() && self.has_settled(reader, place).await?;
        let wait = if settled { self.pause() } else { SOON };
        let began = time::monotonic();
        let told = reader.after(&place.position, wait).await?;
        self.apply(&told.revocations, now);
        if told.epoch.as_ref() != Some(&place.epoch) {
            tracing::error!(
                known = self.len(),
                "Redis has lost its data: what is known here stays refused and is written back"
            );
            *place = self.begin(reader, rereads).await?;
            return Ok((Read::Unsettled, false));
        }
        if !told.gapless {
            tracing::warn!("the stream in Redis does not reach back to what was read last: everything is read again");
            *place = self.begin(reader, rereads).await?;
            return Ok((Read::Unsettled, false));
        }
        // Not before: where that which follows fails, the gap must be found again.
        place.position = told.position;
        let read = match (settled, told.complete) {
            (false, _) => Read::Unsettled,
            (true, false) => Read::Part,
            (true, true) => {
                self.confirm(began);
                Read::Everything
            }
        };
        Ok((read, !told.revocations.is_empty()))
    }

    /// Whether everybody had the time to write back what they know. Once that is so, it stays so for this epoch.
    async fn has_settled(&self, reader: &mut Reader, place: &Place) -> Result<bool, StoreError> {
        if !self.settled.load(Ordering::Acquire) {
            let state = reader.enter(Lease::Unchanged).await?;
            let settled = state.epoch == place.epoch && state.repairing == 0 && state.age >= self.grace();
            self.settled.store(settled, Ordering::Release);
        }
        Ok(self.settled.load(Ordering::Acquire))
    }

    /// How long a read of the stream waits for news, and how long after a failure the next begins.
    fn pause(&self) -> Duration {
        (self.config.poll_interval / 2).min(REDIS_PATIENCE)
    }

    /// How long after the beginning of an epoch all gateways have noticed it, connected anew, and begun to write back: the
    /// sum of what each of these may take.
    fn grace(&self) -> Duration {
        self.config.poll_interval + 3 * REDIS_PATIENCE
    }

    async fn keep_rereading_redis(&self, redis: &Redis, clock: &Clock, rereads: &Rereads) {
        let mut due = time::monotonic() + self.config.full_reread;
        loop {
            if rereads.are_done() {
                let left = due.saturating_duration_since(time::monotonic());
                // Either somebody asks, or it is time.
                let _ = timeout(left, rereads.wake.notified()).await;
            }
            let outcome = match redis.reader().await {
                Ok(mut reader) => self.reread(redis, &mut reader, rereads, clock.now()).await,
                Err(error) => Err(error),
            };
            if outcome.is_ok() {
                due = time::monotonic() + self.config.full_reread;
            } else {
                // A success is no news: the reading of the stream may be failing meanwhile.
                let _ = self.record(outcome, "load");
                sleep(self.pause()).await;
            }
        }
    }

    /// Reads everything that Redis has, and writes back what it does not have and should.
    async fn reread(
        &self,
        redis: &Redis,
        reader: &mut Reader,
        rereads: &Rereads,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let asked = rereads.asked.load(Ordering::Acquire);
        let hasher = RandomState::new();
        let mut found = HashSet::new();
        let began = time::monotonic();
        let mut renewed = None;
        self.renew(reader, &mut renewed).await?;
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let (page, next) = reader.page(at).await?;
            // A hash is enough: two of a million are the same once in ten million readings, and a revocation is then
            // written back one reading later. What is known below includes what was read, so that the two are alike where
            // Redis lacks nothing of it.
            found.extend(page.iter().map(|revocation| hash(&hasher, revocation)));
            self.apply(&page, now);
            cursor = next;
            self.renew(reader, &mut renewed).await?;
        }
        // By the time it takes to read: what expires meanwhile is not missed.
        let now = now + began.elapsed();
        let mut missing = Vec::new();
        for step in 0..STEPS {
            let is_missing = |known: &Revocation| known.expires_at > now && !found.contains(&hash(&hasher, known));
            missing.append(&mut self.entries.snapshot(step, is_missing));
            // The stream is read, and others work, in between.
            tokio::task::yield_now().await;
        }
        let mut restored = 0;
        for some in missing.chunks(5_000) {
            restored += redis.write_back(some, now).await?;
            self.renew(reader, &mut renewed).await?;
        }
        // Where something was lost meanwhile, the next reading goes on with it.
        if rereads.asked.load(Ordering::Acquire) == asked {
            reader.enter(Lease::Over).await?;
        }
        rereads.done.store(asked, Ordering::Release);
        if restored > 0 {
            tracing::error!(restored, "Redis had lost revocations: they are written back");
            let restored = u64::try_from(restored).unwrap_or(u64::MAX);
            self.restored.fetch_add(restored, Ordering::Relaxed);
        }
        Ok(found.len())
    }

    /// Where Redis may have lost something, tells those who wait for it that this gateway is writing back.
    async fn renew(&self, reader: &mut Reader, renewed: &mut Option<Instant>) -> Result<(), StoreError> {
        let is_fresh = renewed.is_some_and(|renewed| renewed.elapsed() < LEASE / 4);
        if !is_fresh && !self.settled.load(Ordering::Acquire) {
            reader.enter(Lease::For(LEASE)).await?;
            *renewed = Some(time::monotonic());
        }
        Ok(())
    }

    fn place(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of all that a revocation says: Redis may hold one of an older copy, which refuses less or for a shorter time. The expiry
/// is that of the entries in memory, which know seconds.
fn hash(hasher: &RandomState, revocation: &Revocation) -> u64 {
    let target = &revocation.target;
    let expires_at = revocation.expires_at.unix_seconds().clamp(0, u32::MAX.into());
    hasher.hash_one((target.kind(), target.value(), target.generation(), expires_at))
}
