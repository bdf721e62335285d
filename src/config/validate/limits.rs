//! `[limiter]`, `[[limits]]`, and those who name one.

use std::time::Duration;

use super::{Check, redis};
use crate::config::error::Complaint;
use crate::config::{raw, suggest, tree, typed};
use crate::rules::gcra::Quota;

/// The most requests that `rate` may name.
const MOST: u32 = 1_000_000;

pub(super) fn limiter(raw: &raw::Limiter, check: &mut Check<'_>) -> Option<typed::Limiter> {
    let said = redis::Said {
        keys: [
            "limiter.url",
            "limiter.password",
            "limiter.password_file",
            "limiter.ca_file",
            "limiter.prefix",
        ],
        url: raw.url.as_ref(),
        password: raw.password.as_ref(),
        password_file: raw.password_file.as_deref(),
        ca_file: raw.ca_file.as_deref(),
        prefix: &raw.prefix,
    };
    Some(typed::Limiter {
        redis: redis::redis(&said, check).ok()?,
        timeout: raw.timeout,
        capacity: raw.capacity,
        headers: raw.headers,
    })
}

pub(super) fn limits(raw: &[raw::Limit], check: &mut Check<'_>) -> Option<Vec<typed::Limit>> {
    let mut limits: Vec<typed::Limit> = Vec::new();
    for (index, limit) in raw.iter().enumerate() {
        let name = name(index, limit, &raw[..index], check);
        let rate = rate(index, limit, check);
        let by = match limit.by.as_str() {
            "user" => typed::LimitBy::User,
            "all" => typed::LimitBy::Everybody,
            _ => typed::LimitBy::Address,
        };
        if let (Some(name), Some((count, period))) = (name, rate)
            && let Some(quota) = Quota::new(count, period, limit.burst.unwrap_or(count))
        {
            limits.push(typed::Limit { name, quota, by });
        }
    }
    (limits.len() == raw.len()).then_some(limits)
}

fn name(index: usize, limit: &raw::Limit, before: &[raw::Limit], check: &mut Check<'_>) -> Option<String> {
    let key = format!("limits[{index}].name");
    let Some(text) = &limit.name else {
        check.missing(&key, "limits[].name");
        return None;
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if !(1..=32).contains(&text.len()) || !text.bytes().all(plain) {
        check.invalid(&key, "limits[].name", "not a name for a limit", text);
        return None;
    }
    if before.iter().any(|other| other.name.as_ref() == Some(text)) {
        check.invalid(&key, "limits[].name", "another limit has this name", text);
        return None;
    }
    Some(text.clone())
}

fn rate(index: usize, limit: &raw::Limit, check: &mut Check<'_>) -> Option<(u32, Duration)> {
    let key = format!("limits[{index}].rate");
    let Some(text) = &limit.rate else {
        check.missing(&key, "limits[].rate");
        return None;
    };
    let rate = parse_rate(text);
    if rate.is_none() {
        check.invalid(&key, "limits[].rate", "not a rate", text);
    }
    rate
}

/// A number and a unit of time.
pub(super) fn parse_rate(text: &str) -> Option<(u32, Duration)> {
    let (count, unit) = text.split_once('/')?;
    let plain = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let count = count.parse().ok().filter(|count| plain && (1..=MOST).contains(count))?;
    let period = match unit {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        "d" => Duration::from_hours(24),
        _ => return None,
    };
    Some((count, period))
}

/// The limits that `key` names.
pub(super) fn named(names: &[String], key: &str, limits: &[raw::Limit], check: &mut Check<'_>) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let key = format!("{key}[{index}]");
        match limits.iter().position(|limit| limit.name.as_ref() == Some(name)) {
            Some(limit) if found.contains(&limit) => {
                let complaint = Complaint::new("the same limit twice")
                    .found(tree::quote(name))
                    .allowed("each once");
                check.wrong(&key, complaint);
            }
            Some(limit) => found.push(limit),
            None => check.wrong(&key, unknown(name, limits)),
        }
    }
    (found.len() == names.len()).then_some(found)
}

fn unknown(name: &str, limits: &[raw::Limit]) -> Complaint {
    let known: Vec<&str> = limits.iter().filter_map(|limit| limit.name.as_deref()).collect();
    let allowed = match known.as_slice() {
        [] => "the `name` of one of the [[limits]], of which there is none".to_owned(),
        known => format!("the name of a limit: {}", known.join(", ")),
    };
    Complaint::new("no limit of this name")
        .found(tree::quote(name))
        .allowed(allowed)
        .suggest(suggest::nearest(name, known.iter().copied()).map(tree::quote))
}

/// The limits of the endpoints that we own.
pub(super) fn of_endpoints(names: &[String], limits: &[raw::Limit], check: &mut Check<'_>) -> Option<Vec<usize>> {
    let found = named(names, "auth.limits", limits, check)?;
    let is_by_user = |index: &usize| limits.get(*index).is_some_and(|limit| limit.by == "user");
    if let Some(at) = found.iter().position(is_by_user) {
        let complaint = Complaint::new("a limit by user, where nobody has logged in yet")
            .found(tree::quote(&names[at]))
            .allowed("limits by \"ip\" or \"all\"");
        check.wrong(&format!("auth.limits[{at}]"), complaint);
        return None;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_unit() {
        assert_eq!(parse_rate("100/s"), Some((100, Duration::from_secs(1))));
        assert_eq!(parse_rate("1/m"), Some((1, Duration::from_secs(60))));
        assert_eq!(parse_rate("1000000/d"), Some((MOST, Duration::from_secs(86_400))));
        for bad in [
            "",
            "1",
            "1/",
            "/s",
            "0/s",
            "+1/s",
            "-1/s",
            "1/S",
            "1/ms",
            "1.5/s",
            "1 /s",
            "1000001/s",
            "1/s/s",
            "99999999999/h",
        ] {
            assert_eq!(parse_rate(bad), None, "{bad:?}");
        }
    }
}
