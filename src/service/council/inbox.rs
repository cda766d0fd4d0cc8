//! `Inbox`: what waits for the chair. Work of this node never waits behind what peers say, and is
//! never dropped; peers have their turns among each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::index::state::ScopeNo;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::Message;

/// Work for the chair.
#[derive(Debug)]
pub(super) enum Job {
    /// Of this node.
    Own(Own),
    /// A peer said something about a height.
    Heard(Heard),
    /// The node stops.
    Over,
}

/// Work of this node. The same one waits once, so that there is never more of it than there are
/// scopes, peers and proposals that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Own {
    /// A proposal waits in a scope, or something came to it here.
    Laid(ScopeNo, Digest),
    /// Something came to what waits in a scope, from a peer.
    Convene(ScopeUid),
    /// A peer can be told what it missed.
    Connected(PublicKey),
    /// A peer wants to hear again what was said of the open height of a scope.
    Recall(PublicKey, ScopeUid),
    /// A scope has new blocks.
    WentOn(ScopeNo),
    /// Any scope may have new blocks.
    LookAgain,
}

/// What a peer said about a height, with its place among what the peer may have waiting.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) from: PublicKey,
    pub(super) scope: ScopeUid,
    pub(super) message: Box<Message>,
    pub(super) room: OwnedSemaphorePermit,
}

/// Jobs between those that give them and the chair.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    own: VecDeque<Own>,
    /// The same, to find what waits already.
    known: BTreeSet<Own>,
    heard: BTreeMap<PublicKey, VecDeque<Heard>>,
    /// The peer that had its turn last.
    turn: Option<PublicKey>,
    /// The last job was this node's own: the next one is a peer's, if there is any.
    own_was_last: bool,
    over: bool,
}

impl Inbox {
    pub(super) fn put(&self, job: Job) {
        let mut waiting = self.locked();
        match job {
            Job::Own(own) => {
                if waiting.known.insert(own) {
                    waiting.own.push_back(own);
                }
            }
            Job::Heard(heard) => waiting
                .heard
                .entry(heard.from)
                .or_default()
                .push_back(heard),
            Job::Over => waiting.over = true,
        }
        drop(waiting);
        self.rung.notify_one();
    }

    /// The next job; none if none comes in time.
    pub(super) fn take(&self, patience: Duration) -> Option<Job> {
        let waiting = self.locked();
        let waited = self
            .rung
            .wait_timeout_while(waiting, patience, |waiting| waiting.is_empty());
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.next()
    }

    fn locked(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.heard.is_empty() && !self.over
    }

    fn next(&mut self) -> Option<Job> {
        if self.over {
            return Some(Job::Over);
        }
        let job = if self.own_was_last {
            self.next_heard().or_else(|| self.next_own())
        } else {
            self.next_own().or_else(|| self.next_heard())
        };
        self.own_was_last = matches!(job, Some(Job::Own(_)));
        job
    }

    fn next_own(&mut self) -> Option<Job> {
        let own = self.own.pop_front()?;
        self.known.remove(&own);
        Some(Job::Own(own))
    }

    fn next_heard(&mut self) -> Option<Job> {
        let after = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.heard.range((after, Bound::Unbounded)).next();
        let (peer, _) = next.or_else(|| self.heard.first_key_value())?;
        let peer = *peer;
        let lane = self.heard.get_mut(&peer)?;
        let heard = lane.pop_front();
        if lane.is_empty() {
            self.heard.remove(&peer);
        }
        self.turn = Some(peer);
        heard.map(Job::Heard)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::base::keys::SecretKey;
    use crate::replication::ordering::PrevoteCertificate;

    fn heard(seed: u8, height: u64) -> Job {
        let message = Message::Prevotes(PrevoteCertificate {
            height,
            round: 0,
            block: Digest::ZERO,
            signatures: Vec::new(),
        });
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Job::Heard(Heard {
            from: SecretKey::from_seed(&[seed; 32]).public(),
            scope: ScopeUid::new(Digest::ZERO),
            message: Box::new(message),
            room,
        })
    }

    fn height(job: Option<Job>) -> Option<u64> {
        match job {
            Some(Job::Heard(heard)) => Some(heard.message.height()),
            _ => None,
        }
    }

    #[test]
    fn work_of_this_node_waits_behind_one_word_of_peers_at_most() {
        let inbox = Inbox::default();
        (0..100).for_each(|height| inbox.put(heard(1, height)));
        let own = [Own::WentOn(ScopeNo(7)), Own::LookAgain, Own::LookAgain];
        for own in own {
            inbox.put(Job::Own(own));
        }
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.push(match inbox.take(Duration::ZERO) {
                Some(Job::Own(own)) => Some(own),
                _ => None,
            });
        }
        let expected = [Some(own[0]), None, Some(Own::LookAgain), None];
        assert_eq!(taken, expected, "the same work waits once");
        inbox.put(Job::Over);
        assert!(matches!(inbox.take(Duration::ZERO), Some(Job::Over)));
    }

    #[test]
    fn a_peer_that_floods_waits_for_those_that_do_not() {
        let inbox = Inbox::default();
        (0..10).for_each(|height| inbox.put(heard(1, height)));
        inbox.put(heard(2, 77));
        inbox.put(heard(3, 78));
        let first: Vec<_> = (0..4).map(|_| height(inbox.take(Duration::ZERO))).collect();
        assert!(
            first.contains(&Some(77)) && first.contains(&Some(78)),
            "{first:?}"
        );
        let rest = std::iter::from_fn(|| height(inbox.take(Duration::ZERO)));
        assert_eq!(rest.count(), 8);
    }
}
