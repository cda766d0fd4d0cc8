//! `LeasePage`: leases that a node took, for nodes that hold the same scopes.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::signed::Signed;
use crate::governance::lease::Lease;

/// Leases in one page: at most [`LEASE_ROW_BYTES_MAX`] each.
pub const LEASES_PER_PAGE_MAX: usize = 128;
/// One lease with what is said of it: two labels, a region and the path of a check at most.
pub const LEASE_ROW_BYTES_MAX: usize = 1 << 10;
/// One reply with leases.
pub const LEASES_REPLY_BYTES_MAX: usize = (LEASES_PER_PAGE_MAX + 1) * LEASE_ROW_BYTES_MAX;

/// A lease, and what the node finds of its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// The lease, as its announcer signed it.
    pub lease: Signed<Lease>,
    /// Whether the instance works, if the node checks it. Its word, and nobody's signature.
    pub works: Option<bool>,
}

/// The place up to which a node's leases were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseMark {
    /// Which numbers these are: a node that starts anew counts anew.
    pub journal: u64,
    /// The number of the last lease that was read.
    pub number: u64,
}

/// Some leases of a node, in the order in which they last changed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasePage {
    /// Where the page ends.
    pub upto: LeaseMark,
    /// Whether there are none after it.
    pub is_last: bool,
    /// The leases.
    pub rows: Vec<LeaseRow>,
}

impl Canonical for LeaseRow {
    fn encode(&self, out: &mut Encoder) {
        self.lease.encode(out);
        out.u8(match self.works {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        });
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let lease = Signed::decode(input)?;
        let works = match input.u8()? {
            0 => None,
            1 => Some(false),
            2 => Some(true),
            tag => {
                return Err(DecodeError::Tag {
                    what: "finding",
                    tag,
                });
            }
        };
        Ok(Self { lease, works })
    }
}

impl Canonical for LeaseMark {
    fn encode(&self, out: &mut Encoder) {
        out.u64(self.journal);
        out.u64(self.number);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            journal: input.u64()?,
            number: input.u64()?,
        })
    }
}

impl Canonical for LeasePage {
    fn encode(&self, out: &mut Encoder) {
        self.upto.encode(out);
        out.bool(self.is_last);
        out.list(&self.rows);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            upto: LeaseMark::decode(input)?,
            is_last: input.bool()?,
            rows: input.list("leases", LEASES_PER_PAGE_MAX)?,
        })
    }
}
