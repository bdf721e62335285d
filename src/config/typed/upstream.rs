//! What stands behind the gateway.

use std::time::Duration;

/// `[upstreams.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The name: 1 to 64 characters of `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// The servers, used in turn. At least one, none twice.
    pub servers: Vec<ServerAddress>,
    /// How long a connection may take to be made (default 5 s; 10 ms to 1 h).
    pub connect_timeout: Duration,
    /// How long the upstream may take from the whole request head sent to the head of its answer (default 60 s; 10 ms
    /// to 1 d).
    pub response_timeout: Duration,
    /// How long an idle connection is kept (default 60 s; 10 ms to 1 d).
    pub pool_idle_timeout: Duration,
    /// How many idle connections each worker keeps per server (default 128; 0 to 100,000).
    pub pool_max_idle: usize,
}

impl Upstream {
    /// Whether all but the name and the list of servers is the same, so that connections made for one serve the other.
    #[must_use]
    pub fn same_connections(&self, other: &Self) -> bool {
        let bare = |upstream: &Self| Self {
            name: String::new(),
            servers: Vec::new(),
            ..upstream.clone()
        };
        bare(self) == bare(other)
    }
}

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// `http://host:port`
    Http {
        /// Host name or address; IPv6 in brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `builtin:whoami`: answers with the request as an upstream would see it.
    Whoami,
}
