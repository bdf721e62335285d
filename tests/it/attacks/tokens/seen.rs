//! A token that was seen, and is remembered, is judged anew on each request.

use std::time::Duration;

use serde_json::Value;

use super::super::place::Place;
use crate::http2::play::{Play, get, play_at, stream};
use crate::support::Backend;
use crate::support::idp::{Idp, Signer};

/// What a good token gets on both listeners, on HTTP/1.1 and on HTTP/2.
async fn asks(place: &Place, path: &str) -> Vec<(u16, String)> {
    let mut told = Vec::new();
    for way in place.ways() {
        let (host, bearer) = (way.address.to_string(), place.user.bearer());
        let mut conversation = way.open().await;
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n");
        conversation.send(head).await;
        let answer = conversation.answer().await;
        told.push((answer.status, code(&answer.body)));
        let mut fields = get(&host, path, &bearer);
        fields[1].1 = way.door.scheme();
        let played = play_at(way.address, way.is_tls(), vec![Play::request(&fields)]).await;
        let answer = stream(&played[0], 1);
        let status = answer.status.and_then(|status| u16::try_from(status).ok());
        told.push((status.expect("an answer"), code(answer.body.as_bytes())));
    }
    told
}

/// The code of a problem; nothing for any other answer.
fn code(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}

async fn judged_anew(backend: Backend) {
    let idp = Idp::start(&[&Signer::new("k1", "RS256")]).await;
    let routes = format!(
        "{}\n[[routes]]\npath = \"/tenant\"\nupstream = \"app\"\nclaims = {{ tenant = \"acme\" }}\n\
         [[routes]]\npath = \"/corp\"\nupstream = \"app\"\nissuers = [\"corp\"]\n",
        idp.toml("corp", "")
    );
    let mut place = Place::with(backend, &routes).await;
    let all = |status: u16, code: &str| vec![(status, code.to_owned()); 4];
    for _ in 0..2 {
        assert_eq!(asks(&place, "/c/x").await, all(200, ""), "{backend:?}");
        assert_eq!(asks(&place, "/admin/x").await, all(403, "forbidden"), "{backend:?}");
        assert_eq!(asks(&place, "/tenant/x").await, all(403, "forbidden"), "{backend:?}");
        assert_eq!(asks(&place, "/corp/x").await, all(401, "token_invalid"), "{backend:?}");
    }
    let before = place.gateway.toml.clone();
    let other = format!("[tokens]\naudience = \"another\"\n{before}");
    place.gateway.reload(&other).await.unwrap();
    assert_eq!(asks(&place, "/c/x").await, all(401, "token_invalid"), "{backend:?}");
    place.gateway.reload(&before).await.unwrap();
    assert_eq!(asks(&place, "/c/x").await, all(200, ""), "{backend:?}");
    place.gateway.shift.advance(Duration::from_hours(1));
    assert_eq!(asks(&place, "/c/x").await, all(401, "token_expired"), "{backend:?}");
    assert_eq!(place.upstream.seen_with("/c/").len(), 12, "{backend:?}");
    assert_eq!(place.upstream.seen().len(), 12, "{backend:?}");
}

#[tokio::test]
async fn a_token_that_was_seen_is_judged_anew_on_the_next_route_and_at_its_end() {
    tokio::join!(judged_anew(Backend::Sqlite), judged_anew(Backend::MariaDb));
}
