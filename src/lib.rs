//! Doorward: a reverse-proxy authentication gateway in one binary.
//!
//! The module map below is the architecture. Imports run downward only, which `tests/it/layers.rs` enforces:
//!
//! * L4, the process: [`cli`], [`server`], [`gateway`], [`reload`], [`admin`]
//! * L3, requests: [`auth`] (the endpoints that we own) and [`proxy`] (the pipeline), which never import each other
//! * L2, resources: [`token`], [`issuer`], [`store`], [`upstream`], [`limiter`], [`password`], [`tls`], [`redis`], [`log`],
//!   [`lasting`]
//! * L1, rules without async or network: [`config`], [`rules`], [`problem`], [`metrics`]
//! * L0, values: [`chain`], [`id`], [`json`], [`secret`], [`time`]

pub mod chain;
pub mod id;
pub mod json;
pub mod secret;
pub mod time;

pub mod config;
pub mod metrics;
pub mod problem;
pub mod rules;

pub mod issuer;
pub mod lasting;
pub mod limiter;
pub mod log;
pub mod password;
pub mod redis;
pub mod store;
pub mod tls;
pub mod token;
pub mod upstream;

pub mod auth;
pub mod proxy;

pub mod admin;
pub mod cli;
pub mod gateway;
pub mod reload;
pub mod server;
