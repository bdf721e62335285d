//! `[upstreams.NAME]`: what keeps an upstream going when servers of it fail.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue};

use super::{Check, Reported};
use crate::config::error::Complaint;
use crate::config::{raw, typed};

/// The largest weight.
const MAX_WEIGHT: u16 = 256;

/// Takes the weight off the end of a server: `http://a:1 weight=3`. Without one it is 1.
pub(super) fn weight(text: &str) -> Result<(&str, u16), &'static str> {
    let Some((address, rest)) = text.split_once(' ') else {
        return Ok((text, 1));
    };
    let digits = rest.trim_start_matches(' ').strip_prefix("weight=");
    let digits = digits.ok_or("only a weight may follow the address, as in \"http://a:1 weight=3\"")?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let weight = digits.parse().ok().filter(|weight| is_number && *weight <= MAX_WEIGHT);
    Ok((address, weight.ok_or("the weight is not a number from 0 to 256")?))
}

/// Reads all of it. `None` only where the report says why.
pub(super) fn resilience(name: &str, raw: &raw::Upstream, check: &mut Check<'_>) -> Option<typed::Resilience> {
    let mut read = Reader { name, check };
    let balance = read.balance(raw);
    let health = read.health(&raw.health);
    let eject = read.eject(&raw.eject);
    let dns = read.dns(&raw.dns);
    let retried = read.statuses("retry.on_status", &raw.retry.on_status);
    Some(typed::Resilience {
        balance: balance?,
        slow_start: raw.slow_start,
        caps: typed::Caps {
            max_requests: raw.max_requests,
            queue: raw.queue,
            queue_timeout: raw.queue_timeout,
            max_connections: raw.max_connections,
        },
        health: health.ok()?,
        panic: raw.health.panic,
        eject: eject?,
        retry: typed::Retry {
            attempts: raw.retry.attempts,
            body_limit: raw.retry.body_limit,
            status: retried?,
            budget: raw.retry.budget,
            floor: raw.retry.floor,
        },
        dns: dns?,
    })
}

/// Reads the keys of one upstream.
struct Reader<'a, 'b> {
    name: &'a str,
    check: &'a mut Check<'b>,
}

impl Reader<'_, '_> {
    fn key(&self, key: &str) -> String {
        format!("upstreams.{}.{key}", self.name)
    }

    fn invalid(&mut self, key: &str, message: &str, found: &str) {
        let at = self.key(key);
        let pattern = format!("upstreams.NAME.{}", key.split('[').next().unwrap_or(key));
        self.check.invalid(&at, &pattern, message, found);
    }

    fn balance(&mut self, raw: &raw::Upstream) -> Option<typed::Balance> {
        match (raw.balance.as_str(), &raw.hash_by) {
            ("hash", Some(by)) => self.hash_by(by).map(typed::Balance::Hash),
            ("hash", None) if self.check.report.has(&self.key("hash_by")) => None,
            ("hash", None) => {
                let complaint = Complaint::new("by what is not said")
                    .found("no hash_by")
                    .allowed("together with hash_by = \"user\", \"ip\" or \"header:NAME\"");
                let key = self.key("balance");
                self.check.wrong(&key, complaint);
                None
            }
            (_, Some(_)) => {
                let (first, second) = (self.key("hash_by"), self.key("balance"));
                let complaint = Complaint::new("nothing goes by it")
                    .found(format!("balance = \"{}\"", raw.balance))
                    .allowed("only with balance = \"hash\"");
                self.check.conflict(&first, &second, complaint);
                None
            }
            ("round-robin", None) => Some(typed::Balance::RoundRobin),
            (_, None) => Some(typed::Balance::LeastRequests),
        }
    }

    fn hash_by(&mut self, text: &str) -> Option<typed::HashBy> {
        let header = text.strip_prefix("header:");
        match (text, header.map(HeaderName::try_from)) {
            ("user", _) => Some(typed::HashBy::User),
            ("ip", _) => Some(typed::HashBy::Ip),
            (_, Some(Ok(name))) => Some(typed::HashBy::Header(name)),
            (_, Some(Err(_))) => {
                self.invalid("hash_by", "not the name of a header", text);
                None
            }
            (_, None) => {
                self.invalid("hash_by", "nothing that a request is known by", text);
                None
            }
        }
    }

    /// `None` where servers are not to be asked, or the report says why not.
    fn health(&mut self, raw: &raw::Health) -> Result<Option<typed::HealthChecks>, Reported> {
        let status = self.statuses("health.status", &raw.status);
        if raw.status.is_empty() {
            self.invalid("health.status", "no status: every check would fail", "");
        }
        let host = match raw.host.as_deref().map(|host| (host, HeaderValue::try_from(host))) {
            None => None,
            Some((text, Ok(value))) if is_host(text) => Some(value),
            Some((text, _)) => {
                self.invalid("health.host", "not a host", text);
                return Err(Reported);
            }
        };
        let Some(path) = &raw.path else {
            return Ok(None);
        };
        let visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !path.starts_with('/') || path.starts_with("//") || !visible || path.parse::<http::Uri>().is_err() {
            self.invalid("health.path", "not a path", path);
            return Err(Reported);
        }
        Ok(Some(typed::HealthChecks {
            path: path.clone(),
            host,
            interval: raw.interval,
            timeout: raw.timeout,
            passes: raw.passes,
            failures: raw.failures,
            status: status.filter(|_| !raw.status.is_empty()).ok_or(Reported)?,
        }))
    }

    fn eject(&mut self, raw: &raw::Eject) -> Option<typed::Ejection> {
        let status = self.statuses("eject.on_status", &raw.on_status);
        if raw.time > raw.max_time {
            let (first, second) = (self.key("eject.time"), self.key("eject.max_time"));
            let complaint = Complaint::new("longer than eject.max_time").allowed("at most eject.max_time");
            self.check.conflict(&first, &second, complaint);
            return None;
        }
        Some(typed::Ejection {
            after: raw.after,
            status: status?,
            time: raw.time,
            max_time: raw.max_time,
            max_share: raw.max_share,
        })
    }

    fn dns(&mut self, raw: &raw::Dns) -> Option<typed::Dns> {
        let mut servers = Vec::new();
        for (index, text) in raw.servers.iter().enumerate() {
            match name_server(text) {
                Some(server) => servers.push(server),
                None => self.invalid(
                    &format!("dns.servers[{index}]"),
                    "not the address of a name server",
                    text,
                ),
            }
        }
        if raw.min_ttl > raw.max_ttl {
            let (first, second) = (self.key("dns.min_ttl"), self.key("dns.max_ttl"));
            let complaint = Complaint::new("longer than dns.max_ttl").allowed("at most dns.max_ttl");
            self.check.conflict(&first, &second, complaint);
            return None;
        }
        (servers.len() == raw.servers.len()).then_some(typed::Dns {
            servers,
            min_ttl: raw.min_ttl,
            max_ttl: raw.max_ttl,
        })
    }

    fn statuses(&mut self, key: &str, texts: &[String]) -> Option<typed::Statuses> {
        let mut ranges = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            match (status(from), status(to)) {
                (Some(from), Some(to)) if from <= to => ranges.push(from..=to),
                _ => self.invalid(
                    &format!("{key}[{index}]"),
                    "not a status from 100 to 599, or a range of them",
                    text,
                ),
            }
        }
        (ranges.len() == texts.len()).then_some(typed::Statuses(ranges))
    }
}

/// An IP address, with the port 53 unless another is given.
fn name_server(text: &str) -> Option<SocketAddr> {
    let with_port = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    with_port.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 53)))
}

fn status(text: &str) -> Option<u16> {
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|status| digits && (100..600).contains(status))
}

/// Whether it may stand in a `Host` header: an authority without a user.
fn is_host(text: &str) -> bool {
    let authority = text.parse::<http::uri::Authority>();
    authority.is_ok_and(|authority| !authority.host().is_empty() && !text.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_may_follow_the_address() {
        assert_eq!(weight("http://a:1"), Ok(("http://a:1", 1)));
        assert_eq!(weight("http://a:1 weight=3"), Ok(("http://a:1", 3)));
        assert_eq!(weight("http://a:1  weight=0"), Ok(("http://a:1", 0)));
        assert_eq!(weight("http://a weight=256"), Ok(("http://a", 256)));
        for bad in [
            "http://a weight=257",
            "http://a weight=",
            "http://a weight=-1",
            "http://a weight=+1",
            "http://a weight=1.5",
            "http://a weight=1 ",
            "http://a weight=99999999999",
            "http://a 3",
            "http://a ",
            "http://a weight=1 weight=2",
        ] {
            assert!(weight(bad).is_err(), "{bad:?}");
        }
    }
}
