//! A client at work: one question after the other, each by chance, and an entry in the ledger for each answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::api::{Api, Outcome};
use super::ledger::{Account, Fate, Session};
use crate::support::random::Random;

/// How long a client rests after a question that was not answered.
const REST: Duration = Duration::from_millis(150);

/// What all clients of a round share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) over: AtomicBool,
    /// How many questions were acknowledged.
    pub(super) acknowledged: AtomicUsize,
    /// How many were not answered.
    pub(super) unknown: AtomicUsize,
}

/// One client.
pub(super) struct Client {
    pub(super) api: Api,
    pub(super) random: Random,
    pub(super) shared: Arc<Shared>,
    /// Whether the gateway lives on, so that there is more to ask after a question that was not answered.
    pub(super) lives_on: bool,
    /// What its addresses begin with.
    pub(super) name: String,
    pub(super) accounts: Vec<Account>,
}

impl Client {
    /// Works until the round is over, or the gateway is gone: its accounts, or an answer that nothing explains.
    pub(super) async fn work(mut self) -> Result<Vec<Account>, String> {
        while !self.shared.over.load(Ordering::Relaxed) {
            let known: Vec<usize> = (0..self.accounts.len())
                .filter(|at| !self.accounts[*at].in_doubt)
                .collect();
            let at = if known.is_empty() || self.random.below(8) == 0 {
                let email = format!("{}-{}@example.com", self.name, self.accounts.len());
                self.accounts.push(Account::new(email, password(&mut self.random)));
                self.accounts.len() - 1
            } else {
                known[self.random.below(known.len())]
            };
            let account = &mut self.accounts[at];
            match ask(&self.api, account, &mut self.random).await {
                (_, Outcome::Done(_)) => {
                    self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                (what, Outcome::Refused(code)) => {
                    return Err(format!("{what} was refused under load: {code}; {account:?}"));
                }
                (_, Outcome::Unknown) => {
                    self.shared.unknown.fetch_add(1, Ordering::Relaxed);
                    account.in_doubt = true;
                    if !self.lives_on {
                        break;
                    }
                    tokio::time::sleep(REST).await;
                }
            }
        }
        Ok(self.accounts)
    }
}

/// One that no strength check minds.
fn password(random: &mut Random) -> String {
    format!("wistful-otter-{:08x}-lantern", random.below(1 << 32))
}

/// Asks something for an account, and enters what came of it: what was asked, and that.
async fn ask(api: &Api, account: &mut Account, random: &mut Random) -> (&'static str, Outcome) {
    if account.id.is_none() {
        let outcome = api.sign_up(&account.email, &account.password).await;
        if let Outcome::Done(tokens) = &outcome {
            account.signed_up(tokens);
        }
        return ("a sign-up", outcome);
    }
    let live = account.with_fate(Fate::Live);
    let choice = random.below(20);
    if live.is_empty() || choice < 5 {
        let outcome = api.log_in(&account.email, &account.password).await;
        if let Outcome::Done(tokens) = &outcome {
            account.sessions.push(Session::new(tokens));
        }
        return ("a login", outcome);
    }
    let by = live[random.below(live.len())];
    match choice {
        5..9 => ("a refresh", refresh(api, &mut account.sessions[by]).await),
        9..12 => ("a change of password", change_password(api, account, by, random).await),
        12..15 => {
            let token = account.sessions[by].token().to_owned();
            let scope = ["this", "others", "all"][random.below(3)];
            let outcome = api.log_out(&token, scope).await;
            let is_meant = |at: usize| match scope {
                "this" => at == by,
                "others" => at != by,
                _ => true,
            };
            end(account, &outcome, is_meant, Fate::Unknown);
            ("a logout", outcome)
        }
        15..17 => {
            let other = live[random.below(live.len())];
            let (token, id) = (account.sessions[by].token().to_owned(), account.sessions[other].id());
            let outcome = api.end_session(&token, &id).await;
            end(account, &outcome, |at| at == other, Fate::Unknown);
            ("an end of a session", outcome)
        }
        _ => (
            "a guarded request",
            match api.guarded(account.sessions[by].token()).await {
                // It asks the store nothing, and nothing is in doubt after it; that it was answered is judged by others.
                Outcome::Done(seen) if !seen.to_string().contains(account.id.as_deref().unwrap_or("?")) => {
                    Outcome::Refused(format!("as somebody else: {seen}"))
                }
                outcome => outcome,
            },
        ),
    }
}

/// Without an answer, the refresh token is still the one by which the session goes on.
async fn refresh(api: &Api, session: &mut Session) -> Outcome {
    let outcome = api.refresh(&session.refresh).await;
    if let Outcome::Done(tokens) = &outcome {
        session.go_on(tokens);
    }
    outcome
}

async fn change_password(api: &Api, account: &mut Account, by: usize, random: &mut Random) -> Outcome {
    let new = password(random);
    let token = account.sessions[by].token().to_owned();
    let outcome = api.change_password(&token, &account.password, &new).await;
    end(account, &outcome, |at| at != by, Fate::WithPassword);
    match outcome {
        Outcome::Done(_) => account.replaced.push(std::mem::replace(&mut account.password, new)),
        Outcome::Unknown => account.attempted = Some(new),
        Outcome::Refused(_) => {}
    }
    outcome
}

/// Enters the end of those live sessions that are meant; `doubt` is what they get where it was not answered.
fn end(account: &mut Account, outcome: &Outcome, is_meant: impl Fn(usize) -> bool, doubt: Fate) {
    let fate = match outcome {
        Outcome::Done(_) => Fate::Ended,
        Outcome::Unknown => doubt,
        Outcome::Refused(_) => return,
    };
    for at in account.with_fate(Fate::Live) {
        if is_meant(at) {
            account.sessions[at].fate = fate;
        }
    }
}
