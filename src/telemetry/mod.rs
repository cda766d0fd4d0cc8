//! What is counted while questions are answered, without locks, and how it is printed.

pub mod answers;
pub mod connections;
pub mod durations;
pub mod exposition;
pub mod families;
pub mod legacy;
pub mod quic;
pub mod scopes;
pub mod transport;

use std::sync::{Arc, Mutex};

use crate::base::lock::locked;

use self::answers::{Counts, Part};
use self::connections::ConnectionCounts;
use self::legacy::LegacyCounts;
use self::quic::QuicCounts;
use self::scopes::ScopeSlots;
use self::transport::Transport;

/// Transports that are told apart.
const TRANSPORTS: usize = Transport::ALL.len();

/// Everything that is counted about questions.
#[derive(Debug)]
pub struct Telemetry {
    /// Of threads and tables that count alone.
    alone: Mutex<Vec<(Transport, Arc<Part>)>>,
    /// Of everybody else.
    together: [Counts; TRANSPORTS],
    connections: [Arc<ConnectionCounts>; TRANSPORTS],
    quic: Arc<QuicCounts>,
    legacy: Arc<LegacyCounts>,
    scopes: ScopeSlots,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            alone: Mutex::default(),
            together: Transport::ALL.map(|_| Counts::together()),
            connections: Transport::ALL.map(|_| Arc::default()),
            quic: Arc::default(),
            legacy: Arc::default(),
            scopes: ScopeSlots::default(),
        }
    }
}

/// The place of a transport among all of them.
fn place(transport: Transport) -> usize {
    let mut all = Transport::ALL.into_iter();
    all.position(|one| one == transport).unwrap_or(0)
}

impl Telemetry {
    /// Counts for one who counts alone: nobody else may add to them at the same time.
    pub fn alone(&self, transport: Transport) -> Counts {
        let (counts, part) = Counts::alone();
        locked(&self.alone).push((transport, part));
        counts
    }

    /// Counts that anybody may add to.
    pub fn together(&self, transport: Transport) -> Counts {
        let counts = self.together.get(place(transport));
        counts.cloned().unwrap_or_else(Counts::together)
    }

    /// Connections of a transport.
    pub fn connections(&self, transport: Transport) -> Arc<ConnectionCounts> {
        let counts = self.connections.get(place(transport));
        counts.cloned().unwrap_or_default()
    }

    /// What happens to connections of QUIC alone.
    pub fn quic(&self) -> Arc<QuicCounts> {
        Arc::clone(&self.quic)
    }

    /// Exchanges with legacy DNS.
    pub fn legacy(&self) -> Arc<LegacyCounts> {
        Arc::clone(&self.legacy)
    }

    /// Scopes whose questions are counted apart.
    pub const fn scopes(&self) -> &ScopeSlots {
        &self.scopes
    }

    /// What was counted for each transport, all parts together.
    pub fn sums(&self) -> Vec<(Transport, Part)> {
        let alone = locked(&self.alone).clone();
        let sum = |(transport, together): (Transport, &Counts)| {
            let sum = Part::default();
            sum.add_all(together.part());
            let own = alone.iter().filter(|(of, _)| *of == transport);
            own.for_each(|(_, part)| sum.add_all(part));
            (transport, sum)
        };
        let all = Transport::ALL.into_iter().zip(&self.together);
        all.map(sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::answers::{Account, Route};
    use super::*;

    #[test]
    fn parts_of_one_transport_are_summed_and_others_are_not() {
        let telemetry = Telemetry::default();
        let account = Account::of(Route::Zone, 3);
        telemetry.alone(Transport::Udp).made(account);
        telemetry.alone(Transport::Udp).kept(account);
        telemetry.together(Transport::Udp).made(account);
        telemetry.together(Transport::Tcp).made(account);
        let answered: Vec<u64> = telemetry
            .sums()
            .iter()
            .map(|(_, sum)| sum.answered(Route::Zone, 3))
            .collect();
        assert_eq!(answered, [3, 1, 0, 0]);
    }
}
