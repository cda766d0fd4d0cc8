//! A scope that its parent recovers, step by step.

use super::{Anchor, AnchorGroup, Descriptor, IndexView, Op, Refusal, ScopeNo, SecretKey};
use super::{Link, World};

use kedge::governance::recovery::RecoveryOffer;
use kedge::index::memory::MemoryIndex;
use kedge::index::recovery::{confirmed_link, draft_recovery};
use kedge::index::state::ScopeState;

/// A scope and the one that delegates it at a label.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    pub parent: ScopeNo,
    pub child: ScopeNo,
    pub label: &'static str,
}

impl Edge {
    pub fn state(&self, index: &MemoryIndex) -> ScopeState {
        index.scope(self.child).unwrap().unwrap()
    }

    /// The descriptor by which keys take over.
    pub fn next(&self, index: &MemoryIndex, keys: &[SecretKey]) -> Descriptor {
        let state = self.state(index);
        let anchors = keys.iter().map(|key| Anchor::new(key.public(), "us"));
        Descriptor {
            scope: Some(state.uid),
            epoch: state.descriptor.epoch + 1,
            anchors: AnchorGroup::new(anchors.collect()).unwrap(),
            ..state.descriptor
        }
    }

    /// The block by which keys take over some seconds from now.
    pub fn offer(
        &self,
        world: &World,
        index: &MemoryIndex,
        keys: &[SecretKey],
        after_secs: u64,
    ) -> RecoveryOffer {
        let next = self.next(index, keys);
        let due = world.present().plus_millis(after_secs * 1_000);
        // What drafting writes is given up.
        let block = draft_recovery(&mut index.clone(), self.child, &next, due).unwrap();
        let seats = next.accept_seats(keys).unwrap();
        RecoveryOffer::new(block, next, seats).unwrap()
    }

    /// The parent's word that a recovery will be in force.
    pub fn announced(&self, delay_secs: u64, offer: &RecoveryOffer) -> Op {
        Op::Recover {
            label: self.label.as_bytes().to_vec(),
            delay_secs,
            offer: Box::new(offer.clone()),
        }
    }

    pub fn confirm(&self, world: &mut World, index: &mut MemoryIndex) -> Result<(), Refusal> {
        let label = self.label.as_bytes().to_vec();
        let op = Op::Confirm { label };
        world.seal(index, self.parent, vec![op]).map(|_| ())
    }

    /// Has the parent say everything that it takes. Gives the child's block, which is not added.
    pub fn recovered(
        &self,
        world: &mut World,
        index: &mut MemoryIndex,
        keys: &[SecretKey],
    ) -> Link {
        let delay = self.state(index).descriptor.recovery_delay_secs;
        let offer = self.offer(world, index, keys, delay + 60);
        let announced = self.announced(delay, &offer);
        world.seal(index, self.parent, vec![announced]).unwrap();
        world.wait(delay + 60);
        self.confirm(world, index).unwrap();
        confirmed_link(index, &self.state(index)).unwrap().unwrap()
    }
}
