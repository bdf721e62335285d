//! What only a restart changes.

use crate::config::{Config, Keys, Revocation, Store};

/// The keys in which `next` differs from `now`, of those that only a restart changes: threads, the store with what is read
/// from it in the background, keys and secrets that tokens are signed with, and how log lines look.
#[must_use]
pub fn needs_restart(now: &Config, next: &Config) -> Vec<&'static str> {
    let mut keys = Vec::new();
    let mut note = |key, differs| {
        if differs {
            keys.push(key);
        }
    };
    note("server.workers", now.server.workers != next.server.workers);
    note("server.handover", now.server.handover != next.server.handover);
    // Taken apart field by field, so that a new one has to be thought of.
    let Store {
        backend,
        revocations,
        max_connections,
        connect_timeout,
        query_timeout,
        migrate_on_start,
        cleanup_every,
        cleanup_batch,
    } = &now.store;
    note("store.url", *backend != next.store.backend);
    note("store.max_connections", *max_connections != next.store.max_connections);
    note("store.connect_timeout", *connect_timeout != next.store.connect_timeout);
    note("store.query_timeout", *query_timeout != next.store.query_timeout);
    note(
        "store.migrate_on_start",
        *migrate_on_start != next.store.migrate_on_start,
    );
    note("store.cleanup_every", *cleanup_every != next.store.cleanup_every);
    note("store.cleanup_batch", *cleanup_batch != next.store.cleanup_batch);
    let Keys {
        master_key_file,
        create,
        reload_every,
        rotate_every,
    } = &now.keys;
    note("keys.master_key_file", *master_key_file != next.keys.master_key_file);
    note("keys.create", *create != next.keys.create);
    note("keys.reload_every", *reload_every != next.keys.reload_every);
    note("keys.rotate_every", *rotate_every != next.keys.rotate_every);
    note("tokens.algorithm", now.tokens.algorithm != next.tokens.algorithm);
    note("tokens.secret", now.tokens.secret != next.tokens.secret);
    note("revocation.url", *revocations != next.store.revocations);
    let Revocation {
        poll_interval,
        overlap,
        full_reread,
        max_staleness,
        on_stale,
    } = &now.revocation;
    note(
        "revocation.poll_interval",
        *poll_interval != next.revocation.poll_interval,
    );
    note("revocation.overlap", *overlap != next.revocation.overlap);
    note("revocation.full_reread", *full_reread != next.revocation.full_reread);
    note(
        "revocation.max_staleness",
        *max_staleness != next.revocation.max_staleness,
    );
    note("revocation.on_stale", *on_stale != next.revocation.on_stale);
    note("log.format", now.log.format != next.log.format);
    note("log.filter", now.log.filter != next.log.filter);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "[upstreams.app]\nservers = [\"http://a\"]\n[[routes]]\npath = \"/\"\nupstream = \"app\"\n";

    fn config(text: &str) -> Config {
        crate::config::parse(&format!("{text}\n{ROUTES}"), std::path::Path::new(".")).unwrap()
    }

    #[test]
    fn each_key_that_needs_a_restart_is_named() {
        let start = config("");
        for (key, text) in [
            ("server.workers", "[server]\nworkers = 31"),
            ("server.handover", "[server]\nhandover = \"sock\""),
            ("store.url", "[store]\nurl = \"sqlite://elsewhere.db\""),
            ("store.max_connections", "[store]\nmax_connections = 3"),
            ("store.connect_timeout", "[store]\nconnect_timeout = \"3s\""),
            ("store.query_timeout", "[store]\nquery_timeout = \"3s\""),
            ("store.migrate_on_start", "[store]\nmigrate_on_start = false"),
            ("store.cleanup_every", "[store]\ncleanup_every = \"3s\""),
            ("store.cleanup_batch", "[store]\ncleanup_batch = 3"),
            ("keys.master_key_file", "[keys]\nmaster_key_file = \"other\""),
            ("keys.create", "[keys]\ncreate = false"),
            ("keys.reload_every", "[keys]\nreload_every = \"3s\""),
            ("keys.rotate_every", "[keys]\nrotate_every = \"30d\""),
            ("tokens.algorithm", "[tokens]\nalgorithm = \"ES256\""),
            ("revocation.url", "[revocation]\nurl = \"redis://localhost\""),
            ("revocation.poll_interval", "[revocation]\npoll_interval = \"100ms\""),
            ("revocation.overlap", "[revocation]\noverlap = \"31s\""),
            ("revocation.full_reread", "[revocation]\nfull_reread = \"61s\""),
            ("revocation.max_staleness", "[revocation]\nmax_staleness = \"11s\""),
            ("revocation.on_stale", "[revocation]\non_stale = \"allow\""),
            ("log.format", "[log]\nformat = \"json\""),
            ("log.filter", "[log]\nfilter = \"debug\""),
        ] {
            let named = needs_restart(&start, &config(text));
            assert!(named.contains(&key), "{text}: {named:?}");
            assert!(named.len() <= 2, "{text}: {named:?}");
        }
        assert!(needs_restart(&start, &start).is_empty());
    }

    #[test]
    fn another_secret_needs_a_restart_and_is_not_told() {
        let with = |secret: &str| {
            config(&format!(
                "[tokens]\nalgorithm = \"HS256\"\nsecret = \"{secret}-{}\"",
                "x".repeat(32)
            ))
        };
        assert_eq!(needs_restart(&with("one"), &with("two")), ["tokens.secret"]);
        assert!(needs_restart(&with("one"), &with("one")).is_empty());
    }
}
