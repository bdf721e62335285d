//! Each key is read, and what it does not take is refused with its line.

mod acme;
mod edges;
mod http2;
mod issuers;
mod limits;
mod resilience;
mod revocation;
mod routes;
mod rows;
mod streams;
mod throttle;
mod tls;
mod upstreams;

use std::path::Path;

use super::{ROUTES, parse};
use crate::config::{ConfigErrors, keys, typed::Config};

/// A key: a value that is not its default and where it shows, then values that are refused.
struct Row {
    key: &'static str,
    value: &'static str,
    shown: &'static str,
    bad: &'static [&'static str],
}

const fn row(key: &'static str, value: &'static str, shown: &'static str, bad: &'static [&'static str]) -> Row {
    Row { key, value, shown, bad }
}

const MYSQL: &str = "url = \"mysql://ann@db/gate\"\n";
const REDIS: &str = "url = \"rediss://cache\"\n";

fn rows() -> impl Iterator<Item = &'static Row> {
    let traffic = upstreams::ROWS
        .iter()
        .chain(resilience::ROWS)
        .chain(routes::ROWS)
        .chain(streams::ROWS);
    rows::ROWS
        .iter()
        .chain(revocation::ROWS)
        .chain(limits::ROWS)
        .chain(throttle::ROWS)
        .chain(issuers::ROWS)
        .chain(http2::ROWS)
        .chain(traffic)
        .chain(edges::ROWS)
        .chain(tls::ROWS)
        .chain(acme::ROWS)
}

/// What else has to stand in the section for the value to make sense.
fn beside(key: &str) -> &'static str {
    match key {
        "store.password" => MYSQL,
        "revocation.password"
        | "revocation.password_file"
        | "revocation.ca_file"
        | "revocation.prefix"
        | "limiter.password"
        | "limiter.password_file"
        | "limiter.ca_file"
        | "limiter.prefix" => REDIS,
        "server.proxy_protocol" => "trusted_proxies = \"10.0.0.0/8\"\n",
        "tokens.secret" => "algorithm = \"HS256\"\n",
        "clients[].id" => "secret = \"0123456789abcdef0123456789abcdef\"\n",
        "clients[].secret" | "clients[].secret_file" => "id = \"reports\"\n",
        "clients[].allow" => "id = \"reports\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n",
        "routes[].cors.methods"
        | "routes[].cors.headers"
        | "routes[].cors.expose"
        | "routes[].cors.credentials"
        | "routes[].cors.max_age" => "cors.origins = \"https://a.example\"\n",
        "auth.cors.max_age" => "origins = \"https://a.example\"\n",
        "routes[].maintenance.retry_after" | "routes[].maintenance.networks" | "routes[].maintenance.roles" => {
            "maintenance.on = true\n"
        }
        "routes[].redirect.status" => "redirect.to = \"/b\"\n",
        "routes[].strip_prefix" => "path = \"/orders/all\"\n",
        _ => resilience::beside(key),
    }
}

/// A whole configuration in which the key has the value; and the line that it stands in.
fn document(key: &str, value: &str) -> (String, usize) {
    let (section, name) = key.rsplit_once('.').unwrap();
    let beside = beside(key);
    let setting = format!("{name} = {value}");
    let text = match section {
        "auth" if name == "verify" => {
            format!("{ROUTES}\n[server]\ntrusted_proxies = \"10.0.0.1\"\n[auth]\n{setting}\n")
        }
        "routes[]" if name == "verify_only" => {
            format!(
                "[server]\ntrusted_proxies = \"10.0.0.1\"\n[auth]\nverify = true\n[[routes]]\npath = \"/a\"\n{setting}\n"
            )
        }
        "upstreams.NAME" if name == "servers" => {
            format!("[upstreams.a]\n{setting}\n[[routes]]\npath = \"/a\"\nupstream = \"a\"\n")
        }
        _ if section.starts_with("upstreams.NAME") => {
            let setting = key.replacen("upstreams.NAME.", "", 1) + " = " + value;
            let server = if name.starts_with("tls_") {
                "https://b"
            } else {
                "builtin:whoami"
            };
            format!(
                "[upstreams.a]\nservers = \"{server}\"\n{beside}{setting}\n[[routes]]\npath = \"/a\"\nupstream = \"a\"\n"
            )
        }
        "routes[]" => {
            let path = if name == "path" || !beside.is_empty() {
                beside
            } else {
                "path = \"/a\"\n"
            };
            let upstream = if name == "upstream" { "" } else { "upstream = \"a\"\n" };
            let issuer = match name {
                "limits" => limits::LIMIT.to_owned(),
                "client_certificate" => format!(
                    "{}[tls]\nlisten = \"[::]:443\"\nclient_auth = \"optional\"\nclient_ca_file = \"ca\"\n",
                    tls::CERTIFICATE
                ),
                "issuers" => format!("[[issuers]]\n{}", issuers::beside(key)),
                _ => String::new(),
            };
            format!("[upstreams.a]\nservers = \"builtin:whoami\"\n{issuer}[[routes]]\n{path}{upstream}{setting}\n")
        }
        "routes[].cors" | "routes[].maintenance" | "routes[].request_headers" | "routes[].response_headers" => {
            format!(
                "[upstreams.a]\nservers = \"builtin:whoami\"\n[[routes]]\npath = \"/a\"\nupstream = \"a\"\n{beside}{}.{setting}\n",
                &section["routes[].".len()..]
            )
        }
        "routes[].redirect" => {
            format!(
                "[upstreams.a]\nservers = \"builtin:whoami\"\n[[routes]]\npath = \"/a\"\n{beside}{}.{setting}\n",
                &section["routes[].".len()..]
            )
        }
        "limits[]" => format!("{ROUTES}\n[[limits]]\n{}{setting}\n", limits::beside(key)),
        "auth" if name == "limits" => format!("{ROUTES}\n{}[auth]\n{setting}\n", limits::LIMIT),
        "acme" => format!(
            "{ROUTES}\n[tls]\nlisten = \"[::]:443\"\nredirect_listen = \"[::]:80\"\n[acme]\n{}{setting}\n",
            acme::beside(key)
        ),
        "certificates[]" => format!(
            "{ROUTES}\n[tls]\nlisten = \"[::]:443\"\n[[certificates]]\n{}{setting}\n",
            tls::beside(key)
        ),
        "tls" => {
            let listen = if name == "listen" {
                ""
            } else {
                "listen = \"[::]:443\"\n"
            };
            format!(
                "{ROUTES}\n{}[tls]\n{listen}{}{setting}\n",
                tls::CERTIFICATE,
                tls::beside(key)
            )
        }
        "clients[]" => format!("{ROUTES}\n[[clients]]\n{beside}{setting}\n"),
        "issuers[]" => format!("{ROUTES}\n[[issuers]]\n{}{setting}\n", issuers::beside(key)),
        "issuers[].claims" => format!("{ROUTES}\n[[issuers]]\n{}claims.{setting}\n", issuers::beside(key)),
        section => format!("{ROUTES}\n[{section}]\n{beside}{setting}\n"),
    };
    let line = 1 + text.lines().position(|line| line.ends_with(&setting)).unwrap();
    (text, line)
}

fn load(key: &str, value: &str) -> (Result<Config, ConfigErrors>, usize) {
    let (text, line) = document(key, value);
    (parse(&text, Path::new("/base")), line)
}

#[test]
fn every_key_has_a_row_here() {
    let mut missing: Vec<&str> = keys::all().map(|key| key.path).collect();
    missing.retain(|path| !rows().any(|row| row.key == *path));
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_key_is_read() {
    for row in rows().filter(|row| !row.value.is_empty()) {
        let config = format!(
            "{:?}",
            load(row.key, row.value)
                .0
                .unwrap_or_else(|e| panic!("{}: {e}", row.key))
        );
        assert!(config.contains(row.shown), "{}: {config}", row.key);
        // The default is another: else the test would say nothing.
        let unset = format!("{:?}", parse(ROUTES, Path::new("/base")).unwrap());
        assert!(
            !unset.contains(row.shown) || row.key == "routes[].upstream",
            "{}",
            row.key
        );
    }
}

#[test]
fn what_a_key_does_not_take_is_refused_with_its_line() {
    for row in rows() {
        for bad in row.bad {
            let (result, line) = load(row.key, bad);
            let Err(errors) = result else {
                panic!("{} = {bad} was taken", row.key);
            };
            let [error] = errors.errors() else {
                panic!("{} = {bad}: {errors}", row.key);
            };
            let text = error.to_string();
            if !matches!(error.key(), "routes[0].path" | "auth.path" | "revocation.max_staleness") {
                let name = row.key.replace("NAME", "a").replace("[]", "[0]");
                assert!(error.key().starts_with(&name), "{} = {bad}: {text}", row.key);
            }
            assert!(
                error.line() == Some(line) || text.contains(&format!("  {line} | ")),
                "{} = {bad}: {text}",
                row.key
            );
            assert!(
                error.allowed().is_some() || error.message().contains("can't be read") || error.suggestion().is_some(),
                "{} = {bad}: {text}",
                row.key
            );
        }
    }
}
