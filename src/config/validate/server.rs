//! `[server]` and `[admin]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv6Net};

use super::{Check, cores};
use crate::config::error::Complaint;
use crate::config::{raw, typed, units};
use crate::rules::trace_context::TraceMode;

/// The default of `server.max_target_bytes`.
const TARGET: u64 = 8 * 1024;

pub(super) fn server(raw: &raw::Server, tls: &raw::Tls, check: &mut Check<'_>) -> Option<typed::Server> {
    let listen = listen(raw.listen.as_deref(), tls, check);
    let trusted_proxies = trusted_proxies(&raw.trusted_proxies, check);
    let max_target_bytes = raw.max_target_bytes.unwrap_or(TARGET.min(raw.max_header_bytes));
    if max_target_bytes > raw.max_header_bytes {
        let complaint = Complaint::new("larger than server.max_header_bytes, of which it is a part")
            .found(units::show_size(max_target_bytes))
            .allowed(format!("at most {}", units::show_size(raw.max_header_bytes)));
        check.conflict("server.max_target_bytes", "server.max_header_bytes", complaint);
    }
    let proxy_protocol = proxy_protocol(raw, check);
    Some(typed::Server {
        listen: listen?,
        proxy_protocol: proxy_protocol?,
        max_connections_per_ip: raw.max_connections_per_ip,
        max_requests: raw.max_requests,
        min_body_rate: raw.min_body_rate,
        trusted_proxies: trusted_proxies?,
        workers: raw.workers.unwrap_or_else(cores),
        drain: raw.drain,
        watch: raw.watch,
        handover: raw.handover.as_ref().map(|path| check.path("server.handover", path)),
        reuse_port: raw.reuse_port,
        max_header_bytes: usize::try_from(raw.max_header_bytes).ok()?,
        max_headers: raw.max_headers,
        max_target_bytes: usize::try_from(max_target_bytes).ok()?,
        max_body: raw.max_body.0,
        header_timeout: raw.header_timeout,
        keep_alive: raw.keep_alive,
        body_idle_timeout: raw.body_idle_timeout,
        trace: match raw.trace.as_str() {
            "start" => TraceMode::Start,
            "off" => TraceMode::Off,
            _ => TraceMode::Pass,
        },
        security_headers: raw.security_headers,
        max_connections: raw.max_connections,
        h2c: raw.h2c,
        http2: http2(&raw.http2)?,
    })
}

/// The bounds of the keys leave nothing that does not fit.
fn http2(raw: &raw::Http2) -> Option<typed::Http2> {
    Some(typed::Http2 {
        max_concurrent_streams: raw.max_concurrent_streams,
        stream_window: u32::try_from(raw.stream_window).ok()?,
        connection_window: u32::try_from(raw.connection_window).ok()?,
        max_send_buffer: usize::try_from(raw.max_send_buffer).ok()?,
        ping_interval: raw.ping_interval,
    })
}

fn proxy_protocol(raw: &raw::Server, check: &mut Check<'_>) -> Option<typed::ProxyProtocol> {
    let mode = match raw.proxy_protocol.as_str() {
        "required" => typed::ProxyProtocol::Required,
        "optional" => typed::ProxyProtocol::Optional,
        _ => typed::ProxyProtocol::Off,
    };
    if mode != typed::ProxyProtocol::Off && raw.trusted_proxies.is_empty() {
        let complaint = Complaint::new("nobody may send a PROXY header")
            .found(crate::config::tree::quote(&raw.proxy_protocol))
            .allowed("only with the proxies' networks in server.trusted_proxies");
        check.conflict("server.proxy_protocol", "server.trusted_proxies", complaint);
        return None;
    }
    Some(mode)
}

/// Where plain HTTP is served where nobody says, and HTTPS is not.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

fn listen(texts: Option<&[String]>, tls: &raw::Tls, check: &mut Check<'_>) -> Option<Vec<SocketAddr>> {
    match texts {
        // What was said and is wrong was reported: this is only to go on with.
        None if tls.listen.is_empty() => Some(vec![LISTEN]),
        None => Some(Vec::new()),
        Some([]) if tls.listen.is_empty() && !check.report.has("tls.listen") => {
            let complaint =
                Complaint::new("no address to listen on").allowed("at least one, such as \"127.0.0.1:8080\"");
            check.wrong("server.listen", complaint);
            None
        }
        Some(texts) => addresses("server.listen", texts, &[], check),
    }
}

/// The addresses in the list at `pattern`: none of them twice, and none that is taken.
pub(super) fn addresses(
    pattern: &str,
    texts: &[String],
    taken: &[SocketAddr],
    check: &mut Check<'_>,
) -> Option<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let key = format!("{pattern}[{index}]");
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 && (addresses.contains(&address) || taken.contains(&address)) => {
                check.invalid(&key, pattern, "the same address twice", text);
            }
            Ok(address) => addresses.push(address),
            Err(_) => check.invalid(&key, pattern, "not an IP address and port", text),
        }
    }
    (addresses.len() == texts.len()).then_some(addresses)
}

fn trusted_proxies(texts: &[String], check: &mut Check<'_>) -> Option<Vec<IpNet>> {
    let key = |index| format!("server.trusted_proxies[{index}]");
    let pattern = "server.trusted_proxies";
    let mut networks = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match network(text) {
            Some(network) if trusts_everybody(&[network]) => {
                check.invalid(&key(index), pattern, "everybody would be trusted", text);
            }
            Some(network) if network.trunc() != network => {
                let complaint = Complaint::new("an address with host bits, not a network")
                    .found(crate::config::tree::quote(text))
                    .suggest(Some(format!(
                        "\"{}\", or \"{}\" alone",
                        network.trunc(),
                        network.addr()
                    )));
                check.wrong(&key(index), complaint);
            }
            Some(network) => networks.push(network),
            None => check.invalid(&key(index), pattern, "not a network", text),
        }
    }
    if trusts_everybody(&networks) {
        let complaint = Complaint::new("together these networks are everybody").allowed("the networks of your proxies");
        check.wrong(pattern, complaint);
    }
    (networks.len() == texts.len()).then_some(networks)
}

/// A network, or one address.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>();
    network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()
}

/// Whether the networks, taken together, hold all of IPv4 (also written as IPv6) or all of IPv6.
fn trusts_everybody(networks: &[IpNet]) -> bool {
    let mapped = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);
    IpNet::aggregate(&networks.to_vec())
        .iter()
        .any(|network| network.prefix_len() == 0 || network.contains(&IpNet::V6(mapped)))
}

pub(super) fn admin(
    raw: &raw::Admin,
    server: Option<&typed::Server>,
    tls: Option<&typed::Tls>,
    check: &mut Check<'_>,
) -> Option<typed::Admin> {
    if raw.listen.is_empty() {
        return Some(typed::Admin { listen: None });
    }
    let Ok(address) = raw.listen.parse::<SocketAddr>() else {
        check.invalid(
            "admin.listen",
            "admin.listen",
            "not an IP address and port",
            &raw.listen,
        );
        return None;
    };
    let public = [
        ("server.listen", server.map(|server| server.listen.as_slice())),
        ("tls.listen", tls.map(|tls| tls.listen.as_slice())),
        ("tls.redirect_listen", tls.map(|tls| tls.redirect_listen.as_slice())),
    ];
    let same = |(key, listen): (&str, Option<&[SocketAddr]>)| {
        let index = listen?.iter().position(|public| overlap(*public, address))?;
        Some(format!("{key}[{index}]"))
    };
    if let Some(other) = public.into_iter().find_map(same) {
        let complaint = Complaint::new("the same as the public listener, where health and metrics must never be")
            .found(crate::config::tree::quote(&raw.listen))
            .allowed("another address or port, or \"\" to turn it off");
        check.conflict("admin.listen", &other, complaint);
        return None;
    }
    Some(typed::Admin { listen: Some(address) })
}

/// Whether the system would refuse to bind the second after the first.
fn overlap(first: SocketAddr, second: SocketAddr) -> bool {
    let same_family = first.is_ipv4() == second.is_ipv4();
    let same_address = first.ip() == second.ip() || first.ip().is_unspecified() || second.ip().is_unspecified();
    first.port() != 0 && first.port() == second.port() && same_family && same_address
}
