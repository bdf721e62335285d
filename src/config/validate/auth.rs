//! `[audit]`, `[passwords]`, `[auth]`, `[identity]` and `[log]`.

use super::{Check, cores, limits, paths};
use crate::config::{raw, typed};
use crate::rules::headers::IdentityHeaders;

pub(super) fn passwords(raw: &raw::Passwords) -> typed::Passwords {
    let concurrency = raw.concurrency.unwrap_or_else(cores);
    let half = concurrency.saturating_add(raw.queue) / 2;
    typed::Passwords {
        bcrypt_cost: raw.bcrypt_cost,
        min_length: raw.min_length,
        concurrency,
        queue: raw.queue,
        queue_per_address: raw.queue_per_address.unwrap_or(half.max(1)),
    }
}

pub(super) fn audit(raw: &raw::Audit) -> typed::Audit {
    typed::Audit {
        store: raw.store,
        log: raw.log,
        retention: raw.retention,
    }
}

pub(super) fn auth(config: &raw::Config, check: &mut Check<'_>) -> Option<typed::Auth> {
    let raw = &config.auth;
    let limits = limits::of_endpoints(&raw.limits, &config.limits, check);
    if !paths::is_plain(&raw.path) {
        check.invalid("auth.path", "auth.path", "not a plain path", &raw.path);
        return None;
    }
    let signup = match raw.signup.as_str() {
        "open" => typed::Signup::Open,
        // Whatever else it could be: the safe one.
        _ => typed::Signup::Closed,
    };
    Some(typed::Auth {
        path: raw.path.clone(),
        signup,
        docs: raw.docs,
        limits: limits?,
        verify: raw.verify,
        cors: super::cors::of_endpoints(&raw.cors, check)?,
        max_requests: raw.max_requests,
    })
}

pub(super) fn identity(raw: &raw::Identity, check: &mut Check<'_>) -> Option<typed::IdentityHeaders> {
    // The room that sets the headers judges the prefix, so that the two never disagree.
    if let Err(error) = IdentityHeaders::new(&raw.prefix) {
        check.invalid("identity.prefix", "identity.prefix", error.to_string(), &raw.prefix);
        return None;
    }
    Some(typed::IdentityHeaders {
        prefix: raw.prefix.to_ascii_lowercase(),
        forward_token: raw.forward_token,
    })
}

pub(super) fn log(raw: &raw::Log, check: &mut Check<'_>) -> Option<typed::Log> {
    let format = match raw.format.as_str() {
        "text" => typed::LogFormat::Text,
        "json" => typed::LogFormat::Json,
        _ => typed::LogFormat::Auto,
    };
    let is_filter = !raw.filter.trim().is_empty() && raw.filter.parse::<tracing_subscriber::EnvFilter>().is_ok();
    if !is_filter {
        check.invalid("log.filter", "log.filter", "not a log filter", &raw.filter);
        return None;
    }
    Some(typed::Log {
        format,
        filter: raw.filter.clone(),
        access: raw.access,
    })
}
