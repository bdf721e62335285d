//! Listeners and connections: accept, guard, serve, drain.

mod framing;
mod guard;
mod head;
