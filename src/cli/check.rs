//! `doorward check`: everything that `serve` would stumble over, all of it in one go, without changing anything.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::failure::{Failure, one_line};
use super::globals::Globals;
use super::keys::count;
use super::{logging, resources};
use crate::config::{self, Backend, Config, Revocations};
use crate::issuer::Issuers;
use crate::store::{MigrationState, Redis, Store, StoreError};
use crate::time::{Clock, Timestamp};
use crate::tls::{self, Standing};
use crate::token::{KeySet, MasterKey, SealError, load_keys};

/// What one check found: a word on what is good, or the problem.
type Finding = anyhow::Result<String>;

pub(super) fn run(globals: &Globals, out: &mut dyn Write) -> Result<(), Failure> {
    logging::start_quiet();
    let config = globals.load()?.config;
    let now = Clock::system().now();
    let mut findings = vec![
        ("config", Ok(describe(&config, &globals.file))),
        (
            "log",
            logging::parse_filter(&config.log.filter)
                .map(|_| config.log.filter.clone())
                .map_err(anyhow::Error::msg),
        ),
    ];
    let ((store, keys), redis) =
        resources::block_on(async { Ok((store_and_keys(&config, now).await, redis(&config).await)) })?;
    findings.extend(unverified(&config).map(|finding| ("tls", Ok(finding))));
    findings.push(("store", store));
    findings.extend(redis.map(|redis| ("redis", redis)));
    findings.extend(certificates(&config, now).map(|finding| ("tls", finding)));
    if let Some(clients) = tls::inspect_clients(&config.tls) {
        let good = clients.map(|()| "the certificates of clients can be verified".to_owned());
        findings.push(("tls", good.map_err(anyhow::Error::new)));
    }
    findings.extend(shown_to_upstreams(&config, now).map(|finding| ("tls", Ok(finding))));
    if let Some(acme) = &config.tls.acme {
        let good =
            tls::inspect_authority(acme).map(|()| format!("the authority at {} can be asked", acme.directory_url));
        findings.push(("tls", good.map_err(anyhow::Error::new)));
    }
    findings.push(("keys", keys));
    findings.extend(resources::block_on(async { Ok(issuers(&config, now).await) })?);

    let mut problems = 0;
    for (what, finding) in findings {
        match finding {
            Ok(good) => writeln!(out, "ok       {what:<7} {good}")?,
            Err(problem) => {
                problems += 1;
                writeln!(out, "problem  {what:<7} {}", one_line(&problem))?;
            }
        }
    }
    if problems == 0 { Ok(()) } else { Err(Failure::Reported) }
}

fn describe(config: &Config, file: &Path) -> String {
    let (routes, upstreams) = (config.routes.len(), config.upstreams.len());
    format!(
        "{}: {}, {}",
        file.display(),
        count(routes, "route"),
        count(upstreams, "upstream")
    )
}

/// The upstreams whose servers anybody can play.
fn unverified(config: &Config) -> impl Iterator<Item = String> {
    let unverified = config.upstreams.iter().filter(|upstream| upstream.tls.skip_verify);
    unverified.map(|upstream| {
        format!(
            "{}: warning: tls_skip_verify: its servers need not prove who they are",
            upstream.name
        )
    })
}

async fn store_and_keys(config: &Config, now: Timestamp) -> (Finding, Finding) {
    if let Backend::Sqlite(path) = &config.store.backend
        && !path.exists()
    {
        return (absent_file(path), keys(config, None, now).await);
    }
    // Redis is looked at by itself.
    let database = config::Store {
        revocations: Revocations::Database,
        ..config.store.clone()
    };
    match resources::connect(&database).await {
        Ok(store) => {
            let (schema, current) = schema(&store, config).await;
            let keys = keys(config, current.then_some(&store), now).await;
            store.close().await;
            (schema, keys)
        }
        Err(error) => (Err(error), keys(config, None, now).await),
    }
}

/// Whether the Redis that keeps the revocations, if one does, is there, lets us in, and may be used.
async fn redis(config: &Config) -> Option<Finding> {
    let Revocations::Redis(redis) = &config.store.revocations else {
        return None;
    };
    let reached = Redis::connect(redis, config.store.connect_timeout).await;
    Some(
        reached
            .map(|redis| format!("revocations are kept at {}", redis.place()))
            .map_err(anyhow::Error::new),
    )
}

/// An SQLite file that is not there is fine where `serve` could make it.
fn absent_file(path: &Path) -> Finding {
    let parent = path
        .ancestors()
        .skip(1)
        .find(|parent| parent.as_os_str().is_empty() || parent.exists());
    let is_directory = parent.is_some_and(|parent| parent.as_os_str().is_empty() || parent.is_dir());
    anyhow::ensure!(
        is_directory,
        "{} cannot be made: it would lie below a file",
        path.display()
    );
    Ok(format!(
        "SQLite file {} is not there yet: serve makes it",
        path.display()
    ))
}

/// The state of the schema, and whether the tables are there to be read.
async fn schema(store: &Store, config: &Config) -> (Finding, bool) {
    let place = resources::place(&config.store.backend);
    match store.check_schema().await {
        Ok(()) => (Ok(format!("{place}: the schema is current")), true),
        Err(StoreError::SchemaBehind { .. } | StoreError::SchemaHalfApplied { .. })
            if config.store.migrate_on_start =>
        {
            let pending = store.migration_status().await;
            let pending = pending.map(|states| count_pending(&states));
            let finding = pending
                .map(|pending| format!("{place}: serve applies {} first", count(pending, "migration")))
                .with_context(|| format!("cannot read the migrations of the {place}"));
            (finding, false)
        }
        Err(error) => (Err(anyhow::Error::new(error).context(place)), false),
    }
}

fn count_pending(states: &[MigrationState]) -> usize {
    states.iter().filter(|state| state.applied_at.is_none()).count()
}

/// Whether there is a key to sign with, or will be. `store` is `None` where its keys can't be read (yet).
async fn keys(config: &Config, store: Option<&Store>, now: Timestamp) -> Finding {
    let tokens = &config.tokens;
    if let Some(secret) = &tokens.secret {
        KeySet::from_secret(tokens.algorithm, secret)?;
        return Ok(format!("shared secret for {}", tokens.algorithm.as_str()));
    }
    let path = &config.keys.master_key_file;
    let sealed = match store {
        Some(store) => store.keys().await.context("cannot read the keys")?.len(),
        None => 0,
    };
    let master = match MasterKey::load(path) {
        Ok(master) => master,
        Err(SealError::Missing(_)) if sealed == 0 && config.keys.create => {
            return Ok(format!(
                "master key {} is not there yet: serve makes it",
                path.display()
            ));
        }
        Err(error @ SealError::Missing(_)) if sealed == 0 => {
            return Err(anyhow::Error::new(error).context("run `doorward keys create`"));
        }
        Err(error) => return Err(error.into()),
    };
    match store {
        Some(store) if sealed > 0 => {
            let keys = load_keys(store, &master, now).await?;
            anyhow::ensure!(
                keys.can_assert(now) || !config.routes.iter().any(|route| route.assertion),
                "routes with `assertion` need a signing key with a public half, and none signs yet: `doorward keys rotate` \
                 makes one"
            );
            Ok(format!(
                "{} with master key {}",
                count(keys.len(), "signing key"),
                path.display()
            ))
        }
        Some(_) if !config.keys.create => Err(anyhow::anyhow!("there is no signing key: run `doorward keys create`")),
        Some(_) => Ok(format!(
            "master key {}; serve makes the first signing key",
            path.display()
        )),
        None => Ok(format!("master key {}", path.display())),
    }
}

/// Each certificate: whether it can be shown, and until when. One that ends is no reason not to start.
fn certificates(config: &Config, now: Timestamp) -> impl Iterator<Item = Finding> {
    tls::inspect(&config.tls).into_iter().map(move |read| {
        let certificate = read?;
        let (file, until) = (certificate.file.display(), certificate.not_after);
        let addresses = certificate.addresses.iter().map(ToString::to_string);
        let names: Vec<String> = certificate.names.iter().cloned().chain(addresses).collect();
        let names = if names.is_empty() {
            "no name".to_owned()
        } else {
            names.join(", ")
        };
        Ok(match certificate.standing(now) {
            Standing::Good => format!("{file}: for {names}, until {until}"),
            Standing::EndsSoon(left) => format!("{file}: warning: ends in {}, at {until}: for {names}", days(left)),
            Standing::Expired => format!("{file}: warning: has expired at {until}: for {names}"),
        })
    })
}

/// What upstreams are shown that ask for a certificate, and until when. The files were read with the configuration.
fn shown_to_upstreams(config: &Config, now: Timestamp) -> impl Iterator<Item = String> {
    config.upstreams.iter().filter_map(move |upstream| {
        let until = tls::valid_until(upstream.tls.client.as_ref()?.chain.first()?)?;
        let name = &upstream.name;
        Some(match Standing::of(until, now) {
            Standing::Good => format!("{name}: shows its servers a certificate, until {until}"),
            Standing::EndsSoon(left) => {
                format!(
                    "{name}: warning: what it shows its servers ends in {}, at {until}",
                    days(left)
                )
            }
            Standing::Expired => format!("{name}: warning: what it shows its servers has expired at {until}"),
        })
    })
}

fn days(left: Duration) -> String {
    count(usize::try_from(left.as_secs() / 86_400).unwrap_or_default(), "day")
}

/// Whether the other issuers can be used. One that does not answer now may do so later, and keeps no gateway from starting.
async fn issuers(config: &Config, now: Timestamp) -> Vec<(&'static str, Finding)> {
    if config.issuers.is_empty() {
        return Vec::new();
    }
    let issuers = match Issuers::new(&config.issuers, None, now).await {
        Ok(issuers) => issuers,
        Err(error) => return vec![("issuer", Err(error.into()))],
    };
    let mut findings = Vec::new();
    for issuer in issuers.iter() {
        let name = &issuer.config().name;
        let said = match issuer.fetch(now).await {
            Ok(()) if issuer.held() == 0 => {
                format!("{name}: warning: it has no key that can be used: see `algorithms`")
            }
            Ok(()) => format!("{name}: {}", count(issuer.held(), "key")),
            Err(error) => format!("{name}: warning: no keys now: {}", one_line(&error.into())),
        };
        findings.push(("issuer", Ok(said)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_below_a_file_cannot_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(absent_file(&dir.path().join("a/b/doorward.db")).is_ok());
        assert!(absent_file(Path::new("data-that-is-not-there/doorward.db")).is_ok());
        assert!(absent_file(&file.join("doorward.db")).is_err());
    }
}
