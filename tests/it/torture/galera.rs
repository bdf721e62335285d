//! A Galera cluster of three nodes, each of which may be hurt, one at a time. Gateways are spread over the nodes.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::world::{Victim, World};
use crate::support::mariadb::{DURABLE, Database, Server};
use crate::support::process::free_address;
use crate::support::{eventually, when};

/// Where Debian's galera-4 puts it.
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";
const NODES: usize = 3;
const USER: &str = "nobody";
/// How long a node may take to come back: it gets a whole copy of the data.
const PATIENCE: Duration = Duration::from_secs(180);

impl World {
    /// Three nodes that know each other.
    pub(super) async fn galera() -> Self {
        let ports: Vec<u16> = (0..NODES).map(|_| free_address().port()).collect();
        let all: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut nodes = Vec::new();
        for port in &ports {
            let (incoming, copies) = (free_address().port(), free_address().port());
            let mut settings: Vec<String> = [
                // Not root, for whom rsync would become somebody who may not write here.
                format!("--user={USER}"),
                "--wsrep-on=ON".to_owned(),
                format!("--wsrep-provider={PROVIDER}"),
                format!("--wsrep-cluster-address=gcomm://{}", all.join(",")),
                "--wsrep-node-address=127.0.0.1".to_owned(),
                format!("--wsrep-node-name=node{}", nodes.len()),
                format!(
                    "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{port};\
                     ist.recv_addr=127.0.0.1:{incoming};gcache.size=16M"
                ),
                format!("--wsrep-sst-receive-address=127.0.0.1:{copies}"),
                "--wsrep-sst-method=rsync".to_owned(),
                "--binlog-format=ROW".to_owned(),
                "--innodb-autoinc-lock-mode=2".to_owned(),
            ]
            .into();
            settings.extend(DURABLE.map(str::to_owned));
            let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
            // The first one makes the cluster; when it comes back, it joins the others.
            let once = if nodes.is_empty() { "--wsrep-new-cluster" } else { "" };
            let node = Node(Server::start_as(USER, &settings, once).await);
            node.is_synced().await;
            // One that finds that it can't catch up ends itself, and whoever runs it starts it again.
            node.0.keep();
            nodes.push(node);
        }
        let database = Database::create_in(&nodes[0].0).await;
        Self {
            name: "a Galera cluster of three nodes",
            urls: nodes.iter().map(|node| database.url_on(&node.0)).collect(),
            toml: String::new(),
            victims: nodes
                .into_iter()
                .map(|node| Box::new(node) as Box<dyn Victim>)
                .collect(),
        }
    }
}

/// One node.
struct Node(Server);

impl Node {
    /// Waits until it takes part.
    async fn is_synced(&self) {
        eventually(PATIENCE, "a node is synced", || async {
            let ready = self.0.status("wsrep_ready").await;
            let state = self.0.status("wsrep_local_state_comment").await;
            when(ready.as_deref() == Some("ON") && state.as_deref() == Some("Synced"))
        })
        .await;
    }
}

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
        Box::pin(self.is_synced())
    }

    fn kill(&self) {
        self.0.kill();
    }

    fn revive(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.0.revive().await;
            self.is_synced().await;
        })
    }
}
