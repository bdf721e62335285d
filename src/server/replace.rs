//! [`Running::reload`]: another configuration in place of the one in force, as a whole or not at all.

use std::fmt;
use std::sync::Arc;

use super::{Inherited, Running, StartError, private};
use crate::chain::Chain;
use crate::config::{Config, ConfigErrors};
use crate::reload::needs_restart;
use crate::store::audit::{Actor, Detail, Event, EventKind};

/// Why a configuration is not taken. The one before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It is not valid.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// Something in it needs a restart.
    #[error(transparent)]
    NeedsRestart(#[from] NeedsRestart),
    /// It is valid, but what it asks for can't be done.
    #[error(transparent)]
    Unusable(#[from] StartError),
}

/// The keys that differ and that only a restart changes.
#[derive(Debug, thiserror::Error)]
pub struct NeedsRestart(pub Vec<&'static str>);

impl fmt::Display for NeedsRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "another {} needs a restart", self.0.join(", "))
    }
}

impl Running {
    /// Puts a configuration in force, or says in the log, in readiness and in the metrics why not; gives the generation
    /// that is in force then. Requests in flight finish under the configuration that they began with. Nothing has happened
    /// yet when this is given up before it is done. Neither the database nor the network is asked.
    pub async fn reload(&mut self, loaded: Result<Config, ConfigErrors>) -> Result<u64, ReloadError> {
        let taken = match loaded {
            Ok(config) => Box::pin(self.take(config)).await,
            Err(errors) => Err(errors.into()),
        };
        self.gateway.metrics().reloaded(taken.is_ok());
        match taken {
            Ok(()) => {
                let now = self.clock.now();
                let generation = self.reloads.note_taken(now);
                let event = Event::new(EventKind::ConfigReloaded, Actor::System, now);
                self.rooms.store.note(event.with(Detail::Generation(generation)));
                tracing::info!(generation, "the configuration was reloaded");
                Ok(generation)
            }
            Err(error) => {
                let why = Chain(&error).to_string();
                tracing::error!(why, "the configuration was not reloaded: the one before stays in force");
                let event = Event::new(EventKind::ConfigRefused, Actor::System, self.clock.now());
                self.rooms.store.note(event.with(Detail::Problem(why.clone())));
                self.reloads.note_refused(why);
                Err(error)
            }
        }
    }

    async fn take(&mut self, config: Config) -> Result<(), ReloadError> {
        let fixed = needs_restart(&self.config, &config);
        if !fixed.is_empty() {
            return Err(NeedsRestart(fixed).into());
        }
        let doors = self.listeners.prepare(&config, &mut Inherited::default())?;
        let private_moves = self.config.admin.listen != config.admin.listen;
        let private = config.admin.listen.filter(|_| private_moves);
        let private = private
            .map(|wanted| private::Bound::new(wanted, &config.server, &mut Inherited::default()))
            .transpose()?;
        let tls = self.rooms.tls.load(&config.tls).map_err(StartError::from)?;
        let rooms = self.rooms.renewed(&self.config, &config, self.clock.now()).await?;
        let snapshot = rooms.snapshot(&config, &self.clock, Some(&self.gateway.snapshot()));
        let snapshot = snapshot.map_err(StartError::from)?;
        let private = private.map(private::Bound::listen).transpose()?;
        doors.listen()?;
        // From here on nothing fails and nothing waits.
        self.rooms.tls.install(tls);
        self.gateway.replace(snapshot);
        self.shared.store(Arc::new(self.shared.load().renewed(&config)));
        self.fetching.follow(&rooms.issuers);
        self.readiness
            .follow(Arc::clone(&rooms.tokens), Arc::clone(&rooms.issuers));
        self.listeners.make(doors, &self.orders);
        if private_moves {
            self.private = private.map(|open| open.serve(&self.readiness, self.gateway.metrics()));
        }
        self.offer_sockets();
        rooms.store.audit_by(&config.audit);
        self.rooms = rooms;
        self.config = config;
        Ok(())
    }
}
