//! Removal of what has expired.

use doorward::id::TokenId;
use doorward::store::{Refreshed, Removed, Revocation, Revoked};

use super::{Db, NOW, later, new_session, on_both, rotation};

on_both!(
    what_expired_is_removed_in_batches_and_the_rest_stays,
    a_session_is_removed_with_its_tokens_once_it_has_ended_or_expired,
    a_clean_up_leaves_live_sessions_usable,
    a_used_refresh_token_is_remembered_for_as_long_as_its_session,
    replicas_clean_up_at_once,
);

fn revocation(expires_in: u64) -> Revocation {
    Revocation {
        target: Revoked::Token(TokenId::generate(NOW)),
        expires_at: later(expires_in),
    }
}

async fn what_expired_is_removed_in_batches_and_the_rest_stays(db: &Db) {
    let many: Vec<Revocation> = (0..25).map(|_| revocation(10)).collect();
    db.store.block(&many, NOW).await.unwrap();
    let stays = revocation(11);
    db.store.block(&[stays], NOW).await.unwrap();
    // Clocks differ: for a minute more it may still be needed somewhere.
    assert_eq!(db.store.cleanup(later(10 + 59), 10).await.unwrap(), Removed::default());
    let removed = db.store.cleanup(later(10 + 60), 10).await.unwrap();
    assert_eq!(
        removed,
        Removed {
            revocations: 25,
            ..Removed::default()
        }
    );
    let left = db.store.blocked_after(0, 100).await.unwrap();
    assert_eq!(
        left.iter().map(|blocked| blocked.revocation).collect::<Vec<_>>(),
        [stays]
    );
}

async fn a_session_is_removed_with_its_tokens_once_it_has_ended_or_expired(db: &Db) {
    let ann = db.user("ann").await;
    let ended = db.session(&ann, 1).await;
    for token in 1..20 {
        db.rotate(token, token + 1).await;
    }
    db.store
        .end_session(ann.id, ended, later(900), later(1))
        .await
        .unwrap()
        .unwrap();
    let mut short = new_session(&ann, 100);
    short.expires_at = later(2);
    assert!(db.store.start_session(&short).await.unwrap().is_some());
    db.session(&ann, 101).await;
    let removed = db.store.cleanup(later(1), 3).await.unwrap();
    assert_eq!(
        removed,
        Removed {
            sessions: 1,
            refresh_tokens: 20,
            ..Removed::default()
        }
    );
    // The short one keeps a little longer: its last token may still be accepted somewhere.
    assert_eq!(db.store.cleanup(later(3), 3).await.unwrap(), Removed::default());
    let removed = db.store.cleanup(later(2 + 300), 3).await.unwrap();
    assert_eq!(
        removed,
        Removed {
            sessions: 1,
            refresh_tokens: 1,
            ..Removed::default()
        }
    );
    assert_eq!(db.store.live_sessions(ann.id, later(302)).await.unwrap().len(), 1);
}

async fn a_clean_up_leaves_live_sessions_usable(db: &Db) {
    let ann = db.user("ann").await;
    db.session(&ann, 1).await;
    db.rotate(1, 2).await;
    db.store.cleanup(later(999), 1000).await.unwrap();
    let done = db
        .store
        .rotate_refresh_token(&rotation(2, 3, later(999)))
        .await
        .unwrap();
    assert!(matches!(done, Refreshed::Rotated { .. }), "{done:?}");
    let replay = db
        .store
        .rotate_refresh_token(&rotation(1, 4, later(999)))
        .await
        .unwrap();
    assert!(
        matches!(replay, Refreshed::Replayed { .. }),
        "a used token is remembered: {replay:?}"
    );
}

async fn a_used_refresh_token_is_remembered_for_as_long_as_its_session(db: &Db) {
    let ann = db.user("ann").await;
    db.session(&ann, 1).await;
    for (presented, at) in [(1, 900), (2, 1800)] {
        let done = db
            .store
            .rotate_refresh_token(&rotation(presented, presented + 1, later(at)))
            .await
            .unwrap();
        assert!(matches!(done, Refreshed::Rotated { .. }), "{done:?}");
    }
    // The first one would have expired by itself at 1000, and the second at 1900.
    assert_eq!(db.store.cleanup(later(2000), 10).await.unwrap(), Removed::default());
    let replay = db
        .store
        .rotate_refresh_token(&rotation(1, 9, later(2000)))
        .await
        .unwrap();
    assert!(matches!(replay, Refreshed::Replayed { .. }), "{replay:?}");
}

async fn replicas_clean_up_at_once(db: &Db) {
    let ann = db.user("ann").await;
    for token in 0..60 {
        db.session(&ann, token).await;
    }
    db.store.end_sessions(ann.id, None, later(10), NOW).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = db.replica().await;
        tasks.spawn(async move { store.cleanup(later(100), 7).await.unwrap() });
    }
    let removed = tasks.join_all().await;
    let sum = |count: fn(&Removed) -> u64| removed.iter().map(count).sum::<u64>();
    assert_eq!(sum(|removed| removed.sessions), 60);
    assert_eq!(sum(|removed| removed.refresh_tokens), 60);
    assert_eq!(sum(|removed| removed.revocations), 60);
}
