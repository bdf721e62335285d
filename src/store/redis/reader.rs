//! [`Reader`]: a connection that reads revocations, all of them or as they are written.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::streams::{StreamRangeReply, StreamReadReply};
use ::redis::{cmd, pipe};

use super::layout::{self, Layout};
use super::{PATIENCE, Redis, bounded};
use crate::store::{Revocation, StoreError};

/// How many keys one step of a scan looks at.
const PAGE: usize = 5_000;

/// How many revocations one read of the stream brings at the most.
const MANY: usize = 5_000;

/// A place in the stream of revocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position(String);

/// Whether others count this gateway among those that are writing back what they know, and wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// As before.
    Unchanged,
    /// For so long from now.
    For(Duration),
    /// No more.
    Over,
}

/// What there is of Redis' data.
#[derive(Debug)]
pub struct State {
    /// It is another one after Redis has lost its data.
    pub epoch: String,
    /// How long ago the epoch began, by Redis' clock.
    pub age: Duration,
    /// How many gateways, this one included, are writing back what they know.
    pub repairing: u64,
}

/// What one read of the stream brought.
#[derive(Debug)]
pub struct Told {
    /// The revocations, in the order of writing.
    pub revocations: Vec<Revocation>,
    /// Where the next read goes on.
    pub position: Position,
    /// Whether these were all.
    pub complete: bool,
    /// Whether nothing between the last read and this one is missing.
    pub gapless: bool,
    /// The epoch after the read; `None`: there is none.
    pub epoch: Option<String>,
}

/// A connection to Redis that reads. One that has failed is of no more use.
pub struct Reader {
    redis: Redis,
    connection: MultiplexedConnection,
}

impl Reader {
    pub(super) fn new(redis: Redis, connection: MultiplexedConnection) -> Self {
        Self { redis, connection }
    }

    fn layout(&self) -> &Layout {
        &self.redis.inner.layout
    }

    /// What there is of the data; makes a new epoch where there is none, or where Redis was restarted since.
    pub async fn enter(&mut self, lease: Lease) -> Result<State, StoreError> {
        let new_epoch = uuid::Uuid::now_v7().simple().to_string();
        let who = &self.redis.inner.name;
        let command = self.layout().enter(&new_epoch, who, lease);
        let asked = command.query_async::<(String, i64, u64)>(&mut self.connection);
        let (epoch, now, repairing) = bounded(PATIENCE, asked).await?;
        let began = epoch.rsplit_once(' ').and_then(|(_, at)| at.parse::<i64>().ok());
        let age = now.saturating_sub(began.ok_or(StoreError::Corrupt("epoch in Redis"))?);
        Ok(State {
            epoch,
            age: Duration::from_millis(u64::try_from(age).unwrap_or(0)),
            repairing,
        })
    }

    /// The end of the stream.
    pub async fn end(&mut self) -> Result<Position, StoreError> {
        let mut last = cmd("XREVRANGE");
        last.arg(&self.layout().stream).arg("+").arg("-").arg("COUNT").arg(1);
        let found: StreamRangeReply = bounded(PATIENCE, last.query_async(&mut self.connection)).await?;
        Ok(Position(
            found
                .ids
                .first()
                .map_or_else(|| "0-0".to_owned(), |entry| entry.id.clone()),
        ))
    }

    /// Some of the revocations that there are, and where to go on; `None`: these were the last. Begin at 0. Those that are
    /// there from the first call to the last are found, some of them perhaps twice.
    pub async fn page(&mut self, cursor: u64) -> Result<(Vec<Revocation>, Option<u64>), StoreError> {
        let mut scan = cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(self.layout().pattern())
            .arg("COUNT")
            .arg(PAGE);
        let (next, keys): (u64, Vec<String>) = bounded(PATIENCE, scan.query_async(&mut self.connection)).await?;
        let mut found = Vec::with_capacity(keys.len());
        if !keys.is_empty() {
            let mut get = cmd("MGET");
            get.arg(&keys);
            let values: Vec<Option<String>> = bounded(PATIENCE, get.query_async(&mut self.connection)).await?;
            for (key, value) in keys.iter().zip(values) {
                // One that expired in between is gone.
                if let Some(value) = value {
                    let read = self.layout().read(key, &value);
                    found.push(read.ok_or(StoreError::Corrupt("revocation in Redis"))?);
                }
            }
        }
        Ok((found, (next != 0).then_some(next)))
    }

    /// What was written after this place, at once or as soon as there is something, `wait` at the latest (1 ms and more).
    pub async fn after(&mut self, position: &Position, wait: Duration) -> Result<Told, StoreError> {
        let layout = self.layout();
        let wait = wait.max(Duration::from_millis(1));
        let mut asked = pipe();
        // What was read last is still there, so nothing after it was cut off. The epoch comes last: it tells that nothing was
        // lost before all of this was read.
        asked
            .cmd("XRANGE")
            .arg(&layout.stream)
            .arg(&position.0)
            .arg(&position.0)
            .cmd("XREAD")
            .arg("COUNT")
            .arg(MANY)
            .arg("BLOCK")
            .arg(wait.as_millis().to_string())
            .arg("STREAMS")
            .arg(&layout.stream)
            .arg(&position.0)
            .add_command(layout.still());
        let asked =
            asked.query_async::<(StreamRangeReply, Option<StreamReadReply>, Option<String>)>(&mut self.connection);
        let (last, told, epoch) = bounded(wait + PATIENCE, asked).await?;
        let entries = told
            .and_then(|told| told.keys.into_iter().next())
            .map(|stream| stream.ids)
            .unwrap_or_default();
        let mut revocations = Vec::with_capacity(entries.len());
        for entry in &entries {
            // What has none marks the beginning of an epoch.
            if let Some(text) = entry.get::<String>("r") {
                let read = layout::read_told(&text);
                revocations.push(read.ok_or(StoreError::Corrupt("revocation in Redis"))?);
            }
        }
        Ok(Told {
            revocations,
            complete: entries.len() < MANY,
            gapless: !last.ids.is_empty(),
            position: entries
                .into_iter()
                .next_back()
                .map_or_else(|| position.clone(), |entry| Position(entry.id)),
            epoch,
        })
    }
}
