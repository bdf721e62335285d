//! Routes in words, the same ones wherever they are printed. Writing to a `String` does not fail.

use std::fmt::Write as _;

use crate::config::{Config, Route, ServerAddress};
use crate::id::IssuerName;
use crate::rules::policy::{Access, AuthMode, TrustedIssuers};
use crate::rules::route::{HostPattern, Rule};

/// Which requests a route is for: `api.example.com/orders/{id} [GET POST] exact`.
pub(super) fn rule(rule: &Rule) -> String {
    let host = match &rule.host {
        HostPattern::Any => String::new(),
        HostPattern::Exact(_) | HostPattern::Subdomains(_) => rule.host.to_string(),
    };
    let mut text = format!("{host}{}", rule.path);
    if !rule.methods.is_empty() {
        let methods: Vec<_> = rule.methods.iter().map(http::Method::as_str).collect();
        let _ = write!(text, " [{}]", methods.join(" "));
    }
    if rule.exact {
        text.push_str(" exact");
    }
    text
}

/// Who may pass: `guarded, role admin or support`.
pub(super) fn access(access: &Access) -> String {
    let mut text = match access.auth {
        AuthMode::Required => "guarded",
        AuthMode::Optional => "token optional",
        AuthMode::None => "public",
    }
    .to_owned();
    if access.issuers != TrustedIssuers::own() {
        let own = access.issuers.own.then_some(IssuerName::SELF);
        let others = access.issuers.others.iter().map(IssuerName::as_str);
        let names: Vec<_> = own.into_iter().chain(others).collect();
        let _ = write!(text, ", issuer {}", names.join(" or "));
    }
    if !access.roles.is_empty() {
        let roles: Vec<_> = access.roles.iter().map(crate::id::Role::as_str).collect();
        let _ = write!(text, ", role {}", roles.join(" or "));
    }
    for (name, value) in &access.claims {
        let _ = write!(text, ", claim {name} = {value}");
    }
    text
}

/// The name of a route's upstream, or what the route does without one.
pub(super) fn upstream(config: &Config, route: &Route) -> String {
    match (&route.edge.redirect, route.upstream) {
        (Some(redirect), _) => format!("redirect {redirect}"),
        (None, Some(index)) => config
            .upstreams
            .get(index)
            .map_or("?", |upstream| &upstream.name)
            .to_owned(),
        (None, None) => "verify only".to_owned(),
    }
}

/// A server as the file names it, with its weight unless it is 1.
pub(super) fn weighted(address: &ServerAddress, weight: u16) -> String {
    match weight {
        1 => address.to_string(),
        _ => format!("{address} weight={weight}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::route::PathPattern;
    use http::Method;
    use serde_json::json;

    #[test]
    fn a_rule_is_host_path_and_methods() {
        let any = Rule {
            line: 1,
            host: HostPattern::Any,
            path: PathPattern::parse("/orders/{id}").unwrap(),
            exact: false,
            methods: Vec::new(),
        };
        assert_eq!(rule(&any), "/orders/{id}");
        let narrow = Rule {
            host: HostPattern::Subdomains("example.com".to_owned()),
            exact: true,
            methods: vec![Method::GET, Method::POST],
            ..any
        };
        assert_eq!(rule(&narrow), "*.example.com/orders/{id} [GET POST] exact");
    }

    #[test]
    fn access_says_what_it_takes() {
        let mut to = Access {
            auth: AuthMode::Required,
            issuers: TrustedIssuers::own(),
            roles: ["admin", "support"].map(|role| role.parse().unwrap()).into(),
            claims: json!({"tenant": "acme"}).as_object().unwrap().clone(),
        };
        assert_eq!(access(&to), "guarded, role admin or support, claim tenant = \"acme\"");
        to.roles.clear();
        to.claims.clear();
        to.issuers.others.push("corp".parse().unwrap());
        assert_eq!(access(&to), "guarded, issuer self or corp");
        to.issuers = TrustedIssuers::own();
        to.auth = AuthMode::None;
        assert_eq!(access(&to), "public");
    }
}
