//! Who asks the gateways, and judges what they answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use doorward::time::monotonic;
use futures_util::{StreamExt, stream};

use super::fleet::Fleet;
use super::ledger::{Ended, Ledger};
use super::report::Tally;
use super::rules::{Passed, Rules, Verdict};
use crate::support::random::Random;

/// How many questions are put to one gateway at once, and in one round.
const AT_ONCE: usize = 8;
const ROUND: usize = 64;
/// How long a round rests.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(20);
/// How many of the tokens that a gateway has refused it is asked about again after each disturbance: the latest, and some.
const ASKED_AGAIN: usize = 100;

/// What a gateway says about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Passed,
    Revoked,
    Unavailable,
    Unreachable,
    Surprise(String),
}

/// All that it takes to judge.
pub(super) struct Court {
    pub(super) fleet: Arc<Fleet>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) rules: Rules,
    pub(super) settle: Duration,
    pub(super) http: reqwest::Client,
    pub(super) tally: Mutex<Tally>,
}

impl Court {
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("nobody panicked")
    }

    /// Asks a gateway to let a token pass a guarded route.
    pub(super) async fn ask(&self, gateway: usize, token: &str) -> Answer {
        let url = self.fleet.gateways[gateway].url("/guarded");
        let Ok(response) = self.http.get(url).bearer_auth(token).send().await else {
            return Answer::Unreachable;
        };
        let status = response.status().as_u16();
        let code = response.headers().get("x-doorward-error").cloned();
        // Read to its end, so that the connection can be used again.
        if response.bytes().await.is_err() {
            return Answer::Unreachable;
        }
        match (status, code.as_ref().and_then(|code| code.to_str().ok())) {
            (200, None) => Answer::Passed,
            (401, Some("token_revoked")) => Answer::Revoked,
            (503, Some("revocations_unavailable")) => Answer::Unavailable,
            (status, code) => Answer::Surprise(format!("gateway {gateway} answered {status} {code:?}")),
        }
    }

    /// Asks about a session that has ended, and judges the answer. Gives the moment of the question if it was refused.
    pub(super) async fn check(&self, gateway: usize, ended: &Ended) -> Option<Instant> {
        let life_began = self.fleet.gateways[gateway].life_began();
        let sent = monotonic();
        let answer = self.ask(gateway, &ended.token).await;
        let calm = self.ledger.was_calm(gateway, ended.at, self.settle);
        let mut tally = self.tally();
        tally.checks += 1;
        match answer {
            Answer::Revoked => {
                tally.revoked += 1;
                return Some(sent);
            }
            Answer::Unavailable => tally.unavailable += 1,
            Answer::Unreachable => tally.unreachable += 1,
            Answer::Surprise(detail) => tally.surprise(detail),
            Answer::Passed => {
                let is_answerer = ended.by == gateway;
                let late = sent.saturating_duration_since(ended.at);
                let passed = Passed {
                    ended: ended.at,
                    sent,
                    is_answerer,
                    life_began,
                    calm,
                };
                if calm && !is_answerer {
                    tally.latest_calm_pass = tally.latest_calm_pass.max(late);
                }
                match self.rules.judge(&passed) {
                    Verdict::Excusable => tally.passed_in_time += 1,
                    Verdict::Violation(why) => tally.violation(format!(
                        "gateway {gateway} let a token pass {why}: asked {late:?} after the 204, answered after {:?}",
                        sent.elapsed()
                    )),
                }
            }
        }
        None
    }

    /// Asks one gateway about every session that ends, until it has refused each, and again after each disturbance, until
    /// the run is over.
    pub(super) async fn watch(&self, gateway: usize, mut random: Random) {
        let (mut known, mut recoveries) = (Vec::<Ended>::new(), 0);
        let mut pending = VecDeque::new();
        let mut refused = Vec::new();
        while !self.ledger.is_over() {
            let news = self.ledger.ended_from(known.len());
            pending.extend(known.len()..known.len() + news.len());
            known.extend(news);
            let now = self.ledger.recoveries(gateway);
            if now != recoveries && !refused.is_empty() {
                recoveries = now;
                let latest = refused.iter().rev().take(ASKED_AGAIN).copied();
                let some = (0..ASKED_AGAIN).map(|_| refused[random.below(refused.len())]);
                let again: Vec<usize> = latest.chain(some).collect();
                self.round(gateway, &known, again).await;
            }
            let round = pending.drain(..pending.len().min(ROUND)).collect();
            for (index, refused_at) in self.round(gateway, &known, round).await {
                match refused_at {
                    Some(sent) => {
                        refused.push(index);
                        self.delay(gateway, &known[index], sent);
                    }
                    None => pending.push_back(index),
                }
            }
            self.ledger.rest(BETWEEN_ROUNDS).await;
        }
    }

    async fn round(&self, gateway: usize, known: &[Ended], round: Vec<usize>) -> Vec<(usize, Option<Instant>)> {
        let ask = |index: usize| async move { (index, self.check(gateway, &known[index]).await) };
        stream::iter(round).map(ask).buffer_unordered(AT_ONCE).collect().await
    }

    fn delay(&self, gateway: usize, ended: &Ended, sent: Instant) {
        if ended.by == gateway {
            return;
        }
        let delay = sent.saturating_duration_since(ended.at).as_secs_f64() * 1000.0;
        let calm = self.ledger.was_calm(gateway, ended.at, self.settle);
        let mut tally = self.tally();
        tally.delays.push(delay);
        if calm {
            tally.calm_delays.push(delay);
        }
    }

    /// In the end, each gateway has to refuse each token.
    pub(super) async fn last_word(&self, gateway: usize, patience: Duration) {
        let known = self.ledger.ended_from(0);
        let mut left: Vec<usize> = (0..known.len()).collect();
        let deadline = monotonic() + patience;
        while !left.is_empty() && monotonic() < deadline {
            let answers = self.round(gateway, &known, left).await;
            left = answers
                .into_iter()
                .filter(|(_, refused)| refused.is_none())
                .map(|(index, _)| index)
                .collect();
            if !left.is_empty() {
                tokio::time::sleep(10 * BETWEEN_ROUNDS).await;
            }
        }
        if !left.is_empty() {
            let detail = format!("gateway {gateway} never refused {} tokens", left.len());
            self.tally().violation(detail);
        }
    }
}
