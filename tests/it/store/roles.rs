//! Roles.

use doorward::store::{Revoked, RolesChange, RolesChanged};

use super::users::roles;
use super::{Db, NOW, later, new_user, on_both, only};

on_both!(
    new_roles_refuse_the_tokens_so_far_and_let_sessions_live,
    changes_of_roles_at_once_all_count,
    roles_that_stay_as_they_are_refuse_no_token,
);

async fn new_roles_refuse_the_tokens_so_far_and_let_sessions_live(db: &Db) {
    let ann = db.user("ann").await;
    let session = db.session(&ann, 1).await;
    db.rotate(1, 2).await;
    let changed = db
        .store
        .change_roles(ann.id, &only(&["admin"]), later(900), later(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(changed.roles, roles(&["admin"]));
    let revoked = changed.revoked.unwrap();
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0].target, Revoked::Session { id: session, up_to: 2 });
    assert_eq!(db.store.blocked_after(0, 10).await.unwrap()[0].revocation, revoked[0]);
    let super::Refreshed::Rotated { session, user, .. } = db.rotate(2, 3).await else {
        panic!("the session lives on")
    };
    assert_eq!((session.generation, user.roles), (3, roles(&["admin"])));
}

async fn changes_of_roles_at_once_all_count(db: &Db) {
    let mut ann = new_user("ann");
    let (old, new): (Vec<String>, Vec<String>) = (0..10).map(|n| (format!("old{n}"), format!("new{n}"))).unzip();
    ann.roles = old.iter().map(|name| name.parse().unwrap()).collect();
    let ann = db.store.create_user(&ann).await.unwrap();
    let replica = db.replica().await;
    let mut tasks = tokio::task::JoinSet::new();
    for (n, (old, new)) in old.iter().zip(&new).enumerate() {
        let store = if n % 2 == 0 { db.store.clone() } else { replica.clone() };
        let change = RolesChange {
            clear: false,
            remove: roles(&[old]),
            add: roles(&[new]),
        };
        tasks.spawn(async move { store.change_roles(ann.id, &change, later(900), NOW).await.unwrap() });
    }
    tasks.join_all().await;
    let names: Vec<&str> = new.iter().map(String::as_str).collect();
    assert_eq!(db.store.user_by_id(ann.id).await.unwrap().unwrap().roles, roles(&names));
}

async fn roles_that_stay_as_they_are_refuse_no_token(db: &Db) {
    let ann = db.user("ann").await;
    db.session(&ann, 1).await;
    let change = RolesChange {
        remove: roles(&["admin"]),
        ..RolesChange::default()
    };
    let changed = db.store.change_roles(ann.id, &change, later(900), later(1)).await;
    let unchanged = RolesChanged {
        roles: Vec::new(),
        revoked: None,
    };
    assert_eq!(changed.unwrap().unwrap(), unchanged);
    assert!(db.store.blocked_after(0, 10).await.unwrap().is_empty());
}
