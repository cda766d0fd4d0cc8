//! Scopes whose anchors are lost: who is ready to take over, and what the parent scope says of it.

use crate::base::keys::SecretKey;
use crate::governance::anchor::{Anchor, AnchorGroup};
use crate::governance::descriptor::Descriptor;
use crate::governance::op::Op;
use crate::governance::policy::Policy;
use crate::governance::recovery::{Recovery, RecoveryOffer};
use crate::index::place::Apex;
use crate::index::recovery::said_of;
use crate::index::refusal::Refusal;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::service::governor::{ChangeError, Done, Work};
use crate::service::ports::{Clock, Parts, Randomness, Store};
use crate::service::resolver::error_chain;

use super::{Changes, PlanError};

/// What is added to the time for which a recovery must be public, as a share of it: the parent's own
/// people need a while to decide that it is announced.
const SLACK_SHARE: u64 = 8;
/// The least of it, in seconds.
const SLACK_SECS_MIN: u64 = 60;

/// Who takes over, and when.
#[derive(Debug, Clone, Default)]
pub struct Takers {
    /// Where the new anchor runs.
    pub region: String,
    /// In how many seconds from now the recovery may be confirmed; the scope's own delay, and some
    /// time for the parent to decide, if none are given.
    pub after_secs: Option<u64>,
}

/// How a recovery stands, as far as can be seen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryStage {
    /// It is public, and cannot be confirmed yet.
    Announced,
    /// It can be confirmed.
    Due,
    /// The parent put it in force; the scope's block is not held here.
    Confirmed,
    /// The new anchors govern.
    InForce,
    /// The scope's own anchors went on.
    Vetoed,
}

impl std::fmt::Display for RecoveryStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Announced => "announced",
            Self::Due => "due",
            Self::Confirmed => "confirmed",
            Self::InForce => "in force",
            Self::Vetoed => "vetoed",
        })
    }
}

impl<P: Parts> Changes<P> {
    /// The block by which a new key of this node takes over a scope that is held here, for the parent
    /// to announce. The key is kept here.
    pub async fn offer_recovery(
        &self,
        apexes: &[Apex],
        name: &Name,
        takers: &Takers,
    ) -> Result<RecoveryOffer, PlanError> {
        let child = self.scope_at(apexes, name)?.scope;
        let now = &child.descriptor;
        if now.parent.is_none() {
            let why = "no scope above it could speak for it";
            return Err(PlanError::NoPlace(format!("{name} is an apex: {why}")));
        }
        let delay = now.recovery_delay_secs;
        let usual = delay.saturating_add((delay / SLACK_SHARE).max(SLACK_SECS_MIN));
        let after = takers.after_secs.unwrap_or(usual);
        if after < delay {
            return Err(PlanError::Misdirected(format!(
                "a recovery of {name} stays public for {delay} s; {after} s are less"
            )));
        }
        let due = self.clock.now().plus_millis(after.saturating_mul(1_000));
        let key = SecretKey::from_seed(&self.randomness.seed());
        let next = successor(&child, Anchor::new(key.public(), &takers.region))?;
        let seats = next.accept_seats([&key])?;
        let work = Work::DraftRecovery(child.uid, Box::new(next.clone()), due);
        let Done::RecoveryDrafted(block) = self.governor.commit(work).await? else {
            return Err(ChangeError::Stopping.into());
        };
        let offer = RecoveryOffer::new(*block, next, seats);
        let offer = offer.map_err(|error| ChangeError::from(Refusal::Recovery(error)))?;
        self.keep_key(name, key)?;
        Ok(offer)
    }

    /// Has the parent scope announce a recovery.
    pub async fn announce_recovery(
        &self,
        apexes: &[Apex],
        name: &Name,
        offer: RecoveryOffer,
        note: &str,
    ) -> Result<Done, PlanError> {
        offer
            .check()
            .map_err(|error| ChangeError::from(Refusal::Recovery(error)))?;
        let (parent, label) = self.parent_of(apexes, name)?;
        if offer.parent() != Some(parent.uid) {
            return Err(PlanError::NoPlace(format!(
                "the offer is for a scope below another parent than that of {name}"
            )));
        }
        let op = Op::Recover {
            label,
            delay_secs: offer.next().recovery_delay_secs,
            offer: Box::new(offer),
        };
        self.decide(&parent, vec![op], Vec::new(), note).await
    }

    /// Has the parent scope put an announced recovery in force.
    pub async fn confirm_recovery(
        &self,
        apexes: &[Apex],
        name: &Name,
        note: &str,
    ) -> Result<Done, PlanError> {
        let (parent, label) = self.parent_of(apexes, name)?;
        // One more block of the scope's own anchors is their veto.
        if let Some(said) = self.said(&parent, &label)?
            && let Some(child) = self.child_of(&parent, &label)?
            && child.height >= said.height
        {
            return Err(Refusal::Vetoed(child.height).into());
        }
        let ops = vec![Op::Confirm { label }];
        self.decide(&parent, ops, Vec::new(), note).await
    }

    /// Has the parent scope take an announced recovery back.
    pub async fn abandon_recovery(
        &self,
        apexes: &[Apex],
        name: &Name,
        note: &str,
    ) -> Result<Done, PlanError> {
        let (parent, label) = self.parent_of(apexes, name)?;
        let ops = vec![Op::Abandon { label }];
        self.decide(&parent, ops, Vec::new(), note).await
    }

    /// What the parent scope, which is held here, says of the recovery of the scope at a name, and how
    /// that stands.
    pub fn recovery_of(
        &self,
        apexes: &[Apex],
        name: &Name,
    ) -> Result<Option<(Recovery, RecoveryStage)>, PlanError> {
        let (parent, label) = self.parent_of(apexes, name)?;
        let Some(said) = self.said(&parent, &label)? else {
            return Ok(None);
        };
        let child = self.child_of(&parent, &label)?;
        let child = child.filter(|child| child.height >= said.height);
        let block = match child {
            Some(child) => self.store.latest().header(child.no, said.height),
            None => Ok(None),
        };
        let stage = match block.map_err(|error| unread(&error))? {
            Some(block) if block.digest() == said.block => RecoveryStage::InForce,
            Some(_) => RecoveryStage::Vetoed,
            None if said.confirmed => RecoveryStage::Confirmed,
            None if self.clock.now() >= said.due => RecoveryStage::Due,
            None => RecoveryStage::Announced,
        };
        Ok(Some((said, stage)))
    }

    /// The scope that delegates a name, and the label.
    fn parent_of(&self, apexes: &[Apex], name: &Name) -> Result<(ScopeState, Vec<u8>), PlanError> {
        let none = || PlanError::NoPlace(format!("no scope that is held here delegates {name}"));
        let edge = self.place_of_edge(apexes, name)?;
        let mut labels = edge.path.labels();
        let (Some(label), None) = (labels.next(), labels.next()) else {
            return Err(none());
        };
        match self.child_at(&edge.scope, &label)? {
            Some(_) => Ok((edge.scope, label)),
            None => Err(none()),
        }
    }

    fn said(&self, parent: &ScopeState, label: &[u8]) -> Result<Option<Recovery>, PlanError> {
        let snapshot = self.store.latest();
        said_of(snapshot.as_ref(), parent.no, label).map_err(|error| unread(&error))
    }

    fn child_at(&self, parent: &ScopeState, label: &[u8]) -> Result<Option<ScopeUid>, PlanError> {
        let path = NamePath::empty().child(label);
        let slot = self.store.latest().slot(parent.no, &path);
        let slot = slot.map_err(|error| unread(&error))?;
        Ok(slot.and_then(|slot| slot.child()))
    }

    /// The child at a label, as far as it is held here.
    fn child_of(&self, parent: &ScopeState, label: &[u8]) -> Result<Option<ScopeState>, PlanError> {
        let Some(uid) = self.child_at(parent, label)? else {
            return Ok(None);
        };
        let child = self.store.latest().scope_of(&uid);
        child.map_err(|error| unread(&error))
    }
}

fn unread<E: std::error::Error + 'static>(error: &E) -> PlanError {
    ChangeError::Store(error_chain(error)).into()
}

/// The descriptor by which one new anchor takes over. What the policy asks of many anchors, one
/// cannot give: weights are cut to what there is, and no share of the weight is capped.
fn successor(child: &ScopeState, anchor: Anchor) -> Result<Descriptor, PlanError> {
    let now = &child.descriptor;
    let anchors = AnchorGroup::new(vec![anchor])
        .map_err(|error| PlanError::Misdirected(error.to_string()))?;
    let mut policy: Policy = now.policy.clone();
    policy.cap_weight = false;
    let rules = [
        &mut policy.routine,
        &mut policy.alias,
        &mut policy.governance,
    ];
    for rule in rules {
        rule.weight = rule.weight.min(anchors.total_weight());
    }
    Ok(Descriptor {
        scope: Some(child.uid),
        epoch: now.epoch + 1,
        anchors,
        policy,
        ..now.clone()
    })
}
