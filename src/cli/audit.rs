//! `doorward audit`: what the audit trail says.

use std::io::Write;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use ipnet::IpNet;
use serde_json::{Value, json};

use super::failure::Failure;
use super::globals::Globals;
use super::resources::{Opened, with_current_store};
use super::tokens::harmless;
use super::users::Name;
use super::{say, table};
use crate::config::parse_duration;
use crate::id::UserId;
use crate::store::audit::{EventKind, Filter, Order, Outcome, Recorded};
use crate::time::Timestamp;

/// The most events that one call prints.
const MOST: i64 = 10_000;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Only events about this account: its e-mail address, or its id, also when it was deleted
    #[arg(long, value_name = "USER")]
    user: Option<Name>,
    /// Only events of this kind; repeatable
    #[arg(long = "event", value_name = "KIND", value_parser = kind_parser())]
    kinds: Vec<EventKind>,
    /// Only events at this time or later: RFC 3339, or a duration such as 24h before now
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// Only events before this time
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
    /// Only events from this address or network, such as 192.0.2.0/24
    #[arg(long, value_name = "ADDRESS", value_parser = network)]
    address: Option<IpNet>,
    /// Only events of this request
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// The most events to print
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=MOST))]
    limit: u32,
    /// From the oldest to the newest, not the other way round
    #[arg(long)]
    oldest_first: bool,
    /// Go on after the event of this number: the last one of the page before
    #[arg(long, value_name = "SEQ")]
    after: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn kind_parser() -> impl TypedValueParser<Value = EventKind> {
    let names = EventKind::ALL.iter().map(|kind| kind.as_str());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<EventKind>())
}

fn network(text: &str) -> Result<IpNet, &'static str> {
    let network = text.parse::<IpNet>();
    network
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "expected an address or a network, such as 192.0.2.7 or 192.0.2.0/24")
}

/// A point in time, as somebody names it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    At(Timestamp),
    Ago(Duration),
}

impl FromStr for When {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (parse_duration(text), text.parse()) {
            (Some(ago), _) => Ok(Self::Ago(ago)),
            (None, Ok(at)) => Ok(Self::At(at)),
            (None, Err(_)) => Err("expected a time such as 2026-11-22T15:36:00Z, or a duration such as 24h or 1h30m"),
        }
    }
}

impl When {
    fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now - ago,
        }
    }
}

pub(super) fn run(args: &Args, globals: &Globals, out: &mut dyn Write) -> Result<(), Failure> {
    with_current_store(globals, async |opened| {
        let filter = Filter {
            user: user(args, opened).await?,
            kinds: args.kinds.clone(),
            since: args.since.map(|since| since.before(opened.now)),
            until: args.until.map(|until| until.before(opened.now)),
            network: args.address,
            request_id: args.request_id.clone(),
            after: args.after,
            order: if args.oldest_first {
                Order::OldestFirst
            } else {
                Order::NewestFirst
            },
            limit: args.limit,
        };
        let events = opened.store.audit_events(&filter).await;
        let events = events.context("cannot read the audit trail")?;
        if args.json {
            let rows: Vec<Value> = events.iter().map(as_json).collect();
            writeln!(out, "{}", harmless(&format!("{:#}", json!(rows))))?;
        } else {
            let rows: Vec<_> = events.iter().map(row).collect();
            let head = [
                "SEQ", "TIME", "EVENT", "OUTCOME", "USER", "ACTOR", "ADDRESS", "REQUEST", "DETAILS",
            ];
            table::print(out, head, &rows)?;
        }
        if let Some(last) = events.last().filter(|_| events.len() >= args.limit as usize) {
            say(format_args!("there may be more: --after {}", last.seq));
        }
        Ok(())
    })
}

/// Whom events are to be about. An account that is gone is known by its id alone.
async fn user(args: &Args, opened: &Opened) -> anyhow::Result<Option<UserId>> {
    match &args.user {
        None => Ok(None),
        Some(Name::Id(id)) => Ok(Some(*id)),
        Some(Name::Email(email)) => {
            let found = opened.store.user_by_email(email).await;
            let found = found.context("cannot look the account up")?;
            let user =
                found.with_context(|| format!("there is no account {email}; one that was deleted has its id"))?;
            Ok(Some(user.id))
        }
    }
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn row(event: &Recorded) -> [String; 9] {
    let actor = match &event.actor_name {
        Some(name) => format!("{} {name}", event.actor),
        None => event.actor.clone(),
    };
    let details = event.details.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    });
    let cells = [
        event.seq.to_string(),
        event.at.to_string(),
        event.kind.clone(),
        shown(event.outcome.map(Outcome::as_str)),
        shown(event.user),
        actor,
        shown(event.address),
        shown(event.request_id.as_ref()),
        details.collect::<Vec<_>>().join(" "),
    ];
    cells.map(|cell| table::plain(&cell))
}

fn as_json(event: &Recorded) -> Value {
    json!({
        "seq": event.seq,
        "at": event.at.to_string(),
        "event": event.kind,
        "outcome": event.outcome.map(Outcome::as_str),
        "user": event.user,
        "session": event.session,
        "actor": event.actor,
        "actor_name": event.actor_name,
        "address": event.address,
        "request_id": event.request_id,
        "details": event.details,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_as_such_or_as_how_long_ago() {
        let now = Timestamp::from_unix_seconds(1_000_000);
        let at = |text: &str| text.parse::<When>().map(|when| when.before(now).unix_seconds());
        assert_eq!(at("1h30m"), Ok(1_000_000 - 5400));
        assert_eq!(at("1970-01-02T00:00:00Z"), Ok(86_400));
        assert_eq!(at("1970-01-02T01:00:00+01:00"), Ok(86_400));
        for bad in ["", "yesterday", "24", "1970-01-02", "1970-01-02T00:00:00"] {
            assert!(at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_a_network_of_one() {
        assert_eq!(network("192.0.2.7"), Ok("192.0.2.7/32".parse().unwrap()));
        assert_eq!(network("2001:db8::/32"), Ok("2001:db8::/32".parse().unwrap()));
        assert!(network("192.0.2").is_err());
    }
}
