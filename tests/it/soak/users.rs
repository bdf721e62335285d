//! Users, and what they do at the gateway's own endpoints: a session after the other, each refreshed a few times, and ended
//! once the next has begun.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use doorward::time::monotonic;
use serde_json::{Value, json};

use super::http2::{Link, was_too_late};
use super::site::Site;
use crate::support::random::Random;

const PASSWORD: &str = "wistful-otter-47-lantern";

/// A session, as far as what is said of its tokens depends on it.
#[derive(Default)]
pub(super) struct Session {
    ending: AtomicBool,
    ended: AtomicBool,
}

impl Session {
    /// Whether somebody has asked for its end.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// Whether that was answered with success.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// An access token.
pub(super) struct Token {
    pub(super) text: String,
    /// The id of its user.
    pub(super) user: Arc<str>,
    pub(super) session: Arc<Session>,
    pub(super) born: Instant,
}

/// A user with an access token at all times.
pub(super) struct User {
    id: Arc<str>,
    email: String,
    current: Mutex<Held>,
    ended: Mutex<Option<Arc<Token>>>,
}

/// A session as its user holds it.
#[derive(Clone)]
struct Held {
    token: Arc<Token>,
    refresh: String,
}

impl Held {
    fn new(user: &Arc<str>, session: Arc<Session>, tokens: &Value) -> Self {
        let text = |name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
        assert_eq!(tokens["user"]["id"].as_str(), Some(&**user), "tokens of somebody else");
        Self {
            token: Arc::new(Token {
                text: text("access_token"),
                user: Arc::clone(user),
                session,
                born: monotonic(),
            }),
            refresh: text("refresh_token"),
        }
    }
}

impl User {
    /// Signs one up.
    pub(super) async fn sign_up(way: &mut Way, number: usize) -> Self {
        let email = format!("user{number}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "name": "Ada"});
        let (status, tokens) = way.post("/auth/signup", None, Some(&body)).await.expect("an answer");
        assert_eq!(status, 201, "{tokens}");
        let id: Arc<str> = tokens["user"]["id"].as_str().expect("an id").into();
        let held = Held::new(&id, Arc::default(), &tokens);
        Self {
            id,
            email,
            current: Mutex::new(held),
            ended: Mutex::default(),
        }
    }

    /// The token that it uses now.
    pub(super) fn current(&self) -> Arc<Token> {
        Arc::clone(&self.held().token)
    }

    /// A token of its last session that has ended.
    pub(super) fn ended(&self) -> Option<Arc<Token>> {
        self.ended.lock().expect("nobody panicked").clone()
    }

    fn held(&self) -> Held {
        self.current.lock().expect("nobody panicked").clone()
    }

    fn hold(&self, held: Held) {
        *self.current.lock().expect("nobody panicked") = held;
    }

    /// Does what users do until the run is over, with rests of so long at the most.
    pub(super) async fn live(&self, site: &Site, mut random: Random, rest: Duration, on_http2: bool) {
        while !site.is_over() {
            let mut way = Way::open(site, on_http2).await;
            if let Err(why) = self.live_on(site, &mut way, &mut random, rest).await {
                site.tally.wrong(format!("{}: {why}", way.name()));
            }
        }
    }

    /// Lives one session to its end, and begins the next before that.
    async fn live_on(&self, site: &Site, way: &mut Way, random: &mut Random, rest: Duration) -> Result<(), String> {
        for _ in 0..=random.below(4) {
            site.rest(random.between(Duration::from_millis(100), rest)).await;
            let held = self.held();
            let body = json!({"refresh_token": held.refresh});
            let tokens = way
                .expect(site, "refresh", 200, "/auth/refresh", None, Some(&body))
                .await?;
            self.hold(Held::new(&self.id, Arc::clone(&held.token.session), &tokens));
        }
        let body = json!({"email": self.email, "password": PASSWORD});
        let tokens = way.expect(site, "login", 200, "/auth/login", None, Some(&body)).await?;
        let before = self.held().token;
        self.hold(Held::new(&self.id, Arc::default(), &tokens));
        before.session.ending.store(true, Ordering::SeqCst);
        let bearer = Some(before.text.as_str());
        way.expect(site, "logout", 204, "/auth/logout", bearer, None).await?;
        before.session.ended.store(true, Ordering::SeqCst);
        *self.ended.lock().expect("nobody panicked") = Some(before);
        Ok(())
    }
}

/// How a user talks to the gateway's own endpoints.
pub(super) enum Way {
    Http1(reqwest::Client, String),
    Http2(Link),
}

impl Way {
    pub(super) async fn open(site: &Site, on_http2: bool) -> Self {
        if on_http2 {
            Self::Http2(Link::open(site.address).await)
        } else {
            Self::http1(site.address)
        }
    }

    pub(super) fn http1(address: std::net::SocketAddr) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            // Shorter than the gateway's `keep_alive`, at whose end a request may meet a connection that is being closed.
            .pool_idle_timeout(Duration::from_secs(1))
            .timeout(Duration::from_secs(30));
        Self::Http1(http.build().expect("a client"), format!("http://{address}"))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Http1(..) => "HTTP/1.1",
            Self::Http2(_) => "HTTP/2",
        }
    }

    /// POSTs: status and JSON body.
    async fn post(&mut self, path: &str, token: Option<&str>, body: Option<&Value>) -> Result<(u16, Value), String> {
        let (status, body) = match self {
            Self::Http1(http, base) => {
                let mut request = http.post(format!("{base}{path}"));
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                if let Some(body) = body {
                    request = request.json(body);
                }
                let answer = request.send().await.map_err(|error| format!("{path}: {error:?}"))?;
                let status = answer.status().as_u16();
                (
                    status,
                    answer
                        .bytes()
                        .await
                        .map_err(|error| format!("{path}: {error:?}"))?
                        .to_vec(),
                )
            }
            Self::Http2(link) => {
                let mut request = http::Request::post(format!("http://soak.test{path}"));
                if let Some(token) = token {
                    request = request.header("authorization", format!("Bearer {token}"));
                }
                if body.is_some() {
                    request = request.header("content-type", "application/json");
                }
                let request = request.body(()).expect("a request");
                let body = Bytes::from(body.map(Value::to_string).unwrap_or_default());
                let mut answer = link.ask(request.clone(), body.clone()).await;
                if answer.as_ref().is_err_and(was_too_late) {
                    *link = Link::open(link.address).await;
                    answer = link.ask(request, body).await;
                }
                let answer = answer.map_err(|error| format!("{path}: {error:?}"))?;
                (answer.status, answer.body)
            }
        };
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    async fn expect(
        &mut self,
        site: &Site,
        what: &'static str,
        expected: u16,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        let (status, answer) = self.post(path, token, body).await?;
        if status != expected {
            return Err(format!("{what}: {status} {answer}"));
        }
        site.tally.seen(what, format!("{status} ({})", self.name()));
        Ok(answer)
    }
}
