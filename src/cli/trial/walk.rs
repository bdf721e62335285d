//! The steps, in order, and the clean-up after them.

use std::fmt::Display;

use anyhow::Context;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::guarded::Guarded;
use super::report::{Outcome, Report};
use super::whoami::Seen;
use crate::cli::failure::{Failure, one_line};
use crate::config::Config;
use crate::secret::Secret;

/// What a spoofed header says: found in no honest one.
const SPOOF: &str = "spoofed-by-doorward-try";

/// What a step found: what is good, or what is not as it should be.
type Verdict = Result<String, String>;

/// One walk through the main job, with an account of its own.
pub(super) struct Walk<'a, 'out> {
    client: &'a Client,
    guarded: &'a Guarded,
    report: &'a mut Report<'out>,
    auth: &'a str,
    prefix: &'a str,
    email: String,
    password: Secret<String>,
    /// Whether there is an account to remove.
    signed_up: bool,
}

/// What signing up or logging in gave.
struct LoggedIn {
    token: Secret<String>,
    user: String,
}

impl<'a, 'out> Walk<'a, 'out> {
    /// Prepares a walk with a fresh e-mail address and password.
    pub(super) fn new(
        client: &'a Client,
        guarded: &'a Guarded,
        config: &'a Config,
        report: &'a mut Report<'out>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client,
            guarded,
            report,
            auth: &config.auth.path,
            prefix: &config.identity.prefix,
            email: format!("try-{}@doorward.example", random_text::<12>()?.to_lowercase()),
            // 72 bytes: the most that bcrypt takes, so no min_length is longer.
            password: Secret::new(random_text::<54>()?),
            signed_up: false,
        })
    }

    /// Walks, stops early where a step leaves nothing to go on with (or at Ctrl-C), and removes the account at last.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let walked = tokio::select! {
            walked = self.steps() => walked,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted").into()),
        };
        // Also after a failure: the account must not stay. What failed first is what counts.
        let removed = self.remove_account().await;
        walked.and(removed)
    }

    async fn steps(&mut self) -> Result<(), Failure> {
        let request = self.guarded_request(None);
        self.step(request, |answer| refused(answer, "no token", "token_missing"))
            .await?;

        let account = json!({"email": self.email, "password": self.password.expose(), "name": "Doorward Try"});
        let email = self.email.clone();
        let request = self.auth_request(Method::POST, "/signup", None, Some(&account));
        let signed_up = self.step(request, |answer| match (answer.status, answer.code().as_str()) {
            (StatusCode::CREATED, _) => Ok(format!("signed up as {email}")),
            (_, "signup_closed") => Err("sign-up is closed (auth.signup): `doorward try` needs it open".to_owned()),
            _ => Err(unexpected(answer, "201")),
        });
        let signed_up = signed_up.await?;
        if signed_up.is_none_or(|answer| answer.status != StatusCode::CREATED) {
            return Ok(());
        }
        self.signed_up = true;

        let Some(login) = self.log_in("logged in").await? else {
            return Ok(());
        };
        self.guarded_steps(&login).await?;

        let request = self.auth_request(Method::POST, "/logout", Some(&login.token), None);
        self.step(request, |answer| expect(answer, StatusCode::NO_CONTENT, "logged out"))
            .await?;
        let request = self.guarded_request(Some(login.token.expose()));
        self.step(request, |answer| refused(answer, "the same token", "token_revoked"))
            .await?;
        Ok(())
    }

    /// What a token opens, and what it doesn't.
    async fn guarded_steps(&mut self, login: &LoggedIn) -> Result<(), Failure> {
        let token = login.token.expose().as_str();
        let names = ["user-id", "email", "name"].map(|name| format!("{}{name}", self.prefix));

        let request = self.guarded_request(Some(token));
        let user = login.user.as_str();
        let answer = self.step(request, |answer| {
            let seen = expect(answer, StatusCode::OK, "").and_then(|_| Seen::parse(&answer.body))?;
            let id = seen.only(&names[0])?;
            if id == user {
                Ok("the upstream saw:".to_owned())
            } else {
                Err(format!("the upstream saw user {id}, not {user}"))
            }
        });
        if let Some(seen) = answer.await?.and_then(|answer| Seen::parse(&answer.body).ok()) {
            for name in &names {
                if let Ok(value) = seen.only(name) {
                    self.report.detail(format_args!("{name}: {value}"))?;
                }
            }
        }

        let mut request = self.guarded_request(Some(token));
        for name in [
            names[0].clone(),
            names[0].replace('-', "_"),
            names[1].clone(),
            format!("{}roles", self.prefix),
        ] {
            if let Ok(name) = header::HeaderName::try_from(name) {
                request.headers_mut().append(name, HeaderValue::from_static(SPOOF));
            }
        }
        self.step(request, |answer| {
            let seen = expect(answer, StatusCode::OK, "").and_then(|_| Seen::parse(&answer.body))?;
            match (seen.holder_of(SPOOF), seen.only(&names[0])?) {
                (None, id) if id == user => Ok(format!("a spoofed {} did not arrive", names[0])),
                (None, id) => Err(format!("the upstream saw user {id}, not {user}")),
                (Some(name), _) => Err(format!("a spoofed {name} reached the upstream")),
            }
        })
        .await?;

        let Some(tampered) = tamper(token) else {
            let line = format!("GET {}", self.guarded.path);
            let why = "a tampered token can't be made: the access token is not a JWT with claims";
            return self.report.step(&line, None, Err::<&str, _>(why));
        };
        let request = self.guarded_request(Some(&tampered));
        self.step(request, |answer| refused(answer, "a tampered token", "token_invalid"))
            .await?;
        Ok(())
    }

    async fn remove_account(&mut self) -> Result<(), Failure> {
        let credentials = self.credentials();
        // Not a step of the walk: where no account was made, there is none to remove and nothing to say. One whose sign-up
        // was not answered may be there all the same.
        let request = self.auth_request(Method::POST, "/login", None, Some(&credentials));
        let login = match self.client.send(request).await {
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED && !self.signed_up => return Ok(()),
            Ok(answer) => LoggedIn::from_answer(&answer),
            Err(_) => None,
        };
        let Some(login) = login else {
            let request = format!("POST {}/login", self.auth);
            let why = format!(
                "the account {} may still be there: cannot log in to remove it",
                self.email
            );
            return self.report.step(&request, None, Err::<&str, _>(why));
        };
        let request = self.auth_request(Method::DELETE, "/user", Some(&login.token), None);
        self.step(request, |answer| {
            expect(answer, StatusCode::NO_CONTENT, "the account is removed")
        })
        .await?;
        Ok(())
    }

    async fn log_in(&mut self, good: &str) -> Result<Option<LoggedIn>, Failure> {
        let credentials = self.credentials();
        let request = self.auth_request(Method::POST, "/login", None, Some(&credentials));
        let answer = self.step(request, |answer| {
            expect(answer, StatusCode::OK, good)?;
            LoggedIn::from_answer(answer).map_or(Err("no access_token and user.id in the answer".to_owned()), |_| {
                Ok(good.to_owned())
            })
        });
        Ok(answer.await?.as_ref().and_then(LoggedIn::from_answer))
    }

    /// Sends, judges, reports. The answer, if there was one, whatever the verdict.
    async fn step(
        &mut self,
        request: Request<Full<Bytes>>,
        judge: impl FnOnce(&Answer) -> Verdict,
    ) -> Result<Option<Answer>, Failure> {
        let line = format!("{} {}", request.method(), request.uri());
        match self.client.send(request).await {
            Ok(answer) => {
                let outcome: Outcome = Some((answer.status, answer.took));
                self.report.step(&line, outcome, judge(&answer))?;
                Ok(Some(answer))
            }
            Err(error) => {
                self.report.step(&line, None, Err::<&str, _>(one_line(&error)))?;
                Ok(None)
            }
        }
    }

    fn credentials(&self) -> Value {
        json!({"email": self.email, "password": self.password.expose()})
    }
}

impl Walk<'_, '_> {
    fn guarded_request(&self, token: Option<&str>) -> Request<Full<Bytes>> {
        let mut request = new_request(Method::GET, &self.guarded.path, token, Bytes::new());
        if let Some(host) = self
            .guarded
            .host
            .as_deref()
            .and_then(|host| HeaderValue::try_from(host).ok())
        {
            request.headers_mut().insert(header::HOST, host);
        }
        request
    }

    fn auth_request(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret<String>>,
        body: Option<&Value>,
    ) -> Request<Full<Bytes>> {
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let token = token.map(|token| token.expose().as_str());
        let mut request = new_request(method, &format!("{}{path}", self.auth), token, bytes);
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        request
    }
}

fn new_request(method: Method, path: &str, token: Option<&str>, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_default();
    if let Some(Ok(bearer)) = token.map(|token| HeaderValue::try_from(format!("Bearer {token}"))) {
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
    }
    request
}

impl LoggedIn {
    fn from_answer(answer: &Answer) -> Option<Self> {
        let body = answer.json();
        Some(Self {
            token: Secret::new(body["access_token"].as_str()?.to_owned()),
            user: body["user"]["id"].as_str()?.to_owned(),
        })
    }
}

fn expect(answer: &Answer, status: StatusCode, good: &str) -> Verdict {
    if answer.status == status {
        Ok(good.to_owned())
    } else {
        Err(unexpected(answer, status.as_str()))
    }
}

/// A 401 with this code.
fn refused(answer: &Answer, what: &str, code: &str) -> Verdict {
    if answer.status == StatusCode::UNAUTHORIZED && answer.code() == code {
        Ok(format!("{what}: refused ({code})"))
    } else {
        Err(format!("{what}: {}", unexpected(answer, format!("401 {code}"))))
    }
}

fn unexpected(answer: &Answer, expected: impl Display) -> String {
    let body = answer.json();
    let detail = body["detail"]
        .as_str()
        .map(|detail| format!(" ({detail})"))
        .unwrap_or_default();
    let by_us = answer.headers.contains_key(crate::problem::GATEWAY_ERROR);
    let code = if by_us {
        format!(" {}", answer.code())
    } else {
        String::new()
    };
    format!("expected {expected}, got {}{code}{detail}", answer.status.as_u16())
}

/// The token with a role more, under the old signature.
fn tamper(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    claims["roles"] = json!(["admin"]);
    Some(format!(
        "{header}.{}.{signature}",
        URL_SAFE_NO_PAD.encode(claims.to_string())
    ))
}

/// `N` random bytes as text of letters, digits, `-` and `_`.
fn random_text<const N: usize>() -> anyhow::Result<String> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok().context("no randomness")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tampered_token_differs_in_its_claims_alone() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"1","roles":[]}"#);
        let tampered = tamper(&format!("h.{claims}.s")).unwrap();
        let parts: Vec<_> = tampered.split('.').collect();
        assert_eq!((parts[0], parts[2]), ("h", "s"));
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!(claims, json!({"sub": "1", "roles": ["admin"]}));
        assert_eq!(tamper("no token"), None);
    }

    #[test]
    fn the_longest_password_is_as_long_as_bcrypt_takes() {
        assert_eq!(random_text::<54>().unwrap().len(), 72);
        assert_ne!(random_text::<12>().unwrap(), random_text::<12>().unwrap());
    }
}
