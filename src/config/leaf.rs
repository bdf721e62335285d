//! Whether one value is of the kind that its key takes.

use figment::value::{Dict, Value};

use super::error::Complaint;
use super::keys::{Key, Kind};
use super::report::Report;
use super::tree::{Data, Node, quote};
use super::units;

/// The value for the layers, or `None` and an error for each part that is wrong.
pub(super) fn check(key: &Key, path: &str, node: &Node, report: &mut Report) -> Option<Value> {
    let value = match (&key.kind, &node.data) {
        (Kind::Bool, Data::Bool(value)) => Some(Value::from(*value)),
        (Kind::Text(_), Data::Text(text)) => Some(Value::from(text.as_str())),
        (Kind::OneOf(words), Data::Text(text)) => {
            if !words.contains(&text.as_str()) {
                let nearest = super::suggest::nearest(text, words.iter().copied()).map(quote);
                let complaint = Complaint::new("not one of the known values").suggest(nearest);
                report.add(&node.place, path, explain(complaint, key, node));
                return None;
            }
            Some(Value::from(text.as_str()))
        }
        (Kind::Integer(min, max), Data::Integer(number)) => within(i128::from(*min), *number, i128::from(*max)),
        (Kind::Duration(min, max), Data::Text(text)) => units::parse_duration(text)
            .filter(|duration| (min..=max).contains(&duration))
            .map(|_| Value::from(text.as_str())),
        (Kind::Size(min, max), Data::Text(text)) => units::parse_size(text)
            .filter(|size| (min..=max).contains(&size))
            .map(|_| Value::from(text.as_str())),
        (Kind::Size(min, max), Data::Integer(number)) => within(i128::from(*min), *number, i128::from(*max)),
        (Kind::Limit, Data::Integer(number)) => within(0, *number, i128::from(i64::MAX)),
        (Kind::Limit, Data::Text(text)) => {
            let valid = text == units::UNLIMITED || units::parse_size(text).is_some();
            valid.then(|| Value::from(text.as_str()))
        }
        (Kind::List(_), Data::Text(text)) => Some(Value::from(vec![text.as_str()])),
        (Kind::List(_), Data::Array(items)) => return list(key, path, items, report),
        (Kind::Claims | Kind::Headers, Data::Table(entries)) => return claims(key, path, entries, report),
        _ => None,
    };
    if value.is_none() {
        report.add(
            &node.place,
            path,
            explain(Complaint::new(what_is_wrong(key, &node.data)), key, node),
        );
    }
    value
}

/// Adds what was found and what is allowed.
fn explain(complaint: Complaint, key: &Key, node: &Node) -> Complaint {
    let found = if key.secret {
        node.data.kind().to_owned()
    } else {
        node.data.describe()
    };
    complaint.found(found).allowed(key.kind.allowed())
}

fn within(min: i128, number: i128, max: i128) -> Option<Value> {
    let number = (min..=max).contains(&number).then_some(number)?;
    i64::try_from(number).ok().map(Value::from)
}

/// In a few words, why this value is not of the kind.
fn what_is_wrong(key: &Key, data: &Data) -> &'static str {
    match (&key.kind, data) {
        (Kind::Integer(..) | Kind::Size(..) | Kind::Limit, Data::Integer(_)) => "out of bounds",
        (Kind::Duration(..), Data::Text(text)) if units::parse_duration(text).is_some() => "out of bounds",
        (Kind::Size(..), Data::Text(text)) if units::parse_size(text).is_some() => "out of bounds",
        (Kind::Duration(..), Data::Text(_)) => "not a duration",
        (Kind::Size(..) | Kind::Limit, Data::Text(_)) => "not a size",
        (Kind::Duration(..), Data::Integer(_)) => "a duration needs a unit, in quotes",
        _ => "of the wrong type",
    }
}

fn list(key: &Key, path: &str, items: &[Node], report: &mut Report) -> Option<Value> {
    let mut texts = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if let Data::Text(text) = &item.data {
            texts.push(text.as_str());
        } else {
            let complaint = Complaint::new("of the wrong type");
            report.add(&item.place, &format!("{path}[{index}]"), explain(complaint, key, item));
        }
    }
    (texts.len() == items.len()).then(|| Value::from(texts))
}

fn claims(key: &Key, path: &str, entries: &[(String, Node)], report: &mut Report) -> Option<Value> {
    let mut claims = Dict::new();
    for (name, node) in entries {
        let value = match &node.data {
            Data::Text(text) => Some(Value::from(text.as_str())),
            Data::Bool(_) | Data::Integer(_) if matches!(key.kind, Kind::Headers) => None,
            Data::Bool(value) => Some(Value::from(*value)),
            Data::Integer(number) => i64::try_from(*number).ok().map(Value::from),
            Data::Float | Data::Datetime | Data::Array(_) | Data::Table(_) => None,
        };
        if let Some(value) = value {
            claims.insert(name.clone(), value);
        } else {
            let complaint = Complaint::new(if matches!(key.kind, Kind::Headers) {
                "not a string"
            } else {
                "not a value that a claim can be compared with"
            });
            report.add(&node.place, &format!("{path}.{name}"), explain(complaint, key, node));
        }
    }
    (claims.len() == entries.len()).then(|| Value::from(claims))
}
