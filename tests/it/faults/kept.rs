//! What was promised before a part broke, what was asked for while it was broken, and that afterwards the one holds and of
//! the other exactly that has happened which was answered with success.

use serde_json::{Value, json};

use super::Client;
use crate::support::account::PASSWORD;
use crate::support::{Account, DEADLINE, eventually, when};

const OLD: &str = "old-wistful-otter-47";
const NEW: &str = "new-wistful-otter-48";

/// Whether what was answered with 503 may have happened all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Wholly or not at all: the database may have heard of it.
    Unknown,
    /// It has not: nothing of it was committed.
    Undone,
    /// It has not, but tokens may be refused for it: Redis may have heard of a revocation that the database then did not need.
    Tokens,
}

/// Users in each state that matters.
pub(super) struct Kept {
    /// Signed up before, and its token was used before.
    pub(super) known: Account,
    /// Signed up before, and its token never was used.
    pub(super) fresh: Account,
    /// Logged out before.
    pub(super) gone: Account,
    /// Changed the password before, from [`OLD`] to [`NEW`].
    changed: String,
    /// Logs out meanwhile.
    pub(super) leaving: Account,
    /// Changes the password meanwhile, from [`PASSWORD`] to [`NEW`].
    torn: Account,
    /// The same user's other session, which that ends.
    elsewhere: Account,
    /// Refreshes its session meanwhile.
    staying: Account,
    /// Signs up meanwhile.
    late: String,
    /// What of this was answered with success.
    done: Done,
}

/// What was answered with success.
#[derive(Default)]
struct Done {
    logout: bool,
    password: bool,
    signup: bool,
}

/// What was answered to each, in the midst of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meanwhile {
    pub(super) logout: u16,
    pub(super) password: u16,
    pub(super) refresh: u16,
    pub(super) signup: u16,
}

impl Meanwhile {
    /// Nothing of it was done.
    pub(super) const REFUSED: Self = Self {
        logout: 503,
        password: 503,
        refresh: 503,
        signup: 503,
    };
    /// All of it was.
    pub(super) const DONE: Self = Self {
        logout: 204,
        password: 204,
        refresh: 200,
        signup: 201,
    };
}

impl Kept {
    /// While all is well.
    pub(super) async fn before(client: &Client) -> Self {
        let account = || Account::sign_up_at(&client.http, &client.base);
        let (known, fresh, gone) = (account().await, account().await, account().await);
        let (leaving, torn, staying) = (account().await, account().await, account().await);
        for account in [&known, &gone] {
            assert_eq!(client.get("/c/x", &account.token).await, 200);
        }
        assert_eq!(client.log_out(&gone.token).await, 204);
        let changed = format!("changed.{}", known.email);
        let (status, tokens) = sign_up(client, &changed, OLD).await;
        assert_eq!(status, 201, "{tokens}");
        let token = tokens["access_token"].as_str().expect("a token");
        assert_eq!(client.change_password(token, OLD, NEW).await.0, 204);
        let (status, tokens) = client.log_in(&torn).await;
        assert_eq!(status, 200, "{tokens}");
        Self {
            late: format!("late.{}", known.email),
            elsewhere: Account::from_tokens(&tokens),
            known,
            fresh,
            gone,
            changed,
            leaving,
            torn,
            staying,
            done: Done::default(),
        }
    }

    /// What must be in no log.
    pub(super) fn secrets(&self) -> [&str; 7] {
        [
            PASSWORD,
            OLD,
            NEW,
            &self.known.token,
            &self.leaving.token,
            &self.torn.token,
            &self.staying.refresh_token,
        ]
    }

    /// Whether the logout was answered with success.
    pub(super) fn has_left(&self) -> bool {
        self.done.logout
    }

    /// One user logs out.
    pub(super) async fn log_out(&self, client: &Client) -> (u16, Value) {
        let token = Some(self.leaving.token.as_str());
        client.post("/auth/logout", token, &Value::Null).await
    }

    /// One changes the password, which ends another session.
    pub(super) async fn change_password(&self, client: &Client) -> (u16, Value) {
        client.change_password(&self.torn.token, PASSWORD, NEW).await
    }

    /// One refreshes a session.
    pub(super) async fn refresh(&self, client: &Client) -> (u16, Value) {
        refresh(client, &self.staying).await
    }

    /// One signs up.
    pub(super) async fn sign_up(&self, client: &Client) -> (u16, Value) {
        sign_up(client, &self.late, PASSWORD).await
    }

    /// Asks for all of it, and remembers what was answered with success. What fails, fails because of the store.
    pub(super) async fn meanwhile(&mut self, client: &Client) -> Meanwhile {
        let logout = self.log_out(client).await;
        let password = self.change_password(client).await;
        let (refreshed, signup) = tokio::join!(self.refresh(client), self.sign_up(client));
        for (status, body) in [&logout, &password, &refreshed, &signup] {
            let code = body["code"].as_str().unwrap_or_default();
            let told = matches!(code, "store_unavailable" | "revocations_unavailable");
            assert_eq!(*status == 503, told, "{status} {body}");
        }
        self.done = Done {
            logout: logout.0 == 204,
            password: password.0 == 204,
            signup: signup.0 == 201,
        };
        if refreshed.0 == 200 {
            self.staying = Account::from_tokens(&refreshed.1);
        }
        Meanwhile {
            logout: logout.0,
            password: password.0,
            refresh: refreshed.0,
            signup: signup.0,
        }
    }

    /// Once all is well again: what was answered with success holds, and of what was refused, nothing was done by halves.
    /// Then all of it is done, which holds when this is asked again, of any gateway that knows the same.
    pub(super) async fn holds(&mut self, client: &Client, refused: Refused) {
        for account in [&self.known, &self.fresh] {
            assert_eq!(client.get("/c/x", &account.token).await, 200);
        }
        assert_eq!(client.log_in(&self.known).await.0, 200, "an account holds");
        assert!(client.is_revoked(&self.gone.token).await, "a logout holds");
        assert_eq!(refresh(client, &self.gone).await.0, 401);
        assert_eq!(
            log_in(client, &self.changed, NEW).await,
            200,
            "a changed password holds"
        );
        assert_eq!(log_in(client, &self.changed, OLD).await, 401);
        self.logout_holds(client, refused).await;
        self.password_holds(client, refused).await;
        self.refresh_holds(client).await;
        self.signup_holds(client, refused).await;
    }

    async fn logout_holds(&mut self, client: &Client, refused: Refused) {
        if self.done.logout {
            is_refused(client, &self.leaving).await;
        } else if client.get("/c/x", &self.leaving.token).await == 200 {
            assert_eq!(self.log_out(client).await.0, 204);
        } else {
            assert!(refused != Refused::Undone, "a logout that was refused has happened");
            if refused == Refused::Tokens {
                // The session may live, and its user anyway: the next one ends as it should.
                assert!(client.is_revoked(&self.leaving.token).await);
                let (status, tokens) = client.log_in(&self.leaving).await;
                assert_eq!(status, 200, "{tokens}");
                self.leaving = Account::from_tokens(&tokens);
                assert_eq!(client.get("/c/x", &self.leaving.token).await, 200);
                assert_eq!(self.log_out(client).await.0, 204);
            }
        }
        self.done.logout = true;
        assert!(client.is_revoked(&self.leaving.token).await);
        assert_eq!(
            refresh(client, &self.leaving).await.0,
            401,
            "a session that has ended goes on"
        );
    }

    async fn password_holds(&mut self, client: &Client, refused: Refused) {
        let (old, new) = (
            log_in(client, &self.torn.email, PASSWORD).await,
            log_in(client, &self.torn.email, NEW).await,
        );
        let changed = match (old, new) {
            (401, 200) => true,
            (200, 401) => false,
            other => panic!("neither the old password nor the new one: {other:?}"),
        };
        assert!(changed || !self.done.password, "a password that was changed is not");
        assert!(
            !changed || self.done.password || refused == Refused::Unknown,
            "a change of the password that was refused has happened"
        );
        assert_eq!(
            client.get("/c/x", &self.torn.token).await,
            200,
            "who changes it stays in"
        );
        if !changed {
            let elsewhere = client.get("/c/x", &self.elsewhere.token).await;
            assert!(elsewhere == 200 || refused == Refused::Tokens, "{elsewhere}");
            assert_eq!(self.change_password(client).await.0, 204);
            assert_eq!(log_in(client, &self.torn.email, PASSWORD).await, 401);
            assert_eq!(log_in(client, &self.torn.email, NEW).await, 200);
        }
        self.done.password = true;
        is_refused(client, &self.elsewhere).await;
        assert_eq!(refresh(client, &self.elsewhere).await.0, 401);
    }

    /// One whose answer was lost may be tried again.
    async fn refresh_holds(&mut self, client: &Client) {
        let (status, tokens) = self.refresh(client).await;
        assert_eq!(status, 200, "{tokens}");
        self.staying = Account::from_tokens(&tokens);
        assert_eq!(client.get("/c/x", &self.staying.token).await, 200);
    }

    async fn signup_holds(&mut self, client: &Client, refused: Refused) {
        let (status, body) = self.sign_up(client).await;
        match (self.done.signup, refused) {
            (true, _) => assert_eq!(status, 409, "an account is lost: {body}"),
            (false, Refused::Undone | Refused::Tokens) => assert_eq!(status, 201, "{body}"),
            (false, Refused::Unknown) => assert!(matches!(status, 201 | 409), "{body}"),
        }
        self.done.signup = true;
        assert_eq!(log_in(client, &self.late, PASSWORD).await, 200);
    }
}

async fn log_in(client: &Client, email: &str, password: &str) -> u16 {
    let login = json!({"email": email, "password": password});
    client.post("/auth/login", None, &login).await.0
}

async fn sign_up(client: &Client, email: &str, password: &str) -> (u16, Value) {
    let signup = json!({"email": email, "password": password, "name": "Ada"});
    client.post("/auth/signup", None, &signup).await
}

async fn refresh(client: &Client, account: &Account) -> (u16, Value) {
    let refresh = json!({"refresh_token": account.refresh_token});
    client.post("/auth/refresh", None, &refresh).await
}

/// At once by the gateway that did it, or as soon as the one that is asked has read it.
async fn is_refused(client: &Client, account: &Account) {
    eventually(DEADLINE, "a revocation is known", || async {
        when(client.is_revoked(&account.token).await)
    })
    .await;
}
