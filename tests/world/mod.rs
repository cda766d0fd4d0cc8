//! A small world for tests: keys from seeds, scopes that they govern, and one call to seal.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "each test crate that includes this file uses a part of it"
)]

pub mod recovery;

use std::collections::BTreeMap;

use kedge::base::canonical::Form as _;
use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::base::signed::{Signed, Verified};
use kedge::base::time::{Timestamp, Ttl};
use kedge::governance::anchor::{Anchor, AnchorGroup};
use kedge::governance::approval::Approval;
use kedge::governance::descriptor::Descriptor;
use kedge::governance::op::Op;
use kedge::governance::policy::Policy;
use kedge::governance::proposal::Proposal;
use kedge::index::admission::Candidate;
use kedge::index::entry::{Slot, Version};
use kedge::index::lineage::{Agenda, Sealed, found, genesis_link, seal};
use kedge::index::passage::Passage;
use kedge::index::refusal::Refusal;
use kedge::index::staging::preview;
use kedge::index::state::ScopeNo;
use kedge::index::view::{IndexTxn, IndexView, Link};
use kedge::namespace::name::Name;
use kedge::namespace::path::NamePath;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::record::RecordSet;
use kedge::namespace::scope::ScopeUid;
use kedge::namespace::uid::Uid;

/// The key of a seed.
pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// The path of a relative name; `@` is the scope itself.
pub fn path(text: &str) -> NamePath {
    let name = Name::parse(text.as_bytes(), Some(&Name::root())).unwrap();
    NamePath::between(&name, &Name::root()).unwrap()
}

/// A record set written as type, TTL and data; data of several records is parted by `|`.
pub fn set(text: &str) -> RecordSet {
    let (kind, rest) = text.split_once(' ').unwrap();
    let (ttl, data) = rest.split_once(' ').unwrap();
    let kind = kind.parse().unwrap();
    let records = data
        .split('|')
        .map(|data| Rdata::parse(kind, data, &Name::root()).unwrap())
        .collect();
    RecordSet::new(kind, Ttl::from_secs(ttl.parse().unwrap()), records).unwrap()
}

/// A change that registers a path with record sets.
pub fn register(at: &str, sets: &[&str]) -> Op {
    Op::Register {
        path: path(at),
        sets: sets.iter().map(|text| set(text)).collect(),
    }
}

/// The genesis descriptor of anchors of weight 1.
pub fn genesis(parent: Option<ScopeUid>, salt: u8, keys: &[SecretKey]) -> Descriptor {
    let anchors = keys
        .iter()
        .map(|key| Anchor::new(key.public(), "eu"))
        .collect();
    let group = AnchorGroup::new(anchors).unwrap();
    Descriptor::genesis(parent, [salt; 16], group, Policy::default())
}

/// A proposal signed by `author`.
pub fn candidate(proposal: Proposal, author: &SecretKey) -> Candidate {
    Candidate::new(Verified::sign(proposal, author).unwrap())
}

/// A vote of a key on a candidate.
pub fn vote(
    candidate: &Candidate,
    key: &SecretKey,
    (yes, impact): (bool, Digest),
    time: Timestamp,
) -> Signed<Approval> {
    let motion = candidate.motion();
    let approval = Approval {
        scope: motion.scope,
        proposal: motion.proposal,
        not_after: motion.not_after,
        impact,
        yes,
        time,
        reason: String::new(),
        anchor: key.public(),
    };
    Signed::new(approval, key).unwrap()
}

/// What a candidate would change; zero if it cannot be in force.
pub fn impact_of<V: IndexView>(
    view: &V,
    no: ScopeNo,
    candidate: &Candidate,
    now: Timestamp,
) -> Digest {
    preview(view, no, candidate, now).map_or(Digest::ZERO, |preview| preview.impact.digest())
}

/// Keys that accept any seat they are given.
fn any_seat() -> Vec<SecretKey> {
    (1..100).map(key).collect()
}

/// Who governs what, and a clock and a nonce that only rise.
#[derive(Debug, Clone, Default)]
pub struct World {
    keys: BTreeMap<ScopeUid, Vec<SecretKey>>,
    nonce: u64,
    millis: u64,
}

impl World {
    /// A world without scopes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next moment.
    pub fn now(&mut self) -> Timestamp {
        self.millis += 1_000;
        self.present()
    }

    /// Lets time pass.
    pub fn wait(&mut self, secs: u64) {
        self.millis += secs * 1_000;
    }

    /// This moment.
    pub fn present(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + self.millis)
    }

    /// A proposal by `author` with the approvals of `approvers`, and with all seats accepted.
    pub fn approved<V: IndexView>(
        &self,
        view: &V,
        no: ScopeNo,
        proposal: Proposal,
        (author, approvers): (&SecretKey, &[SecretKey]),
    ) -> Candidate {
        let mut candidate = candidate(proposal, author);
        let now = self.present();
        let impact = impact_of(view, no, &candidate, now);
        let votes = approvers
            .iter()
            .map(|key| vote(&candidate, key, (true, impact), now));
        candidate.approvals = votes.collect();
        let ops = &candidate.proposal.object().ops;
        let next = ops.iter().find_map(|op| match op {
            Op::Reconfigure { next } => Some(next),
            _ => None,
        });
        candidate.seats =
            next.map_or_else(Vec::new, |next| next.accept_seats(&any_seat()).unwrap());
        candidate
    }

    /// The keys of a scope's anchors.
    pub fn keys(&self, scope: &ScopeUid) -> &[SecretKey] {
        self.keys.get(scope).unwrap()
    }

    /// From now on a scope is governed by these keys.
    pub fn hand_over(&mut self, scope: ScopeUid, keys: &[SecretKey]) {
        self.keys.insert(scope, keys.to_vec());
    }

    /// Founds a root scope under an apex.
    pub fn root<T: IndexTxn>(&mut self, txn: &mut T, apex: &str, keys: &[SecretKey]) -> ScopeNo {
        let descriptor = genesis(None, 0, keys);
        let link = genesis_link(&descriptor, keys, self.now())
            .unwrap()
            .unwrap();
        let no = found(txn, &descriptor, None, &link).unwrap();
        let uid = descriptor.scope_uid();
        txn.put_apex(&apex.parse().unwrap(), &uid).unwrap();
        self.hand_over(uid, keys);
        no
    }

    /// Delegates a label to a new scope and founds it.
    pub fn child<T: IndexTxn>(
        &mut self,
        txn: &mut T,
        parent: ScopeNo,
        label: &str,
        keys: &[SecretKey],
    ) -> Result<ScopeNo, Refusal> {
        let state = txn.scope(parent).unwrap().unwrap();
        let salt = u8::try_from(self.nonce % 251).unwrap();
        let descriptor = genesis(Some(state.uid), salt, keys);
        let op = Op::Delegate {
            label: label.as_bytes().to_vec(),
            child: Box::new(descriptor.clone()),
            seats: descriptor.accept_seats(keys).unwrap(),
        };
        self.seal(txn, parent, vec![op])?;
        let link = genesis_link(&descriptor, keys, self.now())
            .unwrap()
            .unwrap();
        let edge = Some(state.child_edge(label.as_bytes()));
        self.hand_over(descriptor.scope_uid(), keys);
        Ok(found(txn, &descriptor, edge, &link).unwrap())
    }

    /// A proposal by the first anchor of a scope that says what it is.
    pub fn proposal(&mut self, scope: ScopeUid, ops: Vec<Op>) -> Proposal {
        self.nonce += 1;
        Proposal {
            scope,
            class: Proposal::class_of(&ops),
            ops,
            preconditions: Vec::new(),
            author: self.keys(&scope).first().unwrap().public(),
            nonce: self.nonce,
            made: self.present(),
            not_after: self.present().plus_millis(3_600_000),
            note: String::new(),
        }
    }

    /// Seals one proposal of a scope's anchors, all of whom approve.
    pub fn seal<T: IndexTxn>(
        &mut self,
        txn: &mut T,
        no: ScopeNo,
        ops: Vec<Op>,
    ) -> Result<Link, Refusal> {
        let uid = txn.scope(no).unwrap().unwrap().uid;
        let proposal = self.proposal(uid, ops);
        self.decide(txn, no, proposal)
    }

    /// Seals a proposal of the scope's first anchor, approved by all.
    pub fn decide<T: IndexTxn>(
        &mut self,
        txn: &mut T,
        no: ScopeNo,
        proposal: Proposal,
    ) -> Result<Link, Refusal> {
        let uid = txn.scope(no).unwrap().unwrap().uid;
        let keys = self.keys(&uid).to_vec();
        let candidate = self.approved(txn, no, proposal, (keys.first().unwrap(), &keys));
        let mut sealed = self.seal_all(txn, no, &[candidate], &keys);
        sealed.outcomes.remove(0).map(|()| sealed.link.unwrap())
    }

    /// Seals candidates with keys.
    pub fn seal_all<T: IndexTxn>(
        &mut self,
        txn: &mut T,
        no: ScopeNo,
        candidates: &[Candidate],
        keys: &[SecretKey],
    ) -> Sealed {
        let now = self.now();
        let late = &[];
        seal(txn, no, Agenda { candidates, late }, keys, now).unwrap()
    }
}

/// The slot of a path.
pub fn slot<V: IndexView>(view: &V, no: ScopeNo, at: &str) -> Slot {
    view.slot(no, &path(at)).unwrap().unwrap_or_default()
}

/// The head version bound at a path.
pub fn head<V: IndexView>(view: &V, no: ScopeNo, at: &str) -> Version {
    match slot(view, no, at).entry {
        Some(kedge::index::entry::Entry::Bound(version)) => version,
        entry => panic!("{at} holds {entry:?}"),
    }
}

/// The UID bound at a path.
pub fn uid_at<V: IndexView>(view: &V, no: ScopeNo, at: &str) -> Uid {
    head(view, no, at).uid
}

/// The identity of a scope.
pub fn scope_uid<V: IndexView>(view: &V, no: ScopeNo) -> ScopeUid {
    view.scope(no).unwrap().unwrap().uid
}

/// Moves the entry at a path to a path of another scope: reserve, transfer, adopt.
pub fn move_entry<T: IndexTxn>(
    world: &mut World,
    txn: &mut T,
    from: (ScopeNo, &NamePath),
    to: (ScopeNo, &NamePath),
) -> Result<(), Refusal> {
    let (source, target) = (scope_uid(txn, from.0), scope_uid(txn, to.0));
    let slot = txn.slot(from.0, from.1).unwrap().unwrap_or_default();
    let Some(kedge::index::entry::Entry::Bound(version)) = slot.entry else {
        return Err(Refusal::NoEntry(from.1.clone()));
    };
    let reserve = Op::Reserve {
        path: to.1.clone(),
        uid: version.uid,
        from: source,
    };
    world.seal(txn, to.0, vec![reserve])?;
    let transfer = Op::Transfer {
        path: from.1.clone(),
        to: target,
        to_path: to.1.clone(),
    };
    world.seal(txn, from.0, vec![transfer])?;
    let adopt = adopt_of(txn, &version, from, to.1);
    world.seal(txn, to.0, vec![adopt]).map(|_| ())
}

/// The change that takes over the last version of what was transferred from a path.
pub fn adopt_of<T: IndexTxn>(
    txn: &T,
    version: &Version,
    (no, from): (ScopeNo, &NamePath),
    to: &NamePath,
) -> Op {
    Op::Adopt {
        path: to.clone(),
        uid: version.uid,
        number: version.number,
        from: scope_uid(txn, no),
        passage: Passage::make(txn, no, from).unwrap().to_bytes(),
    }
}
