//! The lines of the log: where they are gathered, and how the one that each request gets is made.
//!
//! All lines go through one [`Sink`], in the order in which they were logged: those of `tracing` as it has formatted them, and
//! those that are made here, which look the same and cost a fraction. A thread writes them within [`DELAY`], and does not
//! wait that long where there is a warning or an error among them; nobody who logs waits for it while there is room. What is
//! logged last is written by [`flush`].
//!
//! Which lines are wanted and how they look is not decided here.

mod line;
mod panics;
mod sink;
mod stamp;

use std::cell::RefCell;
use std::io;
use std::sync::{LazyLock, OnceLock};
use std::time::Instant;

pub use line::{Line, Shape};
pub use panics::{panics, tell_of_panics};
pub use sink::{DELAY, Lines, Sink};

use stamp::Stamp;

/// What is kept for the next line; a line can be longer, as a request's path can.
const ROOM: usize = 4096;

/// What becomes of the lines that could be made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// They are made here, in this shape.
    Ours(Shape),
    /// They go through `tracing`, which knows what to do with them: nobody has said anything else.
    Tracing,
    /// They are not wanted.
    Off,
}

static SINK: LazyLock<Sink> = LazyLock::new(Sink::to_stderr);
static WAY: OnceLock<Way> = OnceLock::new();

thread_local! {
    static SCRATCH: RefCell<(Stamp, Vec<u8>)> = const { RefCell::new((Stamp::new(), Vec::new())) };
}

/// Where all lines of this process go.
#[must_use]
pub fn sink() -> &'static Sink {
    &SINK
}

/// Has lines written by a thread of its own from now on, instead of by whoever logs. Without that thread they still are.
pub fn write_behind() -> Result<(), io::Error> {
    SINK.write_behind()
}

/// Decides for the rest of the process what becomes of requests' lines. Only the first word counts.
pub fn settle(way: Way) {
    let _ = WAY.set(way);
}

/// What was decided.
#[must_use]
pub fn way() -> Way {
    WAY.get().copied().unwrap_or(Way::Tracing)
}

/// Logs a line of the level `INFO`. `now` is the moment that it is of, which has just been.
pub fn info(shape: Shape, now: Instant, target: &str, message: &str, fields: impl FnOnce(&mut Line<'_>)) {
    let mut fields = Some(fields);
    let mut log = |stamp: &mut Stamp, bytes: &mut Vec<u8>| {
        if let Some(fields) = fields.take() {
            bytes.clear();
            line(shape, bytes, stamp.at(now), (target, message), fields);
            SINK.append(bytes, false);
            bytes.shrink_to(ROOM);
        }
    };
    let kept = SCRATCH.try_with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => {
            let (stamp, bytes) = &mut *scratch;
            log(stamp, bytes);
        }
        Err(_) => log(&mut Stamp::new(), &mut Vec::new()),
    });
    if kept.is_err() {
        // The thread is ending, and what it kept is gone.
        log(&mut Stamp::new(), &mut Vec::new());
    }
}

/// Appends a line of the level `INFO` with this target and this message to `bytes`.
pub fn line(
    shape: Shape,
    bytes: &mut Vec<u8>,
    time: &str,
    (target, message): (&str, &str),
    fields: impl FnOnce(&mut Line<'_>),
) {
    let mut line = Line::begin(shape, bytes, time, target, message);
    fields(&mut line);
    line.end(target);
}

/// How many lines could not be written since the start of the process: nobody took them, or there was no room for them.
#[must_use]
pub fn lines_lost() -> u64 {
    SINK.lost()
}

/// Writes what has been logged so far.
pub fn flush() {
    SINK.flush();
}
