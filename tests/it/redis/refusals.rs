//! A Redis that must not be used, or that does not let us in; and one that is reached over TLS.

use std::fs;
use std::path::Path;
use std::process::Command;

use doorward::config::{self, Revocations};
use doorward::store;

use super::{is_refused, refused, toml};
use crate::support::redis::Redis;
use crate::support::{Account, TestGateway, Upstream};

/// What connecting says with this `[revocation]`.
async fn open(revocation: &str) -> Result<store::Redis, String> {
    let dir = tempfile::tempdir().unwrap();
    let toml = format!(
        "[revocation]\n{revocation}\n[upstreams.a]\nservers = \"builtin:whoami\"\n[[routes]]\npath = \"/\"\nupstream = \"a\"\n"
    );
    let config = config::parse(&toml, dir.path()).unwrap();
    let Revocations::Redis(redis) = &config.store.revocations else {
        panic!("this test is about Redis");
    };
    let connected = store::Redis::connect(redis, config.store.connect_timeout).await;
    connected.map_err(|error| format!("{error} {error:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_does_not_start_without_its_redis() {
    let upstream = Upstream::echo().await;
    let mut redis = Redis::start().await;
    redis.kill();
    let dir = tempfile::tempdir().unwrap();
    let toml = crate::support::gateway::complete(&toml(&upstream, &redis, ""), None);
    let config = config::parse(&toml, dir.path()).unwrap();
    let error = doorward::server::start(config, doorward::time::Clock::system())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{}", redis.port)),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_named_and_never_shown() {
    let redis = Redis::start_with(&["--save", "", "--requirepass", "right-one"]).await;
    let url = |login: &str| format!("url = \"redis://{login}127.0.0.1:{}\"", redis.port);
    for wrong in [url(":wrong-one@"), url("nobody:wrong-one@"), url("")] {
        let said = open(&wrong).await.unwrap_err();
        assert!(said.contains("refused the user or the password"), "{said}");
        assert!(
            said.contains(&redis.port.to_string()) && !said.contains("wrong-one"),
            "{said}"
        );
    }
    assert!(open(&url("default:right-one@")).await.is_ok());
    let apart = format!("{}\npassword = \"right-one\"", url(""));
    assert!(open(&apart).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_would_forget_to_save_memory_or_takes_no_writes_is_refused() {
    let evicts = Redis::start_with(&[
        "--save",
        "",
        "--maxmemory",
        "50mb",
        "--maxmemory-policy",
        "volatile-lru",
    ])
    .await;
    let said = open(&format!("url = \"{}\"", evicts.url())).await.unwrap_err();
    assert!(said.contains("volatile-lru") && said.contains("noeviction"), "{said}");
    let _: String = evicts.run("CONFIG SET maxmemory-policy noeviction").await;
    assert!(open(&format!("url = \"{}\"", evicts.url())).await.is_ok());

    let leader = evicts.port.to_string();
    let replica = Redis::start_with(&["--save", "", "--replicaof", &format!("127.0.0.1 {leader}")]).await;
    let said = open(&format!("url = \"{}\"", replica.url())).await.unwrap_err();
    assert!(said.contains("replica"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_has_become_a_replica_confirms_nothing_over_a_connection_from_before() {
    let redis = Redis::start().await;
    let connected = open(&format!("url = \"{}\"", redis.url())).await.unwrap();
    let mut reader = connected.reader().await.unwrap();
    reader.enter(store::Lease::Unchanged).await.unwrap();
    let position = reader.end().await.unwrap();
    let wait = std::time::Duration::from_millis(1);
    assert!(reader.after(&position, wait).await.unwrap().gapless);
    // Its new primary can't be reached: it goes on answering with what it has.
    let _: String = redis.run("REPLICAOF 127.0.0.1 1").await;
    let said = reader.after(&position, wait).await.unwrap_err();
    assert!(format!("{said:?}").contains("it has become a replica"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_has_become_a_replica_is_left_for_whoever_answers_at_its_address() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let gateway = TestGateway::start(&toml(&upstream, &redis, "")).await;
    let store = gateway.store().await;
    let now = doorward::time::Clock::system().now();
    let revocation = store::Revocation {
        target: store::Revoked::Token(doorward::id::TokenId::generate(now)),
        expires_at: now + std::time::Duration::from_mins(20),
    };
    let other = store::Revocation {
        target: store::Revoked::Token(doorward::id::TokenId::generate(now)),
        ..revocation
    };
    // What is there already may be lost with the rest, once a new primary sends what it has.
    for next in [revocation, other] {
        let _: String = redis.run("REPLICAOF NO ONE").await;
        store.block(&[revocation], now).await.unwrap();
        let _: String = redis.run("REPLICAOF 127.0.0.1 1").await;
        let said = store.block(&[next], now).await.unwrap_err();
        // What is said of a connection that was made anew.
        assert!(format!("{said:?}").contains("which takes no writes"), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_full_takes_no_logout_and_nobody_is_told_that_it_did() {
    let upstream = Upstream::echo().await;
    let redis = Redis::start_with(&["--save", "", "--maxmemory-policy", "noeviction"]).await;
    let gateway = TestGateway::start(&toml(&upstream, &redis, "")).await;
    let account = Account::sign_up(&gateway).await;
    let _: String = redis.run("CONFIG SET maxmemory 1").await;
    let request = gateway
        .http
        .post(gateway.url("/auth/logout"))
        .bearer_auth(&account.token);
    assert_eq!(request.send().await.unwrap().status(), 503);
    let _: String = redis.run("CONFIG SET maxmemory 0").await;
    gateway.log_out(&account.token).await;
    assert!(is_refused(&gateway, &account).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_the_rights_that_the_readme_names_is_enough() {
    const RIGHTS: &str = "`EVAL GET MGET SET PTTL SCAN EXISTS XADD XLEN XRANGE XREVRANGE XREAD ZADD ZREM \
                          ZREMRANGEBYSCORE ZCARD TIME PING SELECT INFO`";
    let readme = fs::read_to_string(crate::support::tools::root().join("README.md")).unwrap();
    let readme: Vec<&str> = readme.split_whitespace().collect();
    assert!(readme.join(" ").contains(RIGHTS), "the README names other rights");
    let (upstream, redis) = (Upstream::echo().await, Redis::start().await);
    for without in ["", "+info"] {
        let words = RIGHTS.trim_matches('`').split(' ');
        let rights: Vec<String> = words.map(|word| format!("+{}", word.to_lowercase())).collect();
        let rights = if without.is_empty() {
            rights.join(" ")
        } else {
            rights.join(" ").replace(without, "")
        };
        let set = format!("ACL SETUSER gate reset on >pw ~{{doorward}}:* {}", rights.trim());
        let _: String = redis.run(&set).await;
        let url = redis.url().replace("redis://", "redis://gate:pw@");
        let here = toml(&upstream, &redis, "").replace(&redis.url(), &url);
        let here = TestGateway::start(&here).await;
        let there = here.replica().await;
        let account = Account::sign_up(&here).await;
        here.log_out(&account.token).await;
        refused("by a user of few rights", &there, &account).await;
    }
}

fn openssl(dir: &Path, arguments: &str) {
    let done = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(dir)
        .output();
    let done = done.expect("openssl runs");
    assert!(
        done.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// An authority, and a certificate that it signed for 127.0.0.1.
fn certificates(dir: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        dir,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"),
    );
    openssl(
        dir,
        &format!("req {key} -keyout redis.key -out redis.csr -subj /CN=redis"),
    );
    fs::write(
        dir.join("names"),
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    openssl(
        dir,
        "x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out redis.pem -days 2 -extfile names",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_is_reached_over_tls_and_its_certificate_is_verified() {
    let upstream = Upstream::echo().await;
    let made = tempfile::tempdir().unwrap();
    certificates(made.path());
    let file = |name: &str| made.path().join(name).display().to_string();
    let (pem, key, ca) = (file("redis.pem"), file("redis.key"), file("ca.pem"));
    let redis = Redis::start_tls(&[
        "--save",
        "",
        "--requirepass",
        "right-one",
        "--tls-cert-file",
        &pem,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ])
    .await;
    let address = format!("127.0.0.1:{}", redis.port);

    let said = open(&format!("url = \"rediss://:right-one@{address}\""))
        .await
        .unwrap_err();
    assert!(said.contains("UnknownIssuer"), "an authority that nobody knows: {said}");
    let said = open(&format!(
        "url = \"rediss://:right-one@localhost:{}?ca={ca}\"",
        redis.port
    ))
    .await
    .unwrap_err();
    assert!(
        said.contains("certificate") || said.contains("refused"),
        "another name: {said}"
    );
    let said = open(&format!("url = \"rediss://{address}?ca=/nowhere/ca.pem\""))
        .await
        .unwrap_err();
    assert!(said.contains("/nowhere/ca.pem"), "{said}");
    let said = open(&format!("url = \"redis://:right-one@{address}\""))
        .await
        .unwrap_err();
    assert!(!said.contains("right-one"), "{said}");

    let revocation =
        format!("[revocation]\nurl = \"rediss://default@{address}/2\"\npassword = \"right-one\"\nca_file = \"{ca}\"\n");
    let here = TestGateway::start(&format!("{}\n{revocation}", crate::support::usual_routes(&upstream))).await;
    let there = here.replica().await;
    let account = Account::sign_up(&here).await;
    here.log_out(&account.token).await;
    refused("pushed over TLS", &there, &account).await;
}
