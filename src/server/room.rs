//! [`Room`]: how many connections there may be at once, which a reload may change.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Seats for connections, over all listeners and workers.
#[derive(Debug)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    size: Mutex<usize>,
    /// How many seats are taken away once their connections end.
    owed: AtomicUsize,
}

/// A connection's seat, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    permit: Option<OwnedSemaphorePermit>,
    room: Arc<Room>,
}

impl Room {
    pub(super) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(size)),
            size: Mutex::new(size),
            owed: AtomicUsize::new(0),
        })
    }

    /// Waits for a free seat.
    pub(super) async fn seat(self: &Arc<Self>) -> Option<Seat> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        permit.map(|permit| Seat {
            permit: Some(permit),
            room: Arc::clone(self),
        })
    }

    /// Makes it larger at once, or smaller as connections end: none is ended for it.
    pub(super) fn resize(&self, size: usize) {
        let mut current = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if size > *current {
            let more = size - *current;
            let owed = self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, |owed| {
                Some(owed.saturating_sub(more))
            });
            // The closure always gives a value.
            let (Ok(owed) | Err(owed)) = owed;
            self.free.add_permits(more.saturating_sub(owed));
        } else {
            let fewer = *current - size;
            let taken = self.free.forget_permits(fewer);
            self.owed.fetch_add(fewer - taken, Ordering::AcqRel);
        }
        *current = size;
    }

    /// Whether one of the seats that are to go can go now.
    fn pay(&self) -> bool {
        let paid = self
            .owed
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |owed| owed.checked_sub(1));
        paid.is_ok()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && self.room.pay()
        {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use proptest::prelude::*;

    fn take(room: &Arc<Room>) -> Option<Seat> {
        room.seat().now_or_never().flatten()
    }

    proptest! {
        #[test]
        fn there_are_never_more_new_seats_than_the_room_has_and_none_is_lost(
            steps in prop::collection::vec((0_u8..3, 0_usize..6), 0..40),
        ) {
            let (room, mut size) = (Room::new(3), 3);
            let mut taken = Vec::new();
            for (what, number) in steps {
                match what {
                    0 => {
                        let free = taken.len() < size;
                        let seat = take(&room);
                        prop_assert_eq!(seat.is_some(), free, "{} of {} taken", taken.len(), size);
                        taken.extend(seat);
                    }
                    1 => drop(taken.pop()),
                    _ => {
                        room.resize(number);
                        size = number;
                    }
                }
            }
            taken.clear();
            for _ in 0..size {
                taken.push(take(&room).expect("all seats are free again"));
            }
            prop_assert!(take(&room).is_none());
        }
    }
}
