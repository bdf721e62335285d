//! [`Storage`]: the folder with account and certificate.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use instant_acme::AccountCredentials;

use super::AcmeError;
use crate::config;

/// The folder. Files are of one directory URL, so that a test directory's account is never used with another.
pub(super) struct Storage {
    folder: PathBuf,
    account: PathBuf,
    certificate: PathBuf,
}

/// What the names of the files end with.
fn mark(acme: &config::Acme) -> String {
    let digest = digest(&SHA256, acme.directory_url.as_bytes());
    let beginning = digest.as_ref().first_chunk::<4>().copied().unwrap_or_default();
    format!("{:08x}", u32::from_be_bytes(beginning))
}

/// Where the certificate is, with its key in the same file: both change in one step.
pub(in crate::tls) fn certificate_file(acme: &config::Acme) -> PathBuf {
    acme.storage.join(format!("certificate-{}.pem", mark(acme)))
}

impl Storage {
    pub(super) fn open(acme: &config::Acme) -> Result<Self, AcmeError> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&acme.storage);
        made.map_err(|error| wrong(&acme.storage, error))?;
        Ok(Self {
            folder: acme.storage.clone(),
            account: acme.storage.join(format!("account-{}.json", mark(acme))),
            certificate: certificate_file(acme),
        })
    }

    /// The account, if there is one that can be read. One that can't is put aside.
    pub(super) fn account(&self) -> Result<Option<AccountCredentials>, AcmeError> {
        let text = match fs::read(&self.account) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(&self.account, error)),
        };
        if let Ok(account) = serde_json::from_slice(&text) {
            return Ok(Some(account));
        }
        let aside = self.account.with_extension("broken");
        tracing::warn!(file = %self.account.display(), aside = %aside.display(), "the ACME account can't be read: another is made");
        fs::rename(&self.account, &aside).map_err(|error| wrong(&self.account, error))?;
        Ok(None)
    }

    pub(super) fn keep_account(&self, account: &AccountCredentials) -> Result<(), AcmeError> {
        let text = serde_json::to_vec(account).map_err(|error| wrong(&self.account, error.into()))?;
        self.keep(&self.account, &text)
    }

    /// Keeps a certificate with its key.
    pub(super) fn keep_certificate(&self, pem: &str) -> Result<(), AcmeError> {
        self.keep(&self.certificate, pem.as_bytes())
    }

    /// Puts a file in place in one step, readable for the owner alone.
    fn keep(&self, path: &Path, bytes: &[u8]) -> Result<(), AcmeError> {
        let new = path.with_extension("new");
        // What a crash left behind may have other rights.
        let _ = fs::remove_file(&new);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&new, path))
            .and_then(|()| fs::File::open(&self.folder)?.sync_all());
        written.map_err(|error| wrong(path, error))
    }
}

fn wrong(path: &Path, error: io::Error) -> AcmeError {
    AcmeError::Storage(path.display().to_string(), error)
}
