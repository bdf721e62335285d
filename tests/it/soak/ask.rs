//! One request to an upstream, and the judgement of its answer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use doorward::time::monotonic;

use super::echo::{NUMBER, SIZE, said};
use super::site::{ACCESS_TTL, Site};
use super::users::Token;
use crate::support::random::Random;

/// The longest body of a request.
const BODY: usize = 8 * 1024;
/// How much earlier than at its end a token may be taken for expired: the last refresh was late, on a busy machine.
const LATE: Duration = Duration::from_secs(20);

/// Which upstream a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The one that is always there.
    Steady,
    /// The one that dies.
    Flaky,
}

/// A request that is sent, and what its answer is judged by.
pub(super) struct Asked {
    pub(super) route: Route,
    token: Arc<Token>,
    /// Whether the session's end had been answered before it was sent.
    was_ended: bool,
    number: u64,
    pub(super) body: usize,
    pub(super) size: usize,
    sent: Instant,
}

impl Asked {
    /// One of a user by chance; a few with tokens of sessions that have ended, and a few with a body.
    pub(super) fn any(site: &Site, route: Route, random: &mut Random) -> Self {
        let user = &site.users[random.below(site.users.len())];
        let ended = random.below(40) == 0;
        let token = Some(()).filter(|()| ended).and_then(|()| user.ended());
        let mut asked = Self::with(token.unwrap_or_else(|| user.current()), route);
        if random.below(12) == 0 {
            asked.body = 1 + random.below(BODY);
        }
        asked
    }

    pub(super) fn with(token: Arc<Token>, route: Route) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            route,
            was_ended: token.session.has_ended(),
            token,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            body: 0,
            size: 0,
            sent: monotonic(),
        }
    }

    pub(super) fn method(&self) -> &'static str {
        if self.body == 0 { "GET" } else { "POST" }
    }

    pub(super) fn path(&self) -> &'static str {
        match self.route {
            Route::Steady => "/steady/x",
            Route::Flaky => "/flaky/x",
        }
    }

    /// Names in lower case, and their values.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("authorization", format!("Bearer {}", self.token.text)),
            (NUMBER, self.number.to_string()),
        ];
        if self.size > 0 {
            headers.push((SIZE, self.size.to_string()));
        }
        if self.body > 0 {
            headers.push(("content-length", self.body.to_string()));
        }
        headers
    }

    /// The head as HTTP/1.1 has it, without the empty line at its end.
    pub(super) fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: soak.test\r\n", self.method(), self.path());
        for (name, value) in self.headers() {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head
    }

    /// Enters what came back; `how` is the way by which it went.
    pub(super) fn judge(&self, site: &Site, how: &'static str, status: u16, code: Option<&str>, body: &[u8]) {
        let why = match (status, code) {
            (200, None) if self.was_ended => Some("let an ended session pass"),
            (200, None) => (!self.is_mine(body)).then_some("is not the one to this request and user"),
            (401, Some("token_revoked")) => (!self.token.session.is_ending()).then_some("is wrong: nobody ended it"),
            (401, Some("token_expired")) => {
                let lives = self.token.born.elapsed() + LATE < ACCESS_TTL;
                lives.then_some("is wrong: it had time left")
            }
            (502, Some("upstream_unreachable")) | (503, Some("upstream_unavailable")) => {
                (!self.may_fail(site)).then_some("is not explained: the upstream was there")
            }
            _ => Some("is not explained"),
        };
        match (why, code) {
            (Some(why), _) => {
                let (user, number) = (&self.token.user, self.number);
                let body = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
                site.tally.wrong(format!(
                    "{how}: an answer {why}: {status} {code:?} to {user} {number}, after {:?}: {body}",
                    self.sent.elapsed()
                ));
            }
            (None, None) => site.tally.seen(how, "200"),
            (None, Some(code)) => site.tally.seen(how, format!("{status} {code}")),
        }
    }

    fn is_mine(&self, body: &[u8]) -> bool {
        let said = said(&self.token.user, &self.number.to_string(), self.body);
        body.len() == said.len().max(self.size) && body.starts_with(&said)
    }

    /// Whether its upstream was gone while it was under way.
    fn may_fail(&self, site: &Site) -> bool {
        match self.route {
            Route::Steady => false,
            Route::Flaky => site.was_down_since(self.sent),
        }
    }

    /// Enters that no answer came, or none that was whole, for this reason.
    pub(super) fn broken(&self, site: &Site, how: &'static str, why: &str) {
        if self.may_fail(site) {
            site.tally.seen(how, "broken off as the upstream went");
        } else if self.token.session.is_ending() {
            site.tally.seen(how, "broken off as the session ended");
        } else {
            let (path, sent) = (self.path(), self.sent.elapsed());
            site.tally
                .wrong(format!("{how}: no whole answer on {path}, after {sent:?}: {why}"));
        }
    }
}
