//! Proofs from what a node holds.

use crate::base::limits::{PROOF_EPOCHS_MAX, PROOF_TEXT_BYTES_MAX};
use crate::base::text_form::TextForm;
use crate::index::history::{last_of, next_descriptor};
use crate::index::place::{Apex, apex_of};
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::transition::RESERVED_LABELS;
use crate::index::trie::{TriePath, TrieView, slot_position};
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;

use super::way::Way;
use super::{Handover, Proof, ProvenSlot, ScopeProof};

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum NoProof<E: std::error::Error + 'static> {
    /// The name lies under no apex.
    #[error("{0} lies under no apex of this node")]
    NotGoverned(Name),
    /// The root scope is held by other nodes.
    #[error("the root scope {} is not held by this node", .0.short())]
    NotHeld(ScopeUid),
    /// The server answers for the name itself; the index holds nothing there.
    #[error("{0} is answered by the server itself and held by no scope")]
    Reserved(Name),
    /// Nobody would read so much.
    #[error("the proof of {0} would be longer than {PROOF_TEXT_BYTES_MAX} bytes")]
    TooLarge(Name),
    /// The scope changed hands too often for one proof.
    #[error("scope {} has had more than {PROOF_EPOCHS_MAX} descriptors", .0.short())]
    TooManyEpochs(ScopeUid),
    /// A block that must be there is not.
    #[error("the lineage of scope {} is incomplete; run `kedge verify`", .0.short())]
    Incomplete(ScopeUid),
    /// The index could not be read.
    #[error("the index could not be read")]
    View(#[source] E),
}

type Made<T, V> = Result<T, NoProof<<V as IndexView>::Error>>;

/// Proves what the latest state says of a name. A name below a scope that is not held here is
/// proven up to its delegation.
pub fn prove<V>(view: &V, apexes: &[Apex], name: &Name) -> Made<Proof, V>
where
    V: IndexView + TrieView<Failure = <V as IndexView>::Error>,
{
    let apex = apex_of(apexes, name).ok_or_else(|| NoProof::NotGoverned(name.clone()))?;
    prove_below(view, apex, name)
}

/// The same from any scope on: `top` is the scope that is trusted, and its name.
pub fn prove_below<V>(view: &V, top: &Apex, name: &Name) -> Made<Proof, V>
where
    V: IndexView + TrieView<Failure = <V as IndexView>::Error>,
{
    if !name.is_within(&top.name) {
        return Err(NoProof::NotGoverned(name.clone()));
    }
    let path = NamePath::between(name, &top.name).unwrap_or_default();
    let labels: Vec<Vec<u8>> = path.labels().collect();
    let is_reserved = |label: &Vec<u8>| RESERVED_LABELS.contains(&label.as_slice());
    if labels.iter().any(is_reserved) {
        return Err(NoProof::Reserved(name.clone()));
    }
    let mut rest = labels.as_slice();
    let mut scopes = Vec::new();
    let mut next = Some(top.root);
    while let Some(uid) = next.take() {
        let Some(state) = view.scope_of(&uid).map_err(NoProof::View)? else {
            if scopes.is_empty() {
                return Err(NoProof::NotHeld(uid));
            }
            break;
        };
        let (slots, child) = slots(view, state.no, rest).map_err(NoProof::View)?;
        scopes.push(scope(view, &state, slots)?);
        // A delegation stands one label below its scope.
        rest = rest.get(1..).unwrap_or_default();
        next = child;
    }
    let proof = Proof {
        name: name.clone(),
        scopes,
    };
    if proof.to_text().len() > PROOF_TEXT_BYTES_MAX {
        return Err(NoProof::TooLarge(name.clone()));
    }
    Ok(proof)
}

/// The slots on the way down a scope, and the child scope that it ends at.
pub(super) fn slots<V>(
    view: &V,
    no: ScopeNo,
    labels: &[Vec<u8>],
) -> Result<(Vec<ProvenSlot>, Option<ScopeUid>), <V as IndexView>::Error>
where
    V: IndexView + TrieView<Failure = <V as IndexView>::Error>,
{
    let mut slots = Vec::new();
    let way = Way::follow(labels, |path| {
        let slot = view.slot(no, path)?;
        slots.push(ProvenSlot {
            slot: slot.clone(),
            path: TriePath::to(view, no, &slot_position(path))?,
        });
        Ok(slot)
    })?;
    Ok((slots, way.child()))
}

pub(super) fn scope<V: IndexView>(
    view: &V,
    state: &ScopeState,
    slots: Vec<ProvenSlot>,
) -> Made<ScopeProof, V> {
    let incomplete = || NoProof::Incomplete(state.uid);
    let genesis = view.genesis(state.no).map_err(NoProof::View)?;
    let head = view.link(state.no, state.height).map_err(NoProof::View)?;
    let head = head.ok_or_else(incomplete)?;
    let is_handover = head.block.next_descriptor != head.block.descriptor;
    let next = is_handover.then(|| next_descriptor(&head).ok_or_else(incomplete));
    let mut epochs = Vec::new();
    for epoch in 0..head.block.epoch {
        if epochs.len() >= PROOF_EPOCHS_MAX {
            return Err(NoProof::TooManyEpochs(state.uid));
        }
        let link = last_of(view, state, epoch).map_err(NoProof::View)?;
        let link = link.ok_or_else(incomplete)?;
        let next = next_descriptor(&link).ok_or_else(incomplete)?;
        let by = link.into_certified();
        epochs.push(Handover { by, next });
    }
    Ok(ScopeProof {
        genesis: genesis.ok_or_else(incomplete)?,
        epochs,
        head: head.into_certified(),
        next: next.transpose()?,
        slots,
    })
}
