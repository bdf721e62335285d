//! The command line where revocations are kept in Redis: commands write theirs there, too.

use super::trying::Served;
use super::{CONFIG, Folder, PASSWORD, assert_holds};
use crate::support::redis::Redis;
use crate::support::{DEADLINE, eventually, when};

/// A folder whose configuration names this Redis.
fn folder(redis: &Redis) -> Folder {
    Folder::with_config(&format!(
        "{CONFIG}\n[revocation]\nurl = \"{}\"\npoll_interval = \"100ms\"\n",
        redis.url()
    ))
}

#[tokio::test]
async fn a_command_that_ends_sessions_is_known_to_a_running_gateway_and_fails_whole_without_redis() {
    let mut redis = Redis::start_settled().await;
    let folder = folder(&redis);
    let gateway = Served::start(&folder);
    folder.add("ann@example.com", "");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = serde_json::json!({"email": "ann@example.com", "password": PASSWORD});
    let login = http
        .post(format!("{}/auth/login", gateway.url))
        .json(&body)
        .send()
        .await
        .unwrap();
    let tokens: serde_json::Value = login.json().await.unwrap();
    let token = tokens["access_token"].as_str().unwrap();
    let asked = async || {
        let request = http.get(format!("{}/whoami", gateway.url)).bearer_auth(token);
        request.send().await.unwrap().status()
    };
    assert_eq!(asked().await, 200);

    redis.kill();
    let said = folder.run("users disable ann@example.com").bad(1);
    assert_holds(&said, &["Redis", &redis.port.to_string()]);
    let ann = folder.json("users show ann@example.com --json");
    assert!(ann["disabled_at"].is_null(), "the command was not undone: {ann}");

    redis.start_again().await;
    folder.run("users disable ann@example.com").good();
    eventually(DEADLINE, "the gateway knows", || async { when(asked().await == 401) }).await;
}

#[tokio::test]
async fn check_says_whether_redis_can_be_used() {
    let mut redis = Redis::start_settled().await;
    let folder = folder(&redis);
    let place = format!("127.0.0.1:{}", redis.port);
    assert_holds(&folder.run("check").good(), &["ok       redis", &place]);
    redis.kill();
    let done = folder.run("check");
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(&done.out, &["problem  redis", &place, "ok       keys"]);
}
