//! [`Entry`]: the events of one transaction, and what is said of them once that is committed.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::detail::to_text;
use super::{Detail, Event, row};
use crate::store::Store;
use crate::store::connection::Connection;
use crate::store::error::Failure;

/// What a transaction is to be recorded as, and whether it has been.
pub(in crate::store) struct Entry {
    event: Option<Arc<Event>>,
    /// Whether it becomes a row.
    stored: bool,
    written: Vec<Event>,
}

impl Entry {
    /// Writes the event, with what `more` adds; nothing, where none is wanted.
    pub(in crate::store) async fn write(
        &mut self,
        connection: &mut Connection,
        more: impl FnOnce(Event) -> Event,
    ) -> Result<(), Failure> {
        let Some(event) = &self.event else { return Ok(()) };
        let event = more(Event::clone(event));
        self.write_too(connection, event).await
    }

    /// Writes another event, of the second thing that the transaction does; nothing, where none is wanted.
    pub(in crate::store) async fn write_too(
        &mut self,
        connection: &mut Connection,
        event: Event,
    ) -> Result<(), Failure> {
        if self.event.is_none() {
            return Ok(());
        }
        if self.stored {
            row::insert(connection, &[&event]).await?;
        }
        self.written.push(event);
        Ok(())
    }

    /// What was written, in this order.
    pub(in crate::store) fn written(self) -> Vec<Event> {
        self.written
    }
}

/// `recorded!(self, |connection, entry| { …; Ok(answer) })`: as `run!` with a transaction, in which `entry` writes the event
/// that the store was given. It is logged once the transaction is committed: nothing is told that did not happen.
macro_rules! recorded {
    ($store:expr, |$connection:ident, $entry:ident| $work:expr) => {{
        let done = $crate::store::work::run!($store.transaction(), |$connection| {
            let mut $entry = $store.entry();
            let done: Result<_, $crate::store::error::Failure> = async { $work }.await;
            done.map(|answer| (answer, $entry.written()))
        });
        done.map(|(answer, written)| {
            for event in written {
                $store.tell(&event);
            }
            answer
        })
    }};
}

pub(in crate::store) use recorded;

impl Store {
    /// For one attempt at a transaction.
    pub(in crate::store) fn entry(&self) -> Entry {
        Entry {
            event: self.event.clone(),
            stored: self.stores_events(),
            written: Vec::new(),
        }
    }

    /// Whether events become rows.
    pub(in crate::store) fn stores_events(&self) -> bool {
        let settings = self.trail.settings.read();
        settings.unwrap_or_else(PoisonError::into_inner).store
    }

    /// How old events become.
    pub(in crate::store) fn audit_retention(&self) -> Duration {
        let settings = self.trail.settings.read();
        settings.unwrap_or_else(PoisonError::into_inner).retention
    }

    /// Logs an event, where that is wanted.
    pub(in crate::store) fn tell(&self, event: &Event) {
        if !self.trail.settings.read().unwrap_or_else(PoisonError::into_inner).log {
            return;
        }
        // No e-mail address is logged.
        let details = event.details.iter();
        let details = details.filter(|detail| !matches!(detail, Detail::FormerEmail(_)));
        tracing::info!(
            target: "audit",
            event = event.kind.as_str(),
            outcome = event.kind.outcome().as_str(),
            actor = event.actor.as_str(),
            actor_name = event.actor.name(),
            user = event.user.map(tracing::field::display),
            session = event.session.map(tracing::field::display),
            address = event.address.map(tracing::field::display),
            request_id = event.request_id.as_deref(),
            details = to_text(details),
            "audit"
        );
    }
}
