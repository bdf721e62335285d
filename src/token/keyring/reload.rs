//! From the rows in the store to the keys that are held.

use std::sync::Arc;

use super::{Held, Keyring};
use crate::store::{Store, StoredKey};
use crate::time::Timestamp;
use crate::token::key::Key;
use crate::token::keys::{is_retired, open};
use crate::token::{KeyError, KeySet, MasterKey, Tokens};

impl Keyring {
    /// Takes the keys in that are in the store, and gives their rows. One that does not open is an error once all others
    /// were taken in; where it is held already, it stays.
    pub(super) async fn reload(
        &self,
        store: &Store,
        tokens: &Tokens,
        now: Timestamp,
    ) -> Result<Vec<StoredKey>, KeyError> {
        let rows = store.keys().await?;
        let mut held = self.held.lock().await;
        let in_use = rows.iter().filter(|row| !is_retired(row, now));
        let in_use: Vec<&StoredKey> = in_use.filter(|row| !tokens.is_revoked(&row.kid)).collect();
        let mut failed = held.take_in(&in_use, &tokens.keys.load());
        // The file may have been replaced since it was read.
        if failed.is_some()
            && let Ok(master) = MasterKey::load(&self.path)
        {
            let before = std::mem::replace(&mut held.master, master);
            failed = held.take_in(&in_use, &tokens.keys.load());
            if failed.is_some() {
                held.master = before;
            } else {
                tracing::info!(path = %self.path.display(), "the master key was read again");
            }
        }
        let keys: Vec<Arc<Key>> = held.keys.iter().map(|(_, key)| Arc::clone(key)).collect();
        if !tokens.keys.load().is_made_of(&keys) {
            let kids: Vec<&str> = keys.iter().filter_map(|key| Some(key.kid()?.as_str())).collect();
            tracing::info!(?kids, "the signing keys changed");
            tokens.replace_keys(&KeySet::of(keys));
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(rows),
        }
    }
}

impl Held {
    /// Holds what these rows say; the first that does not open is told. A row that has not changed is not opened again.
    fn take_in(&mut self, rows: &[&StoredKey], current: &KeySet) -> Option<KeyError> {
        let mut failed = None;
        let mut keys = Vec::with_capacity(rows.len());
        for &row in rows {
            let before = self.keys.iter().find(|(before, _)| before.kid == row.kid);
            if let Some((_, key)) = before.filter(|(before, _)| before == row) {
                keys.push((row.clone(), Arc::clone(key)));
                continue;
            }
            match open(row, &self.master) {
                Ok(key) => {
                    // The very key that verified what is remembered, if it is the same.
                    let same = current.iter().find(|held| held.is_same(&key));
                    let key = same.map_or_else(|| Arc::new(key), Arc::clone);
                    keys.push((row.clone(), key));
                }
                Err(error) => {
                    failed = failed.or(Some(error));
                    let held = current.find(Some(row.kid.as_str()));
                    // By the row's times, and with what it was opened from, so that it is tried again.
                    let times = (row.not_before, row.retires_at);
                    keys.extend(held.filter(|held| held.algorithm() == row.algorithm).map(|held| {
                        let sealed = before
                            .map(|(before, _)| before.private_sealed.clone())
                            .unwrap_or_default();
                        let kept = StoredKey {
                            private_sealed: sealed,
                            ..row.clone()
                        };
                        let moved = (**held).clone().within(times.0, times.1);
                        let key = if held.is_same(&moved) {
                            Arc::clone(held)
                        } else {
                            Arc::new(moved)
                        };
                        (kept, key)
                    }));
                }
            }
        }
        self.keys = keys;
        failed
    }
}
