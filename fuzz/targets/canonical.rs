//! Every form: bytes that are read are the only bytes of their value.

#![no_main]

use kedge::base::canonical::{Canonical, Decoder, Encoder, Form};
use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::base::time::Timestamp;
use kedge::governance::approval::Approval;
use kedge::governance::beacon::{Beacon, Sight, TakenBack, Testimony};
use kedge::governance::block::{Block, Body};
use kedge::governance::certificate::{Certificate, Vote};
use kedge::governance::descriptor::Descriptor;
use kedge::governance::device::{DeviceFile, DeviceProof, DeviceRecord, Statement};
use kedge::governance::lease::Lease;
use kedge::governance::offer::Offer;
use kedge::governance::petition::Petition;
use kedge::governance::predicate::Predicate;
use kedge::governance::proposal::Proposal;
use kedge::governance::recovery::RecoveryOffer;
use kedge::governance::ticket::{Invitation, Ticket};
use kedge::governance::withdrawal::Withdrawal;
use kedge::index::ballot::Ballot;
use kedge::index::entry::{Slot, Version};
use kedge::index::held_lease::HeldLease;
use kedge::index::impact::Impact;
use kedge::index::journey::Journey;
use kedge::index::passage::Passage;
use kedge::index::pending::{Outline, Pending};
use kedge::index::place::Apex;
use kedge::index::proof::{
    KeptProofs, KeptScope, KeptSlot, Lineage, Proof, Unreadable, Warrant, regather,
};
use kedge::index::replica::{Fork, Mirror};
use kedge::index::state::{Location, ScopeState};
use kedge::index::trie::Node;
use kedge::index::view::BlockAt;
use kedge::namespace::name::Name;
use kedge::namespace::path::NamePath;
use kedge::namespace::record::RecordSet;
use kedge::namespace::scope::ScopeUid;
use kedge::replication::ordering::{
    Bid, Evidence, GuardRow, Message, PrevoteCertificate, RoundCertificate, Row, Tender,
};
use kedge::replication::wire::{Reply, Request};
use kedge::service::callers::Token;
use libfuzzer_sys::fuzz_target;

fn form<T: Form>(bytes: &[u8]) {
    if let Ok(value) = T::from_bytes(bytes) {
        assert_eq!(value.to_bytes(), bytes, "{}", T::LABEL);
    }
}

fn row<T: Canonical>(bytes: &[u8]) {
    let mut input = Decoder::new(bytes);
    if let Ok(value) = T::decode(&mut input)
        && input.finish().is_ok()
    {
        let mut out = Encoder::new();
        value.encode(&mut out);
        assert_eq!(out.into_bytes(), bytes);
    }
}

/// Evidence is looked at from beginning to end.
fn judge_evidence(data: &[u8]) {
    if let Ok(taken) = TakenBack::from_bytes(data) {
        let _ = taken.convicts();
    }
}

/// A proof that trusts itself gets as far as its signatures.
fn verify_proof(data: &[u8]) {
    if let Ok(proof) = Proof::from_bytes(data)
        && let Some(root) = proof.claimed_root()
    {
        let name = Name::root();
        let _ = proof.verify(&Apex { name, root });
    }
}

/// A lineage and a slot of one row, in a scope that the lineage claims.
struct OneRow<'d>(&'d [u8]);

impl KeptProofs for OneRow<'_> {
    fn scope(&self, scope: &ScopeUid) -> Result<Option<KeptScope>, Unreadable> {
        let lineage = Lineage::from_bytes(self.0).ok();
        Ok(lineage.map(|lineage| KeptScope {
            scope: *scope,
            head: lineage.claimed().1,
            heard: Timestamp::from_millis(0),
            from: SecretKey::from_seed(&[1; 32]).public(),
        }))
    }

    fn lineage(&self, _: &ScopeUid, _: &Digest) -> Result<Option<Lineage>, Unreadable> {
        Ok(Lineage::from_bytes(self.0).ok())
    }

    fn slot(&self, _: &ScopeUid, _: &NamePath) -> Result<Option<KeptSlot>, Unreadable> {
        Ok(KeptSlot::from_bytes(self.0).ok())
    }
}

/// A lineage that was kept gets as far as its signatures.
fn regather_kept(data: &[u8]) {
    if let Ok(lineage) = Lineage::from_bytes(data) {
        let (name, (root, _)) = (Name::root(), lineage.claimed());
        let top = Apex {
            name: name.clone(),
            root,
        };
        let found = regather((&top, &name), &OneRow(data), &|_| false);
        assert!(found.is_ok_and(|found| !found.is_whole));
    }
}

/// A passage as far as a claim of its own scope takes it.
fn verify_passage(data: &[u8]) {
    if let Ok(passage) = Passage::from_bytes(data)
        && let Some(from) = passage.claimed()
    {
        let _ = passage.verify(&from);
    }
}

fuzz_target!(|data: &[u8]| {
    form::<Approval>(data);
    form::<Beacon>(data);
    form::<Sight>(data);
    form::<TakenBack>(data);
    judge_evidence(data);
    form::<Testimony>(data);
    form::<Bid>(data);
    form::<Evidence>(data);
    form::<GuardRow>(data);
    form::<Message>(data);
    form::<PrevoteCertificate>(data);
    form::<RoundCertificate>(data);
    form::<Row>(data);
    form::<Tender>(data);
    form::<Token>(data);
    form::<Ticket>(data);
    form::<Invitation>(data);
    form::<Passage>(data);
    form::<Petition>(data);
    form::<Journey>(data);
    verify_passage(data);
    form::<Block>(data);
    form::<Body>(data);
    form::<Certificate>(data);
    form::<Descriptor>(data);
    form::<DeviceFile>(data);
    form::<DeviceProof>(data);
    form::<DeviceRecord>(data);
    form::<Fork>(data);
    form::<HeldLease>(data);
    form::<Impact>(data);
    form::<KeptScope>(data);
    form::<KeptSlot>(data);
    form::<Lineage>(data);
    regather_kept(data);
    form::<Lease>(data);
    form::<Mirror>(data);
    form::<Offer>(data);
    form::<RecoveryOffer>(data);
    form::<Warrant>(data);
    form::<Pending>(data);
    form::<Proof>(data);
    verify_proof(data);
    form::<Proposal>(data);
    form::<Reply>(data);
    form::<Request>(data);
    form::<ScopeState>(data);
    form::<Slot>(data);
    form::<Statement>(data);
    form::<Version>(data);
    form::<Vote>(data);
    form::<Withdrawal>(data);
    row::<Ballot>(data);
    row::<BlockAt>(data);
    row::<Predicate>(data);
    row::<Location>(data);
    row::<Name>(data);
    row::<NamePath>(data);
    row::<Node>(data);
    row::<Outline>(data);
    row::<RecordSet>(data);
});
