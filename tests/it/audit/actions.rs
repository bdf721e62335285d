//! What users and other services do.

use doorward::store::audit::{EventKind, Filter};
use serde_json::{Value, json};

use super::{Asked, all, credentials, post, recorded, send, start, without_body};
use crate::support::account::PASSWORD;
use crate::support::{Backend, DEADLINE, TestGateway};

const BEHIND_A_PROXY: &str = "[server]\ntrusted_proxies = \"127.0.0.0/8\"\n";
const NEW: &str = "another-plausible-walrus-12";

/// What is recorded of one request: kind, who did it, whom it is about, and what else is said.
type Expected = (EventKind, &'static str, Option<String>, Value);

/// Sends requests one by one, and remembers what is to be recorded of each.
struct Scene {
    gateway: TestGateway,
    expected: Vec<(String, Vec<Expected>)>,
    /// The id of the user.
    ann: String,
}

impl Scene {
    async fn act(&mut self, asked: Asked<'_>, status: u16, expected: Vec<Expected>) -> Value {
        let id = format!("request-{}", self.expected.len());
        let (answered, body) = send(&self.gateway, &id, &asked).await;
        assert_eq!(answered, status, "{} {}: {body}", asked.method, asked.path);
        self.expected.push((id, expected));
        body
    }

    /// What the user did.
    fn by(&self, kind: EventKind, details: Value) -> Expected {
        (kind, "user", Some(self.ann.clone()), details)
    }

    /// The tokens of a new session.
    async fn log_in(&mut self, email: &str, password: &str) -> [String; 2] {
        let event = self.by(EventKind::Login, json!({}));
        let body = self
            .act(
                post("/auth/login", None, credentials(email, password)),
                200,
                vec![event],
            )
            .await;
        tokens(&body)
    }

    /// Asks as another service does.
    async fn revoke(&mut self, token: &str, expected: Vec<Expected>) {
        let id = format!("request-{}", self.expected.len());
        let form = format!("token={token}");
        let request = self.gateway.http.post(self.gateway.url("/auth/revoke"));
        let request = request
            .basic_auth("reports", Some("0123456789abcdef0123456789abcdef"))
            .header("x-request-id", &id)
            .header("x-forwarded-for", "198.51.100.9")
            .header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(request.body(form).send().await.unwrap().status(), 200);
        self.expected.push((id, expected));
    }
}

fn tokens(body: &Value) -> [String; 2] {
    ["access_token", "refresh_token"].map(|name| body[name].as_str().unwrap().to_owned())
}

async fn refused_logins(scene: &mut Scene) {
    let refused = |user: Option<&String>, reason: &str| {
        let details = json!({"reason": reason});
        (EventKind::LoginFailed, "anonymous", user.cloned(), details)
    };
    // What is refused for another reason is no event.
    scene.act(post("/auth/signup", None, account()), 409, Vec::new()).await;
    scene
        .act(post("/auth/login", None, json!({"email": 7})), 422, Vec::new())
        .await;
    let wrong = credentials("ann@example.com", "wrong");
    scene
        .act(
            post("/auth/login", None, wrong),
            401,
            vec![refused(Some(&scene.ann), "wrong_password")],
        )
        .await;
    for email in ["nobody@example.com", PASSWORD] {
        let unknown = credentials(email, "wrong");
        scene
            .act(
                post("/auth/login", None, unknown),
                401,
                vec![refused(None, "unknown_account")],
            )
            .await;
    }
}

async fn refreshes(scene: &mut Scene, [first, first_refresh]: [String; 2]) {
    // Refreshes are recorded where a token was used twice.
    let refresh = |token: &str| json!({"refresh_token": token});
    let mut latest = first_refresh.clone();
    for _ in 0..2 {
        let body = scene
            .act(post("/auth/refresh", None, refresh(&latest)), 200, Vec::new())
            .await;
        [_, latest] = tokens(&body);
    }
    let replayed = (
        EventKind::RefreshReplayed,
        "anonymous",
        Some(scene.ann.clone()),
        json!({}),
    );
    scene
        .act(
            post("/auth/refresh", None, refresh(&first_refresh)),
            401,
            vec![replayed],
        )
        .await;
    scene
        .act(post("/auth/refresh", None, refresh(&first_refresh)), 401, Vec::new())
        .await;
    scene
        .act(without_body("POST", "/auth/logout", &first), 401, Vec::new())
        .await;
}

async fn logouts(scene: &mut Scene) {
    let [one, _] = scene.log_in("ann@example.com", PASSWORD).await;
    let event = scene.by(EventKind::Logout, json!({"scope": "this"}));
    scene
        .act(without_body("POST", "/auth/logout", &one), 204, vec![event])
        .await;
    for _ in 0..2 {
        scene.log_in("ann@example.com", PASSWORD).await;
    }
    let [two, _] = scene.log_in("ann@example.com", PASSWORD).await;
    let event = scene.by(EventKind::Logout, json!({"scope": "others", "sessions_ended": 2}));
    scene
        .act(
            without_body("POST", "/auth/logout?scope=others", &two),
            204,
            vec![event],
        )
        .await;
    scene.log_in("ann@example.com", PASSWORD).await;
    let (_, sessions) = send(&scene.gateway, "x", &without_body("GET", "/auth/sessions", &two)).await;
    let other = sessions
        .as_array()
        .unwrap()
        .iter()
        .find(|session| session["current"] == false);
    let path = format!("/auth/sessions/{}", other.unwrap()["id"].as_str().unwrap());
    let event = scene.by(EventKind::SessionEnded, json!({}));
    scene.act(without_body("DELETE", &path, &two), 204, vec![event]).await;
    scene.act(without_body("DELETE", &path, &two), 404, Vec::new()).await;
    let event = scene.by(EventKind::Logout, json!({"scope": "all", "sessions_ended": 1}));
    scene
        .act(without_body("POST", "/auth/logout?scope=all", &two), 204, vec![event])
        .await;
}

async fn the_account(scene: &mut Scene) {
    scene.log_in("ann@example.com", PASSWORD).await;
    let [three, _] = scene.log_in("ann@example.com", PASSWORD).await;
    let change = |current: &str| json!({"current_password": current, "new_password": NEW});
    let event = scene.by(EventKind::PasswordChangeFailed, json!({"reason": "wrong_password"}));
    scene
        .act(
            post("/auth/user/password", Some(&three), change("wrong")),
            401,
            vec![event],
        )
        .await;
    let event = scene.by(EventKind::PasswordChanged, json!({"sessions_ended": 1}));
    scene
        .act(
            post("/auth/user/password", Some(&three), change(PASSWORD)),
            204,
            vec![event],
        )
        .await;
    let edit = |body: Value| Asked {
        method: "PATCH",
        ..post("/auth/user", Some(&three), body)
    };
    scene.act(edit(json!({"name": "Ann"})), 200, Vec::new()).await;
    let details = json!({"fields": ["email", "name"], "former_email": "ann@example.com"});
    let changed = json!({"name": "Ann Lee", "email": "ann@example.org"});
    scene
        .act(edit(changed), 200, vec![scene.by(EventKind::UserChanged, details)])
        .await;
}

async fn other_services_and_the_end(scene: &mut Scene) {
    let ann = Some(scene.ann.clone());
    let by_client = |details| (EventKind::TokenRevoked, "client", ann.clone(), details);
    let [four, refresh_token] = scene.log_in("ann@example.org", NEW).await;
    scene
        .revoke(&four, vec![by_client(json!({"token_type": "access_token"}))])
        .await;
    scene.revoke(&four, Vec::new()).await;
    scene
        .revoke(&refresh_token, vec![by_client(json!({"token_type": "refresh_token"}))])
        .await;
    scene.revoke("nothing", Vec::new()).await;
    let [five, _] = scene.log_in("ann@example.org", NEW).await;
    let event = scene.by(EventKind::UserDeleted, json!({"sessions_ended": 2}));
    scene
        .act(without_body("DELETE", "/auth/user", &five), 204, vec![event])
        .await;
}

/// All that a user and another service can do.
async fn everything(backend: Backend) {
    let (gateway, _upstream) = start(backend, BEHIND_A_PROXY).await;
    let mut scene = Scene {
        gateway,
        expected: Vec::new(),
        ann: String::new(),
    };
    let body = scene.act(post("/auth/signup", None, account()), 201, Vec::new()).await;
    body["user"]["id"].as_str().unwrap().clone_into(&mut scene.ann);
    scene.expected[0].1 = vec![
        scene.by(EventKind::Signup, json!({})),
        scene.by(EventKind::Login, json!({})),
    ];
    refused_logins(&mut scene).await;
    refreshes(&mut scene, tokens(&body)).await;
    logouts(&mut scene).await;
    the_account(&mut scene).await;
    other_services_and_the_end(&mut scene).await;
    check(&scene).await;
}

fn account() -> Value {
    json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"})
}

/// Everything that was to be recorded is, and nothing else.
async fn check(scene: &Scene) {
    for (id, expected) in &scene.expected {
        let request_id = Some(id.clone());
        let filter = Filter { request_id, ..all() };
        let events = recorded(&scene.gateway, &filter, expected.len()).await;
        assert_eq!(events.len(), expected.len(), "{id}: {events:?}");
        for (event, (kind, actor, user, details)) in events.iter().zip(expected) {
            assert_eq!(
                (event.kind.as_str(), event.actor.as_str()),
                (kind.as_str(), *actor),
                "{id}"
            );
            assert_eq!(event.actor_name.as_deref(), (*actor == "client").then_some("reports"));
            assert_eq!(event.user.map(|user| user.to_string()), *user, "{id}: {event:?}");
            assert_eq!(event.address, Some("198.51.100.9".parse().unwrap()), "{event:?}");
            let mut said = json!(event.details);
            // A new one each time.
            let token = said.as_object_mut().unwrap().remove("token");
            assert_eq!(token.is_some(), details["token_type"] == "access_token", "{event:?}");
            assert_eq!(said, *details, "{id}");
            let in_session = event.kind != "signup" && event.kind != "login_failed";
            assert_eq!(event.session.is_some(), in_session, "{event:?}");
        }
    }
    let user = Some(scene.ann.parse().unwrap());
    let of_ann = recorded(&scene.gateway, &Filter { user, ..all() }, 1).await;
    let ids: Vec<&str> = scene.expected.iter().map(|(id, _)| id.as_str()).collect();
    for event in &of_ann {
        assert!(ids.contains(&event.request_id.as_deref().unwrap()), "{event:?}");
    }
    let now = doorward::time::Clock::system().now();
    assert!(
        of_ann
            .iter()
            .all(|event| now.since(event.at) < DEADLINE * 10 && event.at <= now)
    );
}

#[tokio::test]
async fn whatever_a_user_or_another_service_does_is_recorded_on_sqlite() {
    Box::pin(everything(Backend::Sqlite)).await;
}

#[tokio::test]
async fn whatever_a_user_or_another_service_does_is_recorded_on_mariadb() {
    Box::pin(everything(Backend::MariaDb)).await;
}
