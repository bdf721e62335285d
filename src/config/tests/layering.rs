//! Defaults, file, environment and command line, one above the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Case, ROUTES, errors, parse};
use crate::config::{Backend, Origin, Setting, keys, schema, typed::Config};

fn setting(case: &Case, key: &str) -> Setting {
    let loaded = case.load().unwrap_or_else(|errors| panic!("{errors}"));
    loaded.effective.into_iter().find(|setting| setting.key == key).unwrap()
}

#[test]
fn the_shipped_configuration_is_valid_and_minimal() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("gateway.toml")).unwrap();
    let config = parse(&text, root).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(matches!(config.store.backend, Backend::Sqlite(path) if path == root.join("data/doorward.db")));
    assert_eq!(config.keys.master_key_file, root.join("data/master.key"));
    assert_eq!(config.routes.len(), 2);
    assert_eq!(config.tokens.issuer, "http://127.0.0.1:8080/auth");
}

#[test]
fn nothing_but_a_route_is_needed() {
    let Config {
        server,
        admin,
        store,
        keys,
        tokens,
        identity,
        ..
    } = parse(ROUTES, Path::new("/base")).unwrap();
    assert_eq!(server.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(admin.listen, Some("127.0.0.1:9090".parse().unwrap()));
    assert!(matches!(store.backend, Backend::Sqlite(path) if path == Path::new("/base/data/doorward.db")));
    assert!(store.migrate_on_start && keys.create);
    assert_eq!(keys.master_key_file, Path::new("/base/data/master.key"));
    assert_eq!(
        (server.drain, server.keep_alive),
        (Duration::from_secs(30), Duration::from_secs(75))
    );
    assert_eq!(
        (server.max_header_bytes, server.max_target_bytes, server.max_body),
        (65_536, 8192, None)
    );
    assert!((1..=1024).contains(&server.workers));
    assert_eq!(
        (tokens.audience.as_str(), tokens.issuer.as_str()),
        ("doorward", "http://127.0.0.1:8080/auth")
    );
    assert_eq!(identity.prefix, "x-auth-");
}

#[test]
fn every_fixed_default_is_taken_by_its_key() {
    let defaults = schema::defaults();
    for key in keys::all() {
        let is_fixed = matches!(key.default, keys::Default::Value(_));
        if is_fixed && !key.path.starts_with(keys::NAMED) && keys::list_of(key.path).is_none() {
            assert!(defaults.places.contains_key(key.path), "{}", key.path);
        }
    }
}

#[test]
fn the_default_issuer_follows_the_listener_and_the_path() {
    let issuer = |toml: &str| parse(&format!("{toml}{ROUTES}"), Path::new("/")).unwrap().tokens.issuer;
    assert_eq!(issuer("server.listen = '0.0.0.0:81'"), "http://127.0.0.1:81/auth");
    assert_eq!(
        issuer("auth.path = '/id'\nserver.listen = '[::]:81'"),
        "http://[::1]:81/id"
    );
}

#[test]
fn each_layer_overrides_the_one_below() {
    let case = Case::with_routes("[server]\nmax_headers = 1\nworkers = 1\ndrain = '1s'");
    let case = case
        .env("DOORWARD_SERVER__WORKERS", "2")
        .env("DOORWARD_SERVER__DRAIN", "2s")
        .set("server.drain=3s");
    let file = case.path("gateway.toml");
    for (key, value, origin) in [
        ("server.keep_alive", "\"75s\"", Origin::Default),
        ("server.max_headers", "1", Origin::File { path: file, line: 2 }),
        (
            "server.workers",
            "2",
            Origin::Environment("DOORWARD_SERVER__WORKERS".into()),
        ),
        ("server.drain", "\"3s\"", Origin::CommandLine),
    ] {
        assert_eq!(
            setting(&case, key),
            Setting {
                key: key.into(),
                value: value.into(),
                origin
            }
        );
    }
}

#[test]
fn the_last_of_two_options_counts() {
    let case = Case::new(ROUTES).set("server.workers=2").set("server.workers=3");
    assert_eq!(setting(&case, "server.workers").value, "3");
}

#[test]
fn a_string_from_the_environment_stays_the_string_it_is() {
    for text in [
        "0123",
        "true",
        "1e3",
        "[x]",
        "\"quoted\"",
        " spaced ",
        "a=b",
        "a,b",
        "2026-11-22",
        "",
    ] {
        let case = Case::with_routes("[store]\nurl = 'mysql://ann@db/gate'\n").env("DOORWARD_STORE__PASSWORD", text);
        let Backend::MySql(mysql) = case.load().unwrap().config.store.backend else {
            panic!("not MySQL");
        };
        assert_eq!(mysql.password.unwrap().expose(), text);
    }
    let case = Case::new(ROUTES).env("DOORWARD_TOKENS__AUDIENCE", "0123");
    assert_eq!(case.load().unwrap().config.tokens.audience, "0123");
}

#[test]
fn an_environment_value_takes_the_type_that_its_key_wants() {
    let case = Case::new(ROUTES)
        .env("DOORWARD_SERVER__LISTEN", "127.0.0.1:1, [::1]:2")
        .env("DOORWARD_SERVER__TRUSTED_PROXIES", "[\"10.0.0.0/8\", '::1']")
        .env("DOORWARD_SERVER__MAX_BODY", "1048576")
        .env("DOORWARD_AUTH__DOCS", "false")
        .env("DOORWARD_ADMIN__LISTEN", "")
        .env("PATH", "/bin");
    let config = case.load().unwrap().config;
    assert_eq!(config.server.listen.len(), 2);
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.server.max_body, Some(1 << 20));
    assert!(!config.auth.docs && config.admin.listen.is_none());
    let case = Case::new(ROUTES).env("DOORWARD_SERVER__LISTEN", "[::1]:2,[::1]:3");
    assert_eq!(case.load().unwrap().config.server.listen.len(), 2);
    let case = Case::with_routes("server.trusted_proxies = '10.0.0.0/8'").env("DOORWARD_SERVER__TRUSTED_PROXIES", "");
    assert!(case.load().unwrap().config.server.trusted_proxies.is_empty());
}

#[test]
fn what_the_environment_says_is_checked_like_the_file() {
    for (variable, value) in [
        ("DOORWARD_SERVER__WORKERS", "many"),
        ("DOORWARD_SERVER__WORKERS", "0"),
        ("DOORWARD_AUTH__DOCS", "yes"),
        ("DOORWARD_SERVER__DRAIN", "30"),
        ("DOORWARD_SERVER__DRAIN", ""),
        ("DOORWARD_SERVER__LISTEN", "x"),
        ("DOORWARD_SERVER__LISTEN", "['x"),
        ("DOORWARD_LOG__FORMAT", "xml"),
        ("DOORWARD_TOKENS__AUDIENCE", "a\u{fffd}"),
        ("DOORWARD_ROUTES", "x"),
    ] {
        let error = Case::new(ROUTES).env(variable, value).only_error();
        assert_eq!(error.source_name(), variable, "{error}");
        assert_eq!(error.line(), None);
        assert_eq!(error.line_text(), format!("{variable}={value}"));
        if !value.contains('\u{fffd}') {
            assert!(error.allowed().is_some(), "{error}");
        }
    }
    let error = Case::new(ROUTES).set("server.drain=soon").only_error();
    assert_eq!(
        (error.source_name(), error.line_text()),
        ("--set", "--set server.drain=soon")
    );
}

#[test]
fn an_upstream_is_found_by_its_variable_whatever_its_spelling() {
    let file = "[upstreams.My-Api]\nservers = 'http://a'\n[[routes]]\npath = '/x'\nupstream = 'My-Api'\n";
    let case = Case::with_routes(file).env("DOORWARD_UPSTREAMS__MY_API__SERVERS", "http://b:1,http://c:2");
    let config = case.load().unwrap().config;
    let upstream = config
        .upstreams
        .iter()
        .find(|upstream| upstream.name == "My-Api")
        .unwrap();
    assert_eq!(upstream.servers.len(), 2);
    // One that the file does not know is new, in lower case.
    let case = Case::new(ROUTES).env("DOORWARD_UPSTREAMS__OTHER__SERVERS", "http://b:1");
    let other = &case.load().unwrap().config.upstreams[0];
    assert_eq!(
        (other.name.as_str(), other.connect_timeout),
        ("other", Duration::from_secs(5))
    );
}

#[test]
fn routes_can_be_set_as_a_whole() {
    let case =
        Case::new(ROUTES).set("routes=[{ path = '/a', upstream = 'whoami' }, { path = '/b', upstream = 'whoami' }]");
    assert_eq!(case.load().unwrap().config.routes.len(), 2);
    let error = Case::new(ROUTES)
        .set("routes=[{ path = '/a', upstream = 'x' }]")
        .only_error();
    assert_eq!((error.key(), error.source_name()), ("routes[0].upstream", "--set"));
}

#[test]
fn paths_in_the_file_are_relative_to_it_and_others_to_the_working_directory() {
    let case = Case::with_routes("store.url = 'sqlite://x.db'\nkeys.master_key_file = 'm'");
    let config = case.load().unwrap().config;
    assert_eq!(config.keys.master_key_file, case.path("m"));
    assert!(matches!(config.store.backend, Backend::Sqlite(path) if path == case.path("x.db")));
    let case = case
        .env("DOORWARD_STORE__URL", "sqlite://y.db")
        .set("keys.master_key_file=n");
    let config = case.load().unwrap().config;
    assert_eq!(config.keys.master_key_file, PathBuf::from("n"));
    assert!(matches!(config.store.backend, Backend::Sqlite(path) if path == Path::new("y.db")));
}

#[test]
fn mysql_is_never_prepared_by_itself() {
    let config = parse(&format!("store.url = 'mysql://a@b/c'{ROUTES}"), Path::new("/base")).unwrap();
    assert!(!config.store.migrate_on_start && !config.keys.create);
    assert_eq!(config.keys.master_key_file, Path::new("/base/data/master.key"));
}

#[test]
fn the_effective_settings_read_back_as_the_same_configuration() {
    let case = Case::with_routes(
        "[server]\nlisten = ['127.0.0.1:1']\nmax_body = 5\n[tokens]\naudience = \"x='\\\"\\\\\"\n\
         [[routes]]\npath = '/c'\nupstream = 'whoami'\nclaims = { 'a b' = 'c', d = 1 }\nmethods = 'GET'\n",
    );
    let loaded = case.load().unwrap_or_else(|errors| panic!("{errors}"));
    let mut lines = Vec::new();
    for setting in &loaded.effective {
        if let Some((route, name)) = setting.key.strip_prefix("routes[").and_then(|key| key.split_once("].")) {
            if name == "path" {
                lines.push(format!("# {route}\n[[routes]]"));
            }
            lines.push(format!("{name} = {}", setting.value));
        } else {
            lines.push(format!("{} = {}", setting.key, setting.value));
        }
    }
    let text = lines.join("\n");
    let again = parse(&text, case.directory.path()).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    let without_lines = |config: &Config| {
        let mut config = config.clone();
        config.routes.iter_mut().for_each(|route| route.rule.line = 0);
        format!("{config:?}")
    };
    assert_eq!(without_lines(&again), without_lines(&loaded.config));
}

#[test]
fn every_setting_of_the_file_shows_its_line() {
    let case = Case::new(ROUTES);
    let file = case.path("gateway.toml");
    assert_eq!(
        setting(&case, "routes[0].path").origin,
        Origin::File {
            path: file.clone(),
            line: 6
        }
    );
    assert_eq!(setting(&case, "routes[0].auth").origin, Origin::Default);
    assert_eq!(
        setting(&case, "upstreams.whoami.servers").origin.to_string(),
        format!("{}:3", file.display())
    );
    assert_eq!(case.load().unwrap().config.routes[0].rule.line, 5);
    assert_eq!(Origin::Environment("X".into()).to_string(), "environment X");
    assert_eq!(
        (Origin::Default.to_string(), Origin::CommandLine.to_string()),
        ("default".into(), "--set".into())
    );
}

#[test]
fn only_our_variables_are_taken_from_the_process() {
    let sources = crate::config::Sources::from_process(PathBuf::from("x"), vec!["a=b".to_owned()]);
    assert!(
        sources
            .environment
            .iter()
            .all(|(name, _)| name.starts_with("DOORWARD_"))
    );
    assert_eq!(
        (sources.file, sources.set),
        (PathBuf::from("x"), vec!["a=b".to_owned()])
    );
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let mut case = Case::new("");
    case.sources.file = case.path("other.toml");
    let error = case.only_error();
    assert!(
        error.to_string().contains("other.toml: the file can't be read"),
        "{error}"
    );
}

#[test]
fn a_configuration_without_routes_is_refused() {
    let errors = errors("");
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].key(), "routes");
}
