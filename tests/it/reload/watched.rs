//! With `server.watch` a changed file is taken without a signal.

use crate::support::process::Process;
use crate::support::{DEADLINE, Upstream, eventually, usual_routes, when};

fn watched(upstream: &Upstream, more: &str) -> String {
    format!("[server]\nwatch = \"20ms\"\n{}{more}", usual_routes(upstream))
}

#[tokio::test]
async fn a_changed_file_is_taken_a_bad_one_is_not_and_the_next_good_one_is() {
    let upstream = Upstream::echo().await;
    let process = Process::serve(&watched(&upstream, "")).await;
    process.rewrite(&watched(
        &upstream,
        "[[routes]]\npath = \"/more\"\nupstream = \"app\"\n",
    ));
    eventually(DEADLINE, "it is in force", || async {
        when(process.generation().await == 2)
    })
    .await;
    std::fs::write(process.config_file(), "[server").unwrap();
    eventually(DEADLINE, "it is refused", || async {
        when(process.ready().await["reasons"][0].is_string())
    })
    .await;
    assert_eq!(process.generation().await, 2);
    process.rewrite(&watched(&upstream, ""));
    eventually(DEADLINE, "it is in force", || async {
        when(process.generation().await == 3)
    })
    .await;
    assert_eq!(process.ready().await["reasons"], serde_json::json!([]));
}

#[tokio::test]
async fn a_file_that_the_configuration_names_is_watched_too() {
    let upstream = Upstream::echo().await;
    let client = "[[clients]]\nid = \"reports\"\nsecret_file = \"reports.secret\"\nallow = [\"introspect\"]\n";
    let process = Process::serve(&watched(&upstream, "")).await;
    let secret = process.config_file().with_file_name("reports.secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    process.rewrite(&watched(&upstream, client));
    eventually(DEADLINE, "it is in force", || async {
        when(process.generation().await == 2)
    })
    .await;
    std::fs::write(&secret, "fedcba9876543210fedcba9876543210").unwrap();
    eventually(DEADLINE, "the new secret is in force", || async {
        when(process.generation().await == 3)
    })
    .await;
}
