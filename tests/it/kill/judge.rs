//! Holds accounts against the ledger once everything runs again. What is asked for that is entered, too, so that an account
//! can be judged again in the end.

use std::time::Duration;

use doorward::time::monotonic;
use futures_util::{StreamExt, stream};

use super::api::{Api, Outcome};
use super::ledger::{Account, Fate, Session};
use crate::support::DEADLINE;

/// How many accounts are judged at once.
const AT_ONCE: usize = 8;
/// How long to wait for a poll before it is asked again.
const PAUSE: Duration = Duration::from_millis(10);

/// All accounts, and what is wrong with them. `may_lose`: the database was killed, and may have shown what it then lost.
pub(super) async fn all(api: &Api, accounts: Vec<Account>, may_lose: bool) -> (Vec<Account>, Vec<String>) {
    let judged = stream::iter(accounts).map(|mut account| async move {
        let verdict = one(api, &mut account, may_lose).await;
        let verdict = verdict.map_err(|why| format!("{why}: {account:?}"));
        (account, verdict.err())
    });
    let judged: Vec<_> = judged.buffer_unordered(AT_ONCE).collect().await;
    let (mut accounts, mut violations) = (Vec::new(), Vec::new());
    for (account, violation) in judged {
        accounts.push(account);
        violations.extend(violation);
    }
    (accounts, violations)
}

async fn one(api: &Api, account: &mut Account, may_lose: bool) -> Result<(), String> {
    if account.id.is_none() {
        sign_up(api, account).await?;
    }
    passwords(api, account, may_lose).await?;
    doubts(api, account, may_lose).await?;
    let id = account.id.clone().unwrap_or_default();
    for session in &mut account.sessions {
        match session.fate {
            Fate::Live => goes_on(api, session, &id).await?,
            Fate::Ended => is_refused(api, session).await?,
            Fate::Unknown | Fate::WithPassword => return Err("the judge left a doubt".to_owned()),
        }
    }
    account.in_doubt = false;
    Ok(())
}

/// A sign-up that was not answered has happened as a whole or not at all.
async fn sign_up(api: &Api, account: &mut Account) -> Result<(), String> {
    let tokens = match api.log_in(&account.email, &account.password).await {
        Outcome::Done(tokens) => match api.sign_up(&account.email, &account.password).await {
            outcome if outcome.is_refused("email_taken") => tokens,
            outcome => return Err(format!("a second sign-up of an account that logs in: {outcome:?}")),
        },
        outcome if outcome.is_refused("invalid_credentials") => {
            match api.sign_up(&account.email, &account.password).await {
                Outcome::Done(tokens) => tokens,
                outcome => return Err(format!("a sign-up that had not happened: {outcome:?}")),
            }
        }
        outcome => return Err(format!("a login after a sign-up that was not answered: {outcome:?}")),
    };
    account.signed_up(&tokens);
    Ok(())
}

/// One password is in force, and none that was replaced.
async fn passwords(api: &Api, account: &mut Account, may_lose: bool) -> Result<(), String> {
    let before = api.log_in(&account.email, &account.password).await;
    let after = match &account.attempted {
        Some(attempted) => Some(api.log_in(&account.email, attempted).await),
        None => None,
    };
    let (tokens, was_changed) = match (before, after) {
        (Outcome::Done(tokens), None) => (tokens, false),
        (Outcome::Done(tokens), Some(after)) if after.is_refused("invalid_credentials") => (tokens, false),
        (before, Some(Outcome::Done(tokens))) if before.is_refused("invalid_credentials") => (tokens, true),
        (before, after) => {
            return Err(format!(
                "the password acknowledged last: {before:?}; the one after it: {after:?}"
            ));
        }
    };
    if let Some(attempted) = account.attempted.take().filter(|_| was_changed) {
        let before = std::mem::replace(&mut account.password, attempted);
        account.replaced.push(before);
    }
    if was_changed {
        is_learnt(api, account, Fate::WithPassword).await?;
    } else if may_lose {
        leave_refused(api, account, Fate::WithPassword).await;
    }
    account.turn(Fate::WithPassword, if was_changed { Fate::Ended } else { Fate::Live });
    account.sessions.push(Session::new(&tokens));
    for replaced in &account.replaced {
        let outcome = api.log_in(&account.email, replaced).await;
        if !outcome.is_refused("invalid_credentials") {
            return Err(format!("a password that was replaced: {outcome:?}"));
        }
    }
    Ok(())
}

/// Finds out whether the sessions have ended whose end was not answered. What the store says of the first is what became of all
/// of them, which is then asked of each.
async fn doubts(api: &Api, account: &mut Account, may_lose: bool) -> Result<(), String> {
    let Some(first) = account.with_fate(Fate::Unknown).first().copied() else {
        return Ok(());
    };
    let session = &mut account.sessions[first];
    let fate = match api.refresh(&session.refresh).await {
        Outcome::Done(tokens) => {
            session.go_on(&tokens);
            if may_lose {
                leave_refused(api, account, Fate::Unknown).await;
            }
            Fate::Live
        }
        outcome if outcome.is_refused("invalid_refresh_token") => {
            is_learnt(api, account, Fate::Unknown).await?;
            Fate::Ended
        }
        outcome => {
            return Err(format!(
                "the refresh of a session whose end was not answered: {outcome:?}"
            ));
        }
    };
    account.turn(Fate::Unknown, fate);
    Ok(())
}

/// Waits until the sessions with this fate are refused. What was committed without an answer is learnt as from another gateway:
/// by the next poll.
async fn is_learnt(api: &Api, account: &Account, fate: Fate) -> Result<(), String> {
    let since = monotonic();
    for at in account.with_fate(fate) {
        loop {
            match api.guarded(account.sessions[at].token()).await {
                outcome if outcome.is_refused("token_revoked") => break,
                Outcome::Done(_) if since.elapsed() < DEADLINE => tokio::time::sleep(PAUSE).await,
                outcome => return Err(format!("a session that ended without an answer: {outcome:?}")),
            }
        }
    }
    Ok(())
}

/// Takes the sessions with this fate out of the ledger that are refused although the store knows of no end. A poll can have seen
/// the end before the database was killed: `InnoDB` shows a commit before it is on disk, and then lost it. Who was told of no
/// success is refused once too often, and logs in again.
async fn leave_refused(api: &Api, account: &mut Account, fate: Fate) {
    for at in account.with_fate(fate).into_iter().rev() {
        if api
            .guarded(account.sessions[at].token())
            .await
            .is_refused("token_revoked")
        {
            account.sessions.remove(at);
        }
    }
}

async fn goes_on(api: &Api, session: &mut Session, id: &str) -> Result<(), String> {
    for refreshed in [false, true] {
        for token in &session.access {
            match api.guarded(token).await {
                Outcome::Done(seen) if seen.to_string().contains(id) => {}
                outcome => return Err(format!("a token of a live session: {outcome:?}")),
            }
        }
        if !refreshed {
            match api.refresh(&session.refresh).await {
                Outcome::Done(tokens) => session.go_on(&tokens),
                outcome => return Err(format!("the refresh of a live session: {outcome:?}")),
            }
        }
    }
    Ok(())
}

async fn is_refused(api: &Api, session: &Session) -> Result<(), String> {
    for token in &session.access {
        let outcome = api.guarded(token).await;
        if !outcome.is_refused("token_revoked") {
            return Err(format!("a token of an ended session: {outcome:?}"));
        }
    }
    let outcome = api.refresh(&session.refresh).await;
    if outcome.is_refused("invalid_refresh_token") {
        Ok(())
    } else {
        Err(format!("the refresh of an ended session: {outcome:?}"))
    }
}
