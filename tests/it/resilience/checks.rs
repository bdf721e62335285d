//! Active checks: thresholds of consecutive results, and what clients and operators see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{metrics, reasons, route_to};
use crate::support::{DEADLINE, Reply, TestGateway, Upstream, eventually, when};

pub(super) const CHECKS: &str =
    "health.path = \"/healthz?deep\"\nhealth.interval = \"30ms\"\nhealth.host = \"check.example\"\n";

/// A server whose checks pass while the switch is on.
pub(super) async fn switched() -> (Upstream, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&well);
    let server = Upstream::start(move |seen| match seen.target.as_str() {
        "/healthz?deep" if !switch.load(Ordering::SeqCst) => Reply::raw("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
        _ => Reply::ok("ok"),
    })
    .await;
    (server, well)
}

fn checks(server: &Upstream) -> usize {
    server.seen_with("/healthz").len()
}

#[tokio::test]
async fn a_server_whose_checks_fail_gets_no_requests_until_enough_pass_again() {
    let (sick, well) = switched().await;
    let (other, _) = switched().await;
    let settings = format!("{CHECKS}health.failures = 3\nhealth.passes = 2\nbalance = \"round-robin\"\n");
    let gateway = TestGateway::start(&route_to(&[sick.url(), other.url()], &settings)).await;
    eventually(DEADLINE, "it was asked", || async { when(checks(&sick) > 1) }).await;
    let asked = &sick.seen_with("/healthz")[0];
    assert_eq!(
        (asked.method.as_str(), asked.header("host")),
        ("GET", Some("check.example"))
    );

    well.store(false, Ordering::SeqCst);
    let at = checks(&sick);
    let up = format!(
        "doorward_upstream_server_up{{upstream=\"app\",server=\"{}\"}}",
        sick.url()
    );
    eventually(DEADLINE, "it is down", || async {
        when(metrics(&gateway).await[&up] == 0)
    })
    .await;
    assert!(checks(&sick) >= at + 2, "three failures in a row, not one");
    let told = reasons(&gateway).await;
    assert!(told.contains(&sick.url()) && told.contains("its checks fail"), "{told}");
    let before = sick.seen_with("/up").len();
    for _ in 0..10 {
        assert_eq!(gateway.get("/up", None).await.0, 200);
    }
    assert_eq!(sick.seen_with("/up").len(), before);

    well.store(true, Ordering::SeqCst);
    let at = checks(&sick);
    eventually(DEADLINE, "it is up", || async {
        when(metrics(&gateway).await[&up] == 1)
    })
    .await;
    assert!(checks(&sick) > at, "two passes in a row, not one");
    for _ in 0..10 {
        assert_eq!(gateway.get("/up", None).await.0, 200);
    }
    assert!(sick.seen_with("/up").len() >= before + 5);
    assert_eq!(reasons(&gateway).await, "[]");
}

#[tokio::test]
async fn with_all_servers_down_requests_get_503_and_pass_as_soon_as_one_is_up() {
    let (a, a_well) = switched().await;
    let (b, b_well) = switched().await;
    let settings = format!("{CHECKS}health.failures = 1\nhealth.passes = 1\n");
    let gateway = TestGateway::start(&route_to(&[a.url(), b.url()], &settings)).await;
    a_well.store(false, Ordering::SeqCst);
    b_well.store(false, Ordering::SeqCst);
    let ask = async || {
        let answer = gateway.http.get(gateway.url("/up")).send().await.unwrap();
        let code = answer.headers().get("x-doorward-error").cloned();
        (
            answer.status().as_u16(),
            code,
            answer.headers().contains_key("retry-after"),
        )
    };
    let refused = eventually(DEADLINE, "all are down", || async {
        let answer = ask().await;
        (answer.0 != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused, (503, Some("upstream_unavailable".parse().unwrap()), true));
    b_well.store(true, Ordering::SeqCst);
    eventually(DEADLINE, "one is up", || async { when(ask().await.0 == 200) }).await;
    let before = a.seen_with("/up").len();
    for _ in 0..10 {
        assert_eq!(ask().await.0, 200);
    }
    assert_eq!(a.seen_with("/up").len(), before);
}

#[tokio::test]
async fn a_server_that_is_down_is_asked_often_however_rarely_one_is_that_is_up() {
    let (server, well) = switched().await;
    well.store(false, Ordering::SeqCst);
    let settings = "health.path = \"/healthz?deep\"\nhealth.interval = \"1h\"\nhealth.failures = 1\n";
    let gateway = TestGateway::start(&route_to(&[server.url()], settings)).await;
    let answers = async |status| {
        eventually(DEADLINE, &format!("it is {status}"), || async {
            when(gateway.get("/up", None).await.0 == status)
        })
        .await;
    };
    answers(503).await;
    let at = checks(&server);
    well.store(true, Ordering::SeqCst);
    answers(200).await;
    assert!(checks(&server) >= at + 2, "two passes, an hour apart while it is up");
}

#[tokio::test]
async fn checks_that_fail_everywhere_are_not_believed_where_the_configuration_says_so() {
    let (a, a_well) = switched().await;
    let (b, b_well) = switched().await;
    let settings = format!("{CHECKS}health.failures = 1\nhealth.panic = 50\n");
    let gateway = TestGateway::start(&route_to(&[a.url(), b.url()], &settings)).await;
    a_well.store(false, Ordering::SeqCst);
    b_well.store(false, Ordering::SeqCst);
    eventually(DEADLINE, "both are down", || async {
        when(reasons(&gateway).await.matches("its checks fail").count() == 2)
    })
    .await;
    for _ in 0..20 {
        assert_eq!(gateway.get("/up", None).await.0, 200);
    }
}

#[tokio::test]
async fn a_check_that_gets_no_answer_fails() {
    let silent = Upstream::start(|_| Reply::Stall(Vec::new())).await;
    let settings = format!("{CHECKS}health.timeout = \"30ms\"\nhealth.failures = 2\n");
    let gateway = TestGateway::start(&route_to(&[silent.url()], &settings)).await;
    eventually(DEADLINE, "it is down", || async {
        when(reasons(&gateway).await.contains("its checks fail"))
    })
    .await;
    // Whatever a check leaves open is closed.
    eventually(DEADLINE, "no connection stays", || async {
        when(silent.open_connections() <= 1)
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_back_gets_its_share_little_by_little() {
    let (sick, well) = switched().await;
    let (other, _) = switched().await;
    let settings =
        format!("{CHECKS}health.failures = 1\nhealth.passes = 1\nbalance = \"round-robin\"\nslow_start = \"1h\"\n");
    let gateway = TestGateway::start(&route_to(&[sick.url(), other.url()], &settings)).await;
    well.store(false, Ordering::SeqCst);
    eventually(DEADLINE, "it is down", || async {
        when(reasons(&gateway).await.contains("its checks fail"))
    })
    .await;
    well.store(true, Ordering::SeqCst);
    eventually(DEADLINE, "it is up", || async { when(reasons(&gateway).await == "[]") }).await;
    let before = sick.seen_with("/up").len();
    for _ in 0..110 {
        assert_eq!(gateway.get("/up", None).await.0, 200);
    }
    let share = sick.seen_with("/up").len() - before;
    assert!(
        (8..=12).contains(&share),
        "a tenth of the other's, not half of all: {share}"
    );
}
