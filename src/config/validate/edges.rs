//! What a route does at its edges: the keys of `[[routes]]` beside who may pass and where to.

use http::HeaderValue;

use super::routes::{Reader, starts_with};
use super::{Check, paths};
use crate::config::error::Complaint;
use crate::config::{raw, typed};
use crate::rules::headers::Side;
use crate::rules::host::normalise_host;
use crate::rules::path::RequestPath;
use crate::rules::redirect::{InvalidRedirect, Redirect};
use crate::rules::rewrite::{PathChange, Template};
use crate::rules::route::PathPattern;

/// Reports that proxies may ask, where there are none that could.
pub(super) fn verify(raw: &raw::Config, check: &mut Check<'_>) {
    if raw.auth.verify && raw.server.trusted_proxies.is_empty() {
        let complaint = Complaint::new("nobody could ask: the answer is for trusted proxies alone")
            .found("server.trusted_proxies = []")
            .allowed("only with the addresses of the proxies that ask in server.trusted_proxies");
        check.conflict("auth.verify", "server.trusted_proxies", complaint);
    }
}

impl Reader<'_, '_> {
    /// All of it; `None` where something is wrong, which is reported.
    pub(super) fn edge(&mut self, route: &raw::Route, path: Option<&PathPattern>) -> Option<typed::Edge> {
        let redirect = self.redirect(route, path);
        let upstream_host = self.upstream_host(&route.upstream_host);
        let verify_only = self.verify_only(route);
        let cors = self.cors(route);
        let maintenance = self.maintenance(route);
        let request_headers = self.operations(Side::Request, route, false);
        let response_headers = self.operations(Side::Response, route, route.cors.origins.is_some());
        Some(typed::Edge {
            maintenance: maintenance?,
            cors: cors?,
            security_headers: route.security_headers.unwrap_or(self.raw.server.security_headers),
            request_headers: request_headers?,
            response_headers: response_headers?,
            verify_only: verify_only?,
            redirect: redirect?,
            upstream_host: upstream_host?,
        })
    }

    fn verify_only(&mut self, route: &raw::Route) -> Option<bool> {
        if !route.verify_only {
            return Some(false);
        }
        let (complaint, other) = if route.upstream.is_some() {
            let complaint = Complaint::new("a route that is for other proxies' questions alone forwards nothing")
                .found("upstream and verify_only")
                .allowed("one of the two");
            (complaint, self.key("upstream"))
        } else if !self.raw.auth.verify {
            let complaint = Complaint::new("no request could take this route: no proxy may ask")
                .found("auth.verify = false")
                .allowed("only with auth.verify = true");
            (complaint, "auth.verify".to_owned())
        } else {
            return Some(true);
        };
        self.check.conflict(&self.key("verify_only"), &other, complaint);
        None
    }

    #[expect(clippy::option_option, reason = "the outer one: something is wrong")]
    fn redirect(&mut self, route: &raw::Route, path: Option<&PathPattern>) -> Option<Option<Redirect>> {
        let Some(to) = &route.redirect.to else {
            // The default is said by whoever writes out what is in effect.
            if route.redirect.status == 308 {
                return Some(None);
            }
            self.check.missing(&self.key("redirect.to"), "routes[].redirect.to");
            return None;
        };
        if route.upstream.is_some() {
            let complaint = Complaint::new("a route that sends its clients elsewhere forwards nothing")
                .found("upstream and redirect")
                .allowed("one of the two");
            self.check
                .conflict(&self.key("redirect.to"), &self.key("upstream"), complaint);
            return None;
        }
        match Redirect::parse(to, route.redirect.status, path?) {
            Ok(redirect) => Some(Some(redirect)),
            Err(error @ InvalidRedirect::Status) => {
                let complaint = Complaint::new(error.to_string())
                    .found(route.redirect.status.to_string())
                    .allowed("301, 302, 303, 307 or 308");
                self.check.wrong(&self.key("redirect.status"), complaint);
                None
            }
            Err(error @ (InvalidRedirect::NotUrl | InvalidRedirect::Host | InvalidRedirect::Path(_))) => {
                self.invalid("redirect.to", error.to_string(), to);
                None
            }
        }
    }

    fn upstream_host(&mut self, text: &str) -> Option<typed::UpstreamHost> {
        Some(match text {
            "client" => typed::UpstreamHost::Client,
            "server" => typed::UpstreamHost::Server,
            host => {
                let value = normalise_host(host).and_then(|_| HeaderValue::try_from(host).ok());
                let Some(value) = value else {
                    self.invalid("upstream_host", "not a host", host);
                    return None;
                };
                typed::UpstreamHost::Named(value)
            }
        })
    }

    /// What becomes of the path.
    pub(super) fn path_change(&mut self, route: &raw::Route, path: Option<&PathPattern>) -> Option<PathChange> {
        if let Some(text) = &route.rewrite {
            for (other, is_set) in [
                ("strip_prefix", route.strip_prefix.is_some()),
                ("add_prefix", route.add_prefix.is_some()),
            ] {
                if is_set {
                    let complaint = Complaint::new("the whole path is said by rewrite")
                        .found(format!("rewrite and {other}"))
                        .allowed("one of the two");
                    self.check.conflict(&self.key(other), &self.key("rewrite"), complaint);
                    return None;
                }
            }
            return match Template::for_rewrite(text, path?) {
                Ok(template) => Some(PathChange::Rewrite(template)),
                Err(error) => {
                    self.invalid("rewrite", error.to_string(), text);
                    None
                }
            };
        }
        let strip_prefix = self.strip_prefix(route, path);
        let add_prefix = self.add_prefix(route);
        Some(match (strip_prefix?, add_prefix?) {
            (None, None) => PathChange::Kept,
            (strip_prefix, add_prefix) => PathChange::Prefix {
                strip_prefix,
                add_prefix,
            },
        })
    }

    #[expect(clippy::option_option, reason = "the outer one: something is wrong")]
    fn strip_prefix(&mut self, route: &raw::Route, path: Option<&PathPattern>) -> Option<Option<String>> {
        let Some(text) = &route.strip_prefix else {
            return Some(None);
        };
        if !paths::is_plain(text) {
            self.invalid("strip_prefix", "not a plain path without a slash at its end", text);
            return None;
        }
        if path.is_some_and(|path| !starts_with(path, text)) {
            self.invalid(
                "strip_prefix",
                "not the beginning of the route's path, so never there to be taken off",
                text,
            );
            return None;
        }
        Some(Some(text.clone()))
    }

    #[expect(clippy::option_option, reason = "the outer one: something is wrong")]
    fn add_prefix(&mut self, route: &raw::Route) -> Option<Option<String>> {
        let Some(text) = &route.add_prefix else {
            return Some(None);
        };
        // What is forwarded has one reading: a segment of dots alone would not.
        if !paths::is_plain(text) || RequestPath::parse(text).is_err() {
            self.invalid("add_prefix", "not a plain path without a slash at its end", text);
            return None;
        }
        Some(Some(text.clone()))
    }
}
