//! [`admit`]: an HTTP/2 request head made into what the rest of the gateway knows, or refused.
//!
//! hyper has refused what RFC 9113 calls malformed: names in upper case, CR, LF and NUL, connection-specific headers, pseudo-
//! headers that are missing, twice or in a trailer. What is left is what another program could read differently, and what
//! is larger than configured.

use http::header::{CONTENT_LENGTH, COOKIE, Entry, HOST, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Uri};

use crate::problem::{Code, Problem};
use crate::server::head::{Limits, Refusal, content_length};

/// Checks a head and gives it the form that HTTP/1 has: the host in `Host` (RFC 9113, section 8.3.1), the target in origin
/// form, one `Cookie` (section 8.2.3). The scheme that the client names is dropped: the connection says what it is.
pub(in crate::server) fn admit(parts: &mut Parts, limits: &Limits) -> Result<(), Problem> {
    check(parts, limits).map_err(Refusal::problem)?;
    if parts.method == Method::CONNECT && parts.extensions.get::<hyper::ext::Protocol>().is_none() {
        return Err(Refusal::Method.problem());
    }
    set_host(parts).map_err(Refusal::problem)?;
    join_cookies(&mut parts.headers).map_err(|_| Problem::new(Code::BadRequest, "the Cookie can't be read"))?;
    Ok(())
}

fn check(parts: &Parts, limits: &Limits) -> Result<(), Refusal> {
    if parts.method == Method::TRACE {
        return Err(Refusal::Method);
    }
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.target {
        return Err(Refusal::TargetTooLong);
    }
    if parts.headers.len() > limits.lines {
        return Err(Refusal::TooLarge);
    }
    let authority = parts.uri.authority().map_or(0, |authority| authority.as_str().len());
    let mut bytes = parts.method.as_str().len() + target + authority;
    for (name, value) in &parts.headers {
        // A line of HTTP/1 has four bytes more: `: ` and CR LF.
        bytes += name.as_str().len() + value.len() + 4;
        if let [b' ' | b'\t', ..] | [.., b' ' | b'\t'] = value.as_bytes() {
            return Err(Refusal::Bad("a header value begins or ends with a blank"));
        }
    }
    if bytes > limits.bytes {
        return Err(Refusal::TooLarge);
    }
    let mut lengths = parts.headers.get_all(CONTENT_LENGTH).iter();
    if lengths
        .next()
        .is_some_and(|length| content_length(length.as_bytes()).is_none())
    {
        return Err(Refusal::Bad("the Content-Length is not a number of bytes"));
    }
    if lengths.next().is_some() {
        return Err(Refusal::Bad("there is more than one Content-Length"));
    }
    Ok(())
}

/// Makes `:authority` the `Host`, and refuses a head that has neither, or two that differ.
fn set_host(parts: &mut Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::Bad("there is more than one Host header"));
    }
    let Some(authority) = parts.uri.authority() else {
        return match host {
            Some(_) => Ok(()),
            None => Err(Refusal::Bad("there is no :authority, and no Host header")),
        };
    };
    let authority = authority.as_str();
    if host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes())) {
        return Err(Refusal::Bad("the Host header is not what :authority says"));
    }
    let value = HeaderValue::from_str(authority).map_err(|_| Refusal::Bad("the :authority is not a host"))?;
    parts.headers.insert(HOST, value);
    // A target without a path has nothing that could be matched.
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path.map(Uri::from).ok_or(Refusal::Bad("there is no :path"))?;
    Ok(())
}

/// Joins the crumbs of a cookie into the one header that programs which speak HTTP/1 look at.
fn join_cookies(headers: &mut HeaderMap) -> Result<(), http::header::InvalidHeaderValue> {
    let Entry::Occupied(mut entry) = headers.entry(COOKIE) else {
        return Ok(());
    };
    let mut crumbs = entry.iter().skip(1).peekable();
    if crumbs.peek().is_none() {
        return Ok(());
    }
    let mut joined = entry.get().as_bytes().to_vec();
    for crumb in crumbs {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    entry.insert(HeaderValue::from_bytes(&joined)?);
    Ok(())
}

#[cfg(test)]
mod tests;
