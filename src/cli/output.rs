//! [`UntilClosed`]: standard output, whose reader may stop reading: `doorward users list | head -1`.
//!
//! That is no failure, and it is no success either: a command goes on to its end, and how that went is what it exits with.

use std::io::{self, ErrorKind, Write};

/// Writes until nobody reads any more, and then discards.
pub(super) struct UntilClosed<W> {
    to: W,
    closed: bool,
}

impl<W: Write> UntilClosed<W> {
    pub(super) const fn new(to: W) -> Self {
        Self { to, closed: false }
    }
}

impl<W: Write> Write for UntilClosed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        match self.to.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(bytes.len())
            }
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.to.flush() {
            Err(error) if self.closed || error.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails each write in this way.
    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_stops_reading_is_no_failure_and_a_full_disk_is_one() {
        let mut closed = UntilClosed::new(Failing(ErrorKind::BrokenPipe));
        assert!(writeln!(closed, "a").and_then(|()| writeln!(closed, "b")).is_ok());
        assert!(closed.flush().is_ok());
        let mut full = UntilClosed::new(Failing(ErrorKind::StorageFull));
        assert!(writeln!(full, "a").is_err());
        assert!(full.flush().is_err());
    }
}
