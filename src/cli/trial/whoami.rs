//! The answer of `builtin:whoami`: the request as an upstream saw it.

use serde::Deserialize;

/// What the upstream saw.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    /// Names and values, in order.
    headers: Vec<(String, String)>,
}

impl Seen {
    /// Reads the answer's body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|_| "the answer is not that of builtin:whoami".to_owned())
    }

    /// Every value of the header `name` (lower-case) in any spelling that a backend may fold into it.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let folded = |given: &str| given.to_ascii_lowercase().replace(['_', '.'], "-");
        self.headers
            .iter()
            .filter(move |(given, _)| folded(given) == name)
            .map(|(_, value)| value.as_str())
    }

    /// The one value of the header `name`, or what is wrong with it.
    pub(super) fn only<'a>(&'a self, name: &'a str) -> Result<&'a str, String> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(format!("the upstream saw no {name}")),
            (Some(_), Some(_)) => Err(format!("the upstream saw more than one {name}")),
        }
    }

    /// The first header that holds `text`.
    pub(super) fn holder_of(&self, text: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(_, value)| value.contains(text))
            .map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_in_every_spelling() {
        let seen = Seen::parse(br#"{"headers":[["x-auth-user-id","1"],["X_Auth.User_Id","2"],["a","b"]]}"#).unwrap();
        assert_eq!(seen.values("x-auth-user-id").collect::<Vec<_>>(), ["1", "2"]);
        assert!(seen.only("x-auth-user-id").unwrap_err().contains("more than one"));
        assert_eq!(seen.only("a"), Ok("b"));
        assert!(seen.only("b").unwrap_err().contains("no b"));
        assert_eq!(seen.holder_of("2"), Some("X_Auth.User_Id"));
        assert!(Seen::parse(b"hello").is_err());
    }
}
