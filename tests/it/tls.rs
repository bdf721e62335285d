//! HTTPS with clients, as curl, OpenSSL and Python see it.

mod acme;
mod authority;
mod changes;
mod clients;
mod files;
mod names;
mod redirect;
mod serving;
mod takeover;
mod versions;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use tokio::process::Command;

use crate::support::tools::{output, program};
use crate::support::{TestGateway, Upstream, usual_routes};
pub(crate) use authority::Authority;
use doorward::server::Door;

/// A gateway with the usual routes that serves HTTPS as this TOML says.
async fn gateway(upstream: &Upstream, toml: &str) -> TestGateway {
    TestGateway::start(&format!("{toml}\n{}", usual_routes(upstream))).await
}

/// The same, with one certificate of this authority for these names.
async fn secured(authority: &Authority, names: &[&str]) -> (Upstream, TestGateway) {
    let upstream = Upstream::echo().await;
    let certificates = authority.certificate("server", names);
    let gateway = gateway(&upstream, &format!("[tls]\nlisten = '127.0.0.1:0'\n{certificates}")).await;
    (upstream, gateway)
}

/// curl, which believes this authority and takes `name` for this address.
fn curl(authority: &Authority, name: &str, address: SocketAddr, path: &str) -> Command {
    let mut curl = program("curl");
    let port = address.port();
    curl.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*"])
        .args(["--resolve", &format!("{name}:{port}:{}", address.ip())])
        .arg("--cacert")
        .arg(authority.ca_file())
        .arg(format!("https://{name}:{port}{path}"));
    curl
}

/// What `openssl s_client` says of a connection on which it sends nothing.
async fn s_client(address: SocketAddr, args: &[&str]) -> (bool, String) {
    let mut openssl = program("openssl");
    openssl.args(["s_client", "-connect", &address.to_string()]).args(args);
    said(output(openssl).await)
}

/// Whether a program succeeded, and all that it said.
fn said(output: Output) -> (bool, String) {
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// A path as text.
fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// Where the gateway serves HTTPS.
fn https(gateway: &TestGateway) -> SocketAddr {
    gateway.door(Door::Tls)
}
