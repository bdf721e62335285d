//! A gateway's endpoints without the gateway: the router, called as a service.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::auth::{AuthState, ClientAddress, Throttle, router};
use crate::config::{self, Config};
use crate::id::{Email, UserId, UserName};
use crate::password::{Hasher, Password};
use crate::secret::Secret;
use crate::store::{NewUser, Store};
use crate::time::{Clock, ClockShift};
use crate::token::{Blocklist, MasterKey, Tokens, ensure_first_key, load_keys};

/// A password that is good enough, whoever has it.
pub(super) const PASSWORD: &str = "correct-horse-battery";

/// The endpoints on a store of their own.
pub(super) struct App {
    pub(super) state: AuthState,
    pub(super) shift: ClockShift,
    router: axum::Router,
    _directory: TempDir,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) bytes: bytes::Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub(super) fn code(&self) -> String {
        let body = self.json();
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(body["status"], self.status);
        assert_eq!(self.headers["x-doorward-error"].to_str().unwrap(), body["code"]);
        body["code"].as_str().unwrap().to_owned()
    }

    /// The bad fields as `field code`, in the order of the answer.
    pub(super) fn fields(&self) -> Vec<String> {
        assert_eq!((self.status, self.code().as_str()), (422, "invalid_fields"));
        let body = self.json();
        let errors = body["errors"].as_array().unwrap();
        errors
            .iter()
            .map(|error| {
                format!(
                    "{} {}",
                    error["field"].as_str().unwrap(),
                    error["code"].as_str().unwrap()
                )
            })
            .collect()
    }

    pub(super) fn text(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap().to_owned()
    }
}

/// A session as its client holds it.
pub(super) struct Held {
    pub(super) access: String,
    pub(super) refresh: String,
    pub(super) user: Value,
}

impl From<&Answer> for Held {
    fn from(answer: &Answer) -> Self {
        Self {
            access: answer.text("access_token"),
            refresh: answer.text("refresh_token"),
            user: answer.json()["user"].clone(),
        }
    }
}

impl App {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = TempDir::new().unwrap();
        let mut config = config(&directory);
        change(&mut config);
        let (clock, shift) = Clock::shifted();
        let now = clock.now();
        let store = Store::connect(&config.store).await.unwrap();
        store.migrate_up(now).await.unwrap();
        let master = MasterKey::from_bytes(&[7; 32]).unwrap();
        ensure_first_key(&store, &master, config.tokens.algorithm, now)
            .await
            .unwrap();
        let keys = load_keys(&store, &master, now).await.unwrap();
        let blocklist = Arc::new(Blocklist::new(&config.revocation));
        blocklist.load(&store, now).await.unwrap();
        let tokens = Arc::new(Tokens::new(&config.tokens, keys, Arc::clone(&blocklist)));
        let state = AuthState {
            store,
            tokens,
            blocklist,
            hasher: Hasher::new(&config.passwords),
            throttle: Throttle::default(),
            config: Arc::new(config),
            clock,
        };
        Self {
            router: router(state.clone()),
            state,
            shift,
            _directory: directory,
        }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let answer: Response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(super) async fn bare(&self, method: &str, path: &str) -> Answer {
        self.send(request(method, path, None).body(Body::empty()).unwrap())
            .await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(json_request("POST", path, None, body)).await
    }

    pub(super) async fn with_token(&self, method: &str, path: &str, token: &str) -> Answer {
        let request = request(method, path, Some(token));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(super) async fn with_token_and_body(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        self.send(json_request(method, path, Some(token), body)).await
    }

    pub(super) async fn sign_up(&self, email: &str) -> Held {
        let body = json!({ "email": email, "password": PASSWORD, "name": "Ann Lee" });
        let answer = self.post("/auth/signup", &body).await;
        assert_eq!(answer.status, 201, "{:?}", answer.bytes);
        Held::from(&answer)
    }

    pub(super) async fn log_in(&self, email: &str) -> Held {
        let answer = self.try_login(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{:?}", answer.bytes);
        Held::from(&answer)
    }

    pub(super) async fn try_login(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/login", &json!({ "email": email, "password": password }))
            .await
    }

    pub(super) async fn try_refresh(&self, token: &str) -> Answer {
        self.post("/auth/refresh", &json!({ "refresh_token": token })).await
    }

    /// A user whose hash was made at this cost.
    pub(super) async fn add_user(&self, email: &str, cost: u32) -> UserId {
        let mut passwords = self.state.config.passwords.clone();
        passwords.bcrypt_cost = cost;
        let password = Password::parse(Secret::new(PASSWORD.to_owned())).unwrap();
        let now = self.state.clock.now();
        let user = NewUser {
            id: UserId::generate(now),
            email: email.parse::<Email>().unwrap(),
            name: "Ann Lee".parse::<UserName>().unwrap(),
            password_hash: Hasher::new(&passwords).hash(password).await.unwrap(),
            roles: vec!["admin".parse().unwrap()],
            now,
        };
        self.state.store.create_user(&user).await.unwrap().id
    }

    pub(super) async fn disable(&self, user: UserId) {
        let now = self.state.clock.now();
        let until = self.state.tokens.revoke_until(now);
        let ended = self.state.store.disable_user(user, until, now).await.unwrap().unwrap();
        self.state.blocklist.apply(&ended, now);
    }
}

/// A request from 203.0.113.7 by a client called `test/1`.
pub(super) fn request(method: &str, path: &str, token: Option<&str>) -> http::request::Builder {
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path)
        .header(header::USER_AGENT, "test/1")
        .extension(ClientAddress(IpAddr::from([203, 0, 113, 7])));
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    request
}

pub(super) fn json_request(method: &str, path: &str, token: Option<&str>, body: &Value) -> Request<Body> {
    request(method, path, token)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into())
        .unwrap()
}

/// The user's id in an answer.
pub(super) fn id_of(user: &Value) -> UserId {
    user["id"].as_str().unwrap().parse().unwrap()
}

/// What the endpoints look at, as it is by default, but with a cheap bcrypt, and another service that may ask about tokens.
fn config(directory: &TempDir) -> Config {
    let text = r#"
        [server]
        listen = "127.0.0.1:0"
        [admin]
        listen = ""
        [store]
        url = "sqlite://test.db"
        max_connections = 4
        [tokens]
        issuer = "http://127.0.0.1:8080/auth"
        [revocation]
        max_staleness = "1m"
        [passwords]
        bcrypt_cost = 4
        concurrency = 2
        [[clients]]
        id = "reports"
        secret = "0123456789abcdef0123456789abcdef"
        [upstreams.whoami]
        servers = ["builtin:whoami"]
        [[routes]]
        path = "/whoami"
        upstream = "whoami"
        "#;
    config::parse(text, directory.path()).unwrap()
}
