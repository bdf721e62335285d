//! What happens when the database does not do what it should.

use std::error::Error;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use doorward::config::{Backend, MySqlTls};
use doorward::secret::Secret;
use doorward::store::{Store, StoreError, WriteUserError};
use doorward::time::monotonic;

use super::keys::key;
use super::{Db, NOW, Place, later, new_session, new_user, on_both, rotation};
use crate::support::mariadb::{Database, PASSWORD, Server};

on_both!(
    a_dropped_call_has_happened_wholly_or_not_at_all,
    a_row_that_is_not_ours_is_told_by_its_column,
    more_callers_than_connections_all_get_their_turn,
);

/// Everything that an error says, at any depth.
fn all_words(error: &StoreError) -> String {
    let mut words = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words} {error} {error:?}");
        source = error.source();
    }
    words
}

async fn a_dropped_call_has_happened_wholly_or_not_at_all(db: &Db) {
    let ann = db.user("ann").await;
    let mut begun = 0;
    // Each call is dropped a little later than the one before, up to after its end.
    for n in 0..60_u8 {
        let session = new_session(&ann, n);
        let start = db.store.start_session(&session);
        drop(tokio::time::timeout(Duration::from_micros(u64::from(n) * 100), start).await);
        let there = db.store.live_sessions(ann.id, NOW).await.unwrap();
        begun = begun.max(there.len());
    }
    // A transaction that was dropped while it was committed may take a moment to be there.
    let done = db.store.end_sessions(ann.id, None, later(900), NOW).await.unwrap();
    assert!(done.len() >= begun);
    for n in 0..60 {
        let refreshed = db.store.rotate_refresh_token(&rotation(n, n + 100, NOW)).await.unwrap();
        assert!(matches!(refreshed, super::Refreshed::Refused), "{n}: {refreshed:?}");
    }
    assert_eq!(db.store.blocked_after(0, 100).await.unwrap().len(), done.len());
    db.user("bob").await;
}

async fn a_row_that_is_not_ours_is_told_by_its_column(db: &Db) {
    let ann = db.user("ann").await;
    db.run("UPDATE users SET name = ''").await;
    let read = db.store.user_by_id(ann.id).await;
    assert!(matches!(read, Err(StoreError::Corrupt("name"))), "{read:?}");
}

async fn more_callers_than_connections_all_get_their_turn(db: &Db) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..100 {
        let store = db.store.clone();
        tasks.spawn(async move {
            let user = store.create_user(&new_user(&format!("user{n}"))).await.unwrap();
            assert!(store.start_session(&new_session(&user, n)).await.unwrap().is_some());
            assert_eq!(store.live_sessions(user.id, NOW).await.unwrap().len(), 1);
        });
    }
    tasks.join_all().await;
}

fn took(since: Instant) -> Duration {
    monotonic() - since
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_a_timeout_within_bounds_and_forgotten_once_it_goes_on() {
    let server = Server::start().await;
    let db = Db::on(Database::create_in(&server).await).await;
    db.store.migrate_up(NOW).await.unwrap();
    let ann = db.user("ann").await;
    let mut config = db.config.clone();
    (config.connect_timeout, config.query_timeout) = (Duration::from_secs(1), Duration::from_secs(1));
    config.max_connections = 2;
    let store = Store::connect(&config).await.unwrap();
    let slow = store.clone();
    store.ping().await.unwrap();
    server.freeze();
    let since = monotonic();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (store, session) = (store.clone(), new_session(&ann, n));
        tasks.spawn(async move {
            let read = store.user_by_id(session.user).await;
            assert!(matches!(read, Err(StoreError::Timeout(_))), "{read:?}");
            let write = store.start_session(&session).await;
            assert!(matches!(write, Err(StoreError::Timeout(_))), "{write:?}");
            let end = store.end_session(session.user, session.id, later(900), NOW).await;
            assert!(matches!(end, Err(StoreError::Timeout(_))), "{end:?}");
            let ping = store.ping().await;
            assert!(matches!(ping, Err(StoreError::Timeout(_))), "{ping:?}");
        });
    }
    tasks.join_all().await;
    assert!(
        took(since) < Duration::from_secs(10),
        "four calls of at most two seconds: {:?}",
        took(since)
    );
    let since = monotonic();
    let fresh = Store::connect(&config).await;
    assert!(matches!(fresh, Err(StoreError::Timeout(_))), "{fresh:?}");
    assert!(took(since) < Duration::from_secs(3), "{:?}", took(since));
    let since = monotonic();
    slow.close().await;
    assert!(took(since) < Duration::from_secs(3), "{:?}", took(since));
    server.thaw();
    let store = Store::connect(&db.config).await.unwrap();
    store.ping().await.unwrap();
    // What was asked while it was frozen happened wholly or not at all.
    let live = store.live_sessions(ann.id, NOW).await.unwrap().len();
    let ended = store.end_sessions(ann.id, None, later(900), NOW).await.unwrap().len();
    assert!(ended >= live);
    drop(db);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_server_closed_are_replaced_without_an_error() {
    let db = Db::mariadb().await;
    let ann = db.user("ann").await;
    let Place::MariaDb(database) = &db.place else {
        panic!("this test is about MariaDB")
    };
    for round in 0..3 {
        database.kill_connections().await;
        assert!(db.store.user_by_id(ann.id).await.unwrap().is_some(), "{round}");
        database.kill_connections().await;
        db.session(&ann, round).await;
        database.kill_connections().await;
        db.user(&format!("user{round}")).await;
    }
}

#[tokio::test]
async fn a_commit_that_failed_and_others_in_the_way_each_time_are_told_as_not_available() {
    let db = Db::mariadb().await;
    // What a Galera node says that was cut off before the commit, and one that can't wait for its cluster.
    for number in [1180, 1205] {
        db.run(&format!(
            "CREATE OR REPLACE TRIGGER cut_off BEFORE INSERT ON users FOR EACH ROW \
             SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'not now'"
        ))
        .await;
        let failed = db.store.create_user(&new_user("ann")).await;
        let unavailable = matches!(failed, Err(WriteUserError::Store(StoreError::Unavailable(_))));
        assert!(unavailable, "{failed:?}");
    }
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_as_such_whatever_the_server_calls_it() {
    let db = Db::mariadb().await;
    let no_space = "(Errcode: 28 \"No space left on device\")";
    for (number, text) in [
        (3, format!("Error writing file {no_space}")),
        (20, format!("Disk is full {no_space}")),
        (1021, format!("Disk full {no_space}")),
        (1026, format!("Error writing file {no_space}")),
        (
            1030,
            "Got error 28 \"No space left on device\" from storage engine InnoDB".to_owned(),
        ),
        (1598, "Binary logging not possible".to_owned()),
    ] {
        db.run(&format!(
            "CREATE OR REPLACE TRIGGER full BEFORE INSERT ON users FOR EACH ROW \
             SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = '{text}'"
        ))
        .await;
        let failed = db.store.create_user(&new_user("ann")).await;
        let unwritable = matches!(failed, Err(WriteUserError::Store(StoreError::Unwritable(_))));
        assert!(unwritable, "{number}: {failed:?}");
    }
    db.run("DROP TRIGGER full").await;
    db.user("ann").await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_once() {
    let db = Db::mariadb().await;
    let mut config = db.config.clone();
    let Backend::MySql(mysql) = &mut config.backend else {
        panic!("this test is about MariaDB")
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    mysql.port = listener.local_addr().unwrap().port();
    drop(listener);
    let since = monotonic();
    let refused = Store::connect(&config).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(took(since) < Duration::from_secs(2), "{:?}", took(since));
}

#[tokio::test]
async fn no_error_holds_the_password_or_a_value_of_a_row() {
    let db = Db::mariadb().await;
    assert!(!format!("{:?}", db.store).contains(PASSWORD));
    let mut config = db.config.clone();
    let Backend::MySql(mysql) = &mut config.backend else {
        panic!("this test is about MariaDB")
    };
    mysql.password = Some(Secret::new("wr0ng-one".to_owned()));
    let denied = Store::connect(&config).await.unwrap_err();
    assert!(matches!(denied, StoreError::Unavailable(_)), "{denied:?}");
    let words = all_words(&denied);
    assert!(words.contains("1045") && !words.contains("wr0ng-one"), "{words}");

    let quoted = key("quoted-by-mysql");
    db.store.insert_key(&quoted).await.unwrap();
    let taken = db.store.insert_key(&quoted).await.unwrap_err();
    let words = all_words(&taken);
    assert!(words.contains("1062") && !words.contains("quoted-by-mysql"), "{words}");
}

#[tokio::test]
async fn tls_that_the_server_does_not_have_is_an_error_where_it_is_required() {
    let db = Db::mariadb().await;
    for tls in [MySqlTls::Required, MySqlTls::VerifyCa, MySqlTls::VerifyIdentity] {
        let mut config = db.config.clone();
        let Backend::MySql(mysql) = &mut config.backend else {
            panic!("this test is about MariaDB")
        };
        mysql.tls = tls;
        let refused = Store::connect(&config).await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_))),
            "{tls:?} {refused:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_that_writes_is_waited_for_up_to_the_query_timeout() {
    let db = Db::sqlite().await;
    let mut config = db.config.clone();
    config.query_timeout = Duration::from_secs(1);
    let store = Store::connect(&config).await.unwrap();
    let ann = db.user("ann").await;
    let file = db.sqlite_file();
    let mut other = sqlx::ConnectOptions::connect(&sqlx::sqlite::SqliteConnectOptions::new().filename(file))
        .await
        .unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let since = monotonic();
    let blocked = store.start_session(&new_session(&ann, 1)).await;
    assert!(matches!(blocked, Err(StoreError::Timeout(_))), "{blocked:?}");
    assert!(took(since) < Duration::from_secs(2), "{:?}", took(since));
    assert!(store.user_by_id(ann.id).await.unwrap().is_some(), "readers do not wait");
    let waiting = tokio::spawn(async move { store.start_session(&new_session(&ann, 2)).await });
    tokio::time::sleep(Duration::from_millis(400)).await;
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    assert!(waiting.await.unwrap().unwrap().is_some());
}
