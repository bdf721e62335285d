//! One MariaDB for users and sessions, and a Redis for revocations. Either may be hurt.

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::world::{Victim, World};
use crate::support::redis::Redis;

impl World {
    /// A Redis that keeps what it answered, beside the database.
    pub(super) async fn redis() -> Self {
        let redis = Redis::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"]).await;
        let mut world = Self::mariadb().await;
        world.name = "one MariaDB, and a Redis for revocations";
        world.toml = format!("url = {:?}", redis.url());
        world.victims.push(Box::new(Cache(Mutex::new(redis))));
        world
    }
}

/// Its turn to be hurt comes after its recovery: the lock is always free.
struct Cache(Mutex<Redis>);

impl Victim for Cache {
    fn serves(&self, _: usize) -> bool {
        true
    }

    fn freeze(&self) {
        self.0.try_lock().expect("one at a time").freeze();
    }

    fn thaw(&self) -> BoxFuture<'_, ()> {
        self.0.try_lock().expect("one at a time").thaw();
        Box::pin(std::future::ready(()))
    }

    fn kill(&self) {
        self.0.try_lock().expect("one at a time").kill();
    }

    fn revive(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.0.lock().await.start_again().await })
    }
}
