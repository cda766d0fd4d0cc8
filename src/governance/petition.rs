//! `Petition`: an anchor's word that an entry of its scope shall move to another scope, for the nodes
//! that govern that one.
//!
//! It decides nothing. Whether a path is kept for the entry is decided there, and whether the entry
//! leaves here, each by the scope's own policy.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::keys::PublicKey;
use crate::base::limits::NOTE_BYTES_MAX;
use crate::base::signed::Authored;
use crate::base::time::Timestamp;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

/// A wish that an entry moves from one scope to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Petition {
    /// The scope that it leaves.
    pub from: ScopeUid,
    /// Its path there.
    pub from_path: NamePath,
    /// The entry.
    pub uid: Uid,
    /// The scope that shall take it.
    pub to: ScopeUid,
    /// Its path there.
    pub to_path: NamePath,
    /// After this time the entry stays where it is, unless a path is kept for it by then.
    pub not_after: Timestamp,
    /// Why.
    pub note: String,
    /// Makes equal wishes two.
    pub nonce: u64,
    /// An anchor's key of the scope that it leaves.
    pub author: PublicKey,
}

impl Canonical for Petition {
    fn encode(&self, out: &mut Encoder) {
        self.from.encode(out);
        self.from_path.encode(out);
        self.uid.encode(out);
        self.to.encode(out);
        self.to_path.encode(out);
        self.not_after.encode(out);
        out.text(&self.note);
        out.u64(self.nonce);
        self.author.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            from: ScopeUid::decode(input)?,
            from_path: NamePath::decode(input)?,
            uid: Uid::decode(input)?,
            to: ScopeUid::decode(input)?,
            to_path: NamePath::decode(input)?,
            not_after: Timestamp::decode(input)?,
            note: input.text("note", NOTE_BYTES_MAX)?,
            nonce: input.u64()?,
            author: PublicKey::decode(input)?,
        })
    }
}

impl Form for Petition {
    const LABEL: &'static str = "kedge/petition";
}

impl Authored for Petition {
    fn signer(&self) -> PublicKey {
        self.author
    }
}
