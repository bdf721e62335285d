//! Migrations.

use doorward::store::{Step, Store, StoreError};

use super::{Db, NOW, later, on_both};

on_both!(
    migrations_go_up_down_and_up_again,
    two_that_migrate_at_once_do_no_harm,
    a_schema_that_is_behind_is_refused,
    a_schema_that_is_ahead_is_refused_by_every_command,
    a_migration_that_stopped_half_way_is_told_and_resumed,
    tables_that_are_not_ours_are_left_alone,
    what_is_dropped_can_be_made_again,
);

/// Every migration, the oldest first.
const ALL: [&str; 3] = ["0001_initial", "0002_throttle", "0003_audit"];

/// The same, the newest first.
fn backwards() -> Vec<&'static str> {
    ALL.into_iter().rev().collect()
}

/// Whether all are applied; none may be half.
async fn is_applied(store: &Store) -> bool {
    let states = store.migration_status().await.unwrap();
    let names: Vec<&str> = states.iter().map(|state| state.name.as_str()).collect();
    assert_eq!(names, ALL);
    assert!(
        (1..)
            .zip(&states)
            .all(|(version, state)| state.version == version && state.known)
    );
    states.iter().all(|state| state.applied_at.is_some())
}

async fn migrations_go_up_down_and_up_again(db: &Db) {
    let store = &db.store;
    assert!(is_applied(store).await);
    assert_eq!(store.migration_status().await.unwrap()[0].applied_at, Some(NOW));
    assert!(store.migrate_up(NOW).await.unwrap().is_empty(), "up is up");
    db.user("ann").await;
    assert!(store.migrate_down(0).await.unwrap().is_empty());
    assert_eq!(store.migrate_down(50).await.unwrap(), backwards());
    assert!(!is_applied(store).await);
    assert!(store.migrate_down(1).await.unwrap().is_empty(), "down is down");
    assert_eq!(store.migrate_up(later(1)).await.unwrap(), ALL);
    store.check_schema().await.unwrap();
    assert_eq!(store.migration_status().await.unwrap()[0].applied_at, Some(later(1)));
    assert!(store.list_users(None, 10).await.unwrap().is_empty());
    db.user("ann").await;
}

async fn two_that_migrate_at_once_do_no_harm(db: &Db) {
    db.store.drop_everything().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = db.replica().await;
        tasks.spawn(async move {
            store.migrate_up(NOW).await.unwrap();
            store.check_schema().await.unwrap();
        });
    }
    tasks.join_all().await;
    db.user("ann").await;
}

async fn a_schema_that_is_behind_is_refused(db: &Db) {
    assert_eq!(db.store.migrate_down(1).await.unwrap(), &backwards()[..1]);
    let behind = db.store.check_schema().await;
    assert!(
        matches!(&behind, Err(StoreError::SchemaBehind { missing }) if missing == backwards()[0]),
        "{behind:?}"
    );
    assert!(behind.unwrap_err().to_string().contains("doorward migrate up"));
    // Also where there was never anything.
    db.store.drop_everything().await.unwrap();
    let behind = db.store.check_schema().await;
    assert!(matches!(behind, Err(StoreError::SchemaBehind { .. })), "{behind:?}");
    assert!(!is_applied(&db.store).await);
}

async fn a_schema_that_is_ahead_is_refused_by_every_command(db: &Db) {
    db.run("INSERT INTO doorward_migrations (version, name, applied_at) VALUES (9999, '9999_future', 5)")
        .await;
    let store = &db.store;
    let refused = |error: StoreError| {
        assert!(
            matches!(&error, StoreError::SchemaAhead { unknown } if unknown == "9999_future"),
            "{error:?}"
        );
    };
    refused(store.check_schema().await.unwrap_err());
    refused(store.migrate_up(NOW).await.unwrap_err());
    refused(store.migrate_down(1).await.unwrap_err());
    refused(store.drop_everything().await.unwrap_err());
    let states = store.migration_status().await.unwrap();
    let last = states.last().unwrap();
    assert_eq!((last.name.as_str(), last.known), ("9999_future", false));
    db.user("ann").await;
}

async fn a_migration_that_stopped_half_way_is_told_and_resumed(db: &Db) {
    let half_way = async |command| match db.store.check_schema().await {
        Err(StoreError::SchemaHalfApplied { name, command: told }) => {
            assert_eq!((name.as_str(), told), ("0001_initial", command));
        }
        other => panic!("{other:?}"),
    };
    db.run("UPDATE doorward_migrations SET under_way = 'down' WHERE version = 1; DROP TABLE refresh_tokens")
        .await;
    half_way(Step::Down).await;
    assert!(!is_applied(&db.store).await);
    assert_eq!(db.store.migrate_down(50).await.unwrap(), backwards());
    // SQLite's own migrations can't stop half-way.
    if db.store.backend_name() == "mysql" {
        db.store.migrate_up(NOW).await.unwrap();
        db.run("UPDATE doorward_migrations SET under_way = 'up' WHERE version = 1; DROP TABLE signing_keys")
            .await;
        half_way(Step::Up).await;
        assert_eq!(db.store.migrate_up(NOW).await.unwrap(), ["0001_initial"]);
    } else {
        assert_eq!(db.store.migrate_up(NOW).await.unwrap(), ALL);
    }
    db.store.check_schema().await.unwrap();
    assert!(db.store.keys().await.unwrap().is_empty());
    db.user("ann").await;
}

async fn tables_that_are_not_ours_are_left_alone(db: &Db) {
    let store = &db.store;
    store.drop_everything().await.unwrap();
    db.run("CREATE TABLE sessions (id INTEGER PRIMARY KEY); INSERT INTO sessions (id) VALUES (7)")
        .await;
    db.run("CREATE TABLE turns (id INTEGER PRIMARY KEY)").await;
    let refused = store.migrate_up(NOW).await.unwrap_err();
    assert!(format!("{refused:?}").contains("`sessions`, `turns`"), "{refused:?}");
    assert!(!is_applied(store).await);
    // Neither way of undoing finds anything to undo.
    assert!(store.migrate_down(50).await.unwrap().is_empty());
    store.drop_everything().await.unwrap();
    db.run("UPDATE sessions SET id = 8 WHERE id = 7; DROP TABLE sessions; DROP TABLE turns")
        .await;
    store.migrate_up(NOW).await.unwrap();
}

async fn what_is_dropped_can_be_made_again(db: &Db) {
    db.user("ann").await;
    db.store.drop_everything().await.unwrap();
    db.store.drop_everything().await.unwrap();
    assert!(db.store.list_users(None, 1).await.is_err());
    db.store.migrate_up(NOW).await.unwrap();
    db.user("ann").await;
}
