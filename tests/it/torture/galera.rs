//! A Galera cluster of three nodes, each of which may be hurt, one at a time. Gateways are spread over the nodes.

use futures_util::future::BoxFuture;

use super::world::{Victim, World};
use crate::support::galera;
use crate::support::mariadb::{Database, Server};

impl World {
    /// Three nodes that know each other.
    pub(super) async fn galera() -> Self {
        let nodes = galera::start(&[""; 3]).await;
        let database = Database::create_in(&nodes[0]).await;
        Self {
            name: "a Galera cluster of three nodes",
            urls: nodes.iter().map(|node| database.url_on(node)).collect(),
            toml: String::new(),
            victims: nodes
                .into_iter()
                .map(|node| Box::new(Node(node)) as Box<dyn Victim>)
                .collect(),
        }
    }
}

/// One node.
struct Node(Server);

impl Victim for Node {
    // A node that stands still holds the others up until they have done without it: every gateway feels it.
    fn serves(&self, _: usize) -> bool {
        true
    }

    fn freeze(&self) {
        self.0.freeze();
    }

    fn thaw(&self) -> BoxFuture<'_, ()> {
        self.0.thaw();
        Box::pin(galera::is_synced(&self.0))
    }

    fn kill(&self) {
        self.0.kill();
    }

    fn revive(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.0.revive().await;
            galera::is_synced(&self.0).await;
        })
    }
}
