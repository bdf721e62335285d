//! [`Chain`]: an error with its causes, for a line of the log.

use std::error::Error;
use std::fmt;

/// An error with all its causes, on one line.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("it")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("as")]
    struct Inner(#[source] fmt::Error);

    #[test]
    fn an_error_comes_with_each_of_its_causes() {
        let whole = Chain(&Outer(Inner(fmt::Error))).to_string();
        assert_eq!(whole, format!("it: as: {}", fmt::Error));
    }
}
