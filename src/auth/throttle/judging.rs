//! Judging a password that somebody wants to have: it takes milliseconds, may be asked for by anybody, and a weak one makes no
//! account that would be counted.

use super::{Throttle, address};
use crate::auth::AuthState;
use crate::auth::caller::Client;
use crate::auth::error::Failure;
use crate::id::{Email, UserId, UserName};
use crate::limiter::network;
use crate::password::{Password, Weakness};
use crate::time::monotonic;

/// How many are judged for each account that may be made from an address.
const TRIES: u32 = 10;

impl Throttle {
    /// Judges a password, unless too many were that came from there: of a user who has shown who they are, whom nobody else
    /// behind their address keeps from a new password, or of all others. Each gateway counts by itself. Who asks has a place
    /// ([`Self::enter`]).
    pub(in crate::auth) async fn judge(
        &self,
        state: &AuthState,
        client: &Client,
        user: Option<UserId>,
        password: Password,
        email: Option<Email>,
        name: Option<UserName>,
    ) -> Result<Result<(), Weakness>, Failure> {
        let from = address(client.ip);
        if let Some(quota) = state.config.throttle.signups_per_address {
            let may = self
                .0
                .judged
                .take(&(network(from), user), quota.times(TRIES), monotonic());
            may.map_err(|wait| self.refusal("judged", from, wait))?;
        }
        Ok(state.hasher.judge(password, email, name).await?)
    }
}
