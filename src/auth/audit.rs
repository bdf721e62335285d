//! What the audit trail is told of requests to the endpoints: when they came, from where, and under which id.

use super::AuthState;
use super::caller::Client;
use crate::store::audit::{Actor, Event, EventKind};

impl Client {
    /// Something that a user does by this request.
    pub(super) fn event(&self, state: &AuthState, kind: EventKind) -> Event {
        Event {
            address: self.ip,
            request_id: self.request_id.clone(),
            ..Event::new(kind, Actor::User, state.clock.now())
        }
    }

    /// Something that is done by this request, by whoever `actor` is.
    pub(super) fn event_by(&self, state: &AuthState, kind: EventKind, actor: Actor) -> Event {
        Event {
            actor,
            ..self.event(state, kind)
        }
    }
}
