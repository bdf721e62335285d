//! A database that takes no writes, or takes them slowly.

use serde_json::{Value, json};

use super::{Client, PATIENCE};
use crate::support::account::PASSWORD;
use crate::support::mariadb::{Database, Server};
use crate::support::process::{Process, limit_files};
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, usual_routes, when};

#[tokio::test]
async fn a_database_that_is_slow_delays_nobody_beyond_the_timeout_and_loses_nothing() {
    let upstream = Upstream::echo().await;
    let database = Database::create().await;
    let toml = format!("{PATIENCE}{}", usual_routes(&upstream));
    let gateway = TestGateway::start_with(&toml, Some(database)).await;
    let (client, user) = (Client::of(&gateway), Account::sign_up(&gateway).await);
    let database = gateway.database();
    let lock = database.lock_tables("sessions WRITE, refresh_tokens WRITE").await;
    let (status, body) = client.post("/auth/logout", Some(&user.token), &Value::Null).await;
    assert_eq!((status, &body["code"]), (503, &json!("store_unavailable")));
    assert_eq!(
        client.get("/c/x", &user.token).await,
        200,
        "the logout has not happened"
    );
    assert_eq!(client.get("/public/x", "").await, 200);
    lock.release().await;
    client.all_of_it_happens_now(&user).await;
}

#[tokio::test]
async fn a_database_that_turns_read_only_keeps_what_it_has_and_takes_the_rest_later() {
    let server = Server::start().await;
    let upstream = Upstream::echo().await;
    let database = Database::create_in(&server).await;
    let store = format!("[store]\nmigrate_on_start = true\nurl = {:?}", database.plain_url());
    let toml = format!(
        "{}[keys]\ncreate = true\n{}",
        PATIENCE.replace("[store]", &store),
        usual_routes(&upstream)
    );
    let process = Process::serve(&toml).await;
    let client = Client::at(&process);
    let user = Account::sign_up_at(&client.http, &client.base).await;
    database.run("SET GLOBAL read_only = ON").await;
    client.nothing_is_written_and_the_rest_goes_on(&user).await;
    assert_eq!(process.ready().await["ready"], true, "guarded routes go on");
    eventually(DEADLINE, "the log says it", || async {
        when(process.log().lines().any(|line| {
            line.contains("the store is not available") && line.contains("the database takes no writes: 1290")
        }))
    })
    .await;
    database.run("SET GLOBAL read_only = OFF").await;
    client.all_of_it_happens_now(&user).await;
}

#[tokio::test]
async fn a_full_mariadb_keeps_what_it_has_and_takes_the_rest_later() {
    const LARGEST: u64 = 16 << 20;
    let server = Server::start().await;
    let upstream = Upstream::echo().await;
    let database = Database::create_in(&server).await;
    let toml = format!("{PATIENCE}{}", usual_routes(&upstream));
    let gateway = TestGateway::start_with(&toml, Some(database)).await;
    let (client, user) = (Client::of(&gateway), Account::sign_up(&gateway).await);
    let database = gateway.database();
    // Each table a little below the limit, and each row that comes wants a page of its own soon.
    limit_files(server.id(), Some(LARGEST)).await;
    database.fill_with_revocations().await;
    let (status, body) = client.post("/auth/logout", Some(&user.token), &Value::Null).await;
    assert_eq!((status, &body["code"]), (503, &json!("store_unavailable")), "{body}");
    assert_eq!(client.get("/c/x", &user.token).await, 200, "no logout has happened");
    let refresh = json!({"refresh_token": user.refresh_token});
    limit_files(server.id(), None).await;
    assert_eq!(client.post("/auth/refresh", None, &refresh).await.0, 200);
    assert_eq!(client.log_out(&user.token).await, 204);
    assert_eq!(client.get("/c/x", &user.token).await, 401);
}

#[tokio::test]
async fn a_full_disk_under_sqlite_and_the_log_loses_nothing_and_is_forgotten_once_there_is_room() {
    let upstream = Upstream::echo().await;
    let toml = format!("{PATIENCE}{}", usual_routes(&upstream));
    let process = Process::serve(&toml).await;
    let client = Client::at(&process);
    let signup = json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"});
    let (status, body) = client.post("/auth/signup", None, &signup).await;
    assert_eq!(status, 201, "{body}");
    let user = Account::from_tokens(&body);
    process.limit_files(Some(1)).await;
    client.nothing_is_written_and_the_rest_goes_on(&user).await;
    process.limit_files(None).await;
    client.all_of_it_happens_now(&user).await;
    assert_eq!(client.get("/public/afterwards", "").await, 200);
    eventually(DEADLINE, "the log goes on", || async {
        when(process.log().contains("/public/afterwards"))
    })
    .await;
}
