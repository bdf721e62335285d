//! On HTTP/2, too, what follows a body can't set an identity header, and two tokens are none. How paths, methods and
//! headers are spelled is in the tables of `attacks`.

use serde_json::json;

use super::clients::h2c;
use super::play::{Play, get, play, stream};
use crate::identity::assert_is;
use crate::support::{Account, TestGateway, Upstream};

#[tokio::test]
async fn a_trailer_carries_no_identity_and_two_authorizations_are_refused() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let (host, bearer) = (gateway.address.to_string(), format!("Bearer {}", user.token));
    let mut post = get(&host, "/c/trailer", &bearer);
    post[0].1 = "POST";
    post.push(("trailer", "x-auth-user-id, x_auth_roles, authorization, x-sum"));
    let trailer = [
        ("x-auth-user-id", "1"),
        ("x_auth_roles", "admin"),
        ("authorization", "Bearer x"),
        ("x-sum", "7"),
    ];
    let sent = Play::default()
        .step(json!(["headers", 1, post, false]))
        .step(json!(["data", 1, "body", false]))
        .step(json!(["headers", 1, trailer, true]))
        .step(json!(["end", 1]));
    let mut twice = get(&host, "/c/twice", &bearer);
    twice.push(("authorization", &bearer));
    let told = play(gateway.address, vec![sent, Play::request(&twice)]).await;
    assert_eq!(stream(&told[0], 1).status, Some(200));
    let seen = upstream.only();
    assert_is(&seen, &user, "a trailer");
    assert_eq!(seen.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    assert!(matches!(stream(&told[1], 1).status, Some(400 | 401)), "{}", told[1]);
}
