//! Kills in the middle of the very first start, which makes the schema, the master key and the signing key.

use std::time::Duration;

use super::plan::Plan;
use super::world::{Victim, Witness, World, configuration, on_mariadb};
use crate::support::mariadb::Database;
use crate::support::process::{Process, doorward_with_open_files};
use crate::support::random::Random;

/// How long after its start a gateway is killed at the most: a first start takes about that long.
const LATEST: Duration = Duration::from_millis(400);

/// Kills a gateway that was never there before, and starts it again: it serves, and forgets nothing of what it says then.
async fn is_born_anyway(toml: &str, on_sqlite: bool, after: Duration) -> Result<(), String> {
    let mut process = Process::begin(toml, doorward_with_open_files(128));
    tokio::time::sleep(after).await;
    process.kill().await;
    process.start_again("log-2");
    process.until_ready().await;
    let mut world = World::of("a first start", process, Victim::Gateway { on_sqlite });
    let witness = Witness::take(&world).await;
    world.process.kill().await;
    if on_sqlite {
        world.integrity().await?;
    }
    let began = doorward::time::monotonic();
    world.start_again();
    world.first_200(&witness, began).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_was_killed_in_its_first_start_starts_the_next_time() {
    let plan = Plan::asked_for();
    let mut random = Random::new(plan.seed);
    for round in 0..=plan.rounds {
        let after = random.between(Duration::ZERO, LATEST);
        let on_sqlite = round % 2 == 0;
        let toml = if on_sqlite {
            configuration("")
        } else {
            on_mariadb(&Database::create().await)
        };
        let born = is_born_anyway(&toml, on_sqlite, after).await;
        assert_eq!(born, Ok(()), "killed after {after:?}, seed {}", plan.seed);
    }
}
