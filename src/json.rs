//! JSON objects that every program reads alike: no member twice at any depth, nothing after the end, no number out of range.
//!
//! RFC 8259, section 4, leaves open what a repeated member means, and RFC 7515, section 5.2, lets a verifier take the last of
//! two or refuse both. Taking either one would let a text say one thing here and another thing elsewhere.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The object that `text` is. The error says where the text stops being one; it repeats nothing of it but names of members.
pub fn object(text: &[u8]) -> Result<Map<String, Value>, Malformed> {
    let Strict(value) = serde_json::from_slice(text).map_err(|error| Malformed::NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    match value {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Malformed::NotAnObject)
        }
    }
}

/// A body that is not a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON, or a member is there twice.
    #[error("not JSON, or an object with a member twice, at line {line} column {column}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1, in bytes; 0 before the first.
        column: usize,
    },
    /// JSON, but of another kind.
    #[error("expected a JSON object")]
    NotAnObject,
}

/// A [`Value`] whose objects have each member once.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(element)) = elements.next_element()? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_member_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":[{"b":{"c":1,"c":null}}]}"#,
        ] {
            assert!(
                matches!(object(text.as_bytes()), Err(Malformed::NotJson { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_one_json_object_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
        for text in [
            "",
            " ",
            "{",
            "{}x",
            "{}{}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":\"\\ud800\"}",
            "\u{feff}{}",
            &deep,
        ] {
            assert!(
                matches!(object(text.as_bytes()), Err(Malformed::NotJson { .. })),
                "{text}"
            );
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
        for text in ["[]", "null", "1", "\"a\"", "true"] {
            assert_eq!(object(text.as_bytes()), Err(Malformed::NotAnObject), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_object_without_repetition_reads_as_serde_json_reads_it(
            names in proptest::collection::btree_set("[a-c]{0,3}", 0..5),
            text in ".{0,8}",
            number in any::<f64>(),
        ) {
            let mut members = Map::new();
            for name in names {
                members.insert(name, serde_json::json!([text, number, 7, -7, null, true, { "n": { "m": [] } }]));
            }
            let written = serde_json::to_vec(&members).unwrap();
            prop_assert_eq!(object(&written).unwrap(), serde_json::from_slice::<Map<_, _>>(&written).unwrap());
        }
    }

    #[test]
    fn what_two_programs_could_read_differently_is_refused() {
        let deep = format!("{}{}", r#"{"a":"#.repeat(200), "}".repeat(200));
        for bad in [
            "",
            "[]",
            "1",
            "null",
            "\"x\"",
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"b":2}]}"#,
            r#"{"a":1}{}"#,
            r#"{"a":1} x"#,
            r#"{"a":1,}"#,
            r#"{"a":1/**/}"#,
            r#"{"a":1e400}"#,
            r#"{"a":0x10}"#,
            r#"{"a":+1}"#,
            r#"{"a":01}"#,
            r#"{"a":NaN}"#,
            r#"{"a":"\ud800"}"#,
            "{\"a\":\"\n\"}",
            "\u{feff}{\"a\":1}",
            "\0{\"a\":1}",
            &deep,
        ] {
            assert_eq!(object(bad.as_bytes()).ok(), None, "{bad:.60}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}").ok(), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(&bytes);
        }
    }
}
