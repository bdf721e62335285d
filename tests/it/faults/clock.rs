//! A wall clock that is set wrong, and right again, while the gateway runs.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use super::{Client, recovers};
use crate::support::process::Process;
use crate::support::{Account, DEADLINE, Upstream, eventually, metric, tools, usual_routes, when};

/// The clock of one process, which a file says.
struct WallClock(PathBuf);

impl WallClock {
    fn new(dir: &Path) -> Self {
        let clock = Self(dir.join("clock"));
        clock.set(0);
        clock
    }

    /// So many seconds from the true time. The monotonic clock stays as it is, which nobody sets.
    fn set(&self, seconds: i64) {
        let next = self.0.with_extension("next");
        std::fs::write(&next, format!("{seconds:+}s")).expect("the folder takes a file");
        std::fs::rename(&next, &self.0).expect("a file can be replaced");
    }

    /// Serves by it.
    async fn serve(&self, toml: &str) -> Process {
        let mut command = Command::new("env");
        command
            .arg(format!("LD_PRELOAD={}", tools::faketime().display()))
            .arg(format!("FAKETIME_TIMESTAMP_FILE={}", self.0.display()))
            .args(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"])
            .arg(env!("CARGO_BIN_EXE_doorward"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DOORWARD_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        Process::serve_by(toml, command).await
    }
}

async fn log_in(client: &Client, user: &Account) -> Account {
    let (status, tokens) = client.log_in(user).await;
    assert_eq!(status, 200, "{tokens}");
    Account::from_tokens(&tokens)
}

/// The revocations are read on, though they would be an hour old, or of the future, by the wall clock.
async fn revocations_are_read(client: &Client, process: &Process) {
    // More polls than fit into what is tolerated.
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(process.ready().await["ready"], true);
    }
    let age = metric(&client.http, process.admin, "doorward_revocations_age_seconds").await;
    assert!(age.is_some_and(|age| (0.0..=1.0).contains(&age)), "{age:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_forward_and_back_revives_no_token_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, upstream) = (WallClock::new(dir.path()), Upstream::echo().await);
    let toml = format!(
        "[store]\ncleanup_every = \"100ms\"\n[revocation]\npoll_interval = \"50ms\"\nmax_staleness = \"1s\"\n{}",
        usual_routes(&upstream)
    );
    let mut process = clock.serve(&toml).await;
    let client = Client::at(&process);
    let live = Account::sign_up_at(&client.http, &client.base).await;
    let gone = log_in(&client, &live).await;
    assert_eq!(client.log_out(&gone.token).await, 204);
    let guarded = async |user: &Account| client.get_whole("/c/x", &user.token).await;
    // A worker may tell the time by its last reading of the clock for a tenth of a second.
    let passes = async |user: &Account| {
        eventually(DEADLINE, "the token passes", || async {
            when(guarded(user).await.0 == 200)
        })
        .await;
    };
    passes(&live).await;

    clock.set(3600);
    eventually(DEADLINE, "the token has expired", || async {
        let (status, body) = guarded(&live).await;
        when((status, &body["code"]) == (401, &json!("token_expired")))
    })
    .await;
    assert_eq!(guarded(&gone).await.0, 401);
    assert_eq!(client.get("/public/x", "").await, 200);
    let gone_ahead = log_in(&client, &live).await;
    passes(&gone_ahead).await;
    assert_eq!(client.log_out(&gone_ahead.token).await, 204);
    revocations_are_read(&client, &process).await;

    clock.set(0);
    // It has minutes left.
    recovers(&client, "a clock that was an hour ahead", || async {
        when(guarded(&live).await.0 == 200)
    })
    .await;
    for user in [&gone, &gone_ahead] {
        assert_eq!(guarded(user).await.0, 401);
    }
    revocations_are_read(&client, &process).await;

    clock.set(-3600);
    // By such a clock it is of the future; what matters is what is said of it next.
    let early = client.log_out(&live.token).await;
    assert!(matches!(early, 204 | 401), "{early}");
    let gone_behind = log_in(&client, &live).await;
    passes(&gone_behind).await;
    assert_eq!(client.log_out(&gone_behind.token).await, 204);
    revocations_are_read(&client, &process).await;

    clock.set(0);
    recovers(&client, "a clock that was an hour behind", || async {
        let now = log_in(&client, &live).await;
        when(guarded(&now).await.0 == 200)
    })
    .await;
    revocations_are_read(&client, &process).await;
    let mut refused = vec![gone, gone_ahead, gone_behind];
    if early == 204 {
        refused.push(live.clone());
    }
    for user in &refused {
        assert_eq!(guarded(user).await.0, 401);
    }
    assert_eq!(client.log_in(&live).await.0, 200);
    assert_eq!(
        metric(&client.http, process.admin, "doorward_panics_total").await,
        Some(0.0)
    );

    // What was written by a wrong clock holds for whoever reads it by the right one.
    let first = process.id();
    process.signal("TERM").await;
    assert!(process.ended().await.success());
    tools::forget_faketime(first);
    let again = process.beside("second log");
    eventually(DEADLINE, "it listens", || async {
        let probe = client.http.get(format!("http://{}/readyz", again.admin)).send().await;
        when(probe.is_ok_and(|answer| answer.status() == 200))
    })
    .await;
    for user in &refused {
        assert_eq!(guarded(user).await.0, 401, "{}", again.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_days_ahead_and_back_revive_no_token_and_end_no_session_also_for_who_starts_later() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, upstream) = (WallClock::new(dir.path()), Upstream::echo().await);
    let toml = format!(
        "[store]\ncleanup_every = \"100ms\"\n[log]\nfilter = \"info,doorward::server=debug\"\n{}",
        usual_routes(&upstream)
    );
    let mut process = clock.serve(&toml).await;
    let client = Client::at(&process);
    let live = Account::sign_up_at(&client.http, &client.base).await;
    let gone = log_in(&client, &live).await;
    assert_eq!(client.log_out(&gone.token).await, 204);
    let refresh = async |refresh_token: &str| {
        let body = json!({"refresh_token": refresh_token});
        client.post("/auth/refresh", None, &body).await
    };

    clock.set(40 * 86_400);
    let removals = || process.log().matches("expired rows removed").count();
    let before = removals();
    eventually(DEADLINE, "it has been cleaned up by that clock", || async {
        when(removals() >= before + 3)
    })
    .await;
    assert_eq!(process.log().matches("the clock was set ahead").count(), 1);

    clock.set(0);
    recovers(&client, "a clock that was forty days ahead", || async {
        when(client.get("/c/x", &live.token).await == 200)
    })
    .await;
    let (status, tokens) = refresh(&live.refresh_token).await;
    assert_eq!(status, 200, "{tokens}");
    assert!(client.is_revoked(&gone.token).await);

    let first = process.id();
    process.signal("TERM").await;
    assert!(process.ended().await.success());
    tools::forget_faketime(first);
    let again = process.beside("second log");
    eventually(DEADLINE, "it listens", || async {
        let probe = client.http.get(format!("http://{}/readyz", again.admin)).send().await;
        when(probe.is_ok_and(|answer| answer.status() == 200))
    })
    .await;
    assert!(client.is_revoked(&gone.token).await, "{}", again.log());
    let next = tokens["refresh_token"].as_str().expect("a refresh token");
    assert_eq!(refresh(next).await.0, 200);
}
