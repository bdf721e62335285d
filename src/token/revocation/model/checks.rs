//! What the exploration finds: nothing in the protocol as it is, and what is wrong in one that is wrong.

use stateright::{Checker, HasDiscoveries, Model};

use super::{BOUND, CONFIRMED, Fault, LEARNS, Protocol};

/// Explores everything, or all until both promises of polls are broken, and says which properties are broken.
fn broken(model: Protocol) -> Vec<&'static str> {
    let enough = HasDiscoveries::AllOf([BOUND, CONFIRMED, LEARNS].into());
    let checked = model.checker().threads(2).finish_when(enough).spawn_bfs().join();
    let mut broken: Vec<&str> = checked
        .discoveries()
        .into_keys()
        .filter(|name| checked.discovery_classification(name).to_string() == "counterexample")
        .collect();
    broken.sort_unstable();
    eprintln!("{} states, {broken:?}", checked.unique_state_count());
    assert!(checked.discovery(LEARNS).is_some(), "nothing was explored");
    broken
}

#[test]
fn no_order_of_events_lets_a_fresh_replica_miss_a_revocation() {
    assert_eq!(broken(Protocol::new()), [""; 0]);
}

#[test]
fn no_interleaving_of_a_poll_and_a_reading_of_everything_does() {
    let model = Protocol {
        both_at_once: true,
        horizon: 3,
        overlap: 1,
        staleness: 1,
        ..Protocol::new()
    };
    assert_eq!(broken(model), [""; 0]);
}

#[test]
fn a_restart_forgets_nothing() {
    let model = Protocol {
        restarts: 1,
        horizon: 4,
        ..Protocol::new()
    };
    assert_eq!(broken(model), [""; 0]);
}

#[test]
fn when_numbers_become_visible_at_any_time_a_reading_of_everything_still_finds_them_and_polls_do_not() {
    let model = Protocol {
        punctual: false,
        ..Protocol::new()
    };
    assert_eq!(broken(model), [BOUND, CONFIRMED]);
}

#[test]
fn a_start_that_reads_too_little_again_is_made_good_by_a_reading_of_everything() {
    let model = Protocol {
        window: 0,
        ..Protocol::new()
    };
    assert_eq!(broken(model), [BOUND, CONFIRMED]);
}

fn expiring() -> Protocol {
    Protocol {
        ttl: 1,
        skew: 1,
        margin: 5,
        ..Protocol::new()
    }
}

#[test]
fn a_row_that_is_removed_is_needed_by_nobody() {
    assert_eq!(broken(expiring()), [""; 0]);
}

#[test]
fn what_is_wrong_with_the_protocol_is_noticed() {
    for fault in [
        Fault::NoOverlap,
        Fault::FailuresSettle,
        Fault::ConfirmedByTheEnd,
        Fault::RemovedEarly,
    ] {
        let base = match fault {
            Fault::RemovedEarly => expiring(),
            Fault::None | Fault::NoOverlap | Fault::FailuresSettle | Fault::ConfirmedByTheEnd => Protocol::new(),
        };
        assert_eq!(broken(Protocol { fault, ..base }), [BOUND, CONFIRMED], "{fault:?}");
    }
}
