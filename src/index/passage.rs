//! `Passage`: what proves that an entry left a scope for another, and what it was then.
//!
//! It goes into the change that takes the entry in, so that the lineage of the scope that it came to
//! can be checked by whoever holds that scope alone.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::limits::{PASSAGE_BYTES_MAX, PASSAGE_HISTORY_BYTES_MAX, PASSAGE_VERSIONS_MAX};
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::entry::{Entry, Last, Redirect, Version};
use super::place::Apex;
use super::proof::{BadProof, NoProof, Proof, prove_below};
use super::state::ScopeNo;
use super::trie::TrieView;
use super::view::IndexView;

/// The proof of the redirect that an entry left behind, and its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Of the redirect; begins with the scope that was left.
    proof: Proof,
    /// The last version and as many before it as there is room for, newest first.
    versions: Vec<Version>,
}

/// What a passage proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The entry.
    pub uid: Uid,
    /// The scope that it went to.
    pub to: ScopeUid,
    /// Its path there.
    pub to_path: NamePath,
    /// The last version, and those before it.
    pub versions: Vec<Version>,
}

impl Passed {
    /// The version that arrives.
    pub fn head(&self) -> Option<&Version> {
        self.versions.first()
    }
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
    /// The versions are not those of the entry that left.
    #[error("its versions are not those of the entry")]
    Versions,
}

/// Why there is no passage.
#[derive(Debug, thiserror::Error)]
pub enum NoPassage<E: std::error::Error + 'static> {
    /// Nothing left the scope there.
    #[error("no entry left the scope at {0}")]
    Stays(NamePath),
    /// A version that must be there is not.
    #[error("a version of entry {0} is missing; run `kedge verify`")]
    Incomplete(Uid),
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

/// The scope that was left, taken for the root of all names: its own name is nobody's concern.
fn alone(scope: ScopeUid) -> Apex {
    Apex {
        name: Name::root(),
        root: scope,
    }
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
        let (Some(uid), Some(last)) = (redirect.uid, redirect.last) else {
            return Err(stays());
        };
        let name = path.to_name(&Name::root()).map_err(|_| stays())?;
        let proof = prove_below(view, &alone(state.uid), &name)?;
        let mut versions: Vec<Version> = Vec::new();
        let mut byte_count = 0;
        for number in (1..=last.number).rev().take(PASSAGE_VERSIONS_MAX) {
            let version = view.archived(&uid, number).map_err(NoPassage::View)?;
            // What came from elsewhere may have left its oldest versions there.
            let Some(version) = version else { break };
            byte_count += version.to_bytes().len();
            if !versions.is_empty() && byte_count > PASSAGE_HISTORY_BYTES_MAX {
                break;
            }
            versions.push(version);
        }
        if versions.first().map(Version::digest) != Some(last.digest) {
            return Err(NoPassage::Incomplete(uid));
        }
        let passage = Self { proof, versions };
        if passage.to_bytes().len() > PASSAGE_BYTES_MAX {
            return Err(NoPassage::TooLong);
        }
        Ok(passage)
    }

    /// The scope that it claims to be of, not to be trusted.
    pub fn claimed(&self) -> Option<ScopeUid> {
        self.proof.claimed_root()
    }

    /// Checks everything from the genesis of the scope on that the entry left.
    pub fn verify(self, from: &ScopeUid) -> Result<Passed, BadPassage> {
        let proven = self.proof.verify(&alone(*from))?;
        let at = proven.path.to_name(&Name::root());
        if proven.scope != *from || at.as_ref() != Ok(self.proof.name()) {
            return Err(BadPassage::Stays);
        }
        let Some(Entry::Moved(redirect)) = proven.slot.and_then(|slot| slot.entry) else {
            return Err(BadPassage::Stays);
        };
        let Redirect {
            uid: Some(uid),
            scope: to,
            path: to_path,
            last: Some(last),
            ..
        } = redirect
        else {
            return Err(BadPassage::Stays);
        };
        if !is_chain(&self.versions, &uid, last) {
            return Err(BadPassage::Versions);
        }
        Ok(Passed {
            uid,
            to,
            to_path,
            versions: self.versions,
        })
    }
}

/// Whether versions are those of an entry, from its last one backwards without a gap.
fn is_chain(versions: &[Version], uid: &Uid, last: Last) -> bool {
    let mut expected = Some(last);
    for version in versions {
        let holds = expected.is_some_and(|expected| {
            version.uid == *uid
                && version.number == expected.number
                && version.digest() == expected.digest
        });
        if !holds {
            return false;
        }
        expected = version.number.checked_sub(1).map(|number| Last {
            number,
            digest: version.predecessor,
        });
    }
    !versions.is_empty()
}

impl Canonical for Passage {
    fn encode(&self, out: &mut Encoder) {
        self.proof.encode(out);
        out.list(&self.versions);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            proof: Proof::decode(input)?,
            versions: input.list("versions", PASSAGE_VERSIONS_MAX)?,
        })
    }
}

impl Form for Passage {
    const LABEL: &'static str = "kedge/passage";
    const VERSION: u8 = 1;
}
