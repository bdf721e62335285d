//! The propagation of revocations, in every order of events that a small configuration allows.
//!
//! Writers take numbers and commit, or die, out of order; one replica polls, re-reads everything, fails, stands still for
//! any time (then just nothing of it happens while time passes) and restarts; expired rows are removed by a clean-up whose
//! clock is ahead, while the replica's is behind. The replica's part is the real [`Cursor`] and [`Reading`], and the real
//! rule of [`Freshness`]; pages, and what a poll does with them, are as in `poll.rs`. Replicas share nothing but the table,
//! so that one stands for any number of them. A logout is answered when its row is visible, the earliest that it can be.
//!
//! What is promised rests on one assumption: a number becomes visible within one overlap of being taken, or never. It is
//! dropped in one check, which then holds readings of everything to their own promise, and finds that polls need it.

mod checks;

use std::ops::Range;

use stateright::{Model, Property};

use super::cursor::{Cursor, Reading};
use super::*;

const TICK: Duration = Duration::from_secs(1);
const ROWS: usize = 2;
/// Rows in a page.
const PAGE: usize = 1;

/// What may be wrong with the protocol, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Polls read on from the greatest number seen.
    NoOverlap,
    /// A poll that failed settles numbers as one that succeeded would.
    FailuresSettle,
    /// Knowledge counts as new as the end of the poll that brought it.
    ConfirmedByTheEnd,
    /// Rows are removed before clocks can have agreed that they have expired.
    RemovedEarly,
}

/// All times are in ticks.
#[derive(Clone, Debug)]
struct Protocol {
    fault: Fault,
    /// Whether numbers become visible within an overlap.
    punctual: bool,
    horizon: u8,
    overlap: u8,
    staleness: u8,
    /// How many numbers are read again at the least at the start.
    window: i64,
    /// Whether a poll and a reading of everything go on at once.
    both_at_once: bool,
    /// How many times the replica may restart.
    restarts: u8,
    /// For how long a token lives that was issued when its row is written.
    ttl: u8,
    /// How far clocks are from the true time, either way.
    skew: u8,
    /// How much longer than the longest life of a token a row is kept.
    margin: u8,
    epoch: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Row {
    Free,
    /// Its number is taken, and its transaction open.
    Open {
        since: u8,
    },
    /// Committed, and answered.
    Visible {
        written: u8,
        at: u8,
    },
    /// Its writer died before it was answered.
    Undone,
    /// Cleaned up.
    Removed {
        written: u8,
        at: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    now: u8,
    rows: [Row; ROWS],
    cursor: Cursor,
    /// The poll and the reading of everything that are under way.
    readings: [Option<Reading>; 2],
    /// Which rows the replica knows.
    known: [bool; ROWS],
    confirmed: Option<u8>,
    /// When the last reading of everything that succeeded began.
    all_read: Option<u8>,
    restarts: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    New,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Tick,
    Take(usize),
    Commit(usize),
    Die(usize),
    CleanUp(usize),
    Begin(What),
    ReadPage(What),
    Fail(What),
    Restart,
}

impl Protocol {
    fn new() -> Self {
        Self {
            fault: Fault::None,
            punctual: true,
            horizon: 6,
            overlap: 2,
            staleness: 2,
            window: 10,
            both_at_once: false,
            restarts: 0,
            ttl: 100,
            skew: 0,
            margin: 0,
            epoch: time::monotonic(),
        }
    }

    fn instant(&self, tick: u8) -> Instant {
        self.epoch + TICK * u32::from(tick)
    }

    fn fresh_cursor(&self) -> Cursor {
        let overlap = match self.fault {
            Fault::NoOverlap => 0,
            Fault::None | Fault::FailuresSettle | Fault::ConfirmedByTheEnd | Fault::RemovedEarly => self.overlap,
        };
        Cursor::with_window(TICK * u32::from(overlap), self.window)
    }

    /// When the row may be removed, by the clean-up's clock, which is ahead of the writer's, which is behind.
    fn removable(&self, written: u8) -> u8 {
        let margin = match self.fault {
            Fault::RemovedEarly => self.margin - 1,
            Fault::None | Fault::NoOverlap | Fault::FailuresSettle | Fault::ConfirmedByTheEnd => self.margin,
        };
        (written + self.ttl + margin).saturating_sub(2 * self.skew)
    }

    /// Whether the replica, by its clock that is behind, would take the token that a row revokes for expired. The token was
    /// issued by a clock that is ahead.
    fn expired(&self, written: u8, now: u8) -> bool {
        now > written + self.ttl + 2 * self.skew
    }

    fn freshness(&self, state: &State) -> Freshness {
        let confirmed = state.confirmed.map(|tick| self.instant(tick));
        Freshness::at(self.instant(state.now), confirmed, TICK * u32::from(self.staleness))
    }

    /// Whether the replica knows all that was answered in this time and is not expired.
    fn knows(&self, state: &State, answered: Range<u8>) -> bool {
        state.rows.iter().zip(state.known).all(|(row, known)| match row {
            Row::Visible { written, at } | Row::Removed { written, at } => {
                known || !answered.contains(at) || self.expired(*written, state.now)
            }
            Row::Free | Row::Open { .. } | Row::Undone => true,
        })
    }

    fn may_tick(&self, state: &State) -> bool {
        let overdue = |row: &Row| matches!(row, Row::Open { since } if since + self.overlap <= state.now + 1);
        state.now < self.horizon && !(self.punctual && state.rows.iter().any(overdue))
    }

    /// Makes states equal between which nothing can tell any more: there are fewer of them.
    fn forget_what_no_longer_matters(&self, state: &mut State) {
        let remembered_for_ever = state.restarts == self.restarts;
        for (row, known) in state.rows.iter_mut().zip(state.known) {
            match row {
                Row::Visible { written, at } | Row::Removed { written, at } => {
                    if self.ttl > self.horizon {
                        *written = 0;
                    }
                    if known && remembered_for_ever {
                        *at = 0;
                    }
                }
                Row::Open { since } if !self.punctual && self.ttl > self.horizon => *since = 0,
                Row::Free | Row::Open { .. } | Row::Undone => {}
            }
        }
    }

    fn finish(&self, state: &mut State, reading: &Reading, what: What) {
        let now = self.instant(state.now);
        state.cursor.finish(reading, now);
        let tick_of = |instant: Instant| u8::try_from((instant - self.epoch).as_secs()).expect("a short run");
        let began = match self.fault {
            Fault::ConfirmedByTheEnd => state.now,
            Fault::None | Fault::NoOverlap | Fault::FailuresSettle | Fault::RemovedEarly => tick_of(reading.began()),
        };
        state.confirmed = state.confirmed.max(Some(began));
        // Where nothing is late, `confirmed` promises more.
        if what == What::All && (!self.punctual || self.window == 0) {
            state.all_read = state.all_read.max(Some(began));
        }
    }
}

/// The numbers after this one that are visible, so many of them at the most.
fn page(rows: &[Row], after: i64, limit: usize) -> Vec<usize> {
    let visible = (0..ROWS).filter(|index| matches!(rows[*index], Row::Visible { .. }));
    visible.filter(|index| number(*index) > after).take(limit).collect()
}

fn number(index: usize) -> i64 {
    i64::try_from(index).expect("few rows") + 1
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            rows: [Row::Free; ROWS],
            cursor: self.fresh_cursor(),
            readings: [None, None],
            known: [false; ROWS],
            confirmed: None,
            all_read: None,
            restarts: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if self.may_tick(state) {
            actions.push(Action::Tick);
        }
        if let Some(next) = state.rows.iter().position(|row| *row == Row::Free) {
            actions.push(Action::Take(next));
        }
        for (index, row) in state.rows.iter().enumerate() {
            match row {
                Row::Open { .. } => actions.extend([Action::Commit(index), Action::Die(index)]),
                Row::Visible { written, .. } if state.now >= self.removable(*written) => {
                    actions.push(Action::CleanUp(index));
                }
                Row::Free | Row::Visible { .. } | Row::Undone | Row::Removed { .. } => {}
            }
        }
        for what in [What::New, What::All] {
            match &state.readings[what as usize] {
                None if self.both_at_once || state.readings == [None, None] => actions.push(Action::Begin(what)),
                None => {}
                Some(_) => actions.extend([Action::ReadPage(what), Action::Fail(what)]),
            }
        }
        if state.restarts < self.restarts {
            actions.push(Action::Restart);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let now = last.now;
        match action {
            Action::Tick => state.now += 1,
            Action::Take(index) => state.rows[index] = Row::Open { since: now },
            Action::Commit(index) => {
                let Row::Open { since } = last.rows[index] else {
                    return None;
                };
                state.rows[index] = Row::Visible {
                    written: since,
                    at: now,
                };
            }
            Action::Die(index) => state.rows[index] = Row::Undone,
            Action::CleanUp(index) => {
                let Row::Visible { written, at } = last.rows[index] else {
                    return None;
                };
                state.rows[index] = Row::Removed { written, at };
            }
            Action::Begin(what) => {
                let reading = match what {
                    What::New => last.cursor.read_new(self.instant(now)),
                    What::All => last.cursor.read_all(self.instant(now)),
                };
                state.readings[what as usize] = Some(reading);
            }
            Action::ReadPage(what) => {
                let mut reading = state.readings[what as usize].take()?;
                let (after, wanted) = reading.next_page()?;
                let limit = usize::try_from(wanted).map_or(PAGE, |wanted| wanted.min(PAGE));
                let page = page(&last.rows, after, limit);
                for index in &page {
                    state.known[*index] = true;
                    state.cursor.enforces(number(*index));
                }
                reading.saw(page.iter().map(|index| number(*index)), page.len() < limit);
                if reading.next_page().is_none() {
                    self.finish(&mut state, &reading, what);
                } else {
                    state.readings[what as usize] = Some(reading);
                }
            }
            Action::Fail(what) => {
                let reading = state.readings[what as usize].take()?;
                state.cursor.distrust();
                if self.fault == Fault::FailuresSettle {
                    state.cursor.finish(&reading, self.instant(now));
                }
            }
            Action::Restart => {
                state = State {
                    now,
                    rows: last.rows,
                    restarts: last.restarts + 1,
                    ..self.init_states().pop()?
                };
            }
        }
        self.forget_what_no_longer_matters(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(BOUND, |model, state| match model.freshness(state) {
                Freshness::Fresh { .. } => model.knows(state, 0..state.now.saturating_sub(model.staleness)),
                Freshness::Stale { .. } | Freshness::NeverLoaded => true,
            }),
            Property::always(CONFIRMED, |model, state| {
                model.knows(state, 0..state.confirmed.unwrap_or(0))
            }),
            Property::always(ALL_READ, |model, state| {
                model.knows(state, 0..state.all_read.unwrap_or(0))
            }),
            // Or the rest would be true of a replica that never learns anything.
            Property::sometimes(LEARNS, |model, state| {
                let fresh = matches!(model.freshness(state), Freshness::Fresh { age } if age <= TICK);
                fresh && state.known == [true; ROWS] && state.confirmed >= Some(1)
            }),
        ]
    }
}

const BOUND: &str = "a fresh replica refuses all that was answered longer ago than max_staleness";
const CONFIRMED: &str = "a replica knows all that was answered before its last good poll began";
const ALL_READ: &str = "a replica knows all that was answered before its last good reading of everything began";
const LEARNS: &str = "a replica that is fresh knows everything";
