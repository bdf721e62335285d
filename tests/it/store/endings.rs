//! Sessions that end at the same time, which share transactions and nothing else.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use doorward::id::SessionId;
use doorward::store::{Revocation, Revoked, StoreError, User};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::task::JoinSet;

use super::{Db, NOW, Place, later, new_session, on_both};

on_both!(
    of_many_sessions_that_end_at_once_each_ends_once_and_is_revoked_once,
    each_caller_is_told_about_its_own_session,
    a_session_that_can_not_be_ended_fails_alone,
    an_ending_that_is_dropped_has_happened_wholly_or_not_at_all_and_harms_no_other,
    endings_under_way_are_done_before_the_store_closes,
);

/// So many sessions of a user, with a user agent of their own.
async fn sessions(db: &Db, user: &User, many: u8, agent: &str) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for _ in 0..many {
        let mut session = new_session(user, 0);
        session.refresh_hash = only_of(session.id);
        session.user_agent = Some(agent.to_owned());
        assert!(db.store.start_session(&session).await.unwrap().is_some());
        ids.push(session.id);
    }
    ids
}

/// A refresh token that no other session has.
fn only_of(session: SessionId) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(session.as_bytes());
    hash
}

/// Ends all of them at once, and says what each caller was told.
async fn end_at_once(db: &Db, user: &User, ids: &[SessionId]) -> Vec<(SessionId, Told)> {
    let mut tasks = JoinSet::new();
    for id in ids {
        let (store, user, id) = (db.store.clone(), user.id, *id);
        tasks.spawn(async move { (id, store.end_session(user, id, later(900), NOW).await) });
    }
    tasks.join_all().await
}

type Told = Result<Option<Revocation>, StoreError>;

async fn revoked(db: &Db) -> Vec<SessionId> {
    let blocked = db.store.blocked_after(0, 10_000).await.unwrap();
    let session = blocked.into_iter().map(|blocked| match blocked.revocation.target {
        Revoked::Session { id, up_to: u32::MAX } => id,
        other => panic!("{other:?}"),
    });
    session.collect()
}

async fn of_many_sessions_that_end_at_once_each_ends_once_and_is_revoked_once(db: &Db) {
    let ann = db.user("ann").await;
    let ids = sessions(db, &ann, 200, "curl").await;
    let twice: Vec<SessionId> = ids.iter().chain(&ids).copied().collect();
    let told = end_at_once(db, &ann, &twice).await;
    let ended: Vec<SessionId> = told
        .into_iter()
        .filter_map(|(id, told)| told.unwrap().map(|_| id))
        .collect();
    assert_eq!(ended.len(), ids.len(), "of two callers, one ended it");
    let all: BTreeSet<SessionId> = ids.into_iter().collect();
    assert_eq!(ended.into_iter().collect::<BTreeSet<_>>(), all);
    let revoked = revoked(db).await;
    assert_eq!(revoked.len(), all.len());
    assert_eq!(revoked.into_iter().collect::<BTreeSet<_>>(), all);
    assert!(db.store.live_sessions(ann.id, NOW).await.unwrap().is_empty());
}

async fn each_caller_is_told_about_its_own_session(db: &Db) {
    let (ann, bob) = (db.user("ann").await, db.user("bob").await);
    let mine = sessions(db, &ann, 20, "curl").await;
    let (theirs, over) = (sessions(db, &bob, 5, "curl").await, sessions(db, &ann, 5, "curl").await);
    for (_, told) in end_at_once(db, &ann, &over).await {
        assert!(told.unwrap().is_some());
    }
    let never: Vec<SessionId> = (0..5).map(|_| SessionId::generate(NOW)).collect();
    let asked = [mine.clone(), theirs, over.clone(), never].concat();
    for (id, told) in end_at_once(db, &ann, &asked).await {
        let expected = mine.contains(&id).then_some(Revocation {
            target: Revoked::Session { id, up_to: u32::MAX },
            expires_at: later(900),
        });
        assert_eq!(told.unwrap(), expected);
    }
    assert_eq!(revoked(db).await.len(), mine.len() + over.len());
    assert_eq!(db.store.live_sessions(bob.id, NOW).await.unwrap().len(), 5);
}

async fn a_session_that_can_not_be_ended_fails_alone(db: &Db) {
    let ann = db.user("ann").await;
    let (good, bad) = (sessions(db, &ann, 40, "good").await, sessions(db, &ann, 2, "bad").await);
    db.run(match db.place {
        Place::Sqlite { .. } => {
            "CREATE TRIGGER no BEFORE UPDATE ON sessions WHEN NEW.user_agent = 'bad' \
             BEGIN SELECT RAISE(ABORT, 'no'); END"
        }
        Place::MariaDb(_) => {
            "CREATE TRIGGER no BEFORE UPDATE ON sessions FOR EACH ROW \
             IF NEW.user_agent = 'bad' THEN SIGNAL SQLSTATE '45000'; END IF"
        }
    })
    .await;
    let all = [good.clone(), bad.clone()].concat();
    for (id, told) in end_at_once(db, &ann, &all).await {
        if good.contains(&id) {
            assert!(told.unwrap().is_some());
        } else {
            assert!(matches!(told, Err(StoreError::Query(_))), "{told:?}");
        }
    }
    let revoked: BTreeSet<SessionId> = revoked(db).await.into_iter().collect();
    assert_eq!(revoked, good.into_iter().collect());
    assert_eq!(db.store.live_sessions(ann.id, NOW).await.unwrap().len(), bad.len());
}

async fn an_ending_that_is_dropped_has_happened_wholly_or_not_at_all_and_harms_no_other(db: &Db) {
    let ann = db.user("ann").await;
    let ids = sessions(db, &ann, 120, "curl").await;
    let (dropped, awaited) = ids.split_at(60);
    let others = end_at_once(db, &ann, awaited);
    let mut n = 0_u64;
    let impatient = async {
        for id in dropped {
            n += 1;
            let end = db.store.end_session(ann.id, *id, later(900), NOW);
            drop(tokio::time::timeout(Duration::from_micros(n * 50), end).await);
        }
    };
    let (told, ()) = tokio::join!(others, impatient);
    assert!(told.into_iter().all(|(_, told)| told.unwrap().is_some()));
    // Closed, all that was begun has ended.
    db.store.close().await;
    let store = db.replica().await;
    let live: Vec<SessionId> = store
        .live_sessions(ann.id, NOW)
        .await
        .unwrap()
        .into_iter()
        .map(|session| session.id)
        .collect();
    let blocked = store.blocked_after(0, 1000).await.unwrap();
    let revoked: BTreeSet<[u8; 16]> = blocked.iter().map(|one| *one.revocation.target.value()).collect();
    assert_eq!((blocked.len(), blocked.len() + live.len()), (revoked.len(), ids.len()));
    assert!(
        live.iter()
            .all(|id| !revoked.contains(id.as_bytes()) && dropped.contains(id))
    );
}

async fn endings_under_way_are_done_before_the_store_closes(db: &Db) {
    let ann = db.user("ann").await;
    let ids = sessions(db, &ann, 100, "curl").await;
    let mut tasks = JoinSet::new();
    for id in &ids {
        let (store, user, id) = (db.store.clone(), ann.id, *id);
        let mut end = Box::pin(async move { store.end_session(user, id, later(900), NOW).await });
        // Asked by now, whenever the answer comes.
        let asked = poll_fn(|context| Poll::Ready(end.as_mut().poll(context).is_pending()));
        assert!(asked.await);
        tasks.spawn(end);
    }
    db.store.close().await;
    assert!(tasks.join_all().await.into_iter().all(|told| told.unwrap().is_some()));
    let late = db.store.end_session(ann.id, ids[0], later(900), NOW).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_another_transaction_holds_keeps_no_other_from_ending() {
    let db = Db::mariadb().await;
    let ann = db.user("ann").await;
    let ids = sessions(&db, &ann, 20, "curl").await;
    let Place::MariaDb(database) = &db.place else {
        panic!("this test is about MariaDB")
    };
    let options: MySqlConnectOptions = database.url().parse().unwrap();
    let mut holder = options.disable_statement_logging().connect().await.unwrap();
    let mut transaction = holder.begin().await.unwrap();
    sqlx::query("SELECT id FROM sessions WHERE id = ? FOR UPDATE")
        .bind(ids[0].as_bytes().as_slice())
        .execute(&mut *transaction)
        .await
        .unwrap();
    let (held, free) = ids.split_at(1);
    let mut waiting = Box::pin(end_at_once(&db, &ann, held));
    tokio::select! {
        told = end_at_once(&db, &ann, free) => {
            assert!(told.into_iter().all(|(_, told)| told.unwrap().is_some()));
        }
        told = &mut waiting => panic!("{told:?} before those whom nobody holds"),
    }
    transaction.rollback().await.unwrap();
    let (_, told) = waiting.await.remove(0);
    assert!(told.unwrap().is_some());
    holder.close().await.unwrap();
}
