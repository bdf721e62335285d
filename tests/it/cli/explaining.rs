//! `doorward explain`.

use super::{Folder, assert_holds};

const ORDER: &str = "https://API.example.com:443/orders/7?x=1";

#[test]
fn a_request_that_passes_shows_what_the_upstream_sees() {
    let out = Folder::new()
        .run(&format!("explain POST {ORDER} --role admin --claim tenant=acme"))
        .good();
    assert_holds(
        &out,
        &[
            "as        user@example.com with role admin",
            "*   3  line",
            "wins",
            "decision  passes, with identity",
            "upstream  orders: http://127.0.0.1:9",
            "it sees   POST /7?x=1",
            "x-auth-roles: admin",
            "x-forwarded-proto: https",
            "via: 1.1 doorward",
        ],
    );
    assert!(!out.to_lowercase().contains("authorization"), "{out}");
}

#[test]
fn an_assertion_is_told_of_where_the_upstream_gets_one() {
    let config = "[upstreams.orders]\nservers = \"builtin:whoami\"\n[[routes]]\npath = \"/o\"\nupstream = \"orders\"\n\
        auth = \"optional\"\nassertion = true\n";
    let case = Folder::with_config(config);
    let somebody = case.run("explain GET /o").good();
    assert_holds(&somebody, &["x-auth-assertion: (a signed JWT for the audience orders)"]);
    assert!(
        !case
            .run("explain GET /o --anonymous")
            .good()
            .contains("x-auth-assertion")
    );
}

#[test]
fn each_route_that_lost_says_why() {
    let out = Folder::new().run("explain GET /public/x --anonymous").good();
    assert_holds(
        &out,
        &[
            "is for other paths",
            "is for another host",
            "decision  passes, anonymous",
        ],
    );
    assert!(!out.contains("x-auth-"), "{out}");
}

#[test]
fn a_request_that_is_refused_shows_the_status_and_the_code() {
    let folder = Folder::new();
    for (args, decision) in [
        ("GET /whoami --anonymous".to_owned(), "401 token_missing"),
        (format!("POST {ORDER}"), "403 forbidden"),
        (format!("POST {ORDER} --role admin"), "403 forbidden"),
        (
            format!("POST {ORDER} --role admin --claim tenant=other"),
            "403 forbidden",
        ),
        (format!("GET {ORDER}"), "405 method_not_allowed: allowed: POST"),
        ("GET /nowhere".to_owned(), "404 not_found"),
        ("GET /a/%2e%2e/whoami".to_owned(), "400 ambiguous_path"),
        ("GET //whoami".to_owned(), "400 ambiguous_path"),
        ("GET http://a,b/whoami".to_owned(), "400 bad_request"),
    ] {
        let out = folder.run(&format!("explain {args}")).good();
        assert_holds(&out, &[&format!("decision  refused, {decision}")]);
    }
}

#[test]
fn what_the_gateway_answers_itself_is_said_so() {
    let folder = Folder::new();
    assert_holds(
        &folder.run("explain GET /auth/login").good(),
        &["answered by the gateway itself"],
    );
    let out = folder.run("explain GET /auth/login --set auth.path=/id").good();
    assert_holds(&out, &["404 not_found"]);
}

#[test]
fn nothing_is_opened_or_made() {
    let folder = Folder::new();
    folder.run("explain GET /whoami").good();
    assert!(!folder.path("data").exists());
}
