//! `Passage`: what proves that an entry left a scope for another.
//!
//! It goes into the change that takes the entry in, and names the block by which whoever replays that
//! change finds the transfer in the lineage of the scope that was left, whatever that did since.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::limits::PASSAGE_BYTES_MAX;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::entry::{Entry, Last};
use super::place::Apex;
use super::proof::{BadProof, NoProof, Proof, prove_below};
use super::state::ScopeNo;
use super::trie::TrieView;
use super::view::IndexView;

/// What a transfer, its certificate and a change of anchors in the same block may add.
const REST_BYTES: usize = 64 << 10;

/// The proof of the redirect that an entry left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Of the redirect; begins with the scope that was left.
    proof: Proof,
}

/// What a passage proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The entry.
    pub uid: Uid,
    /// The version that left.
    pub last: Last,
    /// The scope that it went to.
    pub to: ScopeUid,
    /// Its path there.
    pub to_path: NamePath,
    /// The height of the scope that was left, at which the redirect stood.
    pub height: u64,
    /// The block of that height.
    pub block: Digest,
}

/// Why a passage proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPassage {
    /// The bytes are none.
    #[error(transparent)]
    Form(#[from] DecodeError),
    /// What it says of the scope does not hold.
    #[error(transparent)]
    Proof(#[from] BadProof),
    /// Nothing left the scope there.
    #[error("it proves no entry that left")]
    Stays,
}

/// Why there is no passage.
#[derive(Debug, thiserror::Error)]
pub enum NoPassage<E: std::error::Error + 'static> {
    /// Nothing left the scope there.
    #[error("no entry left the scope at {0}")]
    Stays(NamePath),
    /// It would be too long to be taken in.
    #[error("what proves the move would be longer than {PASSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// The redirect cannot be proven.
    #[error(transparent)]
    Proof(#[from] NoProof<E>),
    /// The index could not be read.
    #[error("the index could not be read")]
    View(#[source] E),
}

impl Passage {
    /// What proves that an entry left a scope at a path.
    pub fn make<V>(
        view: &V,
        no: ScopeNo,
        path: &NamePath,
    ) -> Result<Self, NoPassage<<V as IndexView>::Error>>
    where
        V: IndexView + TrieView<Failure = <V as IndexView>::Error>,
    {
        let stays = || NoPassage::Stays(path.clone());
        let state = view.scope(no).map_err(NoPassage::View)?;
        let state = state.ok_or_else(stays)?;
        let slot = view.slot(no, path).map_err(NoPassage::View)?;
        let Some(Entry::Moved(redirect)) = slot.and_then(|slot| slot.entry) else {
            return Err(stays());
        };
        if redirect.uid.is_none() || redirect.last.is_none() {
            return Err(stays());
        }
        let name = path.to_name(&Name::root()).map_err(|_| stays())?;
        let passage = Self {
            proof: prove_below(view, &Apex::alone(state.uid), &name)?,
        };
        if passage.to_bytes().len() > PASSAGE_BYTES_MAX {
            return Err(NoPassage::TooLong);
        }
        Ok(passage)
    }

    /// Whether an entry could leave a scope from a path: what would prove it must not be too long. Said
    /// before it leaves, as it cannot come back.
    pub fn is_possible<V>(
        view: &V,
        no: ScopeNo,
        path: &NamePath,
    ) -> Result<bool, NoPassage<<V as IndexView>::Error>>
    where
        V: IndexView + TrieView<Failure = <V as IndexView>::Error>,
    {
        let stays = || NoPassage::Stays(path.clone());
        let state = view.scope(no).map_err(NoPassage::View)?;
        let state = state.ok_or_else(stays)?;
        let name = path.to_name(&Name::root()).map_err(|_| stays())?;
        // The proof of what is there now holds its records as well, which the redirect does not.
        let now = prove_below(view, &Apex::alone(state.uid), &name)?
            .to_bytes()
            .len();
        Ok(now <= PASSAGE_BYTES_MAX - REST_BYTES)
    }

    /// The scope that it claims to be of, not to be trusted.
    pub fn claimed(&self) -> Option<ScopeUid> {
        self.proof.claimed_root()
    }

    /// Checks everything from the genesis of the scope on that the entry left.
    pub fn verify(&self, from: &ScopeUid) -> Result<Passed, BadPassage> {
        let proven = self.proof.verify(&Apex::alone(*from))?;
        let at = proven.path.to_name(&Name::root());
        if proven.scope != *from || at.as_ref() != Ok(self.proof.name()) {
            return Err(BadPassage::Stays);
        }
        let Some(Entry::Moved(redirect)) = proven.slot.and_then(|slot| slot.entry) else {
            return Err(BadPassage::Stays);
        };
        let (Some(uid), Some(last)) = (redirect.uid, redirect.last) else {
            return Err(BadPassage::Stays);
        };
        Ok(Passed {
            uid,
            last,
            to: redirect.scope,
            to_path: redirect.path,
            height: proven.height,
            block: proven.block,
        })
    }
}

impl Canonical for Passage {
    fn encode(&self, out: &mut Encoder) {
        self.proof.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            proof: Proof::decode(input)?,
        })
    }
}

impl Form for Passage {
    const LABEL: &'static str = "kedge/passage";
    const VERSION: u8 = 2;
}
