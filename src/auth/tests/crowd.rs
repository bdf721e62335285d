//! Wrong secrets for more clients than are remembered.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use http::header;

use super::support::{App, request};
use crate::auth::ClientAddress;
use crate::rules::gcra::Quota;

const RIGHT: &str = "0123456789abcdef0123456789abcdef";

/// What is answered to a client that shows this secret from this address.
async fn ask(app: &App, id: &str, secret: &str, from: [u8; 4]) -> u16 {
    let body = format!("client_id={id}&client_secret={secret}&token=x");
    let request = request("POST", "/auth/introspect", None)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .extension(ClientAddress(IpAddr::from(from)));
    app.send(request.body(Body::from(body)).unwrap()).await.status
}

#[tokio::test]
async fn a_crowd_of_invented_clients_lets_nobody_off_and_keeps_none_out_that_has_shown_its_secret() {
    let app = App::start_with(|config| {
        config.throttle.bad_secrets_per_client = Quota::new(2, Duration::from_hours(24), 2);
    })
    .await;
    assert_eq!(ask(&app, "reports", RIGHT, [192, 0, 2, 1]).await, 200);
    assert_eq!(ask(&app, "nobody", "wrong", [192, 0, 2, 2]).await, 401);
    for index in 0..80_000 {
        let (invented, from) = (format!("client-{index}"), IpAddr::from([192, 0, 2, 9]));
        app.state.throttle.note_bad_secret(&app.state, &invented, Some(from));
    }
    assert_eq!(
        ask(&app, "nobody", "wrong", [192, 0, 2, 2]).await,
        401,
        "who is known has one left"
    );
    assert_eq!(ask(&app, "nobody", "wrong", [192, 0, 2, 2]).await, 429);
    assert_eq!(
        ask(&app, "nobody", "wrong", [192, 0, 2, 3]).await,
        429,
        "from an address that is new"
    );
    assert_eq!(ask(&app, "reports", "wrong", [192, 0, 2, 3]).await, 429);
    assert_eq!(ask(&app, "reports", RIGHT, [192, 0, 2, 1]).await, 200);
}
