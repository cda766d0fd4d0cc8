//! `HeldLease`: a lease as a node keeps it. Rows of this kind are no part of any lineage.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::signed::Signed;
use crate::base::time::Timestamp;
use crate::governance::lease::Lease;
use crate::namespace::instance_name::InstanceLabel;
use crate::namespace::uid::Uid;

/// Which lease: the service and what the instance is called in it.
pub type LeaseKey = (Uid, InstanceLabel);

/// The last lease of an instance that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    /// The lease.
    pub lease: Signed<Lease>,
    /// When it came here, by this node's clock.
    pub received: Timestamp,
    /// Since when the instance is in its present condition, by this node's clock.
    pub since: Timestamp,
}

/// A change of what is kept.
#[derive(Debug, Clone)]
pub enum LeaseChange {
    /// A newer lease.
    Put(LeaseKey, HeldLease),
    /// The lease ended by itself while the node was up.
    Lapsed(LeaseKey),
    /// It need not be remembered any more.
    Remove(LeaseKey),
}

/// A lease that was kept.
#[derive(Debug, Clone)]
pub struct KeptLease {
    /// The lease.
    pub held: HeldLease,
    /// Whether the node saw it end.
    pub lapsed: bool,
}

impl HeldLease {
    /// Which lease it is.
    pub fn key(&self) -> LeaseKey {
        let lease = self.lease.unverified();
        (lease.service, lease.instance.clone())
    }
}

impl Canonical for HeldLease {
    fn encode(&self, out: &mut Encoder) {
        self.lease.encode(out);
        self.received.encode(out);
        self.since.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            lease: Signed::decode(input)?,
            received: Timestamp::decode(input)?,
            since: Timestamp::decode(input)?,
        })
    }
}

impl Form for HeldLease {
    const LABEL: &'static str = "kedge/held-lease";
}
