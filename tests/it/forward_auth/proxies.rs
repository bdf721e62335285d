//! Real proxies with the configurations of examples/forward-auth, in front of a backend that remembers what it saw.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::process::free_address;
use crate::support::tools::{program, root};
use crate::support::{Account, Answer, DEADLINE, TestGateway, Upstream, eventually, exchange, when};

/// A proxy that asks a gateway about requests for a backend.
struct Front {
    address: SocketAddr,
    gateway: TestGateway,
    backend: Upstream,
    _dir: TempDir,
    _process: Child,
}

impl Front {
    /// Starts the proxy of this example. `adapt` makes of the text what the test needs besides other addresses.
    async fn start(
        example: &str,
        adapt: impl Fn(String, &TempDir) -> String,
        command: impl Fn(&TempDir) -> Command,
    ) -> Self {
        let text = fs::read_to_string(root().join("examples/forward-auth.toml")).unwrap();
        let mut config: toml::Table = text.parse().unwrap();
        config["server"]["listen"] = "127.0.0.1:0".into();
        let gateway = TestGateway::start(&toml::to_string(&config).unwrap()).await;
        let (backend, address) = (Upstream::echo().await, free_address());
        let dir = tempfile::tempdir().unwrap();
        for file in fs::read_dir(root().join("examples/forward-auth")).unwrap() {
            let file = file.unwrap();
            let text = fs::read_to_string(file.path()).unwrap();
            let mut text = text
                .replace("127.0.0.1:8080", &gateway.address.to_string())
                .replace("127.0.0.1:3000", &backend.address.to_string())
                .replace("127.0.0.1:8000", &address.to_string());
            if file.file_name() == example {
                text = adapt(text, &dir);
            }
            fs::write(dir.path().join(file.file_name()), text).unwrap();
        }
        let process = command(&dir).current_dir(dir.path()).spawn().unwrap();
        eventually(DEADLINE, "the proxy listens", || async {
            when(tokio::net::TcpStream::connect(address).await.is_ok())
        })
        .await;
        Self {
            address,
            gateway,
            backend,
            _dir: dir,
            _process: process,
        }
    }

    async fn nginx() -> Self {
        let adapt = |text: String, dir: &TempDir| {
            let dir = dir.path().display();
            let mut paths = format!("http {{ access_log off; client_body_temp_path {dir}/body;");
            for module in ["proxy", "fastcgi", "uwsgi", "scgi"] {
                write!(paths, " {module}_temp_path {dir}/{module};").unwrap();
            }
            format!(
                "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;\n{}",
                text.replacen("http {", &paths, 1)
            )
        };
        Self::start("nginx.conf", adapt, |dir| {
            let mut nginx = program("nginx");
            nginx
                .arg("-p")
                .arg(dir.path())
                .arg("-c")
                .arg(dir.path().join("nginx.conf"));
            nginx
        })
        .await
    }

    async fn haproxy() -> Self {
        Self::start(
            "haproxy.cfg",
            |text, _| text,
            |_| {
                let mut haproxy = program("haproxy");
                haproxy.args(["-db", "-f", "haproxy.cfg"]);
                haproxy
            },
        )
        .await
    }

    async fn caddy() -> Self {
        // Its own listener for administration would be the same one for each Caddy of a machine. And it serves by host.
        let adapt = |text: String, _: &TempDir| {
            format!(
                "{{\n\tadmin off\n}}\n{}",
                text.replace("http://127.0.0.1", "http://app.example")
            )
        };
        Self::start("Caddyfile", adapt, |dir| {
            let mut caddy = program("caddy");
            caddy.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
            caddy
                .env("HOME", dir.path())
                .env("XDG_DATA_HOME", dir.path())
                .env("XDG_CONFIG_HOME", dir.path());
            caddy
        })
        .await
    }

    /// Sends a request through the proxy.
    async fn send(&self, method: &str, target: &str, lines: &str) -> Answer {
        let raw = format!("{method} {target} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n{lines}\r\n");
        exchange(self.address, raw).await.answers.remove(0)
    }

    /// What the example promises, whatever the proxy.
    async fn keeps_its_promises(&self) {
        let user = Account::sign_up(&self.gateway).await;
        let bearer = format!("Authorization: {}\r\n", user.bearer());
        // What a client says of itself, in the spellings that this backend could take for ours.
        let spoofed = "X-Auth-User-Id: admin\r\nx-auth-roles: admin\r\nX-AUTH-Email: root@example.com\r\n\
            X_Auth_User_Id: admin\r\nX_Auth_Roles: admin\r\nX-Auth-Session: s\r\nX-Auth-Name: Root\r\n\
            X-Auth-Assertion: a.b.c\r\nX-Auth-Issuer: self\r\n";

        // Nobody.
        let answer = self.send("GET", "/orders/7", spoofed).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"doorward\""));
        assert!(self.backend.seen().is_empty());

        // Somebody, who claims to be somebody else.
        let answer = self
            .send("GET", "/orders/7%20a?q=%2F", &format!("{bearer}{spoofed}"))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let seen = self.backend.only();
        assert_eq!(
            seen.target, "/orders/7%20a?q=%2F",
            "what was asked about is what is forwarded"
        );
        assert_eq!(seen.header("x-auth-user-id"), Some(&*user.id));
        assert_eq!(seen.header("x-auth-email"), Some(&*user.email));
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(seen.header("x-auth-roles").unwrap_or_default(), "");
        assert_eq!(seen.header("x-auth-assertion").unwrap_or_default(), "");
        assert!(!seen.headers.iter().any(|(name, _)| name.contains('_')), "{seen:?}");

        // Nobody, where nobody is asked for: not even then does the client name itself.
        assert_eq!(self.send("GET", "/public/x", spoofed).await.status, 200);
        let seen = self.backend.seen_with("/public").remove(0);
        let named = seen.headers.iter().filter(|(name, value)| {
            let folded = name.to_ascii_lowercase().replace('_', "-");
            folded.starts_with("x-auth-") && !value.is_empty()
        });
        assert_eq!(named.count(), 0, "{seen:?}");

        // The policy's word about method and path; another method or path in the client's headers changes nothing.
        let answer = self.send("GET", "/admin", &bearer).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        for lie in [
            "X-Forwarded-Uri: /public\r\n",
            "X-Original-URI: /public\r\n",
            "X-Original-URL: http://app.example/public\r\n",
            "X-Rewrite-URL: /public\r\n",
            "X-Forwarded-Method: OPTIONS\r\nX-Forwarded-Host: public.example\r\n",
        ] {
            let answer = self.send("GET", "/orders/lie", lie).await;
            assert!(answer.status >= 400, "{lie} {answer:?}");
        }
        let answer = self.send("GET", "/public/%2e%2e/orders/lie", "").await;
        assert!(answer.status >= 400, "{answer:?}");
        assert!(self.backend.seen_with("lie").is_empty());

        // The gateway's own endpoints, through the proxy, but for the one that only the proxy may ask.
        assert_eq!(self.send("GET", "/auth/ping", "").await.status, 200);
        let asked = "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /public\r\nX-Forwarded-Host: x\r\n";
        assert_eq!(self.send("GET", "/auth/verify", asked).await.status, 404);

        // A revoked token is nobody's at once.
        self.gateway.log_out(&user.token).await;
        assert_eq!(self.send("GET", "/orders/revoked", &bearer).await.status, 401);
        assert!(self.backend.seen_with("revoked").is_empty());
    }
}

#[tokio::test]
async fn nginx_lets_pass_whom_the_gateway_lets_pass_and_nobody_s_own_identity() {
    let front = Front::nginx().await;
    front.keeps_its_promises().await;
    // What it makes of answers that are neither yes nor no.
    assert_eq!(front.send("GET", "/orders/;x", "").await.status, 400);
}

#[tokio::test]
async fn haproxy_lets_pass_whom_the_gateway_lets_pass_and_nobody_s_own_identity() {
    let front = Front::haproxy().await;
    front.keeps_its_promises().await;
    let answer = front.send("GET", "/orders/;x", "").await;
    assert_eq!((answer.status, answer.problem().as_str()), (400, "ambiguous_path"));
}

#[tokio::test]
async fn caddy_lets_pass_whom_the_gateway_lets_pass_and_nobody_s_own_identity() {
    let front = Front::caddy().await;
    front.keeps_its_promises().await;
    let answer = front.send("GET", "/orders/;x", "").await;
    assert_eq!((answer.status, answer.problem().as_str()), (400, "ambiguous_path"));
}
