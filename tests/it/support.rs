//! What the tests stand on: gateways started from a TOML text, an upstream that remembers every byte, and clients that
//! send exactly what they are told.

pub(crate) mod account;
pub(crate) mod answer;
pub(crate) mod browser;
pub(crate) mod dns;
pub(crate) mod galera;
pub(crate) mod gateway;
pub(crate) mod idp;
pub(crate) mod lookups;
pub(crate) mod mariadb;
pub(crate) mod nginx;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod raw;
pub(crate) mod redis;
pub(crate) mod tools;
pub(crate) mod upstream;
pub(crate) mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use account::Account;
pub(crate) use answer::Answer;
pub(crate) use gateway::{Backend, TestGateway, usual_routes};
pub(crate) use raw::{Conversation, exchange};
pub(crate) use upstream::{Reply, Seen, Upstream, describe};

/// How long a test waits for what must happen. Long: a machine under load is slow, and only a failure waits so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How soon what broke must be well again, where `tools/faults` asks for that (`RECOVERY_SECONDS`). It wants a machine that has
/// little else to do: there, and only there, tests hold times to bounds as well.
pub(crate) fn asked_recovery() -> Option<Duration> {
    let seconds = std::env::var("RECOVERY_SECONDS").ok()?;
    Some(Duration::from_secs(seconds.parse().expect("a number of seconds")))
}

/// Waits until `condition` gives a value; panics with `what` when it has not by the deadline.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    deadline: Duration,
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let wait = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(deadline, wait)
        .await
        .unwrap_or_else(|_| panic!("not within {deadline:?}: {what}"))
}

/// `Some(())` when true: for conditions of [`eventually`] that have no value.
pub(crate) fn when(condition: bool) -> Option<()> {
    condition.then_some(())
}

/// The value of a metric on a private listener, by its name with labels.
pub(crate) async fn metric(http: &reqwest::Client, admin: SocketAddr, name: &str) -> Option<f64> {
    let text = http.get(format!("http://{admin}/metrics")).send().await.ok()?;
    let text = text.text().await.ok()?;
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next()?.parse().ok()
}

/// Gives the future's value; panics with `what` when there is none by [`DEADLINE`].
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"))
}
