//! `Flights`: equal questions that wait at the same time share one exchange.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::resolution::legacy::{LegacyFailure, LegacyQuestion};

use super::CacheAnswer;

/// What an exchange gave to all who waited for it.
pub(super) type Landed = Result<Arc<CacheAnswer>, LegacyFailure>;
/// One exchange. The cell's first user leads; if it is dropped, a waiting one leads in its place.
type Flight = OnceCell<Landed>;

/// The exchanges under way.
#[derive(Debug, Default)]
pub(super) struct Flights {
    under_way: Mutex<BTreeMap<LegacyQuestion, Boarded>>,
}

#[derive(Debug)]
struct Boarded {
    flight: Arc<Flight>,
    seats: usize,
}

/// One who waits for a flight.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    flights: &'a Flights,
    question: &'a LegacyQuestion,
    flight: Arc<Flight>,
}

impl Flights {
    /// Takes a seat in the question's flight, or in a new one.
    pub(super) fn join<'a>(&'a self, question: &'a LegacyQuestion) -> Seat<'a> {
        let mut under_way = self.lock();
        let flight = if let Some(boarded) = under_way.get_mut(question) {
            boarded.seats += 1;
            Arc::clone(&boarded.flight)
        } else {
            let flight = Arc::<Flight>::default();
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

    /// How many exchanges are under way.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LegacyQuestion, Boarded>> {
        // The map is whole between any two statements, so a panic elsewhere leaves it usable.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat<'_> {
    pub(super) fn flight(&self) -> &Flight {
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

impl Drop for Seat<'_> {
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
