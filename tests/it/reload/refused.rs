//! A configuration that can't be put in force leaves the one before in force, and says so.

use crate::support::process::Process;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, metric, usual_routes, when};

const REFUSED: &str = "doorward_config_reloads_total{result=\"refused\"}";

async fn refused(process: &Process) -> f64 {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    metric(&http, process.admin, REFUSED).await.unwrap()
}

#[tokio::test]
async fn a_bad_file_never_replaces_a_good_one_and_log_readiness_and_metrics_say_so() {
    let upstream = Upstream::echo().await;
    let good = usual_routes(&upstream);
    let mut process = Process::serve(&good).await;
    let text = std::fs::read_to_string(process.config_file()).unwrap();
    let half = &text[..text.len() / 2];
    let last = text.find("[upstreams").expect("it has one");
    let secret = text.replace("[tokens]", "") + "\n[tokens]\nsecret = \"hunter2\"\n";
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("cut short", [half.as_bytes(), b"\n[[routes"].concat()),
        ("cut before its upstreams", text.as_bytes()[..last].to_vec()),
        ("cut within a header", text.as_bytes()[..last + 4].to_vec()),
        ("cut within a list", text.as_bytes()[..text.len() - 2].to_vec()),
        ("cut within a string", text.as_bytes()[..text.len() - 5].to_vec()),
        ("not text", vec![0xff, 0xfe, 0x00]),
        ("another language", b"{\"server\": {}}".to_vec()),
        (
            "an unknown key",
            format!("{text}\n[servr]\nlisten = \"x\"\n").into_bytes(),
        ),
        ("a wrong value", text.replace("workers = 1", "workers = 0").into_bytes()),
        (
            "no such upstream",
            text.replace("upstream = \"app\"", "upstream = \"nobody\"").into_bytes(),
        ),
        ("a secret in a bad place", secret.into_bytes()),
        (
            "another number of workers",
            text.replace("workers = 1", "workers = 2").into_bytes(),
        ),
        ("another store", text.replace("doorward.db", "other.db").into_bytes()),
    ];
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (number, (what, bytes)) in bad.iter().enumerate() {
        std::fs::write(process.config_file(), bytes).unwrap();
        process.signal("HUP").await;
        let expected = f64::from(u32::try_from(number).unwrap() + 1);
        eventually(DEADLINE, what, || async { when(refused(&process).await >= expected) }).await;
        let ready = process.ready().await;
        assert_eq!(
            (&ready["ready"], &ready["config"]["generation"]),
            (&true.into(), &1.into()),
            "{what}: {ready}"
        );
        let why = ready["reasons"][0].as_str().unwrap();
        assert!(
            why.contains("the configuration was changed and is not taken"),
            "{what}: {why}"
        );
        let answer = http
            .get(format!("http://{}/public/x", process.address))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{what}");
    }
    process.reload(&good).await;
    assert_eq!(process.ready().await["reasons"], serde_json::json!([]));
    process.signal("TERM").await;
    assert!(process.ended().await.success(), "{}", process.log());
    let log = process.log();
    for part in [
        "gateway.toml:",
        "servr",
        "server.workers",
        "store.url",
        "needs a restart",
    ] {
        assert!(log.contains(part), "{part} is not in\n{log}");
    }
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn a_missing_file_leaves_everything_as_it_is() {
    let upstream = Upstream::echo().await;
    let process = Process::serve(&usual_routes(&upstream)).await;
    std::fs::remove_file(process.config_file()).unwrap();
    process.signal("HUP").await;
    eventually(DEADLINE, "it was refused", || async {
        when(refused(&process).await >= 1.0)
    })
    .await;
    let why = process.ready().await["reasons"][0].as_str().unwrap().to_owned();
    assert!(why.contains("the file can't be read"), "{why}");
    process.reload(&usual_routes(&upstream)).await;
}

#[tokio::test]
async fn a_configuration_of_which_one_key_needs_a_restart_is_not_taken_in_part() {
    let upstream = Upstream::echo().await;
    let mut gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let other = "[keys]\nreload_every = \"1s\"\n[revocation]\npoll_interval = \"50ms\"\n\
                 [upstreams.other]\nservers = [\"builtin:whoami\"]\n[[routes]]\npath = \"/other\"\nupstream = \"other\"\n";
    let error = gateway.reload(other).await.unwrap_err();
    assert_eq!(
        error,
        "another keys.reload_every, revocation.poll_interval needs a restart"
    );
    assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 200);
    assert_eq!(gateway.get("/other", Some(&user.token)).await.0, 404);
}
