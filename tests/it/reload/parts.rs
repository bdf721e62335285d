//! What a configuration names comes and goes with it: issuers, limits, and nothing that piles up.

use crate::support::idp::{Idp, Signer};
use crate::support::process::Process;
use crate::support::{DEADLINE, TestGateway, Upstream, eventually, usual_routes, when};

#[tokio::test]
async fn an_issuer_that_is_removed_is_believed_no_more_not_even_what_was_verified_before() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let route = |issuer: &str| {
        format!(
            "{}[[routes]]\npath = \"/corp\"\nupstream = \"app\"\nissuers = [\"{issuer}\"]\n",
            usual_routes(&upstream)
        )
    };
    let (with, without) = (route("corp") + &idp.toml("corp", ""), route("self"));
    let mut gateway = TestGateway::start(&without).await;
    let token = signer.sign(&idp.claims());
    assert_eq!(gateway.get("/corp", Some(&token)).await.0, 401);
    for _ in 0..2 {
        gateway.reload(&with).await.unwrap();
        eventually(DEADLINE, "its keys are there", || async {
            when(gateway.get("/corp", Some(&token)).await.0 == 200)
        })
        .await;
        gateway.reload(&without).await.unwrap();
        for _ in 0..3 {
            assert_eq!(gateway.get("/corp", Some(&token)).await.0, 401);
        }
    }
}

#[tokio::test]
async fn a_limit_that_stays_goes_on_to_count_and_one_that_is_removed_refuses_nobody() {
    let upstream = Upstream::echo().await;
    let with = |limits: &str, route: &str| {
        format!(
            "{limits}\n[upstreams.app]\nservers = [\"{}\"]\n[[routes]]\npath = \"/x\"\nupstream = \"app\"\nauth = \"none\"\n{route}\n",
            upstream.url()
        )
    };
    let limit = "[[limits]]\nname = \"one\"\nrate = \"1/d\"\nburst = 1\nby = \"all\"\n";
    let limited = with(limit, "limits = [\"one\"]");
    let mut gateway = TestGateway::start(&with("", "")).await;
    assert_eq!(gateway.get("/x", None).await.0, 200);
    gateway.reload(&limited).await.unwrap();
    assert_eq!(gateway.get("/x", None).await.0, 200);
    assert_eq!(gateway.get("/x", None).await.0, 429);
    gateway.reload(&format!("{limited}# as before\n")).await.unwrap();
    assert_eq!(gateway.get("/x", None).await.0, 429);
    gateway.reload(&with("", "")).await.unwrap();
    assert_eq!(gateway.get("/x", None).await.0, 200);
    let error = gateway.reload(&with("", "limits = [\"one\"]")).await.unwrap_err();
    assert!(error.contains("one"), "{error}");
    assert_eq!(gateway.get("/x", None).await.0, 200);
}

/// How many files and threads a process has.
fn held(process: &Process) -> (usize, usize) {
    let count = |what: &str| {
        let there = std::fs::read_dir(format!("/proc/{}/{what}", process.id())).expect("the process runs");
        there.count()
    };
    (count("fd"), count("task"))
}

#[tokio::test]
async fn a_hundred_reloads_leave_no_file_no_task_and_no_metric_behind() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let with = |number: usize| {
        let url = upstream.url();
        format!(
            "{}\n{}\n[[limits]]\nname = \"limit-{number}\"\nrate = \"5/s\"\n[upstreams.passing-{number}]\nservers = [\"{url}\"]\n\
             health.path = \"/\"\nhealth.interval = \"100ms\"\n[[routes]]\npath = \"/passing-{number}\"\nupstream = \"passing-{number}\"\n\
             auth = \"none\"\nlimits = [\"limit-{number}\"]\n",
            usual_routes(&upstream),
            idp.toml(&format!("issuer-{number}"), "")
        )
    };
    let process = Process::serve(&with(0)).await;
    let http = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let ask = async |number: usize| {
        let url = format!("http://{}/passing-{number}", process.address);
        assert_eq!(http.get(url).send().await.unwrap().status(), 200, "{number}");
    };
    for number in 1..=10 {
        process.reload(&with(number)).await;
        ask(number).await;
    }
    let (files, threads) = held(&process);
    for number in 11..=110 {
        process.reload(&with(number)).await;
        ask(number).await;
    }
    // Connections that are let go take a moment, and so do threads that block.
    eventually(DEADLINE, "nothing is left behind", || async {
        let now = held(&process);
        when(now.0 <= files + 10 && now.1 <= threads + 8)
    })
    .await;
    let metrics = http
        .get(format!("http://{}/metrics", process.admin))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let left: Vec<&str> = metrics
        .lines()
        .filter(|line| line.contains("passing-50\"") || line.contains("issuer-50\"") || line.contains("limit-50\""))
        .collect();
    assert_eq!(left, Vec::<&str>::new());
}
