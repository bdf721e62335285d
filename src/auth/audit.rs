//! What the audit trail is told of requests to the endpoints: when they came, from where, and under which id.

use super::AuthState;
use super::caller::Client;
use super::error::Failure;
use crate::problem::Code;
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

    /// Records that something of this kind was not looked at, if that is what `answer` says.
    pub(super) fn note_throttled<T>(&self, state: &AuthState, kind: EventKind, answer: &Result<T, Failure>) {
        if matches!(answer, Err(failure) if failure.code() == Code::TooManyAttempts) {
            state.store.note(self.event_by(state, kind, Actor::Anonymous));
        }
    }
}
