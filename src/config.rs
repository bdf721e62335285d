//! The configuration: as written ([`raw`]), then valid and ready to use ([`Config`]). Nothing below this room knows TOML.

pub mod typed;

pub use typed::*;
