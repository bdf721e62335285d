//! Finds the route that `doorward try` can walk through: guarded, to `builtin:whoami`, open to every user.

use std::fmt::Write as _;

use http::Method;

use crate::config::{Config, Route, ServerAddress};
use crate::rules::path::RequestPath;
use crate::rules::policy::AuthMode;
use crate::rules::route::{Found, HostPattern, RouteTable, Rule};

/// A request that takes a guarded route to `builtin:whoami`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Guarded {
    /// The `Host` to send, where the route is for certain ones.
    pub(super) host: Option<String>,
    /// The path to ask for.
    pub(super) path: String,
}

impl Guarded {
    /// The first route of the configuration that will do.
    pub(super) fn find(config: &Config) -> Option<Self> {
        let rules: Vec<Rule> = config.routes.iter().map(|route| route.rule.clone()).collect();
        let table = RouteTable::new(&rules).ok()?;
        config.routes.iter().enumerate().find_map(|(index, route)| {
            let request = Self::example(route);
            let path = RequestPath::parse(&request.path).ok()?;
            // A more specific route may take the example from it.
            let found = table.find(request.host.as_deref(), &path, &Method::GET);
            (suits(config, route) && matches!(found, Found::Route(taken) if taken == index)).then_some(request)
        })
    }

    /// A request that the route matches.
    fn example(route: &Route) -> Self {
        let host = match &route.rule.host {
            HostPattern::Any => None,
            HostPattern::Exact(host) => Some(host.clone()),
            HostPattern::Subdomains(domain) => Some(format!("try.{domain}")),
        };
        Self {
            host,
            path: example_path(&route.rule.path.to_string()),
        }
    }
}

fn suits(config: &Config, route: &Route) -> bool {
    let to_whoami = config
        .upstreams
        .get(route.upstream.unwrap_or(usize::MAX))
        .is_some_and(|upstream| upstream.servers.iter().all(|server| *server == ServerAddress::Whoami));
    to_whoami
        && route.access.auth == AuthMode::Required
        && route.access.issuers.own
        && route.access.roles.is_empty()
        && route.access.claims.is_empty()
}

/// A path for the template `/orders/{id}`: each `{name}` is `try`, each literal is spelled so that any server reads it.
fn example_path(template: &str) -> String {
    let mut path = String::new();
    for segment in template.trim_start_matches('/').split('/') {
        path.push('/');
        if segment.starts_with('{') && segment.ends_with('}') {
            path.push_str("try");
            continue;
        }
        for byte in segment.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                // Writing to a String does not fail.
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_for_tokens_of_others_only_is_not_tried() {
        let text = "[upstreams.whoami]\nservers = 'builtin:whoami'\n\
            [[issuers]]\nname = 'corp'\nissuer = 'corp'\naudiences = 'api'\njwks_file = 'keys.json'\n\
            [[routes]]\npath = '/corp'\nupstream = 'whoami'\nissuers = 'corp'\n\
            [[routes]]\npath = '/both'\nupstream = 'whoami'\nissuers = ['corp', 'self']\n";
        let config = crate::config::parse(text, std::path::Path::new("")).unwrap();
        assert_eq!(Guarded::find(&config).unwrap().path, "/both");
    }

    #[test]
    fn a_template_becomes_a_path_that_it_matches() {
        for (template, path) in [
            ("/", "/"),
            ("/whoami", "/whoami"),
            ("/orders/{id}/refunds", "/orders/try/refunds"),
            ("/a b/ü", "/a%20b/%C3%BC"),
        ] {
            assert_eq!(example_path(template), path);
        }
    }
}
