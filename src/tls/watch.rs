//! Keeps the certificates up to date with their files.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use super::error::TlsError;
use super::state::{Files, State};
use super::{Standing, Tls};
use crate::config;
use crate::time::Clock;

impl Tls {
    /// Reads the certificates of another configuration, without showing them yet. Blocks on files.
    pub fn load(&self, settings: &config::Tls) -> Result<State, TlsError> {
        State::load(settings, &self.tickets)
    }

    /// From now on shows these, which [`Tls::load`] has read. Connections that are open go on as they are.
    pub fn install(&self, state: State) {
        self.state.store(Arc::new(state));
        self.note(None);
    }

    /// Reads all files again, now. Whether that changed what is shown. On an error everything stays as it was, and
    /// [`Tls::trouble`] says so until the files are good again.
    pub async fn reload(self: &Arc<Self>) -> Result<bool, TlsError> {
        let _turn = self.turn.lock().await;
        let this = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            let current = this.state.load_full();
            let files = Files::read(&current.settings)?;
            if files.digest == current.digest {
                return Ok(None);
            }
            let state = State::new(&current.settings, &files, &this.tickets)?;
            Ok(Some((current, Arc::new(state))))
        });
        let read = match read.await {
            Ok(read) => read,
            // Only a bug panics, and only the end of the process cancels.
            Err(error) => Err(TlsError::setup(rustls::Error::General(error.to_string()))),
        };
        match read {
            Ok(changed) => {
                self.note(None);
                let Some((current, state)) = changed else {
                    return Ok(false);
                };
                // Of a configuration that came in the meantime all is newer.
                self.state.compare_and_swap(&current, state);
                self.reloads.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                self.note(Some(error.to_string()));
                Err(error)
            }
        }
    }

    /// Looks at the files as often as the configuration says, until told to stop.
    pub async fn run(self: Arc<Self>, clock: Clock, mut stop: watch::Receiver<bool>) {
        self.warn_of_the_end(&clock);
        loop {
            let every = self.state.load().settings.reload_every;
            if tokio::time::timeout(every, stop.wait_for(|stop| *stop)).await.is_ok() {
                return;
            }
            // What went wrong is said where it is noted.
            if let Ok(true) = self.reload().await {
                tracing::info!("certificates that have changed are shown from now on");
                self.warn_of_the_end(&clock);
            }
        }
    }

    /// Why the files can't be read at the moment, if they can't.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the files could not be read.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How often what is shown has changed with its files.
    #[must_use]
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// Notes what is wrong, or that all is well; says it once.
    fn note(&self, trouble: Option<String>) {
        let mut noted = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *noted == trouble {
            return;
        }
        if let Some(error) = &trouble {
            tracing::error!(%error, "certificates can't be read again: those before are shown");
        } else {
            tracing::info!("the files of the certificates are good again");
        }
        *noted = trouble;
    }

    fn warn_of_the_end(&self, clock: &Clock) {
        let now = clock.now();
        for certificate in self.state.load().summaries() {
            let (file, until) = (certificate.file.display(), certificate.not_after);
            match certificate.standing(now) {
                Standing::Good => {}
                Standing::EndsSoon(_) => tracing::warn!(%file, %until, "a certificate ends within 30 days"),
                Standing::Expired => tracing::warn!(%file, %until, "a certificate has expired: clients will refuse it"),
            }
        }
    }
}
