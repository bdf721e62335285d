//! The configuration as written: every value of the right kind and within the bounds of its key, defaults filled in,
//! but nothing yet held against anything else. An `Option` is a key whose default depends on others, or that has none.

mod acme;
mod audit;
mod edge;
mod http2;
mod limits;
mod resilience;
mod route;
mod server;
mod throttle;
mod tls;
mod upstream;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::units;
use crate::secret::Secret;

pub(super) use acme::Acme;
pub(super) use audit::Audit;
pub(super) use edge::{AuthCors, Cors, HeaderOperations, Maintenance, Redirect};
pub(super) use http2::Http2;
pub(super) use limits::{Limit, Limiter};
pub(super) use resilience::{Dns, Eject, Health, Retry};
pub(super) use route::Route;
pub(super) use server::Server;
pub(super) use throttle::Throttle;
pub(super) use tls::{Certificate, Tls};
pub(super) use upstream::Upstream;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) server: Server,
    pub(super) admin: Admin,
    pub(super) store: Store,
    pub(super) keys: Keys,
    pub(super) audit: Audit,
    pub(super) tokens: Tokens,
    pub(super) revocation: Revocation,
    pub(super) passwords: Passwords,
    pub(super) throttle: Throttle,
    pub(super) auth: Auth,
    pub(super) identity: Identity,
    #[serde(default)]
    pub(super) clients: Vec<Client>,
    pub(super) log: Log,
    pub(super) limiter: Limiter,
    #[serde(default)]
    pub(super) limits: Vec<Limit>,
    #[serde(default)]
    pub(super) issuers: Vec<Issuer>,
    #[serde(default)]
    pub(super) upstreams: BTreeMap<String, Upstream>,
    #[serde(default)]
    pub(super) routes: Vec<Route>,
    pub(super) tls: Tls,
    pub(super) acme: Acme,
    #[serde(default)]
    pub(super) certificates: Vec<Certificate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) listen: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    pub(super) url: Secret<String>,
    pub(super) password: Option<Secret<String>>,
    pub(super) password_file: Option<String>,
    pub(super) max_connections: u32,
    #[serde(deserialize_with = "units::duration")]
    pub(super) connect_timeout: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(super) query_timeout: Duration,
    pub(super) migrate_on_start: Option<bool>,
    #[serde(deserialize_with = "units::duration")]
    pub(super) cleanup_every: Duration,
    pub(super) cleanup_batch: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) master_key_file: Option<String>,
    pub(super) create: Option<bool>,
    #[serde(deserialize_with = "units::duration")]
    pub(super) reload_every: Duration,
    #[serde(default, deserialize_with = "units::optional_duration")]
    pub(super) rotate_every: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tokens {
    pub(super) issuer: Option<String>,
    pub(super) audience: String,
    pub(super) algorithm: String,
    #[serde(deserialize_with = "units::duration")]
    pub(super) access_ttl: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(super) refresh_ttl: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(super) session_ttl: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(super) leeway: Duration,
    pub(super) secret: Option<Secret<String>>,
    pub(super) secret_file: Option<String>,
    pub(super) cache_capacity: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revocation {
    pub(super) url: Option<Secret<String>>,
    pub(super) password: Option<Secret<String>>,
    pub(super) password_file: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) prefix: String,
    #[serde(deserialize_with = "units::duration")]
    pub(super) poll_interval: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(super) overlap: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(super) full_reread: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(super) max_staleness: Duration,
    pub(super) on_stale: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Passwords {
    pub(super) bcrypt_cost: u32,
    pub(super) min_length: usize,
    pub(super) concurrency: Option<usize>,
    pub(super) queue: usize,
    pub(super) queue_per_address: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Auth {
    pub(super) path: String,
    pub(super) signup: String,
    pub(super) docs: bool,
    #[serde(default)]
    pub(super) limits: Vec<String>,
    pub(super) verify: bool,
    pub(super) cors: AuthCors,
    pub(super) max_requests: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub(super) prefix: String,
    pub(super) forward_token: bool,
    pub(super) assertion: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    pub(super) id: Option<String>,
    pub(super) secret: Option<Secret<String>>,
    pub(super) secret_file: Option<String>,
    pub(super) allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) format: String,
    pub(super) filter: String,
    pub(super) access: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_field_names,
    reason = "the key is called so, after the `iss` of tokens"
)]
pub(super) struct Issuer {
    pub(super) name: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) audiences: Option<Vec<String>>,
    pub(super) jwks_url: Option<String>,
    pub(super) discovery: bool,
    pub(super) jwks_file: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) algorithms: Vec<String>,
    pub(super) token_types: Vec<String>,
    pub(super) role_prefix: String,
    #[serde(deserialize_with = "units::duration")]
    pub(super) refresh_every: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(super) cooldown: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(super) keep: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(super) timeout: Duration,
    pub(super) claims: IssuerClaims,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerClaims {
    pub(super) user: String,
    pub(super) email: Option<String>,
    pub(super) name: Option<String>,
    pub(super) roles: Option<String>,
}
