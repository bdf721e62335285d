//! What the audit trail says, asked by whom, what, when and whence.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value as Json};

use super::row::{address, octets};
use super::{EventKind, Outcome};
use crate::id::{SessionId, UserId};
use crate::store::sql::{Row, Value};
use crate::store::work::run;
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

/// Which events are wanted: those for which all of this holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// About this user.
    pub user: Option<UserId>,
    /// Of one of these kinds; any, where there is none.
    pub kinds: Vec<EventKind>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// From an address in this network.
    pub network: Option<IpNet>,
    /// Of this request.
    pub request_id: Option<String>,
    /// Beyond the event of this number, in the order that is asked for.
    pub after: Option<i64>,
    /// In which order.
    pub order: Order,
    /// How many at the most.
    pub limit: u32,
}

/// By number: about that of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the last.
    NewestFirst,
    /// From the first.
    OldestFirst,
}

/// An event, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its number. A greater one may become visible before a smaller one.
    pub seq: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What, by the name of its [`EventKind`]: a newer version of the program may have kinds that this one does not know.
    pub kind: String,
    /// How it went; `None` where the kind is not known.
    pub outcome: Option<Outcome>,
    /// Whom it is about.
    pub user: Option<UserId>,
    /// The session that it was done in, or that it began or ended.
    pub session: Option<SessionId>,
    /// Who did it, by the word of [`super::Actor`].
    pub actor: String,
    /// What they are called, where that is not said elsewhere.
    pub actor_name: Option<String>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// What else there is to say.
    pub details: Map<String, Json>,
}

impl Recorded {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let id = |column| -> Result<Option<[u8; 16]>, StoreError> {
            let bytes = row.bytes_if_any(column)?;
            bytes
                .map(|bytes| bytes.try_into().map_err(|_| StoreError::Corrupt(column)))
                .transpose()
        };
        let kind = row.text("kind")?;
        Ok(Self {
            seq: row.int("seq")?,
            at: row.time("at")?,
            outcome: kind.parse().ok().map(EventKind::outcome),
            kind,
            user: id("user_id")?.map(UserId::from_bytes),
            session: id("session_id")?.map(SessionId::from_bytes),
            actor: row.text("actor")?,
            actor_name: row.text_if_any("actor_name")?,
            address: id("address")?.map(address),
            request_id: row.text_if_any("request_id")?,
            details: serde_json::from_str(&row.text("details")?).map_err(|_| StoreError::Corrupt("details"))?,
        })
    }
}

/// The first and the last address of a network.
fn range(network: IpNet) -> [[u8; 16]; 2] {
    [octets(network.network()), octets(network.broadcast())]
}

/// The statement's conditions and their values, so that each condition that is there can use its index.
struct Conditions<'f> {
    text: Vec<String>,
    values: Vec<Value<'f>>,
}

impl<'f> Conditions<'f> {
    fn add(&mut self, condition: impl Into<String>, values: impl IntoIterator<Item = Value<'f>>) {
        self.text.push(condition.into());
        self.values.extend(values);
    }

    fn of(filter: &'f Filter, network: Option<&'f [[u8; 16]; 2]>) -> Self {
        let mut conditions = Self {
            text: Vec::new(),
            values: Vec::new(),
        };
        if let Some(user) = &filter.user {
            conditions.add("user_id = ?", [user.into()]);
        }
        if !filter.kinds.is_empty() {
            let list = vec!["?"; filter.kinds.len()].join(", ");
            let kinds = filter.kinds.iter().map(|kind| kind.as_str().into());
            conditions.add(format!("kind IN ({list})"), kinds);
        }
        if let Some(since) = filter.since {
            conditions.add("at >= ?", [since.into()]);
        }
        if let Some(until) = filter.until {
            conditions.add("at < ?", [until.into()]);
        }
        if let Some([first, last]) = network {
            let ends = [first.as_slice().into(), last.as_slice().into()];
            conditions.add("address BETWEEN ? AND ?", ends);
        }
        if let Some(request_id) = &filter.request_id {
            conditions.add("request_id = ?", [request_id.as_str().into()]);
        }
        if let Some(after) = filter.after {
            let beyond = match filter.order {
                Order::NewestFirst => "seq < ?",
                Order::OldestFirst => "seq > ?",
            };
            conditions.add(beyond, [after.into()]);
        }
        conditions
    }
}

impl Store {
    /// The events that a filter lets through.
    pub async fn audit_events(&self, filter: &Filter) -> Result<Vec<Recorded>, StoreError> {
        let network = filter.network.map(range);
        let Conditions { text, mut values } = Conditions::of(filter, network.as_ref());
        let condition = if text.is_empty() {
            "1 = 1".to_owned()
        } else {
            text.join(" AND ")
        };
        let order = match filter.order {
            Order::NewestFirst => "DESC",
            Order::OldestFirst => "ASC",
        };
        values.push(filter.limit.into());
        let select = format!(
            "SELECT seq, at, kind, user_id, session_id, actor, actor_name, address, request_id, details \
             FROM audit_events WHERE {condition} ORDER BY seq {order} LIMIT ?"
        );
        let rows = run!(self.reading(), |connection| connection
            .rows_once(&select, &values)
            .await)?;
        rows.iter().map(Recorded::read).collect()
    }
}
