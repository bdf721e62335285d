//! Kills under load: what was acknowledged is there afterwards.
//!
//! Clients sign up, log in, refresh, change passwords and end sessions, each on accounts of its own, and keep a ledger: what
//! was acknowledged (2xx), and what was asked without an answer. Meanwhile the gateway, or the database below it, is killed
//! (SIGKILL) at a moment by chance and started again. Then each account is held against the ledger:
//!
//! * an acknowledged sign-up logs in with the password acknowledged last, and with no password that was replaced. Of a change
//!   that was not answered exactly one holds, the password before or the one after, and the other sessions have ended with
//!   it, or go on without it;
//! * a session whose end was acknowledged (logout, a changed password, `DELETE /auth/sessions/…`) is refused: each of its
//!   access tokens on a guarded route, and its refresh token. One whose end was not answered is refused in both ways or in
//!   neither (a gateway that was told of no commit learns of it by its next poll), and all that one question was to end share
//!   that. Where the database was killed, it may also be refused on guarded routes alone: a poll saw the end, and the database
//!   lost it;
//! * a session that nobody ended goes on: its access tokens pass as its user, and its refresh token gives the next pair, also
//!   when the answer to a refresh was lost.
//!
//! A gateway that starts lets no token of an ended session pass from its first answer on, and the SQLite file, as the killed
//! gateway left it, passes `PRAGMA integrity_check`. How soon the first 200 is there is told, and judged in a long run
//! only: beside other tests a busy machine takes its time. A failure names the seed, with which `KILL_SEED` has the same choices made again; what the
//! machine adds to them is not in it.

mod api;
mod births;
mod judge;
mod ledger;
mod load;
mod plan;
mod report;
mod run;
mod world;

use std::io::Write;

use plan::Plan;
use world::World;

/// Runs all rounds, shows what came out, and fails unless everything was kept.
async fn hold(plan: Plan, world: World) {
    let report = run::run(&plan, world).await;
    let mut stdout = std::io::stdout();
    write!(stdout, "{report}").expect("there is a standard output");
    assert!(report.violations.is_empty(), "{report}");
    assert!(!plan.is_measured() || report.late() == 0, "{report}");
    // Something was there to be lost.
    assert!(report.acknowledged > plan.clients * plan.rounds, "{report}");
    assert!(report.accounts > plan.rounds, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_gateway_is_killed_on_sqlite() {
    hold(Plan::asked_for(), World::gateway_on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_gateway_is_killed_on_mariadb() {
    hold(Plan::asked_for(), World::gateway_on_mariadb().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_mariadb_is_killed() {
    hold(Plan::asked_for(), World::mariadb().await).await;
}
