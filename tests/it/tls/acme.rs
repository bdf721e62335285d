//! Certificates from an authority: Let's Encrypt's test server, Pebble, which looks whether the names are ours.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use doorward::server::Door;
use serde_json::json;
use tokio::process::Child;

use super::{Authority, https};
use crate::support::process::free_address;
use crate::support::tools::{output, program};
use crate::support::{DEADLINE, TestGateway, Upstream, eventually, usual_routes, when};

/// Pebble, and a name server for which every name is at 127.0.0.1.
struct Pebble {
    authority: Authority,
    config: PathBuf,
    address: SocketAddr,
    management: SocketAddr,
    dns: SocketAddr,
    names: Child,
    process: Option<Child>,
}

impl Pebble {
    /// One that looks at these ports.
    fn new(tls: SocketAddr, http: SocketAddr) -> Self {
        let authority = Authority::new("directory");
        authority.certificate("pebble", &["127.0.0.1"]);
        let (address, management, dns) = (free_address(), free_address(), free_address());
        let config = authority.path("pebble.json");
        let settings = json!({ "pebble": {
            "listenAddress": address, "managementListenAddress": management,
            "certificate": authority.path("pebble.pem"), "privateKey": authority.path("pebble.key"),
            "httpPort": http.port(), "tlsPort": tls.port(), "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        std::fs::write(&config, settings.to_string()).unwrap();
        let mut names = program("pebble-challtestsrv");
        names.args([
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
        ]);
        names.args(["-dns01", &dns.to_string(), "-management", &free_address().to_string()]);
        let names = names.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut pebble = Self {
            authority,
            config,
            address,
            management,
            dns,
            names,
            process: None,
        };
        pebble.start();
        pebble
    }

    fn start(&mut self) {
        let mut pebble = program("pebble");
        pebble
            .arg("-config")
            .arg(&self.config)
            .args(["-dnsserver", &self.dns.to_string()]);
        pebble
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.process = Some(pebble.spawn().unwrap());
    }

    async fn stop(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// `[acme]` for two names.
    fn toml(&self, challenge: &str) -> String {
        format!(
            "[acme]\ndomains = ['a.example', 'b.example']\ndirectory_url = 'https://{}/dir'\nca_file = '{}'\n\
             agree_terms = true\ncontact = 'ops@a.example'\nchallenge = '{challenge}'\nretry_every = '200ms'\n\
             storage = '{}'\n",
            self.address,
            self.authority.ca_file().display(),
            self.authority.path("kept").display()
        )
    }

    /// The files in the storage whose names begin so.
    fn kept(&self, name: &str) -> PathBuf {
        let files = std::fs::read_dir(self.authority.path("kept")).unwrap();
        let mut files = files.map(|file| file.unwrap().path());
        let found = files.find(|file| file.file_name().unwrap().to_str().unwrap().starts_with(name));
        found.unwrap_or_else(|| panic!("nothing is kept as {name}"))
    }

    /// The certificate of the authority itself, which is another one each time that it starts.
    async fn root(&self) -> PathBuf {
        let mut curl = program("curl");
        curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--cacert"]);
        curl.arg(self.authority.ca_file())
            .arg(format!("https://{}/roots/0", self.management));
        let root = output(curl).await;
        assert!(root.status.success(), "{root:?}");
        let file = self.authority.path("root.pem");
        std::fs::write(&file, root.stdout).unwrap();
        file
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        let _ = self.names.start_kill();
    }
}

/// Whether a client that trusts this root gets an answer for this name.
async fn answers(address: SocketAddr, name: &str, root: &Path) -> bool {
    let mut curl = program("curl");
    let port = address.port();
    curl.args(["--silent", "--fail", "--max-time", "20", "--noproxy", "*", "--cacert"])
        .arg(root)
        .args(["--resolve", &format!("{name}:{port}:127.0.0.1")])
        .arg(format!("https://{name}:{port}/public"));
    output(curl).await.status.success()
}

async fn metric(gateway: &TestGateway, name: &str) -> u64 {
    let metrics = gateway.http.get(gateway.admin_url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}"))
        .trim()
        .parse()
        .unwrap()
}

const ISSUED: &str = "doorward_certificates_issued_total";

/// Waits until a certificate was issued.
async fn issued(gateway: &TestGateway, least: u64) {
    eventually(DEADLINE, "a certificate is issued", || async {
        when(metric(gateway, ISSUED).await >= least)
    })
    .await;
}

#[tokio::test]
async fn a_certificate_is_got_kept_and_renewed_by_tls_alpn_01() {
    let (tls, http) = (free_address(), free_address());
    let mut pebble = Pebble::new(tls, http);
    let upstream = Upstream::echo().await;
    let toml = format!(
        "[tls]\nlisten = '{tls}'\nreload_every = '100ms'\n{}{}",
        pebble.toml("tls-alpn-01"),
        usual_routes(&upstream)
    );
    let mut gateway = TestGateway::start(&toml).await;
    issued(&gateway, 1).await;
    let (good, said, _) = gateway.command("check").await;
    assert!(good && said.contains("the authority at https://"), "{said}");
    let root = pebble.root().await;
    for name in ["a.example", "b.example"] {
        assert!(answers(https(&gateway), name, &root).await, "{name}");
    }
    assert!(!answers(https(&gateway), "c.example", &root).await);
    for name in ["account-", "certificate-"] {
        let mode = std::fs::metadata(pebble.kept(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }

    // What is kept is shown at once after a restart, and nobody is asked for another.
    let (account, first) = (
        std::fs::read(pebble.kept("account-")).unwrap(),
        pebble.kept("certificate-"),
    );
    let before = std::fs::read(&first).unwrap();
    pebble.stop().await;
    gateway.restart().await;
    assert!(answers(https(&gateway), "a.example", &root).await);
    assert_eq!(metric(&gateway, ISSUED).await, 0);

    // Renewed when two thirds of its time and a little more are over; until that succeeds the old one is shown.
    gateway.shift.advance(Duration::from_hours(24 * 365 * 4));
    eventually(DEADLINE, "the failure is told", || async {
        let readiness = gateway.http.get(gateway.admin_url("/readyz")).send().await.unwrap();
        when(
            readiness
                .text()
                .await
                .unwrap()
                .contains("no certificate was issued for [acme]"),
        )
    })
    .await;
    assert!(metric(&gateway, "doorward_certificate_issue_failures_total").await >= 1);
    assert!(answers(https(&gateway), "a.example", &root).await);
    assert_eq!(std::fs::read(&first).unwrap(), before);
    drop(account);
}

#[tokio::test]
async fn a_certificate_is_renewed_before_it_ends() {
    let (tls, http) = (free_address(), free_address());
    let pebble = Pebble::new(tls, http);
    let upstream = Upstream::echo().await;
    let toml = format!(
        "[tls]\nlisten = '{tls}'\nreload_every = '100ms'\n{}{}",
        pebble.toml("tls-alpn-01"),
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&toml).await;
    issued(&gateway, 1).await;
    let (kept, account) = (pebble.kept("certificate-"), pebble.kept("account-"));
    let (first, account_before) = (std::fs::read(&kept).unwrap(), std::fs::read(&account).unwrap());
    gateway.shift.advance(Duration::from_hours(24));
    assert_eq!(std::fs::read(&kept).unwrap(), first);
    // Pebble's certificates may be for years: by far enough for two thirds of it, and not beyond its end.
    gateway.shift.advance(Duration::from_hours(24 * 365 * 4));
    issued(&gateway, 2).await;
    assert_ne!(std::fs::read(&kept).unwrap(), first);
    assert_eq!(
        std::fs::read(&account).unwrap(),
        account_before,
        "the account stays what it is"
    );
    let root = pebble.root().await;
    assert!(answers(https(&gateway), "a.example", &root).await);
}

#[tokio::test]
async fn a_certificate_is_got_by_http_01_where_clients_are_sent_to_https() {
    let (tls, http) = (free_address(), free_address());
    let pebble = Pebble::new(tls, http);
    let upstream = Upstream::echo().await;
    let toml = format!(
        "[tls]\nlisten = '{tls}'\nredirect_listen = '{http}'\nreload_every = '100ms'\n{}{}",
        pebble.toml("http-01"),
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&toml).await;
    issued(&gateway, 1).await;
    let root = pebble.root().await;
    for name in ["a.example", "b.example"] {
        assert!(answers(https(&gateway), name, &root).await, "{name}");
    }
    // No challenge is open: it is a path like any other.
    let ask = "GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    let ended = crate::support::exchange(gateway.door(Door::Redirect), ask).await;
    assert_eq!(ended.statuses(), [308]);
    assert!(upstream.seen().iter().all(|seen| seen.target == "/public"));
}

#[tokio::test]
async fn what_is_kept_and_broken_is_got_again() {
    let (tls, http) = (free_address(), free_address());
    let pebble = Pebble::new(tls, http);
    let upstream = Upstream::echo().await;
    let toml = format!(
        "[tls]\nlisten = '{tls}'\nreload_every = '100ms'\n{}{}",
        pebble.toml("tls-alpn-01"),
        usual_routes(&upstream)
    );
    let mut gateway = TestGateway::start(&toml).await;
    issued(&gateway, 1).await;
    gateway.stop().await;
    std::fs::write(pebble.kept("certificate-"), "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
    std::fs::write(pebble.kept("account-"), "{").unwrap();
    gateway.restart().await;
    issued(&gateway, 1).await;
    let root = pebble.root().await;
    assert!(answers(https(&gateway), "a.example", &root).await);
}
