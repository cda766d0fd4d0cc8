//! `Warrant`: the word of a parent scope for the block that recovers a child.
//!
//! It stands in the certificate of that block, where signatures of the child's anchors would be, and
//! is proven from the genesis of the parent on, which the child's own genesis names.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::limits::{LABEL_BYTES_MAX, SCOPE_DEPTH_MAX, WARRANT_BYTES_MAX};
use crate::governance::block::{Block, Body};
use crate::governance::certificate::Certificate;
use crate::governance::descriptor::Descriptor;
use crate::index::state::ScopeState;
use crate::index::trie::TrieView;
use crate::index::view::IndexView;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;

use super::make::{NoProof, scope, slots};
use super::{BadProof, ScopeProof};

/// What a parent scope says of a child, with its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warrant {
    label: Vec<u8>,
    scope: ScopeProof,
}

impl Warrant {
    /// What a scope that is held says of the child at a label, as bytes of a certificate.
    pub(in crate::index) fn make<V>(
        view: &V,
        parent: &ScopeState,
        label: &[u8],
    ) -> Result<Vec<u8>, NoProof<<V as IndexView>::Error>>
    where
        V: IndexView + TrieView<Failure = <V as IndexView>::Error>,
    {
        let labels = [label.to_vec()];
        let (slots, _) = slots(view, parent.no, &labels).map_err(NoProof::View)?;
        let warrant = Self {
            label: label.to_vec(),
            scope: scope(view, parent, slots)?,
        };
        let bytes = warrant.to_bytes();
        if bytes.len() > WARRANT_BYTES_MAX {
            return Err(NoProof::TooManyEpochs(parent.uid));
        }
        Ok(bytes)
    }
}

/// Checks that the parent scope confirmed a block, and announced it for as long as the scope asks.
/// `voters` is the descriptor in force before it, `next` the one that it puts in force.
pub(in crate::index) fn warranted(
    block: &Block,
    certificate: &Certificate,
    (voters, next): (&Descriptor, &Descriptor),
) -> Result<(), BadProof> {
    let wrong = || BadProof::Recovery {
        scope: block.scope.short(),
        height: block.height,
    };
    let warrant = certificate.warrant_of(block).ok_or_else(wrong)?;
    check(block, warrant, (voters, Some(next)), SCOPE_DEPTH_MAX)
}

/// The same within `depth` scopes: the parent may itself have been recovered, by its own parent.
pub(super) fn check(
    block: &Block,
    warrant: &[u8],
    (voters, next): (&Descriptor, Option<&Descriptor>),
    depth: u8,
) -> Result<(), BadProof> {
    let wrong = || BadProof::Recovery {
        scope: block.scope.short(),
        height: block.height,
    };
    // A block that recovers does nothing else.
    let next = next.ok_or_else(wrong)?;
    if block.body_root != Digest::of(&Body::of_recovery(next.clone())) {
        return Err(wrong());
    }
    let depth = depth.checked_sub(1).ok_or_else(wrong)?;
    let parent: ScopeUid = voters.parent.ok_or_else(wrong)?;
    let Warrant { label, scope } = Warrant::from_bytes(warrant).map_err(|_| wrong())?;
    scope.verify_lineage(&parent, depth)?;
    let (way, _) = scope.walk(&parent, std::slice::from_ref(&label))?;
    let is_its_edge = way.path == NamePath::empty().child(&label);
    let slot = way.slot.filter(|_| is_its_edge).ok_or_else(wrong)?;
    let said = slot.recovery.ok_or_else(wrong)?;
    let holds = slot.child() == Some(block.scope)
        && said.confirmed
        && (said.block, said.height, said.due) == (block.digest(), block.height, block.time)
        && said.was_public(voters);
    if holds { Ok(()) } else { Err(wrong()) }
}

impl Canonical for Warrant {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(&self.label);
        self.scope.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            label: input.bytes("label", LABEL_BYTES_MAX)?.to_vec(),
            scope: ScopeProof::decode(input)?,
        })
    }
}

impl Form for Warrant {
    const LABEL: &'static str = "kedge/warrant";
}
