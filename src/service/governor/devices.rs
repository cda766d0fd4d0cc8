//! What is done with devices, in the order in which it came: a proof is judged against what the
//! one before it left.

use crate::base::digest::Digest;
use crate::base::limits::DEVICES_MAX;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::governance::device::{Death, DeviceId, DeviceProof, DeviceRecord, DeviceState, Finding};
use crate::index::devices::{DeviceRefusal, DeviceRow};
use crate::index::lineage::LinkError;
use crate::namespace::scope::ScopeUid;
use crate::service::ports::{Clock, Store};

use super::queue::{Answered, Done};
use super::{Writer, Writing};

/// Something for a table of devices.
#[derive(Debug, Clone)]
pub enum DeviceWork {
    /// A new device.
    Enrol {
        /// Its scope.
        scope: ScopeUid,
        /// What the table calls it.
        device: DeviceId,
        /// What is kept of it.
        record: DeviceRecord,
    },
    /// A proof whose challenge was found right.
    Prove(DeviceProof),
    /// A device is to prove itself no more.
    Revoke {
        /// Its scope.
        scope: ScopeUid,
        /// The device.
        device: DeviceId,
    },
    /// A device gets another chain.
    Renew {
        /// Its scope.
        scope: ScopeUid,
        /// The device.
        device: DeviceId,
        /// The key that recognises it, and the first value.
        secrets: (Secret, Secret),
    },
}

/// What was done with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceDone {
    /// An operator's wish.
    Kept,
    /// It proved itself.
    Proved {
        /// The device.
        device: DeviceId,
        /// What it is answered.
        seal: Digest,
    },
    /// A copy of it was used; it cannot prove itself any more.
    Copied(DeviceId),
}

/// What a proof is to the devices of its scope.
pub fn find(
    rows: &[DeviceRow],
    proof: &DeviceProof,
    now: Timestamp,
) -> (Option<DeviceId>, Finding) {
    let judged = rows
        .iter()
        .map(|(device, record)| (*device, record.judge(proof, now)));
    let mut known = judged.filter(|(_, finding)| *finding != Finding::Foreign);
    known
        .next()
        .map_or((None, Finding::Foreign), |(device, finding)| {
            (Some(device), finding)
        })
}

impl<S: Store, C: Clock> Writer<S, C> {
    /// Does it. A refusal writes nothing.
    pub(super) fn tend_device<T: Writing<S>>(
        &self,
        txn: &mut T,
        work: DeviceWork,
        now: Timestamp,
    ) -> Result<Answered, LinkError<S::Error>> {
        let scope = match &work {
            DeviceWork::Prove(proof) => proof.statement.scope,
            DeviceWork::Enrol { scope, .. }
            | DeviceWork::Revoke { scope, .. }
            | DeviceWork::Renew { scope, .. } => *scope,
        };
        let rows = txn.devices(&scope).map_err(LinkError::Store)?;
        let is_governed = self.governs(txn, &scope)?;
        let decided = match work {
            DeviceWork::Prove(_) if !is_governed => Err(DeviceRefusal::Stranger),
            DeviceWork::Prove(proof) => proved(&rows, &proof, now),
            DeviceWork::Revoke { device, .. } => revoked(&rows, device, now),
            _ if !is_governed => Err(DeviceRefusal::NoSeat),
            DeviceWork::Enrol { device, record, .. } => enrolled(&rows, device, record),
            DeviceWork::Renew {
                device, secrets, ..
            } => renewed(&rows, device, secrets, now),
        };
        let (writes, done) = match decided {
            Ok(decided) => decided,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        for (device, record) in writes {
            txn.put_device(&scope, &device, record.as_ref())
                .map_err(LinkError::Store)?;
        }
        Ok(Ok(Done::Device(done)))
    }

    /// Whether this node holds a scope and a seat in it.
    fn governs<T: Writing<S>>(
        &self,
        txn: &T,
        scope: &ScopeUid,
    ) -> Result<bool, LinkError<S::Error>> {
        let no = txn.scope_no(scope).map_err(LinkError::Store)?;
        let state = match no {
            Some(no) => txn.scope(no).map_err(LinkError::Store)?,
            None => None,
        };
        Ok(state.is_some_and(|state| !self.keyring.seats(&state.descriptor).is_empty()))
    }
}

/// Rows to be written, and what that comes to.
type Decided = Result<(Vec<(DeviceId, Option<DeviceRecord>)>, DeviceDone), DeviceRefusal>;

fn proved(rows: &[DeviceRow], proof: &DeviceProof, now: Timestamp) -> Decided {
    let (device, finding) = find(rows, proof, now);
    let device = device.ok_or(DeviceRefusal::Stranger)?;
    match finding {
        Finding::Foreign => Err(DeviceRefusal::Stranger),
        Finding::Dead(why) => Err(DeviceRefusal::Dead(why)),
        Finding::Copied(record) => {
            let writes = vec![(device, Some(*record))];
            Ok((writes, DeviceDone::Copied(device)))
        }
        Finding::Proved { next, shown } => {
            let seal = proof.statement.seal(&shown);
            let writes = vec![(device, Some(*next))];
            Ok((writes, DeviceDone::Proved { device, seal }))
        }
    }
}

/// A new device. Those that were revoked make room, the oldest first.
fn enrolled(rows: &[DeviceRow], device: DeviceId, record: DeviceRecord) -> Decided {
    let mut writes = vec![(device, Some(record))];
    if rows.len() >= DEVICES_MAX {
        let revoked = rows
            .iter()
            .filter_map(|(device, record)| match record.state {
                DeviceState::Dead {
                    why: Death::Revoked,
                    since,
                } => Some((since, *device)),
                _ => None,
            });
        let (_, oldest) = revoked.min().ok_or(DeviceRefusal::Full)?;
        writes.push((oldest, None));
    }
    Ok((writes, DeviceDone::Kept))
}

fn revoked(rows: &[DeviceRow], device: DeviceId, now: Timestamp) -> Decided {
    let record = record(rows, device)?;
    let dead = record.dead(Death::Revoked, now);
    Ok((vec![(device, Some(dead))], DeviceDone::Kept))
}

fn renewed(
    rows: &[DeviceRow],
    device: DeviceId,
    secrets: (Secret, Secret),
    now: Timestamp,
) -> Decided {
    let record = record(rows, device)?.renewed(secrets, now);
    Ok((vec![(device, Some(record))], DeviceDone::Kept))
}

/// The record of a device that was not revoked.
fn record(rows: &[DeviceRow], device: DeviceId) -> Result<&DeviceRecord, DeviceRefusal> {
    let mut same = rows.iter().filter(|(other, _)| *other == device);
    let (_, record) = same.next().ok_or(DeviceRefusal::Unknown)?;
    match record.state {
        DeviceState::Dead {
            why: Death::Revoked,
            ..
        } => Err(DeviceRefusal::Revoked),
        _ => Ok(record),
    }
}
