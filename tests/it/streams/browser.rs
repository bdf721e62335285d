//! Streams and sockets as a browser has them, which is what most of them are for.

use super::clients::Talker;
use super::support::Events;
use crate::support::browser;
use crate::support::upstream::Reply;
use crate::support::{DEADLINE, TestGateway, Upstream, eventually, when};

#[tokio::test]
async fn a_page_has_its_streams_and_its_socket_until_it_logs_out() {
    let events = Events::start().await;
    let mut server = Talker::python(&["serve"]);
    let port = server.line().await;
    let page = include_str!("browser.html");
    let site = Upstream::start(move |seen| match seen.target.as_str() {
        "/site/page" => Reply::raw(&format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}",
            page.len()
        )),
        _ => Reply::ok(""),
    })
    .await;
    let routes = format!(
        "{}[[routes]]\npath = \"/open\"\nupstream = \"app\"\nauth = \"none\"\n\
         [upstreams.chat]\nservers = [\"http://127.0.0.1:{port}\"]\n\
         [[routes]]\npath = \"/ws\"\nupstream = \"chat\"\nupgrades = [\"websocket\"]\nwebsocket_token = \"protocol\"\n\
         [upstreams.site]\nservers = [\"{}\"]\n\
         [[routes]]\npath = \"/site\"\nupstream = \"site\"\nauth = \"none\"\n",
        events.routes(),
        site.url()
    );
    let gateway = TestGateway::start(&routes).await;
    let _browser = browser::open(&gateway.url("/site/page"));
    let told = || async {
        let reports = site.seen_with("/report");
        reports
            .iter()
            .map(|seen| String::from_utf8_lossy(&seen.body).into_owned())
            .collect::<Vec<_>>()
    };
    eventually(DEADLINE, "all is open", || async { when(!told().await.is_empty()) }).await;
    events.send("one");
    eventually(DEADLINE, "all has ended", || async { when(told().await.len() == 3) }).await;
    assert_eq!(
        told().await,
        [
            "open chat hello",
            "seen data: one one",
            "ended 204 1008 token_revoked broken"
        ]
    );
}
