//! What a change of the configuration may change while the gateway runs, and what became of the last one.
//!
//! A configuration is taken as a whole or not at all: where one of its keys needs a restart ([`needs_restart`]), none of it
//! is taken. [`Reloads`] remembers, for readiness and metrics, what is in force and why the last change was refused.

mod fixed;
mod watch;

use std::sync::{Mutex, PoisonError};

pub use fixed::needs_restart;
pub use watch::Watch;

use crate::time::Timestamp;

/// What is in force, and what became of the last change.
#[derive(Debug)]
pub struct Reloads(Mutex<State>);

#[derive(Debug)]
struct State {
    generation: u64,
    loaded_at: Timestamp,
    refused: Option<String>,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// 1 at the start, one more with each that was taken since.
    pub generation: u64,
    /// When it was taken.
    pub loaded_at: Timestamp,
    /// Why a later one was not taken, if one was not.
    pub refused: Option<String>,
}

impl Reloads {
    /// The first configuration is in force.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self(Mutex::new(State {
            generation: 1,
            loaded_at: now,
            refused: None,
        }))
    }

    /// Another one was taken. Gives its generation.
    pub fn note_taken(&self, now: Timestamp) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.generation += 1;
        state.loaded_at = now;
        state.refused = None;
        state.generation
    }

    /// Another one was not taken, for this reason, which holds no secret.
    pub fn note_refused(&self, why: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refused = Some(why);
    }

    /// What is in force.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        InForce {
            generation: state.generation,
            loaded_at: state.loaded_at,
            refused: state.refused.clone(),
        }
    }
}
