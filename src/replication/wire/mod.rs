//! Requests and replies between nodes: one request, one reply, each one frame.
//!
//! A frame is a length of four bytes and a form. Whoever reads one knows beforehand how long it may
//! be, so that no peer can make a node reserve more.

mod beacons;
mod leases;
mod petitions;
mod reply;
mod request;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::limits::{EXPORT_LINK_BYTES_MAX, REGION_BYTES_MAX};
use crate::index::proof::Proof;
use crate::index::state::ScopeState;
use crate::namespace::scope::ScopeUid;

pub use self::beacons::{
    BEACONS_PER_REPLY_MAX, BEACONS_PER_REQUEST_MAX, BEACONS_REPLY_BYTES_MAX, BeaconRow, BeaconWish,
    PLACES_PER_REQUEST_MAX,
};
pub use self::leases::{
    LEASE_ROW_BYTES_MAX, LEASES_PER_PAGE_MAX, LEASES_REPLY_BYTES_MAX, LeaseMark, LeasePage,
    LeaseRow,
};
pub use self::petitions::{Plea, PleaAnswer, PleaWord};
pub use self::reply::{Links, Reply, Turned};
pub use self::request::Request;

/// What a connection between nodes is for, as TLS negotiates it. The number is that of the frames,
/// which hold the version of what is said.
pub const PROTOCOL: &[u8] = b"kedge/peer/1";
/// The versions of requests and replies that this program speaks, the best one first. Which version a
/// request came with says [`Request::since`]: its reply came with it, too.
pub const WIRE_VERSIONS: &[u16] = &[2, WIRE_VERSION_FIRST];
/// The version of greetings, which every node speaks.
pub const WIRE_VERSION_FIRST: u16 = 1;
/// Versions that one node offers: a few years of rolling upgrades.
pub const WIRE_VERSIONS_MAX: usize = 8;
/// The bytes of a frame's length.
pub const LENGTH_BYTES: usize = 4;
/// One request: a proposal that is laid before anchors with their votes, or a block that is offered with
/// its signatures; [`SCOPES_PER_REQUEST_MAX`] heads of 72 bytes are far less.
pub const REQUEST_BYTES_MAX: usize = PENDING_BYTES_MAX + (128 << 10);
/// A proposal that anchors on several nodes decide: one link may hold what an import brings, but every
/// anchor sends it to every other one.
pub const PENDING_BYTES_MAX: usize = 1 << 20;
/// What is packed into a block that is offered to others, as far as it is more than one proposal.
pub const TENDER_BYTES_USUAL: usize = 256 << 10;
/// One reply without links: as many heads, a greeting or a refusal.
pub const REPLY_BYTES_MAX: usize = 32 << 10;
/// Scopes that are asked for, or whose heads are given, at once.
pub const SCOPES_PER_REQUEST_MAX: usize = 256;
/// Links in one reply: some hundred milliseconds of replay.
pub const LINKS_PER_REPLY_MAX: usize = 1_024;
/// Links in one reply, in bytes, as far as there is more than one.
pub const LINKS_BYTES_USUAL: usize = 4 << 20;
/// One reply with links: one of the largest, which comes alone, or [`LINKS_BYTES_USUAL`]; and a
/// genesis.
pub const LINKS_REPLY_BYTES_MAX: usize = EXPORT_LINK_BYTES_MAX + (1 << 20);
/// One reply with a proof: some hundred changes of government of the scopes on the way. Each of its
/// signatures takes some 50 microseconds to check.
pub const PROOF_REPLY_BYTES_MAX: usize = 256 << 10;
/// What a reply holds beside its proof.
const PROOF_REST_BYTES: usize = 64;

/// Whether a proof may be sent: whoever reads a longer one ends the connection.
pub fn fits_reply(proof: &Proof) -> bool {
    proof.to_bytes().len() <= PROOF_REPLY_BYTES_MAX - PROOF_REST_BYTES
}

/// What a node says of its program.
const SOFTWARE_BYTES_MAX: usize = 64;

/// Where a scope's lineage stands at a node. A hint: what counts is the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The scope.
    pub scope: ScopeUid,
    /// The height of its last block.
    pub height: u64,
    /// That block's digest.
    pub block: Digest,
}

impl Head {
    /// Where a scope stands here.
    pub const fn of(state: &ScopeState) -> Self {
        Self {
            scope: state.uid,
            height: state.height,
            block: state.head,
        }
    }
}

/// What a node says of itself before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The versions of requests and replies that it speaks, the best one first.
    pub versions: Vec<u16>,
    /// Where it runs.
    pub region: String,
    /// Its program, for people.
    pub software: String,
}

/// A request is newer than what its two nodes speak with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it speaks wire version {spoken}, and this takes version {needed}")]
pub struct TooNew {
    /// The version that is spoken.
    pub spoken: u16,
    /// The version that the request came with.
    pub needed: u16,
}

impl Hello {
    /// What this program says.
    pub fn of(region: &str) -> Self {
        Self {
            versions: WIRE_VERSIONS.to_vec(),
            region: region.to_owned(),
            software: format!("kedge/{}", env!("CARGO_PKG_VERSION")),
        }
    }

    /// The best version that this program speaks, too.
    pub fn common_version(&self) -> Option<u16> {
        let spoken = |version: &&u16| WIRE_VERSIONS.contains(version);
        self.versions.iter().find(spoken).copied()
    }
}

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// It says that it is longer than it may be.
    #[error("a frame claims {claimed} bytes; at most {max} may follow")]
    Length {
        /// What it claims.
        claimed: u32,
        /// What it may have.
        max: usize,
    },
    /// It holds no such form.
    #[error("a frame does not decode: {0}")]
    Form(#[from] DecodeError),
}

/// The length of the form that follows, if it may be so long.
pub fn form_length(bytes: [u8; LENGTH_BYTES], max: usize) -> Result<usize, FrameFault> {
    let claimed = u32::from_be_bytes(bytes);
    match usize::try_from(claimed) {
        Ok(length) if (1..=max).contains(&length) => Ok(length),
        _ => Err(FrameFault::Length { claimed, max }),
    }
}

/// A form with its length before it.
pub fn frame<T: Form>(value: &T) -> Vec<u8> {
    let form = value.to_bytes();
    let mut out = Encoder::with_capacity(LENGTH_BYTES + form.len());
    out.bytes(&form);
    out.into_bytes()
}

impl Canonical for Head {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        out.u64(self.height);
        self.block.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            height: input.u64()?,
            block: Digest::decode(input)?,
        })
    }
}

fn encode_versions(versions: &[u16], out: &mut Encoder) {
    out.count(versions.len());
    for version in versions {
        out.u16(*version);
    }
}

fn decode_versions(input: &mut Decoder<'_>) -> Result<Vec<u16>, DecodeError> {
    let count = input.count("wire versions", WIRE_VERSIONS_MAX)?;
    (0..count).map(|_| input.u16()).collect()
}

impl Canonical for Hello {
    fn encode(&self, out: &mut Encoder) {
        encode_versions(&self.versions, out);
        out.text(&self.region);
        out.text(&self.software);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            versions: decode_versions(input)?,
            region: input.text("region", REGION_BYTES_MAX)?,
            software: input.text("software", SOFTWARE_BYTES_MAX)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_may_be_as_long_as_its_reader_says() {
        assert_eq!(form_length(10u32.to_be_bytes(), 10), Ok(10));
        for claimed in [0, 11, u32::MAX] {
            let fault = form_length(claimed.to_be_bytes(), 10);
            assert_eq!(fault, Err(FrameFault::Length { claimed, max: 10 }));
        }
    }

    #[test]
    fn the_best_common_version_is_that_of_whoever_greets() {
        let hello = |versions: &[u16]| Hello {
            versions: versions.to_vec(),
            ..Hello::of("")
        };
        assert_eq!(hello(&[7, 2, 1]).common_version(), Some(2));
        assert_eq!(hello(&[7, 1]).common_version(), Some(1));
        assert_eq!(hello(&[7, 8]).common_version(), None);
        assert_eq!(hello(&[]).common_version(), None);
    }

    #[test]
    fn a_request_is_of_the_version_that_it_came_with() {
        let beacons = Request::Beacons(BeaconWish {
            anchors: Vec::new(),
            scopes: Vec::new(),
        });
        let too_new = TooNew {
            spoken: 1,
            needed: 2,
        };
        assert_eq!(beacons.fits(1), Err(too_new));
        assert_eq!(beacons.fits(2), Ok(()));
        for greeting_or_older in [Request::Hello(Hello::of("")), Request::Heads(Vec::new())] {
            assert_eq!(greeting_or_older.fits(WIRE_VERSION_FIRST), Ok(()));
        }
        let newest = WIRE_VERSIONS.iter().max();
        assert_eq!(newest, WIRE_VERSIONS.first(), "the best one first");
        assert!(beacons.since() <= *newest.unwrap());
    }

    #[test]
    fn the_largest_requests_and_replies_fit_their_frames() {
        let head = Head {
            scope: ScopeUid::new(Digest::ZERO),
            height: u64::MAX,
            block: Digest::ZERO,
        };
        let heads = vec![head; SCOPES_PER_REQUEST_MAX];
        let request = frame(&Request::Announce(heads.clone()));
        assert!(request.len() <= REQUEST_BYTES_MAX + LENGTH_BYTES);
        let reply = frame(&Reply::Heads(heads));
        assert!(reply.len() <= REPLY_BYTES_MAX + LENGTH_BYTES);
    }
}
