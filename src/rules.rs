//! What decides about a request, as pure code: no async, no clock, no network.

pub mod policy;
pub mod route;
