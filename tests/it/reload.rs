//! A configuration changes while requests are on their way, and none of them notices.

mod database;
mod handover;
mod listeners;
mod load;
mod overlap;
mod parts;
mod refused;
mod supervised;
mod swap;
mod tokens;
mod under_load;
mod watched;
