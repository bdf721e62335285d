//! [`Sink`]: gathers lines and writes many at once.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait for others at the most.
pub const DELAY: Duration = Duration::from_millis(50);
/// How much waits at the most, in bytes: beyond it, whoever logs waits until it is written.
const FULL: usize = 1 << 20;
/// With so many bytes waiting, they are written without waiting for more.
const ENOUGH: usize = 128 << 10;
/// What a pipe takes as one, however many write to it (`PIPE_BUF` of Linux): during a takeover, two processes do.
const AS_ONE: usize = 4096;
/// How often what can take no more at the moment is tried again, a millisecond apart, for all that is written at once.
const TRIES: u32 = 1000;

/// Where lines are gathered, and where to.
#[derive(Debug)]
pub struct Sink {
    waiting: Mutex<Waiting>,
    /// Locked before `waiting`, so that what was logged first is written first.
    out: Mutex<Out>,
    wake: Condvar,
    /// How many lines could not be written, or not to their end. Whoever asks does not wait for whoever writes.
    lost: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    lines: Vec<u8>,
    /// Whether a thread writes them.
    behind: bool,
    /// Whether that thread waits for a first line.
    idle: bool,
    /// Whether there is a line that is not to wait for others.
    urgent: bool,
}

struct Out {
    to: Box<dyn Write + Send>,
    /// The most to write at once, in bytes, if not one line is more.
    most: usize,
    /// What is being written; empty between.
    lines: Vec<u8>,
    /// Whether what was written last is the beginning of a line, since its rest could not be.
    torn: bool,
}

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Out").field("most", &self.most).finish_non_exhaustive()
    }
}

impl Sink {
    /// Writes to standard error.
    pub(super) fn to_stderr() -> Self {
        let stderr = io::stderr();
        let is_file = stderr
            .as_fd()
            .try_clone_to_owned()
            .and_then(|fd| File::from(fd).metadata())
            .is_ok_and(|file| file.is_file());
        Self::new(Box::new(stderr), if is_file { FULL } else { AS_ONE })
    }

    fn new(to: Box<dyn Write + Send>, most: usize) -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                lines: Vec::new(),
                behind: false,
                idle: false,
                urgent: false,
            }),
            out: Mutex::new(Out {
                to,
                most,
                lines: Vec::new(),
                torn: false,
            }),
            wake: Condvar::new(),
            lost: AtomicU64::new(0),
        }
    }

    /// How many lines could not be written since the start, or not to their end.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn write_behind(&'static self) -> Result<(), io::Error> {
        let thread = thread::Builder::new().name("doorward-log".to_owned());
        let _detached = thread.spawn(|| self.write_on())?;
        locked(&self.waiting).behind = true;
        Ok(())
    }

    /// Writes what comes, for ever.
    fn write_on(&self) {
        loop {
            let mut waiting = locked(&self.waiting);
            while waiting.lines.is_empty() {
                waiting.idle = true;
                waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            waiting.idle = false;
            let more = |waiting: &mut Waiting| waiting.lines.len() < ENOUGH && !waiting.urgent;
            drop(self.wake.wait_timeout_while(waiting, DELAY, more));
            locked(&self.waiting).urgent = false;
            self.flush();
        }
    }

    /// Takes one line, or several, each with its end.
    pub(super) fn append(&self, line: &[u8], at_once: bool) {
        loop {
            let mut waiting = locked(&self.waiting);
            let before = waiting.lines.len();
            if before == 0 || before + line.len() <= FULL {
                waiting.lines.extend_from_slice(line);
                // Whoever logs never waits for a reader that is slow, while there is room.
                let own = !waiting.behind;
                waiting.urgent |= at_once;
                let enough = before < ENOUGH && waiting.lines.len() >= ENOUGH;
                let wake = !own && (mem::replace(&mut waiting.idle, false) || enough || at_once);
                drop(waiting);
                if own {
                    self.flush();
                } else if wake {
                    self.wake.notify_one();
                }
                return;
            }
            drop(waiting);
            self.flush();
        }
    }

    /// Writes what is waiting.
    pub(super) fn flush(&self) {
        self.write(locked(&self.out));
    }

    /// Writes what is waiting, if nobody is writing.
    pub(super) fn try_flush(&self) {
        match self.out.try_lock() {
            Ok(out) => self.try_write(out),
            Err(TryLockError::Poisoned(out)) => self.try_write(out.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    fn try_write(&self, mut out: MutexGuard<'_, Out>) {
        let Ok(mut waiting) = self.waiting.try_lock() else {
            return;
        };
        mem::swap(&mut waiting.lines, &mut out.lines);
        drop(waiting);
        self.lost.fetch_add(out.write(), Ordering::Relaxed);
    }

    fn write(&self, mut out: MutexGuard<'_, Out>) {
        mem::swap(&mut locked(&self.waiting).lines, &mut out.lines);
        self.lost.fetch_add(out.write(), Ordering::Relaxed);
    }
}

impl Out {
    /// Writes its lines, and gives how many could not be, or not to their end: they are lost.
    fn write(&mut self) -> u64 {
        let lines = mem::take(&mut self.lines);
        let (mut rest, mut tries, mut lost) = (&lines[..], TRIES, 0);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cut(rest, self.most));
            if self.torn && self.all(b"\n", &mut tries) == 1 {
                self.torn = false;
            }
            let written = if self.torn { 0 } else { self.all(now, &mut tries) };
            self.torn |= written > 0 && written < now.len() && now[written - 1] != b'\n';
            lost += memchr::memchr_iter(b'\n', &now[written..]).count();
            rest = later;
        }
        self.lines = lines;
        self.lines.clear();
        // One very long line is no reason to keep as much for ever.
        self.lines.shrink_to(FULL);
        u64::try_from(lost).unwrap_or(u64::MAX)
    }

    /// Writes all of it, and gives how much of it could be.
    fn all(&mut self, bytes: &[u8], tries: &mut u32) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.to.write(&bytes[written..]) {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A pipe that another process has asked not to block.
                Err(error) if error.kind() == ErrorKind::WouldBlock && *tries > 0 => {
                    *tries -= 1;
                    thread::sleep(Duration::from_millis(1));
                }
                Err(_) => break,
            }
        }
        written
    }
}

/// How much to write at once: as many whole lines as `most` allows, or one that is longer.
fn cut(lines: &[u8], most: usize) -> usize {
    if lines.len() <= most {
        return lines.len();
    }
    let whole = memchr::memrchr(b'\n', &lines[..most]).or_else(|| memchr::memchr(b'\n', lines));
    whole.map_or(lines.len(), |end| end + 1)
}

/// Nothing that is done under these locks leaves anything half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lines of `tracing`, each given in one piece.
#[derive(Debug)]
pub struct Lines<'a> {
    sink: &'a Sink,
    at_once: bool,
}

impl Write for Lines<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.sink.append(line, self.at_once);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for &'static Sink {
    type Writer = Lines<'a>;

    fn make_writer(&'a self) -> Lines<'a> {
        Lines {
            sink: self,
            at_once: true,
        }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Lines<'a> {
        Lines {
            sink: self,
            at_once: *meta.level() <= Level::WARN,
        }
    }
}

#[cfg(test)]
mod tests;
