//! `routes[].request_headers` and `routes[].response_headers`.

use super::routes::Reader;
use crate::config::raw;
use crate::rules::headers::{IdentityHeaders, InvalidOperation, Operations, Side};

impl Reader<'_, '_> {
    /// What is done to the headers of one side. `with_cors`: what pages of other origins may do is said elsewhere.
    pub(super) fn operations(&mut self, side: Side, route: &raw::Route, with_cors: bool) -> Option<Operations> {
        let (table, said) = match side {
            Side::Request => ("request_headers", &route.request_headers),
            Side::Response => ("response_headers", &route.response_headers),
        };
        // A prefix that is wrong is reported where it is read.
        let identity = IdentityHeaders::new(&self.raw.identity.prefix).ok()?;
        let mut operations = Operations::default();
        let mut valid = true;
        let mut done = |reader: &mut Self, key: String, found: &str, result: Result<(), InvalidOperation>| {
            let message = match result {
                Ok(()) if with_cors && is_cors(found) => "said by cors, which replaces it".to_owned(),
                Ok(()) => return,
                Err(error) => error.to_string(),
            };
            reader.invalid(&key, message, found);
            valid = false;
        };
        for (index, name) in said.remove.iter().enumerate() {
            let result = operations.remove(side, name, &identity);
            done(self, format!("{table}.remove[{index}]"), name, result);
        }
        for (name, value) in &said.set {
            let result = operations.set(side, name, value, &identity);
            let found = shown(name, value, result);
            done(self, format!("{table}.set.{name}"), found, result);
        }
        for (name, value) in &said.add {
            let result = operations.add(side, name, value, &identity);
            let found = shown(name, value, result);
            done(self, format!("{table}.add.{name}"), found, result);
        }
        valid.then_some(operations)
    }
}

/// What is wrong of the two.
fn shown<'a>(name: &'a str, value: &'a str, result: Result<(), InvalidOperation>) -> &'a str {
    match result {
        Err(InvalidOperation::Value) => value,
        Ok(()) | Err(InvalidOperation::Name | InvalidOperation::Identity | InvalidOperation::Own) => name,
    }
}

fn is_cors(name: &str) -> bool {
    name.get(..15)
        .is_some_and(|start| start.eq_ignore_ascii_case("access-control-"))
}
