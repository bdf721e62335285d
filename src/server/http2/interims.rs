//! [`Interims`]: interim answers (1xx) on their way to a client of HTTP/2, from whoever hears them of an upstream to the guard,
//! which writes them between two frames of hyper's.
//!
//! A HEADERS frame whose fields are literals that are not indexed leaves the tables of HPACK as they are (RFC 7541, section
//! 6.2.2), so that it can come from another hand than hyper's. Two things must be known for certain, or nothing is passed. Which
//! stream a request came on, which hyper does not say: it hands requests out in the order of their streams, so when the service
//! was called as often as streams were opened, each call is known by its place. And that hyper's next header block need not begin
//! with a smaller table: the client never asked for one.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use http::{HeaderMap, StatusCode};

use super::frames::{flag, kind};
use crate::upstream::InterimClient;

/// The most interim answers to one request that are passed on.
const MOST: u32 = 16;
/// The longest header block: what every client takes in one frame (RFC 9113, section 4.2).
const BLOCK: usize = 16_384;
/// The most bytes that wait to be written, on the whole connection.
const BYTES: usize = 256 * 1024;
/// The most streams that may wait for hyper to hand their requests out. More are one of them that it never will.
const OPENED: usize = 4096;

/// The interim answers of one connection.
#[derive(Debug, Default)]
pub(super) struct Interims {
    /// Whether any wait to be written: all that is looked at where there are none.
    wait: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Streams that were opened, and with which the service was not called yet.
    opened: VecDeque<u32>,
    /// Streams whose requests have no answer yet, and how many interim ones they had.
    asking: HashMap<u32, u32>,
    /// Whether none can be passed on this connection any more.
    off: bool,
    /// Frames that wait to be written, and their streams.
    frames: VecDeque<(u32, Vec<u8>)>,
    bytes: usize,
    /// Who writes.
    task: Option<Waker>,
}

impl Interims {
    /// Notes which streams the client has opened, in order, before hyper knows of them.
    pub(super) fn opened(&self, streams: impl Iterator<Item = u32>) {
        let mut state = self.state();
        if state.off {
            return;
        }
        state.opened.extend(streams);
        if state.opened.len() > OPENED {
            state.stop();
        }
    }

    /// Passes none from now on.
    pub(super) fn stop(&self) {
        self.state().stop();
    }

    /// Notes that the service is called, and says with which stream: likely, and for certain once nothing is left that was opened.
    pub(super) fn begin(&self) -> u32 {
        let mut state = self.state();
        let stream = state.opened.pop_front().unwrap_or_default();
        if !state.off {
            state.asking.insert(stream, 0);
        }
        stream
    }

    /// Notes that the service has an answer to the request on this stream, which hyper does not have yet, or needs none.
    pub(super) fn settle(&self, stream: u32) {
        let mut state = self.state();
        if state.asking.remove(&stream).is_some_and(|count| count > 0) {
            state.frames.retain(|(of, _)| *of != stream);
            state.bytes = state.frames.iter().map(|(_, frame)| frame.len()).sum();
        }
    }

    /// Whether any wait to be written.
    pub(super) fn wait(&self) -> bool {
        self.wait.load(Ordering::Acquire)
    }

    /// What is to be written now. What is of a stream that is not known for certain stays until it is, or is answered.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut state = self.state();
        if !state.opened.is_empty() {
            return Vec::new();
        }
        self.wait.store(false, Ordering::Release);
        state.bytes = 0;
        state.frames.drain(..).flat_map(|(_, frame)| frame).collect()
    }

    /// Says who is to be woken when there is something to write.
    pub(super) fn written_by(&self, task: Waker) {
        self.state().task = Some(task);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stop(&mut self) {
        self.off = true;
        self.opened = VecDeque::new();
        self.asking = HashMap::new();
        self.frames = VecDeque::new();
        self.bytes = 0;
    }
}

impl InterimClient for Interims {
    fn interim(&self, stream: u64, status: StatusCode, headers: &HeaderMap) {
        let Ok(stream) = u32::try_from(stream) else { return };
        let mut state = self.state();
        let Some(count) = state.asking.get(&stream).filter(|count| **count < MOST) else {
            return;
        };
        let count = count + 1;
        let Some(frame) = encode(stream, status, headers).filter(|frame| frame.len() <= BYTES - state.bytes) else {
            return;
        };
        state.asking.insert(stream, count);
        state.bytes += frame.len();
        state.frames.push_back((stream, frame));
        self.wait.store(true, Ordering::Release);
        let task = state.task.clone();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// A HEADERS frame that does not end its stream (RFC 9113, section 8.1), unless its block were too long.
fn encode(stream: u32, status: StatusCode, headers: &HeaderMap) -> Option<Vec<u8>> {
    /// A literal field that is not indexed, with the name that the static table begins to have at this place.
    const STATUS: u8 = 8;
    /// A literal field that is not indexed, with a name of its own.
    const FIELD: u8 = 0;
    let lines = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 9);
    let mut block = Vec::with_capacity(BLOCK.min(16 + lines.sum::<usize>()));
    block.push(STATUS);
    string(status.as_str().as_bytes(), &mut block);
    for (name, value) in headers {
        block.push(FIELD);
        string(name.as_str().as_bytes(), &mut block);
        string(value.as_bytes(), &mut block);
        if block.len() > BLOCK {
            return None;
        }
    }
    let [_, _, _, _, _, length @ ..] = (block.len() as u64).to_be_bytes();
    let head = [&length[..], &[kind::HEADERS, flag::END_HEADERS], &stream.to_be_bytes()];
    Some([&head.concat(), &block[..]].concat())
}

/// A string as it is, without the code of Huffman (RFC 7541, sections 5.1 and 5.2).
fn string(bytes: &[u8], out: &mut Vec<u8>) {
    const PREFIX: usize = 0x7f;
    let mut left = bytes.len();
    if left < PREFIX {
        out.push(low(left));
    } else {
        out.push(low(PREFIX));
        left -= PREFIX;
        while left >= 0x80 {
            out.push(low(left) | 0x80);
            left >>= 7;
        }
        out.push(low(left));
    }
    out.extend_from_slice(bytes);
}

/// The last seven bits.
fn low(number: usize) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or_default()
}

#[cfg(test)]
mod tests;
