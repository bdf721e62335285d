//! A gateway whose account may add events and remove them, and not change one.

use std::time::Duration;

use doorward::store::Store;
use doorward::time::Clock;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError};
use sqlx::{AssertSqlSafe, ConnectOptions};
use tokio::sync::Mutex;

use super::{all, credentials, post, recorded, send};
use crate::support::account::PASSWORD;
use crate::support::mariadb::Database;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, usual_routes, when};

/// As the README advises. Migrations are somebody else's.
const RIGHTS: [(&str, &str); 9] = [
    ("audit_events", "SELECT, INSERT, DELETE"),
    ("doorward_migrations", "SELECT"),
    ("users", "SELECT, INSERT, UPDATE, DELETE"),
    ("sessions", "SELECT, INSERT, UPDATE, DELETE"),
    ("refresh_tokens", "SELECT, INSERT, UPDATE, DELETE"),
    ("blocked_tokens", "SELECT, INSERT, UPDATE, DELETE"),
    ("signing_keys", "SELECT, INSERT, UPDATE, DELETE"),
    ("turns", "SELECT, INSERT, UPDATE, DELETE"),
    ("throttles", "SELECT, INSERT, UPDATE, DELETE"),
];

async fn rows(connection: &mut MySqlConnection, table: &str) -> i64 {
    let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(count).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn with_the_rights_of_the_readme_a_gateway_does_all_its_work_and_changes_no_event() {
    let database = Database::create().await;
    let owner = Store::connect(&database.config()).await.unwrap();
    owner.migrate_up(Clock::system().now()).await.unwrap();
    owner.close().await;
    let url = database.account_with(&RIGHTS).await;
    let options: MySqlConnectOptions = url.parse().unwrap();
    let mut connection = options.disable_statement_logging().connect().await.unwrap();
    let upstream = Upstream::echo().await;
    let store = format!("[store]\nurl = {url:?}\nmigrate_on_start = false\ncleanup_every = \"100ms\"\n");
    let gateway = TestGateway::start_with(&format!("{store}{}", usual_routes(&upstream)), Some(database)).await;

    let ann = Account::sign_up(&gateway).await;
    let second = ann.log_in(&gateway).await;
    let wrong = post("/auth/login", None, credentials(&ann.email, "wrong"));
    assert_eq!(send(&gateway, "wrong", &wrong).await.0, 401);
    gateway.log_out(&second.token).await;
    assert_eq!(gateway.get("/c/x", Some(&second.token)).await.0, 401);
    let before = recorded(&gateway, &all(), 7).await;
    let mut kinds: Vec<&str> = before.iter().map(|event| event.kind.as_str()).collect();
    kinds.sort_unstable();
    let expected = [
        "key_created",
        "login",
        "login",
        "login_failed",
        "logout",
        "signup",
        "started",
    ];
    assert_eq!(kinds, expected);

    for statement in [
        "UPDATE audit_events SET kind = 'x'",
        "UPDATE audit_events SET user_id = NULL WHERE seq = 1",
        "INSERT INTO audit_events SELECT * FROM audit_events ON DUPLICATE KEY UPDATE kind = 'x'",
        "TRUNCATE audit_events",
        "ALTER TABLE audit_events ADD more INT",
        "DROP TABLE audit_events",
    ] {
        let refused = sqlx::raw_sql(statement).execute(&mut connection).await.unwrap_err();
        let refused = refused.as_database_error().unwrap();
        // ER_TABLEACCESS_DENIED_ERROR
        assert_eq!(
            refused.downcast_ref::<MySqlDatabaseError>().number(),
            1142,
            "{statement}: {refused}"
        );
    }
    assert_eq!(recorded(&gateway, &all(), 7).await, before);
    let other = sqlx::raw_sql("UPDATE users SET name = 'Eve'")
        .execute(&mut connection)
        .await;
    assert_eq!(
        other.unwrap().rows_affected(),
        1,
        "the account may change what is no event"
    );

    // All of this is old now.
    gateway.shift.advance(Duration::from_hours(400 * 24));
    let tables = [
        "audit_events",
        "sessions",
        "refresh_tokens",
        "blocked_tokens",
        "throttles",
    ];
    let connection = Mutex::new(connection);
    eventually(DEADLINE, "what is old is gone", || async {
        let mut connection = connection.lock().await;
        for table in tables {
            when(rows(&mut connection, table).await == 0)?;
        }
        Some(())
    })
    .await;
    let body = credentials(&ann.email, PASSWORD);
    assert_eq!(send(&gateway, "later", &post("/auth/login", None, body)).await.0, 200);
    let after = recorded(&gateway, &all(), 1).await;
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(after[0].kind, "login");
}
