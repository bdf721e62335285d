//! The URL of `doorward explain`, taken apart without changing a byte: what is odd about it is for the rules to judge.

/// A request target and the host it is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// Host and port, if the URL names one.
    pub(super) authority: Option<String>,
    /// As given; `/` where the URL ends after the host.
    pub(super) path: String,
    /// What follows the `?`.
    pub(super) query: Option<String>,
}

impl Target {
    /// Takes a URL apart, or a path.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = if let Some(rest) = url.strip_prefix("https://") {
            ("https", Some(rest))
        } else if let Some(rest) = url.strip_prefix("http://") {
            ("http", Some(rest))
        } else if url.starts_with('/') {
            ("http", None)
        } else {
            return Err(format!("{url:?} is no URL: expected https://HOST/PATH or /PATH"));
        };
        let (authority, rest) = match rest {
            Some(rest) => {
                let (authority, rest) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
                (Some(authority.to_owned()), rest)
            }
            None => (None, url),
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (rest, None),
        };
        Ok(Self {
            scheme,
            authority,
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_byte_for_byte() {
        for (url, scheme, authority, path, query) in [
            ("/a//b/%2e", "http", None, "/a//b/%2e", None),
            ("/a?b=c?d", "http", None, "/a", Some("b=c?d")),
            (
                "https://Api.Example.com:8443/x",
                "https",
                Some("Api.Example.com:8443"),
                "/x",
                None,
            ),
            ("http://h", "http", Some("h"), "/", None),
            ("http://h?q", "http", Some("h"), "/", Some("q")),
            ("http://h/a#b", "http", Some("h"), "/a#b", None),
            ("http://h\\x", "http", Some("h"), "\\x", None),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(
                (target.scheme, target.authority.as_deref()),
                (scheme, authority),
                "{url}"
            );
            assert_eq!((target.path.as_str(), target.query.as_deref()), (path, query), "{url}");
        }
        for bad in ["", "orders", "ftp://h/", "h:80/x"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }
}
