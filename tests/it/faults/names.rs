//! A name server that does not answer.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{Client, recovers};
use crate::support::dns::{NameServer, Says};
use crate::support::process::Process;
use crate::support::{Account, DEADLINE, Upstream, eventually, usual_routes, when};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_nobody_resolves_is_refused_in_time_and_used_once_somebody_does() {
    let (upstream, names) = (Upstream::echo().await, NameServer::start(Says::Silence).await);
    // The usual routes lead to an address.
    let toml = format!(
        "{}[upstreams.named]\nservers = [\"http://app.example:{}\"]\nconnect_timeout = \"1s\"\n\
         dns.servers = \"{}\"\ndns.min_ttl = \"100ms\"\ndns.max_ttl = \"1s\"\n\
         [[routes]]\npath = \"/named\"\nupstream = \"named\"\nauth = \"none\"\n",
        usual_routes(&upstream),
        upstream.url().rsplit_once(':').expect("a port").1,
        names.address
    );
    let process = Process::serve(&toml).await;
    // What else is asked for waits for no name.
    let (client, mut by_name) = (Client::at(&process), Client::at(&process));
    by_name.open_waits(Duration::from_secs(1));
    let user = Account::sign_up_at(&client.http, &client.base).await;
    let all_else_goes_on = async || {
        assert_eq!(client.log_in(&user).await.0, 200);
        assert_eq!(client.get("/c/x", &user.token).await, 200);
        assert_eq!(client.get("/public/x", "").await, 200);
    };
    for _ in 0..3 {
        let (status, body) = by_name.get_whole("/named/x", "").await;
        assert_eq!((status, body["code"].as_str()), (502, Some("upstream_unreachable")));
        all_else_goes_on().await;
    }
    eventually(DEADLINE, "the log says it", || async {
        let log = process.log();
        let mut lines = log
            .lines()
            .filter(|line| line.contains("a name of servers can't be resolved"));
        when(lines.any(|line| line.contains("app.example")))
    })
    .await;
    names.say(Says::Addresses(vec![Ipv4Addr::LOCALHOST], 1));
    recovers(&by_name, "a name that nobody resolved", || async {
        when(by_name.get("/named/x", "").await == 200)
    })
    .await;
    // What is known by now needs no name server.
    names.say(Says::Silence);
    let asked = names.asked();
    eventually(DEADLINE, "it was asked again", || async {
        when(names.asked() > asked + 2)
    })
    .await;
    assert_eq!(client.get("/named/x", "").await, 200);
    all_else_goes_on().await;
    eprintln!(
        "a name that nobody resolved, all else: the longest answers: {}",
        client.longest()
    );
}
