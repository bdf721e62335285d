//! [`Ledger`]: what is known and counted of one server. It outlives the [`Server`], which is made anew where a reload changes
//! what its connections depend on: a server that is known to be down, or has as many requests as it may, stays that.
//!
//! What is known is forgotten only where the configuration in force asks for it no more, or asks something else.

use std::sync::atomic::{AtomicI64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use super::shared::Shared;
use super::slots::Slots;
use super::standing::{Change, Standing};
use super::{Server, ServerId};
use crate::config::{self, HealthChecks};
use crate::time::monotonic;

/// What is known and counted of one server, over all workers and configurations.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) shared: Arc<Shared>,
    pub(super) standing: Standing,
    /// Requests on their way to it or being answered by it, where somebody wants to know.
    pub(super) in_flight: AtomicUsize,
    /// The connections to it, where they are counted.
    pub(super) slots: Arc<Slots>,
    /// What it has saved up for its turn in a round. Changed under the upstream's lock.
    pub(super) credit: AtomicI64,
    watch: Mutex<Watch>,
}

/// How it is checked.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The server as the configuration in force has it.
    server: Option<ServerId>,
    rule: Option<HealthChecks>,
    checker: Option<Checker>,
}

/// Who asks it. Dropped, it stops.
#[derive(Debug)]
pub(super) struct Checker(pub(super) AbortHandle);

impl Drop for Checker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Ledger {
    /// Nothing is known yet.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            standing: Standing::default(),
            in_flight: AtomicUsize::new(0),
            slots: Arc::default(),
            credit: AtomicI64::new(0),
            watch: Mutex::default(),
        }
    }

    /// From now on this configuration is in force, which has the server as `server`.
    pub(super) fn follow(&self, server: &Server, config: &config::Upstream) {
        let rules = &config.resilience;
        self.slots.limit(rules.caps.max_connections);
        let mut watch = self.watch();
        let anew = watch
            .server
            .replace(server.id())
            .is_some_and(|before| before != server.id());
        if rules.eject.is_off() {
            self.standing.forget_failures();
        } else if anew {
            // Requests failed on connections that were made in another way.
            self.standing.try_now(monotonic());
        }
        if !anew && watch.rule == rules.health {
            return;
        }
        let before = std::mem::replace(&mut watch.rule, rules.health.clone());
        watch.checker = None;
        match (before, &watch.rule) {
            (Some(before), Some(rule)) if anew || !before.asks_the_same_as(rule) => {
                self.standing.ask_anew(rule);
            }
            (Some(_) | None, Some(_)) => {}
            (Some(_) | None, None) => self.standing.forget_checks(),
        }
    }

    /// Lets the server be checked by whom `start` starts, if the configuration in force wants it to be and nobody does it.
    pub(super) fn check(&self, server: &Server, start: impl FnOnce(HealthChecks) -> Checker) {
        let mut watch = self.watch();
        if watch.server == Some(server.id()) && watch.checker.is_none() {
            watch.checker = watch.rule.clone().map(start);
        }
    }

    /// Takes what a check of this server by this rule has shown, unless either is not in force any more.
    pub(super) fn judge(&self, server: &Server, rule: &HealthChecks, passed: bool) -> Option<Change> {
        let watch = self.watch();
        let in_force = watch.server == Some(server.id()) && watch.rule.as_ref() == Some(rule);
        in_force
            .then(|| self.standing.checked(passed, monotonic(), rule))
            .flatten()
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::upstream::{Health, Upstreams};

    fn upstreams(settings: &str, before: Option<&Upstreams>) -> Upstreams {
        let text = format!(
            "[upstreams.app]\nservers = \"http://a\"\n{settings}\n[[routes]]\npath = \"/a\"\nupstream = \"app\"\n"
        );
        let config = config::parse(&text, std::path::Path::new(".")).unwrap();
        Upstreams::new(&config.upstreams, before)
    }

    fn rule(upstreams: &Upstreams) -> HealthChecks {
        let config = &upstreams.get(0).unwrap().config;
        config.resilience.health.clone().unwrap()
    }

    fn server(upstreams: &Upstreams) -> Arc<Server> {
        upstreams.get(0).unwrap().servers().remove(0)
    }

    #[tokio::test]
    async fn one_at_a_time_checks_a_server_by_the_rule_in_force_and_nobody_else_is_believed() {
        let started = AtomicUsize::new(0);
        let watch = |upstreams: &Upstreams| {
            let server = server(upstreams);
            server.ledger.check(&server, |_| {
                started.fetch_add(1, Ordering::SeqCst);
                Checker(tokio::spawn(std::future::pending::<()>()).abort_handle())
            });
            started.load(Ordering::SeqCst)
        };
        let health = "health.path = \"/\"\nhealth.failures = 1";
        let first = upstreams(health, None);
        assert_eq!(watch(&first), 0, "it is not in force");
        first.get(0).unwrap().begin();
        assert_eq!((watch(&first), watch(&first)), (1, 1));
        let same = upstreams(&format!("{health}\nresponse_timeout = \"5s\""), Some(&first));
        same.get(0).unwrap().begin();
        assert_eq!(watch(&same), 1, "it goes on");
        let other = upstreams(
            &format!("{health}\nhealth.interval = \"1h\"\nconnect_timeout = \"2s\""),
            Some(&same),
        );
        other.get(0).unwrap().begin();
        assert_eq!((watch(&first), watch(&other), watch(&other)), (1, 2, 2));

        let (old, new) = (server(&same), server(&other));
        assert_eq!(old.ledger.judge(&old, &rule(&same), false), None);
        assert_eq!(new.condition().0, Health::Up { failures: 0 });
        assert_eq!(new.ledger.judge(&new, &rule(&other), false), Some(Change::WentDown));
    }
}
