//! Guessing passwords: slow for whoever guesses, from wherever and on however many gateways, and never the end of it for
//! whoever owns the account. On SQLite and on MariaDB.

mod logins;
mod millions;
mod others;
mod owners;

use serde_json::{Value, json};

use crate::support::account::PASSWORD;
use crate::support::{Account, Backend, TestGateway, Upstream, usual_routes};

/// Makes two tests of each function, one on each database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::Backend::Sqlite).await;
            })*
        }
        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::Backend::MariaDb).await;
            })*
        }
    };
}

use on_both;

/// What a login, or whatever else was tried, was answered.
#[derive(Debug)]
struct Told {
    status: u16,
    /// The seconds of `Retry-After`.
    wait: Option<u64>,
    body: Value,
}

/// A gateway that believes this test where clients are, with this `[throttle]` beside its defaults.
struct Scene {
    gateway: TestGateway,
    _upstream: Upstream,
}

impl Scene {
    async fn start(backend: Backend, throttle: &str) -> Self {
        Self::start_with(backend, throttle, "trusted_proxies = [\"127.0.0.1\"]").await
    }

    async fn start_with(backend: Backend, throttle: &str, server: &str) -> Self {
        let upstream = Upstream::echo().await;
        let routes = usual_routes(&upstream);
        let toml = format!("[server]\n{server}\n[throttle]\n{throttle}\n{routes}");
        Self {
            gateway: TestGateway::start_on(backend, &toml).await,
            _upstream: upstream,
        }
    }

    /// An account that was made somewhere else than where the tests guess.
    async fn account(&self, name: &str) -> Account {
        Account::sign_up_as(&self.gateway, &format!("{name}@example.com"), "Ann Lee").await
    }
}

/// Sends this to an endpoint as a client at this address.
async fn send(gateway: &TestGateway, path: &str, from: &str, token: Option<&str>, body: &Value) -> Told {
    send_to(&gateway.http, &gateway.url(path), from, token, body).await
}

/// The same for a gateway of any kind.
async fn send_to(http: &reqwest::Client, url: &str, from: &str, token: Option<&str>, body: &Value) -> Told {
    let mut request = http.post(url).header("x-forwarded-for", from);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.json(body).send().await.expect("an answer");
    let wait = answer.headers().get("retry-after");
    let wait = wait.map(|wait| wait.to_str().unwrap().parse().unwrap());
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a whole body");
    Told {
        status,
        wait,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
    }
}

async fn log_in(gateway: &TestGateway, email: &str, password: &str, from: &str) -> Told {
    let body = json!({"email": email, "password": password});
    send(gateway, "/auth/login", from, None, &body).await
}

async fn guess(gateway: &TestGateway, email: &str, from: &str) -> Told {
    log_in(gateway, email, "not-the-password", from).await
}

/// What so many guesses, one after the other, were answered with.
async fn guesses(gateway: &TestGateway, email: &str, from: &str, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(guess(gateway, email, from).await.status);
    }
    statuses
}

/// Logs in with the right password.
async fn enter(gateway: &TestGateway, account: &Account, from: &str) -> u16 {
    log_in(gateway, &account.email, PASSWORD, from).await.status
}
