//! Pauses and kills, one after the other, until the run is over. Whatever was begun is brought to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::fleet::Fleet;
use super::ledger::Ledger;
use super::plan::Plan;
use super::world::World;
use crate::support::random::Random;

const PAUSE: &str = "gateway paused";
const KILL: &str = "gateway killed";
const FREEZE: &str = "server frozen";
const SERVER_KILL: &str = "server killed";
/// What happens in each run.
pub(super) const KINDS: [&str; 4] = [PAUSE, KILL, FREEZE, SERVER_KILL];

pub(super) struct Chaos {
    pub(super) plan: Plan,
    pub(super) world: World,
    pub(super) fleet: Arc<Fleet>,
    pub(super) ledger: Arc<Ledger>,
    /// Held by who disturbs a gateway.
    pub(super) hands: Vec<Mutex<()>>,
}

impl Chaos {
    /// Pauses and kills gateways in turn, each time another one by chance.
    pub(super) async fn gateways(&self, mut random: Random) {
        for round in 0_usize.. {
            self.ledger
                .rest(random.between(self.plan.calm.0 / 4, self.plan.calm.0))
                .await;
            if self.ledger.is_over() {
                return;
            }
            let index = random.below(self.plan.gateways());
            let Ok(_hand) = self.hands[index].try_lock() else {
                continue;
            };
            let gateway = &self.fleet.gateways[index];
            if round % 2 == 0 {
                let (seldom, mostly) = self.plan.pauses;
                let longest = if random.below(3) == 0 { seldom } else { mostly };
                let done = self.ledger.disturb(PAUSE, vec![index]);
                gateway.pause();
                self.ledger.rest(random.between(longest / 20, longest)).await;
                gateway.resume();
                self.ledger.recovered(done);
            } else {
                let done = self.ledger.disturb(KILL, vec![index]);
                gateway.kill().await;
                self.ledger.rest(random.between(Duration::ZERO, self.plan.away)).await;
                gateway.start().await;
                self.ledger.recovered(done);
            }
        }
    }

    /// Freezes and kills servers in turn.
    pub(super) async fn servers(&self, mut random: Random) {
        for round in 0_usize.. {
            self.ledger
                .rest(random.between(self.plan.calm.1 / 4, self.plan.calm.1))
                .await;
            if self.ledger.is_over() {
                return;
            }
            let victim = &self.world.victims[random.below(self.world.victims.len())];
            let served = (0..self.plan.gateways()).filter(|gateway| victim.serves(*gateway));
            if round % 2 == 0 {
                let done = self.ledger.disturb(FREEZE, served.collect());
                victim.freeze();
                self.ledger
                    .rest(random.between(self.plan.freeze / 20, self.plan.freeze))
                    .await;
                victim.thaw().await;
                self.ledger.recovered(done);
            } else {
                let done = self.ledger.disturb(SERVER_KILL, served.collect());
                victim.kill();
                self.ledger.rest(random.between(Duration::ZERO, self.plan.away)).await;
                victim.revive().await;
                self.ledger.recovered(done);
            }
        }
    }
}
