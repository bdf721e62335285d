//! `[[routes]]`: what goes on for longer than a request and its answer.

use super::{Check, Reported};
use crate::config::error::Complaint;
use crate::config::{raw, tree, typed};

/// Reads what the route with this index says.
pub(super) fn streams(route: &raw::Route, index: usize, check: &mut Check<'_>) -> Result<typed::Streams, Reported> {
    if route.websocket_token == "protocol" && route.auth == "none" {
        let complaint = Complaint::new("nobody would look at the token and take it out: the upstream would get it")
            .found("websocket_token = \"protocol\"")
            .allowed("only with auth = \"required\" or \"optional\"");
        let (first, second) = (
            format!("routes[{index}].websocket_token"),
            format!("routes[{index}].auth"),
        );
        check.conflict(&first, &second, complaint);
        return Err(Reported);
    }
    Ok(typed::Streams {
        on_token_end: match route.on_token_end.as_str() {
            "finish" => typed::OnTokenEnd::Finish,
            // Whatever else it could be: the safe one.
            _ => typed::OnTokenEnd::End,
        },
        upgrades: upgrades(&route.upgrades, index, check)?,
        upgrade_idle_timeout: route.upgrade_idle_timeout,
        upgrade_max_age: route.upgrade_max_age,
        token_in_protocol: route.websocket_token == "protocol",
    })
}

/// An upgrade is asked for in HTTP/1.1, which the servers of the route's upstream have to speak.
pub(super) fn upgradable(
    raw: &raw::Config,
    route: &raw::Route,
    index: usize,
    check: &mut Check<'_>,
) -> Result<(), Reported> {
    let Some((name, upstream)) = route
        .upstream
        .as_ref()
        .and_then(|name| raw.upstreams.get_key_value(name))
    else {
        return Ok(());
    };
    let mut servers = upstream.servers.iter().flatten();
    match servers.find(|server| server.starts_with("h2://")) {
        Some(server) if !route.upgrades.is_empty() => {
            let complaint = Complaint::new("a server of its upstream takes no upgrade: it speaks HTTP/2 alone")
                .found(tree::quote(server))
                .allowed("servers at http:// or https://, or no upgrades");
            let (first, second) = (format!("routes[{index}].upgrades"), format!("upstreams.{name}.servers"));
            check.conflict(&first, &second, complaint);
            Err(Reported)
        }
        Some(_) | None => Ok(()),
    }
}

fn upgrades(texts: &[String], index: usize, check: &mut Check<'_>) -> Result<Vec<String>, Reported> {
    let mut upgrades = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let name = text.to_ascii_lowercase();
        let objection = if upgrades.contains(&name) {
            Some("the same protocol twice")
        } else {
            objection(&name)
        };
        if let Some(objection) = objection {
            let complaint = Complaint::new(objection)
                .found(tree::quote(text))
                .allowed("\"websocket\", or another protocol's upgrade token");
            check.wrong(&format!("routes[{index}].upgrades[{at}]"), complaint);
            return Err(Reported);
        }
        upgrades.push(name);
    }
    Ok(upgrades)
}

/// Why a protocol is not one to change to (RFC 9110, section 16.7), if it is not.
fn objection(name: &str) -> Option<&'static str> {
    let is_token = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(plain)
    };
    let (protocol, version) = name
        .split_once('/')
        .map_or((name, None), |(name, version)| (name, Some(version)));
    match protocol {
        "h2c" | "h2" | "http" | "tls" => Some("HTTP in another version: what would pass then is not checked any more"),
        "connect" => Some("no tunnel to anywhere: a CONNECT is never relayed"),
        _ if !is_token(protocol) || !version.is_none_or(is_token) => Some("not an upgrade token"),
        _ => None,
    }
}
