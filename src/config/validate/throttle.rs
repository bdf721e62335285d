//! `[throttle]`.

use super::limits::parse_rate;
use super::{Check, Reported};
use crate::config::error::Complaint;
use crate::config::{raw, typed, units};
use crate::rules::gcra::Quota;
use crate::rules::throttle::Delays;

/// The word for no limit at all.
const OFF: &str = "off";

pub(super) fn throttle(raw: &raw::Throttle, check: &mut Check<'_>) -> Option<typed::Throttle> {
    let delays = delays(raw, check);
    let mut rate = |key, text: &str| rate(key, text, check);
    let rates = [
        rate("throttle.per_account", &raw.per_account),
        rate("throttle.per_address", &raw.per_address),
        rate("throttle.per_network", &raw.per_network),
        rate("throttle.signups_per_address", &raw.signups_per_address),
        rate("throttle.signups_per_network", &raw.signups_per_network),
        rate("throttle.refreshes_per_session", &raw.refreshes_per_session),
        rate("throttle.bad_refreshes_per_address", &raw.bad_refreshes_per_address),
        rate("throttle.bad_secrets_per_client", &raw.bad_secrets_per_client),
    ];
    let [
        per_account,
        per_address,
        per_network,
        signups_per_address,
        signups_per_network,
        refreshes_per_session,
        bad_refreshes_per_address,
        bad_secrets_per_client,
    ] = rates;
    Some(typed::Throttle {
        delays: delays.ok()?,
        known_for: raw.known_for,
        per_account: per_account.ok()?,
        per_address: per_address.ok()?,
        per_network: per_network.ok()?,
        signups_per_address: signups_per_address.ok()?,
        signups_per_network: signups_per_network.ok()?,
        refreshes_per_session: refreshes_per_session.ok()?,
        bad_refreshes_per_address: bad_refreshes_per_address.ok()?,
        bad_secrets_per_client: bad_secrets_per_client.ok()?,
        capacity: raw.capacity,
    })
}

/// The delays; `None` where they are off.
fn delays(raw: &raw::Throttle, check: &mut Check<'_>) -> Result<Option<Delays>, Reported> {
    if raw.max_delay.is_zero() {
        return Ok(None);
    }
    let mut valid = true;
    for (key, value, other, least) in [
        (
            "throttle.max_delay",
            raw.max_delay,
            "throttle.first_delay",
            raw.first_delay,
        ),
        (
            "throttle.forget_after",
            raw.forget_after,
            "throttle.max_delay",
            raw.max_delay,
        ),
    ] {
        if value < least {
            let complaint = Complaint::new(format!("too short for {other}"))
                .found(units::show_duration(value))
                .allowed(format!("at least {}", units::show_duration(least)));
            check.conflict(key, other, complaint);
            valid = false;
        }
    }
    if !valid {
        return Err(Reported);
    }
    Ok(Some(Delays {
        free: raw.free_failures,
        first: raw.first_delay,
        most: raw.max_delay,
        forget: raw.forget_after,
    }))
}

/// A rate; `None` where it is off.
fn rate(key: &'static str, text: &str, check: &mut Check<'_>) -> Result<Option<Quota>, Reported> {
    if text == OFF {
        return Ok(None);
    }
    let quota = parse_rate(text).and_then(|(count, period)| Quota::new(count, period, count));
    if quota.is_none() {
        check.invalid(key, key, "not a rate", text);
    }
    quota.map(Some).ok_or(Reported)
}
