//! Scopes that are founded, delegated and given another policy.

use crate::base::keys::{PublicKey, SecretKey};
use crate::governance::anchor::{Anchor, AnchorGroup, SeatSignature};
use crate::governance::descriptor::Descriptor;
use crate::governance::grant::Grant;
use crate::governance::offer::Offer;
use crate::governance::op::{Op, Precondition};
use crate::governance::policy::Policy;
use crate::index::place::{Apex, Place};
use crate::index::refusal::Refusal;
use crate::index::state::ScopeState;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;
use crate::service::governor::{Done, Work};
use crate::service::ports::{KeyStore, Parts, Randomness};

use super::{Changes, PlanError};

/// What of a scope's government changes; the rest stays.
#[derive(Debug, Clone)]
pub enum Reform {
    /// The policy.
    Policy(Box<Policy>),
    /// All grants.
    Grants(Vec<Grant>),
    /// All seats.
    Anchors(Vec<Seat>),
    /// For how long a recovery must be public, in seconds.
    RecoveryDelay(u64),
}

/// One seat of a group to be.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The present anchor's identity; none for a new one.
    pub id: Option<String>,
    /// The vote key; the present one, or a new one of this node, if none is given.
    pub key: Option<PublicKey>,
    /// The weight.
    pub weight: u32,
    /// Where it runs.
    pub region: String,
    /// Who runs it.
    pub organisation: String,
}

impl<P: Parts> Changes<P> {
    /// Whether keys of this node alone decide over a scope.
    pub fn governs(&self, scope: &ScopeState) -> bool {
        let seats = self.keyring.seats(&scope.descriptor);
        let seats = seats.iter().filter_map(|key| {
            let seat = scope.descriptor.anchors.seat_of(&key.public());
            seat.map(|(_, anchor)| u64::from(anchor.weight))
        });
        seats.sum::<u64>() >= scope.descriptor.quorum_weight()
    }

    /// Whether keys of this node have a seat in a scope.
    pub fn sits(&self, scope: &ScopeState) -> bool {
        !self.keyring.seats(&scope.descriptor).is_empty()
    }

    /// Founds an apex with one anchor of this node.
    pub async fn found_apex(&self, name: &Name, region: &str) -> Result<Done, PlanError> {
        let (key, descriptor) = self.new_scope(None, region)?;
        self.keep_key(name, key)?;
        let work = Work::FoundApex {
            name: name.clone(),
            descriptor: Box::new(descriptor),
        };
        self.commit(work).await
    }

    /// Makes the genesis of a scope that another node's scope may delegate to. The key is kept
    /// here, under the name that the scope will have.
    pub fn offer(&self, name: &Name, parent: ScopeUid, region: &str) -> Result<Offer, PlanError> {
        let (key, child) = self.new_scope(Some(parent), region)?;
        let seats = child.accept_seats([&key])?;
        self.keep_key(name, key)?;
        Offer::new(child, seats).map_err(|error| PlanError::NoPlace(error.to_string()))
    }

    /// Delegates a label to a scope that another node offered.
    pub async fn delegate(
        &self,
        apexes: &[Apex],
        name: &Name,
        offer: Offer,
        note: &str,
    ) -> Result<Done, PlanError> {
        let (place, label) = self.edge(apexes, name)?;
        if offer.parent() != Some(place.scope.uid) {
            return Err(PlanError::NoPlace(format!(
                "the offer is for another parent than {}",
                place.scope_name
            )));
        }
        let (child, seats) = offer.into_parts();
        let (op, preconditions) = delegation(&place, label, child, seats);
        self.decide(&place.scope, vec![op], preconditions, note)
            .await
    }

    /// Creates a scope below an existing one, with one anchor of this node.
    pub async fn found_scope(
        &self,
        apexes: &[Apex],
        name: &Name,
        region: &str,
        note: &str,
    ) -> Result<Done, PlanError> {
        let (place, label) = self.edge(apexes, name)?;
        let (key, child) = self.new_scope(Some(place.scope.uid), region)?;
        let seats = child.accept_seats([&key])?;
        let (op, preconditions) = delegation(&place, label, child, seats);
        let candidate = self.author(&place.scope, vec![op], preconditions, note)?;
        // The scope is founded here, by the writer, once its parent has decided.
        self.keep_key(name, key)?;
        let work = Work::Decide(Box::new(candidate));
        self.commit(work).await
    }

    /// Puts another policy, other grants or another group of anchors in force. It is made from what
    /// the author saw in the epoch given, the present one if none is: who leaves it out may undo
    /// what another has just changed.
    pub async fn reform(
        &self,
        apexes: &[Apex],
        scope: &Name,
        (reform, if_epoch): (Reform, Option<u64>),
        note: &str,
    ) -> Result<Done, PlanError> {
        let place = self.scope_at(apexes, scope)?;
        let now = &place.scope.descriptor;
        let mut next = Descriptor {
            scope: Some(place.scope.uid),
            epoch: now.epoch + 1,
            ..now.clone()
        };
        match reform {
            Reform::Policy(policy) => next.policy = *policy,
            Reform::Grants(grants) => next.grants = grants,
            Reform::Anchors(seats) => next.anchors = self.group(scope, &now.anchors, seats)?,
            Reform::RecoveryDelay(secs) => next.recovery_delay_secs = secs,
        }
        let preconditions = vec![Precondition::EpochIs(if_epoch.unwrap_or(now.epoch))];
        let ops = vec![Op::Reconfigure {
            next: Box::new(next),
        }];
        self.decide(&place.scope, ops, preconditions, note).await
    }

    /// The group that seats make. A seat without a key gets a new one, kept on this node.
    fn group(
        &self,
        scope: &Name,
        now: &AnchorGroup,
        seats: Vec<Seat>,
    ) -> Result<AnchorGroup, PlanError> {
        let mut anchors = Vec::with_capacity(seats.len());
        for seat in seats {
            let present = match &seat.id {
                None => None,
                Some(id) => {
                    let known = |anchor: &&Anchor| anchor.id.to_string() == *id;
                    let present = now.anchors().iter().find(known).cloned();
                    let unknown = || PlanError::NoPlace(format!("{scope} has no anchor {id}"));
                    Some(present.ok_or_else(unknown)?)
                }
            };
            let key = match (seat.key, &present) {
                (Some(key), _) => key,
                (None, Some(anchor)) => anchor.vote_key,
                (None, None) => {
                    let key = SecretKey::from_seed(&self.randomness.seed());
                    let public = key.public();
                    self.keep_key(scope, key)?;
                    public
                }
            };
            let anchor = present.unwrap_or_else(|| Anchor::new(key, &seat.region));
            anchors.push(Anchor {
                vote_key: key,
                weight: seat.weight,
                region: seat.region,
                organisation: seat.organisation,
                ..anchor
            });
        }
        AnchorGroup::new(anchors).map_err(|error| PlanError::Misdirected(error.to_string()))
    }

    /// The scope that would delegate a name, and the label.
    fn edge(&self, apexes: &[Apex], name: &Name) -> Result<(Place, Vec<u8>), PlanError> {
        let place = self.place(apexes, name)?;
        let labels: Vec<Vec<u8>> = place.path.labels().collect();
        match <[Vec<u8>; 1]>::try_from(labels) {
            Ok([label]) => Ok((place, label)),
            Err(labels) if labels.is_empty() => Err(Refusal::Taken(place.path).into()),
            Err(_) => Err(Refusal::Target(place.path).into()),
        }
    }

    fn new_scope(
        &self,
        parent: Option<ScopeUid>,
        region: &str,
    ) -> Result<(SecretKey, Descriptor), PlanError> {
        let key = SecretKey::from_seed(&self.randomness.seed());
        let mut salt = [0; 16];
        let seed = self.randomness.seed();
        salt.copy_from_slice(seed.split_at(16).0);
        let anchors = AnchorGroup::new(vec![Anchor::new(key.public(), region)])
            .map_err(|error| PlanError::NoPlace(error.to_string()))?;
        let policy = Policy::default();
        Ok((key, Descriptor::genesis(parent, salt, anchors, policy)))
    }

    /// A key is on disk before anything it governs exists.
    pub(super) fn keep_key(&self, scope: &Name, key: SecretKey) -> Result<(), PlanError> {
        self.key_files.keep(scope, &key).map_err(PlanError::Key)?;
        self.keyring.add(key);
        Ok(())
    }
}

fn delegation(
    place: &Place,
    label: Vec<u8>,
    child: Descriptor,
    seats: Vec<SeatSignature>,
) -> (Op, Vec<Precondition>) {
    let preconditions = vec![
        Precondition::Absent(place.path.clone()),
        Precondition::EpochIs(place.scope.descriptor.epoch),
    ];
    let op = Op::Delegate {
        label,
        child: Box::new(child),
        seats,
    };
    (op, preconditions)
}
