//! How other services prove who they are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{SECRET, encode, form, post, start};
use crate::support::Account;

/// Status, `WWW-Authenticate` and body of a refusal, which says the same to both kinds of client.
async fn refusal(request: reqwest::RequestBuilder) -> (u16, Option<String>, String, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let code = answer.headers()["x-doorward-error"].to_str().unwrap().to_owned();
    let challenge = answer.headers().get("www-authenticate");
    let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
    let body = answer.text().await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&json["code"], &json["status"]), (&code.clone().into(), &status.into()));
    assert!(json["error"].is_string(), "{body}");
    (status, challenge, code, body)
}

#[tokio::test]
async fn a_client_authenticates_in_the_header_or_in_the_body() {
    let (gateway, _upstream) = start().await;
    let user = Account::sign_up(&gateway).await;
    let token = ("token", user.token.as_str());
    let id = ("client_id", "both");
    let active = async |request: reqwest::RequestBuilder| {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(answer["active"], true);
    };
    let basic = |body| post(&gateway, "/auth/introspect", body).basic_auth("both", Some(encode(SECRET)));
    active(basic(form(&[token]))).await;
    active(basic(form(&[
        token,
        ("token_type_hint", "refresh_token"),
        ("unknown", "x"),
    ])))
    .await;
    // Some libraries send the id always.
    active(basic(form(&[id, token]))).await;
    let in_body = form(&[token, ("client_secret", SECRET), id]);
    active(post(&gateway, "/auth/introspect", in_body)).await;
    // Characters that need no escape may have one all the same, and blanks be `+`.
    let other = format!("b%6fth:{}", encode(SECRET).replace("%20", "+"));
    let header = format!("bASIC {}", STANDARD.encode(other));
    let request = post(&gateway, "/auth/introspect", form(&[token]));
    active(request.header("authorization", header)).await;
}

#[tokio::test]
async fn an_unknown_id_and_a_wrong_secret_get_the_same_answer() {
    let (gateway, _upstream) = start().await;
    let wrong = format!("{SECRET}x");
    for path in ["/auth/introspect", "/auth/revoke"] {
        let mut answers = Vec::new();
        for (id, shown) in [
            ("both", wrong.as_str()),
            ("nobody", SECRET),
            ("Both", SECRET),
            ("both", ""),
            ("", ""),
        ] {
            let request = post(&gateway, path, form(&[("token", "x")]));
            answers.push(refusal(request.basic_auth(encode(id), Some(encode(shown)))).await);
            let request = post(
                &gateway,
                path,
                form(&[("token", "x"), ("client_id", id), ("client_secret", shown)]),
            );
            answers.push(refusal(request).await);
        }
        // Not encoded, it is another secret.
        let request = post(&gateway, path, form(&[("token", "x")]));
        answers.push(refusal(request.basic_auth("both", Some(SECRET))).await);
        // No credentials, or none that prove anything.
        answers.push(refusal(post(&gateway, path, form(&[("token", "x")]))).await);
        answers.push(refusal(post(&gateway, path, form(&[("token", "x"), ("client_id", "both")]))).await);
        for header in ["Bearer x", "Basic", "Basic !", "Basic eA==", "Digest x"] {
            let request = post(&gateway, path, form(&[("token", "x")]));
            answers.push(refusal(request.header("authorization", header)).await);
        }
        for answer in &answers {
            assert_eq!(answer, &answers[0]);
        }
        let (status, challenge, code, body) = &answers[0];
        assert_eq!((*status, code.as_str()), (401, "invalid_client"));
        assert_eq!(challenge.as_deref(), Some("Basic realm=\"doorward\""));
        assert!(body.contains("\"error\":\"invalid_client\""), "{body}");
    }
}

#[tokio::test]
async fn a_client_does_only_what_it_may() {
    let (gateway, _upstream) = start().await;
    let user = Account::sign_up(&gateway).await;
    for (client, path, status) in [
        ("asks", "/auth/introspect", 200),
        ("asks", "/auth/revoke", 403),
        ("ends", "/auth/introspect", 403),
        ("ends", "/auth/revoke", 200),
    ] {
        let request = post(&gateway, path, form(&[("token", &user.refresh_token)]));
        let request = request.basic_auth(client, Some(encode(SECRET)));
        if status == 200 {
            assert_eq!(request.send().await.unwrap().status(), 200, "{client} {path}");
            continue;
        }
        let (got, challenge, code, body) = refusal(request).await;
        assert_eq!((got, code.as_str(), challenge), (403, "unauthorized_client", None));
        assert!(body.contains("\"error\":\"unauthorized_client\""), "{body}");
        assert_eq!(gateway.get("/c", Some(&user.token)).await.0, 200);
    }
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    let (gateway, _upstream) = start().await;
    let basic = |body: String| post(&gateway, "/auth/introspect", body).basic_auth("both", Some(encode(SECRET)));
    for body in [
        String::new(),
        "token=".to_owned(),
        "token=a&token=a".to_owned(),
        "token=a&%74oken=b".to_owned(),
        "token=a&token_type_hint=x&token_type_hint=x".to_owned(),
        "token=%zz".to_owned(),
        "token=%ff".to_owned(),
        form(&[("token", "a"), ("client_secret", SECRET)]),
        form(&[("token", "a"), ("client_id", "both"), ("client_secret", SECRET)]),
        form(&[("token", "a"), ("client_id", "asks")]),
    ] {
        let (status, challenge, code, answer) = refusal(basic(body.clone())).await;
        assert_eq!(
            (status, code.as_str(), challenge),
            (400, "invalid_request", None),
            "{body}"
        );
        assert!(answer.contains("\"error\":\"invalid_request\""), "{answer}");
    }
    let twice = basic("token=a".to_owned()).header("authorization", "Basic eDp5");
    assert_eq!(refusal(twice).await.2, "invalid_request");
    // A token in the query ends up in logs: it is not looked at.
    let query = gateway.http.post(gateway.url("/auth/introspect?token=a"));
    let query = query.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(
        refusal(query.basic_auth("both", Some(encode(SECRET)))).await.2,
        "invalid_request"
    );

    let json = gateway
        .http
        .post(gateway.url("/auth/introspect"))
        .json(&serde_json::json!({"token": "a"}));
    let (status, _, code, answer) = refusal(json.basic_auth("both", Some(encode(SECRET)))).await;
    assert_eq!((status, code.as_str()), (415, "unsupported_media_type"));
    assert!(answer.contains("\"error\":\"invalid_request\""), "{answer}");
    let (status, _, code, _) = refusal(basic(format!("token={}", "a".repeat(17_000)))).await;
    assert_eq!((status, code.as_str()), (413, "body_too_large"));
}
