//! `[store]` and `[keys]`.

use std::path::{Path, PathBuf};

use super::Check;
use super::database_url::{self, DatabaseUrl, MySqlUrl};
use crate::config::error::Complaint;
use crate::config::{keys, mask, raw, typed};
use crate::secret::Secret;

pub(super) fn store(raw: &raw::Store, check: &mut Check<'_>) -> Option<typed::Store> {
    let backend = match database_url::parse(raw.url.expose()) {
        Ok(DatabaseUrl::Sqlite { path }) => sqlite(raw, &path, check),
        Ok(DatabaseUrl::MySql(url)) => mysql(raw, url, check),
        Err(message) => {
            let allowed = keys::find("store.url")
                .map(|key| key.kind.allowed())
                .unwrap_or_default();
            let complaint = Complaint::new(message)
                .found(format!("\"{}\"", mask::mask_url(raw.url.expose())))
                .allowed(allowed);
            check.wrong("store.url", complaint);
            None
        }
    }?;
    let migrate_on_start = raw.migrate_on_start.unwrap_or(is_embedded(&backend));
    Some(typed::Store {
        backend,
        max_connections: raw.max_connections,
        connect_timeout: raw.connect_timeout,
        query_timeout: raw.query_timeout,
        migrate_on_start,
        cleanup_every: raw.cleanup_every,
        cleanup_batch: raw.cleanup_batch,
    })
}

fn sqlite(raw: &raw::Store, path: &str, check: &mut Check<'_>) -> Option<typed::Backend> {
    let mut valid = true;
    for (key, is_set) in [
        ("store.password", raw.password.is_some()),
        ("store.password_file", raw.password_file.is_some()),
    ] {
        if is_set {
            check.conflict(
                key,
                "store.url",
                Complaint::new("SQLite takes no password").allowed("only with a mysql:// URL"),
            );
            valid = false;
        }
    }
    valid.then(|| typed::Backend::Sqlite(check.path("store.url", path)))
}

fn mysql(raw: &raw::Store, url: MySqlUrl, check: &mut Check<'_>) -> Option<typed::Backend> {
    let said: Vec<&str> = [
        ("store.password", raw.password.is_some()),
        ("store.password_file", raw.password_file.is_some()),
        ("store.url", url.password.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, is_set)| is_set.then_some(key))
    .collect();
    if let [first, second, ..] = said.as_slice() {
        let complaint = Complaint::new(format!("the password is also set by {second}"))
            .allowed("one of store.password, store.password_file, and a password in store.url");
        check.conflict(first, second, complaint);
        return None;
    }
    let from_file = match &raw.password_file {
        Some(file) => {
            let bytes = check.secret_file("store.password_file", file).ok()?;
            let Ok(text) = String::from_utf8(bytes) else {
                check.wrong("store.password_file", Complaint::new("the file does not hold UTF-8"));
                return None;
            };
            Some(Secret::new(text))
        }
        None => None,
    };
    Some(typed::Backend::MySql(typed::MySql {
        host: url.host,
        port: url.port,
        socket: url.socket.map(PathBuf::from),
        user: url.user,
        password: from_file.or_else(|| raw.password.clone()).or(url.password),
        database: url.database,
        tls: url.tls,
        tls_ca: url.ca.map(|path| check.path("store.url", &path)),
    }))
}

pub(super) fn keys(
    raw: &raw::Keys,
    tokens: &raw::Tokens,
    backend: &typed::Backend,
    check: &mut Check<'_>,
) -> typed::Keys {
    let secret = match (&tokens.secret, &tokens.secret_file) {
        (Some(_), _) => Some("tokens.secret"),
        (None, Some(_)) => Some("tokens.secret_file"),
        (None, None) => None,
    };
    if let (Some(_), Some(secret)) = (raw.rotate_every, secret) {
        let complaint = Complaint::new(format!("the secret that {secret} gives can't be replaced by itself"))
            .allowed("only without a shared secret");
        check.conflict("keys.rotate_every", secret, complaint);
    }
    let master_key_file = match (&raw.master_key_file, backend) {
        (Some(file), _) => check.path("keys.master_key_file", file),
        (None, typed::Backend::Sqlite(database)) => {
            database.parent().unwrap_or_else(|| Path::new("")).join("master.key")
        }
        (None, typed::Backend::MySql(_)) => check.base.join("data").join("master.key"),
    };
    typed::Keys {
        master_key_file,
        create: raw.create.unwrap_or(is_embedded(backend)),
        reload_every: raw.reload_every,
        rotate_every: raw.rotate_every,
    }
}

/// Whether the database is ours alone, and nobody else prepares it.
fn is_embedded(backend: &typed::Backend) -> bool {
    match backend {
        typed::Backend::Sqlite(_) => true,
        typed::Backend::MySql(_) => false,
    }
}
