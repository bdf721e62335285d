//! [`Budget`]: how many frames a client may send that cost the gateway work and ask for nothing.

use tokio::time::Instant;

/// What a client that has been quiet may send at once.
const CAPACITY: u32 = 1000;
/// What comes back each second.
const PER_SECOND: u32 = 100;

/// What is left for a client to spend. It fills up with time, and with the answers that the client gets: whoever receives
/// much has windows to update and may cancel some of it.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    filled: Instant,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            left: CAPACITY,
            filled: Instant::now(),
        }
    }

    /// Spends this much; whether it was there. The clock is only asked when it was not.
    pub(super) fn spend(&mut self, cost: u32) -> bool {
        if self.left < cost {
            let millis = u64::try_from(self.filled.elapsed().as_millis()).unwrap_or(u64::MAX);
            let back = millis.saturating_mul(u64::from(PER_SECOND)) / 1000;
            if back > 0 {
                self.filled = Instant::now();
                self.earn(u32::try_from(back).unwrap_or(CAPACITY));
            }
        }
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// Gives this much back.
    pub(super) fn earn(&mut self, amount: u32) {
        self.left = self.left.saturating_add(amount).min(CAPACITY);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spend_all(budget: &mut Budget) -> u32 {
        (0..1_000_000)
            .take_while(|_| budget.spend(1))
            .count()
            .try_into()
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_spent_comes_back_with_time_up_to_the_capacity() {
        let mut budget = Budget::new();
        assert_eq!(spend_all(&mut budget), CAPACITY);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(spend_all(&mut budget), 2 * PER_SECOND);
        tokio::time::advance(Duration::from_secs(86_400)).await;
        assert_eq!(spend_all(&mut budget), CAPACITY);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_earned_can_be_spent() {
        let mut budget = Budget::new();
        spend_all(&mut budget);
        budget.earn(3);
        assert_eq!(spend_all(&mut budget), 3);
        assert!(!budget.spend(1));
    }
}
