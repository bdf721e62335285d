//! [`ClaimPath`]: where in the claims of a token something stands.

use std::fmt;

use serde_json::{Map, Value};

/// The most steps of a path.
const MAX_STEPS: usize = 8;

/// Where in a token's claims something stands: `sub`, `realm_access.roles`, or, for names that hold dots or slashes, a JSON
/// Pointer (RFC 6901) such as `/https:~1~1example.com~1roles`.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<Box<str>>);

/// A text that is not such a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a claim")]
pub struct InvalidClaimPath;

impl ClaimPath {
    /// Reads names with dots between them or, where the text begins with a slash, a JSON Pointer: 1 to 8 names, none of
    /// them empty.
    pub fn parse(text: &str) -> Result<Self, InvalidClaimPath> {
        let names = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(unescape).collect::<Option<Vec<_>>>(),
            None => Some(text.split('.').map(Into::into).collect()),
        };
        let names = names.ok_or(InvalidClaimPath)?;
        let plain = |name: &str| !name.is_empty() && !name.chars().any(char::is_control);
        if names.len() <= MAX_STEPS && names.iter().all(|name| plain(name)) {
            Ok(Self(names))
        } else {
            Err(InvalidClaimPath)
        }
    }

    /// The claim of this name in the object that this one is in.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        let within = self.0.len().saturating_sub(1);
        Self(self.0.iter().take(within).cloned().chain([name.into()]).collect())
    }

    /// What stands there. A step goes into objects only, never into lists.
    #[must_use]
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter()
            .try_fold(claims.get(&**first)?, |value, name| value.as_object()?.get(&**name))
    }
}

/// A name of a JSON Pointer: `~1` is a slash, `~0` a tilde, and a tilde is nothing else (RFC 6901, section 3).
fn unescape(text: &str) -> Option<Box<str>> {
    let mut name = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        name.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            _ => c,
        });
    }
    Some(name.into())
}

/// As a JSON Pointer, which has one spelling.
impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.0 {
            write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimPath({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn find(path: &str) -> Option<Value> {
        let claims = json!({
            "sub": "ann",
            "realm_access": { "roles": ["admin"] },
            "https://example.com/roles": ["support"],
            "a.b": { "c~d": 1 },
            "list": [{ "x": 1 }],
        });
        ClaimPath::parse(path)
            .unwrap()
            .find(claims.as_object().unwrap())
            .cloned()
    }

    #[test]
    fn a_path_leads_into_nested_claims() {
        assert_eq!(find("sub"), Some(json!("ann")));
        assert_eq!(find("realm_access.roles"), Some(json!(["admin"])));
        assert_eq!(find("/realm_access/roles"), Some(json!(["admin"])));
        assert_eq!(find("/https:~1~1example.com~1roles"), Some(json!(["support"])));
        assert_eq!(find("/a.b/c~0d"), Some(json!(1)));
    }

    #[test]
    fn a_path_that_leads_nowhere_finds_nothing() {
        for path in [
            "nobody",
            "sub.x",
            "realm_access.roles.0",
            "list.0.x",
            "/list/0",
            "a.b",
            "https://example.com/roles",
        ] {
            assert_eq!(find(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "/",
            "//a",
            "/a/",
            "/a~",
            "/a~2",
            "a\nb",
            "a.b.c.d.e.f.g.h.i",
        ] {
            assert_eq!(ClaimPath::parse(bad), Err(InvalidClaimPath), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_names_can_be_written_as_a_pointer(names in proptest::collection::vec("[^\\p{Cc}]{1,12}", 1..5)) {
            let escaped: Vec<String> = names.iter().map(|name| name.replace('~', "~0").replace('/', "~1")).collect();
            let pointer = format!("/{}", escaped.join("/"));
            let path = ClaimPath::parse(&pointer).unwrap();
            prop_assert_eq!(path.to_string(), pointer);
            let claims = names.iter().rev().fold(json!("here"), |inner, name| json!({ name: inner }));
            prop_assert_eq!(path.find(claims.as_object().unwrap()), Some(&json!("here")));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}|[/~.a01]{0,20}") {
            if let Ok(path) = ClaimPath::parse(&text) {
                prop_assert_eq!(ClaimPath::parse(&path.to_string()), Ok(path));
            }
        }
    }
}
