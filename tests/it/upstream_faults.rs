//! Servers of others as upstreams, which are killed, stopped and reloaded while clients of others keep them busy.

mod dead;
mod load;
mod reloaded;
mod stalled;

use std::net::SocketAddr;

/// An upstream with these servers and settings, and an open route to it: every path.
fn route_to(servers: &[SocketAddr], settings: &str) -> String {
    let servers: Vec<String> = servers.iter().map(|address| format!("http://{address}")).collect();
    format!(
        "[server]\nh2c = true\n[upstreams.app]\nservers = {servers:?}\n{settings}\n\
         [[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\n"
    )
}
