//! `Uid`: the identity of an entry, stable through rename, move and every new version.

use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use std::sync::LazyLock;

use super::scope::ScopeUid;
use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::digest::Digest;

/// 128 bits of digest; never reused, because the allocation counter only rises.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid([u8; 16]);

/// Text that is not 26 base32 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a UID is 26 characters of a-z and 2-7")]
pub struct BadUid;

const LABEL: &str = "kedge/uid/1";

/// Lower-case RFC 4648 base32 without padding, case-blind on reading: UIDs stand in DNS names.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    spec.translate.from.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    spec.translate.to.push_str("abcdefghijklmnopqrstuvwxyz");
    // The specification is a constant and valid; BASE32_NOPAD stands in to avoid a panic path.
    spec.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
});

impl Uid {
    /// Allocates the UID number `counter` of a scope, for the proposal that creates the entry.
    pub fn allocate(scope: &ScopeUid, counter: u64, proposal: &Digest) -> Self {
        let mut out = Encoder::new();
        scope.encode(&mut out);
        out.u64(counter);
        proposal.encode(&mut out);
        let digest = Digest::of_bytes(LABEL, &out.into_bytes());
        let (head, _) = digest.as_bytes().split_at(16);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(head);
        Self(bytes)
    }

    /// A UID taken from stored bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32.encode(&self.0))
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({self})")
    }
}

impl FromStr for Uid {
    type Err = BadUid;

    fn from_str(text: &str) -> Result<Self, BadUid> {
        let bytes = BASE32.decode(text.as_bytes()).map_err(|_| BadUid)?;
        bytes.try_into().map(Self).map_err(|_| BadUid)
    }
}

impl Canonical for Uid {
    fn encode(&self, out: &mut Encoder) {
        out.fixed(&self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.array().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_differ_by_scope_counter_and_proposal_and_come_back_as_text() {
        let scope = |byte| ScopeUid::new(Digest::from_bytes([byte; 32]));
        let proposal = Digest::from_bytes([9; 32]);
        let uid = Uid::allocate(&scope(1), 0, &proposal);
        assert_ne!(uid, Uid::allocate(&scope(2), 0, &proposal));
        assert_ne!(uid, Uid::allocate(&scope(1), 1, &proposal));
        assert_ne!(uid, Uid::allocate(&scope(1), 0, &Digest::ZERO));
        let text = uid.to_string();
        assert_eq!(text.len(), 26);
        assert_eq!(text.parse(), Ok(uid));
        assert_eq!(text.to_uppercase().parse(), Ok(uid));
        assert_eq!("short".parse::<Uid>(), Err(BadUid));
    }
}
