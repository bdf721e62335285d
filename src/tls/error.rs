use std::io;
use std::path::{Path, PathBuf};

/// Why certificates can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be used.
    #[error("{key} {}: {why}", path.display())]
    File {
        /// The key of the configuration that names it.
        key: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: Why,
    },
    /// The library refuses.
    #[error("TLS can't be set up: {0}")]
    Setup(rustls::Error),
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// It can't be read.
    #[error("{0}")]
    Read(io::Error),
    /// It is larger than anything of its kind.
    #[error("larger than {} KiB", super::file::MAX_BYTES / 1024)]
    TooLarge,
    /// It holds nothing.
    #[error("the file is empty")]
    Empty,
    /// It is not PEM, or holds no certificate.
    #[error("no certificate in PEM in it")]
    NoCertificate,
    /// The certificate can't be read.
    #[error("its certificate can't be read: {0}")]
    Certificate(String),
    /// It is not PEM, or holds no list of revoked certificates.
    #[error("no list of revoked certificates in PEM in it")]
    NoList,
    /// It is not PEM, or holds no private key.
    #[error("no private key in PEM in it")]
    NoKey,
    /// The private key is encrypted.
    #[error("the private key is encrypted: nobody is there to type its password when the gateway starts")]
    Encrypted,
    /// The private key is of a kind that is not spoken, or broken.
    #[error("the private key can't be used: {0}")]
    Key(rustls::Error),
    /// Certificate and key belong to others.
    #[error("this is not the private key of the certificate in {}", .0.display())]
    Mismatch(PathBuf),
}

impl TlsError {
    pub(super) fn setup(error: rustls::Error) -> Self {
        Self::Setup(error)
    }

    pub(super) fn file(key: &str, path: &Path, why: Why) -> Self {
        Self::File {
            key: key.to_owned(),
            path: path.to_owned(),
            why,
        }
    }
}
