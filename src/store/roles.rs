//! A user's roles: how they are kept, and how they change.

use super::audit::{Detail, Event, recorded};
use super::revocation::sessions_of;
use super::sql::values;
use super::{Revocation, Store, StoreError, User};
use crate::id::{Role, UserId};
use crate::time::Timestamp;

/// What changes about a user's roles, in this order.
#[derive(Clone, Debug, Default)]
pub struct RolesChange {
    /// Whether all are taken away first.
    pub clear: bool,
    /// Which are taken away.
    pub remove: Vec<Role>,
    /// Which are given.
    pub add: Vec<Role>,
}

impl RolesChange {
    /// Whether it is none, whatever the roles are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.clear && self.remove.is_empty() && self.add.is_empty()
    }

    /// The roles after it: sorted, each once.
    #[must_use]
    pub fn apply(&self, roles: &[Role]) -> Vec<Role> {
        let kept = roles.iter().filter(|role| !self.clear && !self.remove.contains(role));
        sorted(kept.chain(&self.add))
    }
}

/// What became of a change of roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolesChanged {
    /// The roles of the user by now: sorted, each once.
    pub roles: Vec<Role>,
    /// What was revoked with it; `None`: the roles were these already, and nothing was written.
    pub revoked: Option<Vec<Revocation>>,
}

/// Sorted, each once.
pub(super) fn sorted<'a>(roles: impl IntoIterator<Item = &'a Role>) -> Vec<Role> {
    let mut roles: Vec<Role> = roles.into_iter().cloned().collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}

/// Sorted, each once. No role holds a comma.
pub(super) fn write_roles(roles: &[Role]) -> String {
    let roles = sorted(roles);
    let names: Vec<&str> = roles.iter().map(Role::as_str).collect();
    names.join(",")
}

pub(super) fn read_roles(text: &str) -> Result<Vec<Role>, StoreError> {
    let names = text.split(',').filter(|name| !name.is_empty());
    names
        .map(|name| name.parse().map_err(|_| StoreError::Corrupt("roles")))
        .collect()
}

impl Store {
    /// Changes the roles that the user has at that moment, so that of two changes at once neither is lost. Sessions live on,
    /// but their tokens so far, which say the old roles, are revoked until `revoke_until`. `None`: no such user.
    pub async fn change_roles(
        &self,
        id: UserId,
        change: &RolesChange,
        revoke_until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<RolesChanged>, StoreError> {
        const UPDATE: &str = "UPDATE users SET roles = ?, updated_at = ? WHERE id = ?";
        let done = recorded!(self, |connection, entry| {
            let Some(user) = User::lock(connection, id).await? else {
                return Ok(None);
            };
            let roles = change.apply(&user.roles);
            if roles == user.roles {
                return Ok(Some(RolesChanged { roles, revoked: None }));
            }
            let text = write_roles(&roles);
            connection.execute(UPDATE, values![text.as_str(), now, &id]).await?;
            let sessions = sessions_of(id, None, revoke_until, now);
            let revoked = Some(sessions.revoke_so_far(connection, &self.journal).await?);
            let (before, after) = (user.roles, roles.clone());
            let told = |event: Event| {
                let event = event.about(id).with(Detail::FormerRoles(before));
                event.with(Detail::Roles(after))
            };
            entry.write(connection, told).await?;
            Ok(Some(RolesChanged { roles, revoked }))
        });
        Ok(done?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_cleared_then_removed_then_added() {
        let roles = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<Role>>();
        let now = roles(&["a", "b"]);
        let changed = |clear, remove: &[&str], add: &[&str]| {
            let (remove, add) = (roles(remove), roles(add));
            RolesChange { clear, remove, add }.apply(&now)
        };
        assert_eq!(changed(false, &["b"], &["c", "a"]), roles(&["a", "c"]));
        assert_eq!(changed(true, &[], &["z", "c"]), roles(&["c", "z"]));
        assert_eq!(changed(false, &[], &[]), now);
    }
}
