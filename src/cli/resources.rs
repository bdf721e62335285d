//! What commands open to do their work: a runtime, the database, the signing keys.

use std::future::Future;
use std::sync::Arc;

use anyhow::Context;

use super::failure::Failure;
use super::globals::Globals;
use super::logging;
use crate::config::{self, Backend, Config};
use crate::id::UserId;
use crate::store::audit::{Actor, Event, EventKind};
use crate::store::{Store, StoreError};
use crate::time::{Clock, Timestamp};
use crate::token::{Blocklist, KeySet, MasterKey, Tokens, load_keys};

/// The configuration, the database it names, and what time it is.
pub(super) struct Opened {
    pub(super) config: Config,
    pub(super) store: Store,
    pub(super) now: Timestamp,
}

impl Opened {
    /// The store, where the next change is recorded as the operator's, about this user where there is one.
    pub(super) fn recording(&self, kind: EventKind, user: Option<UserId>) -> Store {
        let event = Event::new(kind, Actor::Operator(operator()), self.now);
        self.store.recording(Event { user, ..event })
    }
}

/// The account of the system that runs this, as far as it can be known: the number is the kernel's word, the name that of the
/// environment, with `sudo` that of whoever used it.
fn operator() -> String {
    let plain = |name: &String| {
        (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.@".contains(c))
    };
    let names = ["SUDO_USER", "USER", "LOGNAME"].into_iter();
    let name = names.filter_map(|name| std::env::var(name).ok()).find(plain);
    let number = rustix::process::getuid().as_raw();
    name.map_or_else(|| format!("uid {number}"), |name| format!("{name} (uid {number})"))
}

/// Runs asynchronous work to its end on this thread (and a few for blocking work).
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?
        .block_on(work)
}

/// Does `work` on the database, whatever its schema.
pub(super) fn with_store(
    globals: &Globals,
    work: impl AsyncFnOnce(&Opened) -> Result<(), Failure>,
) -> Result<(), Failure> {
    logging::start_quiet();
    let config = globals.load()?.config;
    block_on(async {
        let store = connect(&config.store).await?;
        store.audit_by(&config.audit);
        let opened = Opened {
            config,
            store,
            now: Clock::system().now(),
        };
        let result = work(&opened).await;
        opened.store.close().await;
        result
    })
}

/// Does `work` on the database once its schema is current: brought there first where `serve` would do so too.
pub(super) fn with_current_store(
    globals: &Globals,
    work: impl AsyncFnOnce(&Opened) -> Result<(), Failure>,
) -> Result<(), Failure> {
    with_store(globals, async |opened| {
        if opened.config.store.migrate_on_start {
            let applied = opened.store.migrate_up(opened.now).await;
            applied.context("cannot bring the schema up to date")?;
        }
        opened
            .store
            .check_schema()
            .await
            .context("the database cannot be used")?;
        work(opened).await
    })
}

/// Opens the database.
pub(super) async fn connect(config: &config::Store) -> anyhow::Result<Store> {
    Store::connect(config).await.map_err(|error| {
        let is_redis = matches!(error, StoreError::Redis(_));
        let error = anyhow::Error::new(error);
        if is_redis {
            error
        } else {
            error.context(format!("cannot open {}", place(&config.backend)))
        }
    })
}

/// The database in words, without user and password.
pub(super) fn place(backend: &Backend) -> String {
    match backend {
        Backend::Sqlite(path) => format!("SQLite file {}", path.display()),
        Backend::MySql(mysql) => match &mysql.socket {
            Some(socket) => format!("MySQL database {} at {}", mysql.database, socket.display()),
            None => format!("MySQL database {} at {}:{}", mysql.database, mysql.host, mysql.port),
        },
    }
}

/// The keys that tokens are verified with: the shared secret, or those of the database.
pub(super) async fn verifying_keys(opened: &Opened) -> anyhow::Result<KeySet> {
    let tokens = &opened.config.tokens;
    if let Some(secret) = &tokens.secret {
        return Ok(KeySet::from_secret(tokens.algorithm, secret)?);
    }
    let master = MasterKey::load(&opened.config.keys.master_key_file)?;
    Ok(load_keys(&opened.store, &master, opened.now).await?)
}

/// All that is needed to judge a token: keys, and every revocation so far.
pub(super) async fn verifier(opened: &Opened) -> anyhow::Result<Tokens> {
    let keys = verifying_keys(opened).await.context("cannot load the signing keys")?;
    let blocklist = Arc::new(Blocklist::new(&opened.config.revocation));
    let loaded = blocklist.load(&opened.store, opened.now).await;
    loaded.context("cannot load the revocations")?;
    Ok(Tokens::new(&opened.config.tokens, keys, blocklist))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MySql, MySqlTls};
    use crate::secret::Secret;

    #[test]
    fn a_database_is_named_without_its_user_and_password() {
        let mysql = MySql {
            host: "db.internal".to_owned(),
            port: 3306,
            socket: None,
            user: "ann".to_owned(),
            password: Some(Secret::new("hunter2".to_owned())),
            database: "doorward".to_owned(),
            tls: MySqlTls::Preferred,
            tls_ca: None,
        };
        let place = place(&Backend::MySql(mysql));
        assert_eq!(place, "MySQL database doorward at db.internal:3306");
    }
}
