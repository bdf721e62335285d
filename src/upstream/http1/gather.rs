//! [`Gather`]: bytes on their way out of an HTTP/1 connection, whoever is at the other end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// A buffer that has grown larger than this is not kept.
const KEPT: usize = 16 * 1024;

/// What is to be written, in this order: text that was made for it, part of a body where it was read to (no copy), and what
/// follows it. It goes out in one system call, where the other end takes as much.
#[derive(Debug, Default)]
pub struct Gather {
    text: Vec<u8>,
    /// How much of the text is written.
    at: usize,
    data: Bytes,
    tail: &'static [u8],
    unflushed: bool,
}

impl Gather {
    /// Where text is added. What is added after [`Gather::put`] goes out before what was put.
    pub const fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// How much text waits.
    #[must_use]
    pub const fn text_len(&self) -> usize {
        self.text.len() - self.at
    }

    /// Adds data and what follows it; there is room for one such pair.
    pub fn put(&mut self, data: Bytes, tail: &'static [u8]) {
        (self.data, self.tail) = (data, tail);
    }

    /// Whether nothing is put.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.data.is_empty() && self.tail.is_empty()
    }

    /// What follows what is put, instead.
    pub const fn set_tail(&mut self, tail: &'static [u8]) {
        self.tail = tail;
    }

    /// Whether all has been written.
    #[must_use]
    pub const fn is_written(&self) -> bool {
        self.text_len() == 0 && self.has_room()
    }

    /// Whether all has been written, and nothing waits on the way.
    #[must_use]
    pub const fn is_out(&self) -> bool {
        self.is_written() && !self.unflushed
    }

    /// Forgets what is left, and gives all memory back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes all that there is.
    pub fn poll_write<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_written() {
            let text = self.text.get(self.at..).unwrap_or_default();
            let written = if self.has_room() {
                ready!(Pin::new(&mut *stream).poll_write(cx, text))?
            } else {
                let slices = [IoSlice::new(text), IoSlice::new(&self.data), IoSlice::new(self.tail)];
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Sees what was written on its way.
    pub fn poll_flush<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        let of_text = written.min(self.text_len());
        self.at += of_text;
        written -= of_text;
        if self.at == self.text.len() {
            self.text.clear();
            self.text.shrink_to(KEPT);
            self.at = 0;
        }
        let of_data = written.min(self.data.len());
        self.data.advance(of_data);
        if self.data.is_empty() {
            // Whatever it is part of is let go of.
            self.data = Bytes::new();
        }
        self.tail = &self.tail[written - of_data..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::future::poll_fn;
    use tokio::io::AsyncReadExt;

    proptest! {
        /// However little the other end takes at a time, it gets all, in order.
        #[test]
        fn all_goes_out_in_order(room in 1usize..40, text in "[a-z]{0,60}", data in "[A-Z]{0,60}", more in "[0-9]{0,20}") {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let wanted = format!("{text}{data}<tail>{more}");
            let seen = runtime.block_on(async {
                let (mut client, mut server) = tokio::io::duplex(room);
                let writing = async move {
                    let mut out = Gather::default();
                    out.text().extend_from_slice(text.as_bytes());
                    out.put(Bytes::from(data), b"<tail>");
                    poll_fn(|cx| out.poll_write(&mut server, cx)).await.unwrap();
                    out.text().extend_from_slice(more.as_bytes());
                    poll_fn(|cx| out.poll_write(&mut server, cx)).await.unwrap();
                    assert!(out.is_written() && !out.is_out());
                    poll_fn(|cx| out.poll_flush(&mut server, cx)).await.unwrap();
                    assert!(out.is_out());
                };
                let mut seen = String::new();
                let ((), read) = tokio::join!(writing, client.read_to_string(&mut seen));
                read.unwrap();
                seen
            });
            prop_assert_eq!(seen, wanted);
        }
    }
}
