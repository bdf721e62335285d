//! [`Told`]: what upstreams are told of an identity, written out once.

use std::fmt;
use std::sync::OnceLock;

use http::HeaderValue;

/// How many headers tell of an identity.
pub const TELLING: usize = 6;

/// The values of the headers that tell of an identity, from the first time on that they were needed: an identity is told of
/// with each request of its token. A copy of an identity, which may be changed, begins without them.
#[derive(Default)]
pub struct Told(OnceLock<Box<[Option<HeaderValue>; TELLING]>>);

impl Told {
    /// The values, made by `make` if they never were. Always to be made in the same way.
    pub fn values(&self, make: impl FnOnce() -> [Option<HeaderValue>; TELLING]) -> &[Option<HeaderValue>; TELLING] {
        self.0.get_or_init(|| Box::new(make()))
    }
}

impl Clone for Told {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// It is no part of who somebody is.
impl PartialEq for Told {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}
