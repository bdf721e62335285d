//! A Galera cluster of two nodes, one of which is cut off, and gateways that are on either. The first node has more weight, so
//! that it goes on alone.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::kept::{Kept, Meanwhile, Refused};
use super::told::Told;
use super::{Client, recovers};
use crate::support::mariadb::{self, Database, Server};
use crate::support::process::Process;
use crate::support::wire::Wire;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, galera, usual_routes, when};

/// A node may wait for another that is gone until it is sure of that, which is a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a question to the database may take: the time for a connection, which is as it comes, and that for an answer; twice, as a
/// connection that had died is replaced once.
const TIMEOUTS: Duration = Duration::from_secs(2 * (5 + 10));

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

async fn is_refused(client: &Client, account: &Account) {
    eventually(DEADLINE, "a logout is known", || async {
        when(client.is_revoked(&account.token).await)
    })
    .await;
}

async fn log_in(client: &Client, user: &Account) -> Account {
    let (status, tokens) = client.log_in(user).await;
    assert_eq!(status, 200, "{tokens}");
    Account::from_tokens(&tokens)
}

/// What one does is known to the other soon. Numbers of rows come in steps of two, odd ones here and even ones there: no gateway
/// misses any.
async fn each_knows_what_the_other_does(user: &Account, [here, there]: [&Client; 2]) {
    for _ in 0..3 {
        for (at, other) in [(here, there), (there, here)] {
            let leaving = log_in(at, user).await;
            assert_eq!(at.log_out(&leaving.token).await, 204);
            is_refused(other, &leaving).await;
        }
    }
}

/// Attempts at one account write the same rows: a transaction that is in the way of another node's is tried again.
async fn conflicts_are_nobodys_business(nodes: &[Server], user: &Account, clients: [&Client; 2]) {
    eventually(PATIENCE, "the nodes are in each other's way", || async {
        let logins = (0..8).map(|number| clients[number % 2].log_in(user));
        for (status, body) in join_all(logins).await {
            assert_eq!(status, 200, "{body}");
        }
        when(conflicts(nodes).await > 0)
    })
    .await;
    eprintln!("Galera: {} conflicts", conflicts(nodes).await);
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
        "[tokens]\nissuer = \"http://gateways.example/auth\"\n[throttle]\nfree_failures = 1000\n[revocation]\npoll_interval = \"100ms\"\nmax_staleness = \"5s\"\n{}",
        usual_routes(&upstream)
    );
    // The one is on the first node, the other over the wire on the second.
    let store = "[store]\nquery_timeout = \"10s\"\n";
    let gateway = TestGateway::start_with(&format!("{store}{toml}"), Some(Database::create_in(first).await)).await;
    let (database, key) = (gateway.database(), gateway.path("data/master.key"));
    let there = format!(
        "{store}url = {:?}\n[keys]\nmaster_key_file = {key:?}\n{toml}",
        database.url_at(wire.address.port())
    );
    let process = Process::serve(&there).await;
    let mut here = Client::new(gateway.url(""), gateway.http.clone());
    let mut there = Client::at(&process);
    for client in [&mut here, &mut there] {
        client.auth_waits(TIMEOUTS);
    }
    let user = Account::sign_up_at(&here.http, &here.base).await;
    each_knows_what_the_other_does(&user, [&here, &there]).await;
    conflicts_are_nobodys_business(&nodes, &user, [&here, &there]).await;

    let (mut alone, mut cut_off) = (Kept::before(&here).await, Kept::before(&there).await);
    for (other, kept) in [(&there, &alone), (&here, &cut_off)] {
        is_refused(other, &kept.gone).await;
    }
    let told = Told::by(&process).await;
    isolate(database, second, true).await;
    // 1205 is what a read is told that can't wait for what the cluster has committed.
    let words = [
        "1205: Lock wait timeout",
        "1047: WSREP has not yet prepared node",
        "the database did not answer within 10s",
    ];
    Told::not_ready_within(PATIENCE, &process, &words).await;
    assert_eq!(cut_off.meanwhile(&there).await, Meanwhile::REFUSED);
    assert_eq!(there.log_in(&cut_off.known).await.0, 503);
    assert_eq!(there.get("/public/x", "").await, 200);
    for kept in [&alone, &cut_off] {
        assert_eq!(
            there.get("/c/x", &kept.known.token).await,
            503,
            "who can't know refuses"
        );
        assert!(there.is_revoked(&kept.gone.token).await);
    }
    told.that_guarded_routes_are_refused(&process, "the database", &words)
        .await;
    // The other one goes on, and what it answers meanwhile holds.
    eventually(PATIENCE, "the first node goes on alone", || async {
        when(here.log_in(&alone.known).await.0 == 200)
    })
    .await;
    assert_eq!(alone.meanwhile(&here).await, Meanwhile::DONE);
    assert_eq!(
        there.get("/c/x", &alone.leaving.token).await,
        503,
        "who can't know refuses"
    );

    wire.lead_to(first.port());
    recovers(&there, "Galera, on the other node", || async {
        when(there.get("/c/x", &cut_off.known.token).await == 200)
    })
    .await;
    assert!(there.is_revoked(&alone.leaving.token).await, "it knows by now");
    alone.holds(&there, Refused::Undone).await;
    cut_off.holds(&there, Refused::Unknown).await;

    isolate(database, second, false).await;
    galera::is_synced(second).await;
    wire.lead_to(second.port());
    recovers(&there, "Galera, on its own node again", || async {
        when(there.log_in(&cut_off.known).await.0 == 200)
    })
    .await;
    for client in [&here, &there] {
        for kept in [&mut alone, &mut cut_off] {
            kept.holds(client, Refused::Undone).await;
        }
    }
    each_knows_what_the_other_does(&user, [&here, &there]).await;
    eprintln!("Galera, on the first node: the longest answers: {}", here.longest());
    let log = process.log();
    for secret in cut_off.secrets().into_iter().chain([mariadb::PASSWORD]) {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
