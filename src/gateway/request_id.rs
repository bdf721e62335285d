//! Request ids: kept when a client sends a good one, made otherwise.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use uuid::Uuid;

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
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut text = *b"0000000000000000-000000000000";
        hex(&mut text[..16], self.process);
        hex(&mut text[17..], count);
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("none"))
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
        let made = [one.make(), one.make(), two.make()];
        assert!(made.iter().all(|id| is_plain(id.as_bytes())));
        assert!(made[0] != made[1] && made[0] != made[2]);
    }
}
