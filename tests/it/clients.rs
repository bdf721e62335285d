//! Real clients through the gateway to a real nginx: what all the others send, rather than what we think they send.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Child;

use crate::support::browser::browse;
use crate::support::process::free_address;
use crate::support::tools::{installed, program, root, stdout_of};
use crate::support::{Account, DEADLINE, TestGateway, eventually, when};

/// An nginx with one worker that serves a small file, a big one, and what identity it was told.
struct Nginx {
    address: SocketAddr,
    dir: TempDir,
    _process: Child,
}

/// The size of the big file.
const BIG: usize = 20 * 1024 * 1024;

impl Nginx {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = free_address();
        let files = dir.path().join("files/app");
        std::fs::create_dir_all(&files).unwrap();
        std::fs::write(files.join("hello.txt"), "hello from nginx\n").unwrap();
        let big: Vec<u8> = (0..BIG).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect();
        std::fs::write(files.join("big.bin"), big).unwrap();
        std::fs::create_dir_all(dir.path().join("files/site")).unwrap();
        std::fs::write(
            dir.path().join("files/site/index.html"),
            include_str!("clients/site.html"),
        )
        .unwrap();
        let config = format!(
            r#"
            daemon off;
            master_process off;
            worker_processes 1;
            pid {dir}/pid;
            error_log {dir}/error.log;
            events {{ worker_connections 256; }}
            http {{
                access_log off;
                client_body_temp_path {dir}/body;
                proxy_temp_path {dir}/proxy;
                fastcgi_temp_path {dir}/fastcgi;
                uwsgi_temp_path {dir}/uwsgi;
                scgi_temp_path {dir}/scgi;
                client_max_body_size 100m;
                server {{
                    listen {address};
                    root {dir}/files;
                    default_type text/plain;
                    location /site/ {{ default_type text/html; }}
                    location /app/whoami {{ return 200 "$http_x_auth_user_id $http_x_auth_email\n"; }}
                    location /app/upload {{
                        client_body_in_file_only clean;
                        proxy_pass http://{address}/app/sink;
                    }}
                    location /app/sink {{ return 200 "$content_length bytes\n"; }}
                }}
            }}
            "#,
            dir = dir.path().display(),
        );
        let file = dir.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let mut nginx = program("nginx");
        nginx.arg("-p").arg(dir.path()).arg("-c").arg(&file);
        let process = nginx.spawn().unwrap();
        eventually(DEADLINE, "nginx listens", || async {
            when(tokio::net::TcpStream::connect(address).await.is_ok())
        })
        .await;
        Self {
            address,
            dir,
            _process: process,
        }
    }

    fn big_file(&self) -> PathBuf {
        self.dir.path().join("files/app/big.bin")
    }
}

async fn before_nginx() -> (Nginx, TestGateway, Account) {
    let nginx = Nginx::start().await;
    let gateway = TestGateway::start(&format!(
        "[server]\nworkers = 2\n[upstreams.web]\nservers = [\"http://{}\"]\n[[routes]]\npath = \"/app\"\nupstream = \"web\"\n\
         [[routes]]\npath = \"/site\"\nupstream = \"web\"\nauth = \"none\"\n",
        nginx.address
    ))
    .await;
    let user = Account::sign_up(&gateway).await;
    (nginx, gateway, user)
}

#[tokio::test]
async fn curl_gets_files_ranges_and_uploads_through() {
    let (nginx, gateway, user) = before_nginx().await;
    let authorization = format!("Authorization: Bearer {}", user.token);
    let curl = |arguments: &[&str]| {
        let mut curl = program("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "60",
            "-H",
            &authorization,
        ]);
        curl.args(arguments);
        stdout_of(curl)
    };
    let status = ["-o", "/dev/null", "-w", "%{http_code} %{size_download}"];
    let hello = gateway.url("/app/hello.txt");
    assert_eq!(curl(&[&hello]).await, "hello from nginx\n");
    assert_eq!(curl(&["-r", "6-9", &hello]).await, "from");
    assert!(
        curl(&["-I", &hello]).await.contains("Content-Length: 17")
            || curl(&["-I", &hello]).await.contains("content-length: 17")
    );
    let etag = curl(&["-o", "/dev/null", "-w", "%header{etag}", &hello]).await;
    let match_etag = format!("If-None-Match: {etag}");
    assert_eq!(
        curl(&[&status[..], &["-H", &match_etag, &hello]].concat()).await,
        "304 0"
    );
    assert_eq!(
        curl(&[&status[..], &[&gateway.url("/app/nosuch")]].concat())
            .await
            .split(' ')
            .next(),
        Some("404")
    );

    let out = nginx.dir.path().join("downloaded");
    curl(&["-o", out.to_str().unwrap(), &gateway.url("/app/big.bin")]).await;
    assert!(
        std::fs::read(&out).unwrap() == std::fs::read(nginx.big_file()).unwrap(),
        "the download differs"
    );

    // With a known length (curl asks for a 100 first), and in chunks.
    let upload = gateway.url("/app/upload");
    let file = format!("@{}", nginx.big_file().display());
    let bytes = format!("{BIG} bytes\n");
    assert_eq!(curl(&["--data-binary", &file, &upload]).await, bytes);
    assert_eq!(
        curl(&[
            "-T",
            nginx.big_file().to_str().unwrap(),
            "-X",
            "POST",
            "-H",
            "Transfer-Encoding: chunked",
            &upload
        ])
        .await,
        bytes
    );

    let whoami = curl(&[
        "-H",
        "X-Auth-User-Id: 1",
        "-H",
        "X_Auth_Email: root@x",
        &gateway.url("/app/whoami"),
    ])
    .await;
    assert_eq!(whoami, format!("{} {}\n", user.id, user.email));

    let mut anonymous = program("curl");
    anonymous.args(["--silent", "--noproxy", "*", &hello]);
    let problem: Value = serde_json::from_str(&stdout_of(anonymous).await).unwrap();
    assert_eq!(problem["code"], "token_missing");
}

#[tokio::test]
async fn python_requests_walks_the_main_job() {
    let (_nginx, gateway, _user) = before_nginx().await;
    let mut python = installed("python/bin/python");
    python
        .arg(root().join("tests/it/clients/main_job.py"))
        .arg(gateway.url(""));
    assert_eq!(stdout_of(python).await.trim(), "ok");
}

#[tokio::test]
async fn wrk_sees_no_error_on_many_connections() {
    let (_nginx, gateway, user) = before_nginx().await;
    let mut wrk = program("wrk");
    wrk.args(["-t", "2", "-c", "50", "-d", "3s", "-s"])
        .arg(root().join("tests/it/clients/count.lua"))
        .args(["-H", &format!("Authorization: Bearer {}", user.token)])
        .arg(gateway.url("/app/hello.txt"));
    let report = stdout_of(wrk).await;
    let counted = report
        .lines()
        .find_map(|line| line.strip_prefix("counted "))
        .unwrap_or_else(|| panic!("{report}"));
    let counts: Vec<u64> = counted.split(' ').map(|count| count.parse().unwrap()).collect();
    assert!(counts[0] > 100, "{report}");
    assert_eq!(
        &counts[1..],
        [0, 0, 0, 0, 0],
        "connect, read, write, status, timeout: {report}"
    );
}

#[tokio::test]
async fn a_browser_signs_up_and_reaches_the_backend_from_a_page_behind_the_gateway() {
    let (_nginx, gateway, _user) = before_nginx().await;
    let (page, log) = browse(&gateway.url("/site/")).await;
    let seen = page
        .split("<p id=\"seen\">")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    let seen: Vec<&str> = seen.unwrap_or_default().split(' ').collect();
    assert_eq!(seen.len(), 6, "{page}\n{log}");
    assert_eq!(
        (&seen[..2], &seen[3..]),
        (&["401", "201"][..], &["browser@example.com", "204", "401"][..])
    );
}

#[tokio::test]
async fn a_browser_shows_the_documentation_without_asking_anybody_else() {
    let (_nginx, gateway, _user) = before_nginx().await;
    let (page, log) = browse(&gateway.url("/auth/docs")).await;
    for path in ["/auth/signup", "/auth/login", "/auth/refresh", "/auth/user"] {
        assert!(
            page.contains(path),
            "{path} in the page as the browser built it:\n{page}\n{log}"
        );
    }
    let complaints: Vec<&str> = log
        .lines() // Chromium has advice on password fields, which is no complaint about the page.
        .filter(|line| line.contains("CONSOLE") && !line.contains("[DOM]"))
        .collect();
    assert!(complaints.is_empty(), "the page complains: {complaints:?}");
}
