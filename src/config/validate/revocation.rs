//! `[revocation]`.

use std::time::Duration;

use super::{Check, redis};
use crate::config::error::Complaint;
use crate::config::{raw, typed, units};

/// Where revocations are kept.
pub(super) fn place(raw: &raw::Revocation, check: &mut Check<'_>) -> Option<typed::Revocations> {
    let said = redis::Said {
        keys: [
            "revocation.url",
            "revocation.password",
            "revocation.password_file",
            "revocation.ca_file",
            "revocation.prefix",
        ],
        url: raw.url.as_ref(),
        password: raw.password.as_ref(),
        password_file: raw.password_file.as_deref(),
        ca_file: raw.ca_file.as_deref(),
        prefix: &raw.prefix,
    };
    let redis = redis::redis(&said, check).ok()?;
    Some(redis.map_or(typed::Revocations::Database, typed::Revocations::Redis))
}

pub(super) fn revocation(
    raw: &raw::Revocation,
    query_timeout: Duration,
    check: &mut Check<'_>,
) -> Option<typed::Revocation> {
    let mut valid = true;
    // A logout may be answered that long after its number was taken, and must not become visible to polls that look no more.
    if raw.url.is_none() && raw.overlap <= query_timeout {
        let complaint = Complaint::new("too short for store.query_timeout")
            .found(units::show_duration(raw.overlap))
            .allowed(format!("longer than {}", units::show_duration(query_timeout)));
        check.conflict("revocation.overlap", "store.query_timeout", complaint);
        valid = false;
    }
    for (key, value, least) in [
        ("revocation.max_staleness", raw.max_staleness, "longer than"),
        ("revocation.full_reread", raw.full_reread, "at least"),
    ] {
        let too_short = match least {
            "at least" => value < raw.poll_interval,
            _ => value <= raw.poll_interval,
        };
        if too_short {
            let complaint = Complaint::new("too short for revocation.poll_interval")
                .found(units::show_duration(value))
                .allowed(format!("{least} {}", units::show_duration(raw.poll_interval)));
            check.conflict(key, "revocation.poll_interval", complaint);
            valid = false;
        }
    }
    let on_stale = match raw.on_stale.as_str() {
        "allow" => typed::OnStale::Allow,
        // Whatever else it could be: the safe one.
        _ => typed::OnStale::Refuse,
    };
    valid.then_some(typed::Revocation {
        poll_interval: raw.poll_interval,
        overlap: raw.overlap,
        full_reread: raw.full_reread,
        max_staleness: raw.max_staleness,
        on_stale,
    })
}
