//! The proxy path, over raw sockets on both sides.

mod answers;
mod bodies;
mod edges;
mod headers;
mod interim;
mod limits;
mod upstreams;
