//! The configuration: read from defaults, file, environment and command line, then valid and ready to use ([`Config`]).
//! Nothing below this room knows TOML.
//!
//! The way of a configuration: text and variables become trees that know where each value was said (`tree`,
//! `overrides`), each is held against the one table of keys (`keys`, `schema`), figment merges them (`layers`), serde
//! reads what is then of the right kinds (`raw`), and `validate` judges the rest. Errors are gathered all the way
//! (`report`), and no secret is ever in one (`mask`, `document`).

mod document;
mod error;
mod keys;
mod layers;
mod leaf;
mod load;
mod mask;
mod overrides;
mod raw;
mod reference;
mod report;
mod schema;
mod show;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;
pub mod typed;
mod units;
mod validate;

pub use error::{ConfigError, ConfigErrors};
pub use load::{Loaded, Sources, load, parse};
pub use reference::{KeyDoc, reference, reference_markdown};
pub use show::{Origin, Setting};
pub use typed::*;
pub use units::parse_duration;
