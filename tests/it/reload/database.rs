//! A reload does not need the database: it neither waits for one that hangs nor fails with one that is gone.

use crate::support::mariadb::{Database, Server};
use crate::support::{TestGateway, Upstream};

fn open(upstream: &Upstream, path: &str) -> String {
    format!(
        "[store]\nconnect_timeout = \"500ms\"\n[upstreams.app]\nservers = [\"{}\"]\n[[routes]]\npath = \"{path}\"\nupstream = \"app\"\nauth = \"none\"\n",
        upstream.url()
    )
}

#[tokio::test]
async fn a_configuration_is_taken_or_refused_while_the_database_hangs_and_when_it_is_dead() {
    let server = Server::start().await;
    let database = Database::create_in(&server).await;
    let upstream = Upstream::echo().await;
    let mut gateway = TestGateway::start_with(&open(&upstream, "/0"), Some(database)).await;
    server.freeze();
    assert_eq!(gateway.reload(&open(&upstream, "/1")).await, Ok(2));
    assert_eq!(gateway.get("/1", None).await.0, 200);
    assert_eq!(gateway.get("/0", None).await.0, 404);
    gateway.reload("[[routes]]\npath = \"/x\"\n").await.unwrap_err();
    assert_eq!(gateway.get("/1", None).await.0, 200);
    server.thaw();
    server.kill();
    assert_eq!(gateway.reload(&open(&upstream, "/2")).await, Ok(3));
    assert_eq!(gateway.get("/2", None).await.0, 200);
    gateway.reload("[[routes]]\npath = \"/x\"\n").await.unwrap_err();
    assert_eq!(gateway.get("/2", None).await.0, 200);
    server.revive().await;
    assert_eq!(gateway.reload(&open(&upstream, "/3")).await, Ok(4));
    let user = crate::support::Account::sign_up(&gateway).await;
    assert_eq!(gateway.get("/3", Some(&user.token)).await.0, 200);
}
