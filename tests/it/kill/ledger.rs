//! What a client knows of its accounts: what was acknowledged, and what was asked without an answer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nobody asked for its end.
    Live,
    /// Its end was acknowledged.
    Ended,
    /// Its end was asked for without an answer, together with that of all others of the account that are so.
    Unknown,
    /// It ended if, and only if, the password was changed by the question that was not answered.
    WithPassword,
}

/// A session, by its tokens.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Each that was issued for it.
    pub(super) access: Vec<String>,
    /// The latest.
    pub(super) refresh: String,
    pub(super) fate: Fate,
}

impl Session {
    pub(super) fn new(tokens: &Value) -> Self {
        let mut session = Self {
            access: Vec::new(),
            refresh: String::new(),
            fate: Fate::Live,
        };
        session.go_on(tokens);
        session
    }

    /// Takes the next pair.
    pub(super) fn go_on(&mut self, tokens: &Value) {
        let text = |name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
        self.access.push(text("access_token"));
        self.refresh = text("refresh_token");
    }

    /// The latest access token.
    pub(super) fn token(&self) -> &str {
        self.access.last().expect("a session has one from its start")
    }

    /// Its id, as its tokens name it.
    pub(super) fn id(&self) -> String {
        let claims = self.token().split('.').nth(1).expect("a token has three parts");
        let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        claims["sid"].as_str().expect("a text").to_owned()
    }
}

/// One account, which one client alone uses.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// `None`: its sign-up was not answered.
    pub(super) id: Option<String>,
    pub(super) email: String,
    /// The one that was acknowledged last.
    pub(super) password: String,
    /// The one that was to replace it, where that was not answered.
    pub(super) attempted: Option<String>,
    /// Those that were replaced.
    pub(super) replaced: Vec<String>,
    pub(super) sessions: Vec<Session>,
    /// Something was asked without an answer: it is left alone until it is judged.
    pub(super) in_doubt: bool,
}

impl Account {
    /// One that is about to be signed up.
    pub(super) fn new(email: String, password: String) -> Self {
        Self {
            id: None,
            email,
            password,
            attempted: None,
            replaced: Vec::new(),
            sessions: Vec::new(),
            in_doubt: false,
        }
    }

    /// Notes that the sign-up was answered with these.
    pub(super) fn signed_up(&mut self, tokens: &Value) {
        self.id = Some(tokens["user"]["id"].as_str().expect("a user has an id").to_owned());
        self.sessions.push(Session::new(tokens));
    }

    /// Where the sessions with this fate are.
    pub(super) fn with_fate(&self, fate: Fate) -> Vec<usize> {
        let sessions = self.sessions.iter().enumerate();
        sessions
            .filter(|(_, session)| session.fate == fate)
            .map(|(at, _)| at)
            .collect()
    }

    /// Gives every session that has this fate another.
    pub(super) fn turn(&mut self, from: Fate, to: Fate) {
        for session in &mut self.sessions {
            if session.fate == from {
                session.fate = to;
            }
        }
    }
}
