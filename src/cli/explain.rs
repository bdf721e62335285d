//! `doorward explain METHOD URL`: which route a request takes and why, whether it may pass, what the upstream would see.
//!
//! Nothing is sent or opened: the same pure code that decides about a request is asked here.

mod edges;
mod target;
mod who;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::Context;
use http::{HeaderMap, HeaderValue, Method, header};

use self::target::Target;
use self::who::Who;
use super::failure::Failure;
use super::globals::Globals;
use super::{describe, logging};
use crate::config::{Config, Route};
use crate::id::Identity;
use crate::problem::Code;
use crate::rules::headers::{Forwarding, IdentityHeaders, rewrite_request};
use crate::rules::host::normalise_host;
use crate::rules::path::{RequestPath, check_query};
use crate::rules::policy::{Denied, Permit, decide};
use crate::rules::route::{Found, RouteTable, Rule, Verdict};

/// Where the example request comes from: an address for documentation (RFC 5737).
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The request's method, as in GET
    method: Method,
    /// The request's URL (`https://host/path`), or its path alone
    url: String,
    #[command(flatten)]
    who: Who,
}

pub(super) fn run(args: &Args, globals: &Globals, out: &mut dyn Write) -> Result<(), Failure> {
    logging::start_quiet();
    let target = Target::parse(&args.url).map_err(Failure::Usage)?;
    let who = args.who.identity().map_err(Failure::Usage)?;
    let config = globals.load()?.config;
    if let Some(issuer) = &args.who.issuer
        && !config.issuers.iter().any(|known| known.name == *issuer)
    {
        return Err(Failure::Usage(format!("--issuer: no [[issuers]] is called {issuer}")));
    }

    writeln!(out, "request   {} {}", args.method, args.url)?;
    writeln!(out, "as        {}", who::describe(who.as_deref()))?;
    let host = match target
        .authority
        .as_deref()
        .map(|authority| normalise_host(authority).ok_or(authority))
    {
        Some(Err(authority)) => {
            return refusal(out, Code::BadRequest, &format!("{authority:?} is not a host"));
        }
        Some(Ok(host)) => Some(host),
        None => None,
    };
    let path = match RequestPath::parse(&target.path) {
        Ok(path) => path,
        Err(error) => return refusal(out, Code::AmbiguousPath, &error.to_string()),
    };
    if let Some(Err(error)) = target.query.as_deref().map(check_query) {
        return refusal(out, Code::AmbiguousPath, &format!("in the query: {error}"));
    }
    if path.without_prefix(&config.auth.path).is_some() {
        let own = format!(
            "answered by the gateway itself: it is at or below auth.path ({})",
            config.auth.path
        );
        return Ok(writeln!(out, "decision  {own}")?);
    }

    let rules: Vec<Rule> = config.routes.iter().map(|route| route.rule.clone()).collect();
    let table = RouteTable::new(&rules).ok().context("some routes could tie")?;
    print_verdicts(&config, &table.explain(host.as_deref(), &path, &args.method), out)?;
    let route = match table.find(host.as_deref(), &path, &args.method) {
        Found::Route(index) => config.routes.get(index).context("the route table names no route")?,
        Found::MethodNotAllowed(methods) => {
            let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
            return refusal(out, Code::MethodNotAllowed, &format!("allowed: {}", methods.join(", ")));
        }
        Found::None => return refusal(out, Code::NotFound, "no route matches"),
    };
    edges::print_maintenance(&route.edge, out)?;
    match decide(&route.access, who.as_ref()) {
        Ok(permit) => {
            let passes = if permit.identity().is_some() {
                "passes, with identity"
            } else {
                "passes, anonymous"
            };
            writeln!(out, "decision  {passes} ({})", describe::access(&route.access))?;
            print_forwarded(&config, route, &target, &path, &permit, &args.method, who.as_ref(), out)
        }
        Err(denied) => {
            let code = match denied {
                Denied::TokenMissing => Code::TokenMissing,
                Denied::Issuer => Code::TokenInvalid,
                Denied::MissingRole | Denied::MissingClaim => Code::Forbidden,
            };
            refusal(out, code, &format!("{denied} ({})", describe::access(&route.access)))
        }
    }
}

fn refusal(out: &mut dyn Write, code: Code, why: &str) -> Result<(), Failure> {
    Ok(writeln!(
        out,
        "decision  refused, {} {code}: {why}",
        code.status().as_u16()
    )?)
}

fn print_verdicts(config: &Config, verdicts: &[Verdict], out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "routes")?;
    let rules: Vec<String> = config.routes.iter().map(|route| describe::rule(&route.rule)).collect();
    let width = rules.iter().map(|rule| rule.chars().count()).max().unwrap_or(0);
    for (index, ((route, rule), verdict)) in config.routes.iter().zip(&rules).zip(verdicts).enumerate() {
        let mark = if *verdict == Verdict::Wins { '*' } else { ' ' };
        let (number, line) = (index + 1, route.rule.line);
        writeln!(out, "{mark} {number:>3}  line {line:<4}  {rule:<width$}  {verdict}")?;
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "it prints what the whole explanation came to")]
fn print_forwarded(
    config: &Config,
    route: &Route,
    target: &Target,
    path: &RequestPath<'_>,
    permit: &Permit,
    method: &Method,
    who: Option<&Arc<Identity>>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if let Some(redirect) = &route.edge.redirect {
        let location = redirect.location(path, target.query.as_deref());
        let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
        return Ok(writeln!(out, "redirect  {} {location}", redirect.status().as_u16())?);
    }
    if route.edge.verify_only {
        let own = format!(
            "for {}/verify alone: a request to the gateway itself gets 404",
            config.auth.path
        );
        return Ok(writeln!(out, "upstream  {own}")?);
    }
    let servers: Vec<String> = route
        .upstream
        .and_then(|index| config.upstreams.get(index))
        .map(|upstream| {
            let servers = upstream.servers.iter().zip(&upstream.weights);
            servers
                .map(|(server, weight)| describe::weighted(server, *weight))
                .collect()
        })
        .unwrap_or_default();
    writeln!(
        out,
        "upstream  {}: {}",
        describe::upstream(config, route),
        servers.join(", ")
    )?;

    let forwarded = route.path.apply(path).context("the path is not the route's")?;
    let query = target
        .query
        .as_deref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    writeln!(out, "it sees   {method} {forwarded}{query}")?;

    let mut headers = HeaderMap::new();
    let host = target
        .authority
        .as_deref()
        .map(HeaderValue::from_str)
        .transpose()
        .context("not a host")?;
    if let Some(host) = &host {
        headers.insert(header::HOST, host.clone());
    }
    if who.is_some() {
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer (the token)"));
    }
    let names = IdentityHeaders::new(&config.identity.prefix).context("identity.prefix")?;
    let forwarding = Forwarding {
        peer: CLIENT,
        peer_is_trusted: false,
        scheme: target.scheme,
        host: host.as_ref(),
        version: http::Version::HTTP_11,
        request_id: &HeaderValue::from_static("(made for each request)"),
    };
    rewrite_request(&mut headers, &names, permit, &forwarding, config.identity.forward_token);
    edges::change_request(&route.edge, &mut headers);
    if route.assertion && permit.identity().is_some() {
        let assertion = format!("(a signed JWT for the audience {})", describe::upstream(config, route));
        names.set_assertion(&mut headers, assertion.into());
    }
    for (name, value) in &headers {
        writeln!(out, "          {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
    }
    Ok(edges::print_answer(&route.edge, out)?)
}
