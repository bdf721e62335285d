//! `[[clients]]`

use super::{Check, Reported};
use crate::config::error::Complaint;
use crate::config::{raw, suggest, tree, typed};
use crate::secret::Secret;

/// The fewest bytes of a client's secret: nobody guesses 32 that were drawn at random.
const LEAST_SECRET: usize = 32;

pub(super) fn clients(raw: &[raw::Client], check: &mut Check<'_>) -> Option<Vec<typed::Client>> {
    let clients: Vec<_> = raw
        .iter()
        .enumerate()
        .map(|(index, client)| {
            let id = id(raw, index, check);
            let secret = secret(client, index, check);
            let allow = allow(client, index, check);
            Some(typed::Client {
                id: id?,
                secret: secret.ok()?,
                allow: allow.ok()?,
            })
        })
        .collect();
    clients.into_iter().collect()
}

fn key(index: usize, name: &str) -> String {
    format!("clients[{index}].{name}")
}

fn id(raw: &[raw::Client], index: usize, check: &mut Check<'_>) -> Option<String> {
    let this = key(index, "id");
    let Some(id) = raw.get(index).and_then(|client| client.id.as_ref()) else {
        check.missing(&this, "clients[].id");
        return None;
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !(1..=64).contains(&id.len()) || !id.bytes().all(plain) {
        check.invalid(&this, "clients[].id", "not a client's id", id);
        return None;
    }
    let earlier = raw.iter().take(index);
    if let Some(other) = earlier
        .map(|client| client.id.as_ref())
        .position(|other| other == Some(id))
    {
        let complaint = Complaint::new("another client has this id")
            .found(tree::quote(id))
            .allowed("an id for each client");
        check.conflict(&this, &key(other, "id"), complaint);
        return None;
    }
    Some(id.clone())
}

fn secret(raw: &raw::Client, index: usize, check: &mut Check<'_>) -> Result<Secret<String>, Reported> {
    let (inline, file) = (key(index, "secret"), key(index, "secret_file"));
    let (at, bytes) = match (&raw.secret, &raw.secret_file) {
        (None, None) => {
            // A value of the wrong type was reported, and is not missing.
            if !check.report.has(&file) {
                check.missing(&inline, "clients[].secret");
            }
            return Err(Reported);
        }
        (Some(_), Some(_)) => {
            let complaint = Complaint::new(format!("the secret is also set by {file}")).allowed("one of the two");
            check.conflict(&inline, &file, complaint);
            return Err(Reported);
        }
        (Some(secret), None) => (inline, secret.expose().clone().into_bytes()),
        (None, Some(path)) => {
            let bytes = check.secret_file(&file, path)?;
            (file, bytes)
        }
    };
    let allowed = || format!("at least {LEAST_SECRET} bytes, as `openssl rand -hex 32` makes");
    if bytes.len() < LEAST_SECRET {
        let complaint = Complaint::new("the secret is too short")
            .found(format!("{} bytes", bytes.len()))
            .allowed(allowed());
        check.wrong(&at, complaint);
        return Err(Reported);
    }
    // Another character could be sent in more ways than one, and by some clients not at all.
    match String::from_utf8(bytes) {
        Ok(secret) if secret.bytes().all(|byte| matches!(byte, b' '..=b'~')) => Ok(Secret::new(secret)),
        Ok(_) | Err(_) => {
            let complaint = Complaint::new("the secret holds more than printable ASCII (RFC 6749, appendix A.2)");
            check.wrong(&at, complaint.allowed(allowed()));
            Err(Reported)
        }
    }
}

fn allow(raw: &raw::Client, index: usize, check: &mut Check<'_>) -> Result<Vec<typed::ClientPermission>, Reported> {
    let this = key(index, "allow");
    if raw.allow.is_empty() {
        let complaint = Complaint::new("an empty list: the client could do nothing")
            .allowed("introspect, revoke or both; leave the key out for both");
        check.wrong(&this, complaint);
        return Err(Reported);
    }
    let mut allowed = Vec::new();
    for (place, word) in raw.allow.iter().enumerate() {
        let known = typed::ClientPermission::ALL.iter();
        let message = match known.clone().find(|permission| permission.as_str() == word) {
            Some(permission) if allowed.contains(permission) => "the same permission twice",
            Some(permission) => {
                allowed.push(*permission);
                continue;
            }
            None => "not something that a client can be allowed",
        };
        let nearest = suggest::nearest(word, known.map(|permission| permission.as_str()));
        let complaint = Complaint::new(message)
            .found(tree::quote(word))
            .allowed("introspect, revoke or both")
            .suggest(nearest.map(tree::quote));
        check.wrong(&format!("{this}[{place}]"), complaint);
    }
    if allowed.len() == raw.allow.len() {
        Ok(allowed)
    } else {
        Err(Reported)
    }
}
