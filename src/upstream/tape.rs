//! [`Tape`]: the beginning of a request's body, kept while it is sent so that it can be sent again. It holds what arrived, as
//! it arrived, and no copy; a body that is longer than the tape is no longer kept at all.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::{BodyFailure, RequestBody};
#[cfg(test)]
use crate::rules::headers::IdentityHeaders;

/// The beginning of a body, and the rest of it.
#[derive(Debug)]
pub struct Tape(Mutex<State>);

#[derive(Debug)]
struct State {
    body: Box<RequestBody>,
    frames: Vec<Kept>,
    /// How many frames have been read from the body, whether they are kept or not.
    read: usize,
    /// How many bytes more there is room for; `None` once there were too many.
    room: Option<u64>,
    /// How the body failed, which each reader is told.
    failure: Option<BodyFailure>,
}

#[derive(Clone, Debug)]
enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// Reads a tape from its beginning.
#[derive(Debug)]
pub(super) struct Reader {
    tape: Arc<Tape>,
    /// How many frames it has read.
    at: usize,
}

impl Tape {
    pub(super) fn new(body: RequestBody, limit: u64) -> Self {
        Self(Mutex::new(State {
            body: Box::new(body),
            frames: Vec::new(),
            read: 0,
            room: Some(limit),
            failure: None,
        }))
    }

    /// Whether all that has been read is kept.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let state = self.lock();
        state.room.is_some() && state.failure.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl RequestBody {
    /// A body that comes in these parts.
    pub(super) fn of_parts(parts: [Bytes; 2], identity: &Arc<IdentityHeaders>) -> Self {
        let tape = Arc::new(Tape(Mutex::new(State {
            body: Box::new(Self::empty(Arc::clone(identity))),
            read: parts.len(),
            frames: parts.into_iter().map(Kept::Data).collect(),
            room: Some(0),
            failure: None,
        })));
        Self::replay(&tape, identity)
    }
}

impl State {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        self.read += 1;
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.room = self.room.and_then(|room| room.checked_sub(length));
        if self.room.is_none() {
            self.frames = Vec::new();
        } else if let Some(data) = frame.data_ref() {
            self.frames.push(Kept::Data(data.clone()));
        } else if let Some(trailers) = frame.trailers_ref() {
            self.frames.push(Kept::Trailers(trailers.clone()));
        }
    }
}

impl Reader {
    pub(super) fn new(tape: &Arc<Tape>) -> Self {
        Self {
            tape: Arc::clone(tape),
            at: 0,
        }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let mut state = self.tape.lock();
        let frame = if self.at < state.read {
            match state.frames.get(self.at).cloned() {
                Some(Kept::Data(data)) => Frame::data(data),
                Some(Kept::Trailers(trailers)) => Frame::trailers(trailers),
                // Another reader went on to where the tape ends, so that what this one asks for is gone.
                None => return Poll::Ready(Some(Err(BodyFailure::Broken))),
            }
        } else if let Some(failure) = state.failure {
            return Poll::Ready(Some(Err(failure)));
        } else {
            match Pin::new(state.body.as_mut()).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    state.keep(&frame);
                    frame
                }
                Poll::Ready(Some(Err(failure))) => {
                    state.failure = Some(failure);
                    return Poll::Ready(Some(Err(failure)));
                }
                other @ (Poll::Ready(None) | Poll::Pending) => return other,
            }
        };
        self.at += 1;
        Poll::Ready(Some(Ok(frame)))
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let state = self.tape.lock();
        self.at >= state.read && state.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let state = self.tape.lock();
        let kept = state.frames.get(self.at..).unwrap_or_default().iter();
        let kept: u64 = kept
            .map(|frame| match frame {
                Kept::Data(data) => data.len() as u64,
                Kept::Trailers(_) => 0,
            })
            .sum();
        let rest = state.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + kept);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(kept));
        }
        hint
    }
}
