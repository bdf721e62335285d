//! [`Interims`]: interim answers (1xx) on their way to a client of HTTP/1.1, from whoever hears them of an upstream to whoever
//! writes to the client, who writes those to a request after all answers before and before its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, StatusCode};

use crate::upstream::{InterimClient, write_header_line};

/// The most interim answers to one request that are passed on.
const MOST: u32 = 16;
/// The most bytes of them.
const BYTES: usize = 64 * 1024;

/// Interim answers that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Interims {
    /// The number of the request that waits for its answer; 0: none does.
    asking: AtomicU64,
    /// Whether there are any: all that is looked at where there are none.
    wait: AtomicBool,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// The number of the request that they are for.
    request: u64,
    /// How many there have been for it.
    count: u32,
    /// How many bytes.
    bytes: usize,
    /// Those that are to be written.
    heads: BytesMut,
    /// Who writes.
    task: Option<Waker>,
}

impl Interims {
    /// Notes that the request of this number, counting from one, waits for its answer.
    pub(super) fn ask(&self, request: u64) {
        self.asking.store(request, Ordering::Release);
    }

    /// What is to be written before the answer to the request that waits for it, which there is now.
    pub(super) fn settle(&self) -> BytesMut {
        let request = self.asking.swap(0, Ordering::AcqRel);
        if self.wait() {
            self.take(request)
        } else {
            BytesMut::new()
        }
    }

    /// What is to be written now.
    pub(super) fn hear(&self) -> BytesMut {
        self.take(self.asking.load(Ordering::Acquire))
    }

    /// Takes an interim answer to the request of this number, unless there were enough.
    fn push(&self, request: u64, status: StatusCode, headers: &HeaderMap) {
        let mut queue = self.queue();
        if queue.request != request {
            (queue.request, queue.count, queue.bytes) = (request, 0, 0);
            queue.heads.clear();
        }
        let size = size(headers);
        if queue.count == MOST || size > BYTES - queue.bytes {
            return;
        }
        queue.count += 1;
        queue.bytes += size;
        encode(status, headers, &mut queue.heads);
        self.wait.store(true, Ordering::Release);
        let task = queue.task.clone();
        drop(queue);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Whether any wait to be written.
    pub(super) fn wait(&self) -> bool {
        self.wait.load(Ordering::Acquire)
    }

    /// What is to be written, if that is for the request of this number; what is not, is forgotten.
    fn take(&self, request: u64) -> BytesMut {
        let mut queue = self.queue();
        self.wait.store(false, Ordering::Release);
        let heads = std::mem::take(&mut queue.heads);
        if request == queue.request {
            heads
        } else {
            BytesMut::new()
        }
    }

    /// Says who is to be woken when there is something to write.
    pub(super) fn written_by(&self, task: Waker) {
        self.queue().task = Some(task);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InterimClient for Interims {
    fn interim(&self, request: u64, status: StatusCode, headers: &HeaderMap) {
        if self.asking.load(Ordering::Acquire) == request {
            self.push(request, status, headers);
        }
    }
}

/// More bytes than the head takes, but not many.
fn size(headers: &HeaderMap) -> usize {
    let lines = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    64 + lines.sum::<usize>()
}

/// Writes an interim answer as HTTP/1.1 has it (RFC 9112, section 4).
fn encode(status: StatusCode, headers: &HeaderMap, out: &mut BytesMut) {
    out.reserve(size(headers));
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
    for (name, value) in headers {
        write_header_line(name, value, out);
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn link() -> HeaderMap {
        [(http::header::LINK, HeaderValue::from_static("</a>; rel=preload"))]
            .into_iter()
            .collect()
    }

    #[test]
    fn so_many_are_kept_for_one_request_and_as_many_again_for_the_next() {
        let interims = Interims::default();
        for request in [1, 2] {
            for _ in 0..5000 {
                interims.push(request, StatusCode::EARLY_HINTS, &link());
            }
            let heads = interims.take(request);
            let heads = std::str::from_utf8(&heads).unwrap();
            assert_eq!(heads.matches("HTTP/1.1 103 Early Hints\r\n").count(), 16);
            interims.push(request, StatusCode::EARLY_HINTS, &link());
            assert_eq!(interims.take(request), "", "taken ones count");
        }
    }

    #[test]
    fn no_more_bytes_are_kept_than_a_head_may_have() {
        let interims = Interims::default();
        let long = HeaderValue::try_from("a".repeat(30 * 1024)).unwrap();
        let long: HeaderMap = [(http::header::LINK, long)].into_iter().collect();
        for _ in 0..10 {
            interims.push(1, StatusCode::EARLY_HINTS, &long);
        }
        assert!((60 * 1024..BYTES).contains(&interims.take(1).len()));
    }

    #[test]
    fn an_interim_answer_never_comes_after_its_own_answer() {
        let interims = Interims::default();
        let hint = |request| interims.interim(request, StatusCode::EARLY_HINTS, &link());
        hint(1);
        assert!(!interims.wait(), "nobody asks");
        interims.ask(1);
        hint(2);
        assert!(!interims.wait(), "somebody else asks");
        hint(1);
        assert_ne!(interims.hear(), "");
        hint(1);
        assert_ne!(interims.settle(), "", "it came together with the answer");
        hint(1);
        assert!(!interims.wait(), "there is an answer");
        interims.ask(2);
        assert_eq!(interims.settle(), "");
    }

    #[test]
    fn what_is_for_a_request_that_has_its_answer_is_forgotten() {
        let interims = Interims::default();
        interims.push(1, StatusCode::EARLY_HINTS, &link());
        assert!(interims.wait());
        assert_eq!(interims.take(2), "");
        assert!(!interims.wait());
        assert_eq!(interims.take(1), "");
    }

    proptest! {
        #[test]
        fn another_parser_reads_what_was_said(
            status in 102u16..200,
            lines in proptest::collection::vec(("[a-z][a-z0-9-]{0,20}", "[!-~][ -~]{0,30}[!-~]"), 0..20),
        ) {
            let status = StatusCode::from_u16(status).unwrap();
            let mut headers = HeaderMap::new();
            for (name, value) in &lines {
                headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            let mut bytes = BytesMut::new();
            encode(status, &headers, &mut bytes);
            prop_assert!(bytes.len() <= size(&headers));
            let mut room = [httparse::EMPTY_HEADER; 20];
            let mut read = httparse::Response::new(&mut room);
            prop_assert_eq!(read.parse(&bytes).unwrap(), httparse::Status::Complete(bytes.len()));
            prop_assert_eq!((read.version, read.code), (Some(1), Some(status.as_u16())));
            let mut again = HeaderMap::new();
            for line in read.headers.iter() {
                again.append(line.name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(line.value).unwrap());
            }
            prop_assert_eq!(again, headers);
        }
    }
}
