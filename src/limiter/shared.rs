//! [`Shared`]: limits counted in a Redis, by all gateways that use it and by its clock. One script judges all limits that a
//! request is asked for at once.
//!
//! A request waits for it at most as long as `limiter.timeout`. Whoever does not get an answer puts the Redis to rest: nobody
//! asks it until a second later another connection has proved that it counts. Meanwhile each gateway counts by itself.
//! No address and no user stands in Redis, only a hash of them, and each is forgotten once it has its whole burst back.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, RedisError, cmd};
use aws_lc_rs::digest;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::table::Key;
use crate::config;
use crate::lasting::caught;
use crate::redis::{client, describe};
use crate::rules::gcra::{Quota, Verdict};
use crate::time::monotonic;

/// The arithmetic of [`Quota::judge`], for one limit after the other and up to the first that is used up. Times are
/// microseconds, counted from a day on which they are small enough for a double to hold parts of them; half of one is less
/// than rounding may come to. Answers two numbers for each limit: what remains, or less than zero how long to wait; and how
/// long until all of it is there.
const SCRIPT: &str = "
local time = redis.call('TIME')
local now = (time[1] - 1750000000) * 1000000 + time[2]
local answer = {}
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local room = interval * burst
  local arrival = tonumber(redis.call('GET', key) or '0') or 0
  if arrival > now + room then arrival = now + room - interval end
  local ahead = math.max(arrival, now) + interval - now
  if ahead > room + 0.5 then
    answer[2 * i - 1] = -math.max(1, math.ceil(ahead - room))
    answer[2 * i] = math.max(1, math.ceil(ahead - interval))
    return answer
  end
  redis.call('SET', key, string.format('%.3f', now + ahead), 'PX', math.max(1, math.ceil(ahead / 1000)))
  answer[2 * i - 1] = math.max(0, math.floor((room - ahead + 0.5) / interval))
  answer[2 * i] = math.ceil(ahead)
end
return answer";

/// How long a Redis that failed is not asked again.
const REST: Duration = Duration::from_secs(1);

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// A Redis that counts. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub(super) struct Shared(Arc<Inner>);

struct Inner {
    config: config::Redis,
    client: Client,
    /// Host and port.
    place: String,
    /// How long a request waits.
    timeout: Duration,
    /// Where connections live: longer than the worker that noticed that there is none.
    runtime: Option<Handle>,
    state: Mutex<State>,
}

struct State {
    way: Way,
    /// What was logged last: whether Redis counts.
    told: Option<bool>,
}

enum Way {
    /// The connection, and what the script is called in this Redis.
    Connected(MultiplexedConnection, Arc<str>),
    Connecting,
    /// Not to be asked before then.
    Resting(Instant),
}

impl Shared {
    /// The Redis of this configuration, which is being connected to; the one `before`, if it is the same. The error says which
    /// file can't be used.
    pub(super) fn new(config: &config::Redis, timeout: Duration, before: Option<&Self>) -> Result<Self, String> {
        let same = before.filter(|before| before.0.config == *config && before.0.timeout == timeout);
        if let Some(same) = same {
            return Ok(same.clone());
        }
        let shared = Self(Arc::new(Inner {
            config: config.clone(),
            client: client(config)?,
            place: format!("{}:{}", config.host, config.port),
            timeout,
            runtime: Handle::try_current().ok(),
            state: Mutex::new(State {
                way: Way::Resting(monotonic()),
                told: None,
            }),
        }));
        let _ = shared.connection();
        Ok(shared)
    }

    /// What becomes of a request that counts against these limits: a verdict for each up to the first that is used up. `None`:
    /// Redis does not say.
    pub(super) async fn judge(&self, asked: &[(Key<'_>, Quota)]) -> Option<Vec<Verdict>> {
        let inner = &self.0;
        let (mut connection, script) = self.connection()?;
        let mut call = cmd("EVALSHA");
        call.arg(&*script).arg(asked.len());
        for (key, _) in asked {
            call.arg(inner.name(key.limit(), &key.to_string()));
        }
        for (_, quota) in asked {
            let micros = quota.interval().as_secs_f64() * 1e6;
            call.arg(format!("{micros:.3}")).arg(quota.burst());
        }
        let why = match timeout(inner.timeout, call.query_async::<Vec<i64>>(&mut connection)).await {
            Ok(Ok(answer)) => match verdicts(&answer, asked.len()) {
                Some(verdicts) => return Some(verdicts),
                None => "an answer that is none".to_owned(),
            },
            Ok(Err(error)) => describe(&error),
            Err(_) => format!("no answer within {:?}", inner.timeout),
        };
        let mut state = inner.state();
        // Of those who waited for the same answer, the first one says so.
        if matches!(&state.way, Way::Connected(_, of) if Arc::ptr_eq(of, &script)) {
            inner.rest(&mut state, &why);
        }
        None
    }

    /// The connection, if there is one. If there is none, one is being made, or will be after a rest.
    fn connection(&self) -> Option<(MultiplexedConnection, Arc<str>)> {
        let mut state = self.0.state();
        match &state.way {
            Way::Connected(connection, script) => return Some((connection.clone(), Arc::clone(script))),
            Way::Resting(until) if *until <= monotonic() => {}
            Way::Connecting | Way::Resting(_) => return None,
        }
        let runtime = self.0.runtime.as_ref()?;
        state.way = Way::Connecting;
        let inner = Arc::clone(&self.0);
        runtime.spawn(async move {
            // Whatever becomes of it: while it is thought to go on, nobody else tries.
            let connected = caught(inner.connect()).await;
            let connected = connected.unwrap_or_else(|panicked| Err(panicked.to_string()));
            let mut state = inner.state();
            match connected {
                Ok((connection, script)) => {
                    state.way = Way::Connected(connection, script);
                    if state.told.replace(true) != Some(true) {
                        tracing::info!(place = inner.place, "limits are counted in Redis");
                    }
                }
                Err(why) => inner.rest(&mut state, &why),
            }
        });
        None
    }
}

impl Inner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to a Redis that has proved that it counts, and in time.
    async fn connect(&self) -> Result<(MultiplexedConnection, Arc<str>), String> {
        // Every answer is waited for with a limit of ours.
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let prepared = async {
            let connecting = self.client.get_multiplexed_async_connection_with_config(&settings);
            let mut connection = connecting.await?;
            let mut load = cmd("SCRIPT");
            let script: String = load.arg("LOAD").arg(SCRIPT).query_async(&mut connection).await?;
            Ok::<_, RedisError>((connection, script))
        };
        let prepared = timeout(CONNECT, prepared).await;
        let prepared = prepared.map_err(|_| format!("no connection within {CONNECT:?}"))?;
        let (mut connection, script) = prepared.map_err(|error| describe(&error))?;
        let mut probe = cmd("EVALSHA");
        probe.arg(&script).arg(1).arg(self.name("probe", "probe")).arg(1).arg(1);
        let answer = timeout(self.timeout, probe.query_async::<Vec<i64>>(&mut connection)).await;
        let answer = answer.map_err(|_| format!("no answer within {:?}", self.timeout))?;
        answer.map_err(|error| describe(&error))?;
        Ok((connection, script.into()))
    }

    fn rest(&self, state: &mut State, why: &str) {
        state.way = Way::Resting(monotonic() + REST);
        if state.told.replace(false) != Some(false) {
            tracing::warn!(
                place = self.place,
                error = why,
                "limits are counted by this gateway alone"
            );
        }
    }

    /// What a client is called in Redis. All are in one slot of a cluster, as one script asks for several of them.
    fn name(&self, limit: &str, client: &str) -> String {
        let hash = digest::digest(&digest::SHA256, client.as_bytes());
        let hash = hash.as_ref().first_chunk().copied().map_or(0, u128::from_be_bytes);
        format!("{{{}}}:limit:{limit}:{hash:032x}", self.config.prefix)
    }
}

/// Reads what the script answered to so many limits: all but the last one passed.
fn verdicts(answer: &[i64], asked: usize) -> Option<Vec<Verdict>> {
    let (pairs, rest) = answer.as_chunks::<2>();
    let verdicts: Vec<Verdict> = pairs.iter().map(verdict).collect();
    let passed = |verdict: &Verdict| matches!(verdict, Verdict::Passes { .. });
    let complete = match verdicts.split_last() {
        Some((last, before)) => before.iter().all(passed) && (!passed(last) || verdicts.len() == asked),
        None => false,
    };
    (rest.is_empty() && complete && verdicts.len() <= asked).then_some(verdicts)
}

fn verdict([standing, reset]: &[i64; 2]) -> Verdict {
    let reset = Duration::from_micros(reset.unsigned_abs());
    if *standing < 0 {
        Verdict::Exceeds {
            retry_after: Duration::from_micros(standing.unsigned_abs()),
            reset,
        }
    } else {
        Verdict::Passes {
            // Redis remembers it.
            arrival: 0,
            remaining: u32::try_from(*standing).unwrap_or(u32::MAX),
            reset,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client holds the password.
        f.debug_struct("Shared")
            .field("place", &self.0.place)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_verdict_for_each_limit_up_to_the_first_that_is_used_up() {
        let read = |answer: &[i64], asked| {
            verdicts(answer, asked).map(|verdicts| {
                let passes = verdicts.iter().map(|verdict| matches!(verdict, Verdict::Passes { .. }));
                passes.collect::<Vec<_>>()
            })
        };
        assert_eq!(read(&[3, 10, 0, 20], 2), Some(vec![true, true]));
        assert_eq!(read(&[3, 10, -1, 20], 2), Some(vec![true, false]));
        assert_eq!(read(&[-1, 10], 2), Some(vec![false]));
        for bad in [
            &[][..],
            &[3],
            &[3, 10],
            &[3, 10, 0],
            &[-1, 10, 3, 10],
            &[3, 10, 3, 10, 3, 10],
        ] {
            assert_eq!(read(bad, 2), None, "{bad:?}");
        }
    }
}
