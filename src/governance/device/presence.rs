//! `Presences`: the addresses from which devices proved themselves, for a while.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::base::limits::{PRESENCES_MAX, PRESENCES_PER_DEVICE_MAX};
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

use super::DeviceId;

/// A device at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// The scope that knows the device.
    pub scope: ScopeUid,
    /// The device.
    pub device: DeviceId,
    /// The last moment at which it counts.
    pub until: Timestamp,
}

/// Which devices are where; a value that is replaced, never changed, as questions read it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presences(BTreeMap<Place, Timestamp>);

/// A device at an address; of one address the scopes come in order.
type Place = (IpAddr, ScopeUid, DeviceId);

impl Presences {
    /// Whether a device of a scope proved itself from an address.
    pub fn holds(&self, address: IpAddr, scope: &ScopeUid, time: Timestamp) -> bool {
        let place = |device| (address.to_canonical(), *scope, device);
        let devices = place(DeviceId::FIRST)..=place(DeviceId::LAST);
        self.0.range(devices).any(|(_, until)| time <= *until)
    }

    /// The last moment at which a device counts somewhere; none if it does not now.
    pub fn until(&self, scope: &ScopeUid, device: &DeviceId, now: Timestamp) -> Option<Timestamp> {
        let until = self.places(scope, device).map(|(_, until)| until).max();
        until.filter(|until| now <= *until)
    }

    /// With one device more at an address. What is over goes. Of one device the oldest goes when
    /// it is in too many places, of all the one that ends first when there is no room.
    #[must_use]
    pub fn with(&self, address: IpAddr, present: Present, now: Timestamp) -> Self {
        let Present {
            scope,
            device,
            until,
        } = present;
        let mut with = self.clone();
        with.0.retain(|_, until| now <= *until);
        with.0
            .insert((address.to_canonical(), scope, device), until);
        if with.places(&scope, &device).count() > PRESENCES_PER_DEVICE_MAX {
            let first = with.places(&scope, &device).min_by_key(|(_, until)| *until);
            if let Some((place, _)) = first {
                with.0.remove(&place);
            }
        }
        if with.0.len() > PRESENCES_MAX {
            let first = with.0.iter().min_by_key(|(_, until)| **until);
            if let Some(place) = first.map(|(place, _)| *place) {
                with.0.remove(&place);
            }
        }
        with
    }

    /// Without a device, wherever it was.
    #[must_use]
    pub fn without(&self, scope: &ScopeUid, device: &DeviceId) -> Self {
        let mut without = self.clone();
        without
            .0
            .retain(|(_, of, which), _| of != scope || which != device);
        without
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn places(
        &self,
        scope: &ScopeUid,
        device: &DeviceId,
    ) -> impl Iterator<Item = (Place, Timestamp)> {
        let rows = self.0.iter().map(|(place, until)| (*place, *until));
        rows.filter(move |((_, of, which), _)| of == scope && which == device)
    }
}

/// The devices that a caller has shown: looked up only when a test asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown<'q> {
    /// Where devices are.
    pub presences: Option<&'q Presences>,
    /// Scopes of which the caller has shown one whatever the presences say: for trying.
    pub said: &'q [ScopeUid],
}

impl Shown<'_> {
    /// No device at all.
    pub const NONE: Self = Self {
        presences: None,
        said: &[],
    };

    /// Whether a caller at an address has shown a device of a scope.
    pub fn is_of(
        &self,
        scope: &ScopeUid,
        address: Option<IpAddr>,
        time: Option<Timestamp>,
    ) -> bool {
        let present = || match (self.presences, address, time) {
            (Some(presences), Some(address), Some(time)) => presences.holds(address, scope, time),
            _ => false,
        };
        self.said.contains(scope) || present()
    }
}
