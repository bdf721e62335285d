//! Upgrades and the tokens of those who ask for them.

use super::{errors_with_routes, only_error};

#[test]
fn no_upgrade_is_relayed_to_servers_that_speak_http_2_alone() {
    let text = |servers: &str, more: &str| {
        format!("[upstreams.app]\nservers = [{servers}]\n[[routes]]\npath = '/x'\nupstream = 'app'\n{more}\n")
    };
    let error = only_error(&text("'http://a', 'h2://b'", "upgrades = ['websocket']"));
    assert_eq!((error.line(), error.key()), (Some(6), "routes[0].upgrades"), "{error}");
    let told = error.to_string();
    assert!(told.contains("h2://b") && told.contains("2 | servers"), "{told}");
    for (servers, more) in [
        ("'http://a', 'https://b'", "upgrades = ['websocket']"),
        ("'http://a', 'h2://b'", ""),
        ("'h2://b'", "upgrades = []"),
    ] {
        assert!(errors_with_routes(&text(servers, more)).is_empty(), "{servers} {more}");
    }
}

#[test]
fn a_token_among_subprotocols_is_for_routes_that_look_at_it() {
    let text = |auth: &str| {
        format!(
            "[upstreams.app]\nservers = 'builtin:whoami'\n[[routes]]\npath = '/x'\nupstream = 'app'\n\
             websocket_token = 'protocol'\nauth = '{auth}'\n"
        )
    };
    let error = only_error(&text("none"));
    assert_eq!(
        (error.line(), error.key()),
        (Some(6), "routes[0].websocket_token"),
        "{error}"
    );
    for auth in ["required", "optional"] {
        assert!(errors_with_routes(&text(auth)).is_empty(), "{auth}");
    }
}
