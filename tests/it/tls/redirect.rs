//! Clients that come without TLS are sent to where it is, and told to stay there.

use doorward::server::Door;

use super::{Authority, curl, https};
use crate::support::process::free_address;
use crate::support::tools::{program, stdout_of};
use crate::support::{Account, TestGateway, Upstream, exchange, usual_routes};

async fn redirecting(authority: &Authority, more: &str) -> (Upstream, TestGateway) {
    let upstream = Upstream::echo().await;
    let certificates = authority.certificate("server", &["site.example"]);
    let toml = format!(
        "[tls]\nlisten = '{}'\nredirect_listen = '127.0.0.1:0'\n{more}\n{certificates}{}",
        free_address(),
        usual_routes(&upstream)
    );
    (upstream, TestGateway::start(&toml).await)
}

#[tokio::test]
async fn a_client_without_tls_is_sent_to_the_same_place_with_it() {
    let authority = Authority::new("redirect");
    let (upstream, gateway) = redirecting(&authority, "").await;
    let (plain, secure) = (gateway.door(Door::Redirect), https(&gateway));
    let mut curl = program("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--location",
        "--max-time",
        "20",
        "--noproxy",
        "*",
    ])
    .args(["--data", "body", "--cacert"])
    .arg(authority.ca_file());
    for port in [plain.port(), secure.port()] {
        curl.args(["--resolve", &format!("site.example:{port}:127.0.0.1")]);
    }
    curl.arg(format!("http://site.example:{}/public/%7Ex?q=%2F", plain.port()));
    let seen = stdout_of(curl).await;
    assert!(
        seen.contains(r#""method":"POST""#) && seen.contains(r#""body":"body""#),
        "{seen}"
    );
    let seen = upstream.only();
    assert_eq!(seen.target, "/public/%7Ex?q=%2F");
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn nothing_else_is_served_there() {
    let authority = Authority::new("nothing-else");
    let (upstream, gateway) = redirecting(&authority, "redirect_port = 443").await;
    let plain = gateway.door(Door::Redirect);
    let account = Account::sign_up(&gateway).await;
    for path in ["/c", "/public", "/auth/ping", "/nowhere", "//evil.example/x"] {
        let ask = format!(
            "GET {path} HTTP/1.1\r\nHost: Site.example:80\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
            account.bearer()
        );
        let ended = exchange(plain, ask).await;
        let answer = &ended.answers[0];
        if path.starts_with("//") {
            assert_eq!(answer.status, 400, "{answer:?}");
            continue;
        }
        assert_eq!(answer.status, 308, "{answer:?}");
        let expected = format!("https://site.example{path}");
        assert_eq!(answer.header("location"), Some(expected.as_str()));
    }
    for odd in [
        "GET / HTTP/1.1\r\nHost: a@evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: evil.example/x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let ended = exchange(plain, format!("{}Connection: close\r\n\r\n", &odd[..odd.len() - 2])).await;
        assert_eq!(ended.statuses(), [400], "{odd:?}: {ended:?}");
        assert!(ended.answers[0].header("location").is_none());
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn clients_are_told_to_come_with_tls_only_by_answers_that_did() {
    let authority = Authority::new("hsts");
    let hsts = "hsts = 'max-age=31536000; includeSubDomains'";
    let (_upstream, gateway) = redirecting(&authority, hsts).await;
    for path in ["/public", "/c", "/nowhere", "/auth/ping", "/auth/user"] {
        let mut curl = curl(&authority, "site.example", https(&gateway), path);
        curl.args(["--include", "--http1.1"]);
        let said = stdout_of(curl).await;
        let line = "strict-transport-security: max-age=31536000; includeSubDomains\r\n";
        assert_eq!(said.matches(line).count(), 1, "{path}: {said}");
        for address in [gateway.address, gateway.door(Door::Redirect)] {
            let ask = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            let ended = exchange(address, ask).await;
            assert!(
                ended.answers[0].header("strict-transport-security").is_none(),
                "{ended:?}"
            );
        }
    }
}
