//! `doorward serve`: runs the gateway until it is told to stop, then lets requests in flight finish. SIGHUP has it read
//! its configuration again.

mod announce;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::announce::Announcement;
use super::failure::Failure;
use super::globals::Globals;
use super::logging;
use crate::config::{self, Config};
use crate::server::{self, Inherited, Running};
use crate::time::Clock;

pub(super) fn run(globals: &Globals) -> Result<(), Failure> {
    let config = globals.load()?.config;
    let style = logging::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("doorward-main")
        .build()
        .context("cannot start the async runtime")?;
    let result = runtime.block_on(serve(config, globals, style));
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

async fn serve(config: Config, globals: &Globals, style: logging::Style) -> Result<(), Failure> {
    // From here on a signal stops the gateway in order, also while it starts.
    let mut signals = Signals::listen()?;
    raise_open_files();
    let inherited = Inherited::from_service_manager().context("a socket that was passed can't be used")?;
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

    let name = serve_until_stopped(&mut running, &mut signals, globals).await;
    tracing::info!(
        signal = name,
        "draining: requests in flight may finish; a second signal ends them"
    );
    tokio::select! {
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
    }
}

/// Reloads when asked to, until a signal says to stop, and names that one.
async fn serve_until_stopped(running: &mut Running, signals: &mut Signals, globals: &Globals) -> &'static str {
    loop {
        tokio::select! {
            biased;
            name = signals.stop.next() => return name,
            () = running.until_taken_over() => return "none, another process took over",
            _ = signals.reload.recv() => {}
        }
        tracing::debug!("the configuration is read again");
        // Given up for a signal to stop, a reload has changed nothing.
        tokio::select! {
            biased;
            name = signals.stop.next() => return name,
            () = reload(running, globals) => {}
        }
    }
}

/// Reads the configuration as it was read at the start, and puts it in force if it can be.
async fn reload(running: &mut Running, globals: &Globals) {
    let sources = globals.sources();
    match tokio::task::spawn_blocking(move || config::load(&sources)).await {
        Ok(loaded) => {
            // What became of it is in the log already.
            let _ = running.reload(loaded.map(|loaded| loaded.config)).await;
        }
        Err(error) => tracing::error!(%error, "the configuration can't be read again"),
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
