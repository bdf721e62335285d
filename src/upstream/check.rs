//! Active checks: each server is asked, now and then, whether it is well. One checker a server in the whole process, for as
//! long as the server is there; a reload that changes neither the server nor how it is checked keeps its checker.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::balance::Chance;
use super::choose::tell;
use super::ledger::Checker;
use super::{Health, Pools, RequestBody, Server, Upstream, UpstreamError};
use crate::config::{HealthChecks, ServerAddress};
use crate::lasting::{caught, lasting};
use crate::rules::headers::IdentityHeaders;

/// How often a server that is down is asked at the least: whoever waits for it is served again seconds after it is well.
const SOON: Duration = Duration::from_secs(1);

impl Upstream {
    /// Checks each server that nobody checks yet.
    pub(super) fn check_all(&self, runtime: &Handle, identity: &Arc<IdentityHeaders>) {
        for server in self.servers() {
            if *server.address() == ServerAddress::Whoami {
                continue;
            }
            server.ledger.check(&server, |rule| {
                let name = format!("checks of {}", server.address());
                let (server, identity) = (Arc::downgrade(&server), Arc::clone(identity));
                let checks = lasting(name, move || {
                    run(Weak::clone(&server), rule.clone(), Arc::clone(&identity))
                });
                Checker(runtime.spawn(checks).abort_handle())
            });
        }
    }
}

async fn run(server: Weak<Server>, rule: HealthChecks, identity: Arc<IdentityHeaders>) {
    let luck = Chance::new();
    let mut pause = at_first(rule.interval, &luck);
    loop {
        // Nothing of the server is held meanwhile, so that it can go.
        sleep(pause).await;
        let Some(server) = server.upgrade() else { return };
        ask_and_judge(&server, &rule, &identity).await;
        pause = by_chance(until_next(rule.interval, server.condition().0), &luck);
    }
}

async fn ask_and_judge(server: &Arc<Server>, rule: &HealthChecks, identity: &Arc<IdentityHeaders>) {
    let asked = caught(timeout(rule.timeout, ask(server, rule, identity))).await;
    // Whoever can't be asked is not well.
    let asked = asked.unwrap_or(Ok(Err(UpstreamError::Invalid("its check panicked"))));
    let failure = match asked {
        Ok(Ok(status)) if rule.status.contains(status) => None,
        Ok(Ok(status)) => Some(format!("its answer is {}", status.as_u16())),
        // The server was not asked, and there may be no other reason to think ill of it.
        Ok(Err(error)) if error.is_of_this_machine() => return,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {:?}", rule.timeout)),
    };
    let change = server.ledger.judge(server, rule, failure.is_none());
    tell(server, change, failure.as_deref());
}

/// The first time, any part of the interval, but no more than a second.
fn at_first(interval: Duration, chance: &Chance) -> Duration {
    interval.min(Duration::from_secs(1)) * thousandths(chance) / 1000
}

/// A server that is down answers no requests that a check could disturb.
fn until_next(interval: Duration, health: Health) -> Duration {
    match health {
        Health::Up { .. } => interval,
        Health::Down { .. } => interval.min(SOON),
    }
}

/// A tenth more or less, so that replicas and servers do not all ask at the same time.
fn by_chance(interval: Duration, chance: &Chance) -> Duration {
    interval * 9 / 10 + interval * thousandths(chance) / 5000
}

fn thousandths(chance: &Chance) -> u32 {
    u32::try_from(chance.draw() % 1000).unwrap_or(0)
}

/// Asks on a connection of its own: one that is kept says nothing of whether others can be made. It
/// does not count: a server that has all the connections it may have is not unwell.
async fn ask(
    server: &Arc<Server>,
    rule: &HealthChecks,
    identity: &Arc<IdentityHeaders>,
) -> Result<StatusCode, UpstreamError> {
    let mut lease = Pools::uncounted().fresh(server).await?;
    let mut request = Request::new(RequestBody::empty(Arc::clone(identity)));
    *request.uri_mut() = rule
        .path
        .parse()
        .map_err(|_| UpstreamError::Invalid("the path of its check is none"))?;
    let own = || HeaderValue::try_from(server.authority()).ok();
    if let Some(host) = rule.host.clone().or_else(own) {
        request.headers_mut().insert(HOST, host);
    }
    request
        .headers_mut()
        .insert(USER_AGENT, HeaderValue::from_static("doorward"));
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
    let (parts, body) = request.into_parts();
    let answer = lease.send(&parts, body, None).await;
    Ok(answer?.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_down_is_asked_each_second_and_one_that_is_up_as_often_as_configured() {
        let chance = Chance::new();
        let (up, down) = (Health::Up { failures: 2 }, Health::Down { passes: 1 });
        for (interval, health, least, most) in [
            (10_000, up, 9_000, 11_000),
            (10_000, down, 900, 1_100),
            (30, up, 27, 33),
            (30, down, 27, 33),
        ] {
            let ms = Duration::from_millis;
            for _ in 0..100 {
                let pause = by_chance(until_next(ms(interval), health), &chance);
                assert!(
                    (ms(least)..=ms(most)).contains(&pause),
                    "{interval} {health:?} {pause:?}"
                );
                assert!(at_first(ms(interval), &chance) <= ms(interval).min(ms(1_000)));
            }
        }
    }
}
