//! `doorward keys list`.

use std::io::Write;

use anyhow::Context;
use serde_json::json;

use super::table;
use crate::cli::failure::Failure;
use crate::cli::resources::Opened;
use crate::store::StoredKey;
use crate::time::Timestamp;
use crate::token::key_states;

pub(super) async fn list(opened: &Opened, all: bool, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let keys = if all {
        opened.store.keys_ever().await
    } else {
        opened.store.keys().await
    };
    print(&keys.context("cannot read the keys")?, opened.now, json, out)
}

fn print(keys: &[StoredKey], now: Timestamp, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let states = key_states(keys, now);
    let keys = keys.iter().zip(states);
    if json {
        let rows: Vec<_> = keys
            .map(|(key, state)| {
                let public = key.public_jwk.as_deref().and_then(|jwk| serde_json::from_str(jwk).ok());
                json!({
                    "kid": key.kid.as_str(),
                    "algorithm": key.algorithm.as_str(),
                    "state": state.as_str(),
                    "not_before": key.not_before.to_string(),
                    "retires_at": key.retires_at.map(|at| at.to_string()),
                    "deleted_at": key.deleted_at.map(|at| at.to_string()),
                    "public_jwk": public.unwrap_or(serde_json::Value::Null),
                })
            })
            .collect();
        return Ok(writeln!(out, "{:#}", json!(rows))?);
    }
    let rows: Vec<_> = keys
        .map(|(key, state)| {
            let retires = key.retires_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
            let columns = [key.kid.as_str(), key.algorithm.as_str(), state.as_str()].map(str::to_owned);
            let [kid, algorithm, state] = columns;
            [kid, algorithm, state, key.not_before.to_string(), retires]
        })
        .collect();
    table::print(out, ["KID", "ALGORITHM", "STATE", "SIGNS FROM", "RETIRES"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Algorithm;

    #[test]
    fn a_list_tells_what_each_key_is_for_and_nothing_of_its_private_part() {
        let key = |kid: &str, not_before, retires_at| StoredKey {
            kid: kid.parse().unwrap(),
            algorithm: Algorithm::EdDsa,
            private_sealed: b"private".to_vec(),
            public_jwk: None,
            not_before: Timestamp::from_unix_seconds(not_before),
            retires_at,
            deleted_at: None,
        };
        let keys = [
            key("old", 10, Some(Timestamp::from_unix_seconds(90_000))),
            key("new", 20, None),
        ];
        let mut out = Vec::new();
        for json in [false, true] {
            print(&keys, Timestamp::from_unix_seconds(15), json, &mut out).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        for word in ["EdDSA", "signing", "waiting", "1970-01-02T01:00:00Z"] {
            assert_eq!(
                text.matches(word).count(),
                if word == "EdDSA" { 4 } else { 2 },
                "{word}: {text}"
            );
        }
        assert!(!text.contains("sealed") && !text.contains("private"), "{text}");
    }
}
