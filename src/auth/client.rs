//! [`Asked`]: a token that another service asks about, once that service has proved who it is and may ask.
//!
//! A client authenticates by HTTP Basic or in the body (RFC 6749, section 2.3.1), never by both. An unknown id and a wrong
//! secret are refused by the same bytes after the same work.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, Digest, SHA256};
use axum::extract::{FromRequest, FromRequestParts, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};

use super::AuthState;
use super::caller::Client as Caller;
use super::error::Failure;
use super::form::{Form, decode};
use crate::config::{Client, ClientPermission};
use crate::problem::Code;
use crate::secret::Secret;
use crate::store::audit::EventKind;

/// What a client may ask about.
#[derive(Debug)]
pub(super) struct Asked {
    /// The client's id.
    pub(super) client: String,
    /// The token, or what is said to be one. `token_type_hint` is not needed: our two kinds of token look different.
    pub(super) token: Secret<String>,
}

/// What a client says that it is.
struct Credentials {
    id: String,
    secret: Secret<String>,
}

impl Asked {
    /// Reads a request of a client that must be allowed this.
    pub(super) async fn read(
        request: Request,
        state: &AuthState,
        permission: ClientPermission,
    ) -> Result<Self, Failure> {
        let clients = &state.config.clients;
        let (mut parts, body) = request.into_parts();
        let Ok(caller) = Caller::from_request_parts(&mut parts, state).await;
        let request = Request::from_parts(parts, body);
        let from = caller.ip;
        let judge = |credentials: &Credentials| {
            let may = state.throttle.may_authenticate(state, &credentials.id, from);
            caller.note_throttled(state, EventKind::ClientThrottled, &may);
            may?;
            let Some(client) = identify(clients, credentials) else {
                state.throttle.note_bad_secret(state, &credentials.id, from);
                return Err(not_accepted());
            };
            state.throttle.note_good_secret(&client.id, from);
            if client.allow.contains(&permission) {
                Ok(client.id.clone())
            } else {
                Err(Failure::new(
                    Code::UnauthorizedClient,
                    "this client is not allowed to ask that",
                ))
            }
        };
        // Before the body: a stranger's is not waited for.
        let by_header = basic(request.headers())?.map(|shown| judge(&shown)).transpose()?;
        let mut form = Form::from_request(request, state).await?;
        let (id, secret) = (form.take("client_id"), form.take("client_secret"));
        let client = match (by_header, id, secret) {
            (Some(client), None, None) => client,
            // The id alone proves nothing, and some libraries send it always.
            (Some(client), Some(id), None) if *id.expose() == client => client,
            (Some(_), _, _) => {
                let detail = "the client authenticates in the header or in the body, not in both";
                return Err(Failure::new(Code::InvalidRequest, detail));
            }
            (None, Some(id), Some(secret)) => judge(&Credentials {
                id: id.expose().clone(),
                secret,
            })?,
            (None, _, _) => return Err(not_accepted()),
        };
        let token = form
            .take("token")
            .ok_or_else(|| Failure::new(Code::InvalidRequest, "the parameter `token` must be there"))?;
        Ok(Self { client, token })
    }
}

fn not_accepted() -> Failure {
    let detail = "send the id and the secret of a client, by HTTP Basic or as `client_id` and `client_secret`";
    Failure::new(Code::InvalidClient, detail)
}

/// The client of these credentials. All clients are gone through, and digests compared in constant time: the time tells
/// neither whether the id is one, nor how much of a secret was right.
fn identify<'a>(clients: &'a [Client], shown: &Credentials) -> Option<&'a Client> {
    let wanted = digest(&shown.id, &shown.secret);
    let mut found = None;
    for client in clients {
        if verify_slices_are_equal(digest(&client.id, &client.secret).as_ref(), wanted.as_ref()).is_ok() {
            found = Some(client);
        }
    }
    found
}

/// A digest of both; no other pair has the same.
fn digest(id: &str, secret: &Secret<String>) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(&id.len().to_be_bytes());
    context.update(id.as_bytes());
    context.update(secret.expose().as_bytes());
    context.finish()
}

/// The credentials in the `Authorization` header, if there is one. They are form-encoded before they are joined (RFC 6749,
/// section 2.3.1), so that a secret may hold any character.
fn basic(headers: &HeaderMap) -> Result<Option<Credentials>, Failure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let detail = "there is more than one Authorization header";
        return Err(Failure::new(Code::InvalidRequest, detail));
    }
    let credentials = value.to_str().ok().and_then(parse_basic);
    credentials.map(Some).ok_or_else(not_accepted)
}

/// RFC 7617, section 2. The scheme's case does not matter (RFC 9110, section 11.1).
fn parse_basic(value: &str) -> Option<Credentials> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = STANDARD.decode(encoded.trim_start_matches(' ')).map(Secret::new).ok()?;
    let (id, secret) = std::str::from_utf8(joined.expose()).ok()?.split_once(':')?;
    Some(Credentials {
        id: decode(id)?,
        secret: Secret::new(decode(secret)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> Option<(String, String)> {
        parse_basic(value).map(|shown| (shown.id, shown.secret.expose().clone()))
    }

    fn header(joined: &str) -> String {
        format!("Basic {}", STANDARD.encode(joined))
    }

    #[test]
    fn basic_credentials_are_form_encoded_before_they_are_joined() {
        let some = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(read(&header("reports:s3cret")), some("reports", "s3cret"));
        assert_eq!(read(&header("a:b:c")), some("a", "b:c"));
        assert_eq!(read(&header("a%3Ab:%2B+%25%3a")), some("a:b", "+ %:"));
        assert_eq!(read(&header("a:b").replace("Basic", "bASIC ")), some("a", "b"));
        for bad in [
            "",
            "Basic",
            "Basic ",
            "Basic YTpi=",
            "Basic YTp",
            "Bearer YTpi",
            "Basic YTpi YTpi",
            "Basic !",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&header("no colon")), None);
        assert_eq!(read(&header("a:100%")), None);
    }

    #[test]
    fn a_client_is_its_id_and_its_secret_together() {
        let client = |id: &str, secret: &str| Client {
            id: id.to_owned(),
            secret: Secret::new(secret.to_owned()),
            allow: ClientPermission::ALL.to_vec(),
        };
        let clients = [client("a", "one"), client("ao", "ne"), client("b", "two")];
        let found = |id: &str, secret: &str| {
            let shown = Credentials {
                id: id.to_owned(),
                secret: Secret::new(secret.to_owned()),
            };
            identify(&clients, &shown).map(|client| client.id.as_str())
        };
        assert_eq!(found("a", "one"), Some("a"));
        assert_eq!(found("ao", "ne"), Some("ao"));
        for (id, secret) in [
            ("a", "two"),
            ("b", "one"),
            ("c", "one"),
            ("", "aone"),
            ("a", ""),
            ("A", "one"),
        ] {
            assert_eq!(found(id, secret), None, "{id} {secret}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(value in "\\PC{0,40}|[Bb]asic [A-Za-z0-9+/=]{0,40}") {
            let _ = parse_basic(&value);
        }
    }
}
