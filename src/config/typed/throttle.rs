use std::time::Duration;

use crate::rules::gcra::Quota;
use crate::rules::throttle::Delays;

/// `[throttle]`: how guesses are slowed down. `None` is a rule that is off.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttle {
    /// Wrong passwords for one account from one place (default: 5 free, then 1 s, doubling to 15 min, forgotten after 1 h).
    pub delays: Option<Delays>,
    /// How long after a login its address keeps an allowance of its own for that account (default 30 d; 0 to 365 d).
    pub known_for: Duration,
    /// Wrong passwords for one account from all other places (default 100 an hour).
    pub per_account: Option<Quota>,
    /// Wrong passwords from one address (default 100 an hour).
    pub per_address: Option<Quota>,
    /// Wrong passwords from one network (default 500 an hour).
    pub per_network: Option<Quota>,
    /// Sign-ups from one address (default 50 an hour).
    pub signups_per_address: Option<Quota>,
    /// Sign-ups from one network (default 250 an hour).
    pub signups_per_network: Option<Quota>,
    /// Refreshes of one session (default 60 a minute).
    pub refreshes_per_session: Option<Quota>,
    /// Different refresh tokens that are no good from one address (default 1000 an hour).
    pub bad_refreshes_per_address: Option<Quota>,
    /// Wrong secrets for one client from one address (default 60 an hour).
    pub bad_secrets_per_client: Option<Quota>,
    /// How many rows the table of attempts may have, about, without those of known addresses (default 1,000,000; 16 to 100,000,000).
    pub capacity: u64,
}
