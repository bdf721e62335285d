//! Errors: all at once, each with its place and what would be right.

use proptest::prelude::*;

use super::{Case, ROUTES, errors, errors_with_routes, only_error, parse};

#[test]
fn an_error_shows_file_line_text_key_found_and_allowed() {
    let case = Case::with_routes("[server]\n# how long\ndrain = \"soon\"   # really\n");
    let error = case.load().unwrap_err().to_string();
    let file = case.path("gateway.toml");
    assert_eq!(
        error,
        format!(
            "{}:3: server.drain: not a duration\n      3 | drain = \"soon\"   # really\n        found: \"soon\"\n\
             \x20       allowed: a duration from 0s to 1d, such as \"500ms\", \"30s\" or \"1h30m\" (units: ms s m h d)",
            file.display()
        )
    );
}

#[test]
fn all_errors_come_at_once_in_the_order_of_the_file() {
    let case = Case::new(
        "[server]\nworkers = 0\nlisten = [\n  \"127.0.0.1:1\",\n  \"nowhere\",\n]\nlisen = 1\n\
         [tokens]\naudience = \"a b\"\n\
         [logs]\n[upstreams.a]\nservers = []\n[[routes]]\npath = \"x\"\nupstream = \"a\"\n\
         [[routes]]\nupstream = \"b\"\n",
    );
    let case = case
        .env("DOORWARD_AUTH__DOCS", "perhaps")
        .env("DOORWARD_NOTHING", "1")
        .set("x=1");
    let errors = case.load().unwrap_err();
    let found: Vec<_> = errors
        .errors()
        .iter()
        .map(|error| (error.line(), error.key().to_owned()))
        .collect();
    let expected = [
        (Some(2), "server.workers"),
        (Some(5), "server.listen[1]"),
        (Some(7), "server.lisen"),
        (Some(9), "tokens.audience"),
        (Some(10), "logs"),
        (Some(12), "upstreams.a.servers"),
        (Some(14), "routes[0].path"),
        (Some(16), "routes[1].path"),
        (Some(17), "routes[1].upstream"),
        (None, "auth.docs"),
        (None, ""),
        (None, "x"),
    ];
    assert_eq!(found, expected.map(|(line, key)| (line, key.to_owned())), "{errors}");
}

#[test]
fn every_syntax_error_shows_its_line() {
    let errors = errors("a = \n[server]\nb = [1,\nlisten = 1\nlisten = 2\n");
    assert!(errors.len() >= 2, "{errors:#?}");
    assert!(
        errors
            .iter()
            .all(|error| error.line().is_some() && error.message().starts_with("not TOML"))
    );
    let duplicate = only_error("[server]\nworkers = 1\nworkers = 2\n");
    assert_eq!((duplicate.line(), duplicate.line_text()), (Some(3), "workers = 2"));
}

#[test]
fn an_unknown_key_suggests_the_nearest() {
    for (toml, key, suggestion) in [
        ("[server]\nlisen = 1\n", "server.lisen", Some("server.listen")),
        (
            "[server]\nmax-headers = 1\n",
            "server.max-headers",
            Some("server.max_headers"),
        ),
        ("[servers]\nlisten = 1\n", "servers", Some("server")),
        (
            "[auth]\nbcrypt_cost = 1\n",
            "auth.bcrypt_cost",
            Some("passwords.bcrypt_cost"),
        ),
        ("bcrypt_cost = 1\n", "bcrypt_cost", Some("passwords.bcrypt_cost")),
        ("[server]\nfrobnicate = 1\n", "server.frobnicate", None),
        ("\"server.listen\" = 1\n", "server.listen", None),
        ("\"\" = { server = 1 }\n", "", None),
        ("server.\"\" = 1\n", "server.", None),
        ("[route]\n", "route", Some("routes")),
        (
            "[upstreams.x]\nserver = 'http://a'\n",
            "upstreams.x.server",
            Some("upstreams.x.servers"),
        ),
        (
            "[[routes]]\npaht = '/x'\nupstream = 'whoami'\n",
            "routes[0].paht",
            Some("routes[0].path"),
        ),
    ] {
        let error = only_error(toml);
        assert_eq!((error.key(), error.suggestion()), (key, suggestion), "{error}");
        assert!(error.line().is_some() && error.allowed().is_some(), "{error}");
    }
}

#[test]
fn an_unknown_variable_suggests_the_nearest() {
    for (variable, suggestion) in [
        ("DOORWARD_SERVER_LISTEN", Some("DOORWARD_SERVER__LISTEN")),
        ("DOORWARD_server__listen", Some("DOORWARD_SERVER__LISTEN")),
        ("DOORWARD_SERVER__LISTENN", Some("DOORWARD_SERVER__LISTEN")),
        ("DOORWARD_SERVER", None),
        ("DOORWARD_", None),
        ("DOORWARD_ROUTES__0__PATH", None),
    ] {
        let error = Case::new(ROUTES).env(variable, "x").only_error();
        assert_eq!(error.source_name(), variable);
        assert_eq!(error.suggestion(), suggestion, "{error}");
    }
    assert!(
        Case::new(ROUTES)
            .env("DOORWARD_CONFIG", "x")
            .env("DOORWARDEN", "x")
            .load()
            .is_ok()
    );
}

#[test]
fn an_unknown_option_suggests_the_nearest() {
    for (option, suggestion) in [
        ("server.lisen=1", Some("server.listen")),
        ("server=1", None),
        ("listen", None),
        ("=", None),
        ("routes[0].path=/x", None),
    ] {
        let error = Case::new(ROUTES).set(option).only_error();
        assert_eq!(
            (error.source_name(), error.suggestion()),
            ("--set", suggestion),
            "{error}"
        );
    }
}

#[test]
fn a_value_in_place_of_a_section_is_refused() {
    for (toml, key) in [
        ("server = 5\n", "server"),
        ("upstreams = 5\n[[routes]]\npath = '/'\nupstream = 'a'", "upstreams"),
        ("[routes]\npath = '/x'\n", "routes"),
        ("routes = [1]\n", "routes[0]"),
        (
            "[upstreams]\nwhoami = 'x'\n[[routes]]\npath = '/'\nupstream = 'whoami'",
            "upstreams.whoami",
        ),
        ("[upstreams.'a b']\nservers = 'http://a'\n", "upstreams.a b"),
        ("[server.listen]\nx = 1\n", "server.listen"),
    ] {
        let errors = errors(toml);
        assert_eq!(errors[0].key(), key, "{errors:#?}");
        assert!(errors[0].line().is_some() && errors[0].allowed().is_some());
        assert!(errors.len() <= 2, "{errors:#?}");
    }
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_its_line() {
    let case = Case::new("").file("gateway.toml", b"[server]\nlisten = \"\xff\"\n");
    let error = case.only_error();
    assert_eq!((error.line(), error.message()), (Some(2), "not UTF-8"));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_taken() {
    let text = format!("\u{feff}[server]\nworkers = 2\n{ROUTES}").replace('\n', "\r\n");
    assert_eq!(parse(&text, std::path::Path::new("/")).unwrap().server.workers, 2);
}

#[test]
fn an_error_cannot_steer_the_terminal() {
    let error = only_error("[server]\n\"\\u001b[2J\" = 1\n");
    assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
    let error = only_error("[tokens]\naudience = \"\\u001b[2J\"\n");
    assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
}

#[test]
fn depth_and_length_are_bounded() {
    for text in [
        format!("a = {}1", "[".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        format!("{} = 1", "a".repeat(1_000_000)),
        format!("server.listen = '{}'", "a".repeat(1_000_000)),
    ] {
        let errors = errors_with_routes(&text);
        assert!(!errors.is_empty());
        assert!(
            errors.iter().all(|error| error.to_string().chars().count() < 2000),
            "{}",
            &text[..20]
        );
    }
}

/// Pieces of a configuration, right and wrong.
fn piece() -> impl Strategy<Value = String> {
    let keys: Vec<&'static str> = crate::config::keys::all().map(|key| key.path).collect();
    let key = prop_oneof![
        proptest::sample::select(keys).prop_map(|key| key.replace("[]", "").replace("NAME", "a")),
        "[a-z_.\"]{1,12}",
    ];
    let value = prop_oneof![
        Just("true".to_owned()),
        Just("\"/a\"".to_owned()),
        Just("[\"http://a\", 1]".to_owned()),
        Just("{ a = 1, \"b.c\" = [] }".to_owned()),
        Just("\"mysql://u:p@h/d?x\"".to_owned()),
        "-?[0-9]{1,20}",
        "\"[0-9a-z:/.é@%]{0,12}\"",
        "\\PC{0,10}",
    ];
    let line = (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"));
    prop_oneof![
        8 => line,
        1 => proptest::sample::select(vec!["[[routes]]\n", "[upstreams.a]\n", "[server]\n", "[store]\n", "\"\"\"\n"])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in "(?s).{0,200}") {
        let _ = parse(&text, std::path::Path::new("/")).map_err(|errors| errors.to_string());
    }

    #[test]
    fn no_mixture_of_keys_makes_the_loader_panic(pieces in proptest::collection::vec(piece(), 0..12)) {
        if let Err(errors) = parse(&pieces.concat(), std::path::Path::new("/")) {
            prop_assert!(!errors.errors().is_empty());
            prop_assert!(!errors.to_string().contains("bug in Doorward"), "{}", errors);
        }
    }

    #[test]
    fn no_variable_or_option_makes_the_loader_panic(
            name in "[A-Z_]{0,20}", value in "\\PC{0,30}", option in "\\PC{0,30}"
        ) {
        let case = Case::new(ROUTES)
            .env(&format!("DOORWARD_{name}"), &value)
            .env("DOORWARD_STORE__URL", &value)
            .env("DOORWARD_ROUTES", &value)
            .set(&option);
        let _ = case.load().map_err(|errors| errors.to_string());
    }
}
