//! Scopes that are founded, delegated and given another policy.

use crate::base::keys::SecretKey;
use crate::governance::anchor::{Anchor, AnchorGroup, SeatSignature};
use crate::governance::descriptor::Descriptor;
use crate::governance::offer::Offer;
use crate::governance::op::{Op, Precondition};
use crate::governance::policy::Policy;
use crate::index::place::{Apex, Place};
use crate::index::refusal::Refusal;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;
use crate::service::governor::{Committed, Work};
use crate::service::ports::{KeyStore, Parts, Randomness};

use super::{Changes, PlanError};

impl<P: Parts> Changes<P> {
    /// Founds an apex with one anchor of this node.
    pub async fn found_apex(&self, name: &Name, region: &str) -> Result<Committed, PlanError> {
        let (key, descriptor) = self.new_scope(None, region)?;
        self.keep_key(name, key)?;
        let work = Work::FoundApex {
            name: name.clone(),
            descriptor: Box::new(descriptor),
        };
        Ok(self.governor.commit(work).await?)
    }

    /// Makes the genesis of a scope that another node's scope may delegate to. The key is kept
    /// here, under the name that the scope will have.
    pub fn offer(&self, name: &Name, parent: ScopeUid, region: &str) -> Result<Offer, PlanError> {
        let (key, child) = self.new_scope(Some(parent), region)?;
        let seats = child.accept_seats([&key]);
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
    ) -> Result<Committed, PlanError> {
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
    ) -> Result<Committed, PlanError> {
        let (place, label) = self.edge(apexes, name)?;
        let (key, child) = self.new_scope(Some(place.scope.uid), region)?;
        let seats = child.accept_seats([&key]);
        let (op, preconditions) = delegation(&place, label.clone(), child.clone(), seats);
        let candidate = self.author(&place.scope, vec![op], preconditions, note)?;
        self.keep_key(name, key)?;
        let parent = place.scope.no;
        let (candidate, child) = (Box::new(candidate), Box::new(child));
        Ok(self
            .governor
            .commit(Work::FoundChild {
                parent,
                label,
                candidate,
                child,
            })
            .await?)
    }

    /// Puts another policy in force.
    pub async fn set_policy(
        &self,
        apexes: &[Apex],
        scope: &Name,
        policy: Policy,
        note: &str,
    ) -> Result<Committed, PlanError> {
        let place = self.scope_at(apexes, scope)?;
        let now = &place.scope.descriptor;
        let next = Descriptor {
            scope: Some(place.scope.uid),
            epoch: now.epoch + 1,
            policy,
            ..now.clone()
        };
        let keys = self.keyring.seats(&next);
        let seats = next.accept_seats(&keys);
        let preconditions = vec![Precondition::EpochIs(now.epoch)];
        let ops = vec![Op::Reconfigure {
            next: Box::new(next),
            seats,
        }];
        self.decide(&place.scope, ops, preconditions, note).await
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
    fn keep_key(&self, scope: &Name, key: SecretKey) -> Result<(), PlanError> {
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
