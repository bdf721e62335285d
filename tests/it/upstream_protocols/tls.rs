//! Upstreams behind TLS: nginx, nghttpd and HAProxy, verified, with HTTP/2 and without.

use std::path::Path;

use tokio::process::Child;

use super::certificates::Authority;
use super::route_to;
use crate::streams::sockets::{Echo, Socket};
use crate::support::process::{Process, free_address};
use crate::support::tools::program;
use crate::support::{DEADLINE, TestGateway, Upstream, eventually, when};

/// Starts nginx on a free port with TLS, and what else `server` says: it answers with the protocol that was spoken.
async fn nginx(dir: &Path, certificate: &str, server: &str) -> (u16, Child) {
    let port = free_address().port();
    let at = dir.display();
    let answer = "\"$server_protocol $host $ssl_server_name $ssl_client_verify $ssl_client_s_dn\"";
    let text = format!(
        "daemon off; master_process off; pid {at}/nginx-{port}.pid; error_log {at}/nginx.log;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;\n\
         uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
         server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {at}/{certificate}.pem;\n\
         ssl_certificate_key {at}/{certificate}.key; {server} location / {{ return 200 {answer}; }} }} }}"
    );
    let file = dir.join(format!("nginx-{port}.conf"));
    std::fs::write(&file, text).unwrap();
    let mut command = program("nginx");
    let child = command
        .arg("-c")
        .arg(&file)
        .arg("-e")
        .arg(dir.join("nginx.log"))
        .spawn()
        .unwrap();
    listening(port).await;
    (port, child)
}

async fn listening(port: u16) {
    eventually(DEADLINE, "the server listens", || async {
        when(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok())
    })
    .await;
}

/// A route to this port, verified by the test's authority.
fn verified(authority: &Authority, port: u16, more: &str) -> String {
    let ca = format!("tls_ca_file = {:?}\n{more}", authority.file("ca.pem"));
    route_to(&[format!("https://localhost:{port}")], &ca)
}

#[tokio::test]
async fn nginx_is_spoken_to_by_http_2_or_http_1_as_the_upstream_says() {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    let (port, _nginx) = nginx(authority.dir(), "server", "").await;
    for (more, version) in [("", "HTTP/2.0"), ("http2 = false", "HTTP/1.1")] {
        let gateway = TestGateway::start(&verified(&authority, port, more)).await;
        for _ in 0..3 {
            let (status, text) = gateway.get("/up", None).await;
            assert_eq!(
                (status, text.as_str()),
                (200, format!("{version} 127.0.0.1 localhost NONE ").as_str())
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_who_it_should_be_is_502_and_the_log_says_why() {
    let authority = Authority::new();
    authority.issue("other", &["other.example"]);
    authority.issue_expired("expired", &["localhost"]);
    authority.issue("good", &["localhost"]);
    let stranger = Authority::new();
    for (certificate, trusted, why) in [
        ("other", &authority, "not valid for name"),
        ("expired", &authority, "expired"),
        ("good", &stranger, "UnknownIssuer"),
    ] {
        let (port, _nginx) = nginx(authority.dir(), certificate, "").await;
        let gateway = Process::serve(&verified(trusted, port, "")).await;
        let response = reqwest::get(format!("http://{}/up", gateway.address)).await.unwrap();
        assert_eq!(response.status(), 502, "{certificate}");
        assert_eq!(
            response.headers()["x-doorward-error"],
            "upstream_unreachable",
            "{certificate}"
        );
        let body = response.text().await.unwrap();
        assert!(
            !body.contains("nown") && !body.contains("expired"),
            "{body}: why is for the operator"
        );
        eventually(DEADLINE, "the log says why", || async {
            let log = gateway.log();
            when(log.contains("no TLS with it") && log.contains(why))
        })
        .await;
    }
    // Without a file, the public authorities alone are believed.
    let (port, _nginx) = nginx(authority.dir(), "good", "").await;
    let gateway = TestGateway::start(&route_to(&[format!("https://localhost:{port}")], "")).await;
    assert_eq!(gateway.get("/up", None).await.0, 502);
}

#[tokio::test]
async fn another_name_and_no_verification_are_for_those_who_say_so() {
    let authority = Authority::new();
    authority.issue("other", &["other.example"]);
    let (port, _nginx) = nginx(authority.dir(), "other", "").await;
    let gateway = TestGateway::start(&verified(&authority, port, "tls_server_name = \"other.example\"")).await;
    let (status, text) = gateway.get("/up", None).await;
    assert_eq!((status, text.contains(" other.example ")), (200, true), "{text}");
    let routes = route_to(&[format!("https://127.0.0.1:{port}")], "tls_skip_verify = true");
    let gateway = Process::serve(&routes).await;
    assert_eq!(
        reqwest::get(format!("http://{}/up", gateway.address))
            .await
            .unwrap()
            .status(),
        200
    );
    eventually(DEADLINE, "the log warns of it", || async {
        let log = gateway.log();
        when(log.contains("tls_skip_verify") && log.contains("app"))
    })
    .await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    authority.issue_client("gateway");
    let ask = format!(
        "ssl_client_certificate {}; ssl_verify_client on;",
        authority.file("ca.pem").display()
    );
    let (port, _nginx) = nginx(authority.dir(), "server", &ask).await;
    let without = TestGateway::start(&verified(&authority, port, "")).await;
    assert_eq!(without.get("/up", None).await.0, 400, "nginx says so itself");
    let files = format!(
        "tls_cert_file = {:?}\ntls_key_file = {:?}",
        authority.file("gateway.pem"),
        authority.file("gateway.key")
    );
    let with = TestGateway::start(&verified(&authority, port, &files)).await;
    let (status, text) = with.get("/up", None).await;
    assert_eq!((status, text.contains("SUCCESS CN=gateway")), (200, true), "{text}");
    let (ok, out, _) = with.command("check").await;
    assert!(
        ok && out.contains("app: shows its servers a certificate, until "),
        "{out}"
    );
    authority.issue_expired("gateway", &["gateway"]);
    let (ok, out, _) = with.command("check").await;
    let told = "app: warning: what it shows its servers has expired at 2002-";
    assert!(ok && out.contains(told), "{out}");
}

#[tokio::test]
async fn many_requests_at_once_make_one_connection_over_tls() {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    std::fs::create_dir(authority.file("up")).unwrap();
    std::fs::write(authority.file("up/file"), vec![b'x'; 100_000]).unwrap();
    let port = free_address().port();
    let mut nghttpd = program("nghttpd");
    nghttpd.args(["--address=127.0.0.1", "-v", "-d"]).arg(authority.dir());
    let log = std::fs::File::create(authority.file("log")).unwrap();
    nghttpd
        .arg(port.to_string())
        .arg(authority.file("server.key"))
        .arg(authority.file("server.pem"));
    let _nghttpd = nghttpd.stdout(log).spawn().unwrap();
    listening(port).await;
    let gateway = TestGateway::start(&verified(&authority, port, "")).await;
    let all = futures_util::future::join_all((0..40).map(|_| gateway.get("/up/file", None))).await;
    assert!(all.iter().all(|(status, text)| *status == 200 && text.len() == 100_000));
    let log = std::fs::read_to_string(authority.file("log")).unwrap();
    let negotiated = log.matches("negotiated protocol: h2").count();
    assert_eq!(negotiated, 1, "{log}");
}

#[tokio::test]
async fn haproxy_is_spoken_to_over_tls_by_http_2_or_http_1_as_the_upstream_says() {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    let (pem, key) = (authority.file("server.pem"), authority.file("server.key"));
    let both = std::fs::read_to_string(pem).unwrap() + &std::fs::read_to_string(key).unwrap();
    std::fs::write(authority.file("both.pem"), both).unwrap();
    let app = Upstream::echo().await;
    let port = free_address().port();
    let text = format!(
        "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
         frontend f\n  bind 127.0.0.1:{port} ssl crt {} alpn h2,http/1.1\n  http-request set-header X-Spoken %HV\n  \
         default_backend b\nbackend b\n  server s {}\n",
        authority.file("both.pem").display(),
        app.address
    );
    std::fs::write(authority.file("haproxy.cfg"), text).unwrap();
    let mut haproxy = program("haproxy");
    let _haproxy = haproxy.arg("-f").arg(authority.file("haproxy.cfg")).spawn().unwrap();
    listening(port).await;
    for (more, version) in [("", "HTTP/2.0"), ("http2 = false", "HTTP/1.1")] {
        let gateway = TestGateway::start(&verified(&authority, port, more)).await;
        let request = gateway.http.post(gateway.url("/up/x")).body(vec![b'x'; 200_000]);
        let seen: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(seen["headers"]["x-spoken"], version);
        assert_eq!(seen["headers"]["host"], gateway.address.to_string());
        assert_eq!(seen["body"].as_str().unwrap().len(), 200_000);
    }
}

#[tokio::test]
async fn the_command_check_opens_every_file_and_warns_of_what_is_not_verified() {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    authority.issue("another", &["localhost"]);
    std::fs::write(authority.file("text.pem"), "no certificate").unwrap();
    let parse =
        |more: &str| doorward::config::parse(&route_to(&["https://localhost".to_owned()], more), authority.dir());
    for (more, key, why) in [
        ("tls_ca_file = \"none.pem\"", "tls_ca_file", "can't be read"),
        ("tls_ca_file = \"text.pem\"", "tls_ca_file", "no certificate"),
        (
            "tls_cert_file = \"server.pem\"",
            "tls_cert_file",
            "without tls_key_file",
        ),
        ("tls_key_file = \"server.key\"", "tls_key_file", "without tls_cert_file"),
        (
            "tls_cert_file = \"server.pem\"\ntls_key_file = \"server.pem\"",
            "tls_key_file",
            "no private key",
        ),
        (
            "tls_cert_file = \"server.pem\"\ntls_key_file = \"another.key\"",
            "tls_key_file",
            "can't be used with the certificate",
        ),
    ] {
        let errors = parse(more).unwrap_err().to_string();
        assert!(
            errors.contains(&format!("upstreams.app.{key}")) && errors.contains(why),
            "{more}: {errors}"
        );
        assert!(!errors.contains("BEGIN"), "{errors}");
    }
    assert!(parse("tls_ca_file = \"ca.pem\"\ntls_cert_file = \"server.pem\"\ntls_key_file = \"server.key\"").is_ok());
    for (servers, more) in [
        ("http://localhost", "tls_ca_file = \"ca.pem\""),
        ("http://localhost", "tls_skip_verify = true"),
        ("h2://localhost", "http2 = false"),
    ] {
        let errors = doorward::config::parse(&route_to(&[servers.to_owned()], more), authority.dir());
        assert!(errors.is_err(), "{servers} {more}");
    }
    let routes = route_to(&["https://localhost".to_owned()], "tls_skip_verify = true");
    let gateway = TestGateway::start(&routes).await;
    let (ok, out, _) = gateway.command("check").await;
    assert!(ok && out.contains("app: warning: tls_skip_verify"), "{out}");
}

#[tokio::test]
async fn an_upgrade_is_asked_for_in_http_1_though_the_server_offers_http_2() {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    let echo = Echo::start().await;
    let location = format!(
        "location /up/ws {{ proxy_pass http://{}; proxy_http_version 1.1;\n\
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }}",
        echo.address
    );
    let (port, _nginx) = nginx(authority.dir(), "server", &location).await;
    let routes = verified(&authority, port, "") + "upgrades = [\"websocket\"]\n";
    let gateway = TestGateway::start(&routes).await;
    for _ in 0..2 {
        let (status, text) = gateway.get("/up", None).await;
        assert!(status == 200 && text.starts_with("HTTP/2.0"), "{text}");
        let mut socket = Socket::open(&gateway, "/up/ws", "").await;
        socket.echoes("through nginx").await;
    }
}
