//! gRPC between its own client and its own server.

use std::net::SocketAddr;

use super::certificates::Authority;
use super::python::Script;
use super::route_to;
use crate::support::process::free_address;
use crate::support::tools::{installed, root, stdout_of};
use crate::support::{Account, TestGateway};
use doorward::server::Door;

/// A gateway that takes HTTP/2 without TLS, with this server behind the route to the service, and some that fail.
fn routes(server: &str, more: &str) -> String {
    let down = free_address();
    format!(
        r#"
        [server]
        h2c = true
        [upstreams.app]
        servers = ["{server}"]
        response_timeout = "1500ms"
        {more}
        [upstreams.down]
        servers = ["h2://{down}"]
        [[routes]]
        path = "/test.Echo"
        upstream = "app"
        [[routes]]
        path = "/test.Admin"
        upstream = "app"
        roles = ["admin"]
        [[routes]]
        path = "/test.Down"
        upstream = "down"
        auth = "none"
        [[routes]]
        path = "/test.Small"
        upstream = "app"
        auth = "none"
        max_body = "1KiB"
        "#
    )
}

async fn client(what: &str, gateway: &TestGateway, user: Option<&Account>) {
    call(what, gateway.address, user, &[]).await;
}

/// The client that talks to this address; over TLS, if there is more to say.
async fn call(what: &str, address: SocketAddr, user: Option<&Account>, tls: &[&str]) {
    let mut python = installed("python/bin/python");
    python
        .arg(root().join("tests/it/upstream_protocols/grpc_client.py"))
        .arg(what);
    python.arg(address.to_string());
    python.args(user.map_or(["", ""], |user| [&user.token, &user.id]));
    python.args(tls);
    assert_eq!(stdout_of(python).await.trim(), "ok");
}

#[tokio::test]
async fn all_four_kinds_of_calls_pass_with_metadata_trailers_and_status() {
    let server = Script::start("grpc_server.py", &[]).await;
    let gateway = TestGateway::start(&routes(&server.h2_url(), "")).await;
    let user = Account::sign_up(&gateway).await;
    client("kinds", &gateway, Some(&user)).await;
    client("end", &gateway, Some(&user)).await;
}

#[tokio::test]
async fn all_four_kinds_of_calls_pass_to_a_server_behind_tls() {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    let (certificate, key) = (authority.file("server.pem"), authority.file("server.key"));
    let server = Script::start(
        "grpc_server.py",
        &[certificate.to_str().unwrap(), key.to_str().unwrap()],
    )
    .await;
    let ca = format!("tls_ca_file = {:?}", authority.file("ca.pem"));
    let gateway = TestGateway::start(&routes(&format!("https://localhost:{}", server.port), &ca)).await;
    let user = Account::sign_up(&gateway).await;
    client("kinds", &gateway, Some(&user)).await;
}

#[tokio::test]
async fn a_call_under_way_learns_that_its_token_was_revoked() {
    let server = Script::start("grpc_server.py", &[]).await;
    // The server may take longer than the logout.
    let toml = routes(&server.h2_url(), "").replace("1500ms", "20s");
    let gateway = TestGateway::start(&toml).await;
    let user = Account::sign_up(&gateway).await;
    client("logout", &gateway, Some(&user)).await;
    // The server learns of the end as well.
    let other = Account::sign_up(&gateway).await;
    client("cancelled", &gateway, Some(&other)).await;
}

#[tokio::test]
async fn all_four_kinds_of_calls_pass_over_tls_on_both_sides_until_the_logout() {
    let authority = Authority::new();
    for name in ["server", "gateway"] {
        authority.issue(name, &["localhost"]);
    }
    let files = ["server.pem", "server.key"].map(|name| authority.file(name).display().to_string());
    let server = Script::start("grpc_server.py", &[&files[0], &files[1]]).await;
    let toml = routes(
        &format!("https://localhost:{}", server.port),
        &format!("tls_ca_file = {:?}", authority.file("ca.pem")),
    );
    let toml = toml.replace("1500ms", "20s").replace("h2c = true", "");
    let gateway = TestGateway::start(&format!(
        "[tls]\nlisten = \"127.0.0.1:0\"\n[[certificates]]\ncert_file = {:?}\nkey_file = {:?}\n{toml}",
        authority.file("gateway.pem"),
        authority.file("gateway.key")
    ))
    .await;
    let user = Account::sign_up(&gateway).await;
    let (ca, plain) = (
        authority.file("ca.pem").display().to_string(),
        gateway.address.to_string(),
    );
    for what in ["kinds", "logout"] {
        call(what, gateway.door(Door::Tls), Some(&user), &[&ca, "localhost", &plain]).await;
    }
}

#[tokio::test]
async fn errors_of_the_gateway_are_a_status_of_grpc() {
    let server = Script::start("grpc_server.py", &[]).await;
    let gateway = TestGateway::start(&routes(&server.h2_url(), "")).await;
    let user = Account::sign_up(&gateway).await;
    client("errors", &gateway, Some(&user)).await;
    // What is not gRPC gets what everybody gets.
    let request = gateway.http.post(gateway.url("/test.Echo/Unary"));
    let response = request.header("content-type", "application/grpc").send().await.unwrap();
    assert_eq!(response.status(), 401, "gRPC is HTTP/2");
}

#[tokio::test]
async fn a_call_that_the_server_resets_is_never_seen_as_whole() {
    let server = Script::h2().await;
    let toml = format!("[server]\nh2c = true\n{}", route_to(&[server.h2_url()], ""));
    let gateway = TestGateway::start(&toml).await;
    client("reset", &gateway, None).await;
}
