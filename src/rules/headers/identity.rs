//! The headers by which an upstream knows who a request comes from.

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::names;
use super::value::{take_value, write_encoded, write_plain};
use crate::id::{Identity, IssuerName, Principal, TELLING};
use crate::rules::policy::Permit;

/// The names of the identity headers, made once, and the prefix that clients may not use.
#[derive(Clone, Debug)]
pub struct IdentityHeaders {
    prefix: Box<str>,
    user: HeaderName,
    email: HeaderName,
    name: HeaderName,
    roles: HeaderName,
    session: HeaderName,
    assertion: HeaderName,
    issuer: HeaderName,
    /// Subject, alternative names and fingerprint of a client's certificate.
    certificate: [HeaderName; 3],
}

/// A text that can't begin the names of identity headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrefix {
    /// It is not spelled like one.
    #[error("expected 2 to 40 letters, digits and `-`, the first one a letter and the last one a `-`")]
    Spelling,
    /// Headers of other meaning begin so; they would all be removed.
    #[error("other headers begin like this")]
    Taken,
}

impl IdentityHeaders {
    /// The headers whose names begin with `prefix`, for example `X-Auth-` (letter case does not matter).
    pub fn new(prefix: &str) -> Result<Self, InvalidPrefix> {
        let prefix = prefix.to_ascii_lowercase();
        let spelled = (2..=40).contains(&prefix.len())
            && prefix.starts_with(|first: char| first.is_ascii_alphabetic())
            && prefix.ends_with('-')
            && names::is_plain(&prefix);
        if !spelled {
            return Err(InvalidPrefix::Spelling);
        }
        if names::is_taken(&prefix) {
            return Err(InvalidPrefix::Taken);
        }
        let name = |rest: &str| HeaderName::try_from(format!("{prefix}{rest}")).map_err(|_| InvalidPrefix::Spelling);
        Ok(Self {
            user: name("user-id")?,
            email: name("email")?,
            name: name("name")?,
            roles: name("roles")?,
            session: name("session")?,
            assertion: name("assertion")?,
            issuer: name("issuer")?,
            certificate: [
                name("client-cert-subject")?,
                name("client-cert-san")?,
                name("client-cert-fingerprint")?,
            ],
            prefix: prefix.into(),
        })
    }

    /// Whether `name` is an identity header in any spelling: it begins with the prefix, all but letters and digits read as
    /// `-`. That is wider than the headers that are set, so that upstreams can rely on the whole prefix.
    #[must_use]
    pub fn claims(&self, name: &HeaderName) -> bool {
        let name = name.as_str();
        name.len() >= self.prefix.len()
            && self
                .prefix
                .bytes()
                .zip(name.bytes())
                .all(|(prefix, byte)| prefix == names::fold(byte))
    }

    pub(super) fn certificate(&self) -> &[HeaderName; 3] {
        &self.certificate
    }

    /// Sets the header by which an upstream can verify the others: a signed text. To be called after
    /// [`rewrite_request`](super::rewrite_request) has removed what the client said under its name.
    pub fn set_assertion(&self, headers: &mut HeaderMap, assertion: Bytes) {
        // A JWT holds nothing that a header may not.
        if let Ok(value) = HeaderValue::from_maybe_shared(assertion) {
            headers.insert(&self.assertion, value);
        }
    }

    /// Sets the headers for a proxy that copies them into the request that it forwards. All of them are there, empty where the
    /// permit has nothing to say: what is copied then replaces what the client said, whoever the client is.
    pub fn answer(&self, headers: &mut HeaderMap, permit: &Permit) {
        let names = [
            &self.user,
            &self.email,
            &self.name,
            &self.roles,
            &self.session,
            &self.assertion,
            &self.issuer,
        ];
        // A proxy's own connection says nothing of its client's certificate, and nor may the client.
        for name in names.into_iter().chain(&self.certificate) {
            headers.insert(name, HeaderValue::from_static(""));
        }
        if let Some(identity) = permit.identity() {
            self.set(headers, identity);
        }
    }

    /// Sets the headers: those of the user and of the issuer always, the others where the identity has what they say.
    pub(super) fn set(&self, headers: &mut HeaderMap, identity: &Identity) {
        let names = [
            &self.user,
            &self.issuer,
            &self.session,
            &self.email,
            &self.name,
            &self.roles,
        ];
        let values = identity.told.values(|| values(identity));
        for (name, value) in names.into_iter().zip(values) {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
    }
}

/// What is told of an identity: the user, the issuer, the session, the address, the name and the roles.
fn values(identity: &Identity) -> [Option<HeaderValue>; TELLING] {
    let mut buffer = BytesMut::with_capacity(256);
    let mut text = [0; 36];
    let (user, issuer) = match &identity.principal {
        Principal::User(id) => {
            buffer.extend_from_slice(id.write(&mut text).as_bytes());
            let issuer = HeaderValue::from_static(IssuerName::SELF);
            (take_value(&mut buffer), Some(issuer))
        }
        Principal::Foreign { issuer, subject } => {
            write_plain(&mut buffer, format_args!("{issuer}:"));
            write_encoded(&mut buffer, subject.as_str());
            let user = take_value(&mut buffer);
            write_plain(&mut buffer, issuer);
            (user, take_value(&mut buffer))
        }
    };
    let session = identity.session.and_then(|session| {
        buffer.extend_from_slice(session.write(&mut text).as_bytes());
        take_value(&mut buffer)
    });
    let mut encoded = |text: &str| {
        write_encoded(&mut buffer, text);
        take_value(&mut buffer)
    };
    let email = identity.email.as_ref().and_then(|email| encoded(email.as_str()));
    let name = identity.name.as_ref().and_then(|name| encoded(name.as_str()));
    // A role holds no comma and nothing that is encoded.
    for (index, role) in identity.roles.iter().enumerate() {
        buffer.extend_from_slice(if index == 0 { b"" } else { b"," });
        buffer.extend_from_slice(role.as_str().as_bytes());
    }
    let roles = if identity.roles.is_empty() {
        None
    } else {
        take_value(&mut buffer)
    };
    [user, issuer, session, email, name, roles]
}
