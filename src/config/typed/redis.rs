//! Where revocations are kept, the part of `[revocation]` that the store takes; and how a Redis is reached.

use std::path::PathBuf;

use crate::secret::Secret;

/// Where revocations are kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Revocations {
    /// In the database, beside the users.
    Database,
    /// In a Redis or Valkey (`revocation.url`).
    Redis(Redis),
}

/// How to reach Redis, and what its keys begin with.
#[derive(Clone, Debug, PartialEq)]
pub struct Redis {
    /// Host name or address (default `localhost`).
    pub host: String,
    /// TCP port (default 6379).
    pub port: u16,
    /// Whether and how to use TLS.
    pub tls: RedisTls,
    /// The user to log in as; `None`: Redis' user `default`.
    pub user: Option<String>,
    /// The password, from the URL, or the section's `password` or `password_file`; `None`: no login.
    pub password: Option<Secret<String>>,
    /// The number of the database (default 0).
    pub database: u32,
    /// What the keys begin with: 1 to 64 characters of `A-Z a-z 0-9 - _ . :` (default `doorward`).
    pub prefix: String,
}

/// Whether and how to use TLS with Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisTls {
    /// Not at all (`redis://`).
    Off,
    /// Always (`rediss://`), the certificate and its name verified against what the system trusts.
    System,
    /// The same against the authority in this PEM file alone.
    Authority(PathBuf),
}
