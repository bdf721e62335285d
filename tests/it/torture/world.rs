//! What stands below the gateways: the servers that they need, and that may be hurt.

use futures_util::future::BoxFuture;

use crate::support::mariadb::{DURABLE, Database, Server};

/// A server that gateways depend on.
pub(super) trait Victim: Send + Sync {
    /// Whether this gateway depends on it.
    fn serves(&self, gateway: usize) -> bool;
    /// Stops its clock (SIGSTOP).
    fn freeze(&self);
    /// Lets it go on (SIGCONT), and waits until it serves.
    fn thaw(&self) -> BoxFuture<'_, ()>;
    /// Ends it as a power cut would (SIGKILL).
    fn kill(&self);
    /// Starts it again after that, and waits until it serves.
    fn revive(&self) -> BoxFuture<'_, ()>;
}

/// Everything below the gateways. Where revocations are kept elsewhere than in the database, `toml` says so to the gateways,
/// and that server is one more of the victims.
pub(super) struct World {
    /// What the report calls it.
    pub(super) name: &'static str,
    /// `store.url` of the gateways, in turn.
    pub(super) urls: Vec<String>,
    /// More configuration, the same for every gateway.
    pub(super) toml: String,
    /// What may be hurt, one at a time.
    pub(super) victims: Vec<Box<dyn Victim>>,
}

impl World {
    /// One MariaDB that keeps what it answered.
    pub(super) async fn mariadb() -> Self {
        let server = Server::start_with(&DURABLE).await;
        let database = Database::create_in(&server).await;
        Self {
            name: "one MariaDB",
            urls: vec![database.url()],
            toml: String::new(),
            victims: vec![Box::new(server)],
        }
    }
}

impl Victim for Server {
    fn serves(&self, _: usize) -> bool {
        true
    }

    fn freeze(&self) {
        Self::freeze(self);
    }

    fn thaw(&self) -> BoxFuture<'_, ()> {
        Self::thaw(self);
        Box::pin(std::future::ready(()))
    }

    fn kill(&self) {
        Self::kill(self);
    }

    fn revive(&self) -> BoxFuture<'_, ()> {
        Box::pin(Self::revive(self))
    }
}
