//! The block by which other anchors take over a scope whose own are lost: drafted before the parent
//! scope is asked, added once the parent's word for it can be shown.

use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::governance::block::{Block, Body};
use crate::governance::certificate::Certificate;
use crate::governance::descriptor::Descriptor;
use crate::governance::op::Op;
use crate::governance::recovery::Recovery;
use crate::namespace::path::NamePath;

use super::changeset::Stage;
use super::drafting::{Scopes, next_block, settle};
use super::lineage::{LinkError, state_of};
use super::proof::{NoProof, Warrant, warranted};
use super::state::{ScopeNo, ScopeState};
use super::transition::{Occasion, Transition, TransitionError};
use super::trie::TrieView;
use super::view::{IndexTxn, IndexView, Link};

/// The block that would put a descriptor in force at a time. The transaction holds parts of it and
/// must be given up.
pub fn draft_recovery<T: IndexTxn>(
    txn: &mut T,
    scope: ScopeNo,
    next: &Descriptor,
    time: Timestamp,
) -> Result<Block, LinkError<T::Error>> {
    let state = state_of(txn, scope)?;
    let time = state.next_time(time);
    expected(txn, &state, next, time).map(|(block, _)| block)
}

/// Checks a link that recovers a scope and writes what it changes, but for the scopes.
pub(super) fn recover<T: IndexTxn>(
    txn: &mut T,
    state: &ScopeState,
    link: &Link,
    next: &Descriptor,
) -> Result<Scopes, LinkError<T::Error>> {
    let block = &link.block;
    let height = block.height;
    let wrong = |field| LinkError::Header { height, field };
    if link.body != Body::of_recovery(next.clone()) {
        return Err(wrong("body"));
    }
    if (block.height, block.prev) != (state.height + 1, state.head) {
        return Err(wrong("predecessor"));
    }
    if block.time <= state.head_time {
        return Err(wrong("time"));
    }
    warranted(block, &link.certificate, (&state.descriptor, next))
        .map_err(|source| LinkError::Warrant { height, source })?;
    let (expected, scopes) = expected(txn, state, next, block.time)?;
    if *block != expected {
        return Err(wrong("recovery"));
    }
    Ok(scopes)
}

/// The only block by which a descriptor takes over at a time.
fn expected<T: IndexTxn>(
    txn: &mut T,
    state: &ScopeState,
    next: &Descriptor,
    time: Timestamp,
) -> Result<(Block, Scopes), LinkError<T::Error>> {
    let height = state.height + 1;
    let mut stage = Stage::new(&*txn);
    let occasion = Occasion {
        scope: state.no,
        proposal: Digest::ZERO,
        time,
    };
    let mut transition = Transition::begin(&mut stage, occasion, state.clone());
    let change = Op::Reconfigure {
        next: Box::new(next.clone()),
    };
    transition.apply(&change).map_err(|error| match error {
        TransitionError::Refused(refusal) => LinkError::Refused { height, refusal },
        TransitionError::View(error) => LinkError::Store(error),
    })?;
    transition.finish();
    let changes = stage.into_changes();
    let (scopes, state_root) = settle(txn, state.no, changes)?;
    let proposer = next.anchors.anchors().first();
    let proposer = proposer.ok_or(LinkError::Header {
        height,
        field: "proposer",
    })?;
    let body = Body::of_recovery(next.clone());
    let block = next_block(state, &scopes, (proposer.id, time), &body, state_root);
    Ok((block, scopes))
}

/// What a scope says of the recovery of the child at a label.
pub fn said_of<V: IndexView>(
    view: &V,
    parent: ScopeNo,
    label: &[u8],
) -> Result<Option<Recovery>, V::Error> {
    let slot = view.slot(parent, &NamePath::empty().child(label))?;
    Ok(slot.and_then(|slot| slot.recovery))
}

/// What the parent of a scope, if that is held, announced of it and can still come to pass.
pub fn announced_of<V: IndexView>(
    view: &V,
    child: &ScopeState,
) -> Result<Option<Recovery>, V::Error> {
    let Some(edge) = &child.edge else {
        return Ok(None);
    };
    let said = said_of(view, edge.parent, &edge.label)?;
    Ok(said.filter(|said| said.height == child.height + 1))
}

/// The next block of a scope, if its parent, which is held, confirmed that it recovers it.
pub fn confirmed_link<V>(
    view: &V,
    child: &ScopeState,
) -> Result<Option<Link>, NoProof<<V as IndexView>::Error>>
where
    V: IndexView + TrieView<Failure = <V as IndexView>::Error>,
{
    let Some(edge) = &child.edge else {
        return Ok(None);
    };
    let said = announced_of(view, child).map_err(NoProof::View)?;
    let Some(said) = said.filter(|said| said.confirmed) else {
        return Ok(None);
    };
    let Some(parent) = view.scope(edge.parent).map_err(NoProof::View)? else {
        return Ok(None);
    };
    let Some((block, next)) = announced(view, &parent, &said).map_err(NoProof::View)? else {
        return Ok(None);
    };
    if (block.scope, block.prev) != (child.uid, child.head) {
        // What the child's own anchors decided since is their veto.
        return Ok(None);
    }
    let warrant = Warrant::make(view, &parent, &edge.label)?;
    Ok(Some(Link {
        certificate: Certificate::by_warrant(&block, warrant),
        block,
        body: Body::of_recovery(next),
    }))
}

/// The block that was announced, out of the parent's lineage: time rises within it, so one block has
/// the time at which that was said.
fn announced<V: IndexView>(
    view: &V,
    parent: &ScopeState,
    said: &Recovery,
) -> Result<Option<(Block, Descriptor)>, V::Error> {
    let (mut low, mut high) = (0, parent.height);
    while low < high {
        let middle = low + (high - low) / 2;
        match view.header(parent.no, middle)? {
            Some(header) if header.time < said.announced => low = middle + 1,
            Some(_) => high = middle,
            None => return Ok(None),
        }
    }
    let Some(link) = view.link(parent.no, low)? else {
        return Ok(None);
    };
    let ops = link
        .body
        .passed()
        .flat_map(|decided| &decided.proposal.unverified().ops);
    let mut offers = ops.filter_map(|op| match op {
        Op::Recover { offer, .. } => Some(offer),
        _ => None,
    });
    let offer = offers.find(|offer| offer.block().digest() == said.block);
    Ok(offer.map(|offer| (offer.block().clone(), offer.next().clone())))
}
