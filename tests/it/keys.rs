//! Signing keys that come and go while gateways run: no valid token is refused, and no revoked key accepted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Account, Backend, DEADLINE, TestGateway, eventually, when};

/// How long a new key is published before it signs.
const PUBLICATION: Duration = Duration::from_mins(7);

/// A guarded route.
const ROUTES: &str = r#"
[upstreams.app]
servers = ["builtin:whoami"]
[[routes]]
path = "/c"
upstream = "app"
"#;

/// So many gateways on one MariaDB.
async fn replicas(count: usize, more: &str) -> Vec<Arc<TestGateway>> {
    let toml = format!("{more}\n{ROUTES}");
    let mut gateways = vec![TestGateway::start_on(Backend::MariaDb, &toml).await];
    while gateways.len() < count {
        gateways.push(gateways[0].replica().await);
    }
    gateways.into_iter().map(Arc::new).collect()
}

fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// The names of the keys that this gateway publishes.
async fn published(gateway: &TestGateway) -> BTreeSet<String> {
    let (status, body) = gateway.get("/auth/.well-known/jwks.json", None).await;
    assert_eq!(status, 200);
    let keys: Value = serde_json::from_str(&body).unwrap();
    let keys = keys["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Waits until every gateway publishes exactly these keys.
async fn all_publish(gateways: &[Arc<TestGateway>], kids: &[&str]) {
    let kids: BTreeSet<String> = kids.iter().map(|kid| (*kid).to_owned()).collect();
    for gateway in gateways {
        eventually(DEADLINE, "the keys of each replica", async || {
            when(published(gateway).await == kids)
        })
        .await;
    }
}

async fn is_accepted(gateways: &[Arc<TestGateway>], token: &str) {
    for (index, gateway) in gateways.iter().enumerate() {
        let (status, body) = gateway.get("/c/x", Some(token)).await;
        assert_eq!(status, 200, "replica {index}, key {}: {body}", kid(token));
    }
}

async fn is_refused(gateways: &[Arc<TestGateway>], token: &str) {
    for gateway in gateways {
        eventually(DEADLINE, "a refusal", async || {
            when(gateway.get("/c/x", Some(token)).await.0 == 401)
        })
        .await;
    }
}

async fn refresh(gateway: &TestGateway, account: &Account) -> Account {
    let (status, answer) = gateway
        .post("/auth/refresh", &json!({"refresh_token": account.refresh_token}))
        .await;
    assert_eq!(status, 200, "{answer}");
    Account::from_tokens(&answer)
}

/// Runs the program, which must succeed, and gives what it printed.
async fn done(gateway: &TestGateway, args: &str) -> String {
    let (good, out, err) = gateway.command(args).await;
    assert!(good, "{args}: {err}");
    out.trim().to_owned()
}

/// Clients that log in, refresh, and use what they got on every replica, all the time.
struct Load {
    stop: Arc<AtomicBool>,
    /// How many rounds each has made.
    rounds: Vec<Arc<AtomicU32>>,
    clients: JoinSet<()>,
    /// The keys of the tokens that they got.
    seen: Arc<std::sync::Mutex<BTreeSet<String>>>,
}

impl Load {
    async fn start(gateways: &[Arc<TestGateway>], clients: usize) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            rounds: Vec::new(),
            clients: JoinSet::new(),
            seen: Arc::default(),
        };
        for client in 0..clients {
            let rounds = Arc::new(AtomicU32::new(0));
            load.rounds.push(Arc::clone(&rounds));
            let (gateways, stop, seen) = (gateways.to_vec(), Arc::clone(&load.stop), Arc::clone(&load.seen));
            let mut account = Account::sign_up(&gateways[client % gateways.len()]).await;
            load.clients.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let round = rounds.load(Ordering::SeqCst) as usize;
                    let gateway = &gateways[(client + round) % gateways.len()];
                    let before = account.token.clone();
                    account = if round.is_multiple_of(3) {
                        account.log_in(gateway).await
                    } else {
                        refresh(gateway, &account).await
                    };
                    // Whoever verifies tokens by the key set finds the key there, whichever replica is asked.
                    if kid(&before) != kid(&account.token) {
                        for gateway in &gateways {
                            assert!(published(gateway).await.contains(&kid(&account.token)));
                        }
                    }
                    seen.lock().unwrap().insert(kid(&account.token));
                    is_accepted(&gateways, &account.token).await;
                    is_accepted(&gateways, &before).await;
                    rounds.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        load
    }

    /// Waits until each client has begun and ended two rounds, so that it holds nothing from before.
    async fn go_round(&mut self) {
        let before: Vec<u32> = self.rounds.iter().map(|rounds| rounds.load(Ordering::SeqCst)).collect();
        let deadline = DEADLINE * 3;
        let rounds = self.rounds.clone();
        let all = eventually(deadline, "two rounds of every client", async || {
            when(
                rounds
                    .iter()
                    .zip(&before)
                    .all(|(now, before)| now.load(Ordering::SeqCst) >= before + 3),
            )
        });
        tokio::select! {
            () = all => {}
            Some(ended) = self.clients.join_next() => panic!("a client ended: {ended:?}"),
        }
    }

    fn seen(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_under_load_refuses_no_valid_token() {
    let gateways = replicas(3, "keys.reload_every = '200ms'").await;
    let mut load = Load::start(&gateways, 4).await;
    let early = Account::sign_up(&gateways[0]).await;
    let old = kid(&early.token);
    load.go_round().await;

    let new = done(&gateways[1], "keys rotate").await;
    all_publish(&gateways, &[&old, &new]).await;
    load.go_round().await;
    assert_eq!(load.seen(), BTreeSet::from([old.clone()]), "the new key signs later");
    is_accepted(&gateways, &early.token).await;

    for _ in 0..2 {
        gateways[0].shift.advance(PUBLICATION / 2 + Duration::from_secs(1));
        load.go_round().await;
    }
    load.seen();
    load.go_round().await;
    assert_eq!(load.seen(), BTreeSet::from([new.clone()]));
    is_accepted(&gateways, &early.token).await;
    load.stop().await;

    let late = Account::sign_up(&gateways[0]).await;
    gateways[0].shift.advance(Duration::from_hours(25));
    all_publish(&gateways, &[&new]).await;
    is_refused(&gateways, &early.token).await;
    let late = refresh(&gateways[2], &late).await;
    is_accepted(&gateways, &late.token).await;
    let list: Value = serde_json::from_str(&done(&gateways[0], "keys list --all --json").await).unwrap();
    assert_eq!(list[0]["kid"], old.as_str());
    assert!(list[0]["deleted_at"].is_string(), "{list}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_rotate_by_themselves_are_made_once_and_known_to_all_replicas() {
    let gateways = replicas(3, "keys.reload_every = '200ms'\nkeys.rotate_every = '1h'").await;
    let mut account = Account::sign_up(&gateways[0]).await;
    let mut kids = vec![kid(&account.token)];
    for round in 1..3 {
        gateways[0].shift.advance(Duration::from_mins(53));
        let all = eventually(DEADLINE, "another key", async || {
            let published = published(&gateways[0]).await;
            (published.len() > round).then_some(published)
        });
        let all = all.await;
        kids.push(all.iter().find(|kid| !kids.contains(kid)).unwrap().clone());
        let known: Vec<&str> = kids.iter().map(String::as_str).collect();
        all_publish(&gateways, &known).await;
        account = refresh(&gateways[1], &account).await;
        assert_eq!(kid(&account.token), kids[round - 1]);
        gateways[0].shift.advance(PUBLICATION + Duration::from_secs(1));
        is_accepted(&gateways, &account.token).await;
        for gateway in &gateways {
            account = refresh(gateway, &account).await;
            assert_eq!(kid(&account.token), kids[round]);
            is_accepted(&gateways, &account.token).await;
        }
        all_publish(&gateways, &known).await;
    }
    let list: Value = serde_json::from_str(&done(&gateways[0], "keys list --json").await).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 3, "{list}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_by_all_replicas_and_logins_go_on() {
    // Only the revocation makes a replica read the keys so soon.
    let mut gateways = replicas(3, "keys.reload_every = '1m'").await;
    let account = Account::sign_up(&gateways[0]).await;
    let old = kid(&account.token);
    is_accepted(&gateways, &account.token).await;
    let new = done(&gateways[0], &format!("keys revoke {old}")).await;
    is_refused(&gateways, &account.token).await;
    all_publish(&gateways, &[&new]).await;
    for gateway in &gateways {
        let again = account.log_in(gateway).await;
        assert_eq!(kid(&again.token), new);
        is_accepted(&gateways, &again.token).await;
    }
    let again = refresh(&gateways[1], &account).await;
    is_accepted(&gateways, &again.token).await;

    gateways.push(Arc::new(gateways[0].replica().await));
    let (status, body) = gateways[3].get("/c/x", Some(&account.token)).await;
    assert!(status == 401 && body.contains("token_revoked"), "{body}");
    all_publish(&gateways, &[&new]).await;

    let (good, _, err) = gateways[0].command(&format!("keys revoke {old}")).await;
    assert!(!good && err.contains(&old) && err.contains(&new), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_revoked_after_a_rotation_leaves_the_one_before_it_to_sign() {
    let gateways = replicas(2, "keys.reload_every = '200ms'").await;
    let account = Account::sign_up(&gateways[0]).await;
    let old = kid(&account.token);
    let new = done(&gateways[0], "keys rotate").await;
    all_publish(&gateways, &[&old, &new]).await;
    let next = done(&gateways[0], &format!("keys revoke {new}")).await;
    all_publish(&gateways, &[&old, &next]).await;
    let again = account.log_in(&gateways[1]).await;
    assert_eq!(kid(&again.token), old);
    gateways[0].shift.advance(PUBLICATION + Duration::from_secs(10));
    let again = refresh(&gateways[0], &again).await;
    assert_eq!(kid(&again.token), next);
    is_accepted(&gateways, &again.token).await;
    is_accepted(&gateways, &account.token).await;
}

async fn reasons(gateway: &TestGateway) -> (u16, Vec<Value>) {
    let response = gateway.http.get(gateway.admin_url("/readyz")).send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    (status, body["reasons"].as_array().unwrap().clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_key_is_replaced_while_gateways_run() {
    let gateways = replicas(2, "keys.reload_every = '200ms'").await;
    let account = Account::sign_up(&gateways[0]).await;
    let (good, _, err) = gateways[0]
        .command("keys reseal --new-master-key-file data/new.key --create")
        .await;
    assert!(
        good && err.contains("sealed 1 key") || err.contains("1 signing key"),
        "{err}"
    );

    for gateway in &gateways {
        let told = eventually(DEADLINE, "what is wrong", async || {
            let (status, reasons) = reasons(gateway).await;
            assert_eq!(status, 200, "it goes on");
            reasons.first().cloned()
        });
        assert!(told.await.as_str().unwrap().contains(&kid(&account.token)));
    }
    is_accepted(&gateways, &account.token).await;
    is_accepted(&gateways, &account.log_in(&gateways[1]).await.token).await;
    let (good, err, _) = gateways[0].command("check").await;
    assert!(!good && err.contains("does not open"), "who starts now is told: {err}");
    let (good, _, err) = gateways[0].command("keys rotate").await;
    assert!(!good && err.contains("does not open"), "{err}");

    std::fs::rename(gateways[0].path("data/new.key"), gateways[0].path("data/master.key")).unwrap();
    for gateway in &gateways {
        eventually(DEADLINE, "nothing is wrong", async || {
            when(reasons(gateway).await.1.is_empty())
        })
        .await;
    }
    let new = done(&gateways[0], "keys rotate").await;
    all_publish(&gateways, &[&kid(&account.token), &new]).await;
    let started = [Arc::new(gateways[0].replica().await)];
    is_accepted(&started, &account.token).await;
    all_publish(&started, &[&kid(&account.token), &new]).await;
}

#[tokio::test]
async fn stored_shared_secrets_rotate_and_are_never_published() {
    let toml = format!("tokens.algorithm = 'HS256'\nkeys.reload_every = '200ms'\n{ROUTES}");
    let gateway = [Arc::new(TestGateway::start(&toml).await)];
    let account = Account::sign_up(&gateway[0]).await;
    let new = done(&gateway[0], "keys rotate").await;
    let other = done(&gateway[0], "keys rotate --force --algorithm ES256").await;
    all_publish(&gateway, &[&other]).await;
    gateway[0].shift.advance(PUBLICATION + Duration::from_millis(500));
    let again = eventually(DEADLINE, "a token of the new keys", async || {
        let again = account.log_in(&gateway[0]).await;
        (kid(&again.token) != kid(&account.token)).then_some(again)
    });
    let again = again.await;
    assert!([new, other.clone()].contains(&kid(&again.token)));
    is_accepted(&gateway, &again.token).await;
    is_accepted(&gateway, &account.token).await;
    all_publish(&gateway, &[&other]).await;
}

#[tokio::test]
async fn the_metrics_tell_of_the_keys() {
    let toml = format!("keys.reload_every = '200ms'\n{ROUTES}");
    let gateway = TestGateway::start(&toml).await;
    gateway.shift.advance(Duration::from_hours(1));
    let metrics = async || {
        let answer = gateway.http.get(gateway.admin_url("/metrics")).send().await.unwrap();
        answer.text().await.unwrap()
    };
    let value = |text: &str, name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
    };
    let text = metrics().await;
    assert!((value(&text, "doorward_signing_keys") - 1.0).abs() < 0.1);
    assert!(value(&text, "doorward_signing_key_age_seconds") >= 3600.0);
    assert!(value(&text, "doorward_key_failures_total").abs() < 0.1);
    done(&gateway, "keys reseal --new-master-key-file data/new.key --create").await;
    eventually(DEADLINE, "a failure", async || {
        when(value(&metrics().await, "doorward_key_failures_total") > 0.5)
    })
    .await;
}
