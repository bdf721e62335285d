//! Streams and tunnels: what is relayed as it comes, and what ends with its token.

mod browser;
mod clients;
mod ended;
pub(crate) mod sockets;
mod support;
mod tunnels;
mod untaken;
mod upgrades;
