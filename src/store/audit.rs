//! The audit trail: who did what to accounts, sessions, keys and the configuration, when, and from where.
//!
//! An event that tells of a change is written in the transaction that makes the change ([`Store::recording`]): neither is
//! there without the other. One that tells of no change, such as a refused login, is queued and written behind the answer,
//! many to a transaction ([`Store::note`]): a flood of them costs no write each, and what finds the queue full is counted.
//! Rows are added, never changed, and removed by the clean-up alone. None holds a password, a token or a key, nor what was
//! typed where an e-mail address was asked for.

mod detail;
mod entry;
mod kind;
mod query;
mod queue;
mod row;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

pub use detail::{Detail, Reason};
pub use kind::{EventKind, Outcome, UnknownKind};
pub use query::{Filter, Order, Recorded};

pub(super) use entry::{Entry, recorded};
pub(super) use queue::Trail;
pub(super) use row::insert;

use super::Store;
use crate::config;
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// Whom it is about, where that is a user and known.
    pub user: Option<UserId>,
    /// The session that it was done in, or that it began or ended.
    pub session: Option<SessionId>,
    /// Where the request came from, as far as it can be believed.
    pub address: Option<IpAddr>,
    /// The id of the request: at most 128 characters.
    pub request_id: Option<String>,
    /// What else there is to say.
    pub details: Vec<Detail>,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The user whom it is about.
    User,
    /// Somebody who has not shown who they are.
    Anonymous,
    /// Another service, by its id in `[[clients]]`.
    Client(String),
    /// Whoever ran a command: the account of the system, at most 128 characters.
    Operator(String),
    /// The gateway by itself.
    System,
}

impl Actor {
    /// The word for what they are.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Anonymous => "anonymous",
            Self::Client(_) => "client",
            Self::Operator(_) => "operator",
            Self::System => "system",
        }
    }

    /// What they are called, where that is not said elsewhere.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Client(name) | Self::Operator(name) => Some(name),
            Self::User | Self::Anonymous | Self::System => None,
        }
    }
}

impl Event {
    /// An event of which no more is known.
    #[must_use]
    pub const fn new(kind: EventKind, actor: Actor, at: Timestamp) -> Self {
        Self {
            kind,
            at,
            actor,
            user: None,
            session: None,
            address: None,
            request_id: None,
            details: Vec::new(),
        }
    }

    /// The same, about this user.
    #[must_use]
    pub fn about(self, user: UserId) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }

    /// The same, of this session.
    #[must_use]
    pub fn of(self, session: SessionId) -> Self {
        Self {
            session: Some(session),
            ..self
        }
    }

    /// The same, with this to say.
    #[must_use]
    pub fn with(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }
}

impl Store {
    /// The same store, where the next change is recorded as this event, in the transaction of the change. The store adds what
    /// it alone knows. A call that changes nothing records nothing.
    #[must_use]
    pub fn recording(&self, event: Event) -> Self {
        Self {
            event: Some(Arc::new(event)),
            ..self.clone()
        }
    }

    /// Has events told of as this says from now on, in all clones.
    pub fn audit_by(&self, config: &config::Audit) {
        *self.trail.settings.write().unwrap_or_else(PoisonError::into_inner) = config.clone();
    }
}
