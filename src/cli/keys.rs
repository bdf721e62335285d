//! `doorward keys`: the signing keys in the database.

mod list;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser, ValueHint};

use super::failure::Failure;
use super::globals::Globals;
use super::resources::{Opened, with_current_store};
use super::{say, table};
use crate::config::{Algorithm, Config};
use crate::id::KeyId;
use crate::store::audit::EventKind;
use crate::time::Clock;
use crate::token::{
    MasterKey, NewKey, Occasion, Successor, create_key, load_or_create_master_key, reseal_keys, revoke_key, rotate_key,
};

#[derive(Subcommand, Debug)]
pub(super) enum Action {
    /// Make the first signing key, sealed with the master key (made too when its file is not there); prints its id
    Create {
        /// What it signs with [default: tokens.algorithm]
        #[arg(long, value_name = "ALG", value_parser = algorithm_parser())]
        algorithm: Option<Algorithm>,
    },
    /// List the signing keys; never their private parts
    List {
        /// Also those that were deleted in the last 30 days
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a signing key that replaces the others without a restart: published at once, it signs once every cached key set
    /// was read again; those before it verify until their last token has expired. Prints its id
    Rotate {
        /// What it signs with [default: tokens.algorithm]
        #[arg(long, value_name = "ALG", value_parser = algorithm_parser())]
        algorithm: Option<Algorithm>,
        /// Also while a key that was made before waits to sign
        #[arg(long)]
        force: bool,
    },
    /// Revoke a signing key at once, with all of its tokens; makes another where none would be left to sign
    Revoke {
        /// Its id, as `keys list` shows it
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: KeyId,
    },
    /// Seal all signing keys with another master key; then put that file in the place of the old one on each replica
    Reseal {
        /// The file of the other master key
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        new_master_key_file: PathBuf,
        /// Make that file, when it is not there, with a new master key
        #[arg(long)]
        create: bool,
    },
}

fn algorithm_parser() -> impl TypedValueParser<Value = Algorithm> {
    let names = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str());
    PossibleValuesParser::new(names).try_map(|name| Algorithm::from_name(&name).ok_or("not an algorithm"))
}

pub(super) fn run(action: &Action, globals: &Globals, out: &mut dyn Write) -> Result<(), Failure> {
    with_current_store(globals, async |opened| match action {
        Action::Create { algorithm } => create(opened, *algorithm, out).await,
        Action::List { all, json } => list::list(opened, *all, *json, out).await,
        Action::Rotate { algorithm, force } => {
            let occasion = if *force { Occasion::Forced } else { Occasion::Wanted };
            rotate(opened, *algorithm, occasion, out).await
        }
        Action::Revoke { kid } => revoke(opened, kid, out).await,
        Action::Reseal {
            new_master_key_file,
            create,
        } => reseal(opened, new_master_key_file, *create).await,
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
    let store = &opened.recording(EventKind::KeyCreated, None);
    let kid = create_key(store, &master, algorithm, *now)
        .await
        .context("cannot create the key")?;
    say(format_args!("made a signing key for {}:", algorithm.as_str()));
    writeln!(out, "{kid}")?;
    note_unused(config);
    Ok(())
}

async fn rotate(
    opened: &Opened,
    algorithm: Option<Algorithm>,
    occasion: Occasion,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Opened { config, now, .. } = opened;
    let algorithm = algorithm.unwrap_or(config.tokens.algorithm);
    let store = &opened.recording(EventKind::KeyRotated, None);
    let made = rotate_key(store, &master(config)?, algorithm, occasion, *now).await;
    let made: Option<NewKey> = made.context("cannot rotate the keys")?;
    let Some(made) = made else { return Ok(()) };
    say(format_args!(
        "made a signing key for {}; it is published now and signs from {} on;\n\
         the keys before it verify until {}, and are deleted then:",
        algorithm.as_str(),
        made.signs_from,
        made.others_retire_at
    ));
    writeln!(out, "{}", made.kid)?;
    note_unused(config);
    Ok(())
}

/// How long until every replica that runs as this configuration says has read the keys because of a revocation.
fn learned(config: &Config) -> Duration {
    config.revocation.poll_interval.min(config.keys.reload_every) + Duration::from_millis(1500)
}

async fn revoke(opened: &Opened, kid: &KeyId, out: &mut dyn Write) -> Result<(), Failure> {
    let (config, store) = (&opened.config, &opened.recording(EventKind::KeyRevoked, None));
    let (algorithm, clock) = (config.tokens.algorithm, Clock::system());
    let revoked = revoke_key(store, &master(config)?, algorithm, kid, learned(config), &clock).await;
    let successor = revoked.context("cannot revoke the key")?;
    say(format_args!(
        "revoked {kid}: every replica refuses its tokens within revocation.poll_interval and one query"
    ));
    match successor {
        Successor::Present => {}
        Successor::Hastened { kid, signs_from } => say(format_args!(
            "key {kid}, which was waiting, signs from {signs_from} on; logins wait until then"
        )),
        Successor::Made {
            kid,
            signs_from,
            bridged,
        } => {
            let until_then = if bridged {
                "the key before it signs until then"
            } else {
                "logins wait until then"
            };
            say(format_args!(
                "made a signing key for {}; it signs from {signs_from} on, and {until_then}:",
                algorithm.as_str()
            ));
            writeln!(out, "{kid}")?;
        }
    }
    note_unused(config);
    Ok(())
}

async fn reseal(opened: &Opened, new_path: &std::path::Path, create: bool) -> Result<(), Failure> {
    let Opened { config, now, .. } = opened;
    let store = &opened.recording(EventKind::KeysResealed, None);
    let old = master(config)?;
    let new = if create {
        MasterKey::load_or_create(new_path)
    } else {
        MasterKey::load(new_path)
    };
    let new = new.context("cannot use the new master key")?;
    let count = reseal_keys(store, &old, &new, *now).await;
    let count = count.context("cannot seal the keys anew")?;
    say(format_args!(
        "sealed {} with the master key {}.\n\
         Now put that file in the place of {} on every replica: those that run go on meanwhile, and read it by themselves.",
        self::count(count, "signing key"),
        new_path.display(),
        config.keys.master_key_file.display()
    ));
    Ok(())
}

fn master(config: &Config) -> anyhow::Result<MasterKey> {
    MasterKey::load(&config.keys.master_key_file).context("cannot use the master key")
}

fn note_unused(config: &Config) {
    if config.tokens.secret.is_some() {
        say("note: tokens.secret is set, so stored keys are not used");
    }
}

/// `1 key`, `2 keys`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
