//! The devices of a scope, as this node knows them: no part of any lineage, and in no export or
//! proof.

use crate::base::limits::DEVICES_MAX;
use crate::governance::device::{Death, DeviceId, DeviceRecord};
use crate::namespace::scope::ScopeUid;

/// A device and what is kept of it.
pub type DeviceRow = (DeviceId, DeviceRecord);

/// Reads of the tables of devices.
pub trait DeviceView {
    /// What reading and writing can fail with.
    type Failure;

    /// Every device of a scope, by identity; at most [`DEVICES_MAX`].
    fn devices(&self, scope: &ScopeUid) -> Result<Vec<DeviceRow>, Self::Failure>;
}

/// Writes of the tables of devices.
pub trait DeviceStore: DeviceView {
    /// Writes or removes what is kept of a device.
    fn put_device(
        &mut self,
        scope: &ScopeUid,
        device: &DeviceId,
        record: Option<&DeviceRecord>,
    ) -> Result<(), Self::Failure>;
}

/// Why nothing was done with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceRefusal {
    /// No device of that scope made the proof. Says the same whether the scope is held here, has
    /// devices, or knew this one once.
    #[error("no device of this scope makes that proof")]
    Stranger,
    /// It is the device or a copy of it, and cannot prove itself any more.
    #[error("the device is {0}")]
    Dead(Death),
    /// The scope is not governed from here.
    #[error("this node has no seat in the scope, so it keeps no devices of it")]
    NoSeat,
    /// There is no room.
    #[error("the scope has {DEVICES_MAX} devices, the most there can be")]
    Full,
    /// There is no such device.
    #[error("the scope has no such device")]
    Unknown,
    /// It was revoked, which is for ever.
    #[error("the device was revoked; enrol it anew")]
    Revoked,
}
