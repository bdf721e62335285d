//! Sessions.

use doorward::id::SessionId;
use doorward::store::{Revoked, Session};

use super::{Db, NOW, later, new_session, on_both, only, rotation};

on_both!(
    a_session_is_listed_with_what_the_login_said,
    a_session_begins_for_the_user_of_that_moment,
    the_latest_session_is_listed_first,
    an_ended_session_is_revoked_and_not_ended_twice,
    a_session_is_ended_by_its_own_user_only,
    an_expired_session_is_not_live,
    a_session_that_was_idle_for_too_long_is_not_live,
    all_sessions_but_one_end_at_once,
    a_session_that_has_just_expired_is_still_revoked_with_the_others,
    a_long_user_agent_is_cut_by_characters,
    sessions_begun_while_all_end_are_either_ended_or_live,
);

async fn a_session_is_listed_with_what_the_login_said(db: &Db) {
    let ann = db.user("ann").await;
    let id = db.session(&ann, 1).await;
    let mut bare = new_session(&ann, 2);
    (bare.ip, bare.user_agent) = (Some("2001:db8::7".parse().unwrap()), None);
    (bare.created_at, bare.expires_at) = (later(1), later(50));
    assert!(db.store.start_session(&bare).await.unwrap().is_some());
    let expected = [
        Session {
            id: bare.id,
            user: ann.id,
            generation: 1,
            created_at: later(1),
            last_used_at: later(1),
            expires_at: later(50),
            ip: Some("2001:db8::7".parse().unwrap()),
            user_agent: None,
        },
        Session {
            id,
            user: ann.id,
            generation: 1,
            created_at: NOW,
            last_used_at: NOW,
            expires_at: later(3000),
            ip: Some("192.0.2.1".parse().unwrap()),
            user_agent: Some("curl/8.0".to_owned()),
        },
    ];
    assert_eq!(db.store.live_sessions(ann.id, NOW).await.unwrap(), expected);
}

async fn a_session_begins_for_the_user_of_that_moment(db: &Db) {
    // Read, as a login does, before its password is verified.
    let ann = db.user("ann").await;
    db.store
        .change_roles(ann.id, &only(&["support"]), later(900), later(1))
        .await
        .unwrap()
        .unwrap();
    let user = db.store.start_session(&new_session(&ann, 1)).await.unwrap().unwrap();
    assert_eq!((user.id, user.roles), (ann.id, only(&["support"]).add));
}

async fn the_latest_session_is_listed_first(db: &Db) {
    let ann = db.user("ann").await;
    let mut ids = Vec::new();
    for (token, at) in [(1, 5), (2, 9), (3, 7)] {
        let mut session = new_session(&ann, token);
        session.created_at = later(at);
        assert!(db.store.start_session(&session).await.unwrap().is_some());
        ids.push(session.id);
    }
    let listed = db.store.live_sessions(ann.id, NOW).await.unwrap();
    let listed: Vec<SessionId> = listed.into_iter().map(|session| session.id).collect();
    assert_eq!(listed, [ids[1], ids[2], ids[0]]);
}

async fn an_ended_session_is_revoked_and_not_ended_twice(db: &Db) {
    let ann = db.user("ann").await;
    let id = db.session(&ann, 1).await;
    let end = async || db.store.end_session(ann.id, id, later(900), later(1)).await.unwrap();
    let revocation = end().await.unwrap();
    assert_eq!(revocation.target, Revoked::Session { id, up_to: u32::MAX });
    assert_eq!(revocation.expires_at, later(900));
    assert_eq!(db.store.blocked_after(0, 10).await.unwrap()[0].revocation, revocation);
    assert!(end().await.is_none());
    assert_eq!(db.store.blocked_after(0, 10).await.unwrap().len(), 1);
    assert!(db.store.live_sessions(ann.id, later(1)).await.unwrap().is_empty());
    assert!(matches!(db.rotate(1, 2).await, super::Refreshed::Refused));
}

async fn a_session_is_ended_by_its_own_user_only(db: &Db) {
    let (ann, bob) = (db.user("ann").await, db.user("bob").await);
    let id = db.session(&ann, 1).await;
    assert!(
        db.store
            .end_session(bob.id, id, later(900), NOW)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        db.store
            .end_session(ann.id, SessionId::generate(NOW), later(900), NOW)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(db.store.live_sessions(ann.id, NOW).await.unwrap().len(), 1);
    assert!(db.store.blocked_after(0, 10).await.unwrap().is_empty());
}

async fn an_expired_session_is_not_live(db: &Db) {
    let ann = db.user("ann").await;
    let mut session = new_session(&ann, 1);
    (session.refresh_expires_at, session.expires_at) = (later(9000), later(3000));
    let id = session.id;
    assert!(db.store.start_session(&session).await.unwrap().is_some());
    assert_eq!(db.store.live_sessions(ann.id, later(2999)).await.unwrap().len(), 1);
    assert!(db.store.live_sessions(ann.id, later(3000)).await.unwrap().is_empty());
    assert!(
        db.store
            .end_session(ann.id, id, later(9000), later(3000))
            .await
            .unwrap()
            .is_none()
    );
}

async fn a_session_that_was_idle_for_too_long_is_not_live(db: &Db) {
    let ann = db.user("ann").await;
    let (used, idle) = (db.session(&ann, 1).await, db.session(&ann, 2).await);
    let live = async |at| {
        let live = db.store.live_sessions(ann.id, later(at)).await.unwrap();
        live.into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    let refreshed = db
        .store
        .rotate_refresh_token(&rotation(1, 3, later(500)))
        .await
        .unwrap();
    assert!(matches!(refreshed, super::Refreshed::Rotated { .. }), "{refreshed:?}");
    assert_eq!(live(999).await.len(), 2);
    assert_eq!(live(1000).await, [used], "{idle:?} was never refreshed");
    assert!(live(1500).await.is_empty());
}

async fn all_sessions_but_one_end_at_once(db: &Db) {
    let (ann, bob) = (db.user("ann").await, db.user("bob").await);
    let keep = db.session(&ann, 1).await;
    let mut others = vec![db.session(&ann, 2).await, db.session(&ann, 3).await];
    db.session(&bob, 4).await;
    let ended = db
        .store
        .end_sessions(ann.id, Some(keep), later(900), NOW)
        .await
        .unwrap();
    let mut targets: Vec<SessionId> = ended
        .iter()
        .map(|revocation| match revocation.target {
            Revoked::Session { id, up_to: u32::MAX } => id,
            other => panic!("{other:?}"),
        })
        .collect();
    targets.sort_unstable();
    others.sort_unstable();
    assert_eq!(targets, others);
    assert_eq!(db.store.live_sessions(ann.id, NOW).await.unwrap()[0].id, keep);
    assert_eq!(db.store.live_sessions(bob.id, NOW).await.unwrap().len(), 1);
    assert_eq!(
        db.store
            .end_sessions(ann.id, None, later(900), NOW)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(db.store.blocked_after(0, 10).await.unwrap().len(), 3);
}

async fn a_session_that_has_just_expired_is_still_revoked_with_the_others(db: &Db) {
    // Its last token may be accepted for as long as the leeway.
    let ann = db.user("ann").await;
    db.session(&ann, 1).await;
    assert_eq!(
        db.store
            .end_sessions(ann.id, None, later(9000), later(3004))
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn a_long_user_agent_is_cut_by_characters(db: &Db) {
    let ann = db.user("ann").await;
    let mut session = new_session(&ann, 1);
    session.user_agent = Some("é".repeat(1000));
    assert!(db.store.start_session(&session).await.unwrap().is_some());
    let listed = db.store.live_sessions(ann.id, NOW).await.unwrap();
    assert_eq!(listed[0].user_agent, Some("é".repeat(256)));
}

async fn sessions_begun_while_all_end_are_either_ended_or_live(db: &Db) {
    let ann = db.user("ann").await;
    let mut tasks = tokio::task::JoinSet::new();
    for token in 0..40 {
        let (store, session) = (db.store.clone(), new_session(&ann, token));
        tasks.spawn(async move {
            assert!(store.start_session(&session).await.unwrap().is_some());
            0
        });
        if token % 8 == 7 {
            let (store, user) = (db.store.clone(), ann.id);
            tasks.spawn(async move { store.end_sessions(user, None, later(900), NOW).await.unwrap().len() });
        }
    }
    let ended: usize = tasks.join_all().await.into_iter().sum();
    let blocked = db.store.blocked_after(0, 100).await.unwrap();
    assert_eq!(blocked.len(), ended, "each ended session has its revocation, once");
    assert_eq!(db.store.live_sessions(ann.id, NOW).await.unwrap().len(), 40 - ended);
}
