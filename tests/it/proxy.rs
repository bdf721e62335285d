//! The proxy path, over raw sockets on both sides.

mod answers;
mod bodies;
mod edges;
mod headers;
mod limits;
mod upstreams;
