//! Revocations.

use doorward::id::{KeyId, SessionId, TokenId};
use doorward::store::{Revocation, Revoked};

use super::{Db, NOW, later, on_both};

on_both!(
    revocations_of_every_kind_and_number_come_back_as_they_were_written,
    revocations_are_read_in_the_order_of_writing,
    a_revocation_is_seen_by_a_replica_that_polls_all_along,
    a_number_is_not_given_twice,
);

fn token() -> Revocation {
    Revocation {
        target: Revoked::Token(TokenId::generate(NOW)),
        expires_at: later(60),
    }
}

async fn revocations_of_every_kind_and_number_come_back_as_they_were_written(db: &Db) {
    let key: KeyId = "a-key".parse().unwrap();
    let written: Vec<Revocation> = (0..251)
        .map(|n| Revocation {
            target: match n % 3 {
                0 => Revoked::Token(TokenId::generate(NOW)),
                1 => Revoked::Session {
                    id: SessionId::generate(NOW),
                    up_to: u32::MAX - n,
                },
                _ => Revoked::Key(key.digest()),
            },
            expires_at: later(n.into()),
        })
        .collect();
    db.store.block(&written, NOW).await.unwrap();
    let blocked = db.store.blocked_after(0, 1000).await.unwrap();
    let read: Vec<Revocation> = blocked.into_iter().map(|blocked| blocked.revocation).collect();
    assert_eq!(read, written);
}

async fn revocations_are_read_in_the_order_of_writing(db: &Db) {
    let session = Revoked::Session {
        id: SessionId::generate(NOW),
        up_to: 7,
    };
    let written = [
        token(),
        Revocation {
            target: session,
            expires_at: later(1),
        },
        token(),
        token(),
    ];
    db.store.block(&written[..3], NOW).await.unwrap();
    db.store.block(&[], NOW).await.unwrap();
    db.store.block(&written[3..], NOW).await.unwrap();
    let read = db.store.blocked_after(0, 100).await.unwrap();
    assert_eq!(
        read.iter().map(|blocked| blocked.revocation).collect::<Vec<_>>(),
        written
    );
    assert!(read.is_sorted_by(|one, next| one.seq < next.seq));
    assert_eq!(db.store.blocked_after(0, 2).await.unwrap(), read[..2]);
    assert_eq!(db.store.blocked_after(read[1].seq, 2).await.unwrap(), read[2..]);
    assert!(db.store.blocked_after(read[3].seq, 2).await.unwrap().is_empty());
}

async fn a_revocation_is_seen_by_a_replica_that_polls_all_along(db: &Db) {
    let replica = db.replica().await;
    for n in 0..5 {
        assert_eq!(replica.blocked_after(0, 100).await.unwrap().len(), n);
        db.store.block(&[token()], NOW).await.unwrap();
    }
}

async fn a_number_is_not_given_twice(db: &Db) {
    db.store.block(&[token(), token()], NOW).await.unwrap();
    let last = db.store.blocked_after(0, 100).await.unwrap()[1].seq;
    db.run("DELETE FROM blocked_tokens").await;
    db.store.block(&[token()], NOW).await.unwrap();
    assert!(db.store.blocked_after(0, 100).await.unwrap()[0].seq > last);
}
