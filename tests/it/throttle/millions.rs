//! The table of attempts when it is as full as a long flood has made it.

use std::time::Duration;

use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::{Told, enter, log_in, send_to};
use crate::support::account::PASSWORD;
use crate::support::process::Process;
use crate::support::{Account, DEADLINE, TestGateway, eventually, metric, when};

/// As many as `throttle.capacity` lets in where nothing is said of it.
const ROWS: u32 = 1_000_000;
/// How much memory a gateway may hold more than before they were there: what it does for each of them would show, however
/// little it is.
const GROWTH: u64 = 12 * ROWS as u64;

/// Long waits, so that none ends by itself meanwhile.
const SETTINGS: &str = r#"
    [server]
    trusted_proxies = ["127.0.0.1"]
    [store]
    cleanup_every = "500ms"
    [throttle]
    first_delay = "1h"
    max_delay = "1h"
    [upstreams.me]
    servers = ["builtin:whoami"]
    [[routes]]
    path = "/"
    upstream = "me"
"#;

/// A gateway as a process, and a client behind a proxy that it trusts.
struct Gateway {
    process: Process,
    http: reqwest::Client,
}

impl Gateway {
    async fn ask(&self, path: &str, from: &str, email: &str, password: &str) -> Told {
        let body = json!({"email": email, "password": password, "name": "Ann Lee"});
        let url = format!("http://{}{path}", self.process.address);
        send_to(&self.http, &url, from, None, &body).await
    }

    async fn sign_up(&self, email: &str, from: &str) -> Account {
        let told = self.ask("/auth/signup", from, email, PASSWORD).await;
        assert_eq!(told.status, 201, "{told:?}");
        Account::from_tokens(&told.body)
    }

    async fn log_in(&self, email: &str, from: &str) -> Told {
        self.ask("/auth/login", from, email, PASSWORD).await
    }

    /// What wrong passwords for so many accounts were answered with, each from a network of its own.
    async fn flood(&self, name: &str, number: u8) -> Vec<Told> {
        let mut told = Vec::new();
        for index in 0..number {
            let (email, from) = (format!("{name}{index}@example.com"), format!("10.0.{index}.1"));
            told.push(self.ask("/auth/login", &from, &email, "not-the-password").await);
        }
        told
    }

    async fn table(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.process.path("data/doorward.db"));
        options.disable_statement_logging().connect().await.unwrap()
    }
}

async fn count(table: &mut SqliteConnection) -> u64 {
    let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM throttles WHERE known_until IS NULL");
    u64::try_from(count.fetch_one(table).await.unwrap()).unwrap()
}

/// Adds as many rows as there may be: of failures at accounts, one each, that are forgotten in a day.
async fn fill(table: &mut SqliteConnection) {
    // What stands behind the digest of the account is the kind, and that it is from wherever.
    const INSERT: &str = "WITH RECURSIVE account (number) AS \
        (SELECT 1 UNION ALL SELECT number + 1 FROM account WHERE number < ?) \
        INSERT INTO throttles (id, strikes, moment, expires_at) \
        SELECT unhex(printf('%032x03%030x', number, 0)), 0, 0, (unixepoch() + 86400) * 1000 FROM account";
    sqlx::query(INSERT).bind(ROWS).execute(table).await.unwrap();
}

async fn is_full(http: &reqwest::Client, admin: std::net::SocketAddr) {
    eventually(DEADLINE, "the gateway has counted the rows", || async {
        when(metric(http, admin, "doorward_throttle_rows").await >= Some(f64::from(ROWS)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_a_million_attempts_costs_no_memory_and_keeps_no_owner_out() {
    let mut gateway = Gateway {
        process: Process::serve(SETTINGS).await,
        http: reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap(),
    };
    let ann = gateway.sign_up("ann@example.com", "192.0.2.1").await;
    let bob = gateway.sign_up("bob@example.com", "192.0.2.2").await;
    assert_eq!(gateway.log_in(&ann.email, "203.0.113.1").await.status, 200);
    // All that a flood takes apart from the rows is there before them.
    assert!(gateway.flood("first", 30).await.iter().all(|told| told.status == 401));
    let before = gateway.process.resident_bytes();

    let mut table = gateway.table().await;
    fill(&mut table).await;
    is_full(&gateway.http, gateway.process.admin).await;
    let there = count(&mut table).await;
    let told = gateway.flood("second", 250).await;
    let judged = told.iter().filter(|told| told.status == 401).count();
    assert!((5..=16 * 5).contains(&judged), "{judged}: newcomers share");
    for told in told.iter().filter(|told| told.status != 401) {
        assert_eq!((told.status, &told.body["code"]), (429, &json!("too_many_attempts")));
        assert!((1..=3600).contains(&told.wait.unwrap()), "{told:?}");
    }
    // Of four kinds, sixteen each.
    let after = count(&mut table).await;
    assert!(after <= there + 64, "{there} {after}");
    table.close().await.unwrap();
    assert_eq!(
        gateway.log_in(&ann.email, "203.0.113.1").await.status,
        200,
        "who is known is not touched"
    );
    let told = gateway.log_in(&bob.email, "198.51.100.1").await;
    assert_eq!(
        told.status, 429,
        "an address that is new shares, whoever it is: {told:?}"
    );
    let grown = gateway.process.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes for {ROWS} rows");

    // The longest wait later, by another gateway's clock: the table is as full as before.
    gateway.process.signal("TERM").await;
    gateway.process.ended().await;
    let place = gateway.process.path("data");
    let place = place.display();
    let keys = format!("[keys]\nmaster_key_file = \"{place}/master.key\"\n");
    let settings = SETTINGS.replace("[store]", &format!("[store]\nurl = \"sqlite://{place}/doorward.db\""));
    let second = TestGateway::start(&format!("{settings}{keys}")).await;
    is_full(&second.http, second.admin).await;
    assert_eq!(log_in(&second, &bob.email, PASSWORD, "198.51.100.1").await.status, 429);
    second.shift.advance(Duration::from_hours(1));
    assert_eq!(enter(&second, &bob, "198.51.100.1").await, 200);
}
