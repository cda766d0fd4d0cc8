//! `Slots`: room for pulls, shared among the peers that they begin with, so that a peer that answers
//! slowly or lies holds up its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::base::keys::PublicKey;

/// Pulls at the same time: each waits for one peer and has one batch of blocks in memory.
const PULLS_MAX: usize = 16;
/// Pulls at the same time that begin with one peer: a node answers four requests for blocks at once.
const PULLS_PER_PEER_MAX: usize = 4;

/// Room for pulls.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    running: BTreeMap<PublicKey, usize>,
    waiting: BTreeMap<PublicKey, VecDeque<oneshot::Sender<Slot>>>,
}

/// The room of one pull; given back on drop.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    peer: PublicKey,
}

impl Slots {
    /// Waits for room for a pull that begins with a peer.
    pub(super) async fn take(self: &Arc<Self>, peer: PublicKey) -> Option<Slot> {
        let (sender, granted) = oneshot::channel();
        self.with(|taken| taken.waiting.entry(peer).or_default().push_back(sender));
        self.grant();
        granted.await.ok()
    }

    /// Gives what is free to whoever waits, first to those whose peers have the fewest.
    fn grant(self: &Arc<Self>) {
        while let Some((peer, sender)) = self.with(Taken::next) {
            let slots = Arc::clone(self);
            // Who waits no more gives it back on the spot.
            drop(sender.send(Slot { slots, peer }));
        }
    }

    fn with<R>(&self, work: impl FnOnce(&mut Taken) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Taken {
    fn next(&mut self) -> Option<(PublicKey, oneshot::Sender<Slot>)> {
        if self.count >= PULLS_MAX {
            return None;
        }
        self.waiting.retain(|_, waiting| {
            waiting.retain(|sender| !sender.is_closed());
            !waiting.is_empty()
        });
        let running = |peer: &PublicKey| self.running.get(peer).copied().unwrap_or(0);
        let peers = self.waiting.keys();
        let free = peers.filter(|peer| running(peer) < PULLS_PER_PEER_MAX);
        let peer = *free.min_by_key(|peer| running(peer))?;
        let sender = self.waiting.get_mut(&peer)?.pop_front()?;
        self.count += 1;
        *self.running.entry(peer).or_default() += 1;
        Some((peer, sender))
    }

    fn give_back(&mut self, peer: &PublicKey) {
        self.count = self.count.saturating_sub(1);
        if let Some(running) = self.running.get_mut(peer) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.running.remove(peer);
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.with(|taken| taken.give_back(&self.peer));
        self.slots.grant();
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::base::keys::SecretKey;

    type Wait = std::pin::Pin<Box<dyn Future<Output = Option<Slot>>>>;

    fn wait(slots: &Arc<Slots>, seed: u8) -> Wait {
        let (slots, peer) = (
            Arc::clone(slots),
            SecretKey::from_seed(&[seed; 32]).public(),
        );
        let mut wait: Wait = Box::pin(async move { slots.take(peer).await });
        // It stands in the queue from now on.
        assert!(poll(&mut wait).is_none());
        wait
    }

    fn poll(wait: &mut Wait) -> Option<Slot> {
        match wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slot) => slot,
            Poll::Pending => None,
        }
    }

    fn begun(slots: &Arc<Slots>, seed: u8) -> Option<Slot> {
        let (slots, peer) = (
            Arc::clone(slots),
            SecretKey::from_seed(&[seed; 32]).public(),
        );
        let mut wait: Wait = Box::pin(async move { slots.take(peer).await });
        poll(&mut wait)
    }

    #[test]
    fn one_peer_never_has_all_slots() {
        let slots = Arc::<Slots>::default();
        let liar: Vec<Slot> = (0..PULLS_PER_PEER_MAX)
            .filter_map(|_| begun(&slots, 1))
            .collect();
        assert_eq!(liar.len(), PULLS_PER_PEER_MAX);
        assert!(begun(&slots, 1).is_none());
        assert!(begun(&slots, 2).is_some());
        drop(liar);
        assert!(begun(&slots, 1).is_some());
    }

    #[test]
    fn what_becomes_free_goes_to_whose_peer_has_the_fewest() {
        let slots = Arc::<Slots>::default();
        let mut liars: Vec<Slot> = (1..=4)
            .flat_map(|seed| [seed; PULLS_PER_PEER_MAX])
            .filter_map(|seed| begun(&slots, seed))
            .collect();
        assert_eq!(liars.len(), PULLS_MAX);
        let mut more = wait(&slots, 1);
        let gone = wait(&slots, 9);
        let mut honest = wait(&slots, 5);
        drop(gone);
        drop(liars.remove(0));
        assert!(poll(&mut more).is_none());
        let held = poll(&mut honest);
        assert!(held.is_some());
        drop(held);
        assert!(poll(&mut more).is_some());
    }
}
