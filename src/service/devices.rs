//! `Devices`: challenges, proofs and the table of each private scope on this node.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::governance::device::{
    Asked, Challenge, Challenges, Death, DeviceFile, DeviceId, DeviceProof, DeviceRecord,
    DeviceState, Finding, NoChallenge, Nonce, Presences, Present, Server,
};
use crate::index::devices::{DeviceRefusal, DeviceRow, DeviceView};
use crate::namespace::scope::ScopeUid;

use super::audit::{Audit, Event};
use super::governor::{ChangeError, DeviceDone, DeviceWork, Done, Governor, Work, find};
use super::ports::{Clock, Parts, Randomness, Store};
use super::resolver::error_chain;

/// Where devices have shown themselves; questions read it without waiting.
#[derive(Debug, Default)]
pub struct PresenceTable(ArcSwap<Presences>);

impl PresenceTable {
    /// Where devices are now.
    pub fn load(&self) -> Guard<Arc<Presences>> {
        self.0.load()
    }

    fn add(&self, address: IpAddr, present: Present, now: Timestamp) {
        self.0.rcu(|before| before.with(address, present, now));
    }

    fn remove(&self, scope: &ScopeUid, device: &DeviceId) {
        self.0.rcu(|before| before.without(scope, device));
    }
}

/// The devices of the scopes in which this node has a seat.
pub struct Devices<P: Parts> {
    store: Arc<P::Store>,
    governor: Governor,
    randomness: P::Randomness,
    clock: P::Clock,
    presences: Arc<PresenceTable>,
    challenges: Mutex<Challenges>,
    audit: Audit,
}

impl<P: Parts> std::fmt::Debug for Devices<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Devices")
    }
}

/// Why nothing was done with a device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// There is no challenge.
    #[error(transparent)]
    Challenge(#[from] NoChallenge),
    /// It is refused, or the store failed.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The table cannot be read.
    #[error("the devices cannot be read: {0}")]
    Store(String),
    /// Several devices begin with these digits.
    #[error("{0:?} is several devices")]
    Several(String),
}

impl From<DeviceRefusal> for DeviceError {
    fn from(refusal: DeviceRefusal) -> Self {
        Self::Change(refusal.into())
    }
}

/// What a device is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proved {
    /// Shows that the node went on.
    pub seal: Digest,
    /// The last moment at which its address counts.
    pub until: Timestamp,
}

impl<P: Parts> Devices<P> {
    /// Devices over a store and a governor.
    pub fn new(
        store: Arc<P::Store>,
        governor: Governor,
        (randomness, clock): (P::Randomness, P::Clock),
        presences: Arc<PresenceTable>,
        audit: Audit,
    ) -> Self {
        Self {
            store,
            governor,
            randomness,
            clock,
            presences,
            challenges: Mutex::default(),
            audit,
        }
    }

    /// Gives a challenge.
    pub fn challenge(&self, asked: Asked) -> Result<Challenge, NoChallenge> {
        let nonce = Nonce::new(self.randomness.seed());
        self.challenges().give(asked, nonce, self.clock.now())
    }

    /// Judges a proof that came from an address, which then counts for some seconds.
    pub async fn prove(
        &self,
        proof: DeviceProof,
        from: IpAddr,
        presence_secs: u32,
    ) -> Result<Proved, DeviceError> {
        let scope = proof.statement.scope;
        let waiting = {
            // Held until the proof is queued: proofs are judged in the order of their challenges.
            let mut challenges = self.challenges();
            challenges.take(&proof, from, self.clock.now())?;
            self.worth_a_commit(&proof)?;
            let work = DeviceWork::Prove(proof);
            self.governor.queue(Work::Device(Box::new(work)))?
        };
        let (device, seal) = match waiting.answer().await? {
            Done::Device(DeviceDone::Proved { device, seal }) => (device, seal),
            Done::Device(DeviceDone::Copied(device)) => {
                self.presences.remove(&scope, &device);
                self.note(scope, &device, "broken");
                let device = device.short();
                tracing::warn!(%device, "two copies of a device were used");
                return Err(DeviceRefusal::Dead(Death::Broken).into());
            }
            _ => return Err(DeviceRefusal::Stranger.into()),
        };
        let now = self.clock.now();
        let until = now.plus_millis(u64::from(presence_secs) * 1_000);
        let present = Present {
            scope,
            device,
            until,
        };
        self.presences.add(from, present, now);
        // Whoever ended the device meanwhile took its presence away before this one came.
        let mut rows = self.rows(&scope)?.into_iter();
        let is_live = |(other, record): &DeviceRow| {
            *other == device && matches!(record.state, DeviceState::Live(_))
        };
        if !rows.any(|row| is_live(&row)) {
            self.presences.remove(&scope, &device);
        }
        Ok(Proved { seal, until })
    }

    /// A proof that changes nothing costs no commit.
    fn worth_a_commit(&self, proof: &DeviceProof) -> Result<(), DeviceError> {
        let rows = self.rows(&proof.statement.scope)?;
        match find(&rows, proof, self.clock.now()).1 {
            Finding::Foreign => Err(DeviceRefusal::Stranger.into()),
            Finding::Dead(why) => Err(DeviceRefusal::Dead(why).into()),
            Finding::Proved { .. } | Finding::Copied(_) => Ok(()),
        }
    }

    /// Enrols a device and makes what it shall keep.
    pub async fn enrol(
        &self,
        scope: ScopeUid,
        note: String,
        servers: Vec<Server>,
    ) -> Result<(DeviceId, DeviceFile), DeviceError> {
        let device = DeviceId::new(&self.randomness.seed());
        let (mark, value) = self.secrets();
        let now = self.clock.now();
        let record = DeviceRecord::new(note, (mark.clone(), value.clone()), now);
        self.commit(DeviceWork::Enrol {
            scope,
            device,
            record,
        })
        .await?;
        self.note(scope, &device, "enrolled");
        let file = DeviceFile {
            scope,
            mark,
            value,
            servers,
        };
        Ok((device, file))
    }

    /// The devices of a scope.
    pub fn list(&self, scope: &ScopeUid) -> Result<Vec<DeviceRow>, DeviceError> {
        self.rows(scope)
    }

    /// Ends a device for ever.
    pub async fn revoke(&self, scope: ScopeUid, id: &str) -> Result<DeviceId, DeviceError> {
        let device = self.named(&scope, id)?;
        self.commit(DeviceWork::Revoke { scope, device }).await?;
        self.presences.remove(&scope, &device);
        self.note(scope, &device, "revoked");
        Ok(device)
    }

    /// Gives a device another chain, and makes what it shall keep.
    pub async fn renew(
        &self,
        scope: ScopeUid,
        id: &str,
        servers: Vec<Server>,
    ) -> Result<(DeviceId, DeviceFile), DeviceError> {
        let device = self.named(&scope, id)?;
        let (mark, value) = self.secrets();
        let secrets = (mark.clone(), value.clone());
        self.commit(DeviceWork::Renew {
            scope,
            device,
            secrets,
        })
        .await?;
        self.presences.remove(&scope, &device);
        self.note(scope, &device, "renewed");
        let file = DeviceFile {
            scope,
            mark,
            value,
            servers,
        };
        Ok((device, file))
    }

    async fn commit(&self, work: DeviceWork) -> Result<(), DeviceError> {
        let work = Work::Device(Box::new(work));
        self.governor.commit(work).await?;
        Ok(())
    }

    fn secrets(&self) -> (Secret, Secret) {
        let secret = || Secret::new(self.randomness.seed());
        (secret(), secret())
    }

    fn rows(&self, scope: &ScopeUid) -> Result<Vec<DeviceRow>, DeviceError> {
        let rows = self.store.latest().devices(scope);
        rows.map_err(|error| DeviceError::Store(error_chain(&error)))
    }

    /// The one device whose short form begins so.
    fn named(&self, scope: &ScopeUid, id: &str) -> Result<DeviceId, DeviceError> {
        let rows = self.rows(scope)?.into_iter();
        let mut begins = rows.filter(|(device, _)| device.short().starts_with(id));
        match (begins.next(), begins.next()) {
            (Some((device, _)), None) => Ok(device),
            (Some(_), Some(_)) => Err(DeviceError::Several(id.to_owned())),
            (None, _) => Err(DeviceRefusal::Unknown.into()),
        }
    }

    fn note(&self, scope: ScopeUid, device: &DeviceId, what: &str) {
        self.audit.note(Event::Device {
            scope: scope.to_string(),
            device: device.short(),
            what: what.to_owned(),
        });
    }

    fn challenges(&self) -> MutexGuard<'_, Challenges> {
        self.challenges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
