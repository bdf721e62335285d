//! One run: users sign up, everybody is at work for as long as the plan says, and then all go home.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::time::monotonic;
use futures_util::{StreamExt, stream};
use tokio::task::JoinSet;

use super::ask::Route;
use super::echo::Echo;
use super::gauge::{HEAD, Load, Sample};
use super::plan::Plan;
use super::report::Report;
use super::rest::Rest;
use super::site::{Site, configuration};
use super::users::{User, Way};
use super::{http1, http2, slow, trouble};
use crate::support::process::{Process, doorward_with_open_files, with_open_files};
use crate::support::random::Random;

/// How many connections there are to the steady upstream, and how many requests go at once on each.
const PIPES: (u32, u32) = (6, 8);
const LINKS: (u32, u32) = (4, 16);
/// The same to the flaky one, with one connection each.
const FLAKY: u32 = 4;
/// How often a line is shown while a run goes on.
const SHOWN: Duration = Duration::from_secs(60);

/// Does it all.
pub(super) async fn run(plan: Plan) -> Report {
    let mut random = Random::new(plan.seed);
    let upstreams = Arc::new([Echo::start().await, Echo::start().await]);
    let toml = configuration(&plan, upstreams[0].address, upstreams[1].address, 0);
    let mut command = match &plan.binary {
        Some(binary) => with_open_files(binary, 1024),
        None => doorward_with_open_files(1024),
    };
    // As the README says, for the two workers: what glibc keeps for threads that are gone is not what is looked for here.
    command.env("MALLOC_ARENA_MAX", "2");
    let process = Arc::new(Process::serve_by(&toml, command).await);
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
    let http = http.timeout(Duration::from_secs(20)).build().expect("a client");
    let before = Rest::before(&process, &http).await;

    let address = process.address;
    let users: Vec<User> = stream::iter(0..plan.users)
        .map(|number| async move { User::sign_up(&mut Way::http1(address), number).await })
        .buffered(4)
        .collect()
        .await;
    let site = Arc::new(Site::new(address, users));
    let (began, load) = (monotonic(), Load::since(&process));
    let mut tasks = JoinSet::new();
    start(&mut tasks, &plan, &site, &mut random);
    let (reloaded, plan_of, upstreams_of, gateway) = (
        Arc::clone(&site),
        plan.clone(),
        Arc::clone(&upstreams),
        Arc::clone(&process),
    );
    tasks.spawn(async move { trouble::reloads(&reloaded, &plan_of, &gateway, &upstreams_of).await });
    let (failing, plan_of, upstreams_of, forked) =
        (Arc::clone(&site), plan.clone(), Arc::clone(&upstreams), random.fork());
    tasks.spawn(async move { trouble::failures(&failing, &plan_of, &upstreams_of[1], forked).await });

    let samples = look(&plan, began, &process, &http, &site).await;
    let load = load.until_now(&process, began.elapsed());
    site.finish();
    while let Some(task) = tasks.join_next().await {
        // It has said why; the report is worth having nonetheless.
        if task.is_err() {
            site.tally.wrong("a task panicked".to_owned());
        }
    }
    let took = began.elapsed();
    let after = Rest::after(&process, &http, &before).await;
    let report = Report {
        took,
        failures: site.failures(),
        samples,
        load,
        before,
        after,
        tally: Arc::into_inner(site).expect("all tasks have ended").tally,
        plan,
    };
    if !report.wrong().is_empty() {
        eprintln!("{}", process.log());
    }
    report.write();
    report
}

/// Starts all clients.
fn start(tasks: &mut JoinSet<()>, plan: &Plan, site: &Arc<Site>, random: &mut Random) {
    let steady = PIPES.0 * PIPES.1 + LINKS.0 * LINKS.1;
    let each = Duration::from_secs_f64(f64::from(steady) / plan.rate);
    for number in 0..=PIPES.0 {
        let (site, random) = (Arc::clone(site), random.fork());
        let (route, batch) = if number == 0 {
            (Route::Flaky, FLAKY)
        } else {
            (Route::Steady, PIPES.1)
        };
        tasks.spawn(async move { http1::load(&site, random, route, batch as usize, each).await });
    }
    for number in 0..=LINKS.0 {
        let (site, random) = (Arc::clone(site), random.fork());
        let (route, batch) = if number == 0 {
            (Route::Flaky, FLAKY)
        } else {
            (Route::Steady, LINKS.1)
        };
        tasks.spawn(async move { http2::load(&site, random, route, batch as usize, each).await });
    }
    for _ in 0..plan.slow {
        let (site, random) = (Arc::clone(site), random.fork());
        tasks.spawn(async move { slow::load(&site, random).await });
    }
    for number in 0..site.users.len() {
        let (site, random, rest) = (Arc::clone(site), random.fork(), plan.rest);
        tasks.spawn(async move { site.users[number].live(&site, random, rest, number % 2 == 0).await });
    }
}

/// Looks at the gateway again and again until the time is over.
async fn look(plan: &Plan, began: Instant, process: &Process, http: &reqwest::Client, site: &Site) -> Vec<Sample> {
    let mut lines = plan.out.as_ref().map(|out| {
        std::fs::create_dir_all(out).expect("the folder can be made");
        std::fs::File::create(out.join("samples.jsonl")).expect("the folder takes a file")
    });
    eprintln!("{HEAD}");
    let (mut samples, mut shown) = (Vec::new(), began);
    while began.elapsed() < plan.lasts {
        tokio::time::sleep(plan.sample_every).await;
        let sample = Sample::take(began, process, http, &site.tally).await;
        if let Some(lines) = &mut lines {
            writeln!(lines, "{}", sample.json()).expect("the folder takes a file");
        }
        if shown.elapsed() >= SHOWN {
            shown = monotonic();
            eprintln!("{sample}; wrong: {:?}", site.tally.faults());
        }
        samples.push(sample);
    }
    samples
}
