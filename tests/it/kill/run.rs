//! One run: rounds of load, kill, start and judgement, and all accounts of all rounds once more in the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorward::time::monotonic;
use tokio::task::JoinHandle;

use super::judge;
use super::ledger::Account;
use super::load::{Client, Shared};
use super::plan::Plan;
use super::report::{Report, Round};
use super::world::{Victim, Witness, World};
use crate::support::random::Random;
use crate::support::{DEADLINE, eventually, when, within};

/// How long clients go on once a killed database is back.
const AFTERWARDS: Duration = Duration::from_millis(100);
/// One start in so many is killed as well.
const KILLED_IN_INFANCY: usize = 3;

type Clients = Vec<JoinHandle<Result<Vec<Account>, String>>>;

/// Does it all.
pub(super) async fn run(plan: &Plan, mut world: World) -> Report {
    let began = monotonic();
    let mut random = Random::new(plan.seed);
    let witness = Witness::take(&world).await;
    let mut report = Report::new(world.name, plan.seed);
    let mut all = Vec::new();
    for number in 0..plan.rounds {
        let (round, accounts) =
            one_round(plan, &mut world, &witness, &mut random, number, &mut report.violations).await;
        eprintln!("round {number}: {round}");
        report.add(&round);
        all.extend(accounts);
        if !report.violations.is_empty() {
            eprintln!("{}", world.process.log());
            break;
        }
    }
    report.accounts = all.len();
    if report.violations.is_empty() {
        report.violations = judge::all(&world.api(), all, false).await.1;
    }
    report.took = began.elapsed();
    report
}

async fn one_round(
    plan: &Plan,
    world: &mut World,
    witness: &Witness,
    random: &mut Random,
    number: usize,
    violations: &mut Vec<String>,
) -> (Round, Vec<Account>) {
    let shared = Arc::new(Shared::default());
    let lives_on = matches!(world.victim, Victim::MariaDb(_));
    let clients: Clients = (0..plan.clients)
        .map(|client| {
            let client = Client {
                api: world.api(),
                random: random.fork(),
                shared: Arc::clone(&shared),
                lives_on,
                name: format!("round{number}-client{client}"),
                accounts: Vec::new(),
            };
            tokio::spawn(client.work())
        })
        .collect();
    eventually(DEADLINE, "something is acknowledged", || async {
        let ended = clients.iter().all(JoinHandle::is_finished);
        when(ended || shared.acknowledged.load(Ordering::Relaxed) > plan.clients)
    })
    .await;
    let load = random.between(plan.load.0, plan.load.1);
    tokio::time::sleep(load).await;
    let (accounts, back) = if lives_on {
        let away = random.between(Duration::ZERO, plan.away);
        kill_database(world, witness, away, clients, &shared, violations).await
    } else {
        kill_gateway(plan, world, witness, random, clients, violations).await
    };
    let (acknowledged, unknown) = (&shared.acknowledged, &shared.unknown);
    let round = Round {
        load,
        acknowledged: acknowledged.load(Ordering::Relaxed),
        unknown: unknown.load(Ordering::Relaxed),
        back,
    };
    let (accounts, wrong) = judge::all(&world.api(), accounts, lives_on).await;
    violations.extend(wrong);
    (round, accounts)
}

/// Kills the gateway and starts it again: what its clients know, and how long after its start the first 200 was there.
async fn kill_gateway(
    plan: &Plan,
    world: &mut World,
    witness: &Witness,
    random: &mut Random,
    clients: Clients,
    violations: &mut Vec<String>,
) -> (Vec<Account>, Option<Duration>) {
    world.process.kill().await;
    let accounts = home(clients, violations).await;
    let on_sqlite = matches!(world.victim, Victim::Gateway { on_sqlite: true });
    if on_sqlite {
        violations.extend(world.integrity().await.err());
    }
    if random.below(KILLED_IN_INFANCY) == 0 {
        world.start_again();
        tokio::time::sleep(random.between(Duration::ZERO, plan.infancy)).await;
        world.process.kill().await;
        if on_sqlite {
            violations.extend(world.integrity().await.err());
        }
    }
    let began = monotonic();
    world.start_again();
    let back = world.first_200(witness, began).await;
    (accounts, noted(back, violations))
}

/// Kills the database and starts it again: what clients of the gateway know, and how long after the database took connections
/// the first login succeeded.
async fn kill_database(
    world: &World,
    witness: &Witness,
    away: Duration,
    clients: Clients,
    shared: &Shared,
    violations: &mut Vec<String>,
) -> (Vec<Account>, Option<Duration>) {
    let Victim::MariaDb(server) = &world.victim else {
        panic!("the gateway is killed otherwise");
    };
    server.kill();
    tokio::time::sleep(away).await;
    server.revive().await;
    let back = world.first_login(witness).await;
    tokio::time::sleep(AFTERWARDS).await;
    shared.over.store(true, Ordering::Relaxed);
    let accounts = home(clients, violations).await;
    (accounts, noted(back, violations))
}

fn noted(back: Result<Duration, String>, violations: &mut Vec<String>) -> Option<Duration> {
    match back {
        Ok(back) => Some(back),
        Err(why) => {
            violations.push(why);
            None
        }
    }
}

/// Waits for the clients: what they know together.
async fn home(clients: Clients, violations: &mut Vec<String>) -> Vec<Account> {
    let mut accounts = Vec::new();
    for client in clients {
        match within("a client ends", client).await.expect("a client does not panic") {
            Ok(known) => accounts.extend(known),
            Err(why) => violations.push(why),
        }
    }
    accounts
}
