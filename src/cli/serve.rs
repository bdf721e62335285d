//! `doorward serve`: runs the gateway until it is told to stop, then lets requests in flight finish. SIGHUP has it read
//! its configuration again.

mod announce;
mod notify;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::announce::Announcement;
use self::notify::Manager;
use super::failure::Failure;
use super::globals::Globals;
use super::logging;
use crate::config::{self, Config, Loaded};
use crate::reload::Watch;
use crate::server::{self, Inherited, Pulse, Running};
use crate::time::Clock;

pub(super) fn run(globals: &Globals) -> Result<(), Failure> {
    let Loaded { config, files, .. } = globals.load()?;
    let style = logging::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("doorward-main")
        .build()
        .context("cannot start the async runtime")?;
    let result = runtime.block_on(serve(config, files, globals, style));
    // After a second signal work may be left that would keep the runtime waiting.
    runtime.shutdown_background();
    result
}

/// Lets the process have as many open files as the system allows it: each proxied request takes two, and the usual soft
/// limit of 1024 is one of the days of `select`.
fn raise_open_files() {
    let limits = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    if limits.current != limits.maximum
        && let Err(error) = setrlimit(Resource::Nofile, wanted)
    {
        tracing::warn!(%error, allowed = limits.current, "the limit on open files can't be raised");
    }
}

async fn serve(config: Config, files: Vec<PathBuf>, globals: &Globals, style: logging::Style) -> Result<(), Failure> {
    // From here on a signal stops the gateway in order, also while it starts.
    let mut signals = Signals::listen()?;
    raise_open_files();
    let inherited = Inherited::from_service_manager().context("a socket that was passed can't be used")?;
    let manager = Arc::new(Manager::from_environment()?);
    let mut watch = Watch::new();
    watch.follow(config.server.watch, files).await;
    let announcement = Announcement::new(&config, globals);
    let mut running = tokio::select! {
        biased;
        name = signals.stop.next() => {
            tracing::info!(signal = name, "stopped before the start was complete");
            return Ok(());
        }
        running = server::start_with(config, Clock::system(), inherited) => running.context("cannot start")?,
    };
    announcement.print(&running.doors(), running.admin_address(), style);

    manager.ready(1);
    let draining = Arc::new(AtomicBool::new(false));
    let living = live(Arc::clone(&manager), running.pulse(), Arc::clone(&draining));
    let living = tokio::spawn(living);

    let name = serve_until_stopped(&mut running, &mut signals, &mut watch, globals, &manager).await;
    draining.store(true, Ordering::Relaxed);
    if !running.is_taken_over() {
        manager.stopping();
    }
    tracing::info!(
        signal = name,
        "draining: requests in flight may finish; a second signal ends them"
    );
    let result = tokio::select! {
        finished = running.drain() => {
            if finished {
                tracing::info!("stopped");
            } else {
                tracing::warn!("stopped: requests that took longer than server.drain were cut off");
            }
            Ok(())
        }
        name = signals.stop.next() => {
            tracing::warn!(signal = name, "stopped at once: requests in flight were cut off");
            Err(Failure::Reported)
        }
    };
    living.abort();
    result
}

/// Reloads when asked to, until it is time to stop, and says why it is.
async fn serve_until_stopped(
    running: &mut Running,
    signals: &mut Signals,
    watch: &mut Watch,
    globals: &Globals,
    manager: &Manager,
) -> &'static str {
    loop {
        tokio::select! {
            biased;
            name = signals.stop.next() => return name,
            () = running.until_taken_over() => {
                manager.relieved();
                return "none: another process took over";
            }
            _ = signals.reload.recv() => {}
            () = watch.changed() => tracing::info!("the configuration, or a file that it names, has changed"),
        }
        manager.reloading();
        // Given up for a signal to stop, a reload has changed nothing.
        tokio::select! {
            biased;
            name = signals.stop.next() => return name,
            taken = reload(running, watch, globals) => match taken {
                Some(generation) => manager.ready(generation),
                None => manager.refused(),
            }
        }
    }
}

/// Reads the configuration as it was read at the start, and puts it in force if it can be: gives its generation then. What
/// became of it is in the log.
async fn reload(running: &mut Running, watch: &mut Watch, globals: &Globals) -> Option<u64> {
    let load = || {
        let sources = globals.sources();
        tokio::task::spawn_blocking(move || config::load(&sources))
    };
    let mut loaded = load().await;
    // Files that are watched from now on are read again, after the first look at them: a change that comes later is noticed.
    if let Ok(Ok(Loaded { config, files, .. })) = &loaded
        && watch.follow(config.server.watch, files.clone()).await
    {
        loaded = load().await;
    }
    match loaded {
        Ok(loaded) => running.reload(loaded.map(|loaded| loaded.config)).await.ok(),
        Err(error) => {
            tracing::error!(%error, "the configuration can't be read again");
            None
        }
    }
}

/// Gives the service manager the signs of life that it wants, for as long as all workers do: a gateway of which a part hangs
/// is started again. While it drains they finish and are not asked.
async fn live(manager: Arc<Manager>, pulse: Pulse, draining: Arc<AtomicBool>) {
    let Some(every) = manager.sign_of_life() else { return };
    loop {
        if draining.load(Ordering::Relaxed) || pulse.beats(every).await || draining.load(Ordering::Relaxed) {
            manager.alive();
        } else {
            tracing::error!("a worker does not answer: the service manager gets no sign of life");
        }
        tokio::time::sleep(every / 2).await;
    }
}

/// The signals that are for us. From when they are listened for, none of them ends the process by itself.
struct Signals {
    stop: StopSignals,
    reload: Signal,
}

/// Those that ask the process to end.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            stop: StopSignals {
                terminate: listen(SignalKind::terminate())?,
                interrupt: listen(SignalKind::interrupt())?,
            },
            reload: listen(SignalKind::hangup())?,
        })
    }
}

impl StopSignals {
    /// Waits for the next one and names it.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
