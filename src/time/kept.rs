//! The clocks as a worker reads them: once for each request, and once each time it has waited. What happens in between is told
//! by the last reading: a clock that is read for each timeout, log line and idle connection of a request costs more than any
//! of them.
//!
//! Only threads that have asked for it ([`keep`]) are told the time so; all others read the clock each time.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::{Timestamp, monotonic, wall_micros};

/// How long the wall clock is told by the monotonic one: a clock that is set is seen by then.
const WALL_KEPT: Duration = Duration::from_millis(100);

/// The last reading of a thread.
#[derive(Clone, Copy)]
struct Kept {
    now: Instant,
    /// Both clocks at a moment: microseconds since 1970 by the wall's.
    wall: (Instant, i64),
}

impl Kept {
    fn wall_micros(self) -> i64 {
        let (at, wall) = self.wall;
        let since = self.now.saturating_duration_since(at);
        wall.saturating_add(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

thread_local! {
    static KEPT: Cell<Option<Kept>> = const { Cell::new(None) };
}

/// From now on this thread is told the time by its last reading. It has to [`refresh`] that whenever it has waited.
pub fn keep() {
    let now = monotonic();
    KEPT.set(Some(Kept {
        now,
        wall: (now, wall_micros()),
    }));
}

/// Reads the clock on a thread that keeps the time; nothing on others.
pub fn refresh() {
    if let Some(kept) = KEPT.get() {
        read(kept);
    }
}

/// When this thread read the clock last, which is at most as long ago as it has been busy with one request; now, on a thread
/// that keeps no time. For what is not hurt by that: timeouts, durations that are told, and how long something idles; and, of
/// a request, for what asks after its [`Moment`](super::Moment) was read, as how old the knowledge of revocations is.
#[must_use]
pub fn recent() -> Instant {
    KEPT.get().map_or_else(monotonic, |kept| kept.now)
}

/// [`recent`] for the timers of the runtime.
#[must_use]
pub fn recent_for_timers() -> tokio::time::Instant {
    // Elsewhere, a test may have stopped the clock of the timers.
    KEPT.get().map_or_else(tokio::time::Instant::now, |kept| {
        tokio::time::Instant::from_std(kept.now)
    })
}

/// The wall clock at [`recent`], in microseconds since 1970.
#[must_use]
pub fn recent_wall_micros() -> i64 {
    KEPT.get().map_or_else(wall_micros, Kept::wall_micros)
}

/// Both clocks, by one reading of the monotonic one where the time is kept.
pub(super) fn both() -> (Instant, Timestamp) {
    match KEPT.get() {
        Some(kept) => {
            let kept = read(kept);
            (kept.now, Timestamp::from_unix_ms(kept.wall_micros().div_euclid(1000)))
        }
        None => (monotonic(), super::system_now()),
    }
}

fn read(before: Kept) -> Kept {
    let now = monotonic();
    let is_known = now.saturating_duration_since(before.wall.0) < WALL_KEPT;
    let wall = if is_known { before.wall } else { (now, wall_micros()) };
    let kept = Kept { now, wall };
    KEPT.set(Some(kept));
    kept
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_that_keeps_the_time_is_told_its_last_reading() {
        let told = thread::spawn(|| {
            keep();
            let first = recent();
            while monotonic() == first {}
            let same = recent();
            refresh();
            (first == same, recent() > first)
        });
        assert_eq!(told.join().unwrap(), (true, true));
    }

    #[test]
    fn other_threads_read_the_clock() {
        let first = recent();
        while monotonic() == first {}
        refresh();
        assert!(recent() > first);
    }

    #[test]
    fn both_clocks_are_told_by_one_reading() {
        let apart = thread::spawn(|| {
            keep();
            let (now, wall) = both();
            let apart = super::super::system_now().since(wall);
            (now == recent(), apart)
        });
        let (same, apart) = apart.join().unwrap();
        assert!(same);
        assert!(apart < Duration::from_secs(10), "{apart:?}");
    }

    #[test]
    fn the_wall_clock_goes_on_while_the_time_is_kept() {
        thread::spawn(|| {
            keep();
            let (start, first) = both();
            while monotonic() - start < Duration::from_millis(3) {}
            let (_, second) = both();
            assert!(second.since(first) >= Duration::from_millis(2));
        })
        .join()
        .unwrap();
    }
}
