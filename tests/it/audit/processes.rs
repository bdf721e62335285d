//! What outlives a process, and what is in its files.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::account::PASSWORD;
use crate::support::mariadb::Database;
use crate::support::process::Process;
use crate::support::{DEADLINE, eventually, tools, when};

const ROUTES: &str =
    "[upstreams.whoami]\nservers = \"builtin:whoami\"\n[[routes]]\npath = \"/c\"\nupstream = \"whoami\"\n";
const NEW: &str = "another-plausible-walrus-12";
/// A password that somebody types into the field above it.
const MISTYPED: &str = "Mistyped-In-A-Hurry-9";

async fn post(process: &Process, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = http.post(format!("http://{}{path}", process.address)).json(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

/// What `doorward audit` says, with the configuration of this process.
async fn audit(process: &Process) -> String {
    let mut command = tools::program(env!("CARGO_BIN_EXE_doorward"));
    command
        .args(["audit", "--json", "--oldest-first", "--config"])
        .arg(process.config_file());
    tools::stdout_of(command).await
}

fn kinds(trail: &str) -> Vec<String> {
    let events: Vec<Value> = serde_json::from_str(trail).unwrap();
    let kinds = events.iter().map(|event| event["event"].as_str().unwrap().to_owned());
    kinds
        .filter(|kind| kind != "started" && kind != "key_created")
        .collect()
}

/// Ends the process without a chance to do anything, and starts another in its place.
async fn kill_and_start_again(mut process: Process) -> Process {
    process.signal("KILL").await;
    process.ended().await;
    let next = process.beside("next.log");
    eventually(DEADLINE, "the next process is ready", || async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let ready = http.get(format!("http://{}/readyz", next.admin)).send().await;
        when(ready.is_ok_and(|answer| answer.status() == 200))
    })
    .await;
    next
}

async fn what_was_answered_is_recorded_whatever_happens_next(store: &str) {
    let process = Process::serve(&format!("{store}\n{ROUTES}")).await;
    let account = json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"});
    let (status, body) = post(&process, "/auth/signup", None, &account).await;
    assert_eq!(status, 201);
    let process = kill_and_start_again(process).await;
    assert_eq!(kinds(&audit(&process).await), ["signup", "login"]);

    let token = body["access_token"].as_str().unwrap();
    let change = json!({"current_password": PASSWORD, "new_password": NEW});
    let (status, _) = post(&process, "/auth/user/password", Some(token), &change).await;
    assert_eq!(status, 204);
    let process = kill_and_start_again(process).await;
    assert_eq!(kinds(&audit(&process).await), ["signup", "login", "password_changed"]);

    let (status, _) = post(&process, "/auth/logout", Some(token), &json!({})).await;
    assert_eq!(status, 204);
    let process = kill_and_start_again(process).await;
    let expected = ["signup", "login", "password_changed", "logout"];
    assert_eq!(kinds(&audit(&process).await), expected);
}

#[tokio::test]
async fn what_was_answered_is_recorded_whatever_happens_next_on_sqlite() {
    Box::pin(what_was_answered_is_recorded_whatever_happens_next("")).await;
}

#[tokio::test]
async fn what_was_answered_is_recorded_whatever_happens_next_on_mariadb() {
    let database = Database::create().await;
    let store = format!(
        "[store]\nurl = \"{}\"\nmigrate_on_start = true\n[keys]\ncreate = true\n",
        database.url()
    );
    Box::pin(what_was_answered_is_recorded_whatever_happens_next(&store)).await;
}

/// Whether a file in this folder, or below it, holds the text.
fn is_in_a_file(folder: &Path, text: &str) -> bool {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().any(|path| {
        if path.is_dir() {
            return is_in_a_file(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[tokio::test]
async fn nothing_secret_is_in_the_database_the_log_or_the_output_and_each_event_is_a_line() {
    let mut process = Process::serve(&format!("[log]\nformat = \"json\"\n{ROUTES}")).await;
    let account = json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"});
    let (_, first) = post(&process, "/auth/signup", None, &account).await;
    for (email, password) in [
        ("ann@example.com", MISTYPED),
        (MISTYPED, PASSWORD),
        ("nobody-at-all@example.com", MISTYPED),
    ] {
        let credentials = json!({"email": email, "password": password});
        assert_eq!(post(&process, "/auth/login", None, &credentials).await.0, 401);
    }
    let text = |body: &Value, name: &str| body[name].as_str().unwrap().to_owned();
    let used = text(&first, "refresh_token");
    let (_, second) = post(&process, "/auth/refresh", None, &json!({"refresh_token": used})).await;
    let next = json!({"refresh_token": text(&second, "refresh_token")});
    let (_, third) = post(&process, "/auth/refresh", None, &next).await;
    let replay = json!({"refresh_token": used});
    assert_eq!(post(&process, "/auth/refresh", None, &replay).await.0, 401);
    let credentials = json!({"email": "ann@example.com", "password": PASSWORD});
    let (_, fourth) = post(&process, "/auth/login", None, &credentials).await;
    let token = text(&fourth, "access_token");
    let change = json!({"current_password": PASSWORD, "new_password": NEW});
    let (status, _) = post(&process, "/auth/user/password", Some(&token), &change).await;
    assert_eq!(status, 204);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let moved = http
        .patch(format!("http://{}/auth/user", process.address))
        .bearer_auth(&token);
    let moved = moved.json(&json!({"email": "ann@example.org"})).send().await.unwrap();
    assert_eq!(moved.status(), 200);
    process.signal("TERM").await;
    process.ended().await;

    let trail = audit(&process).await;
    let recorded = kinds(&trail);
    assert_eq!(
        recorded.iter().filter(|kind| *kind == "login_failed").count(),
        3,
        "{trail}"
    );
    assert_eq!(recorded.len(), 9, "{trail}");
    let folder = process.config_file().parent().unwrap().to_owned();
    assert!(
        is_in_a_file(&folder, "ann@example.com"),
        "the search finds what is there"
    );
    let addresses: Vec<_> = trail.lines().filter(|line| line.contains("example")).collect();
    assert!(
        matches!(addresses[..], [line] if line.contains("\"former_email\": \"ann@example.com\"")),
        "{addresses:?}"
    );
    assert!(!process.log().contains("@example"), "{}", process.log());
    let mut secrets = vec![PASSWORD.to_owned(), NEW.to_owned(), MISTYPED.to_owned()];
    secrets.push("nobody-at-all".to_owned());
    for body in [&first, &second, &third, &fourth] {
        secrets.push(text(body, "refresh_token"));
        secrets.push(text(body, "access_token"));
    }
    for secret in secrets {
        assert!(!is_in_a_file(&folder, &secret) && !trail.contains(&secret), "{secret}");
        let other_case = secret.to_lowercase();
        assert!(
            !is_in_a_file(&folder, &other_case) && !trail.contains(&other_case),
            "{secret}"
        );
    }

    let log = process.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(|line| line["target"] == "audit").collect();
    let mut told: Vec<String> = lines.iter().map(|line| text(line, "event")).collect();
    let mut stored: Vec<String> = recorded
        .into_iter()
        .chain(["started", "key_created"].map(str::to_owned))
        .collect();
    told.sort_unstable();
    stored.sort_unstable();
    assert_eq!(told, stored, "{log}");
    let events: Vec<Value> = serde_json::from_str(&trail).unwrap();
    let of = |kind: &str| events.iter().find(|event| event["event"] == kind).unwrap();
    let line = lines.iter().find(|line| line["event"] == "password_changed").unwrap();
    let event = of("password_changed");
    for name in ["outcome", "actor", "user", "session", "address", "request_id"] {
        assert_eq!(line[name], event[name], "{name}: {line}");
    }
    assert_eq!(
        serde_json::from_str::<Value>(&text(line, "details")).unwrap(),
        event["details"]
    );
    assert_eq!(line["level"], "INFO");
}

#[tokio::test]
async fn table_and_log_are_switched_apart_and_by_a_reload() {
    let with = |audit: &str| format!("[log]\nformat = \"json\"\n[audit]\n{audit}\n{ROUTES}");
    let mut process = Process::serve(&with("store = false")).await;
    let wrong = json!({"email": "nobody@example.com", "password": PASSWORD});
    post(&process, "/auth/login", None, &wrong).await;
    process.reload(&with("log = false")).await;
    post(&process, "/auth/login", None, &wrong).await;
    post(&process, "/auth/login", None, &wrong).await;
    process.signal("TERM").await;
    process.ended().await;
    let told = process.log().matches("\"event\":\"login_failed\"").count();
    let trail = audit(&process).await;
    let stored = kinds(&trail).iter().filter(|kind| *kind == "login_failed").count();
    assert_eq!((told, stored), (1, 2), "{}\n{trail}", process.log());
}
