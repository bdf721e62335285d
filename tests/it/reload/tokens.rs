//! What was verified, revoked or fetched before a reload, after it.

use crate::support::{Account, TestGateway, Upstream, usual_routes};

#[tokio::test]
async fn a_revocation_outlives_a_reload_of_whatever_settings() {
    let upstream = Upstream::echo().await;
    let mut gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let (gone, stays) = (Account::sign_up(&gateway).await, Account::sign_up(&gateway).await);
    for user in [&gone, &stays] {
        assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 200);
    }
    gateway.log_out(&gone.token).await;
    for settings in ["", "[tokens]\nleeway = \"1s\"", "[tokens]\ncache_capacity = 0"] {
        let toml = format!("{settings}\n{}", usual_routes(&upstream));
        gateway.reload(&toml).await.unwrap();
        let (status, body) = gateway.get("/c/x", Some(&gone.token)).await;
        assert!(status == 401 && body.contains("token_revoked"), "{settings}: {body}");
        assert_eq!(gateway.get("/c/x", Some(&stays.token)).await.0, 200, "{settings}");
    }
}

#[tokio::test]
async fn a_token_verified_for_the_old_audience_is_refused_under_the_new_one() {
    let upstream = Upstream::echo().await;
    let mut gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 200);
    for settings in ["audience = \"other\"", "issuer = \"http://other.example/auth\""] {
        let toml = format!("[tokens]\n{settings}\n{}", usual_routes(&upstream));
        gateway.reload(&toml).await.unwrap();
        let (status, body) = gateway.get("/c/x", Some(&user.token)).await;
        assert!(status == 401 && body.contains("token_invalid"), "{settings}: {body}");
    }
    gateway.reload(&usual_routes(&upstream)).await.unwrap();
    assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 200);
}

#[tokio::test]
async fn a_token_beyond_its_time_is_refused_once_the_leeway_is_less() {
    let upstream = Upstream::echo().await;
    let with = |leeway: &str| {
        format!(
            "[tokens]\naccess_ttl = \"1m\"\nleeway = \"{leeway}\"\n{}",
            usual_routes(&upstream)
        )
    };
    let mut gateway = TestGateway::start(&with("5m")).await;
    let user = Account::sign_up(&gateway).await;
    gateway.shift.advance(std::time::Duration::from_mins(2));
    assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 200);
    gateway.reload(&with("5s")).await.unwrap();
    let (status, body) = gateway.get("/c/x", Some(&user.token)).await;
    assert!(status == 401 && body.contains("token_expired"), "{body}");
}

#[tokio::test]
async fn what_was_verified_is_still_known_after_a_reload_that_changes_no_rule_of_it() {
    let upstream = Upstream::echo().await;
    let mut gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 200);
    let remembered = gateway.metric("doorward_tokens_remembered").await;
    gateway.reload(&usual_routes(&upstream)).await.unwrap();
    assert_eq!(gateway.metric("doorward_tokens_remembered").await, remembered);
    // The keys that the store has are followed as before.
    gateway.command("keys rotate").await;
    assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 200);
}
