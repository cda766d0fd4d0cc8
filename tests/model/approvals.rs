//! Votes: what counts, what rejects, what comes late, what is evidence; and what the ledger makes
//! of it. Every lineage made here is replayed from genesis to the same rows.

use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::base::signed::{Signed, Verified};
use kedge::base::time::Timestamp;
use kedge::governance::anchor::AnchorId;
use kedge::governance::approval::Approval;
use kedge::governance::block::Fate;
use kedge::governance::op::Op;
use kedge::governance::policy::{ClassRule, Quorum, Requirement};
use kedge::governance::proposal::Proposal;
use kedge::governance::trust::Tally;
use kedge::governance::withdrawal::Withdrawal;
use kedge::index::admission::Candidate;
use kedge::index::ballot::Taken;
use kedge::index::lineage::{Agenda, Sealed, seal};
use kedge::index::memory::MemoryIndex;
use kedge::index::pending::Pending;
use kedge::index::refusal::Refusal;
use kedge::index::verify::verify;
use kedge::index::view::IndexView;
use kedge::namespace::scope::ScopeUid;
use proptest::prelude::*;

use crate::stage::{ROOT, put, reconfigure};
use crate::world::{World, candidate, genesis, head, impact_of, key, register, scope_uid, vote};

/// A scope of four anchors of weight 1 whose routine changes need the quorum, which is 3.
struct Council {
    world: World,
    index: MemoryIndex,
    uid: ScopeUid,
}

fn keys() -> Vec<SecretKey> {
    (1..5).map(key).collect()
}

fn council(rule: ClassRule) -> Council {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    world.root(&mut index, "mesh.internal.", &keys());
    let uid = scope_uid(&index, ROOT);
    let first = register("api", &["A 60 10.0.0.1"]);
    world.seal(&mut index, ROOT, vec![first]).unwrap();
    let state = index.scope(ROOT).unwrap().unwrap();
    let mut next = state.descriptor;
    next.scope = Some(uid);
    next.epoch += 1;
    next.policy.routine = rule;
    world
        .seal(&mut index, ROOT, vec![reconfigure(&next)])
        .unwrap();
    Council { world, index, uid }
}

impl Council {
    fn draft(&mut self, ops: Vec<Op>) -> Candidate {
        self.world.now();
        candidate(self.world.proposal(self.uid, ops), &key(1))
    }

    fn vote(&self, of: &Candidate, seed: u8, yes: bool) -> Signed<Approval> {
        let now = self.world.present();
        let impact = impact_of(&self.index, ROOT, of, now);
        vote(of, &key(seed), (yes, impact), now)
    }

    fn votes(&self, of: &Candidate, votes: &[(u8, bool)]) -> Vec<Signed<Approval>> {
        let cast = |(seed, yes): &(u8, bool)| self.vote(of, *seed, *yes);
        votes.iter().map(cast).collect()
    }

    fn seal(&mut self, candidates: &[Candidate], late: &[Signed<Approval>]) -> Sealed {
        let now = self.world.now();
        self.seal_at(candidates, late, now)
    }

    fn seal_at(
        &mut self,
        candidates: &[Candidate],
        late: &[Signed<Approval>],
        now: Timestamp,
    ) -> Sealed {
        let agenda = Agenda { candidates, late };
        let sealed = seal(&mut self.index, ROOT, agenda, &keys(), now).unwrap();
        let mut fresh = MemoryIndex::new();
        verify(&self.index, &mut fresh, |_| {}).unwrap();
        assert_eq!(fresh, self.index, "a replay gives the same rows");
        sealed
    }

    /// Tries to decide a candidate with votes; gives its outcome.
    fn decide(&mut self, mut of: Candidate, votes: &[(u8, bool)]) -> Result<Fate, Refusal> {
        of.approvals = self.votes(&of, votes);
        let mut sealed = self.seal(&[of], &[]);
        sealed.outcomes.remove(0)?;
        let decided = sealed.link.unwrap().body.decided.remove(0);
        Ok(decided.fate)
    }

    fn tally(&self, seed: u8) -> Tally {
        let id = AnchorId::of_first_key(&key(seed).public());
        self.index.scope(ROOT).unwrap().unwrap().tally(&id)
    }

    fn data(&self) -> String {
        let head = head(&self.index, ROOT, "api");
        let set = head.sets.first().unwrap();
        set.records().first().unwrap().to_text(set.kind())
    }
}

fn change() -> Vec<Op> {
    vec![put("api", "A 60 10.0.0.2")]
}

#[test]
fn the_quorum_approves_and_a_blocking_weight_rejects() {
    let mut council = council(ClassRule::QUORUM);
    let draft = council.draft(change());
    let few = |weight| Err(Refusal::Approvals { weight, needed: 3 });
    assert_eq!(council.decide(draft.clone(), &[]), few(0));
    assert_eq!(
        council.decide(draft.clone(), &[(1, true), (2, true)]),
        few(2)
    );
    let one_against = [(1, true), (2, false), (9, true), (1, true)];
    assert_eq!(council.decide(draft.clone(), &one_against), few(1));
    assert_eq!(council.data(), "10.0.0.1");
    let passed = council.decide(draft.clone(), &[(1, true), (3, true), (4, true)]);
    assert_eq!(passed, Ok(Fate::Passed));
    assert_eq!(council.data(), "10.0.0.2");
    let again = council.decide(draft, &[(1, true), (2, true), (3, true)]);
    assert!(matches!(again, Err(Refusal::Repeated { .. })));

    let draft = council.draft(vec![put("api", "A 60 10.0.0.3")]);
    let before = council.tally(1).contested;
    let rejected = council.decide(draft.clone(), &[(1, true), (2, false), (3, false)]);
    assert_eq!(council.tally(1).contested, before + 1);
    assert_eq!(rejected, Ok(Fate::Rejected));
    assert_eq!(
        council.data(),
        "10.0.0.2",
        "a rejected proposal changes nothing"
    );
    let again = council.decide(draft, &[(1, true), (3, true), (4, true)]);
    assert!(
        matches!(again, Err(Refusal::Repeated { .. })),
        "and comes up no more"
    );
}

#[test]
fn an_approval_counts_for_the_impact_that_was_shown_and_no_other() {
    let mut council = council(ClassRule::QUORUM);
    let mut draft = council.draft(change());
    draft.approvals = council.votes(&draft, &[(1, true), (2, true), (3, true)]);
    // Another proposal moves the base: what the approvers saw is no longer what would happen.
    let other = council.draft(vec![put("api", "TXT 300 \"x\"")]);
    council
        .decide(other, &[(1, true), (2, true), (3, true)])
        .unwrap();
    let stale = council.seal(&[draft.clone()], &[]).outcomes.remove(0);
    let none = Refusal::Approvals {
        weight: 0,
        needed: 3,
    };
    assert_eq!(stale, Err(none));
    // A change elsewhere does not.
    draft.approvals = council.votes(&draft, &[(1, true), (2, true), (3, true)]);
    let elsewhere = council.draft(vec![register("b", &["A 60 10.0.0.9"])]);
    council
        .decide(elsewhere, &[(1, true), (2, true), (3, true)])
        .unwrap();
    assert_eq!(council.seal(&[draft], &[]).outcomes.remove(0), Ok(()));
}

#[test]
fn a_delay_runs_from_the_approval_that_decides() {
    let mut council = council(ClassRule {
        delay_secs: 60,
        ..ClassRule::QUORUM
    });
    let mut draft = council.draft(change());
    let start = council.world.present();
    let impact = impact_of(&council.index, ROOT, &draft, start);
    let at = |secs: u64| start.plus_millis(secs * 1_000);
    // One anchor puts its vote into the past; the third comes after 100 s.
    let times = [(1, 0), (2, 10), (3, 100)];
    let votes = times.map(|(seed, secs)| vote(&draft, &key(seed), (true, impact), at(secs)));
    draft.approvals = votes.to_vec();
    let until = at(160);
    let early = council.seal_at(&[draft.clone()], &[], at(159));
    assert_eq!(early.outcomes, [Err(Refusal::Delayed { until })]);
    let due = council.seal_at(&[draft], &[], until);
    assert_eq!(due.outcomes, [Ok(())]);
}

#[test]
fn late_votes_are_welcome_until_the_proposal_expires_and_count_for_trust() {
    let mut council = council(ClassRule::QUORUM);
    let base = [1, 2, 3, 4].map(|seed| council.tally(seed));
    let draft = council.draft(change());
    let late = council.vote(&draft, 4, false);
    let repeated = council.vote(&draft, 1, true);
    council
        .decide(draft.clone(), &[(1, true), (2, true), (3, true)])
        .unwrap();
    let sealed = council.seal(&[], &[late.clone(), repeated, late.clone()]);
    let voted = |seed| Err(Refusal::Voted(AnchorId::of_first_key(&key(seed).public())));
    assert_eq!(sealed.late, [Ok(Taken::Counts), voted(1), voted(4)]);
    assert_eq!(sealed.link.unwrap().body.late, std::slice::from_ref(&late));
    assert_eq!(council.tally(1).aligned, base[0].aligned + 1);
    assert_eq!(council.tally(4).contested, base[3].contested + 1);
    let stranger = council.vote(&draft, 9, true);
    let strange = council.seal(&[], &[stranger]);
    assert_eq!(strange.late, [Err(Refusal::NoVoice)]);
    assert!(strange.link.is_none(), "nothing to record, no block");
    let expired = draft.proposal.object().not_after.plus_millis(1);
    let too_late = council.seal_at(&[], &[late], expired);
    assert_eq!(too_late.late, [Err(Refusal::NoProposal)]);
}

#[test]
fn whoever_says_yes_and_no_is_recorded_once() {
    let mut council = council(ClassRule::QUORUM);
    let draft = council.draft(change());
    let (yes, no) = (
        council.vote(&draft, 4, true),
        council.vote(&draft, 4, false),
    );
    let mut decided = draft.clone();
    decided.approvals = council.votes(&draft, &[(1, true), (2, true), (3, true)]);
    decided.approvals.push(yes.clone());
    assert_eq!(council.seal(&[decided], &[]).outcomes, [Ok(())]);
    let anchor = AnchorId::of_first_key(&key(4).public());
    let before = council.tally(4);
    let sealed = council.seal(&[], &[no.clone(), no, yes]);
    let voted = Err(Refusal::Voted(anchor));
    assert_eq!(
        sealed.late,
        [Ok(Taken::Evidence(anchor)), voted.clone(), voted]
    );
    assert_eq!(council.tally(4).contradicted, before.contradicted + 1);
    assert!(council.tally(4).trust() < before.trust());
}

#[test]
fn who_does_not_vote_until_the_end_has_missed_it() {
    let mut council = council(ClassRule::QUORUM);
    let before = [council.tally(1).missed, council.tally(4).missed];
    let draft = council.draft(change());
    let end = draft.proposal.object().not_after;
    council
        .decide(draft, &[(1, true), (2, true), (3, true)])
        .unwrap();
    let mut next = council.draft(vec![put("api", "A 60 10.0.0.3")]);
    let after = end.plus_millis(1);
    let impact = impact_of(&council.index, ROOT, &next, after);
    let proposal = Proposal {
        made: end,
        not_after: end.plus_millis(9_000),
        ..next.proposal.object().clone()
    };
    next = candidate(proposal, &key(1));
    let votes = [1, 2, 3].map(|seed| vote(&next, &key(seed), (true, impact), end));
    next.approvals = votes.to_vec();
    assert_eq!(council.seal_at(&[next], &[], after).outcomes, [Ok(())]);
    let missed = [council.tally(1).missed, council.tally(4).missed];
    assert_eq!(missed, [before[0], before[1] + 1]);
}

#[test]
fn only_its_author_takes_a_proposal_back_and_then_for_good() {
    let mut council = council(ClassRule::QUORUM);
    let mut draft = council.draft(change());
    let withdrawal = |author: u8| {
        let withdrawal = Withdrawal {
            scope: draft.proposal.object().scope,
            proposal: draft.proposal.digest(),
            reason: "typing error".to_owned(),
            author: key(author).public(),
        };
        Signed::new(withdrawal, &key(author)).unwrap()
    };
    let (own, foreign) = (withdrawal(1), withdrawal(2));
    draft.withdrawal = Some(foreign);
    let refused = council.seal(&[draft.clone()], &[]).outcomes;
    assert_eq!(refused, [Err(Refusal::NotAuthor)]);
    draft.withdrawal = Some(own.clone());
    let sealed = council.seal(&[draft.clone()], &[]);
    assert_eq!(
        sealed.link.unwrap().body.decided[0].fate,
        Fate::Withdrawn(own)
    );
    draft.withdrawal = None;
    let replayed = council.decide(draft, &[(1, true), (2, true), (3, true)]);
    assert!(matches!(replayed, Err(Refusal::Repeated { .. })));
    assert_eq!(council.data(), "10.0.0.1");
}

#[test]
fn a_forged_vote_is_no_vote() {
    let mut council = council(ClassRule::QUORUM);
    let mut draft = council.draft(change());
    draft.approvals = council.votes(&draft, &[(1, true), (2, true)]);
    let now = council.world.present();
    let impact = impact_of(&council.index, ROOT, &draft, now);
    let honest = vote(&draft, &key(3), (true, impact), now);
    // Signed by another key than the one it names.
    let forged = Signed::new(honest.unverified().clone(), &key(9)).unwrap();
    draft.approvals.push(forged.clone());
    let few = Refusal::Approvals {
        weight: 2,
        needed: 3,
    };
    assert_eq!(council.seal(&[draft.clone()], &[]).outcomes, [Err(few)]);
    let state = council.index.scope(ROOT).unwrap().unwrap();
    let mut pending = Pending::new(&draft, now);
    let taken = pending.take(&state.descriptor, Some(&impact), now, &forged);
    assert_eq!(taken, Err(Refusal::Signature("vote")));
    let future = vote(&draft, &key(3), (true, impact), now.plus_millis(400_000));
    let taken = pending.take(&state.descriptor, Some(&impact), now, &future);
    assert_eq!(taken, Err(Refusal::NoVoice), "a clock is wrong");
    let elsewhere = vote(&draft, &key(3), (false, Digest::ZERO), now);
    let taken = pending.take(&state.descriptor, Some(&impact), now, &elsewhere);
    assert_eq!(
        taken,
        Err(Refusal::Impact { is: impact }),
        "no way round the first vote"
    );
    assert_eq!(
        pending.take(&state.descriptor, Some(&impact), now, &honest),
        Ok(Taken::Counts)
    );
}

#[test]
fn one_scope_is_not_delegated_twice_in_one_proposal() {
    let mut council = council(ClassRule::AUTHOR);
    let child = genesis(Some(council.uid), 9, &[key(30)]);
    let delegate = |label: &str| Op::Delegate {
        label: label.as_bytes().to_vec(),
        child: Box::new(child.clone()),
        seats: child.accept_seats(&[key(30)]).unwrap(),
    };
    let draft = council.draft(vec![delegate("a"), delegate("b")]);
    let twice = Refusal::Descriptor("one proposal delegates a scope once");
    assert_eq!(council.decide(draft, &[]), Err(twice));
}

#[test]
fn an_anchor_that_nobody_trusts_may_vote_and_not_propose() {
    let mut council = council(ClassRule::QUORUM);
    let state = council.index.scope(ROOT).unwrap().unwrap();
    let mut next = state.descriptor;
    next.epoch += 1;
    next.policy.trust_floor = 700;
    next.policy.quorum = Quorum::Bft;
    let uid = council.uid;
    let proposal = council.world.proposal(uid, vec![reconfigure(&next)]);
    let (world, index) = (&mut council.world, &mut council.index);
    // Anchor 4 never votes: its trust stays in the middle, the others' rises.
    let three: Vec<SecretKey> = (1..4).map(key).collect();
    let agreed = world.approved(index, ROOT, proposal, (&key(1), &three));
    assert_eq!(
        world.seal_all(index, ROOT, &[agreed], &keys()).outcomes,
        [Ok(())]
    );
    let by = |council: &mut Council, seed: u8| {
        let draft = council.draft(change());
        let proposal = Proposal {
            author: key(seed).public(),
            ..draft.proposal.object().clone()
        };
        let proposal = Verified::sign(proposal, &key(seed)).unwrap();
        council.decide(Candidate::new(proposal), &[(1, true), (2, true), (4, true)])
    };
    let trust = council.tally(4).trust();
    assert_eq!(
        by(&mut council, 4),
        Err(Refusal::Trust { trust, floor: 700 })
    );
    assert_eq!(by(&mut council, 1), Ok(Fate::Passed));
    // Governance stays open to it, or nobody could lower a floor that is above everybody.
    let state = council.index.scope(ROOT).unwrap().unwrap();
    let mut next = state.descriptor;
    next.epoch += 1;
    next.policy.trust_floor = 0;
    let proposal = Proposal {
        author: key(4).public(),
        ..council.world.proposal(uid, vec![reconfigure(&next)])
    };
    let (world, index) = (&mut council.world, &mut council.index);
    let agreed = world.approved(index, ROOT, proposal, (&key(4), &three));
    assert_eq!(
        world.seal_all(index, ROOT, &[agreed], &keys()).outcomes,
        [Ok(())]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is voted in whatever order, a proposal passes exactly if the first votes of distinct
    /// anchors for it reach the weight, and is rejected exactly if those against it block it.
    #[test]
    fn first_votes_decide(
        votes in proptest::collection::vec((1..7_u8, any::<bool>()), 0..8),
        weight in 0..5_u64,
    ) {
        let rule = ClassRule {
            requirement: Requirement::Approvals,
            weight,
            ..ClassRule::QUORUM
        };
        let mut council = council(rule);
        let draft = council.draft(change());
        let needed = if weight == 0 { 3 } else { weight };
        let mut first: Vec<(u8, bool)> = Vec::new();
        for (seed, yes) in &votes {
            if *seed < 5 && !first.iter().any(|(known, _)| known == seed) {
                first.push((*seed, *yes));
            }
        }
        let approving = first.iter().filter(|(_, yes)| *yes).count();
        let approving = u64::try_from(approving).unwrap();
        let objectors = first.iter().filter(|(_, yes)| !yes);
        let blocked = 4 - u64::try_from(objectors.count()).unwrap() < needed;
        let outcome = council.decide(draft, &votes);
        if blocked {
            prop_assert_eq!(outcome, Ok(Fate::Rejected));
        } else if approving >= needed {
            prop_assert_eq!(outcome, Ok(Fate::Passed));
        } else {
            prop_assert_eq!(outcome, Err(Refusal::Approvals { weight: approving, needed }));
        }
    }
}
