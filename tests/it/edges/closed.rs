//! Maintenance, and the trace that a request is part of.

use crate::support::process::Process;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, exchange};

#[tokio::test]
async fn a_closed_route_lets_in_whom_the_operator_names_and_says_nothing_else_to_others() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&format!(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n[upstreams.app]\nservers = [\"{}\"]\n\
         [[routes]]\npath = \"/all\"\nupstream = \"app\"\nmaintenance = {{ on = true, retry_after = \"90s\" }}\n\
         [[routes]]\npath = \"/some\"\nupstream = \"app\"\n\
         maintenance = {{ on = true, networks = [\"192.0.2.0/24\"], roles = [\"ops\"] }}\n\
         [[routes]]\npath = \"/open\"\nupstream = \"app\"\nauth = \"none\"\nmaintenance.roles = []\n",
        upstream.url()
    ))
    .await;
    let user = Account::sign_up(&gateway).await;
    let operator = Account::sign_up(&gateway).await;
    let (done, _, said) = gateway
        .command(&format!("users roles {} --add ops", operator.email))
        .await;
    assert!(done, "{said}");
    let operator = operator.log_in(&gateway).await;
    let send = |path: &str, from: &str, token: &str| {
        let raw = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: {from}\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let address = gateway.address;
        async move { exchange(address, raw).await.answers.remove(0) }
    };
    let (near, far) = ("192.0.2.7", "198.51.100.7");
    let answer = send("/all", near, &operator.token).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "maintenance"));
    assert_eq!(answer.header("retry-after"), Some("90"));
    for token in [user.token.as_str(), "nonsense", ""] {
        assert_eq!(send("/some", far, token).await.status, 503, "{token}");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(send("/some", far, &operator.token).await.status, 200);
    assert_eq!(send("/some", near, &user.token).await.status, 200);
    // From there, the route is as it ever is.
    assert_eq!(send("/some", near, "nonsense").await.status, 401);
    assert_eq!(send("/open", far, "").await.status, 200);
    let (_, said, _) = gateway.command("explain GET /all").await;
    assert!(said.contains("closed") && said.contains("503"), "{said}");
}

#[tokio::test]
async fn a_trace_is_passed_on_begun_or_dropped_and_is_in_the_log() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (mode, sent, kept) in [
        ("pass", parent, Some(parent)),
        ("pass", "00-zz", None),
        ("pass", "", None),
        ("start", parent, Some(parent)),
        ("start", "", Some("00-")),
        ("off", parent, None),
    ] {
        let upstream = Upstream::echo().await;
        let gateway = Process::serve(&format!(
            "[server]\ntrace = \"{mode}\"\n[log]\nformat = \"json\"\n[upstreams.app]\nservers = [\"{}\"]\n\
             [[routes]]\npath = \"/a\"\nupstream = \"app\"\nauth = \"none\"\n",
            upstream.url()
        ))
        .await;
        let line = if sent.is_empty() {
            String::new()
        } else {
            format!("traceparent: {sent}\r\n")
        };
        let raw = format!("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\ntracestate: a=b\r\n{line}\r\n");
        assert_eq!(exchange(gateway.address, raw).await.statuses(), [200]);
        let seen = upstream.only();
        let told = seen.header("traceparent");
        assert!(
            told == kept || kept.is_some_and(|kept| kept.len() < 55 && told.is_some_and(|told| told.starts_with(kept))),
            "{mode} {sent}: {told:?}"
        );
        assert_eq!(
            seen.header("tracestate"),
            (kept == Some(parent)).then_some("a=b"),
            "{mode} {sent}"
        );
        let log = eventually(DEADLINE, "the request is logged", || async {
            gateway
                .log()
                .lines()
                .find(|line| line.contains("doorward::access"))
                .map(str::to_owned)
        })
        .await;
        match told {
            Some(told) => assert!(log.contains(&told[3..35]), "{log}"),
            None => assert!(!log.contains("trace_id"), "{log}"),
        }
    }
}
