//! Who a connection comes from, where a load balancer in front of us says so with the PROXY protocol. This is settled before
//! TLS and before HTTP: everything behind it takes the client that was named for the other end of the connection.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Phase, until_stopping};
use crate::config::{self, ProxyProtocol};
use crate::rules::proxy_protocol::{InvalidHeader, MAX_HEADER, Parsed, parse};

/// How long to wait for the rest of a header that did not come in one piece, as it should.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a connection may take to say who it comes from once the gateway stops.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Who may say where a connection comes from, and how long that may take.
#[derive(Debug)]
pub(super) struct Proxies {
    mode: ProxyProtocol,
    trusted: Vec<IpNet>,
    timeout: Duration,
}

/// Whom a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    /// Whether a proxy has said that it can't tell: the address is the proxy's own, and whoever speaks may be anybody.
    pub(super) unnamed: bool,
}

impl Client {
    const fn at(address: IpAddr) -> Self {
        Self {
            address,
            unnamed: false,
        }
    }
}

/// Why a connection is turned away.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unknown {
    #[error("it comes from nobody who may send a PROXY header")]
    Untrusted,
    #[error("it does not begin with a PROXY header")]
    Missing,
    #[error("its PROXY header is not valid: {0}")]
    Invalid(#[from] InvalidHeader),
    #[error("its PROXY header took too long")]
    Timeout,
    #[error("it broke")]
    Broken(#[from] io::Error),
}

impl Proxies {
    pub(super) fn new(config: &config::Server) -> Self {
        Self {
            mode: config.proxy_protocol,
            trusted: config.trusted_proxies.clone(),
            timeout: config.header_timeout,
        }
    }

    /// Whether this is one of the trusted proxies, which speaks for many.
    pub(super) fn include(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }

    /// The client: the one that the header names, where one is read; else `peer`. Of the stream, exactly the header is taken.
    pub(super) async fn client(
        &self,
        stream: &mut TcpStream,
        peer: IpAddr,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<Client, Unknown> {
        match (self.mode, self.mode != ProxyProtocol::Off && self.include(peer)) {
            (ProxyProtocol::Off, _) | (ProxyProtocol::Optional, false) => Ok(Client::at(peer)),
            (ProxyProtocol::Required, false) => Err(Unknown::Untrusted),
            (ProxyProtocol::Optional | ProxyProtocol::Required, true) => {
                let named = tokio::select! {
                    biased;
                    named = self.header(stream, peer) => named?,
                    () = tokio::time::sleep(self.timeout) => return Err(Unknown::Timeout),
                    () = last_word(phase) => return Err(Unknown::Timeout),
                };
                Ok(named)
            }
        }
    }

    /// Whom the header names; without one, `peer`.
    async fn header(&self, stream: &mut TcpStream, peer: IpAddr) -> Result<Client, Unknown> {
        let mut space = vec![0; MAX_HEADER];
        loop {
            // Looked at, but left where it is: what is no header belongs to whoever reads next.
            let there = stream.peek(&mut space).await?;
            match parse(&space[..there])? {
                Parsed::Header { length, client } => {
                    stream.read_exact(&mut space[..length]).await?;
                    return Ok(Client {
                        address: client.map_or(peer, |client| client.ip().to_canonical()),
                        unnamed: client.is_none(),
                    });
                }
                Parsed::Incomplete if there > 0 => tokio::time::sleep(PAUSE).await,
                Parsed::Incomplete | Parsed::Absent => {
                    return match self.mode {
                        ProxyProtocol::Required => Err(Unknown::Missing),
                        ProxyProtocol::Optional | ProxyProtocol::Off => Ok(Client::at(peer)),
                    };
                }
            }
        }
    }
}

async fn last_word(phase: &mut watch::Receiver<Phase>) {
    let _ = until_stopping(phase).await;
    tokio::time::sleep(LAST_WORD).await;
}
