//! [`Manager`]: what the service manager is told (`sd_notify(3)`), where there is one that wants to be told.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use anyhow::Context;

use crate::time::monotonic_micros;

/// The service manager.
#[derive(Debug, Default)]
pub(super) struct Manager {
    socket: Option<UnixDatagram>,
    /// How often it wants a sign of life; half of what it waits.
    sign_of_life: Option<Duration>,
}

impl Manager {
    /// What `NOTIFY_SOCKET` and `WATCHDOG_USEC` of the environment say.
    pub(super) fn from_environment() -> anyhow::Result<Self> {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Ok(Self::default());
        };
        let address = match address.to_str().and_then(|address| address.strip_prefix('@')) {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&address),
        };
        let socket = address.and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        // Without a process named it is for whoever gets it.
        let ours = number("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
        let within = number("WATCHDOG_USEC").filter(|within| ours && *within > 0);
        Ok(Self {
            socket: Some(socket.context("NOTIFY_SOCKET can't be used")?),
            sign_of_life: within.map(|within| Duration::from_micros(within) / 2),
        })
    }

    /// How often it wants a sign of life, if at all.
    pub(super) const fn sign_of_life(&self) -> Option<Duration> {
        self.sign_of_life
    }

    /// We serve, by this configuration. It may have been another process that served so far.
    pub(super) fn ready(&self, generation: u64) {
        let process = std::process::id();
        self.tell(&format!(
            "READY=1\nMAINPID={process}\nSTATUS=Serving by configuration {generation}"
        ));
    }

    /// The configuration is being read; [`Self::ready`] ends it.
    pub(super) fn reloading(&self) {
        let now = monotonic_micros();
        self.tell(&format!(
            "RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=Reading the configuration"
        ));
    }

    /// The configuration was read and is not taken.
    pub(super) fn refused(&self) {
        self.tell("READY=1\nSTATUS=Serving by the configuration before: the new one was refused, the log says why");
    }

    /// We drain.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Requests in flight may finish");
    }

    /// Another process, which tells for itself, goes on.
    pub(super) fn relieved(&self) {
        self.tell("STATUS=Another process took over");
    }

    /// We live.
    pub(super) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, what: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(what.as_bytes())
            && error.kind() != io::ErrorKind::WouldBlock
        {
            tracing::debug!(%error, "the service manager can't be told");
        }
    }
}
