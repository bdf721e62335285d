//! Certificates that can't be used, or not for long.

use std::time::Duration;

use super::{Authority, authority, gateway, secured};
use crate::support::{DEADLINE, TestGateway, Upstream, eventually, usual_routes, when};

#[tokio::test]
async fn check_opens_every_file_and_warns_of_the_end() {
    let authority = Authority::new("check");
    let (_upstream, gateway) = secured(&authority, &["site.example", "10.1.2.3"]).await;
    let (good, said, _) = gateway.command("check").await;
    assert!(
        good && said.contains("server.pem: for site.example, 10.1.2.3, until "),
        "{said}"
    );
    let day = Duration::from_hours(24);
    let soon = authority.issue_with(&["site.example"], |params| {
        authority::ends_after(params, 29 * day + day / 2);
    });
    authority.write("server", &soon);
    let (good, said, _) = gateway.command("check").await;
    assert!(
        good && said.contains("server.pem: warning: ends in 29 days, at "),
        "{said}"
    );
    authority.write(
        "server",
        &authority.issue_with(&["site.example"], |params| {
            params.not_after = time::macros::datetime!(2020-01-01 0:00 UTC);
        }),
    );
    let (good, said, _) = gateway.command("check").await;
    assert!(
        good && said.contains("warning: has expired at 2020-01-01T00:00:00Z"),
        "{said}"
    );
    std::fs::write(authority.path("server.key"), authority.issue(&["site.example"]).key).unwrap();
    let (good, said, _) = gateway.command("check").await;
    let expected = "certificates[0].key_file";
    assert!(
        !good && said.contains(expected) && said.contains("not the private key of the certificate"),
        "{said}"
    );
    std::fs::remove_file(authority.path("server.pem")).unwrap();
    let (good, said, _) = gateway.command("check").await;
    assert!(
        !good && said.contains("certificates[0].cert_file") && said.contains("No such file"),
        "{said}"
    );
}

#[tokio::test]
async fn a_gateway_does_not_start_without_its_certificate() {
    let authority = Authority::new("absent");
    let (_upstream, gateway) = secured(&authority, &["site.example"]).await;
    std::fs::remove_file(authority.path("server.key")).unwrap();
    let (good, _, said) = gateway
        .command("serve --set server.listen=127.0.0.1:0 --set admin.listen=")
        .await;
    assert!(!good, "{said}");
    assert!(
        said.contains("certificates[0].key_file") && said.contains("server.key: No such file"),
        "{said}"
    );
}

#[tokio::test]
async fn an_expired_certificate_is_shown_and_said_to_be_expired() {
    let authority = Authority::new("expired");
    authority.write(
        "server",
        &authority.issue_with(&["site.example"], |params| {
            params.not_after = time::macros::datetime!(2020-01-01 0:00 UTC);
        }),
    );
    let upstream = Upstream::echo().await;
    let toml = format!("[tls]\nlisten = '127.0.0.1:0'\n{}", authority.toml("server"));
    let gateway = gateway(&upstream, &toml).await;
    let readiness = gateway.http.get(gateway.admin_url("/readyz")).send().await.unwrap();
    assert_eq!(readiness.status(), 200);
    let readiness = readiness.text().await.unwrap();
    assert!(readiness.contains("server.pem has expired"), "{readiness}");
    let metrics = gateway
        .http
        .get(gateway.admin_url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let line = metrics
        .lines()
        .find(|line| line.starts_with("doorward_certificate_until_seconds{"));
    assert!(
        line.is_some_and(|line| line.ends_with("server.pem\"} 1577836800")),
        "{metrics}"
    );
}

#[tokio::test]
async fn clients_that_hang_up_within_the_handshake_leave_nothing_behind() {
    let authority = Authority::new("gone");
    let upstream = Upstream::echo().await;
    let certificates = authority.certificate("server", &["site.example"]);
    let toml = format!(
        "[tls]\nlisten = '127.0.0.1:0'\n{certificates}{}",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&toml).await;
    for _ in 0..50 {
        drop(tokio::net::TcpStream::connect(super::https(&gateway)).await.unwrap());
    }
    eventually(DEADLINE, "no connection is left", || {
        let request = gateway.http.get(gateway.admin_url("/metrics")).send();
        async move {
            let text = request.await.unwrap().text().await.unwrap();
            let ended = text.contains("doorward_tls_handshake_failures_total 50\n");
            when(ended && text.contains("doorward_connections 0\n"))
        }
    })
    .await;
}
