//! What happens to the gateway meanwhile: its configuration changes, and an upstream dies and comes back.

use std::time::Duration;

use super::echo::Echo;
use super::plan::Plan;
use super::site::{Site, configuration};
use crate::support::process::Process;
use crate::support::random::Random;

/// Changes the configuration again and again.
pub(super) async fn reloads(site: &Site, plan: &Plan, process: &Process, upstreams: &[Echo; 2]) {
    for generation in 1.. {
        site.rest(plan.reload_every).await;
        if site.is_over() {
            return;
        }
        let [steady, flaky] = upstreams;
        process
            .reload(&configuration(plan, steady.address, flaky.address, generation))
            .await;
        site.tally.seen("reload", "taken");
    }
}

/// Lets an upstream die and come back, again and again. It is there in the end.
pub(super) async fn failures(site: &Site, plan: &Plan, upstream: &Echo, mut random: Random) {
    loop {
        site.rest(random.between(plan.failure_every / 2, plan.failure_every))
            .await;
        if site.is_over() {
            return;
        }
        site.goes_down();
        upstream.die().await;
        site.rest(random.between(Duration::ZERO, plan.failure)).await;
        upstream.come_back().await;
        site.is_up();
        site.tally.seen("upstream", "died and came back");
    }
}
