//! Revocations under torture: several gateways, as processes, share a database; writers log sessions out on gateways by
//! chance; meanwhile gateways are paused (SIGSTOP) and killed (SIGKILL), servers are frozen and killed, and wall clocks
//! differ by a minute; and each gateway is asked about each session that was answered with 204, until it has refused it,
//! and again after each disturbance, and in the end.
//!
//! A *violation* is a 200 on a guarded route for such a session's token
//!
//! 1. from the gateway that answered the 204, or from any gateway that was started after it: whenever it was asked;
//! 2. from any gateway, when it was asked longer after the 204 than `revocation.max_staleness`, whatever happened to it:
//!    one that is cut off, or does not run, knows nothing new, and answers 503 once what it knows is older than that;
//! 3. from a gateway that was not disturbed, nor any server that it needs, from shortly before the 204 until the answer,
//!    when it was asked longer after the 204 than the bound. The bound is `revocation.poll_interval` and 250 ms in the
//!    long form. It is a promise about time, which a busy machine can break, so the short form has a generous one.
//!
//! What counts is when the request was sent and when the 204 was there: a gateway that is paused with a request in hand
//! answers late, and rightly only by what it knows then. 503 `revocations_unavailable`, no answer, and no connection are
//! no violations, but then the gateway is asked again, until in the end every gateway has refused every token. A token
//! that is refused before its logout, and an answer that is none of these, fails the run as well.

mod chaos;
mod court;
mod fleet;
mod galera;
mod ledger;
mod plan;
mod redis;
mod report;
mod rules;
mod run;
mod world;

use std::io::Write;

use plan::Plan;
use report::Report;
use world::World;

fn show(report: &Report) {
    let mut stdout = std::io::stdout();
    write!(stdout, "{report}\n{:#}\n", report.json()).expect("there is a standard output");
}

/// No violation, and something was there to be violated.
fn assert_held(report: &Report) {
    let tally = &report.tally;
    assert_eq!(tally.violations, 0, "{report}");
    assert!(tally.surprises.is_empty(), "{report}");
    assert!(tally.live > 0, "no token passed before its logout");
    assert!(
        tally.revoked >= (report.acknowledged * report.gateways) as u64,
        "{report}"
    );
}

async fn hold(plan: Plan, world: World) {
    let tried = plan.users * plan.logins_per_user;
    let report = run::run(plan, world).await;
    show(&report);
    // Some end without an answer.
    assert!(report.acknowledged > tried / 2, "{report}");
    assert_held(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_that_was_answered_holds_whatever_is_paused_or_killed() {
    if plan::is_on_a_cluster() {
        hold(Plan::asked_for().on_a_cluster(), World::galera().await).await;
    } else {
        hold(Plan::asked_for(), World::mariadb().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_that_was_answered_holds_with_redis_whatever_is_paused_or_killed() {
    hold(Plan::asked_for(), World::redis().await).await;
}
