//! Where attacks are played: at a gateway on each database, on its listener without TLS and on the one with.

use std::net::SocketAddr;

use doorward::server::Door;
use tokio_rustls::TlsConnector;

use super::book::Filling;
use super::replies;
use crate::support::{Account, Backend, Conversation, Reply, Seen, TestGateway, Upstream, describe, usual_routes};
use crate::tls::Authority;

/// A gateway with its upstream, its user and the authority that its clients believe.
pub(crate) struct Place {
    pub(super) backend: Backend,
    pub(crate) upstream: Upstream,
    pub(super) gateway: TestGateway,
    pub(crate) user: Account,
    tls: TlsConnector,
    /// Its certificates are there for as long as the gateway may read them again.
    _authority: Authority,
}

/// One of its listeners.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) place: &'a Place,
    pub(crate) door: Door,
    pub(crate) address: SocketAddr,
}

impl Place {
    /// A gateway on this database with the usual routes, a route to hostile answers, one that upgrades, and all else guarded.
    pub(crate) async fn on(backend: Backend) -> Self {
        Self::with(backend, "").await
    }

    /// The same with more configuration.
    pub(super) async fn with(backend: Backend, more: &str) -> Self {
        Self::serving(backend, "", more).await
    }

    /// The same with more in `[server]` as well.
    pub(super) async fn serving(backend: Backend, server: &str, more: &str) -> Self {
        let authority = Authority::new("attacks");
        let upstream = Upstream::start(|seen| replies::hostile(seen).unwrap_or_else(|| own(seen))).await;
        let toml = format!(
            "[server]\nh2c = true\n{server}[tls]\nlisten = '127.0.0.1:0'\n{}\n{more}\n{}\
             [[routes]]\npath = \"/\"\nupstream = \"app\"\n\
             [[routes]]\npath = \"/ws\"\nupstream = \"app\"\nupgrades = [\"websocket\"]\n",
            authority.certificate("server", &["localhost", "127.0.0.1"]),
            usual_routes(&upstream)
        );
        let gateway = TestGateway::start_on(backend, &toml).await;
        let user = Account::sign_up(&gateway).await;
        Self {
            backend,
            upstream,
            gateway,
            user,
            tls: authority.connector(b"http/1.1"),
            _authority: authority,
        }
    }

    /// Its listeners.
    pub(crate) fn ways(&self) -> [Way<'_>; 2] {
        [Door::Plain, Door::Tls].map(|door| Way {
            place: self,
            door,
            address: self.gateway.door(door),
        })
    }
}

impl Way<'_> {
    /// A connection of its own.
    pub(super) async fn open(&self) -> Conversation {
        match self.door {
            Door::Plain | Door::Redirect => Conversation::open(self.address).await,
            Door::Tls => Conversation::open_tls(self.address, &self.place.tls).await,
        }
    }

    /// What stands between braces in a case of this word.
    pub(super) fn filling<'a>(&'a self, host: &'a str, id: &'a str) -> Filling<'a> {
        Filling {
            host,
            scheme: self.door.scheme(),
            token: &self.place.user.token,
            user: &self.place.user.id,
            id,
        }
    }

    /// Whether TLS is spoken there.
    pub(crate) fn is_tls(&self) -> bool {
        self.door == Door::Tls
    }

    /// What a failure calls it.
    pub(crate) fn name(&self) -> String {
        format!("{:?} on {:?}", self.door, self.place.backend)
    }
}

/// What the request was, so that an answer can be told from any other.
fn own(seen: &Seen) -> Reply {
    Reply::ok(&describe(seen))
}
