//! What a proxy asks about that lets this gateway decide for it (forward-auth): the method, host and target of the request that
//! it has got, as its headers say.
//!
//! Proxies differ in how they say it. All of their ways are read, and any two that say different things make a question that
//! is not answered: one of them may be the client's own, passed on by a proxy that sets the other.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::host::normalise_host;

const METHODS: [HeaderName; 2] = [
    HeaderName::from_static("x-forwarded-method"),
    HeaderName::from_static("x-original-method"),
];
const HOSTS: [HeaderName; 2] = [
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-original-host"),
];
const TARGETS: [HeaderName; 2] = [
    HeaderName::from_static("x-forwarded-uri"),
    HeaderName::from_static("x-original-uri"),
];
/// Host and target in one: `https://host/path?query`.
const URL: HeaderName = HeaderName::from_static("x-original-url");

/// The request that a proxy asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Its method.
    pub method: Method,
    /// Its path and query, as they were sent.
    pub uri: Uri,
    /// Its host.
    pub host: HeaderValue,
}

/// Why headers don't say what is asked about. The text is fit for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOriginal {
    /// One of the three is not said.
    #[error("the proxy does not say the {0} of the original request: set {1}")]
    Missing(&'static str, &'static str),
    /// One of the three is said twice, and differently; or one header stands there twice.
    #[error("the headers contradict each other about the {0} of the original request")]
    Contradiction(&'static str),
    /// What is said of one of the three is not one.
    #[error("what the headers say of the original request is no {0}")]
    Invalid(&'static str),
}

impl Original {
    /// Reads `X-Forwarded-Method`, `-Host` and `-Uri`, and their like.
    pub fn read(headers: &HeaderMap) -> Result<Self, InvalidOriginal> {
        let url = only(headers, &URL, "target")?.map(split_url).transpose()?;
        let mut method = None;
        for name in &METHODS {
            agree(&mut method, only(headers, name, "method")?, "method")?;
        }
        let method = method.ok_or(InvalidOriginal::Missing("method", "X-Forwarded-Method"))?;
        let mut target = url.map(|(_, target)| target);
        for name in &TARGETS {
            agree(&mut target, only(headers, name, "target")?, "target")?;
        }
        let target = target.ok_or(InvalidOriginal::Missing("target", "X-Forwarded-Uri"))?;
        let mut host = url.map(|(host, _)| host);
        for name in &HOSTS {
            let Some(text) = only(headers, name, "host")? else {
                continue;
            };
            let normal = normalise_host(text).ok_or(InvalidOriginal::Invalid("host"))?;
            // A port may be said in one and left out in the other.
            match host.map(normalise_host) {
                Some(known) if known.as_ref() != Some(&normal) => return Err(InvalidOriginal::Contradiction("host")),
                Some(_) => {}
                None => host = Some(text),
            }
        }
        let host = host.ok_or(InvalidOriginal::Missing("host", "X-Forwarded-Host"))?;
        // An absolute form would name another host.
        let uri = Some(target)
            .filter(|target| target.starts_with('/'))
            .and_then(|target| target.parse().ok())
            // What follows a `#` would be left out here, and be a part of the path to a proxy that knows of no fragments.
            .filter(|uri: &Uri| uri.path_and_query().is_some_and(|read| read.as_str() == target));
        Ok(Self {
            method: method.parse().map_err(|_| InvalidOriginal::Invalid("method"))?,
            uri: uri.ok_or(InvalidOriginal::Invalid("target"))?,
            host: host.parse().map_err(|_| InvalidOriginal::Invalid("host"))?,
        })
    }
}

/// The value of the only header of this name.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName, what: &'static str) -> Result<Option<&'a str>, InvalidOriginal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(InvalidOriginal::Contradiction(what));
    }
    let text = value.map(HeaderValue::to_str).transpose();
    text.map_err(|_| InvalidOriginal::Invalid(what))
}

/// Takes what is said, unless something else was said before.
fn agree<'a>(said: &mut Option<&'a str>, now: Option<&'a str>, what: &'static str) -> Result<(), InvalidOriginal> {
    match (&said, now) {
        (Some(before), Some(now)) if *before != now => Err(InvalidOriginal::Contradiction(what)),
        (None, Some(_)) => {
            *said = now;
            Ok(())
        }
        (Some(_), _) | (None, None) => Ok(()),
    }
}

/// Host and target of a URL.
fn split_url(url: &str) -> Result<(&str, &str), InvalidOriginal> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let rest = rest.ok_or(InvalidOriginal::Invalid("URL"))?;
    let (host, target) = rest.split_at(rest.find('/').ok_or(InvalidOriginal::Invalid("URL"))?);
    normalise_host(host).ok_or(InvalidOriginal::Invalid("host"))?;
    Ok((host, target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(lines: &[(&'static str, &str)]) -> Result<Original, InvalidOriginal> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Original::read(&headers)
    }

    const ALL: [(&str, &str); 3] = [
        ("x-forwarded-method", "POST"),
        ("x-forwarded-host", "api.example.com"),
        ("x-forwarded-uri", "/orders/7?x=%2F"),
    ];

    #[test]
    fn every_way_of_saying_it_is_read() {
        let expected = Original {
            method: Method::POST,
            uri: "/orders/7?x=%2F".parse().unwrap(),
            host: HeaderValue::from_static("api.example.com"),
        };
        for way in [
            &ALL[..],
            &[
                ("x-original-method", "POST"),
                ("x-original-host", "api.example.com"),
                ("x-original-uri", "/orders/7?x=%2F"),
            ],
            &[
                ("x-original-method", "POST"),
                ("x-original-url", "https://api.example.com/orders/7?x=%2F"),
            ],
        ] {
            assert_eq!(read(way), Ok(expected.clone()), "{way:?}");
        }
        let agreed = [
            &ALL[..],
            &[
                ("x-original-method", "POST"),
                ("x-original-host", "API.example.com:443"),
            ],
        ]
        .concat();
        assert_eq!(read(&agreed), Ok(expected));
    }

    #[test]
    fn what_is_not_said_is_not_guessed() {
        for left_out in 0..3 {
            let mut lines = ALL.to_vec();
            lines.remove(left_out);
            assert!(matches!(read(&lines), Err(InvalidOriginal::Missing(..))), "{lines:?}");
        }
    }

    #[test]
    fn contradictions_and_nonsense_are_refused() {
        for (name, value) in [
            ("x-forwarded-method", "POST"),
            ("x-original-method", "GET"),
            ("x-original-method", "post"),
            ("x-forwarded-uri", "/orders/7?x=%2F"),
            ("x-original-uri", "/public"),
            ("x-original-uri", "/orders/7?x=/"),
            ("x-forwarded-host", "api.example.com"),
            ("x-original-host", "public.example.com"),
            ("x-original-url", "https://public.example.com/orders/7?x=%2F"),
            ("x-original-url", "https://api.example.com/public"),
        ] {
            let lines = [&ALL[..], &[(name, value)]].concat();
            assert!(
                matches!(read(&lines), Err(InvalidOriginal::Contradiction(_))),
                "{name}: {value}"
            );
        }
        for (index, value) in [
            (0, "G T"),
            (0, ""),
            (1, "a, b"),
            (1, ""),
            (1, "a/b"),
            (2, "orders"),
            (2, ""),
            (2, "https://evil.example/orders"),
            (2, "/a b"),
            (2, "/public#/../admin"),
            (2, "/public?x#/../admin"),
            (2, "/#"),
        ] {
            let mut lines = ALL.to_vec();
            lines[index].1 = value;
            assert!(matches!(read(&lines), Err(InvalidOriginal::Invalid(_))), "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_decided_about_is_the_whole_of_what_the_proxy_says(target in "/[ -~]{0,12}") {
            let mut lines = ALL.to_vec();
            lines[2].1 = &target;
            if let Ok(original) = read(&lines) {
                prop_assert_eq!(original.uri.to_string(), target);
            }
        }

        #[test]
        fn a_second_word_changes_nothing_or_refuses(name in 0_usize..7, value in "[A-Za-z/.:]{0,12}|/orders/7\\?x=%2F|POST") {
            let names = [&METHODS[..], &HOSTS, &TARGETS, &[URL]].concat();
            let mut headers = HeaderMap::new();
            for (name, value) in ALL {
                headers.append(name, value.parse().unwrap());
            }
            let before = Original::read(&headers).unwrap();
            headers.append(names[name].clone(), value.parse().unwrap());
            if let Ok(after) = Original::read(&headers) {
                prop_assert_eq!(after, before);
            }
        }
    }
}
