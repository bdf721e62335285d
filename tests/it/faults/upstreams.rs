//! Upstreams of which no server is left, with the settings that nobody has touched.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{Client, recovers};
use crate::support::process::Process;
use crate::support::{Account, DEADLINE, Reply, Upstream, eventually, usual_routes, when};

/// Two servers, asked whether they are well by `/checked` alone.
fn config(servers: &[Upstream], other: &Upstream) -> String {
    let urls: Vec<String> = servers.iter().map(Upstream::url).collect();
    format!(
        "{}[upstreams.checked]\nservers = {urls:?}\nhealth.path = \"/healthz\"\n\
         [upstreams.unchecked]\nservers = {urls:?}\n\
         [[routes]]\npath = \"/checked\"\nupstream = \"checked\"\n\
         [[routes]]\npath = \"/unchecked\"\nupstream = \"unchecked\"\n",
        usual_routes(other)
    )
}

async fn start_again(servers: &[std::net::SocketAddr]) -> Vec<Upstream> {
    join_all(servers.iter().map(|address| async move {
        let listener = eventually(DEADLINE, "the port is free", || async {
            TcpListener::bind(address).await.ok()
        });
        Upstream::on(listener.await, |_| Reply::ok("back"))
    }))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_whose_servers_all_die_is_refused_and_passes_again_soon_after_they_are_back() {
    let (other, servers) = (
        Upstream::echo().await,
        vec![Upstream::echo().await, Upstream::echo().await],
    );
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let process = Process::serve(&config(&servers, &other)).await;
    let client = Client::at(&process);
    let user = Account::sign_up_at(&client.http, &client.base).await;
    let ask = async |path: &str| {
        let (status, body) = client.get_whole(path, &user.token).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    for path in ["/checked/x", "/unchecked/x"] {
        assert_eq!(ask(path).await.0, 200);
    }

    drop(servers);
    let unreachable = (502, "upstream_unreachable".to_owned());
    let unavailable = (503, "upstream_unavailable".to_owned());
    // Enough for one server to be ejected, and not both.
    for _ in 0..20 {
        assert_eq!(ask("/unchecked/x").await, unreachable);
    }
    // Three checks, ten seconds apart.
    eventually(DEADLINE * 4, "the checks have failed", || async {
        let answer = ask("/checked/x").await;
        assert!([&unreachable, &unavailable].contains(&&answer), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        when(answer == unavailable)
    })
    .await;
    let ready = process.ready().await;
    assert_eq!(ready["ready"], true, "other routes and logins go on");
    let reasons = ready["reasons"].to_string();
    assert_eq!(reasons.matches("down: its checks fail").count(), 2, "{reasons}");
    assert_eq!(reasons.matches("ejected").count(), 1, "{reasons}");
    for line in ["a server is down", "a server is ejected", "an upstream did not answer"] {
        assert!(process.log().contains(line), "{line}");
    }
    assert_eq!(client.get("/c/x", &user.token).await, 200);
    assert_eq!(client.log_in(&user).await.0, 200);

    let servers = start_again(&addresses).await;
    recovers(&client, "all servers of an upstream, by requests", || async {
        when(ask("/unchecked/x").await.0 == 200)
    })
    .await;
    recovers(&client, "all servers of an upstream, by checks", || async {
        when(ask("/checked/x").await.0 == 200)
    })
    .await;
    // The ejected one is tried by one of them.
    for _ in 0..20 {
        assert_eq!(ask("/unchecked/x").await.0, 200);
    }
    eventually(DEADLINE, "the checks have nothing to say", || async {
        let reasons = process.ready().await["reasons"].clone();
        let down = |reason: &Value| reason.as_str().is_some_and(|reason| reason.contains("its checks fail"));
        when(!reasons.as_array().expect("a list").iter().any(down))
    })
    .await;
    assert!(servers.iter().any(|server| !server.seen().is_empty()));
}
