//! [`Incoming`]: the body of a client's request, on whatever connection it comes.
//!
//! Of HTTP/1 it is fed by whoever reads the connection, a part at a time and only when the last one was taken: what a client
//! sends faster than its upstream takes it stays in the kernel.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming as Http2;

/// The body of a request.
///
/// Its error is of the kind [`io::ErrorKind::TimedOut`] where the client has stopped sending it, and of another where it broke
/// off or is not framed as HTTP asks.
#[derive(Debug)]
pub struct Incoming(Source);

#[derive(Debug)]
enum Source {
    Empty,
    Fed(Reader),
    Http2(Http2),
}

/// Where a body of HTTP/1 is put as it comes.
#[derive(Debug)]
pub struct Feed(Arc<Pipe>);

/// The end of a pipe where a body is read.
#[derive(Debug)]
struct Reader(Arc<Pipe>);

#[derive(Debug)]
struct Pipe(Mutex<State>);

#[derive(Debug)]
struct State {
    /// What has come and was not taken.
    frame: Option<Frame<Bytes>>,
    failure: Option<io::Error>,
    /// How many bytes have not been taken, where that is known.
    left: Option<u64>,
    /// Whether nothing will come any more.
    ended: bool,
    /// Whether somebody waits for the next part.
    wanted: bool,
    /// Whether nobody will ask for it.
    gone: bool,
    reader: Option<Waker>,
    feeder: Option<Waker>,
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whole at any moment: a thread that panicked has left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Incoming {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Source::Empty)
    }

    /// A body of HTTP/1 of so many bytes (at least one), or in chunks.
    #[must_use]
    pub fn fed(length: Option<u64>) -> (Feed, Self) {
        let pipe = Arc::new(Pipe(Mutex::new(State {
            frame: None,
            failure: None,
            left: length,
            ended: false,
            wanted: false,
            gone: false,
            reader: None,
            feeder: None,
        })));
        (Feed(Arc::clone(&pipe)), Self(Source::Fed(Reader(pipe))))
    }

    /// A body that comes on a stream of HTTP/2.
    #[must_use]
    pub fn http2(body: Http2) -> Self {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self(Source::Http2(body))
    }
}

/// What whoever feeds a body is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appetite {
    /// Bring the next part: somebody waits for it.
    Hungry,
    /// Wait: the task is woken when somebody asks.
    Full,
    /// Bring nothing any more: nobody will ask.
    Gone,
}

impl Feed {
    /// Whether the next part is wanted.
    #[must_use]
    pub fn poll_wanted(&self, cx: &Context<'_>) -> Appetite {
        let mut state = self.0.state();
        if state.gone || state.ended {
            return Appetite::Gone;
        }
        if state.wanted && state.frame.is_none() {
            return Appetite::Hungry;
        }
        match &mut state.feeder {
            Some(feeder) => feeder.clone_from(cx.waker()),
            None => state.feeder = Some(cx.waker().clone()),
        }
        Appetite::Full
    }

    /// Brings a part; `ended` says that it is the last. Whoever waits for it is woken, unless that is the task that brings it.
    pub fn put(&self, frame: Option<Frame<Bytes>>, ended: bool, cx: &Context<'_>) {
        let mut state = self.0.state();
        state.frame = frame;
        state.ended |= ended;
        state.wake_reader(cx);
    }

    /// Nothing more comes, for this reason. Whoever waits for it is woken, unless that is the task that says so.
    pub fn fail(&self, error: io::Error, cx: &Context<'_>) {
        let mut state = self.0.state();
        state.failure = Some(error);
        state.ended = true;
        state.wake_reader(cx);
    }
}

impl State {
    fn wake_reader(&mut self, cx: &Context<'_>) {
        self.wanted = false;
        if let Some(reader) = self.reader.take_if(|reader| !reader.will_wake(cx.waker())) {
            reader.wake();
        }
    }

    fn poll_frame(&mut self, cx: &Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(frame) = self.frame.take() {
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.left = self.left.map(|left| left.saturating_sub(length));
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(error) = self.failure.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        self.wanted = true;
        self.reader = Some(cx.waker().clone());
        // Whoever feeds in the task that asks looks again by itself.
        if let Some(feeder) = self.feeder.take_if(|feeder| !feeder.will_wake(cx.waker())) {
            feeder.wake();
        }
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.gone = true;
        state.frame = None;
        if let Some(feeder) = state.feeder.take() {
            feeder.wake();
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.get_mut().0 {
            Source::Empty => Poll::Ready(None),
            Source::Fed(reader) => reader.0.state().poll_frame(cx),
            Source::Http2(body) => Pin::new(body).poll_frame(cx).map_err(io::Error::other),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Empty => true,
            Source::Fed(reader) => {
                let state = reader.0.state();
                state.left == Some(0) || (state.ended && state.frame.is_none() && state.failure.is_none())
            }
            Source::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Empty => SizeHint::with_exact(0),
            Source::Fed(reader) => reader.0.state().left.map_or_else(SizeHint::new, SizeHint::with_exact),
            Source::Http2(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    async fn next(body: &mut Incoming) -> Option<io::Result<Bytes>> {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test]
    async fn a_part_is_wanted_once_somebody_waits_for_it_and_not_before() {
        let (feed, mut body) = Incoming::fed(Some(4));
        assert_eq!(body.size_hint().exact(), Some(4));
        let appetite = || poll_fn(|cx| Poll::Ready(feed.poll_wanted(cx)));
        assert_eq!(appetite().await, Appetite::Full);
        let feeder = async {
            poll_fn(|cx| match feed.poll_wanted(cx) {
                Appetite::Hungry => Poll::Ready(()),
                Appetite::Full | Appetite::Gone => Poll::Pending,
            })
            .await;
            poll_fn(|cx| {
                feed.put(Some(Frame::data(Bytes::from_static(b"abcd"))), true, cx);
                Poll::Ready(())
            })
            .await;
        };
        let reading = tokio::spawn(async move {
            let part = next(&mut body).await;
            (body, part)
        });
        feeder.await;
        let (mut body, part) = reading.await.unwrap();
        assert_eq!(part.unwrap().unwrap(), "abcd");
        assert!(body.is_end_stream());
        assert!(next(&mut body).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_in_another_task_wakes_the_feeder() {
        let (feed, mut body) = Incoming::fed(None);
        let feeding = tokio::spawn(async move {
            poll_fn(|cx| match feed.poll_wanted(cx) {
                Appetite::Hungry => Poll::Ready(()),
                Appetite::Full | Appetite::Gone => Poll::Pending,
            })
            .await;
            poll_fn(|cx| {
                feed.fail(io::ErrorKind::TimedOut.into(), cx);
                Poll::Ready(())
            })
            .await;
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(
            next(&mut body).await.unwrap().unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
        feeding.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_wants_any_more_is_not_waited_for() {
        let (feed, body) = Incoming::fed(None);
        let feeding = tokio::spawn(async move {
            poll_fn(|cx| match feed.poll_wanted(cx) {
                Appetite::Gone => Poll::Ready(()),
                Appetite::Hungry | Appetite::Full => Poll::Pending,
            })
            .await;
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(body);
        feeding.await.unwrap();
    }
}
