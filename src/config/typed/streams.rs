//! What of a route is about exchanges that go on for longer than a request and its answer.

use std::time::Duration;

/// `[[routes]]`: what becomes of streams.
#[derive(Clone, Debug)]
pub struct Streams {
    /// What becomes of an exchange under way when its token is not good any more (default [`OnTokenEnd::End`]).
    pub on_token_end: OnTokenEnd,
    /// The protocols that connections may change to, in lower case (default none).
    pub upgrades: Vec<String>,
    /// How long nothing may move in a tunnel (10 ms to 1 d, default 10 min).
    pub upgrade_idle_timeout: Duration,
    /// How long a tunnel may last (10 ms to 1 d); `None` (the default): for as long as its token is good.
    pub upgrade_max_age: Option<Duration>,
    /// Whether a token may be among the subprotocols of a WebSocket (default false).
    pub token_in_protocol: bool,
}

/// What becomes of an exchange under way when the token that let it in expires or is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTokenEnd {
    /// It ends: a token that opens no door keeps none open.
    End,
    /// It may finish, however long that takes.
    Finish,
}
