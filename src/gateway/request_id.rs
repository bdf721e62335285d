//! Request ids: kept when a client sends a good one, made otherwise.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use uuid::Uuid;

/// How long an id is.
const LENGTH: usize = 29;
/// So many are made at once, in one piece of memory, which is kept for as long as one of them is.
const AT_ONCE: u64 = 32;

thread_local! {
    /// Ids that were made and not used yet, and whose they are.
    static MADE: RefCell<(u64, Bytes)> = const { RefCell::new((0, Bytes::new())) };
}

/// Makes ids that are unique across gateways: 64 random bits of this process and a count.
#[derive(Debug)]
pub(super) struct RequestIds {
    process: u64,
    count: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        Self {
            process: Uuid::new_v4().as_u64_pair().0,
            count: AtomicU64::new(0),
        }
    }

    /// The client's id, if it is 1 to 128 characters that can't upset a log or a header; a new one otherwise.
    pub(super) fn keep_or_make(&self, sent: Option<&HeaderValue>) -> HeaderValue {
        match sent {
            Some(sent) if is_plain(sent.as_bytes()) => sent.clone(),
            _ => self.make(),
        }
    }

    fn make(&self) -> HeaderValue {
        let next = |made: &mut (u64, Bytes)| {
            if made.0 != self.process || made.1.is_empty() {
                *made = (self.process, self.make_many());
            }
            made.1.split_to(LENGTH)
        };
        // A thread that is ending keeps none.
        let id = MADE.try_with(|made| next(&mut made.borrow_mut()));
        let id = id.unwrap_or_else(|_| next(&mut (self.process, Bytes::new())));
        HeaderValue::from_maybe_shared(id).unwrap_or(HeaderValue::from_static("none"))
    }

    fn make_many(&self) -> Bytes {
        let first = self.count.fetch_add(AT_ONCE, Ordering::Relaxed);
        let mut ids = BytesMut::new();
        for count in first..first + AT_ONCE {
            let mut text = *b"0000000000000000-000000000000";
            hex(&mut text[..16], self.process);
            hex(&mut text[17..], count);
            ids.extend_from_slice(&text);
        }
        ids.freeze()
    }
}

fn hex(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

fn is_plain(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_plain_id_is_kept_and_any_other_is_replaced() {
        let ids = RequestIds::new();
        let kept = HeaderValue::from_static("9f86d081-884c_7d65.A:1");
        assert_eq!(ids.keep_or_make(Some(&kept)), kept);
        for bad in [String::new(), "a b".into(), "a\"b".into(), "x".repeat(129)] {
            let made = ids.keep_or_make(Some(&HeaderValue::from_str(&bad).unwrap()));
            assert_ne!(made.to_str().unwrap(), bad);
        }
    }

    #[test]
    fn made_ids_differ_within_and_between_gateways() {
        let (one, two) = (RequestIds::new(), RequestIds::new());
        let mut made: Vec<_> = (0..100).flat_map(|_| [one.make(), one.make(), two.make()]).collect();
        std::thread::scope(|scope| {
            let others = scope.spawn(|| (0..100).map(|_| one.make()).collect::<Vec<_>>());
            made.extend(others.join().unwrap());
        });
        assert!(made.iter().all(|id| is_plain(id.as_bytes()) && id.len() == LENGTH));
        let different: HashSet<_> = made.iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(different.len(), made.len());
    }
}
