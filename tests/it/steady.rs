//! What a proxied request costs the database in the long run: nothing, by the database's own count.

use std::time::Duration;

use doorward::time::monotonic;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions, Row};

use crate::support::mariadb::{Database, Server};
use crate::support::{Account, TestGateway, Upstream, usual_routes, within};

/// What clients have ever asked of the server: statements of any kind, and among them queries and pings.
const COUNTERS: [&str; 3] = ["Questions", "Com_select", "Com_admin_commands"];

/// The counters, and one more question.
async fn counted(connection: &mut MySqlConnection) -> [u64; 3] {
    let rows = sqlx::query("SHOW GLOBAL STATUS").fetch_all(connection).await.unwrap();
    COUNTERS.map(|name| {
        let row = rows.iter().find(|row| row.get::<&str, _>(0) == name).unwrap();
        row.get::<&str, _>(1).parse().unwrap()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxied_request_asks_the_database_nothing() {
    const POLL: Duration = Duration::from_mins(1);
    let server = Server::start().await;
    let database = Database::create_in(&server).await;
    let url: MySqlConnectOptions = database.url().parse().unwrap();
    let mut connection = url.disable_statement_logging().connect().await.unwrap();
    let upstream = Upstream::echo().await;
    let toml = format!(
        r#"{}
        [revocation]
        poll_interval = "1m"
        max_staleness = "1h"
        full_reread = "1d"
        [store]
        cleanup_every = "1d"
        "#,
        usual_routes(&upstream)
    );
    let mut gateway = TestGateway::start_with(&toml, Some(database)).await;
    let ann = Account::sign_up(&gateway).await;
    let (second, gone) = (ann.log_in(&gateway).await, ann.log_in(&gateway).await);
    let before = counted(&mut connection).await;
    gateway.log_out(&gone.token).await;
    let after = counted(&mut connection).await;
    assert!(
        after[0] > before[0] + 1 && after[1] > before[1],
        "a logout is counted: {before:?} {after:?}"
    );

    // That the gateway has started is recorded a moment after that.
    let is_recorded = async {
        const COUNT: &str = "SELECT COUNT(*) FROM audit_events WHERE kind = 'started'";
        while sqlx::query_scalar::<_, i64>(COUNT)
            .fetch_one(&mut connection)
            .await
            .unwrap()
            == 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the start is recorded", is_recorded).await;
    let (before, since) = (counted(&mut connection).await, monotonic());
    for round in 0..700 {
        for (path, token, status) in [
            ("/c/orders", Some(&ann.token), 200),
            ("/c/orders", Some(&second.token), 200),
            ("/c/orders", Some(&gone.token), 401),
            ("/admin", Some(&ann.token), 403),
            ("/public", None, 200),
        ] {
            let (answered, body) = gateway.get(path, token.map(String::as_str)).await;
            assert_eq!(answered, status, "{path} in round {round}: {body}");
        }
    }
    let after = counted(&mut connection).await;
    // One more question asks for the counters. A poll is one query, and may ask first whether the connection is alive.
    let polls = 1 + u64::try_from(since.elapsed().as_millis() / POLL.as_millis()).unwrap();
    let asked = [after[0] - before[0] - 1, after[1] - before[1], after[2] - before[2]];
    assert!(
        asked.iter().all(|asked| *asked <= 2 * polls),
        "{asked:?} for 3500 requests and {polls} polls"
    );
    gateway.stop().await;
}
