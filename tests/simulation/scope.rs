//! The scope of a cluster: real anchors, a real index, real proposals.

use kedge::base::keys::SecretKey;
use kedge::base::time::Timestamp;
use kedge::governance::anchor::{Anchor, AnchorGroup, AnchorId};
use kedge::governance::descriptor::Descriptor;
use kedge::governance::policy::{Policy, Quorum};
use kedge::governance::proposal::Proposal;
use kedge::index::admission::Candidate;
use kedge::index::lineage::{found, genesis_link};
use kedge::index::memory::MemoryIndex;
use kedge::index::view::IndexTxn;

use crate::world::{candidate, key, register};

/// A scope that was founded and has one apex.
pub(crate) struct Scope {
    pub(crate) descriptor: Descriptor,
    /// By seat.
    pub(crate) keys: Vec<SecretKey>,
    /// By seat.
    pub(crate) anchors: Vec<AnchorId>,
    pub(crate) index: MemoryIndex,
    pub(crate) founded: Timestamp,
}

impl Scope {
    pub(crate) fn new(weights: &[u32], quorum: Quorum) -> Self {
        let keys: Vec<SecretKey> = (1..).take(weights.len()).map(key).collect();
        let anchors = keys.iter().zip(weights).map(|(key, weight)| Anchor {
            weight: *weight,
            ..Anchor::new(key.public(), "")
        });
        let group = AnchorGroup::new(anchors.collect()).unwrap();
        let policy = Policy {
            quorum,
            cap_weight: false,
            ..Policy::default()
        };
        let by_seat = |anchor: &Anchor| {
            let of = |key: &&SecretKey| key.public() == anchor.vote_key;
            keys.iter().find(of).unwrap().clone()
        };
        let keys: Vec<SecretKey> = group.anchors().iter().map(by_seat).collect();
        let anchors = group.anchors().iter().map(|anchor| anchor.id).collect();
        let descriptor = Descriptor::genesis(None, [3; 16], group, policy);
        let founded = Timestamp::from_millis(1_700_000_000_000);
        let link = genesis_link(&descriptor, &keys, founded).unwrap().unwrap();
        let mut index = MemoryIndex::new();
        found(&mut index, &descriptor, None, &link).unwrap();
        let apex = "mesh.internal.".parse().unwrap();
        let Ok(()) = index.put_apex(&apex, &descriptor.scope_uid());
        Self {
            descriptor,
            keys,
            anchors,
            index,
            founded,
        }
    }
}

/// A change that somebody wants: one more name.
pub(crate) fn submission(scope: &Scope, number: u64, author: &SecretKey) -> Candidate {
    let ops = vec![register(&format!("n{number}"), &["A 60 10.0.0.1"])];
    let proposal = Proposal {
        scope: scope.descriptor.scope_uid(),
        class: Proposal::class_of(&ops),
        ops,
        preconditions: Vec::new(),
        author: author.public(),
        nonce: number,
        made: scope.founded,
        not_after: scope.founded.plus_millis(86_400_000),
        note: String::new(),
    };
    candidate(proposal, author)
}
