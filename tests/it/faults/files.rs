//! A process that can open no more files.

use std::collections::BTreeSet;
use std::time::Duration;

use doorward::time::monotonic;
use serde_json::json;
use tokio::time::timeout;

use super::{Client, recovery};
use crate::support::account::PASSWORD;
use crate::support::process::{Process, processor_time};
use crate::support::{Account, Conversation, DEADLINE, Upstream, eventually, metric, tools, usual_routes, when};

/// The numbers of the files that the process has open.
fn open_files(process: &Process) -> BTreeSet<usize> {
    let folder = std::fs::read_dir(format!("/proc/{}/fd", process.id())).expect("the process runs");
    let names = folder.filter_map(|file| file.ok()?.file_name().into_string().ok());
    names.map(|name| name.parse().expect("a number")).collect()
}

/// From now on it may have so many.
async fn allow_files(process: &Process, number: usize) {
    let mut prlimit = tools::program("prlimit");
    prlimit.arg(format!("--pid={}", process.id()));
    prlimit.arg(format!("--nofile={number}:"));
    tools::stdout_of(prlimit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_file_left_to_open_who_is_connected_goes_on_and_who_comes_is_let_in_later() {
    let (upstream, others) = (Upstream::echo().await, [Upstream::echo().await, Upstream::echo().await]);
    let toml = format!(
        "{}\n[upstreams.other]\nservers = [\"{}\", \"{}\"]\neject.after = 2\nhealth.path = \"/\"\nhealth.interval = \"100ms\"\n\
         health.failures = 2\n[[routes]]\npath = \"/other\"\nupstream = \"other\"\nauth = \"none\"\n",
        usual_routes(&upstream),
        others[0].url(),
        others[1].url()
    );
    let process = Process::serve(&toml).await;
    let client = Client::at(&process);
    let account = Account::sign_up_at(&client.http, &client.base).await;
    let host = process.address;
    let get = |path: &str, account: &Account| {
        let bearer = account.bearer();
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\n\r\n")
    };
    let ask = |path: &str| get(path, &account);
    let mut inside = Conversation::open(process.address).await;
    inside.send(ask("/c/x")).await;
    assert_eq!(inside.answer().await.status, 200);
    // What was opened to get here is closed again or stays, and checks come and go.
    let mut stay = open_files(&process);
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stay = &stay & &open_files(&process);
    }
    // A file that is opened gets the lowest number that is free, and is refused one from the limit on.
    let free = (0..=4096)
        .find(|number| !stay.contains(number))
        .expect("there are enough numbers");
    allow_files(&process, free).await;

    let mut outside = Conversation::open(process.address).await;
    outside.send(ask("/c/x")).await;
    let used = processor_time(process.id());
    for _ in 0..10 {
        inside.send(ask("/c/x")).await;
        let answer = client.timed("/c/x", inside.answer()).await;
        assert_eq!(answer.status, 200, "over the connections that there are");
        inside.send(ask("/other/x")).await;
        let answer = client.timed("/other/x", inside.answer()).await;
        assert_eq!(answer.status, 502, "a new one would have to be opened");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let used = processor_time(process.id()).saturating_sub(used);
    assert!(
        used < Duration::from_millis(500),
        "{used:?} of work in a second of waiting"
    );
    // Logins and logouts go on as well, and hold.
    let login = json!({"email": account.email, "password": PASSWORD}).to_string();
    let login = format!(
        "POST /auth/login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{login}",
        login.len()
    );
    inside.send(login).await;
    let answer = client.timed("/auth/login", inside.answer()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let leaving = Account::from_tokens(&answer.json());
    inside.send(get("/c/x", &leaving)).await;
    assert_eq!(inside.answer().await.status, 200);
    let logout = get("/auth/logout", &leaving).replace("GET", "POST");
    inside
        .send(logout.replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"))
        .await;
    let answer = client.timed("/auth/logout", inside.answer()).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    inside.send(get("/c/x", &leaving)).await;
    assert_eq!(inside.answer().await.problem(), "token_revoked");
    assert!(outside.pending().is_empty(), "nobody let it in");
    eventually(DEADLINE, "the log says it", || async {
        when(process.log().contains("no connection can be accepted"))
    })
    .await;

    allow_files(&process, 1024).await;
    let since = monotonic();
    let answer = timeout(recovery(), outside.answer()).await;
    let answer = answer.unwrap_or_else(|_| panic!("whoever waited is not let in within {:?}", recovery()));
    assert_eq!(answer.status, 200, "whoever waited is let in");
    eprintln!(
        "no more files: who waited is answered after {:?}; the longest answers: {}",
        since.elapsed(),
        client.longest()
    );
    assert!(client.is_revoked(&leaving.token).await, "the logout holds");
    let refresh = json!({"refresh_token": leaving.refresh_token});
    assert_eq!(client.post("/auth/refresh", None, &refresh).await.0, 401);
    assert_eq!(client.log_in(&account).await.0, 200);
    inside.send(ask("/other/x")).await;
    assert_eq!(inside.answer().await.status, 200);
    assert_eq!(
        process.ready().await["reasons"],
        json!([]),
        "nobody thinks ill of servers that were not asked"
    );
    let failures = metric(&client.http, process.admin, "doorward_accept_failures_total").await;
    assert!(failures.is_some_and(|failures| failures > 1.0), "{failures:?}");
    eventually(DEADLINE, "the log says that too", || async {
        when(process.log().contains("connections are accepted again"))
    })
    .await;
    let log = process.log();
    assert_eq!(log.matches("no connection can be accepted").count(), 1, "{log}");
}
