//! A TOML value that knows where each part of it was said.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::Place;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it was said: for an entry of a table, the key.
    pub(super) place: Place,
    /// The bytes of the value in the file.
    pub(super) span: Option<Range<usize>>,
    /// The value.
    pub(super) data: Data,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Bool(bool),
    /// Saturated where it is beyond 128 bits.
    Integer(i128),
    Float,
    Datetime,
    Text(String),
    Array(Vec<Node>),
    Table(Vec<(String, Node)>),
}

impl Node {
    /// The root of a file.
    pub(super) fn file(root: &DeTable<'_>) -> Self {
        Self {
            place: Place::Nowhere,
            span: None,
            data: table(root, &|span| Place::File(span.start)),
        }
    }

    /// A table that was said nowhere as a whole.
    pub(super) fn root(entries: Vec<(String, Node)>) -> Self {
        Self {
            place: Place::Nowhere,
            span: None,
            data: Data::Table(entries),
        }
    }

    /// A value that stands at one place as a whole.
    pub(super) fn at(place: &Place, value: &DeValue<'_>) -> Self {
        Self {
            place: place.clone(),
            span: None,
            data: data(value, &|_| place.clone()),
        }
    }

    /// A string that stands at one place.
    pub(super) fn text(place: &Place, text: &str) -> Self {
        Self {
            place: place.clone(),
            span: None,
            data: Data::Text(text.to_owned()),
        }
    }
}

/// Puts the node at this path, in place of what is there; tables on the way are made where they are missing.
pub(super) fn insert(entries: &mut Vec<(String, Node)>, path: &[String], node: Node) {
    let [name, rest @ ..] = path else {
        return;
    };
    let index = entries.iter().position(|(known, _)| known == name);
    if rest.is_empty() {
        // Said twice, the last one counts.
        entries.retain(|(known, _)| known != name);
        entries.push((name.clone(), node));
        return;
    }
    let index = index.unwrap_or_else(|| {
        let table = Node {
            place: node.place.clone(),
            span: None,
            data: Data::Table(Vec::new()),
        };
        entries.push((name.clone(), table));
        entries.len() - 1
    });
    if let Data::Table(entries) = &mut entries[index].1.data {
        insert(entries, rest, node);
    }
}

type PlaceOf<'a> = &'a dyn Fn(Range<usize>) -> Place;

fn table(entries: &DeTable<'_>, place: PlaceOf<'_>) -> Data {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        (name.clone().into_owned(), node(value, place(key.span()), place))
    };
    Data::Table(entries.iter().map(entry).collect())
}

fn node(value: &Spanned<DeValue<'_>>, at: Place, place: PlaceOf<'_>) -> Node {
    Node {
        span: matches!(at, Place::File(_)).then(|| value.span()),
        place: at,
        data: data(value.get_ref(), place),
    }
}

fn data(value: &DeValue<'_>, place: PlaceOf<'_>) -> Data {
    match value {
        DeValue::String(text) => Data::Text(text.clone().into_owned()),
        DeValue::Integer(number) => {
            let saturated = if number.as_str().starts_with('-') {
                i128::MIN
            } else {
                i128::MAX
            };
            Data::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(saturated))
        }
        DeValue::Float(_) => Data::Float,
        DeValue::Boolean(value) => Data::Bool(*value),
        DeValue::Datetime(_) => Data::Datetime,
        DeValue::Array(items) => Data::Array(items.iter().map(|item| node(item, place(item.span()), place)).collect()),
        DeValue::Table(entries) => table(entries, place),
    }
}

impl Data {
    /// What the value is, in words, without showing it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "a whole number",
            Self::Float => "a number with a fraction",
            Self::Datetime => "a date",
            Self::Text(_) => "a string",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// What the value is, in words, showing it where it is short enough to be shown.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => quote(text),
            Self::Float | Self::Datetime | Self::Array(_) | Self::Table(_) => self.kind().to_owned(),
        }
    }
}

/// The text in quotes, as it may be shown: short, without control characters, without the password of a URL.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", super::document::printable(&super::mask::mask_userinfo(text)))
}
