//! Where a client stands, in the fields `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Limiter, Standing};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

impl Limiter {
    /// Adds the fields to an answer that was let through, where it should tell.
    pub fn tell(&self, standings: &[Standing], headers: &mut HeaderMap) {
        if self.tells && !standings.is_empty() {
            headers.extend(self.fields(standings));
        }
    }

    /// The fields: for each limit its name, the burst (`q`) and the seconds in which it comes back (`w`); and how many
    /// more requests could pass now (`r`), and the seconds until all of them could again (`t`).
    pub(super) fn fields(&self, standings: &[Standing]) -> HeaderMap {
        let (mut policy, mut standing) = (String::new(), String::new());
        for Standing {
            limit,
            remaining,
            reset,
        } in standings
        {
            let Some(limit) = self.limits.get(*limit) else {
                continue;
            };
            let comma = if policy.is_empty() { "" } else { ", " };
            // Names hold nothing that would have to be escaped, and a String takes all that is written.
            let (name, burst) = (&limit.name, limit.quota.burst());
            let window = seconds(limit.quota.window());
            let _ = write!(policy, "{comma}\"{name}\";q={burst};w={window}");
            let _ = write!(standing, "{comma}\"{name}\";r={remaining};t={}", seconds(*reset));
        }
        let mut fields = HeaderMap::with_capacity(2);
        for (name, text) in [(POLICY, policy), (STANDING, standing)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                fields.insert(name, value);
            }
        }
        fields
    }
}

/// Whole seconds, rounded up: nobody comes too early for it.
fn seconds(duration: std::time::Duration) -> u128 {
    duration.as_millis().div_ceil(1000)
}
