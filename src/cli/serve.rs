//! `doorward serve`: runs the gateway until it is told to stop, then lets requests in flight finish.

mod announce;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::announce::Announcement;
use super::failure::Failure;
use super::globals::Globals;
use super::logging;
use crate::config::Config;
use crate::server;
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
    let announcement = Announcement::new(&config, globals);
    let running = tokio::select! {
        biased;
        name = signals.next() => {
            tracing::info!(signal = name, "stopped before the start was complete");
            return Ok(());
        }
        running = server::start(config, Clock::system()) => running.context("cannot start")?,
    };
    announcement.print(running.addresses(), running.admin_address(), style);

    let name = signals.next().await;
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
        name = signals.next() => {
            tracing::warn!(signal = name, "stopped at once: requests in flight were cut off");
            Err(Failure::Reported)
        }
    }
}

/// The signals that ask the process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one and names it.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
