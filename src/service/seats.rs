//! `Seats`: how many connections each client has to a listener.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::subscriber::subscriber_of;

/// The connections of each client to one listener.
#[derive(Debug, Clone)]
pub struct Seats {
    taken: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    per_client_max: usize,
}

/// One connection's place among those of its client; given back on drop.
#[derive(Debug)]
pub struct Seat {
    seats: Seats,
    client: IpAddr,
}

impl Seats {
    /// Nobody has a seat yet, and no client may have more than so many.
    pub fn new(per_client_max: usize) -> Self {
        Self {
            taken: Arc::default(),
            per_client_max,
        }
    }

    /// A seat for a connection; none if its client has all that one may have.
    pub fn take(&self, address: IpAddr) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let client = subscriber_of(address);
        let count = taken.entry(client).or_insert(0);
        if *count >= self.per_client_max {
            return None;
        }
        *count += 1;
        let seats = self.clone();
        Some(Seat { seats, client })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let taken = self.seats.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_is_given_back_is_free_and_others_do_not_count() {
        let seats = Seats::new(2);
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        let held = [seats.take(one).unwrap(), seats.take(one).unwrap()];
        assert!(seats.take(one).is_none());
        assert!(seats.take(other).is_some());
        drop(held);
        assert!(seats.take(one).is_some());
        assert!(seats.taken.lock().unwrap().is_empty());
        let [first, second, third] =
            ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(|text| text.parse().unwrap());
        let _held = [seats.take(first).unwrap(), seats.take(second).unwrap()];
        assert!(seats.take(third).is_none(), "one subscriber");
    }
}
