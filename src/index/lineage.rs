//! One block: sealed from proposals by the anchors' keys, or replayed from its bytes.

use std::collections::BTreeMap;

use crate::base::canonical::Form;
use crate::base::digest::Digest;
use crate::base::keys::{NotSigned, Signer};
use crate::base::limits::{LATE_VOTES_MAX, PROPOSALS_PER_COMMIT_MAX};
use crate::base::signed::Signed;
use crate::base::time::Timestamp;
use crate::governance::anchor::{Anchor, AnchorId};
use crate::governance::approval::Approval;
use crate::governance::block::{Block, Body, Decided, Fate};
use crate::governance::certificate::{Certificate, CertificateRefused};
use crate::governance::descriptor::Descriptor;
use crate::governance::op::Op;
use crate::governance::trust::Ledger;
use crate::namespace::scope::ScopeUid;

use super::admission::Candidate;
use super::ballot::{Taken, close_ballots, stage_late};
use super::changeset::{ChangeSet, Stage};
use super::refusal::Refusal;
use super::staging::stage_one;
use super::state::{Edge, ScopeNo, ScopeState};
use super::transition::TransitionError;
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
    let Staged {
        changes,
        body,
        outcomes,
        late,
    } = stage_block(txn, &state, agenda, time)?;
    if body == Body::default() {
        return Ok(Sealed {
            link: None,
            outcomes,
            late,
        });
    }
    let (scopes, state_root) = settle(txn, scope, changes)?;
    let block = next_block(&state, &scopes, time, proposer, &body, state_root);
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
    link.certificate
        .verify(&link.block, &state.descriptor)
        .map_err(|source| LinkError::Certificate { height, source })?;
    let mut candidates = Vec::with_capacity(link.body.decided.len());
    for decided in &link.body.decided {
        let proposal = decided
            .proposal
            .clone()
            .verify()
            .map_err(|_| LinkError::Signature { height })?;
        let withdrawal = match &decided.fate {
            Fate::Withdrawn(withdrawal) => Some(withdrawal.clone()),
            Fate::Passed | Fate::Rejected => None,
        };
        candidates.push(Candidate {
            proposal,
            approvals: decided.approvals.clone(),
            seats: decided.seats.clone(),
            withdrawal,
        });
    }
    let agenda = Agenda {
        candidates: &candidates,
        late: &link.body.late,
    };
    let Staged {
        changes,
        body,
        outcomes,
        late,
    } = stage_block(txn, &state, agenda, link.block.time)?;
    let refused = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
    let refused = refused.or_else(|| late.iter().find_map(|outcome| outcome.as_ref().err()));
    if let Some(refusal) = refused {
        return Err(LinkError::Refused {
            height,
            refusal: refusal.clone(),
        });
    }
    if body != link.body {
        return Err(LinkError::Header {
            height,
            field: "body",
        });
    }
    let (scopes, state_root) = settle(txn, scope, changes)?;
    let proposer = link.block.proposer;
    let expected = next_block(
        &state,
        &scopes,
        link.block.time,
        proposer,
        &body,
        state_root,
    );
    check_header(&link.block, &expected, &state)?;
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

fn state_of<T: IndexView>(txn: &T, scope: ScopeNo) -> Result<ScopeState, LinkError<T::Error>> {
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

/// A block's writes and body, and what became of each part of the agenda.
struct Staged {
    changes: ChangeSet,
    body: Body,
    outcomes: Vec<Result<(), Refusal>>,
    late: Vec<Result<Taken, Refusal>>,
}

/// Stages candidates one over the other; a refused one leaves no trace.
fn stage_block<T: IndexTxn>(
    txn: &T,
    state: &ScopeState,
    agenda: Agenda<'_>,
    time: Timestamp,
) -> Result<Staged, LinkError<T::Error>> {
    let height = state.height + 1;
    let mut stage = Stage::new(txn);
    let mut body = Body::default();
    close_ballots(&mut stage, state, time).map_err(LinkError::Store)?;
    let mut late = Vec::with_capacity(agenda.late.len());
    for vote in agenda.late.iter().take(LATE_VOTES_MAX) {
        match stage_late(&mut stage, state.no, vote, time) {
            Ok(taken) => {
                body.late.push(vote.clone());
                late.push(Ok(taken));
            }
            Err(TransitionError::Refused(refusal)) => late.push(Err(refusal)),
            Err(TransitionError::View(error)) => return Err(LinkError::Store(error)),
        }
    }
    let mut outcomes = Vec::with_capacity(agenda.candidates.len());
    for candidate in agenda.candidates.iter().take(PROPOSALS_PER_COMMIT_MAX) {
        match stage_one(&stage, state.no, (height, time), candidate) {
            Ok((changes, decided)) => {
                stage.merge(changes);
                body.decided.push(decided);
                outcomes.push(Ok(()));
            }
            Err(TransitionError::Refused(refusal)) => outcomes.push(Err(refusal)),
            Err(TransitionError::View(error)) => return Err(LinkError::Store(error)),
        }
        // A new epoch begins with the next block; nothing may follow it in this one.
        let last = body
            .decided
            .last()
            .filter(|_| matches!(outcomes.last(), Some(Ok(()))));
        if last.is_some_and(begins_epoch) {
            break;
        }
    }
    Ok(Staged {
        changes: stage.into_changes(),
        body,
        outcomes,
        late,
    })
}

fn begins_epoch(decided: &Decided) -> bool {
    let ops = &decided.proposal.unverified().ops;
    decided.fate == Fate::Passed && ops.iter().any(|op| matches!(op, Op::Reconfigure { .. }))
}

/// The scopes that a block changes, as they will be.
type Scopes = BTreeMap<ScopeNo, ScopeState>;

/// Writes what is staged but for the scopes, whose heads are not known yet; gives these back with
/// the state root.
fn settle<T: IndexTxn>(
    txn: &mut T,
    scope: ScopeNo,
    mut changes: ChangeSet,
) -> Result<(Scopes, Digest), LinkError<T::Error>> {
    let scopes = std::mem::take(&mut changes.scopes);
    let root = txn.settle(scope, scopes.get(&scope), &changes);
    Ok((scopes, root.map_err(LinkError::Store)?))
}

fn next_block(
    state: &ScopeState,
    scopes: &Scopes,
    time: Timestamp,
    proposer: AnchorId,
    body: &Body,
    state_root: Digest,
) -> Block {
    let next_descriptor = scopes
        .get(&state.no)
        .map_or(state.descriptor_digest, |changed| changed.descriptor_digest);
    Block {
        scope: state.uid,
        epoch: state.descriptor.epoch,
        height: state.height + 1,
        prev: state.head,
        descriptor: state.descriptor_digest,
        next_descriptor,
        prev_epoch_block: state.last_epoch_block,
        time,
        proposer,
        body_root: Digest::of_bytes(Body::LABEL, &body.to_bytes()),
        state_root,
    }
}

fn check_header<E: std::error::Error>(
    block: &Block,
    expected: &Block,
    state: &ScopeState,
) -> Result<(), LinkError<E>> {
    let field = if block.scope != expected.scope {
        "scope"
    } else if block.height != expected.height {
        "height"
    } else if block.prev != expected.prev {
        "predecessor"
    } else if block.epoch != expected.epoch || block.descriptor != expected.descriptor {
        "descriptor"
    } else if block.time <= state.head_time {
        "time"
    } else if block.body_root != expected.body_root {
        "body root"
    } else if block.state_root != expected.state_root {
        "state root"
    } else if block != expected {
        "epoch link"
    } else if state.descriptor.anchors.get(&block.proposer).is_none() {
        "proposer"
    } else {
        return Ok(());
    };
    Err(LinkError::Header {
        height: block.height,
        field,
    })
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
