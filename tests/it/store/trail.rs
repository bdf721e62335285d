//! The audit trail: how it is asked, and what becomes of events that are written behind.

use std::collections::BTreeSet;
use std::time::Duration;

use doorward::id::UserId;
use doorward::store::Store;
use doorward::store::audit::{Actor, Detail, Event, EventKind, Filter, Order, Reason, Recorded};
use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;

use super::audit::{all, failed};
use super::{Db, NOW, Place, later, on_both};
use crate::support::mariadb::{Database, Server};
use crate::support::{DEADLINE, eventually, when, within};

on_both!(
    a_query_takes_every_filter_and_pages_without_gap_or_repetition,
    events_of_no_change_are_written_behind_and_all_of_them_by_the_end,
    a_flood_is_bounded_and_what_is_left_out_is_counted,
    a_flood_of_what_had_to_wait_leaves_room_for_what_was_tried,
);

/// Notes 30 events of three users, three kinds and three addresses, one a second, and waits until they are there.
async fn thirty(store: &Store) -> Vec<UserId> {
    let users: Vec<UserId> = (0..3).map(|_| UserId::generate(NOW)).collect();
    let kinds = [
        EventKind::LoginFailed,
        EventKind::LoginThrottled,
        EventKind::PasswordChangeFailed,
    ];
    let addresses = ["192.0.2.1", "192.0.2.200", "2001:db8::1"];
    for n in 0..30_usize {
        let event = Event {
            user: Some(users[n % 3]),
            address: Some(addresses[n / 3 % 3].parse().unwrap()),
            request_id: Some(format!("request-{n}")),
            ..Event::new(kinds[n / 10], Actor::Anonymous, later(n as u64))
        };
        store.note(event.with(Detail::Reason(Reason::WrongPassword)));
    }
    eventually(DEADLINE, "all are written", || async {
        when(super::audit::kinds(store).await.len() == 30)
    })
    .await;
    users
}

async fn a_query_takes_every_filter_and_pages_without_gap_or_repetition(db: &Db) {
    let store = &db.store;
    let users = thirty(store).await;
    let found = async |filter: Filter| {
        let events = store.audit_events(&filter).await.unwrap();
        events
            .iter()
            .map(|event| event.at.since(NOW).as_secs())
            .collect::<Vec<_>>()
    };
    let every: Vec<u64> = (0..30).collect();
    assert_eq!(found(all()).await, every);
    let of = |wanted: &dyn Fn(u64) -> bool| every.iter().copied().filter(|n| wanted(*n)).collect::<Vec<_>>();
    let user = Some(users[1]);
    assert_eq!(found(Filter { user, ..all() }).await, of(&|n| n % 3 == 1));
    let kinds = vec![EventKind::LoginFailed, EventKind::PasswordChangeFailed];
    assert_eq!(found(Filter { kinds, ..all() }).await, of(&|n| n / 10 != 1));
    let (since, until) = (Some(later(7)), Some(later(12)));
    assert_eq!(
        found(Filter { since, until, ..all() }).await,
        of(&|n| (7..12).contains(&n))
    );
    for (network, wanted) in [
        ("192.0.2.1/32", &[0][..]),
        ("192.0.2.0/25", &[0]),
        ("192.0.2.0/24", &[0, 1]),
        ("0.0.0.0/0", &[0, 1]),
        ("2001:db8::/32", &[2]),
        ("198.51.100.0/24", &[]),
    ] {
        let network = Some(network.parse().unwrap());
        assert_eq!(
            found(Filter { network, ..all() }).await,
            of(&|n| wanted.contains(&(n / 3 % 3))),
            "{network:?}"
        );
    }
    let request_id = Some("request-17".to_owned());
    assert_eq!(found(Filter { request_id, ..all() }).await, [17]);
    let (kinds, network) = (vec![EventKind::LoginFailed], Some("192.0.2.1/32".parse().unwrap()));
    let both = Filter {
        user,
        kinds,
        network,
        ..all()
    };
    assert_eq!(found(both).await, of(&|n| n % 3 == 1 && n < 10 && n / 3 % 3 == 0));

    for order in [Order::NewestFirst, Order::OldestFirst] {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = Filter {
                user,
                order,
                after,
                limit: 4,
                ..all()
            };
            let page = store.audit_events(&page).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.seq);
            assert!(page.len() <= 4);
            pages.extend(page.iter().map(|event| event.at.since(NOW).as_secs()));
        }
        if order == Order::NewestFirst {
            pages.reverse();
        }
        assert_eq!(pages, of(&|n| n % 3 == 1), "{order:?}");
    }
}

async fn events_of_no_change_are_written_behind_and_all_of_them_by_the_end(db: &Db) {
    let store = db.replica().await;
    for n in 0..1200 {
        store.note(failed(n));
    }
    store.close().await;
    assert_eq!(store.audit_dropped(), 0);
    let events = db.store.audit_events(&all()).await.unwrap();
    let seconds: Vec<u64> = events.iter().map(|event| event.at.since(NOW).as_secs()).collect();
    assert_eq!(seconds, (0..1200).collect::<Vec<_>>());
}

async fn a_flood_is_bounded_and_what_is_left_out_is_counted(db: &Db) {
    let store = db.replica().await;
    // In one go: nobody writes meanwhile.
    for n in 0..20_000 {
        store.note(failed(n));
    }
    store.close().await;
    let left_out = store.audit_dropped();
    assert!(left_out > 0);
    let events = db.store.audit_events(&all()).await.unwrap();
    let (told, kept): (Vec<&Recorded>, Vec<&Recorded>) = events.iter().partition(|event| event.kind == "not_recorded");
    let told: u64 = told.iter().map(|event| event.details["count"].as_u64().unwrap()).sum();
    assert_eq!(told, left_out, "what is left out is recorded as such");
    assert_eq!(kept.len() as u64 + left_out, 20_000);
}

async fn a_flood_of_what_had_to_wait_leaves_room_for_what_was_tried(db: &Db) {
    let store = db.replica().await;
    // In one go: nobody writes meanwhile.
    for n in 0..20_000 {
        store.note(Event::new(EventKind::RefreshThrottled, Actor::Anonymous, later(n)));
    }
    for n in 0..4000 {
        store.note(failed(n));
    }
    store.close().await;
    let kinds = super::audit::kinds(&db.store).await;
    let number = |wanted: &str| kinds.iter().filter(|kind| *kind == wanted).count() as u64;
    assert_eq!(number("login_failed"), 4000);
    assert_eq!(number("refresh_throttled") + store.audit_dropped(), 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_wait_for_a_database_that_is_away() {
    let server = Server::start().await;
    let db = Db::on(Database::create_in(&server).await).await;
    db.store.migrate_up(NOW).await.unwrap();
    let mut config = db.config.clone();
    (config.connect_timeout, config.query_timeout) = (Duration::from_millis(300), Duration::from_millis(300));
    let store = Store::connect(&config).await.unwrap();
    server.freeze();
    let is_away = async || {
        // A moment passes until all of it stands still.
        eventually(DEADLINE, "the database is away", || async { store.ping().await.err() }).await;
    };
    is_away().await;
    for n in 0..50 {
        store.note(failed(n));
    }
    // The first try has failed by then, and nobody who notes anything waits for that.
    is_away().await;
    is_away().await;
    store.note(failed(50));
    server.thaw();
    eventually(DEADLINE, "all are written", || async {
        let events = db.store.audit_events(&all()).await.unwrap();
        let seconds: BTreeSet<u64> = events.iter().map(|event| event.at.since(NOW).as_secs()).collect();
        when(seconds == (0..=50).collect())
    })
    .await;
    assert_eq!(store.audit_dropped(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_wait_for_a_disk_that_is_full() {
    let db = Db::mariadb().await;
    // What a table without transactions was told stays, though the row that it was told of is refused.
    db.run("CREATE TABLE tries (try INT) ENGINE = MyISAM").await;
    db.run(
        "CREATE TRIGGER full BEFORE INSERT ON audit_events FOR EACH ROW BEGIN INSERT INTO tries VALUES (1); \
         SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1026, MESSAGE_TEXT = 'Error writing file (errno: 28)'; END",
    )
    .await;
    for n in 0..50 {
        db.store.note(failed(n));
    }
    let Place::MariaDb(database) = &db.place else {
        panic!("this test is about MariaDB")
    };
    let url: MySqlConnectOptions = database.url().parse().unwrap();
    let mut connection = url.connect().await.unwrap();
    // Were they given up, nobody would try again.
    let tried_again = async {
        let count = "SELECT COUNT(*) FROM tries";
        while sqlx::query_scalar::<_, i64>(count)
            .fetch_one(&mut connection)
            .await
            .unwrap()
            < 2
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("they are tried again", tried_again).await;
    db.run("DROP TRIGGER full").await;
    eventually(DEADLINE, "all are written", || async {
        when(super::audit::kinds(&db.store).await.len() == 50)
    })
    .await;
    assert_eq!(db.store.audit_dropped(), 0);
}
