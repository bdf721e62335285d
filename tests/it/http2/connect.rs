//! CONNECT: no tunnel, and another protocol (RFC 8441) only where somebody relays it.

use serde_json::Value;

use super::clients::h2c;
use super::play::{Play, code, play, stream};
use crate::support::{Account, TestGateway, Upstream};

#[tokio::test]
async fn connect_opens_no_tunnel_and_reaches_no_upstream() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let (host, bearer) = (gateway.address.to_string(), format!("Bearer {}", user.token));
    let target = upstream.address.to_string();
    let extended = |path| {
        vec![
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", host.as_str()),
            (":path", path),
        ]
    };
    let authorized = |path| [extended(path), vec![("authorization", bearer.as_str())]].concat();
    let cases = [
        (
            vec![(":method", "CONNECT"), (":authority", target.as_str())],
            405,
            "method_not_allowed",
        ),
        (extended("/c/x"), 401, "token_missing"),
        (authorized("/c/x"), 400, "upgrade_refused"),
        (authorized("/nowhere"), 404, "not_found"),
        (authorized("/auth/ping"), 405, "method_not_allowed"),
    ];
    let plays = cases.iter().map(|(fields, _, _)| Play::request(fields)).collect();
    let told: Vec<Value> = play(gateway.address, plays).await;
    for ((fields, status, problem), told) in cases.iter().zip(&told) {
        assert_eq!(stream(told, 1).status, Some(*status), "{fields:?}: {told}");
        assert_eq!(code(told, 1), *problem, "{fields:?}");
        assert_eq!(told["settings"]["8"], 1, "extended CONNECT is announced");
    }
    assert!(upstream.raw().is_empty());
}
