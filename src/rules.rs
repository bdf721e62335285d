//! What decides about a request, as pure code: no async, no clock, no network.
//!
//! [`path`] and [`host`] read a request target in the one way that the rest relies on, [`route`] finds the route,
//! [`policy`] says who may pass, [`headers`] makes what the upstream and the client see. All of it runs once per proxied
//! request, so nothing here allocates in the usual case, but for the header values that it must write. [`proxy_protocol`]
//! runs once per connection, [`throttle`] once per login.

pub mod bearer;
pub mod claim_path;
pub mod cors;
pub mod gcra;
pub mod headers;
pub mod host;
pub mod original;
pub mod path;
pub mod policy;
pub mod proxy_protocol;
pub mod redirect;
pub mod rewrite;
pub mod route;
pub mod security;
pub mod throttle;
pub mod trace_context;
