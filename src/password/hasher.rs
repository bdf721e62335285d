//! [`Hasher`]: bcrypt on blocking threads, bounded in what runs and in what waits.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bcrypt::{BcryptError, HashParts};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Password, Weakness, judge};
use crate::config::typed::Passwords;
use crate::id::{Email, UserName};
use crate::secret::Secret;
use crate::time::monotonic;

/// The dearest stored hash that is verified: above it, one login would hold a thread for seconds to hours.
const MAX_COST: u32 = 16;

/// What an account that is not there is verified against. The result is thrown away.
const DUMMY_SALT: [u8; 16] = *b"doorward dummy 1";

/// Hashes and verifies passwords. A clone shares the bounds.
#[derive(Clone, Debug)]
pub struct Hasher(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    cost: u32,
    min_length: usize,
    /// One permit for each hash that runs or waits.
    admitted: Arc<Semaphore>,
    /// One permit for each hash that runs.
    running: Arc<Semaphore>,
    /// How many turns a full queue takes.
    rounds: u32,
    /// How long the last bcrypt took, in microseconds.
    last: AtomicU64,
    /// Rounds of bcrypt's key expansion so far.
    spent: AtomicU64,
}

/// Why there is no hash or verdict.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// As many as allowed are waiting already.
    #[error("the queue for password hashing is full")]
    Busy {
        /// When the queue will have drained, by how long the last hash took. 1 to 60 s.
        retry_after: Duration,
    },
    /// bcrypt failed: the system gave no random bytes.
    #[error("bcrypt failed")]
    Bcrypt(#[source] BcryptError),
    /// The blocking thread panicked or its runtime is shutting down.
    #[error("the hashing thread was lost")]
    Lost,
}

/// The outcome of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not the password.
    Wrong,
    /// It is the password.
    Right {
        /// The stored hash was made at another cost than the configured one: make a new one.
        outdated: bool,
    },
}

impl Hasher {
    /// A hasher with the bounds of the configuration.
    #[must_use]
    pub fn new(config: &Passwords) -> Self {
        let running = config.concurrency.max(1);
        let admitted = running.saturating_add(config.queue).min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Pool {
            cost: config.bcrypt_cost,
            min_length: config.min_length,
            admitted: Arc::new(Semaphore::new(admitted)),
            running: Arc::new(Semaphore::new(running.min(admitted))),
            rounds: u32::try_from(admitted.div_ceil(running)).unwrap_or(u32::MAX),
            last: AtomicU64::new(0),
            spent: AtomicU64::new(0),
        }))
    }

    /// Judges a password that somebody wants to have, by [`judge()`] and the configured length. Waits its turn like a hash:
    /// a long password takes milliseconds, which is long for an async thread.
    pub async fn judge(
        &self,
        password: Password,
        email: Option<Email>,
        name: Option<UserName>,
    ) -> Result<Result<(), Weakness>, HashError> {
        let min_length = self.0.min_length;
        self.run(move || judge(&password, email.as_ref(), name.as_ref(), min_length))
            .await
    }

    /// The password's hash, `$2b$`, at the configured cost, with a salt of its own.
    pub async fn hash(&self, password: Password) -> Result<Secret<String>, HashError> {
        let pool = Arc::clone(&self.0);
        self.run_timed(move || bcrypt::hash(password.expose(), pool.note(pool.cost)).map(Secret::new))
            .await?
            .map_err(HashError::Bcrypt)
    }

    /// Whether the stored hash (`$2a$`, `$2b$` or `$2y$`) is that of the password.
    ///
    /// No password (what was typed cannot be anybody's), no stored hash, or a malformed one: as much work as a wrong
    /// password, then [`Verdict::Wrong`].
    pub async fn verify(&self, password: Option<Password>, stored: Option<&str>) -> Result<Verdict, HashError> {
        let pool = Arc::clone(&self.0);
        let stored = stored.and_then(readable);
        self.run_timed(move || pool.verify(password.as_ref(), stored.as_ref()))
            .await
    }

    /// Whether one more may wait at this moment.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.admitted.available_permits() > 0
    }

    /// How many rounds of bcrypt's key expansion have been done: 2^cost for each hash. The work that logins cost, free of
    /// how busy the machine is.
    #[must_use]
    pub fn rounds_spent(&self) -> u64 {
        self.0.spent.load(Ordering::Relaxed)
    }

    /// Like [`Hasher::run`], and remembers how long it took.
    async fn run_timed<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashError> {
        let pool = Arc::clone(&self.0);
        self.run(move || {
            let start = monotonic();
            let result = work();
            let took = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
            pool.last.store(took, Ordering::Relaxed);
            result
        })
        .await
    }

    /// Runs `work` on a blocking thread once it is its turn. The permits go with it: a caller that gives up while it runs
    /// does not make room for more than the bound.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashError> {
        let admitted = Arc::clone(&self.0.admitted)
            .try_acquire_owned()
            .map_err(|_| self.busy())?;
        let running = Arc::clone(&self.0.running)
            .acquire_owned()
            .await
            .map_err(|_| HashError::Lost)?;
        let permits: [OwnedSemaphorePermit; 2] = [running, admitted];
        tokio::task::spawn_blocking(move || {
            let _permits = permits;
            work()
        })
        .await
        .map_err(|_| HashError::Lost)
    }

    /// That there is no room.
    #[must_use]
    pub fn busy(&self) -> HashError {
        let last = Duration::from_micros(self.0.last.load(Ordering::Relaxed));
        let retry_after = last
            .saturating_mul(self.0.rounds)
            .clamp(Duration::from_secs(1), Duration::from_mins(1));
        HashError::Busy { retry_after }
    }
}

/// A stored hash, taken apart; `None` where bcrypt would fail fast (and so tell an account with such a hash from others),
/// take forever, or follow the defect of `crypt_blowfish` that `$2x$` stands for.
fn readable(stored: &str) -> Option<HashParts> {
    let known = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| stored.starts_with(prefix));
    let parts = HashParts::from_str(stored).ok().filter(|_| known)?;
    (4..=MAX_COST).contains(&parts.get_cost()).then_some(parts)
}

impl Pool {
    /// One bcrypt; and where the stored hash is cheaper than configured and the password wrong, as much more as makes up
    /// for it.
    fn verify(&self, password: Option<&Password>, stored: Option<&HashParts>) -> Verdict {
        let text = password.map_or("", Password::expose);
        let Some(parts) = stored else {
            self.spend(text, self.cost);
            return Verdict::Wrong;
        };
        self.note(parts.get_cost());
        let right = bcrypt::verify(text, &parts.to_string()).unwrap_or(false) && password.is_some();
        if right {
            return Verdict::Right {
                outdated: parts.get_cost() != self.cost,
            };
        }
        // Rounds double with each step: 2^c + (2^c + 2^(c+1) + … + 2^(cost-1)) = 2^cost.
        for step in parts.get_cost()..self.cost {
            self.spend(text, step);
        }
        Verdict::Wrong
    }

    /// Does the work of one bcrypt.
    fn spend(&self, text: &str, cost: u32) {
        let hash = bcrypt::hash_with_salt(text, self.note(cost), DUMMY_SALT);
        // Otherwise the optimiser may find that nobody wants it.
        drop(std::hint::black_box(hash));
    }

    /// Counts one bcrypt of this cost, which it gives back.
    fn note(&self, cost: u32) -> u32 {
        self.spent.fetch_add(1 << cost, Ordering::Relaxed);
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(cost: u32, concurrency: usize, queue: usize) -> Passwords {
        Passwords {
            bcrypt_cost: cost,
            min_length: 8,
            concurrency,
            queue,
            queue_per_address: queue,
        }
    }

    fn hasher() -> Hasher {
        Hasher::new(&config(4, 2, 64))
    }

    fn password(text: &str) -> Password {
        Password::parse(Secret::new(text.to_owned())).unwrap()
    }

    const RIGHT: Verdict = Verdict::Right { outdated: false };

    #[tokio::test]
    async fn a_hash_verifies_its_own_password_alone() {
        let hasher = hasher();
        let hash = hasher.hash(password("correct horse")).await.unwrap();
        assert!(hash.expose().starts_with("$2b$04$"));
        for (text, verdict) in [
            ("correct horse", RIGHT),
            ("correct horsf", Verdict::Wrong),
            ("", Verdict::Wrong),
        ] {
            let got = hasher.verify(Some(password(text)), Some(hash.expose())).await.unwrap();
            assert_eq!(got, verdict, "{text:?}");
        }
    }

    #[tokio::test]
    async fn all_72_bytes_count() {
        let hasher = hasher();
        let hash = hasher.hash(password(&"x".repeat(72))).await.unwrap();
        let mut other = "x".repeat(71);
        other.push('y');
        assert_eq!(
            hasher
                .verify(Some(password(&"x".repeat(72))), Some(hash.expose()))
                .await
                .unwrap(),
            RIGHT
        );
        for text in [other, "x".repeat(71)] {
            let verdict = hasher.verify(Some(password(&text)), Some(hash.expose())).await;
            assert_eq!(verdict.unwrap(), Verdict::Wrong);
        }
    }

    #[tokio::test]
    async fn hashes_made_elsewhere_verify() {
        // "U*U" with the salt CCCCCCCCCCCCCCCCCCCCC., from the test vectors of crypt_blowfish.
        let digest = "05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let verdict = hasher()
                .verify(Some(password("U*U")), Some(&format!("{prefix}{digest}")))
                .await;
            assert_eq!(verdict.unwrap(), Verdict::Right { outdated: true }, "{prefix}");
        }
        let verdict = hasher()
            .verify(Some(password("U*U")), Some(&format!("$2x${digest}")))
            .await;
        assert_eq!(verdict.unwrap(), Verdict::Wrong);
    }

    #[tokio::test]
    async fn no_password_and_no_readable_hash_are_wrong_and_never_right() {
        let hasher = hasher();
        let of_nothing = hasher.hash(password("")).await.unwrap();
        for stored in [
            None,
            Some(""),
            Some("plain text"),
            Some("$2b$04$short"),
            Some("$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            Some("$2b$00$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            Some(of_nothing.expose().as_str()),
        ] {
            assert_eq!(hasher.verify(None, stored).await.unwrap(), Verdict::Wrong, "{stored:?}");
        }
    }

    #[tokio::test]
    async fn a_cheaper_stored_hash_is_no_faster_to_refuse() {
        let hash = hasher().hash(password("correct horse")).await.unwrap();
        let dear = Hasher::new(&config(9, 1, 8));
        let rounds = async |stored: Option<&str>| {
            let before = dear.rounds_spent();
            let verdict = dear.verify(Some(password("wrong")), stored).await.unwrap();
            assert_eq!(verdict, Verdict::Wrong);
            dear.rounds_spent() - before
        };
        for stored in [None, Some(hash.expose().as_str()), Some("not a hash")] {
            assert_eq!(rounds(stored).await, 1 << 9, "{stored:?}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_is_busy_at_once_and_recovers() {
        let hasher = Hasher::new(&config(10, 1, 1));
        let first = hasher.hash(password("one"));
        let second = hasher.hash(password("two"));
        let third = async {
            tokio::task::yield_now().await;
            hasher.hash(password("three")).await
        };
        let (first, second, third) = tokio::join!(first, second, third);
        assert!(first.is_ok() && second.is_ok());
        let Err(HashError::Busy { retry_after }) = third else {
            panic!("{third:?}");
        };
        assert!((1..=60).contains(&retry_after.as_secs()));
        assert!(hasher.hash(password("four")).await.is_ok());
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_does_not_free_its_thread_early() {
        let hasher = Hasher::new(&config(12, 1, 0));
        let given_up = tokio::time::timeout(Duration::from_millis(5), hasher.hash(password("one"))).await;
        assert!(given_up.is_err());
        assert!(matches!(
            hasher.hash(password("two")).await,
            Err(HashError::Busy { .. })
        ));
    }
}
