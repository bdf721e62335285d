//! Panics: counted, and told of as lines of the log.
//!
//! A panic fails one request, or interrupts what goes on in the background and begins again. That it must not pass unnoticed is
//! this module's part.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{panic, thread};

use super::SINK;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// How many panics there were in this process since [`tell_of_panics`].
#[must_use]
pub fn panics() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// From now on panics are counted, and each is a line of the log: where it was, on which thread and, with
/// `RUST_BACKTRACE=1`, how it came to that. What it says is told only where the program's text has it word for word: what
/// is put together may hold what a client sent. Where nobody takes such a line, what was done about panics before is done.
pub fn tell_of_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // Whoever panics may be writing.
        SINK.try_flush();
        if tracing::event_enabled!(tracing::Level::ERROR) {
            let thread = thread::current();
            let backtrace = Backtrace::capture();
            tracing::error!(
                at = panic.location().map(tracing::field::display),
                thread = thread.name(),
                said = panic.payload().downcast_ref::<&'static str>(),
                backtrace =
                    (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(&backtrace)),
                "a panic"
            );
            // It may be the last that this process does.
            SINK.try_flush();
        } else {
            before(panic);
        }
    }));
}
