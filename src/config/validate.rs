//! From the raw configuration to the typed one: what the table of keys can't say, since it takes parsing, files or
//! other keys to judge. One module a section; everything that is wrong is reported.

mod acme;
mod auth;
mod clients;
mod cors;
mod database_url;
mod edges;
mod header_operations;
mod issuers;
mod limits;
mod maintenance;
mod paths;
mod redis;
mod redis_url;
mod resilience;
mod revocation;
mod routes;
mod server;
mod store;
mod streams;
mod throttle;
mod tls;
mod tokens;
mod upstream_tls;
mod upstreams;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::document::Document;
use super::error::Complaint;
use super::layers::Merged;
use super::report::{Place, Report};
use super::{keys, raw, typed};

/// The largest file that a secret is read from, in bytes.
const MAX_SECRET_FILE: usize = 64 * 1024;

/// Builds the typed configuration. `None` only where the report has errors.
pub(super) fn config(raw: &raw::Config, check: &mut Check<'_>) -> Option<typed::Config> {
    let server = server::server(&raw.server, &raw.tls, check);
    let tls = tls::tls(raw, server.as_ref(), check);
    let admin = server::admin(&raw.admin, server.as_ref(), tls.as_ref(), check);
    let revocations = revocation::place(&raw.revocation, check);
    let store = store::store(&raw.store, revocations, check);
    let keys = store
        .as_ref()
        .map(|store| store::keys(&raw.keys, &raw.tokens, &store.backend, check));
    let auth = auth::auth(raw, check);
    let tokens = tokens::tokens(&raw.tokens, server.as_ref().zip(tls.as_ref()), auth.as_ref(), check);
    let revocation = revocation::revocation(&raw.revocation, raw.store.query_timeout, check);
    edges::verify(raw, check);
    let identity = auth::identity(&raw.identity, check);
    let clients = clients::clients(&raw.clients, check);
    let log = auth::log(&raw.log, check);
    let limiter = limits::limiter(&raw.limiter, check);
    let limits = limits::limits(&raw.limits, check);
    let throttle = throttle::throttle(&raw.throttle, check);
    let issuers = issuers::issuers(&raw.issuers, tokens.as_ref(), check);
    let upstreams = upstreams::upstreams(&raw.upstreams, check);
    let routes = routes::routes(raw, auth.as_ref(), check);
    Some(typed::Config {
        server: server?,
        admin: admin?,
        store: store?,
        keys: keys?,
        audit: auth::audit(&raw.audit),
        tokens: tokens?,
        revocation: revocation?,
        passwords: auth::passwords(&raw.passwords),
        auth: auth?,
        identity: identity?,
        clients: clients?,
        log: log?,
        limiter: limiter?,
        limits: limits?,
        throttle: throttle?,
        issuers: issuers?,
        upstreams: upstreams?,
        routes: routes?,
        tls: tls?,
    })
}

/// What the checks share: where errors go, and where values were said.
pub(super) struct Check<'a> {
    pub(super) report: &'a mut Report,
    pub(super) merged: &'a Merged,
    pub(super) document: &'a Document,
    /// What relative paths in the file are relative to.
    pub(super) base: &'a Path,
    /// The files that the configuration names, but for those that only a restart reads.
    pub(super) files: &'a RefCell<Vec<PathBuf>>,
}

impl Check<'_> {
    /// Reports the value of `key`.
    fn wrong(&mut self, key: &str, complaint: Complaint) {
        self.report.add(&self.merged.place(key), key, complaint);
    }

    /// Reports the value of `key`, with what the table says is allowed.
    fn invalid(&mut self, key: &str, pattern: &str, message: impl Into<String>, found: &str) {
        let allowed = keys::find(pattern).map(|key| key.kind.allowed()).unwrap_or_default();
        let complaint = Complaint::new(message)
            .found(super::tree::quote(found))
            .allowed(allowed);
        self.wrong(key, complaint);
    }

    /// Reports that `first` and `second` contradict each other.
    fn conflict(&mut self, first: &str, second: &str, complaint: Complaint) {
        let also = self.merged.said(first).and(self.merged.said(second)).cloned();
        let (key, place) = match self.merged.said(first) {
            Some(place) => (first, place.clone()),
            None => (second, self.merged.place(second)),
        };
        self.report.add_with(&place, key, complaint, also.as_slice());
    }

    /// Reports that a key has to be there, unless another error explains why it is not.
    fn missing(&mut self, key: &str, pattern: &str) {
        if !self.report.has(key) {
            let allowed = keys::find(pattern).map(|key| key.kind.allowed()).unwrap_or_default();
            self.wrong(key, Complaint::new("missing").allowed(allowed));
        }
    }

    /// The path that `key` names: relative to the file where the file or a default says it, else to the working
    /// directory.
    fn path(&self, key: &str, text: &str) -> PathBuf {
        let path = match self.merged.said(key) {
            Some(Place::File(_) | Place::Nowhere) | None => self.base.join(text),
            Some(Place::Environment { .. } | Place::CommandLine { .. }) => PathBuf::from(text),
        };
        if key.ends_with("_file") && key != "keys.master_key_file" {
            self.files.borrow_mut().push(path.clone());
        }
        path
    }

    /// The line of the file that the value of `key` stands in; 0 where it stands in none.
    fn line(&self, key: &str) -> usize {
        match self.merged.place(key) {
            Place::File(at) => self.document.line_number(at),
            Place::Environment { .. } | Place::CommandLine { .. } | Place::Nowhere => 0,
        }
    }

    /// What the file that `key` names holds, without one newline at its end. Its contents are never shown.
    fn secret_file(&mut self, key: &str, text: &str) -> Result<Vec<u8>, Reported> {
        let path = self.path(key, text);
        let complaint = match read_up_to(&path, MAX_SECRET_FILE + 1) {
            Ok(bytes) if bytes.len() > MAX_SECRET_FILE => Complaint::new("the file is too large to be a secret")
                .found(format!("more in {}", path.display()))
                .allowed(format!("at most {MAX_SECRET_FILE} bytes")),
            Ok(mut bytes) => {
                if bytes.last() == Some(&b'\n') {
                    bytes.pop();
                    if bytes.last() == Some(&b'\r') {
                        bytes.pop();
                    }
                }
                if !bytes.is_empty() {
                    return Ok(bytes);
                }
                Complaint::new("the file is empty").found(path.display().to_string())
            }
            Err(error) => Complaint::new(format!("the file can't be read: {error}")).found(path.display().to_string()),
        };
        self.wrong(key, complaint);
        Err(Reported)
    }
}

/// There is no value, and the report says why.
#[derive(Debug)]
struct Reported;

/// How many threads the machine runs at once.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(1024)
}

/// The beginning of a file: one that does not end, as devices do, is not read for ever.
fn read_up_to(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    File::open(path)?.take(bytes as u64).read_to_end(&mut read)?;
    Ok(read)
}
