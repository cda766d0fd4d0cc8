//! One block: sealed from proposals by the anchors' keys, or replayed from its bytes.

use std::collections::BTreeMap;

use crate::base::digest::Digest;
use crate::base::keys::{NotSigned, Signer};
use crate::base::signed::Signed;
use crate::base::time::Timestamp;
use crate::governance::anchor::{Anchor, AnchorId};
use crate::governance::approval::Approval;
use crate::governance::block::{Block, Body};
use crate::governance::certificate::{Certificate, CertificateRefused};
use crate::governance::descriptor::Descriptor;
use crate::governance::trust::Ledger;
use crate::namespace::scope::ScopeUid;

use super::admission::Candidate;
use super::ballot::Taken;
use super::changeset::ChangeSet;
use super::drafting::{Drafted, Scopes, check, draft_next};
use super::proof::BadProof;
use super::recovery::recover;
use super::refusal::Refusal;
use super::state::{Edge, ScopeNo, ScopeState};
use super::view::{IndexTxn, IndexView, Link};

/// Why a link does not follow from the lineage before it.
#[derive(Debug, thiserror::Error)]
pub enum LinkError<E: std::error::Error + 'static> {
    /// The index could not be read or written.
    #[error("the index could not be read or written")]
    Store(#[source] E),
    /// The scope is not held here.
    #[error("scope {} is not held by this node", .0.short())]
    UnknownScope(ScopeUid),
    /// The header does not continue the lineage.
    #[error("block {height} does not continue the lineage: its {field} is wrong")]
    Header {
        /// The height the block claims.
        height: u64,
        /// The header field that differs.
        field: &'static str,
    },
    /// The certificate proves nothing.
    #[error("block {height}: {source}")]
    Certificate {
        /// The height.
        height: u64,
        /// Why.
        source: CertificateRefused,
    },
    /// The parent scope did not decide it.
    #[error("block {height} would recover the scope: {source}")]
    Warrant {
        /// The height.
        height: u64,
        /// Why.
        source: BadProof,
    },
    /// The block could not be signed.
    #[error(transparent)]
    Signer(#[from] NotSigned),
    /// A signature inside the body does not hold.
    #[error("block {height} holds a proposal whose signature is wrong")]
    Signature {
        /// The height.
        height: u64,
    },
    /// A proposal inside the body could not have been decided.
    #[error("block {height} decides what the rules refuse: {refusal}")]
    Refused {
        /// The height.
        height: u64,
        /// Why.
        refusal: Refusal,
    },
}

/// What a block shall decide.
#[derive(Debug, Clone, Copy, Default)]
pub struct Agenda<'a> {
    /// Proposals, in order.
    pub candidates: &'a [Candidate],
    /// Votes on proposals that were decided before.
    pub late: &'a [Signed<Approval>],
}

/// What sealing gave: the link, if anything could be decided, and each candidate's fate.
#[derive(Debug)]
pub struct Sealed {
    /// The new block; none when everything was refused.
    pub link: Option<Link>,
    /// One outcome per candidate, in order. A candidate beyond the last is for the next block.
    pub outcomes: Vec<Result<(), Refusal>>,
    /// One outcome per late vote, in order.
    pub late: Vec<Result<Taken, Refusal>>,
}

/// Seals as many candidates as fit one block of a scope, signs it with the given keys and applies
/// it. Nothing is applied when the keys hold no quorum.
pub fn seal<T: IndexTxn, K: Signer>(
    txn: &mut T,
    scope: ScopeNo,
    agenda: Agenda<'_>,
    keys: &[K],
    now: Timestamp,
) -> Result<Sealed, LinkError<T::Error>> {
    let state = state_of(txn, scope)?;
    let time = state.next_time(now);
    let voters = state.descriptor.clone();
    let proposer = match seats_held(&voters, keys) {
        Some((proposer, held)) if held >= voters.quorum_weight() => proposer,
        other => {
            let held = other.map_or(0, |(_, held)| held);
            return Ok(refuse_all(agenda, &voters, held));
        }
    };
    let Drafted {
        block,
        body,
        scopes,
        outcomes,
        late,
    } = draft_next(txn, &state, agenda, (proposer, time))?;
    let Some(block) = block else {
        return Ok(Sealed {
            link: None,
            outcomes,
            late,
        });
    };
    let certificate = Certificate::sign(&block, &voters, keys)?;
    certificate
        .verify(&block, &voters)
        .map_err(|source| LinkError::Certificate {
            height: block.height,
            source,
        })?;
    let link = Link {
        block,
        body,
        certificate,
    };
    finish(txn, scope, scopes, &link)?;
    Ok(Sealed {
        link: Some(link),
        outcomes,
        late,
    })
}

/// Checks a stored or received link against everything before it and applies it. The same rules,
/// the same order: what was not sealed by them is found here. After an error the transaction holds
/// parts of the link and must be given up.
pub fn replay<T: IndexTxn>(
    txn: &mut T,
    scope: ScopeNo,
    link: &Link,
) -> Result<(), LinkError<T::Error>> {
    let state = state_of(txn, scope)?;
    let height = link.block.height;
    if let Some(next) = &link.body.recovered {
        let scopes = recover(txn, &state, link, next)?;
        return finish(txn, scope, scopes, link);
    }
    link.certificate
        .verify(&link.block, &state.descriptor)
        .map_err(|source| LinkError::Certificate { height, source })?;
    let scopes = check(txn, &state, &link.block, &link.body)?;
    finish(txn, scope, scopes, link)
}

/// The genesis link of a scope: empty, signed by the anchors that take their seats; none without
/// one of their keys.
///
/// # Errors
/// If a signer does not sign and the others hold no quorum.
pub fn genesis_link<K: Signer>(
    descriptor: &Descriptor,
    keys: &[K],
    now: Timestamp,
) -> Result<Option<Link>, NotSigned> {
    let Some((proposer, _)) = seats_held(descriptor, keys) else {
        return Ok(None);
    };
    let body = Body::default();
    let digest = descriptor.digest();
    let block = Block {
        scope: descriptor.scope_uid(),
        epoch: 0,
        height: 0,
        prev: Digest::ZERO,
        descriptor: digest,
        next_descriptor: digest,
        prev_epoch_block: Digest::ZERO,
        time: now,
        proposer,
        body_root: Digest::of(&body),
        state_root: Digest::ZERO,
    };
    let certificate = Certificate::sign(&block, descriptor, keys)?;
    Ok(Some(Link {
        block,
        body,
        certificate,
    }))
}

/// Founds a scope on this node from its genesis.
pub fn found<T: IndexTxn>(
    txn: &mut T,
    descriptor: &Descriptor,
    edge: Option<Edge>,
    link: &Link,
) -> Result<ScopeNo, LinkError<T::Error>> {
    let uid = descriptor.scope_uid();
    let digest = descriptor.digest();
    let height = link.block.height;
    link.certificate
        .verify(&link.block, descriptor)
        .map_err(|source| LinkError::Certificate { height, source })?;
    let block = &link.block;
    // A descriptor that names its scope is none whose digest is the scope's identity.
    let well_formed = (descriptor.scope, descriptor.epoch) == (None, 0)
        && block.scope == uid
        && (block.epoch, height) == (0, 0)
        && descriptor.anchors.get(&block.proposer).is_some()
        && descriptor.fault().is_none()
        && block.prev == Digest::ZERO
        && block.next_descriptor == digest
        && block.prev_epoch_block == Digest::ZERO
        && block.body_root == Digest::of(&link.body)
        && block.state_root == Digest::ZERO
        && link.body == Body::default();
    if !well_formed || txn.scope_no(&uid).map_err(LinkError::Store)?.is_some() {
        return Err(LinkError::Header {
            height,
            field: "genesis",
        });
    }
    let no = ScopeNo(txn.scope_count().map_err(LinkError::Store)?);
    let state = ScopeState {
        uid,
        no,
        edge,
        // Block 1 names its voters by the genesis digest, so the genesis stands as it is.
        descriptor: descriptor.clone(),
        descriptor_digest: digest,
        height: 0,
        head: block.digest(),
        head_time: block.time,
        last_epoch_block: Digest::ZERO,
        state_root: Digest::ZERO,
        next_uid: 0,
        live: 0,
        usage: Vec::new(),
        ledger: Ledger::new(),
    };
    let mut changes = ChangeSet::default();
    changes.scopes.insert(no, state);
    txn.put_genesis(no, descriptor).map_err(LinkError::Store)?;
    txn.apply(&changes).map_err(LinkError::Store)?;
    txn.append(no, link).map_err(LinkError::Store)?;
    Ok(no)
}

pub(super) fn state_of<T: IndexView>(
    txn: &T,
    scope: ScopeNo,
) -> Result<ScopeState, LinkError<T::Error>> {
    txn.scope(scope)
        .map_err(LinkError::Store)?
        .ok_or(LinkError::UnknownScope(ScopeUid::new(Digest::ZERO)))
}

fn seats_held<K: Signer>(descriptor: &Descriptor, keys: &[K]) -> Option<(AnchorId, u64)> {
    // By seat: a key that is given twice has one voice.
    let seats: BTreeMap<u16, &Anchor> = keys
        .iter()
        .filter_map(|key| descriptor.anchors.seat_of(&key.public()))
        .collect();
    let weight = seats.values().map(|anchor| u64::from(anchor.weight)).sum();
    seats.values().next().map(|anchor| (anchor.id, weight))
}

fn refuse_all(agenda: Agenda<'_>, voters: &Descriptor, weight: u64) -> Sealed {
    let refusal = Refusal::Quorum {
        weight,
        needed: voters.quorum_weight(),
    };
    Sealed {
        link: None,
        outcomes: vec![Err(refusal.clone()); agenda.candidates.len()],
        late: vec![Err(refusal); agenda.late.len()],
    }
}

/// Moves the scope's head and appends the link.
fn finish<T: IndexTxn>(
    txn: &mut T,
    scope: ScopeNo,
    mut scopes: Scopes,
    link: &Link,
) -> Result<(), LinkError<T::Error>> {
    let mut state = match scopes.remove(&scope) {
        Some(state) => state,
        None => state_of(txn, scope)?,
    };
    state.height = link.block.height;
    state.head = link.block.digest();
    state.head_time = link.block.time;
    state.state_root = link.block.state_root;
    if link.block.next_descriptor != link.block.descriptor {
        state.last_epoch_block = state.head;
    }
    scopes.insert(scope, state);
    let changes = ChangeSet {
        scopes,
        ..ChangeSet::default()
    };
    txn.apply(&changes).map_err(LinkError::Store)?;
    txn.append(scope, link).map_err(LinkError::Store)
}
