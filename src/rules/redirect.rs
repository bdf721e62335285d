//! Answers that send the client elsewhere (RFC 9110, section 15.4). Where to is the operator's word: only segments of the path
//! and the query come from the request, so that no request can choose the host.

use http::{HeaderValue, StatusCode};

use super::host::normalise_host;
use super::path::RequestPath;
use super::rewrite::{InvalidTemplate, Template};
use super::route::PathPattern;

/// Where a route sends its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `https://host`, or empty: the host that was asked.
    origin: String,
    template: Template,
    status: StatusCode,
}

/// Why a text is no place to send a client to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirect {
    /// It is neither a path nor a URL.
    #[error("expected `https://host/path` or `/path`")]
    NotUrl,
    /// Its host is not one, or holds user information or a parameter.
    #[error("the host is not one")]
    Host,
    /// Its path is not a template.
    #[error(transparent)]
    Path(#[from] InvalidTemplate),
    /// Not 301, 302, 303, 307 or 308.
    #[error("not the status of a redirect")]
    Status,
}

impl Redirect {
    /// Reads `https://host/{path}` or `/new/{rest}`, for a route with this path.
    pub fn parse(to: &str, status: u16, pattern: &PathPattern) -> Result<Self, InvalidRedirect> {
        let status = match status {
            301 => StatusCode::MOVED_PERMANENTLY,
            302 => StatusCode::FOUND,
            303 => StatusCode::SEE_OTHER,
            307 => StatusCode::TEMPORARY_REDIRECT,
            308 => StatusCode::PERMANENT_REDIRECT,
            _ => return Err(InvalidRedirect::Status),
        };
        let (origin, path) = match to.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                normalise_host(authority).ok_or(InvalidRedirect::Host)?;
                (format!("{scheme}://{}", authority.to_ascii_lowercase()), path)
            }
            None if to.starts_with('/') => (String::new(), to),
            Some(_) | None => return Err(InvalidRedirect::NotUrl),
        };
        Ok(Self {
            origin,
            template: Template::for_redirect(if path.is_empty() { "/" } else { path }, pattern)?,
            status,
        })
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its `Location` for a request. The query is kept.
    #[must_use]
    pub fn location(&self, path: &RequestPath<'_>, query: Option<&str>) -> HeaderValue {
        let mut location = format!("{}{}", self.origin, self.template.fill(path));
        if let Some(query) = query {
            location.push('?');
            location.push_str(query);
        }
        // There always is a value: path and query have been found to hold no blanks and no controls.
        HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"))
    }
}

impl std::fmt::Display for Redirect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}{}", self.status.as_u16(), self.origin, self.template)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(to: &str) -> Result<Redirect, InvalidRedirect> {
        Redirect::parse(to, 308, &PathPattern::parse("/old/{id}").unwrap())
    }

    #[test]
    fn a_client_is_sent_where_the_operator_says_with_its_own_segments_and_query() {
        let path = RequestPath::parse("/old/7%20a/x").unwrap();
        for (to, query, location) in [
            ("https://new.example/{path}", None, "https://new.example/old/7%20a/x"),
            (
                "https://New.example:8443/{path}",
                Some("a=b"),
                "https://new.example:8443/old/7%20a/x?a=b",
            ),
            ("https://new.example", None, "https://new.example/"),
            ("http://new.example/u/{id}", Some(""), "http://new.example/u/7%20a?"),
            ("/new/{rest}", None, "/new/x"),
            ("/", None, "/"),
        ] {
            assert_eq!(parse(to).unwrap().location(&path, query), location, "{to}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for bad in [
            "",
            "new",
            "//evil.example",
            "//evil.example/{path}",
            "ftp://a/",
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "https://u:p@a/",
            "https://{id}/",
            "https://{id}.a/",
            "https://a b/",
            "https://a\\b/",
            "https://a/x y",
            "https://a/\r\nSet-Cookie: x",
            "https://a?b",
            "https://a/?b",
            "https://a/#b",
            "/\\evil",
            "https://a/{nobody}",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        for status in [200, 300, 304, 306, 309] {
            let pattern = PathPattern::parse("/").unwrap();
            assert_eq!(Redirect::parse("/x", status, &pattern), Err(InvalidRedirect::Status));
        }
    }

    proptest! {
        #[test]
        fn no_request_chooses_the_host(path in "/[ -~]{0,24}", query in "[!-~]{0,12}") {
            let Ok(path) = RequestPath::parse(&path) else { return Ok(()); };
            let pattern = PathPattern::parse("/").unwrap();
            let near = Redirect::parse("/{path}", 308, &pattern).unwrap();
            let far = Redirect::parse("https://new.example/{path}", 308, &pattern).unwrap();
            let (near, far) = (near.location(&path, Some(&query)), far.location(&path, Some(&query)));
            let (near, far) = (near.to_str().unwrap(), far.to_str().unwrap());
            let inner = near.as_bytes().get(1);
            prop_assert!(near.starts_with('/') && inner != Some(&b'/') && inner != Some(&b'\\'), "{near}");
            prop_assert!(far.starts_with("https://new.example/"), "{far}");
        }
    }
}
