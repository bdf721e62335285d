//! [`Redis`]: revocations in a Redis or Valkey, in place of the table `blocked_tokens`.
//!
//! A revocation is written by one script, which merges it with what is known, keeps it for as long as it is needed, and
//! tells of it in a stream that every replica reads. Redis may lose data where the database does not: [`Reader`] gives what
//! it takes to notice that, and [`Redis::write_back`] what it takes to repair it.

mod layout;
mod reader;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, InfoDict, RedisError, RedisResult, cmd};
use tokio::sync::Mutex;
use tokio::time::timeout;

pub use self::reader::{Lease, Position, Reader, State, Told};
use super::error::Cause;
use super::{Revocation, StoreError};
use crate::config;
use crate::id::SessionId;
use crate::redis::{client, describe};
use crate::time::Timestamp;
use layout::Layout;

/// How long one answer of Redis may take, which takes a millisecond as a rule: less than what a replica that starts waits
/// for the others to notice that Redis has lost its data.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How many revocations one script writes: it holds Redis up for about as many microseconds.
const CHUNK: usize = 500;

/// A Redis that keeps revocations. Cheap to clone; all clones share the connection that writes.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    /// Host and port.
    place: String,
    layout: Layout,
    /// What tells this process from others.
    name: String,
    /// How long a connection may take.
    connect_timeout: Duration,
    /// The connection that writes, for all at once.
    writer: Mutex<Option<MultiplexedConnection>>,
}

impl Redis {
    /// Connects, logs in, and makes sure that this Redis forgets nothing to save memory.
    pub async fn connect(config: &config::Redis, connect_timeout: Duration) -> Result<Self, StoreError> {
        let redis = Self::new(config, connect_timeout)?;
        redis.writer().await?;
        Ok(redis)
    }

    /// One that is connected to when it is first needed: not all that is done with a store needs it.
    pub(super) fn new(config: &config::Redis, connect_timeout: Duration) -> Result<Self, StoreError> {
        let place = format!("{}:{}", config.host, config.port);
        let client = client(config).map_err(|cause| named(&place, &cause))?;
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                place,
                layout: Layout::new(&config.prefix),
                name: uuid::Uuid::now_v7().simple().to_string(),
                connect_timeout: connect_timeout.min(PATIENCE),
                writer: Mutex::new(None),
            }),
        })
    }

    /// Host and port.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.inner.place
    }

    /// A connection of its own for reading.
    pub async fn reader(&self) -> Result<Reader, StoreError> {
        Ok(Reader::new(self.clone(), self.open().await?))
    }

    /// Writes revocations, and tells every replica of those that were not known. Of many, some may be written when this
    /// fails: what they cover is refused then. Answers how many were not there.
    pub(super) async fn write(&self, revocations: &[Revocation], now: Timestamp) -> Result<usize, StoreError> {
        let mut absent = 0;
        for chunk in revocations.chunks(CHUNK) {
            absent += self.ask::<usize>(&self.inner.layout.write(chunk, now)).await?;
        }
        Ok(absent)
    }

    /// Writes what Redis has lost: those of the revocations that are still needed. Answers how many Redis did not have.
    pub async fn write_back(&self, revocations: &[Revocation], now: Timestamp) -> Result<usize, StoreError> {
        let needed = revocations.iter().filter(|revocation| revocation.expires_at > now);
        let needed: Vec<Revocation> = needed.copied().collect();
        self.write(&needed, now).await
    }

    /// Whether the whole session is revoked.
    pub(super) async fn has_ended(&self, session: SessionId) -> Result<bool, StoreError> {
        let value: Option<String> = self.ask(&self.inner.layout.session(session)).await?;
        Ok(value.is_some_and(|value| layout::up_to(&value) == Some(u32::MAX)))
    }

    /// Whether Redis answers.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.ask::<String>(&cmd("PING")).await.map(drop)
    }

    pub(super) async fn close(&self) {
        *self.inner.writer.lock().await = None;
    }

    /// Asks by the connection that writes. A connection that has died since it was used last is replaced once: all that is
    /// asked may be asked twice.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let (mut connection, fresh) = self.writer().await?;
        let mut outcome = self.ask_by(&mut connection, command).await;
        if let (Err(Failure::Connection(_)), false) = (&outcome, fresh) {
            let (mut connection, _) = self.writer().await?;
            outcome = self.ask_by(&mut connection, command).await;
        }
        outcome.map_err(|failure| match failure {
            Failure::Connection(error) | Failure::Answer(error) => named(&self.inner.place, &describe(&error)),
            Failure::Timeout => too_late(&self.inner.place, PATIENCE),
        })
    }

    async fn ask_by<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
        command: &Cmd,
    ) -> Result<T, Failure> {
        let failure = match timeout(PATIENCE, command.query_async::<T>(connection)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if is_of_connection(&error) => Failure::Connection(error),
            Ok(Err(error)) => return Err(Failure::Answer(error)),
            Err(_) => Failure::Timeout,
        };
        // Whoever waits for it notices as well, and only one of them has to connect.
        *self.inner.writer.lock().await = None;
        Err(failure)
    }

    /// The connection that writes, and whether it was made just now.
    async fn writer(&self) -> Result<(MultiplexedConnection, bool), StoreError> {
        let mut writer = self.inner.writer.lock().await;
        if let Some(connection) = &*writer {
            return Ok((connection.clone(), false));
        }
        let connection = self.open().await?;
        *writer = Some(connection.clone());
        Ok((connection, true))
    }

    /// A connection that is logged in, to a Redis that may be used.
    async fn open(&self) -> Result<MultiplexedConnection, StoreError> {
        let inner = &self.inner;
        // Every answer is waited for with a limit of ours.
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let opened = async {
            let connected = inner.client.get_multiplexed_async_connection_with_config(&settings);
            let mut connection = connected
                .await
                .map_err(|error| named(&inner.place, &describe(&error)))?;
            self.judge(&mut connection).await?;
            Ok(connection)
        };
        timeout(inner.connect_timeout, opened)
            .await
            .map_err(|_| too_late(&inner.place, inner.connect_timeout))?
    }

    /// Refuses a Redis that would forget revocations, or that takes none.
    async fn judge(&self, connection: &mut MultiplexedConnection) -> Result<(), StoreError> {
        let mut ask = cmd("INFO");
        let info: InfoDict = match ask.query_async(connection).await {
            Ok(info) => info,
            Err(error) if error.code() == Some("NOPERM") => {
                ask = cmd("PING");
                let _: String = ask
                    .query_async(connection)
                    .await
                    .map_err(|error| named(&self.inner.place, &describe(&error)))?;
                tracing::debug!("Redis does not let us read INFO: see to it that maxmemory-policy is noeviction");
                return Ok(());
            }
            Err(error) => return Err(named(&self.inner.place, &describe(&error))),
        };
        let said = |key: &str| info.get::<String>(key).unwrap_or_default();
        let (limit, policy, role) = (said("maxmemory"), said("maxmemory_policy"), said("role"));
        if !matches!(limit.as_str(), "" | "0") && !matches!(policy.as_str(), "" | "noeviction") {
            let forgets = format!(
                "it removes keys once its memory is full (maxmemory-policy {policy}) and would forget revocations: set \
                 maxmemory-policy to noeviction"
            );
            return Err(named(&self.inner.place, &forgets));
        }
        if role == "slave" {
            return Err(named(&self.inner.place, "it is a replica, which takes no writes"));
        }
        Ok(())
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client holds the password.
        f.debug_struct("Redis")
            .field("place", &self.inner.place)
            .finish_non_exhaustive()
    }
}

/// How a command failed.
enum Failure {
    /// The connection is of no more use.
    Connection(RedisError),
    /// Redis said no.
    Answer(RedisError),
    Timeout,
}

/// Whether another connection may do better: this one broke, or leads to a server that has become a replica.
fn is_of_connection(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error() || error.code() == Some("READONLY")
}

/// Waits for an answer, within limits.
async fn bounded<T>(patience: Duration, answer: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
    match timeout(patience, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(StoreError::Redis(Cause::of(describe(&error)))),
        Err(_) => Err(StoreError::Redis(Cause::of(format!("no answer within {patience:?}")))),
    }
}

fn named(place: &str, cause: &str) -> StoreError {
    StoreError::Redis(Cause::of(format!("{place}: {cause}")))
}

fn too_late(place: &str, patience: Duration) -> StoreError {
    named(place, &format!("no answer within {patience:?}"))
}
