//! What the route of the explained request does beside forwarding.

use std::io::{self, Write};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::{Edge, UpstreamHost};
use crate::problem::Code;

/// Changes the headers of the request as the route does, after the gateway has set its own.
pub(super) fn change_request(edge: &Edge, headers: &mut HeaderMap) {
    edge.request_headers.apply(headers);
    match &edge.upstream_host {
        UpstreamHost::Client => {}
        UpstreamHost::Server => {
            headers.insert(header::HOST, HeaderValue::from_static("(that of the server)"));
        }
        UpstreamHost::Named(host) => {
            headers.insert(header::HOST, host.clone());
        }
    }
}

/// Says that the route is closed, and for whom it is not.
pub(super) fn print_maintenance(edge: &Edge, out: &mut dyn Write) -> io::Result<()> {
    let Some(closed) = &edge.maintenance else {
        return Ok(());
    };
    let networks = closed.networks.iter().map(|network| format!("clients in {network}"));
    let roles = closed.roles.iter().map(|role| format!("role {role}"));
    let but: Vec<String> = networks.chain(roles).collect();
    let but = if but.is_empty() {
        "for everybody".to_owned()
    } else {
        format!("but for {}", but.join(", "))
    };
    writeln!(
        out,
        "closed    503 {} {but}; what follows is for those who pass",
        Code::Maintenance
    )
}

/// Says what becomes of the answer.
pub(super) fn print_answer(edge: &Edge, out: &mut dyn Write) -> io::Result<()> {
    let mut said = Vec::new();
    if edge.cors.is_some() {
        said.push("says which pages may read it (cors), in place of the upstream".to_owned());
    }
    if edge.security_headers {
        said.push("gets security headers that it lacks".to_owned());
    }
    let line = |verb: &str, (name, value): &(HeaderName, HeaderValue)| {
        format!("{verb} {name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    let operations = &edge.response_headers;
    said.extend(operations.removed().iter().map(|name| format!("removes {name}")));
    said.extend(operations.written().0.iter().map(|pair| line("sets", pair)));
    said.extend(operations.written().1.iter().map(|pair| line("adds", pair)));
    for (index, words) in said.iter().enumerate() {
        let label = if index == 0 { "answer   " } else { "         " };
        writeln!(out, "{label} {words}")?;
    }
    Ok(())
}
