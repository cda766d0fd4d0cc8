//! `Flights`: those who wait at the same time for the same thing share one exchange.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// One exchange and what it gave. The cell's first user leads; if it is dropped, a waiting one leads
/// in its place.
type Flight<L> = OnceCell<L>;

/// The exchanges under way, by what they are for.
#[derive(Debug)]
pub(super) struct Flights<Q, L> {
    under_way: Mutex<BTreeMap<Q, Boarded<L>>>,
}

#[derive(Debug)]
struct Boarded<L> {
    flight: Arc<Flight<L>>,
    seats: usize,
}

/// One who waits for a flight.
#[derive(Debug)]
pub(super) struct Seat<'a, Q: Ord + Clone, L> {
    flights: &'a Flights<Q, L>,
    question: &'a Q,
    flight: Arc<Flight<L>>,
}

impl<Q, L> Default for Flights<Q, L> {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
        }
    }
}

impl<Q: Ord + Clone, L> Flights<Q, L> {
    /// Takes a seat in the question's flight, or in a new one.
    pub(super) fn join<'a>(&'a self, question: &'a Q) -> Seat<'a, Q, L> {
        let mut under_way = self.lock();
        let flight = if let Some(boarded) = under_way.get_mut(question) {
            boarded.seats += 1;
            Arc::clone(&boarded.flight)
        } else {
            let flight = Arc::<Flight<L>>::default();
            let boarded = Boarded {
                flight: Arc::clone(&flight),
                seats: 1,
            };
            under_way.insert(question.clone(), boarded);
            flight
        };
        Seat {
            flights: self,
            question,
            flight,
        }
    }

    /// Whether an exchange for a question is under way.
    pub(super) fn has(&self, question: &Q) -> bool {
        self.lock().contains_key(question)
    }

    /// How many exchanges are under way.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Q, Boarded<L>>> {
        // The map is whole between any two statements, so a panic elsewhere leaves it usable.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q: Ord + Clone, L> Seat<'_, Q, L> {
    /// The flight, which leads to what is waited for.
    pub(super) fn flight(&self) -> &Flight<L> {
        &self.flight
    }

    /// Ends the flight for those who come later.
    pub(super) fn land(&self) {
        let mut under_way = self.flights.lock();
        let boarded = under_way.get(self.question);
        if boarded.is_some_and(|boarded| Arc::ptr_eq(&boarded.flight, &self.flight)) {
            under_way.remove(self.question);
        }
    }
}

impl<Q: Ord + Clone, L> Drop for Seat<'_, Q, L> {
    /// The last to leave a flight that never landed removes it.
    fn drop(&mut self) {
        let mut under_way = self.flights.lock();
        let Some(boarded) = under_way.get_mut(self.question) else {
            return;
        };
        if !Arc::ptr_eq(&boarded.flight, &self.flight) {
            return;
        }
        boarded.seats -= 1;
        if boarded.seats == 0 {
            under_way.remove(self.question);
        }
    }
}
