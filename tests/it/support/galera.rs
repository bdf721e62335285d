//! Private Galera clusters, of nodes on ports and in folders of their own.

use std::time::Duration;

use super::mariadb::{DURABLE, Server};
use super::process::free_address;
use super::{eventually, when};

/// Where Debian's galera-4 puts it.
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";
const USER: &str = "nobody";
/// How long a node may take to come back: it gets a whole copy of the data.
const PATIENCE: Duration = Duration::from_secs(180);

/// Starts as many nodes as there are options of theirs, and waits until they know each other. One that ends is started again.
pub(crate) async fn start(options: &[&str]) -> Vec<Server> {
    let ports: Vec<u16> = options.iter().map(|_| free_address().port()).collect();
    let all: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let mut nodes = Vec::new();
    for (port, options) in ports.iter().zip(options) {
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
                 ist.recv_addr=127.0.0.1:{incoming};gcache.size=16M;{options}"
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
        let node = Server::start_as(USER, &settings, once).await;
        is_synced(&node).await;
        // One that finds that it can't catch up ends itself, and whoever runs it starts it again.
        node.keep();
        nodes.push(node);
    }
    nodes
}

/// Waits until a node takes part.
pub(crate) async fn is_synced(node: &Server) {
    eventually(PATIENCE, "a node is synced", || async {
        let ready = node.status("wsrep_ready").await;
        let state = node.status("wsrep_local_state_comment").await;
        when(ready.as_deref() == Some("ON") && state.as_deref() == Some("Synced"))
    })
    .await;
}
