//! `[[routes]]`

use http::Method;

use super::{Check, Reported, limits};
use crate::config::error::Complaint;
use crate::config::{raw, suggest, tree, typed};
use crate::id::{IssuerName, Role};
use crate::rules::policy::{Access, AuthMode, TrustedIssuers};
use crate::rules::route::{HostPattern, PathPattern, RouteTable, Rule, Segment};

pub(super) fn routes(
    raw: &raw::Config,
    auth: Option<&typed::Auth>,
    check: &mut Check<'_>,
) -> Option<Vec<typed::Route>> {
    if raw.routes.is_empty() && !check.report.has("routes") {
        let complaint =
            Complaint::new("no route: every request would be answered with 404").allowed("at least one [[routes]]");
        check.wrong("routes", complaint);
    }
    if raw.identity.assertion && is_symmetric(raw) {
        check.conflict("identity.assertion", "tokens.algorithm", unverifiable(raw));
    }
    let routes: Vec<_> = raw
        .routes
        .iter()
        .enumerate()
        .map(|(index, route)| Reader { index, raw, check }.route(route, auth))
        .collect();
    ties(&routes, check);
    routes
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .filter(|routes| !routes.is_empty())
}

/// Whether tokens are signed with a secret that upstreams would have to share.
fn is_symmetric(raw: &raw::Config) -> bool {
    typed::Algorithm::from_name(&raw.tokens.algorithm).is_some_and(typed::Algorithm::is_symmetric)
}

fn unverifiable(raw: &raw::Config) -> Complaint {
    Complaint::new("no upstream could verify it: the signing keys have no public half")
        .found(format!("tokens.algorithm = {}", tree::quote(&raw.tokens.algorithm)))
        .allowed("only with a tokens.algorithm other than HS256, HS384 and HS512")
}

/// Reports each two routes that could tie, among those that are valid alone.
fn ties(routes: &[Option<typed::Route>], check: &mut Check<'_>) {
    let valid: Vec<(usize, &typed::Route)> = routes
        .iter()
        .enumerate()
        .filter_map(|(index, route)| route.as_ref().map(|route| (index, route)))
        .collect();
    let rules: Vec<Rule> = valid.iter().map(|(_, route)| route.rule.clone()).collect();
    for conflict in RouteTable::new(&rules).err().unwrap_or_default() {
        let (Some((first, _)), Some((second, rule))) = (valid.get(conflict.first), valid.get(conflict.second)) else {
            continue;
        };
        let (first, second) = (format!("routes[{first}]"), format!("routes[{second}]"));
        let place = check.merged.place(&first);
        let line = match check.line(&first) {
            0 => String::new(),
            line => format!(" in line {line}"),
        };
        let complaint = Complaint::new(format!(
            "for the same requests as {first}{line}, and neither is more specific"
        ))
        .found(format!("{} {}", rule.rule.host, rule.rule.path))
        .allowed("routes that differ in host, path, exact, or (without overlap) methods");
        check
            .report
            .add_with(&check.merged.place(&second), &second, complaint, &[place]);
    }
}

/// Reads one route.
pub(super) struct Reader<'a, 'b> {
    index: usize,
    pub(super) raw: &'a raw::Config,
    pub(super) check: &'a mut Check<'b>,
}

impl Reader<'_, '_> {
    fn route(&mut self, route: &raw::Route, auth: Option<&typed::Auth>) -> Option<typed::Route> {
        let path = self.path(route, auth);
        let host = self.host(route);
        let methods = self.methods(route);
        let upstream = self.upstream(route);
        let access = self.access(route);
        let assertion = self.assertion(route);
        let change = self.path_change(route, path.as_ref());
        let edge = self.edge(route, path.as_ref());
        let limits = limits::named(&route.limits, &self.key("limits"), &self.raw.limits, self.check);
        let streams = super::streams::streams(route, self.index, self.check);
        let upgradable = super::streams::upgradable(self.raw, route, self.index, self.check);
        Some(typed::Route {
            rule: Rule {
                line: self.check.line(&format!("routes[{}]", self.index)),
                host: host?,
                path: path?,
                exact: route.exact,
                methods: methods?,
            },
            upstream: upstream?,
            access: access?,
            assertion: assertion.ok()?,
            path: change?,
            max_body: route.max_body.unwrap_or(self.raw.server.max_body).0,
            timeout: route.timeout,
            edge: edge?,
            limits: limits?,
            streams: upgradable.and(streams).ok()?,
            client_certificate: self.client_certificate(route).ok()?,
            max_requests: route.max_requests,
            max_requests_per_user: route.max_requests_per_user,
        })
    }

    fn client_certificate(&mut self, route: &raw::Route) -> Result<bool, Reported> {
        let asks = self.raw.tls.client_auth != "off" || self.check.report.has("tls.client_auth");
        if route.client_certificate && !asks {
            let complaint = Complaint::new("clients are asked for no certificate")
                .allowed("tls.client_auth = \"optional\" or \"required\" as well");
            self.check.wrong(&self.key("client_certificate"), complaint);
            return Err(Reported);
        }
        Ok(route.client_certificate)
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("routes[{}].{name}", self.index)
    }

    pub(super) fn invalid(&mut self, name: &str, message: impl Into<String>, found: &str) {
        let field = name.split('[').next().unwrap_or(name);
        // The entry of a table is allowed what its table is.
        let field = field.match_indices('.').nth(1).map_or(field, |(end, _)| &field[..end]);
        self.check
            .invalid(&self.key(name), &format!("routes[].{field}"), message, found);
    }

    fn path(&mut self, route: &raw::Route, auth: Option<&typed::Auth>) -> Option<PathPattern> {
        let Some(text) = &route.path else {
            self.check.missing(&self.key("path"), "routes[].path");
            return None;
        };
        let pattern = match PathPattern::parse(text) {
            Ok(pattern) => pattern,
            Err(error) => {
                self.invalid("path", error.to_string(), text);
                return None;
            }
        };
        if let Some(auth) = auth
            && starts_with(&pattern, &auth.path)
        {
            let complaint = Complaint::new("at or below auth.path, which the gateway answers itself")
                .found(tree::quote(text))
                .allowed(format!(
                    "a path that is not {} or below it, or another auth.path",
                    auth.path
                ));
            self.check.conflict(&self.key("path"), "auth.path", complaint);
            return None;
        }
        Some(pattern)
    }

    fn host(&mut self, route: &raw::Route) -> Option<HostPattern> {
        let Some(text) = &route.host else {
            return (!self.check.report.has(&self.key("host"))).then_some(HostPattern::Any);
        };
        match HostPattern::parse(text) {
            Ok(host) => Some(host),
            Err(error) => {
                self.invalid("host", error.to_string(), text);
                None
            }
        }
    }

    fn methods(&mut self, route: &raw::Route) -> Option<Vec<Method>> {
        let Some(texts) = &route.methods else {
            return (!self.check.report.has(&self.key("methods"))).then(Vec::new);
        };
        if texts.is_empty() {
            let complaint = Complaint::new("an empty list").allowed("at least one method; leave the key out for any");
            self.check.wrong(&self.key("methods"), complaint);
            return None;
        }
        let mut methods = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let name = format!("methods[{index}]");
            let method = text
                .parse::<Method>()
                .ok()
                .filter(|_| !text.bytes().any(|b| b.is_ascii_lowercase()));
            match method {
                Some(Method::CONNECT | Method::TRACE) => {
                    self.invalid(&name, "a method that the gateway never relays", text);
                }
                Some(method) if methods.contains(&method) => self.invalid(&name, "the same method twice", text),
                Some(method) => methods.push(method),
                None => self.invalid(&name, "not a method in upper case", text),
            }
        }
        (methods.len() == texts.len()).then_some(methods)
    }

    /// Where the requests go, which is nowhere for a redirect.
    #[expect(clippy::option_option, reason = "the outer one: something is wrong")]
    fn upstream(&mut self, route: &raw::Route) -> Option<Option<usize>> {
        let key = self.key("upstream");
        let Some(name) = &route.upstream else {
            if route.redirect.to.is_some() || route.verify_only {
                return Some(None);
            }
            // What is wrong itself is no missing upstream.
            let instead = ["redirect", "verify_only"].map(|name| self.key(name));
            if !instead.iter().any(|key| self.check.report.has(key)) {
                self.check.missing(&key, "routes[].upstream");
            }
            return None;
        };
        let index = self.raw.upstreams.keys().position(|known| known == name);
        // An upstream that was left out because of its own error is not unknown.
        let left_out = || self.check.report.has(&format!("upstreams.{name}"));
        if index.is_none() && !left_out() {
            let known: Vec<&str> = self.raw.upstreams.keys().map(String::as_str).collect();
            let nearest = suggest::nearest(name, known.iter().copied()).map(tree::quote);
            let allowed = match known.as_slice() {
                [] => "the NAME of an [upstreams.NAME], of which there is none".to_owned(),
                known => format!("the name of an upstream: {}", known.join(", ")),
            };
            let complaint = Complaint::new("no upstream of this name")
                .found(tree::quote(name))
                .allowed(allowed)
                .suggest(nearest);
            self.check.wrong(&key, complaint);
        }
        index.map(Some)
    }

    fn access(&mut self, route: &raw::Route) -> Option<Access> {
        let auth = match route.auth.as_str() {
            "optional" => AuthMode::Optional,
            "none" => AuthMode::None,
            // Whatever else it could be: the safe one.
            _ => AuthMode::Required,
        };
        let mut valid = true;
        let said = |name: &str| self.check.merged.said(&self.key(name)).is_some();
        for (name, is_set) in [
            ("roles", route.roles.is_some()),
            ("claims", !route.claims.is_empty()),
            ("issuers", said("issuers")),
        ] {
            if is_set && auth == AuthMode::None {
                let complaint = Complaint::new("asked of requests whose token is not looked at")
                    .found("auth = \"none\"")
                    .allowed("only with auth = \"required\" or \"optional\"");
                self.check.conflict(&self.key(name), &self.key("auth"), complaint);
                valid = false;
            }
        }
        let issuers = self.issuers(route);
        let roles = self.roles(route)?;
        let issuers = issuers?;
        valid.then(|| Access {
            auth,
            issuers,
            roles,
            claims: route.claims.clone(),
        })
    }

    /// Whether the upstream gets an assertion.
    fn assertion(&mut self, route: &raw::Route) -> Result<bool, Reported> {
        let key = self.key("assertion");
        let is_public = route.auth == "none";
        if route.assertion == Some(true) && is_public {
            let complaint = Complaint::new("of requests whose token is not looked at")
                .found("auth = \"none\"")
                .allowed("only with auth = \"required\" or \"optional\"");
            self.check.conflict(&key, &self.key("auth"), complaint);
            return Err(Reported);
        }
        if route.assertion == Some(true) && is_symmetric(self.raw) {
            self.check.conflict(&key, "tokens.algorithm", unverifiable(self.raw));
            return Err(Reported);
        }
        Ok(route.assertion.unwrap_or(self.raw.identity.assertion) && !is_public)
    }

    fn issuers(&mut self, route: &raw::Route) -> Option<TrustedIssuers> {
        if route.issuers.is_empty() {
            let complaint = Complaint::new("an empty list: nobody could pass").allowed("at least one issuer");
            self.check.wrong(&self.key("issuers"), complaint);
            return None;
        }
        let mut issuers = TrustedIssuers {
            own: false,
            others: Vec::new(),
        };
        let mut valid = true;
        for (index, text) in route.issuers.iter().enumerate() {
            let name = format!("issuers[{index}]");
            let other = text.parse::<IssuerName>().ok();
            let twice =
                (text == IssuerName::SELF && issuers.own) || other.as_ref().is_some_and(|n| issuers.others.contains(n));
            let known = self.raw.issuers.iter().any(|issuer| issuer.name.as_ref() == Some(text));
            match other {
                _ if twice => self.invalid(&name, "the same issuer twice", text),
                None if text == IssuerName::SELF => {
                    issuers.own = true;
                    continue;
                }
                Some(other) if known => {
                    issuers.others.push(other);
                    continue;
                }
                Some(_) | None => self.unknown_issuer(&name, text),
            }
            valid = false;
        }
        valid.then_some(issuers)
    }

    fn unknown_issuer(&mut self, name: &str, text: &str) {
        // An issuer that was left out because of its own error is not unknown.
        if self.check.report.has("issuers") {
            return;
        }
        let others = self.raw.issuers.iter().filter_map(|issuer| issuer.name.as_deref());
        let known: Vec<&str> = std::iter::once(IssuerName::SELF).chain(others).collect();
        let complaint = Complaint::new("no issuer of this name")
            .found(tree::quote(text))
            .allowed(format!("the name of an issuer: {}", known.join(", ")))
            .suggest(suggest::nearest(text, known.iter().copied()).map(tree::quote));
        self.check.wrong(&self.key(name), complaint);
    }

    fn roles(&mut self, route: &raw::Route) -> Option<Vec<Role>> {
        let Some(texts) = &route.roles else {
            return (!self.check.report.has(&self.key("roles"))).then(Vec::new);
        };
        if texts.is_empty() {
            let complaint = Complaint::new("an empty list, which could be read as nobody or as anybody")
                .allowed("at least one role; leave the key out for anybody");
            self.check.wrong(&self.key("roles"), complaint);
            return None;
        }
        let mut roles = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match text.parse::<Role>() {
                Ok(role) => roles.push(role),
                Err(error) => self.invalid(&format!("roles[{index}]"), error.to_string(), text),
            }
        }
        (roles.len() == texts.len()).then_some(roles)
    }
}

/// Whether all that the pattern matches is at or below the plain path.
pub(super) fn starts_with(pattern: &PathPattern, path: &str) -> bool {
    let mut segments = pattern.segments().iter();
    path.split('/').skip(1).all(|wanted| match segments.next() {
        Some(Segment::Literal(text)) => text == wanted,
        Some(Segment::Any(_)) | None => false,
    })
}
