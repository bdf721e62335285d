//! [`Target`]: what a request asks for, read once.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};

use super::Refused;
use crate::rules::host::normalise_host;
use crate::rules::path::{RequestPath, check_query};
use crate::rules::rewrite::PathChange;

/// The path, query and host of a request, each in its one reading.
#[derive(Debug)]
pub struct Target<'a> {
    path: RequestPath<'a>,
    path_and_query: &'a PathAndQuery,
    host: Option<Cow<'a, str>>,
}

impl<'a> Target<'a> {
    /// Reads the target of a request and its `Host` (RFC 9112, section 3.2). An absolute-form target whose authority is not
    /// the `Host` is refused: the standard lets the authority win, but a program behind us may see only the header.
    pub fn read(uri: &'a Uri, host: Option<&'a HeaderValue>) -> Result<Self, Refused> {
        let path_and_query = uri.path_and_query().ok_or(Refused::Target)?;
        // `*`, and a query without a path: read as `/` here, it would go on as it is, which no server knows how to read.
        if !path_and_query.as_str().starts_with('/') {
            return Err(Refused::Target);
        }
        let path = RequestPath::parse(path_and_query.path()).map_err(Refused::Path)?;
        if let Some(query) = path_and_query.query() {
            check_query(query).map_err(Refused::Path)?;
        }
        let host = match host {
            None => None,
            Some(value) => {
                let text = value.to_str().map_err(|_| Refused::Host)?;
                if uri
                    .authority()
                    .is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(text))
                {
                    return Err(Refused::Host);
                }
                Some(normalise_host(text).ok_or(Refused::Host)?)
            }
        };
        if host.is_none() && uri.authority().is_some() {
            return Err(Refused::Host);
        }
        Ok(Self {
            path,
            path_and_query,
            host,
        })
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &RequestPath<'a> {
        &self.path
    }

    /// The host, without its port; `None` when an HTTP/1.0 client sent none.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The query, without its `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.path_and_query.query()
    }

    /// The target that the upstream gets: origin form, byte for byte what was matched, but for what the route changes.
    pub(super) fn forwarded(&self, change: &PathChange) -> Result<Uri, Refused> {
        if *change == PathChange::Kept {
            return Ok(Uri::from(self.path_and_query.clone()));
        }
        let path = change.apply(&self.path).ok_or(Refused::NoRoute)?;
        let text = match self.path_and_query.query() {
            None => path.into_owned(),
            Some(query) => format!("{path}?{query}"),
        };
        let path_and_query = PathAndQuery::try_from(text).map_err(|_| Refused::Target)?;
        Ok(Uri::from(path_and_query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forwarded_is_what_was_matched() {
        let uri: Uri = "/a/%7Eb?x=%2F".parse().unwrap();
        let host = HeaderValue::from_static("A.example:80");
        let target = Target::read(&uri, Some(&host)).unwrap();
        assert_eq!(target.path().decoded(), "/a/~b");
        assert_eq!(target.host(), Some("a.example"));
        assert_eq!(target.forwarded(&PathChange::Kept).unwrap(), "/a/%7Eb?x=%2F");
        let less = PathChange::Prefix {
            strip_prefix: Some("/a".to_owned()),
            add_prefix: None,
        };
        assert_eq!(target.forwarded(&less).unwrap(), "/%7Eb?x=%2F");
    }

    #[test]
    fn an_absolute_target_must_name_the_host() {
        let uri: Uri = "http://a.example/x".parse().unwrap();
        for same in ["a.example", "A.example"] {
            let host = HeaderValue::from_static(same);
            let target = Target::read(&uri, Some(&host)).unwrap();
            assert_eq!(target.forwarded(&PathChange::Kept).unwrap(), "/x");
        }
        let other = HeaderValue::from_static("b.example");
        assert!(matches!(Target::read(&uri, Some(&other)), Err(Refused::Host)));
        assert!(matches!(Target::read(&uri, None), Err(Refused::Host)));
    }

    #[test]
    fn a_target_that_is_no_path_is_refused() {
        let host = HeaderValue::from_static("a");
        let star: Uri = "*".parse().unwrap();
        assert!(matches!(Target::read(&star, Some(&host)), Err(Refused::Target)));
        // As HTTP/2 says it, and as the absolute form does.
        let query = Uri::from(PathAndQuery::from_static("?/c"));
        assert!(matches!(Target::read(&query, Some(&host)), Err(Refused::Target)));
        let absolute: Uri = "http://a?/c".parse().unwrap();
        assert!(matches!(Target::read(&absolute, Some(&host)), Err(Refused::Target)));
        let dots: Uri = "/auth/../c".parse().unwrap();
        assert!(matches!(Target::read(&dots, Some(&host)), Err(Refused::Path(_))));
    }
}
