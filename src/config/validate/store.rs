//! `[store]` and `[keys]`.

use std::path::{Path, PathBuf};

use super::database_url::{self, DatabaseUrl, MySqlUrl};
use super::{Check, Reported};
use crate::config::error::Complaint;
use crate::config::{keys, mask, raw, typed};
use crate::secret::Secret;

pub(super) fn store(
    raw: &raw::Store,
    revocations: Option<typed::Revocations>,
    check: &mut Check<'_>,
) -> Option<typed::Store> {
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
        revocations: revocations?,
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
    let password = password(
        &Password {
            keys: ["store.password", "store.password_file", "store.url"],
            here: raw.password.as_ref(),
            file: raw.password_file.as_deref(),
            in_url: url.password,
        },
        check,
    )
    .ok()?;
    Some(typed::Backend::MySql(typed::MySql {
        host: url.host,
        port: url.port,
        socket: url.socket.map(PathBuf::from),
        user: url.user,
        password,
        database: url.database,
        tls: url.tls,
        tls_ca: url.ca.map(|path| check.path("store.url", &path)),
    }))
}

/// The three places where a password may stand.
pub(super) struct Password<'a> {
    /// The keys of the three.
    pub(super) keys: [&'static str; 3],
    pub(super) here: Option<&'a Secret<String>>,
    pub(super) file: Option<&'a str>,
    pub(super) in_url: Option<Secret<String>>,
}

/// The password, which stands in one place at the most.
pub(super) fn password(said: &Password<'_>, check: &mut Check<'_>) -> Result<Option<Secret<String>>, Reported> {
    let [key, file_key, url_key] = said.keys;
    let set: Vec<&str> = [
        (key, said.here.is_some()),
        (file_key, said.file.is_some()),
        (url_key, said.in_url.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, is_set)| is_set.then_some(key))
    .collect();
    if let [first, second, ..] = set.as_slice() {
        let complaint = Complaint::new(format!("the password is also set by {second}"))
            .allowed(format!("one of {key}, {file_key}, and a password in {url_key}"));
        check.conflict(first, second, complaint);
        return Err(Reported);
    }
    let Some(file) = said.file else {
        return Ok(said.here.cloned().or_else(|| said.in_url.clone()));
    };
    let bytes = check.secret_file(file_key, file)?;
    let Ok(text) = String::from_utf8(bytes) else {
        check.wrong(file_key, Complaint::new("the file does not hold UTF-8"));
        return Err(Reported);
    };
    Ok(Some(Secret::new(text)))
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
