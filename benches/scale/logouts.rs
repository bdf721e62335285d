//! How many logouts a second gateways on one MariaDB answer, each after its commit has reached the disk.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use doorward::id::{Email, SessionId, UserId, UserName};
use doorward::server;
use doorward::store::Store;
use doorward::time::{Clock, Timestamp, monotonic};
use doorward::token::{Blocklist, MasterKey, Subject, Tokens, load_keys};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::mariadb::{Database, Server};
use crate::memory;
use crate::usage::{cpu_time, percentile};

const GATEWAYS: usize = 2;
const CONNECTIONS: usize = 128;
const USERS: usize = 1_000;

pub(crate) async fn logouts(many: usize) {
    // The tests' servers do not care for a power cut. This one does.
    let server = Server::start_with(&[
        "--innodb-flush-log-at-trx-commit=1",
        "--innodb-buffer-pool-size=512M",
        "--innodb-log-file-size=256M",
    ])
    .await;
    let database = Database::create_in(&server).await;
    let dir = tempfile::tempdir().expect("a folder");
    let mut gateways = Vec::new();
    for _ in 0..GATEWAYS {
        let config = doorward::config::parse(&toml(&database), dir.path()).expect("a configuration");
        gateways.push(server::start(config, Clock::system()).await.expect("a gateway"));
    }
    let addresses: Vec<SocketAddr> = gateways.iter().map(|gateway| gateway.addresses()[0]).collect();
    let tokens = prepare(&database, dir.path(), many).await;

    let (tokens, next) = (Arc::new(tokens), Arc::new(AtomicUsize::new(0)));
    let (since, cpu) = (monotonic(), cpu_time());
    let mut clients = JoinSet::new();
    for client in 0..CONNECTIONS {
        let address = addresses[client % GATEWAYS];
        clients.spawn(log_out(address, Arc::clone(&tokens), Arc::clone(&next)));
    }
    let mut took: Vec<Duration> = clients.join_all().await.into_iter().flatten().collect();
    let elapsed = since.elapsed();
    took.sort_unstable();
    println!(
        "logouts: {many} by {CONNECTIONS} connections to {GATEWAYS} gateways on one MariaDB, a sync for each commit: \
         {:.1?}, {} a second, p50 {:.1?}, p99 {:.1?}",
        elapsed,
        many * 1000 / usize::try_from(elapsed.as_millis()).expect("a short time"),
        percentile(&took, 50),
        percentile(&took, 99)
    );
    println!(
        "logouts: gateways and clients used {:.1?} of processor time for them",
        cpu_time().saturating_sub(cpu)
    );
    let store = Store::connect(&database.config()).await.expect("the database");
    let kept = Blocklist::new(&memory::config());
    let rows = kept.load(&store, Clock::system().now()).await.expect("a load");
    assert_eq!(
        (rows, kept.len()),
        (many, many as u64),
        "each logout left one revocation"
    );
    store.close().await;
    for gateway in gateways {
        gateway.drain().await;
    }
}

fn toml(database: &Database) -> String {
    format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        workers = 1
        drain = "1s"
        [admin]
        listen = ""
        [store]
        url = "{}"
        migrate_on_start = true
        [keys]
        create = true
        master_key_file = "master.key"
        [tokens]
        issuer = "http://127.0.0.1:8080/auth"
        [log]
        access = false
        [upstreams.app]
        servers = ["builtin:whoami"]
        [[routes]]
        path = "/"
        upstream = "app"
        "#,
        database.url()
    )
}

/// Users and sessions, straight into the database, and a token of each session by the gateways' own key.
async fn prepare(database: &Database, dir: &Path, many: usize) -> Vec<String> {
    let now = Clock::system().now();
    let (users, ends) = (
        (0..USERS).map(|_| UserId::generate(now)).collect::<Vec<_>>(),
        now + Duration::from_hours(1),
    );
    let rows: Vec<String> = users
        .iter()
        .enumerate()
        .map(|(number, user)| {
            format!(
                "(X'{}', 'user{number}@example.com', 'User', 'x', '[]', 0, 0)",
                hex(user.as_bytes())
            )
        })
        .collect();
    insert(
        database,
        "users (id, email, name, password_hash, roles, created_at, updated_at)",
        &rows,
    )
    .await;
    let sessions: Vec<(SessionId, UserId)> = (0..many)
        .map(|n| (SessionId::generate(now), users[n % USERS]))
        .collect();
    let rows: Vec<String> = sessions
        .iter()
        .map(|(session, user)| session_row(*session, *user, now, ends))
        .collect();
    let columns = "sessions (id, user_id, gen, created_at, last_used_at, expires_at)";
    insert(database, columns, &rows).await;

    let config = doorward::config::parse(&toml(database), dir).expect("a configuration");
    let store = Store::connect(&config.store).await.expect("the database");
    let master = MasterKey::load(&config.keys.master_key_file).expect("the master key");
    let keys = load_keys(&store, &master, now).await.expect("a key");
    let tokens = Tokens::new(&config.tokens, keys, Arc::new(Blocklist::new(&config.revocation)));
    store.close().await;
    let (email, name): (Email, UserName) = ("user@example.com".parse().expect("one"), "User".parse().expect("one"));
    let token = |(session, user): &(SessionId, UserId)| {
        let subject = Subject {
            user: *user,
            email: &email,
            name: &name,
            roles: &[],
            session: *session,
            generation: 1,
            session_expires_at: ends,
        };
        let issued = tokens.issue(&subject, now).expect("a token");
        issued.text.expose().to_owned()
    };
    sessions.iter().map(token).collect()
}

fn session_row(session: SessionId, user: UserId, now: Timestamp, ends: Timestamp) -> String {
    let (now, ends) = (now.unix_ms(), ends.unix_ms());
    format!(
        "(X'{}', X'{}', 1, {now}, {now}, {ends})",
        hex(session.as_bytes()),
        hex(user.as_bytes())
    )
}

fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

async fn insert(database: &Database, columns: &str, rows: &[String]) {
    for chunk in rows.chunks(1_000) {
        database
            .run(&format!("INSERT INTO {columns} VALUES {}", chunk.join(", ")))
            .await;
    }
}

/// One connection, which logs one token after the other out until none is left: how long each took.
async fn log_out(address: SocketAddr, tokens: Arc<Vec<String>>, next: Arc<AtomicUsize>) -> Vec<Duration> {
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    connection.set_nodelay(true).expect("an option");
    let mut took = Vec::new();
    let mut answer = vec![0; 4096];
    while let Some(token) = tokens.get(next.fetch_add(1, Ordering::Relaxed)) {
        let request = format!(
            "POST /auth/logout HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
        );
        let since = monotonic();
        connection.write_all(request.as_bytes()).await.expect("a request");
        let mut read = 0;
        while !answer[..read].ends_with(b"\r\n\r\n") {
            let some = connection.read(&mut answer[read..]).await.expect("an answer");
            assert!(some > 0, "the gateway closed the connection");
            read += some;
        }
        took.push(since.elapsed());
        assert!(
            answer.starts_with(b"HTTP/1.1 204 "),
            "{}",
            String::from_utf8_lossy(&answer[..read])
        );
    }
    took
}
