//! What `serve` says once it is up: where it listens, what its routes are, and what to type next.

use std::net::SocketAddr;
use std::path::Path;

use crate::cli::globals::Globals;
use crate::cli::logging::Style;
use crate::cli::trial::reachable;
use crate::cli::{VERSION, describe, resources, say};
use crate::config::{Config, Signup};
use crate::rules::policy::AuthMode;
use crate::server::Door;

/// All that is said, but for the addresses, which are known once they are bound.
pub(super) struct Announcement {
    store: String,
    auth_path: String,
    signup: Signup,
    docs: bool,
    routes: Vec<RouteWords>,
    /// The command line of `doorward try` for this gateway, as far as the file alone says where it listens.
    try_command: String,
    /// Whether it needs to be told where this gateway listens.
    needs_url: bool,
    /// A plain path of a guarded route, to try with curl.
    guarded_path: Option<String>,
}

struct RouteWords {
    rule: String,
    upstream: String,
    access: String,
}

impl Announcement {
    pub(super) fn new(config: &Config, globals: &Globals) -> Self {
        let routes = config.routes.iter().map(|route| RouteWords {
            rule: describe::rule(&route.rule),
            upstream: describe::upstream(config, route),
            access: describe::access(&route.access),
        });
        let guarded = config
            .routes
            .iter()
            .filter(|route| route.access.auth == AuthMode::Required && route.access.issuers.own);
        let mut paths = guarded.map(|route| route.rule.path.to_string());
        Self {
            store: resources::place(&config.store.backend),
            auth_path: config.auth.path.clone(),
            signup: config.auth.signup,
            docs: config.auth.docs,
            routes: routes.collect(),
            try_command: try_command(&std::env::args().next().unwrap_or_default(), &globals.file),
            // A `--set` is not repeated in what we print: it may hold a secret.
            needs_url: !globals.set.is_empty() || config.server.listen.iter().any(|listen| listen.port() == 0),
            guarded_path: paths.find(|path| !path.contains(['{', ' ', '\'', '"', '$', '`', '\\'])),
        }
    }

    /// Says it: as text for people, as log events where standard error is for machines.
    pub(super) fn print(&self, doors: &[(Door, SocketAddr)], admin: Option<SocketAddr>, style: Style) {
        match style {
            Style::Text { ansi: _ } => say(self.text(doors, admin)),
            Style::Json => self.log(doors, admin),
        }
    }

    fn log(&self, doors: &[(Door, SocketAddr)], admin: Option<SocketAddr>) {
        for (door, address) in doors {
            let scheme = door.scheme();
            tracing::info!(version = VERSION, url = format!("{scheme}://{address}"), "listening");
        }
        if let Some(admin) = admin {
            tracing::info!(url = format!("http://{admin}"), "admin listening");
        }
        for RouteWords { rule, upstream, access } in &self.routes {
            tracing::info!(rule, upstream, access, "route");
        }
        tracing::info!(store = self.store, next = self.next_command(doors), "ready");
    }

    fn text(&self, doors: &[(Door, SocketAddr)], admin: Option<SocketAddr>) -> String {
        let mut lines = vec![format!("Doorward {VERSION} is running; Ctrl-C stops it.\n")];
        lines.extend(
            doors
                .iter()
                .map(|(door, address)| format!("  listening  {}://{address}", door.scheme())),
        );
        if let Some(admin) = admin {
            lines.push(format!("  admin      http://{admin}/readyz (also /healthz, /metrics)"));
        }
        lines.push(format!("  store      {}\n\nRoutes", self.store));
        lines.extend(self.route_lines());
        if let Some(address) = plain(doors) {
            lines.push("\nNext, in another terminal".to_owned());
            lines.push(format!("  {}", self.next_command(doors)));
            lines.extend(self.next_lines(&format!("http://{}", reachable(address))));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn next_command(&self, doors: &[(Door, SocketAddr)]) -> String {
        match plain(doors) {
            Some(address) if self.needs_url => format!("{} --url http://{}", self.try_command, reachable(address)),
            Some(_) | None => self.try_command.clone(),
        }
    }

    fn route_lines(&self) -> Vec<String> {
        let own = RouteWords {
            rule: self.auth_path.clone(),
            upstream: "doorward itself".to_owned(),
            access: match self.signup {
                Signup::Open => "sign-up, login, sessions".to_owned(),
                Signup::Closed => "login, sessions (sign-up is closed)".to_owned(),
            },
        };
        let all: Vec<&RouteWords> = std::iter::once(&own).chain(&self.routes).collect();
        let widest = |words: fn(&RouteWords) -> &str| all.iter().map(|w| words(w).chars().count()).max().unwrap_or(0);
        let (rule, upstream) = (widest(|w| &w.rule), widest(|w| &w.upstream));
        all.iter()
            .map(|w| format!("  {:<rule$}  -> {:<upstream$}  {}", w.rule, w.upstream, w.access))
            .collect()
    }

    fn next_lines(&self, url: &str) -> Vec<String> {
        let auth = format!("{url}{}", self.auth_path);
        let mut lines = Vec::new();
        if let Some(path) = &self.guarded_path {
            lines.push(format!("  curl -i {url}{path}"));
        }
        if self.signup == Signup::Open {
            lines.push(format!(
                "  curl -i {auth}/signup -H 'content-type: application/json' \\\n    \
                 -d '{{\"email\":\"ann@example.com\",\"password\":\"seven wet otters\",\"name\":\"Ann\"}}'"
            ));
        }
        if let Some(path) = &self.guarded_path {
            lines.push(format!(
                "  curl -i {url}{path} -H \"authorization: Bearer $ACCESS_TOKEN\""
            ));
        }
        if self.docs {
            lines.push(format!("  open {auth}/docs in a browser"));
        }
        lines
    }
}

/// Where one can try without TLS.
fn plain(doors: &[(Door, SocketAddr)]) -> Option<SocketAddr> {
    let mut doors = doors.iter();
    doors.find_map(|(door, address)| (*door == Door::Plain).then_some(*address))
}

/// How to start `doorward try` from where this process was started.
fn try_command(program: &str, file: &Path) -> String {
    let program = if program.is_empty() { "doorward" } else { program };
    if file == Path::new("gateway.toml") {
        format!("{program} try")
    } else {
        format!("{program} try --config {}", file.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(signup: Signup) -> Announcement {
        let words = |rule: &str, access: &str| RouteWords {
            rule: rule.to_owned(),
            upstream: "whoami".to_owned(),
            access: access.to_owned(),
        };
        Announcement {
            store: "SQLite file data/doorward.db".to_owned(),
            auth_path: "/auth".to_owned(),
            signup,
            docs: true,
            routes: vec![words("/whoami", "guarded"), words("/", "public")],
            try_command: "doorward try".to_owned(),
            needs_url: false,
            guarded_path: Some("/whoami".to_owned()),
        }
    }

    #[test]
    fn a_person_is_told_where_it_listens_what_it_guards_and_what_to_type() {
        let doors = [
            (Door::Tls, "0.0.0.0:8443".parse().unwrap()),
            (Door::Plain, "0.0.0.0:8080".parse().unwrap()),
        ];
        let text = announcement(Signup::Open).text(&doors, Some("127.0.0.1:9090".parse().unwrap()));
        for part in [
            "listening  http://0.0.0.0:8080",
            "listening  https://0.0.0.0:8443",
            "http://127.0.0.1:9090/readyz",
            "  /whoami  -> whoami           guarded\n",
            "  doorward try\n",
            "curl -i http://127.0.0.1:8080/whoami\n",
            "curl -i http://127.0.0.1:8080/auth/signup",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(!announcement(Signup::Closed).text(&doors, None).contains("/auth/signup"));
        let elsewhere = Announcement {
            needs_url: true,
            ..announcement(Signup::Open)
        };
        let next = elsewhere.next_command(&doors);
        assert_eq!(next, "doorward try --url http://127.0.0.1:8080");
    }

    #[test]
    fn the_next_command_names_the_same_program_and_file() {
        let default = Path::new("gateway.toml");
        assert_eq!(
            try_command("target/release/doorward", default),
            "target/release/doorward try"
        );
        assert_eq!(
            try_command("", Path::new("/etc/d.toml")),
            "doorward try --config /etc/d.toml"
        );
    }
}
