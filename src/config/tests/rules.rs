//! What keys must hold of each other.

use super::{Case, errors, errors_with_routes, only_error};
use crate::config::Backend;

#[test]
fn two_routes_that_could_tie_are_refused_naming_both_lines() {
    let errors = errors_with_routes(
        "[[routes]]\nhost = 'a.example'\npath = '/a/{x}'\nupstream = 'whoami'\n\
        [[routes]]\nhost = 'A.example.'\npath = '/a/{y}'\nupstream = 'whoami'\n",
    );
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let text = errors[0].to_string();
    assert_eq!((errors[0].line(), errors[0].key()), (Some(5), "routes[1]"));
    assert!(
        text.contains("line 1") && text.contains("1 | [[routes]]") && text.contains("5 | [[routes]]"),
        "{text}"
    );
}

#[test]
fn a_tie_is_found_beside_a_route_that_is_wrong_itself() {
    let errors = errors_with_routes(
        "[[routes]]\npath = 'x'\nupstream = 'whoami'\n\
        [[routes]]\npath = '/a'\nupstream = 'whoami'\n[[routes]]\npath = '/a'\nupstream = 'whoami'\n",
    );
    let found: Vec<_> = errors.iter().map(|error| (error.line(), error.key())).collect();
    assert_eq!(found, [(Some(2), "routes[0].path"), (Some(7), "routes[2]")]);
}

#[test]
fn no_route_lies_at_or_below_the_endpoints_that_we_own() {
    for path in ["/auth", "/auth/x", "/auth/{x}"] {
        let error = only_error(&format!("[[routes]]\npath = '{path}'\nupstream = 'whoami'\n"));
        assert_eq!((error.line(), error.key()), (Some(2), "routes[0].path"), "{error}");
    }
    for path in ["/authx", "/", "/{x}", "/a/auth"] {
        assert!(
            errors_with_routes(&format!("[[routes]]\npath = '{path}'\nupstream = 'whoami'\n")).is_empty(),
            "{path}"
        );
    }
}

#[test]
fn a_public_route_asks_for_nothing() {
    for ask in ["roles = ['admin']", "claims = { a = 'b' }"] {
        let error = only_error(&format!(
            "[[routes]]\npath = '/x'\nupstream = 'whoami'\nauth = 'none'\n{ask}\n"
        ));
        assert_eq!(error.line(), Some(5));
        assert!(error.to_string().contains("4 | auth = 'none'"), "{error}");
    }
}

#[test]
fn an_unknown_upstream_suggests_the_nearest() {
    let error = only_error("[[routes]]\npath = '/x'\nupstream = 'woami'\n");
    assert_eq!((error.line(), error.suggestion()), (Some(3), Some("\"whoami\"")));
}

#[test]
fn the_admin_listener_is_never_public() {
    for (public, admin, refused) in [
        ("127.0.0.1:80", "127.0.0.1:80", true),
        ("0.0.0.0:80", "127.0.0.1:80", true),
        ("127.0.0.1:80", "0.0.0.0:80", true),
        ("127.0.0.1:80", "127.0.0.2:80", false),
        ("127.0.0.1:80", "[::]:80", false),
        ("127.0.0.1:0", "127.0.0.1:0", false),
    ] {
        let errors = errors_with_routes(&format!("server.listen = '{public}'\nadmin.listen = '{admin}'\n"));
        assert_eq!(errors.len(), usize::from(refused), "{public} {admin}");
        assert!(
            errors
                .iter()
                .all(|error| error.line() == Some(2) && error.to_string().contains("1 | server.listen"))
        );
    }
    let errors = errors_with_routes("server.listen = ['127.0.0.1:0', '127.0.0.1:0']\n");
    assert!(errors.is_empty(), "two free ports are two");
}

#[test]
fn a_request_target_fits_into_the_head() {
    assert!(errors_with_routes("server.max_header_bytes = '4KiB'\n").is_empty());
    let error = only_error("server.max_header_bytes = '4KiB'\nserver.max_target_bytes = '5KiB'\n");
    assert_eq!((error.line(), error.found()), (Some(2), Some("5KiB")));
}

#[test]
fn staleness_is_longer_than_a_poll() {
    let error = only_error("revocation.poll_interval = '20s'\n");
    assert_eq!((error.line(), error.key()), (Some(1), "revocation.poll_interval"));
}

#[test]
fn polls_look_back_for_longer_than_a_transaction_lasts() {
    let error = only_error("store.query_timeout = '30s'\n");
    assert_eq!((error.line(), error.key()), (Some(1), "store.query_timeout"));
    let error = only_error("revocation.overlap = '5s'\n");
    assert_eq!((error.line(), error.key()), (Some(1), "revocation.overlap"));
    // Nobody polls a Redis.
    let with_redis = "store.query_timeout = '30s'\nrevocation.url = 'redis://cache'\n";
    assert!(errors_with_routes(with_redis).is_empty());
}

#[test]
fn what_is_said_about_redis_needs_its_url_and_agrees_with_it() {
    for text in [
        "[revocation]\npassword = 'one'\n",
        "[revocation]\nca_file = 'ca.pem'\n",
        "[revocation]\nurl = 'redis://:pw@cache'\npassword = 'one'\n",
        "[revocation]\nurl = 'redis://ann@cache'\n",
        "[revocation]\nurl = 'redis://cache?ca=ca.pem'\n",
        "[revocation]\nurl = 'redis://cache'\nca_file = 'ca.pem'\n",
        "[revocation]\nurl = 'rediss://cache?ca=a.pem'\nca_file = 'ca.pem'\n",
    ] {
        let error = only_error(text);
        assert!(error.line().is_some() && error.allowed().is_some(), "{text}: {error}");
    }
    let tls = "[revocation]\nurl = 'rediss://ann@cache?ca=a.pem'\npassword = 'pw'\n";
    assert!(errors_with_routes(tls).is_empty());
}

#[test]
fn a_password_comes_from_one_place() {
    let case = |text: &str| Case::with_routes(text).file("p", b"one\n\n");
    for text in [
        "[store]\nurl = 'mysql://a:b@c/d'\npassword = 'one'\n",
        "[store]\nurl = 'mysql://a:b@c/d'\npassword_file = 'p'\n",
        "[store]\nurl = 'mysql://a@c/d'\npassword = 'one'\npassword_file = 'p'\n",
        "[store]\npassword = 'one'\n",
        "[store]\npassword_file = 'p'\n",
    ] {
        let error = case(text).only_error();
        assert!(error.line().is_some() && error.allowed().is_some(), "{error}");
    }
    let both = case("[store]\nurl = 'mysql://a@c/d'\npassword = 'one'\n").env("DOORWARD_STORE__PASSWORD_FILE", "p");
    assert!(both.load().is_err());
    let Backend::MySql(mysql) = case("[store]\nurl = 'mysql://a@c/d'\npassword_file = 'p'\n")
        .load()
        .unwrap()
        .config
        .store
        .backend
    else {
        panic!("not MySQL");
    };
    assert_eq!(
        mysql.password.unwrap().expose(),
        "one\n",
        "one newline is not part of it"
    );
}

#[test]
fn a_secret_file_is_read_whole_and_bounded() {
    let hs256 = "[tokens]\nalgorithm = 'HS256'\nsecret_file = 's'\n";
    for (content, good) in [
        (vec![0xff; 32], true),
        ([vec![b'x'; 32], b"\r\n".to_vec()].concat(), true),
        ([vec![b'x'; 31], b"\n".to_vec()].concat(), false),
        (vec![], false),
        (b"\n".to_vec(), false),
        (vec![b'x'; 70_000], false),
    ] {
        let case = Case::with_routes(hs256).file("s", &content);
        let result = case.load();
        assert_eq!(result.is_ok(), good, "{} bytes", content.len());
        if let Ok(loaded) = result {
            assert_eq!(loaded.config.tokens.secret.unwrap().expose().len(), 32);
        }
    }
}

#[test]
fn a_secret_file_that_does_not_end_is_refused() {
    let endless = "tokens.algorithm = 'HS256'\ntokens.secret_file = '/dev/zero'\n";
    let error = only_error(endless);
    assert_eq!((error.line(), error.key()), (Some(2), "tokens.secret_file"));
}

#[test]
fn a_shared_secret_is_as_long_as_its_hash() {
    for (algorithm, least) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        let text = |length| {
            format!(
                "tokens.algorithm = '{algorithm}'\ntokens.secret = '{}'\n",
                "x".repeat(length)
            )
        };
        assert!(errors_with_routes(&text(least)).is_empty());
        let error = only_error(&text(least - 1));
        assert_eq!((error.line(), error.key()), (Some(2), "tokens.secret"));
    }
    let error = only_error(&format!("tokens.secret = '{}'\n", "x".repeat(64)));
    assert!(error.message().contains("EdDSA takes no shared secret"), "{error}");
    let both = format!(
        "[tokens]\nalgorithm = 'HS256'\nsecret = '{}'\nsecret_file = 's'\n",
        "x".repeat(64)
    );
    assert_eq!(
        Case::with_routes(&both).file("s", &[1; 64]).only_error().line(),
        Some(3)
    );
    assert!(
        errors_with_routes("tokens.algorithm = 'HS512'\n").is_empty(),
        "stored keys can be shared ones"
    );
}

#[test]
fn an_upstream_without_servers_is_one_error_and_not_two() {
    let errors = errors("[upstreams.a]\n[[routes]]\npath = '/'\nupstream = 'a'\n");
    let found: Vec<_> = errors
        .iter()
        .map(|error| (error.line(), error.key(), error.message()))
        .collect();
    assert_eq!(found, [(Some(1), "upstreams.a.servers", "missing")]);
}

#[test]
fn a_body_limit_is_inherited_and_can_be_lifted() {
    let case = Case::with_routes(
        "server.max_body = '1MiB'\n[[routes]]\npath = '/x'\nupstream = 'whoami'\nmax_body = 'unlimited'\n",
    );
    let config = case.load().unwrap().config;
    assert_eq!(config.server.max_body, Some(1 << 20));
    let limits: Vec<_> = config.routes.iter().map(|route| route.max_body).collect();
    assert_eq!(limits, [None, Some(1 << 20)]);
}

#[test]
fn a_client_has_an_id_of_its_own_and_one_secret() {
    let secret = "s".repeat(32);
    let twice = format!(
        "[[clients]]\nid = 'a'\nsecret = '{secret}'\n[[clients]]\nid = 'A'\nsecret = '{secret}'\n\
         [[clients]]\nid = 'a'\nsecret = '{secret}'\n"
    );
    let error = only_error(&twice);
    assert_eq!((error.line(), error.key()), (Some(8), "clients[2].id"));
    assert!(error.to_string().contains("2 | id = 'a'"), "{error}");
    let error = only_error("[[clients]]\nid = 'a'\n");
    assert_eq!((error.key(), error.message()), ("clients[0].secret", "missing"));
    let error = only_error(&format!("[[clients]]\nsecret = '{secret}'\n"));
    assert_eq!((error.key(), error.message()), ("clients[0].id", "missing"));
    let both = format!("[[clients]]\nid = 'a'\nsecret = '{secret}'\nsecret_file = 's'\n");
    let error = Case::with_routes(&both).file("s", secret.as_bytes()).only_error();
    assert_eq!((error.line(), error.key()), (Some(3), "clients[0].secret"));
}

#[test]
fn a_client_s_secret_is_taken_from_its_file_without_the_newline() {
    let case = Case::with_routes("[[clients]]\nid = 'a'\nsecret_file = 's'\n");
    let load = |bytes: &[u8]| {
        std::fs::write(case.path("s"), bytes).unwrap();
        case.load()
    };
    let secret = "0123456789abcdef0123456789abcdef";
    let loaded = load(format!("{secret}\n").as_bytes()).unwrap();
    assert_eq!(loaded.config.clients[0].secret.expose(), secret);
    for bad in [&secret.as_bytes()[1..], &[7; 32], &[0xff; 32]] {
        let errors = load(bad).unwrap_err();
        assert_eq!(errors.errors()[0].key(), "clients[0].secret_file", "{errors}");
    }
}

#[test]
fn an_assertion_is_one_that_an_upstream_could_verify() {
    for algorithm in ["HS256", "HS384", "HS512"] {
        let error = only_error(&format!(
            "tokens.algorithm = '{algorithm}'\nidentity.assertion = true\n"
        ));
        assert_eq!((error.line(), error.key()), (Some(2), "identity.assertion"), "{error}");
        assert!(error.to_string().contains("1 | tokens.algorithm"), "{error}");
        let error = only_error(&format!(
            "tokens.algorithm = '{algorithm}'\n[[routes]]\npath = '/x'\nupstream = 'whoami'\nassertion = true\n"
        ));
        assert_eq!((error.line(), error.key()), (Some(5), "routes[0].assertion"), "{error}");
        assert!(error.to_string().contains("1 | tokens.algorithm"), "{error}");
    }
    for algorithm in ["ES256", "PS384"] {
        assert!(
            errors_with_routes(&format!(
                "tokens.algorithm = '{algorithm}'\nidentity.assertion = true\n"
            ))
            .is_empty()
        );
    }
}

#[test]
fn an_assertion_is_of_somebody() {
    let error = only_error("[[routes]]\npath = '/x'\nupstream = 'whoami'\nauth = 'none'\nassertion = true\n");
    assert_eq!((error.line(), error.key()), (Some(5), "routes[0].assertion"), "{error}");
    let case = Case::with_routes(
        "identity.assertion = true\n[[routes]]\npath = '/a'\nupstream = 'whoami'\nauth = 'none'\n\
         [[routes]]\npath = '/b'\nupstream = 'whoami'\nassertion = false\n\
         [[routes]]\npath = '/c'\nupstream = 'whoami'\nauth = 'optional'\n",
    );
    let loaded = case.load().unwrap();
    let asserted: Vec<_> = loaded.config.routes.iter().map(|route| route.assertion).collect();
    assert_eq!(asserted, [false, false, true, true]);
    let shown = |key| {
        loaded
            .effective
            .iter()
            .find(|setting| setting.key == key)
            .unwrap()
            .value
            .clone()
    };
    assert_eq!(
        (shown("routes[0].assertion"), shown("routes[2].assertion")),
        ("false".to_owned(), "true".to_owned())
    );
}

/// An issuer with these lines, and more routes than one.
fn with_issuer(lines: &str) -> String {
    format!("[[issuers]]\nname = 'corp'\nissuer = 'https://id.example.com'\naudiences = 'api'\n{lines}\n")
}

#[test]
fn an_issuer_says_once_where_its_keys_are() {
    let error = only_error(&with_issuer(""));
    assert_eq!((error.line(), error.key()), (Some(1), "issuers[0].jwks_url"));
    let error = only_error(&with_issuer("discovery = true\njwks_file = 'keys.json'"));
    assert_eq!((error.line(), error.key()), (Some(5), "issuers[0].discovery"));
    assert!(error.to_string().contains("6 | jwks_file"), "{error}");
    let error = only_error(&with_issuer("jwks_file = 'keys.json'\nca_file = 'ca.pem'"));
    assert_eq!((error.line(), error.key()), (Some(6), "issuers[0].ca_file"));
    let discovered =
        "[[issuers]]\nname = 'corp'\nissuer = 'http://id.example.com'\naudiences = 'api'\ndiscovery = true\n";
    let error = only_error(discovered);
    assert_eq!((error.line(), error.key()), (Some(3), "issuers[0].issuer"));
}

#[test]
fn no_two_issuers_are_called_alike_or_say_the_same() {
    let two = |name: &str, issuer: &str| {
        let second = format!("[[issuers]]\nname = '{name}'\nissuer = '{issuer}'\naudiences = 'api'\njwks_file = 'k'\n");
        with_issuer("jwks_file = 'k'") + &second
    };
    assert!(errors_with_routes(&two("other", "https://other.example.com")).is_empty());
    assert_eq!(
        only_error(&two("corp", "https://other.example.com")).key(),
        "issuers[1].name"
    );
    assert_eq!(
        only_error(&two("other", "https://id.example.com")).key(),
        "issuers[1].issuer"
    );
    let ours = "tokens.issuer = 'https://id.example.com'\n".to_owned() + &with_issuer("jwks_file = 'k'");
    assert_eq!(only_error(&ours).key(), "issuers[0].issuer");
}

#[test]
fn an_unknown_issuer_of_a_route_is_named_with_the_nearest() {
    let route = "[[routes]]\npath = '/x'\nupstream = 'whoami'\nissuers = ['self', 'crop']\n";
    let error = only_error(&(with_issuer("jwks_file = 'k'") + route));
    assert_eq!((error.line(), error.key()), (Some(9), "routes[0].issuers[1]"));
    assert_eq!(error.suggestion(), Some("\"corp\""));
    assert_eq!(error.allowed(), Some("the name of an issuer: self, corp"));
    let public = "[[routes]]\npath = '/x'\nupstream = 'whoami'\nauth = 'none'\nissuers = 'corp'\n";
    let error = only_error(&(with_issuer("jwks_file = 'k'") + public));
    assert_eq!((error.line(), error.key()), (Some(10), "routes[0].issuers"));
}

#[test]
fn the_keys_of_an_issuer_outlive_the_time_between_two_fetches() {
    let error = only_error(&with_issuer("jwks_file = 'k'\nrefresh_every = '1h'\nkeep = '1h'"));
    assert_eq!((error.line(), error.key()), (Some(7), "issuers[0].keep"));
}
