//! A Galera cluster of two nodes, one of which is cut off, and gateways that are on either. The first node has more weight, so
//! that it goes on alone.

use std::time::Duration;

use doorward::time::monotonic;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::Client;
use crate::support::account::PASSWORD;
use crate::support::mariadb::{Database, Server};
use crate::support::wire::Wire;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, galera, usual_routes, when};

/// A node may wait for another that is gone until it is sure of that, which is a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection of the test's own to a node.
async fn connect(database: &Database, node: &Server) -> MySqlConnection {
    let url: MySqlConnectOptions = database.url_on(node).parse().expect("a URL");
    url.database("mysql").connect().await.expect("a node takes connections")
}

async fn isolate(database: &Database, node: &Server, isolated: bool) {
    let set = format!(
        "SET GLOBAL wsrep_provider_options = 'gmcast.isolate={}'",
        u8::from(isolated)
    );
    let mut connection = connect(database, node).await;
    let set = sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut connection);
    set.await.expect("a node can be cut off");
}

/// How often one node was in another's way.
async fn conflicts(nodes: &[Server]) -> u64 {
    let mut sum = 0;
    for node in nodes {
        for name in ["wsrep_local_cert_failures", "wsrep_local_bf_aborts"] {
            let count = node.status(name).await.expect("a status variable");
            sum += count.parse::<u64>().expect("a number");
        }
    }
    sum
}

async fn is_refused(gateway: &TestGateway, account: &Account) {
    eventually(DEADLINE, "a logout is known", || async {
        when(gateway.get("/c/x", Some(&account.token)).await.0 == 401)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_node_is_cut_off_goes_on_with_the_other_and_has_forgotten_nothing() {
    let timing = "evs.suspect_timeout=PT2S;evs.inactive_timeout=PT6S;evs.keepalive_period=PT0.5S;\
                  evs.inactive_check_period=PT0.5S";
    let nodes = galera::start(&[&format!("pc.weight=2;{timing}"), timing]).await;
    let [first, second] = &nodes[..] else {
        panic!("two nodes")
    };
    let wire = Wire::to(second.port()).await;
    let upstream = Upstream::echo().await;
    let toml = format!(
        "[store]\nquery_timeout = \"10s\"\n[throttle]\nfree_failures = 1000\n[revocation]\npoll_interval = \"100ms\"\nmax_staleness = \"5s\"\n{}",
        usual_routes(&upstream)
    );
    // The one is on the first node, the other over the wire on the second.
    let here = TestGateway::start_with(&toml, Some(Database::create_in(first).await)).await;
    let there = format!("[store]\nurl = {:?}\n", here.database().url_at(wire.address.port()));
    let there = here.replica_with(&there).await;
    let gateways = [&here, &there];

    // Numbers of rows come in steps of two, odd ones here and even ones there: no gateway misses any.
    let (ann, bob) = (Account::sign_up(&here).await, Account::sign_up(&there).await);
    for _ in 0..3 {
        for (at, other) in [(&here, &there), (&there, &here)] {
            let leaving = ann.log_in(at).await;
            at.log_out(&leaving.token).await;
            is_refused(other, &leaving).await;
        }
    }
    // Attempts at one account write the same rows: a transaction that is in the way of another node's is tried again.
    eventually(PATIENCE, "the nodes are in each other's way", || async {
        let logins = (0..8).map(|number| {
            let login = json!({"email": ann.email, "password": PASSWORD});
            async move { gateways[number % 2].post("/auth/login", &login).await }
        });
        for (status, body) in join_all(logins).await {
            assert_eq!(status, 200, "{body}");
        }
        when(conflicts(&nodes).await > 0)
    })
    .await;
    eprintln!("Galera: {} conflicts", conflicts(&nodes).await);

    let (leaving, held_up) = (ann.log_in(&here).await, bob.log_in(&there).await);
    isolate(here.database(), second, true).await;
    // 1205 is what a read is told that can't wait for what the cluster has committed.
    eventually(PATIENCE, "readiness says that the node is cut off", || async {
        let answer = there.http.get(there.admin_url("/readyz")).send().await.unwrap();
        let (status, why) = (answer.status(), answer.text().await.unwrap());
        let told = why.contains("1205: Lock wait timeout") || why.contains("1047: WSREP has not yet prepared node");
        when(status == 503 && why.contains("the last read of the revocations failed") && told)
    })
    .await;
    let login = json!({"email": bob.email, "password": PASSWORD});
    let (status, body) = there.post("/auth/login", &login).await;
    assert_eq!((status, &body["code"]), (503, &Value::from("store_unavailable")));
    let client = Client::of(&there);
    assert_eq!(client.log_out(&held_up.token).await, 503);
    assert_eq!(client.get("/public/x", "").await, 200);
    // The other one goes on, and what it answers meanwhile holds.
    eventually(PATIENCE, "the first node goes on alone", || async {
        when(here.post("/auth/login", &login).await.0 == 200)
    })
    .await;
    here.log_out(&leaving.token).await;
    eventually(DEADLINE, "who can't know refuses", || async {
        when(there.get("/c/x", Some(&leaving.token)).await.0 == 503)
    })
    .await;

    wire.lead_to(first.port());
    let since = monotonic();
    eventually(DEADLINE, "the gateway goes on with the other node", || async {
        when(client.get("/c/x", &held_up.token).await == 200)
    })
    .await;
    eprintln!("Galera: on the other node after {:?}", since.elapsed());
    assert_eq!(client.get("/c/x", &leaving.token).await, 401);
    assert_eq!(there.post("/auth/login", &login).await.0, 200);
    there.log_out(&held_up.token).await;
    is_refused(&here, &held_up).await;

    isolate(here.database(), second, false).await;
    galera::is_synced(second).await;
    wire.lead_to(second.port());
    let since = monotonic();
    eventually(DEADLINE, "the gateway goes on with its own node", || async {
        when(there.post("/auth/login", &login).await.0 == 200)
    })
    .await;
    eprintln!("Galera: on its own node again after {:?}", since.elapsed());
    for account in [&leaving, &held_up] {
        for gateway in gateways {
            is_refused(gateway, account).await;
        }
    }
    let last = ann.log_in(&there).await;
    there.log_out(&last.token).await;
    is_refused(&here, &last).await;
}
