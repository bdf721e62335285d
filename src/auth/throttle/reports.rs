//! [`Reports`]: of which attempts that have to wait the audit trail is told. To be refused costs next to nothing, so whoever is
//! may come thousands of times a second: an event for each would fill the disk, and push out those of passwords that were tried.

use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::id::UserId;
use crate::limiter::network;
use crate::store::audit::{Event, EventKind};
use crate::time::Timestamp;

use super::address;

/// How long those that follow an event are only counted.
const PAUSE: Duration = Duration::from_mins(1);

/// How many have events of their own. With those that others share, so many events a minute are the most that one gateway has,
/// whoever comes.
const ROOM: usize = 1000;

/// How long it is not looked again for what can be forgotten.
const REST: Duration = Duration::from_secs(1);

/// Which attempts were told of, and how many were not.
#[derive(Debug, Default)]
pub(super) struct Reports(Mutex<Memory>);

/// What is to be told of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) struct Report {
    /// How many attempts it is of: this one, and those before it that no other event is of.
    pub(in crate::auth) attempts: u64,
    /// Whether they came from several addresses, for which there was no room.
    pub(in crate::auth) shared: bool,
}

#[derive(Debug, Default)]
struct Memory {
    own: HashMap<Source, Count>,
    /// Of all for whom there is no room: as many as there are kinds.
    shared: HashMap<Sort, Count>,
    swept: Option<Timestamp>,
}

/// What was tried, and what it was counted by.
type Sort = (EventKind, &'static str);

/// Whose attempts one event is of.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Source {
    sort: Sort,
    /// The address; of IPv6, a network of /64.
    from: IpAddr,
    user: Option<UserId>,
}

#[derive(Debug, Default)]
struct Count {
    told: Option<Timestamp>,
    untold: u64,
}

impl Reports {
    /// Counts an attempt that this event is of, and that has to wait for what it was counted `by`. `None`: it is one of those
    /// that the next event is of.
    pub(super) fn count(&self, event: &Event, by: &'static str) -> Option<Report> {
        let (sort, now) = ((event.kind, by), event.at);
        let source = Source {
            sort,
            from: network(address(event.address)),
            user: event.user,
        };
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = memory.has_room_for(&source, now);
        let count = if has_room {
            memory.own.entry(source).or_default()
        } else {
            memory.shared.entry(sort).or_default()
        };
        count.count(now).map(|attempts| Report {
            attempts,
            shared: !has_room,
        })
    }
}

impl Memory {
    fn has_room_for(&mut self, source: &Source, now: Timestamp) -> bool {
        if self.own.len() < ROOM || self.own.contains_key(source) {
            return true;
        }
        if self.swept.is_none_or(|swept| is_over(swept, REST, now)) {
            self.swept = Some(now);
            self.sweep(now);
        }
        self.own.len() < ROOM
    }

    /// Forgets who has not come lately. What was not told of them is told with what others share.
    fn sweep(&mut self, now: Timestamp) {
        let shared = &mut self.shared;
        self.own.retain(|source, count| {
            let stays = !count.may_be_told(now);
            if !stays && count.untold > 0 {
                shared.entry(source.sort).or_default().untold += count.untold;
            }
            stays
        });
    }
}

impl Count {
    /// Counts one, and gives how many are to be told of now.
    fn count(&mut self, now: Timestamp) -> Option<u64> {
        self.untold += 1;
        self.may_be_told(now).then(|| {
            self.told = Some(now);
            mem::take(&mut self.untold)
        })
    }

    fn may_be_told(&self, now: Timestamp) -> bool {
        self.told.is_none_or(|told| is_over(told, PAUSE, now))
    }
}

/// Whether so long has passed. A clock that was set back keeps nobody waiting.
fn is_over(since: Timestamp, time: Duration, now: Timestamp) -> bool {
    now < since || now.since(since) >= time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::audit::Actor;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn at(kind: EventKind, from: &str, seconds: u64) -> Event {
        Event {
            address: Some(from.parse().unwrap()),
            ..Event::new(kind, Actor::Anonymous, NOW + Duration::from_secs(seconds))
        }
    }

    fn login(from: &str, seconds: u64) -> Event {
        at(EventKind::LoginThrottled, from, seconds)
    }

    fn own(attempts: u64) -> Report {
        Report {
            attempts,
            shared: false,
        }
    }

    #[test]
    fn an_address_is_told_of_once_a_minute_with_how_often_it_came() {
        let reports = Reports::default();
        let count = |seconds| reports.count(&login("192.0.2.1", seconds), "address");
        assert_eq!(count(0), Some(own(1)));
        assert!((1..60).all(|second| count(second).is_none()));
        assert_eq!(count(60), Some(own(60)));
        assert_eq!(count(119), None);
        // However long it takes until the next one comes.
        assert_eq!(count(9000), Some(own(2)));
        // The clock was set back.
        assert_eq!(count(5000), Some(own(1)));
        assert_eq!(count(5001), None);
    }

    #[test]
    fn each_place_kind_cause_and_user_is_told_of_by_itself() {
        let reports = Reports::default();
        let count = |event: &Event, by| reports.count(event, by);
        let user = |number| UserId::generate(NOW + Duration::from_secs(number));
        let refresh = at(EventKind::RefreshThrottled, "192.0.2.1", 0);
        for (event, by) in [
            (login("192.0.2.1", 0), "address"),
            (login("192.0.2.1", 0), "account"),
            (login("192.0.2.2", 0), "address"),
            (login("2001:db8::1", 0), "address"),
            (login("2001:db8:0:1::1", 0), "address"),
            (login("192.0.2.1", 0).about(user(1)), "address"),
            (login("192.0.2.1", 0).about(user(2)), "address"),
            (refresh, "address"),
        ] {
            assert_eq!(count(&event, by), Some(own(1)), "{event:?} {by}");
            assert_eq!(count(&event, by), None, "{event:?} {by}");
        }
        assert_eq!(count(&login("2001:db8::2", 1), "address"), None, "its network of /64");
    }

    #[test]
    fn a_crowd_shares_one_event_a_minute_and_nobody_of_it_is_left_out_for_ever() {
        let reports = Reports::default();
        let mut told = 0;
        // So often each of 5000 addresses from this one on; the events of one address, and those of many.
        let mut come = |first: u32, seconds, times| {
            let (mut own, mut shared) = (Vec::new(), Vec::new());
            for address in first..first + 5000 {
                let event = login(&IpAddr::from(address.to_be_bytes()).to_string(), seconds);
                for report in (0..times).filter_map(|_| reports.count(&event, "address")) {
                    told += report.attempts;
                    let of = if report.shared { &mut shared } else { &mut own };
                    of.push(report.attempts);
                }
            }
            (own, shared)
        };
        assert_eq!(come(0x0a00_0000, 0, 3), (vec![1; ROOM], vec![1]));
        assert_eq!(come(0x0a00_0000, 61, 2), (vec![3; ROOM], vec![12_000]));
        // All others: those who were remembered are forgotten, and told of with the crowd.
        assert_eq!(come(0x0b00_0000, 130, 1), (vec![1; ROOM], vec![7999 + 1000 + 1]));
        let memory = reports.0.lock().unwrap();
        assert_eq!((memory.own.len(), memory.shared.len()), (ROOM, 1));
        let waiting = memory.own.values().chain(memory.shared.values());
        let waiting: u64 = waiting.map(|count| count.untold).sum();
        assert_eq!(told + waiting, 15_000 + 10_000 + 5000);
    }
}
