//! `doorward keys`: the signing keys in the database.

use std::io::Write;

use anyhow::Context;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::failure::Failure;
use super::globals::Globals;
use super::resources::{Opened, with_current_store};
use super::{say, table};
use crate::config::Algorithm;
use crate::store::StoredKey;
use crate::time::Timestamp;
use crate::token::{create_key, load_or_create_master_key};

#[derive(Subcommand, Debug)]
pub(super) enum Action {
    /// Make a signing key, sealed with the master key (made too when its file is not there); prints its id
    Create {
        /// What it signs with [default: tokens.algorithm]
        #[arg(long, value_name = "ALG", value_parser = algorithm_parser())]
        algorithm: Option<Algorithm>,
    },
    /// List the signing keys; never their private parts
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

fn algorithm_parser() -> impl TypedValueParser<Value = Algorithm> {
    let names = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str());
    PossibleValuesParser::new(names).try_map(|name| Algorithm::from_name(&name).ok_or("not an algorithm"))
}

pub(super) fn run(action: &Action, globals: &Globals, out: &mut dyn Write) -> Result<(), Failure> {
    with_current_store(globals, async |opened| match action {
        Action::Create { algorithm } => create(opened, *algorithm, out).await,
        Action::List { json } => {
            let keys = opened.store.keys().await.context("cannot read the keys")?;
            list(&keys, opened.now, *json, out)
        }
    })
}

async fn create(opened: &Opened, algorithm: Option<Algorithm>, out: &mut dyn Write) -> Result<(), Failure> {
    let Opened { config, store, now } = opened;
    let algorithm = algorithm.unwrap_or(config.tokens.algorithm);
    let path = &config.keys.master_key_file;
    let existed = path.exists();
    let master = load_or_create_master_key(store, path)
        .await
        .context("cannot use the master key")?;
    if !existed {
        say(format_args!(
            "made the master key {}: keep a copy, and give the same file to every replica",
            path.display()
        ));
    }
    let kid = create_key(store, &master, algorithm, *now)
        .await
        .context("cannot create the key")?;
    say(format_args!("made a signing key for {}:", algorithm.as_str()));
    writeln!(out, "{kid}")?;
    if config.tokens.secret.is_some() {
        say("note: tokens.secret is set, so stored keys are not used");
    } else {
        say(
            "note: a running gateway signs and verifies with it only after a restart; until all replicas were restarted, \
             those that were not refuse the new tokens of those that were",
        );
    }
    Ok(())
}

fn list(keys: &[StoredKey], now: Timestamp, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        let rows: Vec<_> = keys
            .iter()
            .map(|key| {
                let public = key.public_jwk.as_deref().and_then(|jwk| serde_json::from_str(jwk).ok());
                json!({
                    "kid": key.kid.as_str(),
                    "algorithm": key.algorithm.as_str(),
                    "state": state(key, now),
                    "not_before": key.not_before.to_string(),
                    "retires_at": key.retires_at.map(|at| at.to_string()),
                    "public_jwk": public.unwrap_or(serde_json::Value::Null),
                })
            })
            .collect();
        return Ok(writeln!(out, "{:#}", json!(rows))?);
    }
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            let retires = key.retires_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
            let columns = [key.kid.as_str(), key.algorithm.as_str(), state(key, now)].map(str::to_owned);
            let [kid, algorithm, state] = columns;
            [kid, algorithm, state, key.not_before.to_string(), retires]
        })
        .collect();
    table::print(out, ["KID", "ALGORITHM", "STATE", "SIGNS FROM", "RETIRES"], &rows)
}

fn state(key: &StoredKey, now: Timestamp) -> &'static str {
    if key.retires_at.is_some_and(|at| at <= now) {
        "retired"
    } else if key.not_before > now {
        "waiting"
    } else {
        "active"
    }
}

/// `1 key`, `2 keys`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_waiting_active_or_retired() {
        let at = Timestamp::from_unix_seconds;
        let key = StoredKey {
            kid: "k".parse().unwrap(),
            algorithm: Algorithm::EdDsa,
            private_sealed: vec![7; 4],
            public_jwk: None,
            not_before: at(10),
            retires_at: Some(at(20)),
            deleted_at: None,
        };
        assert_eq!(
            [at(9), at(10), at(19), at(20)].map(|now| state(&key, now)),
            ["waiting", "active", "active", "retired"]
        );
        let mut out = Vec::new();
        list(std::slice::from_ref(&key), at(10), false, &mut out).unwrap();
        list(&[key], at(10), true, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("EdDSA") && !text.contains("sealed"), "{text}");
    }
}
