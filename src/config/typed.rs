//! The configuration once it is valid. A value of these types needs no further check.

mod acme;
mod algorithm;
mod audit;
mod client;
mod edge;
mod http2;
mod issuer;
mod limits;
mod redis;
mod resilience;
mod route;
mod server;
mod streams;
mod throttle;
mod tls;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use acme::{Acme, AcmeChallenge};
pub use audit::Audit;
pub use edge::{Edge, Maintenance, UpstreamHost};
pub use http2::Http2;
pub use limits::{Limit, LimitBy, Limiter};
pub use redis::{Redis, RedisTls, Revocations};
pub use resilience::{Balance, Caps, Dns, Ejection, HashBy, HealthChecks, Resilience, Retry, Statuses};
pub use route::Route;
pub use server::{ProxyProtocol, Server};
pub use streams::{OnTokenEnd, Streams};
pub use throttle::Throttle;
pub use tls::{CertificateFiles, ClientAuth, Tls, TlsVersion};
pub use upstream::{ClientCertificate, Scheme, ServerAddress, Upstream, UpstreamTls, certificate_name};

use crate::rules::cors::Cors;
use crate::secret::Secret;

pub use algorithm::Algorithm;
pub use client::{Client, ClientPermission};
pub use issuer::{FetchUrl, InvalidFetchUrl, Issuer, IssuerClaims, KeySource, TokenTypes};

/// All that the gateway is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The public listener and its limits.
    pub server: Server,
    /// The private listener.
    pub admin: Admin,
    /// Where users, sessions, keys and revocations are kept.
    pub store: Store,
    /// How signing keys are sealed.
    pub keys: Keys,
    /// What is recorded of what happens to accounts, sessions and keys.
    pub audit: Audit,
    /// What tokens say and how long they live.
    pub tokens: Tokens,
    /// How revocations spread.
    pub revocation: Revocation,
    /// How passwords are judged and hashed.
    pub passwords: Passwords,
    /// The endpoints that we own.
    pub auth: Auth,
    /// The headers that tell an upstream who a request comes from.
    pub identity: IdentityHeaders,
    /// Other services that may ask about tokens or revoke them.
    pub clients: Vec<Client>,
    /// Logs.
    pub log: Log,
    /// How clients are counted.
    pub limiter: Limiter,
    /// How many requests may come from whom; [`Route::limits`] and [`Auth::limits`] are indices into this.
    pub limits: Vec<Limit>,
    /// How guesses are slowed down.
    pub throttle: Throttle,
    /// Others whose tokens are accepted on routes that name them, in the order of the file.
    pub issuers: Vec<Issuer>,
    /// The upstreams, by the order of their names; [`Route::upstream`] is an index into this.
    pub upstreams: Vec<Upstream>,
    /// The routes, in the order of the file. At least one.
    pub routes: Vec<Route>,
    /// HTTPS and its certificates.
    pub tls: Tls,
}

/// `[admin]`
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where health, readiness and metrics are served, never on a public listener (default `127.0.0.1:9090`); `None`
    /// (an empty string in the file) turns them off.
    pub listen: Option<SocketAddr>,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Which database, and where.
    pub backend: Backend,
    /// Where revocations are kept.
    pub revocations: Revocations,
    /// The most connections to the database (default 10; 1 to 10,000).
    pub max_connections: u32,
    /// How long a connection may take to be made or to become free (default 5 s; 10 ms to 1 h).
    pub connect_timeout: Duration,
    /// How long one query or transaction may take (default 5 s; 10 ms to 1 h).
    pub query_timeout: Duration,
    /// Whether `serve` applies migrations itself (default: SQLite true, MySQL false).
    pub migrate_on_start: bool,
    /// How often expired rows are removed (default 60 s; 100 ms to 1 d).
    pub cleanup_every: Duration,
    /// How many rows one statement of a clean-up removes at the most (default 1000; 1 to 100,000).
    pub cleanup_batch: u32,
}

/// Which database.
#[derive(Clone, Debug, PartialEq)]
pub enum Backend {
    /// A file, made when it is not there. The path is absolute or relative to the working directory.
    Sqlite(PathBuf),
    /// MySQL or MariaDB.
    MySql(MySql),
}

/// How to reach MySQL or MariaDB.
#[derive(Clone, Debug, PartialEq)]
pub struct MySql {
    /// Host name or address (default `localhost`).
    pub host: String,
    /// TCP port (default 3306).
    pub port: u16,
    /// A Unix socket instead of host and port (`?socket=/run/mysqld/mysqld.sock`).
    pub socket: Option<PathBuf>,
    /// The user to log in as. Not empty.
    pub user: String,
    /// The password, from the URL, `store.password` or `store.password_file`.
    pub password: Option<Secret<String>>,
    /// The database (schema) name.
    pub database: String,
    /// `?tls=disabled|preferred|required|verify-ca|verify-identity` (default preferred).
    pub tls: MySqlTls,
    /// `?ca=/path/to/ca.pem`
    pub tls_ca: Option<PathBuf>,
}

/// How much TLS to ask of MySQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MySqlTls {
    /// Never.
    Disabled,
    /// Where the server offers it.
    Preferred,
    /// Always, the certificate not verified.
    Required,
    /// Always, the certificate's issuer verified.
    VerifyCa,
    /// Always, the certificate's issuer and name verified.
    VerifyIdentity,
}

/// `[keys]`
#[derive(Clone, Debug, PartialEq)]
pub struct Keys {
    /// The master key: 32 bytes in hex (64 digits) or base64 in this file. On SQLite it is made there when it is
    /// missing. Default: `master.key` in the directory of the SQLite file; on MySQL `data/master.key` beside the config
    /// file.
    pub master_key_file: PathBuf,
    /// Whether a missing master key and a missing signing key may be made on start (SQLite: true, MySQL: false).
    pub create: bool,
    /// How often the signing keys are read from the store again (default 5 s; 100 ms to 1 min).
    pub reload_every: Duration,
    /// How long a signing key signs before another replaces it by itself (default: for good; 1 h to 365 d). Never with
    /// [`Tokens::secret`].
    pub rotate_every: Option<Duration>,
}

/// `[tokens]`
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The `iss` of our tokens, and the issuer of the metadata: an `http` or `https` URL without query and fragment
    /// (default `http://`, the first listener, and [`Auth::path`]).
    pub issuer: String,
    /// The `aud` of our tokens: 1 to 255 printable ASCII characters (default `doorward`).
    pub audience: String,
    /// The algorithm of keys that we make (default `EdDSA`).
    pub algorithm: Algorithm,
    /// How long an access token lives (default 15 min; 1 s to 24 h).
    pub access_ttl: Duration,
    /// How long a refresh token lives unused (default 7 d; 1 s to 365 d).
    pub refresh_ttl: Duration,
    /// How long a session lives at the most (default 30 d; 1 s to 365 d).
    pub session_ttl: Duration,
    /// How far clocks may differ when `exp` and `nbf` are judged (default 5 s; 0 to 5 min).
    pub leeway: Duration,
    /// A shared HS* secret in place of stored keys, at least 32, 48 or 64 bytes by the algorithm (RFC 7518, section
    /// 3.2). Only with an HS* algorithm. Tokens without a `kid` are then accepted.
    pub secret: Option<Secret<Vec<u8>>>,
    /// How many verified tokens are remembered (default 100,000; 0 to 100,000,000).
    pub cache_capacity: u64,
}

/// `[revocation]`
#[derive(Clone, Debug, PartialEq)]
pub struct Revocation {
    /// How often new revocations are asked for (default 500 ms; 10 ms to 1 min). RFC 7009 leaves the delay open.
    pub poll_interval: Duration,
    /// How far back, by the database's `blocked_at`, each poll reads again, since ids become visible out of order
    /// (default 30 s; 1 s to 1 h).
    pub overlap: Duration,
    /// How often everything is read again (default 60 s; 1 s to 1 d, at least `poll_interval`).
    pub full_reread: Duration,
    /// How long polls may fail before guarded routes answer 503 (default 10 s; 100 ms to 1 h, more than
    /// `poll_interval`).
    pub max_staleness: Duration,
    /// What happens then.
    pub on_stale: OnStale,
}

/// What guarded routes do when revocations are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStale {
    /// Answer 503: what can't be known is not allowed.
    Refuse,
    /// Decide by what was known last: the operator prefers an open door to a closed one.
    Allow,
}

/// `[passwords]`
#[derive(Clone, Debug, PartialEq)]
pub struct Passwords {
    /// bcrypt's cost (default 12; 4 to 16): each step doubles the time of one hash.
    pub bcrypt_cost: u32,
    /// The fewest characters of a new password (default 8; 8 to 72).
    pub min_length: usize,
    /// How many hashes run at once (default: one per core; 1 to 1024).
    pub concurrency: usize,
    /// How many wait for their turn before the answer is 503 (default 64; 0 to 100,000).
    pub queue: usize,
    /// How many of both may be for one address (default: half; 1 to 100,000).
    pub queue_per_address: usize,
}

/// `[auth]`
#[derive(Clone, Debug)]
pub struct Auth {
    /// Where the endpoints live: starts with `/`, does not end with one, at least one plain segment (default `/auth`).
    pub path: String,
    /// Who makes accounts.
    pub signup: Signup,
    /// Whether `/auth/docs` and `/auth/openapi.json` are served (default true).
    pub docs: bool,
    /// Which limits all requests to them count against: indices into [`Config::limits`], each once, none by user.
    pub limits: Vec<usize>,
    /// Whether `/auth/verify` answers trusted proxies (default false). Only with [`Server::trusted_proxies`].
    pub verify: bool,
    /// Which other origins' pages may use the endpoints (default: none).
    pub cors: Option<Cors>,
    /// The most requests to them at once (default: no limit).
    pub max_requests: Option<usize>,
}

/// Who makes accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signup {
    /// Anybody.
    Open,
    /// The operator, by `doorward users add`.
    Closed,
}

/// `[identity]`
#[derive(Clone, Debug)]
pub struct IdentityHeaders {
    /// What the identity headers begin with, lower-case, ending in `-` (default `x-auth-`).
    pub prefix: String,
    /// Whether the upstream gets `Authorization` (default false).
    pub forward_token: bool,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// How log lines look.
    pub format: LogFormat,
    /// A level (`info`, the default) or directives such as `info,doorward::proxy=debug`.
    pub filter: String,
    /// Whether each request gets a line (default true).
    pub access: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}
