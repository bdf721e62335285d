//! A name server that does not answer.

use std::net::Ipv4Addr;

use doorward::time::monotonic;

use crate::support::dns::{NameServer, Says};
use crate::support::{DEADLINE, TestGateway, Upstream, eventually, when};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_nobody_resolves_is_refused_in_time_and_used_once_somebody_does() {
    let (upstream, names) = (Upstream::echo().await, NameServer::start(Says::Silence).await);
    let toml = format!(
        "[upstreams.app]\nservers = [\"http://app.example:{}\"]\nconnect_timeout = \"1s\"\n\
         dns.servers = \"{}\"\ndns.min_ttl = \"100ms\"\ndns.max_ttl = \"1s\"\n\
         [[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\n",
        upstream.url().rsplit_once(':').expect("a port").1,
        names.address
    );
    let gateway = TestGateway::start(&toml).await;
    for _ in 0..3 {
        let since = monotonic();
        let (status, body) = gateway.get("/x", None).await;
        assert!(matches!(status, 502..=504), "{status} {body}");
        eprintln!("a name that nobody resolves: {status} after {:?}", since.elapsed());
    }
    names.say(Says::Addresses(vec![Ipv4Addr::LOCALHOST], 1));
    let since = monotonic();
    eventually(DEADLINE, "the name is used", || async {
        when(gateway.get("/x", None).await.0 == 200)
    })
    .await;
    eprintln!("a name that somebody resolves: 200 after {:?}", since.elapsed());
    // What is known by now needs no name server.
    names.say(Says::Silence);
    let asked = names.asked();
    eventually(DEADLINE, "it was asked again", || async {
        when(names.asked() > asked + 2)
    })
    .await;
    assert_eq!(gateway.get("/x", None).await.0, 200);
}
