//! [`SignUp`]: an account that is about to be made.

use super::address;
use super::guess::{Outcome, account_here, quota};
use crate::auth::AuthState;
use crate::auth::caller::Client;
use crate::auth::error::Failure;
use crate::id::Email;
use crate::rules::throttle::Kind;
use crate::store::{Attempt, CounterId, Taken};

/// A sign-up that may be tried: it has been counted.
#[derive(Debug)]
pub(in crate::auth) struct SignUp {
    taken: Taken,
    here: Option<CounterId>,
}

impl SignUp {
    /// Counts a sign-up, or refuses it. Who asks has a place (`Throttle::enter`).
    pub(in crate::auth) async fn begin(state: &AuthState, email: &Email, client: &Client) -> Result<Self, Failure> {
        let from = address(client.ip);
        let config = &state.config.throttle;
        let counters = [
            quota(
                Kind::SignupAddress,
                CounterId::signup_address(from),
                config.signups_per_address,
            ),
            quota(
                Kind::SignupNetwork,
                CounterId::signup_network(from),
                config.signups_per_network,
            ),
        ];
        let attempt = Attempt {
            known: None,
            counters: counters.into_iter().flatten().collect(),
            crowded: state.throttle.is_crowded(state),
        };
        let taken = state.throttle.take(state, &attempt, from).await?;
        Ok(Self {
            taken,
            here: account_here(config, Some(email), from),
        })
    }

    /// Settles what was counted: a sign-up counts unless it failed for reasons of ours. The account is known to be used from
    /// this address from the beginning.
    pub(in crate::auth) async fn end(self, state: &AuthState, outcome: Outcome) {
        let taken = match outcome {
            Outcome::Right => &Taken::default(),
            Outcome::Wrong | Outcome::Unjudged => &self.taken,
        };
        state.throttle.settle(state, taken, self.here, outcome).await;
    }
}
