//! Servers that die, and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::{metrics, reasons, route_to};
use crate::support::process::free_address;
use crate::support::upstream::each;
use crate::support::{DEADLINE, Reply, TestGateway, Upstream, eventually, when};

const SOON: &str = "eject.time = \"100ms\"\n";

/// Closes the connection so that the other end is told of an error, not of an end.
fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
}

/// How many of `count` requests of this method, eight at a time, are not answered with 200.
async fn failures(gateway: &TestGateway, method: &str, count: usize) -> usize {
    let each = |share: usize| async move {
        let mut failed = 0;
        for _ in 0..share {
            let method = method.parse().unwrap();
            let answer = gateway.http.request(method, gateway.url("/up")).send().await.unwrap();
            failed += usize::from(answer.status() != 200);
        }
        failed
    };
    join_all((0..8).map(|_| each(count / 8))).await.into_iter().sum()
}

#[tokio::test]
async fn with_half_of_the_servers_refusing_no_client_sees_anything() {
    let live = [Upstream::echo().await, Upstream::echo().await];
    let urls = [
        live[0].url(),
        live[1].url(),
        format!("http://{}", free_address()),
        format!("http://{}", free_address()),
    ];
    let gateway = TestGateway::start(&route_to(&urls, SOON)).await;
    // Nothing is sent where no connection is made: it may go elsewhere, whatever its method.
    assert_eq!(failures(&gateway, "POST", 400).await, 0);
    assert_eq!(failures(&gateway, "GET", 400).await, 0);
    let told = reasons(&gateway).await;
    assert_eq!(told.matches("ejected").count(), 2, "{told}");
}

#[tokio::test]
async fn with_half_of_the_servers_breaking_off_clients_see_no_more_than_what_was_in_flight() {
    let live = [Upstream::echo().await, Upstream::echo().await];
    let killed = || {
        each(|mut stream| async move {
            let _ = stream.read(&mut [0; 4096]).await;
            reset(&stream);
        })
    };
    let ((first, _first), (second, _second)) = (killed().await, killed().await);
    let urls = [
        live[0].url(),
        live[1].url(),
        format!("http://{first}"),
        format!("http://{second}"),
    ];
    let settings = "eject.after = 2\neject.time = \"1h\"\neject.max_time = \"1h\"\n";
    let gateway = TestGateway::start(&route_to(&urls, settings)).await;
    // Not sent twice, since it may have been done: what each dead server is sent until it is ejected fails. That is two
    // requests one after the other, and those that were on their way meanwhile.
    let failed = failures(&gateway, "POST", 800).await;
    assert!((4..=4 + 2 * 8).contains(&failed), "{failed}");
    assert_eq!(failures(&gateway, "POST", 400).await, 0, "both are ejected");
    let counts = metrics(&gateway).await;
    assert_eq!(counts["doorward_upstream_ejections_total{upstream=\"app\"}"], 2);

    // What may be sent again is, and nobody sees anything.
    let gateway = TestGateway::start(&route_to(&urls, settings)).await;
    assert_eq!(failures(&gateway, "GET", 800).await, 0);
}

#[tokio::test]
async fn all_servers_may_die_and_come_back_without_a_word_to_the_gateway() {
    let mut servers = vec![Upstream::echo().await, Upstream::echo().await];
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let urls: Vec<String> = servers.iter().map(Upstream::url).collect();
    let gateway = TestGateway::start(&route_to(&urls, &format!("eject.after = 2\n{SOON}"))).await;
    assert_eq!(failures(&gateway, "GET", 16).await, 0);
    servers.clear();
    let ask = async || gateway.get("/up", None).await.0;
    eventually(DEADLINE, "all are dead", || async { when(ask().await == 502) }).await;
    for _ in 0..20 {
        assert_eq!(
            ask().await,
            502,
            "the last server is never ejected: it is tried, and found dead"
        );
    }
    for address in addresses {
        let listener = eventually(DEADLINE, "the port is free", || async {
            TcpListener::bind(address).await.ok()
        })
        .await;
        servers.push(Upstream::on(listener, |_| Reply::ok("back")));
    }
    eventually(DEADLINE, "both get requests", || async {
        when(ask().await == 200 && servers.iter().all(|server| !server.seen().is_empty()))
    })
    .await;
    eventually(DEADLINE, "nothing is left to tell", || async {
        ask().await;
        when(reasons(&gateway).await == "[]")
    })
    .await;
    assert_eq!(failures(&gateway, "GET", 80).await, 0);
}

#[tokio::test]
async fn a_server_that_answers_with_errors_is_ejected_where_the_configuration_says_so() {
    let well = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&well);
    let sick = Upstream::start(move |_| {
        if switch.load(Ordering::SeqCst) {
            Reply::ok("ok")
        } else {
            Reply::raw("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        }
    })
    .await;
    let other = Upstream::echo().await;
    let settings = format!("balance = \"round-robin\"\neject.after = 3\neject.on_status = \"500-599\"\n{SOON}");
    let gateway = TestGateway::start(&route_to(&[sick.url(), other.url()], &settings)).await;
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(gateway.get("/up", None).await.0);
    }
    assert_eq!(
        answers.iter().filter(|status| **status == 503).count(),
        3,
        "{answers:?}"
    );
    assert!(reasons(&gateway).await.contains("ejected"));
    well.store(true, Ordering::SeqCst);
    let before = sick.seen().len();
    eventually(DEADLINE, "it is tried, and back", || async {
        gateway.get("/up", None).await;
        when(reasons(&gateway).await == "[]")
    })
    .await;
    assert!(sick.seen().len() > before);
}

#[tokio::test]
async fn a_server_that_stays_dead_is_tried_by_one_request_at_a_time_and_ever_more_rarely() {
    let live = Upstream::echo().await;
    let (dead, tries) = {
        let tries = Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = Arc::clone(&tries);
        let server = each(move |mut stream| {
            let noted = Arc::clone(&noted);
            async move {
                let _ = stream.read(&mut [0; 4096]).await;
                noted.lock().unwrap().push(doorward::time::monotonic());
                reset(&stream);
            }
        })
        .await;
        (server, tries)
    };
    let settings = "eject.after = 1\neject.time = \"100ms\"\n";
    let gateway = TestGateway::start(&route_to(&[live.url(), format!("http://{}", dead.0)], settings)).await;
    let count = || tries.lock().unwrap().len();
    eventually(DEADLINE, "it was tried four times", || async {
        assert_eq!(gateway.get("/up", None).await.0, 200);
        when(count() >= 4)
    })
    .await;
    let times = tries.lock().unwrap().clone();
    for (index, pair) in times.windows(2).take(3).enumerate() {
        let pause = pair[1].duration_since(pair[0]).as_millis();
        assert!(pause + 5 >= 100 << index, "{times:?}");
    }
}
