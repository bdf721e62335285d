//! Streams and tunnels: what is relayed as it comes, and what ends with its token.

mod ended;
mod sockets;
mod support;
mod tunnels;
mod upgrades;
