//! What the audit trail is told of requests to the endpoints: when they came, from where, and under which id.

use super::AuthState;
use super::caller::{Caller, Client};
use super::error::Failure;
use super::throttle::Report;
use crate::store::audit::{Actor, Detail, Event, EventKind};

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

    /// Records that something of this kind was not looked at, if that is what `answer` says: once a minute for each place.
    pub(super) fn note_throttled<T>(&self, state: &AuthState, kind: EventKind, answer: &Result<T, Failure>) {
        note_waiting(state, answer, || self.event_by(state, kind, Actor::Anonymous));
    }

    /// The same of something that a user did who has shown who they are.
    pub(super) fn note_throttled_of<T>(
        &self,
        caller: &Caller,
        state: &AuthState,
        kind: EventKind,
        answer: &Result<T, Failure>,
    ) {
        note_waiting(state, answer, || {
            let event = self.event(state, kind);
            event.about(caller.user.id).of(caller.token.session)
        });
    }
}

fn note_waiting<T>(state: &AuthState, answer: &Result<T, Failure>, event: impl FnOnce() -> Event) {
    let Some(by) = answer.as_ref().err().and_then(Failure::waits_for) else {
        return;
    };
    let event = event();
    if let Some(Report { attempts, shared }) = state.throttle.report(&event, by) {
        // What many share says of none of them where it came from.
        let event = if shared {
            Event::new(event.kind, Actor::Anonymous, event.at)
        } else {
            event
        };
        let event = event.with(Detail::By(by)).with(Detail::Attempts(attempts));
        state.store.note(event);
    }
}
