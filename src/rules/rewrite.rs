//! How the path that is forwarded is made of the one that was matched: [`PathChange`]. Segments of the request are taken byte
//! for byte and whole, what is added is plain, so that what comes out has one reading, as what went in had.

use std::borrow::Cow;
use std::fmt;

use super::path::RequestPath;
use super::route::{PathPattern, Segment};

/// What becomes of the path before it is forwarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PathChange {
    /// Nothing.
    #[default]
    Kept,
    /// Segments are taken off its front, and others put there: first the one, then the other.
    Prefix {
        /// What is taken off: a plain path, the beginning of what the route matches.
        strip_prefix: Option<String>,
        /// What is put in front: a plain path without a slash at its end.
        add_prefix: Option<String>,
    },
    /// What the route matched is replaced; what is below it is kept.
    Rewrite(Template),
}

impl PathChange {
    /// The path to forward; `None` where it does not begin with what is to be taken off, which a route that was matched
    /// rules out.
    #[must_use]
    pub fn apply<'a>(&self, path: &RequestPath<'a>) -> Option<Cow<'a, str>> {
        match self {
            Self::Kept => Some(Cow::Borrowed(path.as_str())),
            Self::Prefix {
                strip_prefix,
                add_prefix,
            } => {
                let rest = match strip_prefix {
                    Some(prefix) => path.without_prefix(prefix)?,
                    None => path.as_str(),
                };
                Some(match add_prefix {
                    Some(prefix) => Cow::Owned(format!("{prefix}{rest}")),
                    None => Cow::Borrowed(rest),
                })
            }
            Self::Rewrite(template) => Some(Cow::Owned(template.fill(path))),
        }
    }
}

/// A path with places for parts of the path that a route matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// How many segments the route's path has.
    matched: usize,
    parts: Vec<Part>,
    tail: Tail,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// This text.
    Plain(String),
    /// The segment of this index, from 0, as it was sent.
    Taken(usize, String),
}

/// What stands behind the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Nothing, or a slash.
    Fixed { slash: bool },
    /// The whole path of the request.
    Path,
    /// What of it is below the route's path.
    Below,
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// It does not begin with `/`.
    #[error("expected a path that begins with `/`")]
    NotAbsolute,
    /// A segment is empty, a dot segment, or holds what is not plain.
    #[error("a segment that is not of `A-Z a-z 0-9 - . _ ~`, nor a `{{name}}`: {0:?}")]
    Segment(String),
    /// The route's path has no such parameter.
    #[error("the route's path has no `{{{0}}}`")]
    Unknown(String),
    /// `{path}` or `{rest}` with something behind it.
    #[error("`{{{0}}}` stands for several segments: it must be the last one")]
    NotLast(String),
}

impl Template {
    /// Reads `/v2/{id}`, for what a route with this path matched: `{id}` is the route's parameter of this name. What is below
    /// the route's path is kept behind it.
    pub fn for_rewrite(text: &str, pattern: &PathPattern) -> Result<Self, InvalidTemplate> {
        let mut template = Self::parse(text, pattern, false)?;
        template.tail = Tail::Below;
        Ok(template)
    }

    /// Reads the same for a redirect, where `{path}` at the end stands for the whole path of the request, `{rest}` for what
    /// is below the route's path, and nothing is kept that is not named.
    pub fn for_redirect(text: &str, pattern: &PathPattern) -> Result<Self, InvalidTemplate> {
        Self::parse(text, pattern, true)
    }

    fn parse(text: &str, pattern: &PathPattern, with_tail: bool) -> Result<Self, InvalidTemplate> {
        let path = text.strip_prefix('/').ok_or(InvalidTemplate::NotAbsolute)?;
        let mut template = Self {
            matched: pattern.segments().len(),
            parts: Vec::new(),
            tail: Tail::Fixed { slash: false },
        };
        let mut segments = path.split('/').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            if segment.is_empty() && is_last && (with_tail || path.is_empty()) {
                template.tail = Tail::Fixed { slash: true };
                break;
            }
            let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                if !is_plain(segment) {
                    return Err(InvalidTemplate::Segment(segment.to_owned()));
                }
                template.parts.push(Part::Plain(segment.to_owned()));
                continue;
            };
            let parameter = |segment: &Segment| matches!(segment, Segment::Any(known) if known == name);
            match (pattern.segments().iter().position(parameter), name) {
                (Some(index), _) => template.parts.push(Part::Taken(index, name.to_owned())),
                (None, "path" | "rest") if with_tail && !is_last => {
                    return Err(InvalidTemplate::NotLast(name.to_owned()));
                }
                (None, "path") if with_tail => template.tail = Tail::Path,
                (None, "rest") if with_tail => template.tail = Tail::Below,
                (None, _) => return Err(InvalidTemplate::Unknown(name.to_owned())),
            }
        }
        Ok(template)
    }

    /// The path that this request's path makes of it: one that [`RequestPath::parse`] accepts.
    #[must_use]
    pub fn fill(&self, path: &RequestPath<'_>) -> String {
        let mut filled = String::with_capacity(path.as_str().len() + 32);
        for part in &self.parts {
            filled.push('/');
            match part {
                Part::Plain(text) => filled.push_str(text),
                // There always is one: the route was matched.
                Part::Taken(index, _) => filled.push_str(path.raw_segments().nth(*index).unwrap_or_default()),
            }
        }
        match self.tail {
            Tail::Fixed { slash: false } => {}
            Tail::Fixed { slash: true } => filled.push('/'),
            Tail::Path => filled.push_str(path.as_str()),
            Tail::Below => filled.push_str(path.below(self.matched)),
        }
        if filled.is_empty() {
            filled.push('/');
        }
        filled
    }
}

/// The text that it was read from, but for a slash at its end.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Plain(text) => write!(f, "/{text}")?,
                Part::Taken(_, name) => write!(f, "/{{{name}}}")?,
            }
        }
        match self.tail {
            Tail::Fixed { slash: false } => Ok(()),
            Tail::Fixed { slash: true } => f.write_str("/"),
            Tail::Path => f.write_str("/{path}"),
            Tail::Below => f.write_str("/{rest}"),
        }
    }
}

/// Whether every program reads the segment alike.
fn is_plain(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    segment.bytes().all(plain) && segment.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).unwrap()
    }

    fn rewritten(template: &str, route: &str, path: &str) -> String {
        let template = Template::for_rewrite(template, &pattern(route)).unwrap();
        template.fill(&RequestPath::parse(path).unwrap())
    }

    #[test]
    fn a_rewrite_replaces_what_the_route_matched_and_keeps_what_is_below() {
        for (template, route, path, made) in [
            ("/v2/{id}", "/orders/{id}", "/orders/7", "/v2/7"),
            ("/v2/{id}", "/orders/{id}", "/orders/7/", "/v2/7/"),
            ("/v2/{id}", "/orders/{id}", "/orders/7/lines/3", "/v2/7/lines/3"),
            ("/{b}/{a}", "/{a}/x/{b}", "/1/x/2", "/2/1"),
            ("/v2", "/", "/", "/v2"),
            ("/v2", "/", "/a/b", "/v2/a/b"),
            ("/", "/a", "/a", "/"),
            ("/", "/a", "/a/b", "/b"),
            ("/v2/{id}", "/o/{id}", "/%6F/%C3%A9%20x/%7E", "/v2/%C3%A9%20x/%7E"),
        ] {
            assert_eq!(
                rewritten(template, route, path),
                made,
                "{template} for {path} on {route}"
            );
        }
    }

    #[test]
    fn a_redirect_keeps_what_it_names() {
        for (template, route, path, made) in [
            ("/{path}", "/old", "/old/x/", "/old/x/"),
            ("/{path}", "/", "/", "/"),
            ("/new/{rest}", "/old", "/old", "/new"),
            ("/new/{rest}", "/old", "/old/x%20y", "/new/x%20y"),
            ("/new/", "/old", "/old/x", "/new/"),
            ("/new", "/old", "/old/x", "/new"),
            ("/u/{id}", "/old/{id}", "/old/7/x", "/u/7"),
            ("/", "/old", "/old/x", "/"),
        ] {
            let template = Template::for_redirect(template, &pattern(route)).unwrap();
            let path = RequestPath::parse(path).unwrap();
            assert_eq!(template.fill(&path), made, "{template}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_template() {
        let route = pattern("/orders/{id}");
        for bad in [
            "", "v2", "//x", "/a//b", "/a/", "/..", "/./a", "/%2e", "/a b", "/a?b", "/a#b", "/a\r\nb", "/x{id}",
            "/{id}x", "/{}", "/{other}", "/é", "/a;b", "/a\\b", "/{path}", "/{rest}", "/*",
        ] {
            assert!(Template::for_rewrite(bad, &route).is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "//evil.example",
            "/{path}/x",
            "/{rest}/",
            "/a//b",
            "/{nobody}",
            "/\\evil",
        ] {
            assert!(Template::for_redirect(bad, &route).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn prefixes_are_taken_off_before_others_are_put_there() {
        let change = PathChange::Prefix {
            strip_prefix: Some("/api".to_owned()),
            add_prefix: Some("/v2".to_owned()),
        };
        for (path, made) in [("/api/x", "/v2/x"), ("/api", "/v2/"), ("/api/%7Ex/", "/v2/%7Ex/")] {
            assert_eq!(change.apply(&RequestPath::parse(path).unwrap()).unwrap(), made);
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_has_one_reading_and_its_segments_are_those_that_came_in(
            path in "/(([a-c.~]|%41|%C3%A9|%20){1,4}/?){0,5}",
            id in 0_usize..3,
        ) {
            let route = pattern(["/{x}", "/{a}/{x}", "/{a}/{b}/{x}"][id]);
            let Ok(path) = RequestPath::parse(&path) else { return Ok(()); };
            prop_assume!(path.raw_segments().count() > id);
            for template in ["/v2/{x}", "/{x}", "/{x}/end"] {
                let made = Template::for_rewrite(template, &route).unwrap().fill(&path);
                prop_assert!(RequestPath::parse(&made).is_ok(), "{made}");
                let taken = path.raw_segments().nth(id).unwrap();
                prop_assert!(made.split('/').any(|segment| segment == taken));
                prop_assert!(made.ends_with(path.below(id + 1)));
            }
            for template in ["/{path}", "/go/{path}", "/{rest}", "/{x}/{rest}"] {
                let made = Template::for_redirect(template, &route).unwrap().fill(&path);
                prop_assert!(RequestPath::parse(&made).is_ok() && !made.starts_with("//"), "{made}");
            }
        }
    }
}
