//! Users.

use doorward::id::{Email, Role, UserId};
use doorward::store::{PasswordChanged, Revocation, Revoked, UserChange, WriteUserError};

use super::{Db, NOW, later, new_session, new_user, on_both, only};

on_both!(
    a_user_is_found_by_id_and_by_address,
    an_address_is_taken_once,
    twenty_sign_ups_of_one_address_at_once_make_one_account,
    addresses_that_differ_in_case_or_accent_are_different,
    a_change_touches_only_what_it_names,
    a_change_refuses_the_tokens_so_far_and_lets_sessions_live,
    a_change_to_a_taken_address_changes_nothing,
    an_ended_session_changes_and_deletes_nobody,
    a_disabled_user_has_no_session_and_gets_none,
    a_deleted_user_takes_sessions_along_and_leaves_revocations,
    nobody_is_changed_when_there_is_nobody,
    users_are_listed_in_the_order_of_sign_up,
    a_name_of_any_script_survives,
);

pub(super) fn roles(names: &[&str]) -> Vec<Role> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

async fn a_user_is_found_by_id_and_by_address(db: &Db) {
    let mut new = new_user("ann");
    new.roles = roles(&["support", "admin", "admin"]);
    let written = db.store.create_user(&new).await.unwrap();
    assert_eq!(written.roles, roles(&["admin", "support"]));
    for found in [
        db.store.user_by_id(new.id).await.unwrap().unwrap(),
        db.store.user_by_email(&new.email).await.unwrap().unwrap(),
        written,
    ] {
        assert_eq!((found.id, &found.email, &found.name), (new.id, &new.email, &new.name));
        assert_eq!(found.password_hash.expose(), "hash-of-ann");
        assert_eq!(found.roles, roles(&["admin", "support"]));
        assert_eq!(
            (found.disabled_at, found.created_at, found.updated_at),
            (None, NOW, NOW)
        );
    }
    let other = "bob@example.com".parse().unwrap();
    assert!(db.store.user_by_email(&other).await.unwrap().is_none());
    assert!(db.store.user_by_id(UserId::generate(NOW)).await.unwrap().is_none());
}

async fn an_address_is_taken_once(db: &Db) {
    db.user("ann").await;
    let again = db.store.create_user(&new_user("ann")).await;
    assert!(matches!(again, Err(WriteUserError::EmailTaken)), "{again:?}");
}

async fn twenty_sign_ups_of_one_address_at_once_make_one_account(db: &Db) {
    let replica = db.replica().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = if n % 2 == 0 { db.store.clone() } else { replica.clone() };
        tasks.spawn(async move { store.create_user(&new_user("ann")).await });
    }
    let mut made = 0;
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            Ok(_) => made += 1,
            Err(WriteUserError::EmailTaken) => {}
            Err(WriteUserError::Store(error)) => panic!("{error:?}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(db.store.list_users(None, 100).await.unwrap().len(), 1);
}

async fn addresses_that_differ_in_case_or_accent_are_different(db: &Db) {
    db.user("jorg").await;
    let mut other = new_user("other");
    other.email = "jörg@example.com".parse().unwrap();
    db.store.create_user(&other).await.unwrap();
    let found = db.store.user_by_email(&other.email).await.unwrap().unwrap();
    assert_eq!(found.id, other.id);
}

async fn a_change_touches_only_what_it_names(db: &Db) {
    let ann = db.user("ann").await;
    let change = UserChange {
        name: Some("Ann Lee".parse().unwrap()),
        email: None,
    };
    let changed = db
        .store
        .update_user(ann.id, None, &change, later(900), later(1))
        .await
        .unwrap()
        .unwrap()
        .user;
    assert_eq!(
        (changed.email.as_str(), changed.name.as_str()),
        ("ann@example.com", "Ann Lee")
    );
    assert_eq!((changed.created_at, changed.updated_at), (NOW, later(1)));
    let email: Email = "lee@example.com".parse().unwrap();
    let change = UserChange {
        name: None,
        email: Some(email.clone()),
    };
    db.store
        .update_user(ann.id, None, &change, later(900), later(2))
        .await
        .unwrap()
        .unwrap();
    let found = db.store.user_by_email(&email).await.unwrap().unwrap();
    assert_eq!((found.id, found.name.as_str()), (ann.id, "Ann Lee"));
    assert!(db.store.user_by_email(&ann.email).await.unwrap().is_none());
}

async fn a_change_refuses_the_tokens_so_far_and_lets_sessions_live(db: &Db) {
    let ann = db.user("ann").await;
    let session = db.session(&ann, 1).await;
    db.rotate(1, 2).await;
    let update = async |name: &str| {
        let change = UserChange {
            name: Some(name.parse().unwrap()),
            email: None,
        };
        let changed = db.store.update_user(ann.id, None, &change, later(900), later(1)).await;
        changed.unwrap().unwrap().revoked
    };
    let revoked = update("Ann Lee").await;
    let target = Revoked::Session { id: session, up_to: 2 };
    let expires_at = later(900);
    assert_eq!(revoked, [Revocation { target, expires_at }]);
    assert_eq!(db.store.blocked_after(0, 10).await.unwrap()[0].revocation, revoked[0]);
    let super::Refreshed::Rotated { user, .. } = db.rotate(2, 3).await else {
        panic!("the session lives on")
    };
    assert_eq!(user.name.as_str(), "Ann Lee");
    // What stays as it is refuses no token.
    assert!(update("Ann Lee").await.is_empty());
    assert_eq!(db.store.blocked_after(0, 10).await.unwrap().len(), 1);
}

async fn a_change_to_a_taken_address_changes_nothing(db: &Db) {
    let (ann, bob) = (db.user("ann").await, db.user("bob").await);
    let change = UserChange {
        name: Some("Ann".parse().unwrap()),
        email: Some(bob.email),
    };
    let changed = db.store.update_user(ann.id, None, &change, later(900), later(1)).await;
    assert!(matches!(changed, Err(WriteUserError::EmailTaken)), "{changed:?}");
    let found = db.store.user_by_id(ann.id).await.unwrap().unwrap();
    assert_eq!((found.email, found.name, found.updated_at), (ann.email, ann.name, NOW));
}

async fn an_ended_session_changes_and_deletes_nobody(db: &Db) {
    let ann = db.user("ann").await;
    let (here, there) = (db.session(&ann, 1).await, db.session(&ann, 2).await);
    db.store
        .end_session(ann.id, here, later(900), NOW)
        .await
        .unwrap()
        .unwrap();
    let change = UserChange {
        email: Some("mallory@example.com".parse().unwrap()),
        name: None,
    };
    let update = async |by| {
        db.store
            .update_user(ann.id, Some(by), &change, later(900), later(1))
            .await
            .unwrap()
    };
    let delete = async |by| {
        db.store
            .delete_user(ann.id, Some(by), later(900), later(1))
            .await
            .unwrap()
    };
    assert!(update(here).await.is_none());
    assert!(delete(here).await.is_none());
    let found = db.store.user_by_id(ann.id).await.unwrap().unwrap();
    assert_eq!((found.email, found.updated_at), (ann.email, NOW));
    assert!(update(there).await.is_some());
    assert!(delete(there).await.is_some());
}

async fn a_disabled_user_has_no_session_and_gets_none(db: &Db) {
    let ann = db.user("ann").await;
    let session = db.session(&ann, 1).await;
    let ended = db
        .store
        .disable_user(ann.id, later(900), later(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        ended[0].target,
        Revoked::Session {
            id: session,
            up_to: u32::MAX
        }
    );
    assert_eq!(
        db.store.user_by_id(ann.id).await.unwrap().unwrap().disabled_at,
        Some(later(1))
    );
    assert!(matches!(db.rotate(1, 2).await, super::Refreshed::Refused));
    assert!(db.store.start_session(&new_session(&ann, 3)).await.unwrap().is_none());
    // Once more: it is as it was.
    assert_eq!(
        db.store.disable_user(ann.id, later(900), later(2)).await.unwrap(),
        Some(Vec::new())
    );
    assert_eq!(
        db.store.user_by_id(ann.id).await.unwrap().unwrap().disabled_at,
        Some(later(1))
    );
    assert!(db.store.enable_user(ann.id, later(3)).await.unwrap());
    assert!(db.store.start_session(&new_session(&ann, 4)).await.unwrap().is_some());
    assert!(
        matches!(db.rotate(1, 2).await, super::Refreshed::Refused),
        "an ended session stays ended"
    );
}

async fn a_deleted_user_takes_sessions_along_and_leaves_revocations(db: &Db) {
    let ann = db.user("ann").await;
    let session = db.session(&ann, 1).await;
    let ended = db
        .store
        .delete_user(ann.id, None, later(900), later(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        ended[0].target,
        Revoked::Session {
            id: session,
            up_to: u32::MAX
        }
    );
    assert!(db.store.user_by_id(ann.id).await.unwrap().is_none());
    assert!(db.store.live_sessions(ann.id, NOW).await.unwrap().is_empty());
    assert!(matches!(db.rotate(1, 2).await, super::Refreshed::Refused));
    assert!(db.store.start_session(&new_session(&ann, 3)).await.unwrap().is_none());
    assert_eq!(db.store.blocked_after(0, 10).await.unwrap()[0].revocation, ended[0]);
    // The address is free again.
    db.user("ann").await;
}

async fn nobody_is_changed_when_there_is_nobody(db: &Db) {
    let id = UserId::generate(NOW);
    let store = &db.store;
    assert!(
        store
            .update_user(id, None, &UserChange::default(), NOW, NOW)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        store.change_password(id, None, "new", None, NOW, NOW).await.unwrap(),
        PasswordChanged::NoUser
    );
    assert!(store.change_roles(id, &only(&[]), NOW, NOW).await.unwrap().is_none());
    assert!(store.disable_user(id, NOW, NOW).await.unwrap().is_none());
    assert!(store.delete_user(id, None, NOW, NOW).await.unwrap().is_none());
    assert!(!store.enable_user(id, NOW).await.unwrap());
    assert!(store.end_sessions(id, None, NOW, NOW).await.unwrap().is_empty());
}

async fn users_are_listed_in_the_order_of_sign_up(db: &Db) {
    let mut ids = Vec::new();
    for (n, name) in ["ann", "bob", "cid", "dot", "eve"].into_iter().enumerate() {
        let mut user = new_user(name);
        user.id = UserId::generate(later(n as u64));
        ids.push(db.store.create_user(&user).await.unwrap().id);
    }
    let page = async |after, limit| {
        let users = db.store.list_users(after, limit).await.unwrap();
        users.into_iter().map(|user| user.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2).await, ids[..2]);
    assert_eq!(page(Some(ids[1]), 2).await, ids[2..4]);
    assert_eq!(page(Some(ids[3]), 2).await, ids[4..]);
    assert!(page(Some(ids[4]), 2).await.is_empty());
}

async fn a_name_of_any_script_survives(db: &Db) {
    for (n, name) in ["Zoë", "李小龍", "عمر", "👩‍🚀 Astro", "O'Neil \"%_\\"]
        .into_iter()
        .enumerate()
    {
        let mut user = new_user(&format!("user{n}"));
        user.name = name.parse().unwrap();
        db.store.create_user(&user).await.unwrap();
        assert_eq!(db.store.user_by_id(user.id).await.unwrap().unwrap().name.as_str(), name);
    }
    let mut long = new_user("long");
    long.name = "👩".repeat(100).parse().unwrap();
    long.email = format!(
        "{}@{}.example",
        "é".repeat(32),
        ["a".repeat(59).as_str(); 3].join(".").as_str()
    )
    .parse()
    .unwrap();
    assert!(long.email.as_str().len() > 250);
    db.store.create_user(&long).await.unwrap();
    assert_eq!(
        db.store.user_by_email(&long.email).await.unwrap().unwrap().name,
        long.name
    );
}
