//! Rotation of refresh tokens.

use std::time::Duration;

use doorward::store::{Refreshed, Revoked, Rotation};

use super::{Db, NOW, later, new_session, on_both, only, rotation};

on_both!(
    a_refresh_token_is_used_up_by_its_successor,
    a_replayed_refresh_token_ends_its_session,
    a_refresh_token_whose_successor_nobody_used_is_good_again_and_the_successor_dies,
    a_dead_successor_that_is_used_ends_its_session,
    a_used_refresh_token_gets_no_pair_after_its_time,
    a_hundred_rotations_of_one_token_at_once_leave_one_session_with_one_token,
    an_unknown_or_expired_refresh_token_is_refused,
    a_refresh_token_does_not_outlive_its_session,
    a_refresh_token_is_looked_at_without_being_used,
    what_ends_a_session_or_disables_its_user_shows_at_the_refresh_token,
    rotations_and_new_roles_leave_no_token_with_old_roles,
);

async fn a_refresh_token_is_used_up_by_its_successor(db: &Db) {
    let ann = db.user("ann").await;
    let id = db.session(&ann, 1).await;
    for (presented, generation) in [(1, 2), (2, 3), (3, 4)] {
        let at = later(u64::from(presented));
        let done = db
            .store
            .rotate_refresh_token(&rotation(presented, presented + 1, at))
            .await
            .unwrap();
        let Refreshed::Rotated { session, user, again } = done else {
            panic!("{done:?}")
        };
        assert_eq!((session.id, session.user, user.id, again), (id, ann.id, ann.id, false));
        assert_eq!(
            (session.generation, session.last_used_at, session.created_at),
            (generation, at, NOW)
        );
    }
    let listed = db.store.live_sessions(ann.id, NOW).await.unwrap();
    assert_eq!((listed[0].generation, listed[0].last_used_at), (4, later(3)));
    assert!(db.store.blocked_after(0, 10).await.unwrap().is_empty());
}

async fn a_replayed_refresh_token_ends_its_session(db: &Db) {
    let ann = db.user("ann").await;
    let id = db.session(&ann, 1).await;
    let other = db.session(&ann, 100).await;
    db.rotate(1, 2).await;
    db.rotate(2, 3).await;
    let done = db.rotate(1, 4).await;
    let Refreshed::Replayed {
        session,
        user,
        revocation,
    } = done
    else {
        panic!("{done:?}")
    };
    assert_eq!((session, user), (id, ann.id));
    assert_eq!(revocation.target, Revoked::Session { id, up_to: u32::MAX });
    assert_eq!(revocation.expires_at, later(900));
    assert_eq!(db.store.blocked_after(0, 10).await.unwrap()[0].revocation, revocation);
    // Neither the thief nor the owner goes on, and nothing is revoked twice.
    for presented in [1, 2, 3, 4] {
        let done = db.rotate(presented, 5).await;
        assert!(matches!(done, Refreshed::Refused), "{presented}: {done:?}");
    }
    assert_eq!(db.store.blocked_after(0, 10).await.unwrap().len(), 1);
    assert_eq!(db.store.live_sessions(ann.id, NOW).await.unwrap()[0].id, other);
}

async fn a_refresh_token_whose_successor_nobody_used_is_good_again_and_the_successor_dies(db: &Db) {
    let ann = db.user("ann").await;
    let id = db.session(&ann, 1).await;
    db.rotate(1, 2).await;
    for (successor, generation) in [(3, 3), (4, 4)] {
        let done = db.rotate(1, successor).await;
        let Refreshed::Rotated { session, again, .. } = done else {
            panic!("{done:?}")
        };
        assert_eq!((session.id, session.generation, again), (id, generation, true));
    }
    assert!(matches!(db.rotate(4, 5).await, Refreshed::Rotated { again: false, .. }));
    // Now somebody has gone on: the first one is a copy.
    assert!(matches!(db.rotate(1, 6).await, Refreshed::Replayed { .. }));
    assert!(matches!(db.rotate(5, 6).await, Refreshed::Refused));
    assert!(db.store.live_sessions(ann.id, NOW).await.unwrap().is_empty());
}

async fn a_dead_successor_that_is_used_ends_its_session(db: &Db) {
    let ann = db.user("ann").await;
    let id = db.session(&ann, 1).await;
    db.rotate(1, 2).await;
    db.rotate(1, 3).await;
    let done = db.rotate(2, 4).await;
    let Refreshed::Replayed { session, .. } = done else {
        panic!("{done:?}")
    };
    assert_eq!(session, id);
    assert!(matches!(db.rotate(3, 4).await, Refreshed::Refused));
}

async fn a_used_refresh_token_gets_no_pair_after_its_time(db: &Db) {
    let ann = db.user("ann").await;
    db.session(&ann, 1).await;
    let rotate = async |presented, successor, seconds| {
        let long = Rotation {
            successor_expires_at: later(2000),
            ..rotation(presented, successor, later(seconds))
        };
        db.store.rotate_refresh_token(&long).await.unwrap()
    };
    assert!(matches!(rotate(1, 2, 999).await, Refreshed::Rotated { .. }));
    assert!(matches!(rotate(1, 3, 1000).await, Refreshed::Refused));
    assert!(matches!(
        rotate(2, 4, 1001).await,
        Refreshed::Rotated { again: false, .. }
    ));
    assert!(matches!(rotate(1, 5, 1002).await, Refreshed::Replayed { .. }));
}

async fn a_hundred_rotations_of_one_token_at_once_leave_one_session_with_one_token(db: &Db) {
    let ann = db.user("ann").await;
    let id = db.session(&ann, 0).await;
    let replica = db.replica().await;
    let mut tasks = tokio::task::JoinSet::new();
    for successor in 1..=100 {
        let store = if successor % 2 == 0 {
            db.store.clone()
        } else {
            replica.clone()
        };
        tasks.spawn(async move {
            let done = store.rotate_refresh_token(&rotation(0, successor, NOW)).await;
            (successor, done.unwrap())
        });
    }
    let mut last = (0, 0);
    for (successor, done) in tasks.join_all().await {
        let Refreshed::Rotated { session, again, .. } = done else {
            panic!("{successor}: {done:?}")
        };
        assert_eq!((session.id, again), (id, session.generation > 2));
        last = last.max((session.generation, successor));
    }
    assert_eq!(last.0, 101, "each raised the generation once");
    let live = db.store.live_sessions(ann.id, NOW).await.unwrap();
    assert_eq!((live.len(), live[0].id, live[0].generation), (1, id, 101));
    assert!(db.store.blocked_after(0, 10).await.unwrap().is_empty());
    // Of the hundred successors, the last one is alive.
    assert!(matches!(
        db.rotate(last.1, 101).await,
        Refreshed::Rotated { again: false, .. }
    ));
    let dead = if last.1 == 1 { 2 } else { 1 };
    assert!(matches!(db.rotate(dead, 102).await, Refreshed::Replayed { .. }));
}

async fn an_unknown_or_expired_refresh_token_is_refused(db: &Db) {
    let ann = db.user("ann").await;
    db.session(&ann, 1).await;
    assert!(matches!(db.rotate(9, 2).await, Refreshed::Refused));
    let late = db
        .store
        .rotate_refresh_token(&rotation(1, 2, later(1000)))
        .await
        .unwrap();
    assert!(matches!(late, Refreshed::Refused), "{late:?}");
    let in_time = db
        .store
        .rotate_refresh_token(&rotation(1, 2, later(999)))
        .await
        .unwrap();
    assert!(matches!(in_time, Refreshed::Rotated { .. }), "{in_time:?}");
}

async fn a_refresh_token_does_not_outlive_its_session(db: &Db) {
    let ann = db.user("ann").await;
    let mut session = new_session(&ann, 1);
    (session.expires_at, session.refresh_expires_at) = (later(100), later(1000));
    assert!(db.store.start_session(&session).await.unwrap().is_some());
    let long = Rotation {
        successor_expires_at: NOW + Duration::from_hours(1),
        ..rotation(1, 2, later(99))
    };
    assert!(matches!(
        db.store.rotate_refresh_token(&long).await.unwrap(),
        Refreshed::Rotated { .. }
    ));
    let late = db
        .store
        .rotate_refresh_token(&rotation(2, 3, later(100)))
        .await
        .unwrap();
    assert!(matches!(late, Refreshed::Refused), "{late:?}");
}

async fn a_refresh_token_is_looked_at_without_being_used(db: &Db) {
    let ann = db.user("ann").await;
    let id = db.session(&ann, 1).await;
    let look = async |token: u8| db.store.refresh_token(&[token; 32]).await.unwrap();
    assert_eq!(look(2).await, None);
    for _ in 0..2 {
        let held = look(1).await.unwrap();
        assert_eq!((held.session, held.user, &held.email), (id, ann.id, &ann.email));
        assert_eq!((held.issued_at, held.expires_at), (NOW, later(1000)));
        assert!(held.is_live(later(999)) && !held.is_live(later(1000)));
    }
    let at = later(10);
    let done = db.store.rotate_refresh_token(&rotation(1, 2, at)).await.unwrap();
    assert!(matches!(done, Refreshed::Rotated { .. }), "{done:?}");
    let (used, next) = (look(1).await.unwrap(), look(2).await.unwrap());
    assert!(used.consumed && !used.is_live(at) && !used.session_ended);
    assert!(next.is_live(at) && next.issued_at == at);
}

async fn what_ends_a_session_or_disables_its_user_shows_at_the_refresh_token(db: &Db) {
    let (ann, bob) = (db.user("ann").await, db.user("bob").await);
    let id = db.session(&ann, 1).await;
    db.session(&ann, 2).await;
    db.session(&bob, 3).await;
    let look = async |token: u8| db.store.refresh_token(&[token; 32]).await.unwrap();
    db.store.end_session(ann.id, id, later(900), NOW).await.unwrap();
    let held = look(1).await.unwrap();
    assert!(held.session_ended && !held.is_live(NOW));
    assert!(look(2).await.unwrap().is_live(NOW));
    db.store.disable_user(ann.id, later(900), NOW).await.unwrap();
    let held = look(2).await.unwrap();
    assert!(held.user_disabled && !held.is_live(NOW));
    assert!(look(3).await.unwrap().is_live(NOW));
    db.store.delete_user(bob.id, None, later(900), NOW).await.unwrap();
    assert_eq!(look(3).await, None);
}

async fn rotations_and_new_roles_leave_no_token_with_old_roles(db: &Db) {
    let ann = db.user("ann").await;
    for round in 0..10_u8 {
        let (from, to) = (round * 2, round * 2 + 1);
        let id = db.session(&ann, from).await;
        let roles = only(&[&format!("role{round}")]);
        let one = rotation(from, to, NOW);
        let (done, revoked) = tokio::join!(
            db.store.rotate_refresh_token(&one),
            db.store.change_roles(ann.id, &roles, later(900), NOW)
        );
        let Refreshed::Rotated { session, user, .. } = done.unwrap() else {
            panic!("the session lives on")
        };
        let refused = revoked
            .unwrap()
            .unwrap()
            .revoked
            .unwrap()
            .into_iter()
            .find_map(|revocation| match revocation.target {
                Revoked::Session { id: other, up_to } if other == id => Some(up_to),
                Revoked::Session { .. } | Revoked::Token(_) | Revoked::Key(_) => None,
            });
        let is_refused = refused.unwrap() >= session.generation;
        assert_eq!(
            is_refused,
            user.roles != roles.add,
            "{refused:?} {session:?} {:?}",
            user.roles
        );
    }
}
