//! When keys are fetched: from time to time, and when somebody asks for one that is not known.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::jwks::{self, IssuerKeys};
use super::source::SourceError;
use super::{Issuer, Issuers};
use crate::chain::Chain;
use crate::lasting::caught;
use crate::time::{Clock, Timestamp};

/// How long a request waits for a fetch at the most.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many requests wait for one fetch at the most; the others are answered by what is known.
const MAX_WAITING: usize = 64;

/// The tasks that fetch keys, one for each issuer. Dropping this ends them.
#[derive(Debug)]
pub struct Fetching {
    clock: Clock,
    tasks: Vec<(Arc<Issuer>, Task)>,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Fetching {
    /// No task as yet.
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self {
            clock,
            tasks: Vec::new(),
        }
    }

    /// Fetches for these from now on: tasks of issuers that stay go on, those of others end.
    pub fn follow(&mut self, issuers: &Issuers) {
        self.tasks
            .retain(|(issuer, _)| issuers.iter().any(|stays| Arc::ptr_eq(stays, issuer)));
        for issuer in issuers.iter() {
            if self.tasks.iter().any(|(known, _)| Arc::ptr_eq(known, issuer)) {
                continue;
            }
            let (fetched, clock) = (Arc::clone(issuer), self.clock.clone());
            let task = tokio::spawn(async move { fetched.keep_fetching(&clock).await });
            self.tasks.push((Arc::clone(issuer), Task(task)));
        }
    }
}

impl Issuer {
    async fn keep_fetching(&self, clock: &Clock) {
        let cooldown = self.config.cooldown;
        loop {
            // In this order, so that nobody finds neither and gives up hope.
            self.fetching.store(true, Ordering::Release);
            self.rested.store(false, Ordering::Release);
            let fetched = caught(self.fetch(clock.now())).await;
            if let Err(panicked) = fetched {
                self.failed(panicked.to_string());
            }
            let failed = !matches!(fetched, Ok(Ok(())));
            self.rounds.send_modify(|round| *round += 1);
            // Whoever asked meanwhile looks at what has come, and asks again for what has not.
            tokio::select! {
                biased;
                () = self.wanted.notified() => {}
                () = std::future::ready(()) => {}
            }
            self.fetching.store(false, Ordering::Release);
            sleep(cooldown).await;
            self.rested.store(true, Ordering::Release);
            // After a failure at once: the cooldown is pause enough.
            let rest = if failed {
                Duration::ZERO
            } else {
                self.config.refresh_every.saturating_sub(cooldown)
            };
            tokio::select! {
                () = sleep(rest) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    /// Fetches the keys now, and takes them in place of those that were known.
    pub async fn fetch(&self, now: Timestamp) -> Result<(), SourceError> {
        let got = match self.source.get().await {
            Ok(text) => jwks::parse(&text, &self.config.algorithms).map_err(SourceError::from),
            Err(error) => Err(error),
        };
        match got {
            Ok((keys, ignored)) => {
                self.note_taken(&keys, &ignored);
                // This task alone stores keys.
                let keys = keys.carrying_over(&self.keys.load());
                self.keys.store(Arc::new(keys));
                self.got_at.store(now.unix_ms(), Ordering::Release);
                self.note_error(None);
                Ok(())
            }
            Err(error) => {
                self.failed(Chain(&error).to_string());
                Err(error)
            }
        }
    }

    fn failed(&self, why: String) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.note_error(Some(why));
    }

    /// Says so when other keys than before are taken.
    fn note_taken(&self, keys: &IssuerKeys, ignored: &[(String, jwks::Ignored)]) {
        let issuer = self.config.name.as_str();
        if !keys.differ_from(&self.keys.load()) && !keys.is_empty() {
            return;
        }
        for (kid, why) in ignored {
            tracing::debug!(issuer, kid, %why, "a key of the issuer is not used");
        }
        if keys.is_empty() {
            let why: Vec<String> = ignored.iter().map(|(kid, why)| format!("{kid}: {why}")).collect();
            tracing::warn!(
                issuer,
                ignored = why.join("; "),
                "the issuer has no key that can be used"
            );
        } else {
            tracing::info!(issuer, keys = keys.len(), "the keys of the issuer are known");
        }
    }

    /// Logs where a row of failures begins and where it ends.
    fn note_error(&self, error: Option<String>) {
        let issuer = self.config.name.as_str();
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        match (&error, &*last) {
            (Some(error), None) => tracing::warn!(issuer, error, "the keys of the issuer can't be fetched"),
            (None, Some(_)) => tracing::info!(issuer, "the keys of the issuer can be fetched again"),
            (Some(error), Some(_)) => tracing::debug!(issuer, error, "the keys of the issuer still can't be fetched"),
            (None, None) => {}
        }
        *last = error;
    }

    /// Asks for keys that are not known, and waits for them while there is hope: a fetch is under way or may begin, it is
    /// soon over, and not too many wait for it. Returns whether there was one.
    pub async fn refetched(&self) -> bool {
        let mut rounds = self.rounds.subscribe();
        // One permit is stored, however many ask: it counts when the cooldown is over.
        self.wanted.notify_one();
        let may_come = *rounds.borrow_and_update() == 0
            || self.rested.load(Ordering::Acquire)
            || self.fetching.load(Ordering::Acquire);
        let others = self.waiting.fetch_add(1, Ordering::AcqRel);
        let _waits = Waits(self);
        if !may_come || others >= MAX_WAITING {
            return false;
        }
        tokio::time::timeout(PATIENCE, rounds.changed())
            .await
            .is_ok_and(|changed| changed.is_ok())
    }
}

struct Waits<'a>(&'a Issuer);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
