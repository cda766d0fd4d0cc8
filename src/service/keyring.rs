//! `Keyring`: what signs for this node's seats.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::base::keys::{NotSigned, PublicKey, Signer};
use crate::base::signed::{Authored, Signed, SigningError, Verified};
use crate::base::time::Timestamp;
use crate::governance::anchor::SeatSignature;
use crate::governance::descriptor::Descriptor;
use crate::governance::op::{Op, Precondition};
use crate::governance::proposal::Proposal;
use crate::index::admission::Candidate;
use crate::index::refusal::Refusal;
use crate::index::state::ScopeState;

/// Signers by their public key; grows when scopes are created.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: RwLock<BTreeMap<PublicKey, Arc<dyn Signer>>>,
}

/// Why this node signed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Whoever has the key did not sign.
    #[error(transparent)]
    Signer(#[from] NotSigned),
}

/// What an author wants of a scope.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The changes.
    pub ops: Vec<Op>,
    /// What must still hold.
    pub preconditions: Vec<Precondition>,
    /// Why.
    pub note: String,
    /// Makes equal drafts two.
    pub nonce: u64,
}

impl From<SigningError> for KeyringError {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Form(error) => Refusal::Form(error).into(),
            SigningError::OtherKey { .. } => Refusal::NotAuthor.into(),
            SigningError::Signer(error) => error.into(),
        }
    }
}

impl Keyring {
    /// A keyring of these keys.
    pub fn new<K: Signer + 'static>(keys: impl IntoIterator<Item = K>) -> Self {
        let keyring = Self::default();
        for key in keys {
            keyring.add(key);
        }
        keyring
    }

    /// Adds a key.
    pub fn add<K: Signer + 'static>(&self, key: K) {
        self.keys
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.public(), Arc::new(key));
    }

    /// Whether a key is here.
    pub fn holds(&self, key: &PublicKey) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.contains_key(key)
    }

    /// The keys that have a seat in a descriptor.
    pub fn seats(&self, descriptor: &Descriptor) -> Vec<Arc<dyn Signer>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let anchors = descriptor.anchors.anchors().iter();
        anchors
            .filter_map(|anchor| keys.get(&anchor.vote_key).cloned())
            .collect()
    }

    /// Makes a draft a proposal of this node, authored and signed by its first seat.
    pub fn author(
        &self,
        state: &ScopeState,
        draft: Draft,
        now: Timestamp,
    ) -> Result<Candidate, KeyringError> {
        let seats = self.seats(&state.descriptor);
        let needed = state.descriptor.quorum_weight();
        let author = seats.first().ok_or(Refusal::Quorum { weight: 0, needed })?;
        let proposal = proposal(state, draft, author.public(), now);
        let class = proposal.class;
        let proposal = Verified::sign(proposal, author).map_err(|error| match error {
            SigningError::Form(error) => Refusal::Form(error).into(),
            SigningError::Signer(error) => KeyringError::Signer(error),
            SigningError::OtherKey { signer } => {
                let author = signer.short();
                Refusal::Author { author, class }.into()
            }
        })?;
        let mut candidate = Candidate::new(proposal);
        candidate.seats = self.accept(&candidate.proposal.object().ops)?;
        Ok(candidate)
    }

    /// The signatures by which anchors of this node take the seats that changes give them.
    pub fn accept(&self, ops: &[Op]) -> Result<Vec<SeatSignature>, NotSigned> {
        let next = ops.iter().find_map(|op| match op {
            Op::Reconfigure { next } => Some(next),
            _ => None,
        });
        next.map_or(Ok(Vec::new()), |next| next.accept_seats(&self.seats(next)))
    }

    /// Signs something with the key of one of this node's seats; none without that key.
    pub fn sign<T: Authored + PartialEq>(
        &self,
        object: T,
    ) -> Option<Result<Signed<T>, KeyringError>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.get(&object.signer()).cloned()?;
        // Whoever has the key may take a while; the ring stays free meanwhile.
        drop(keys);
        Some(Signed::new(object, &key).map_err(KeyringError::from))
    }
}

/// A proposal for a scope as it is now, not yet signed.
pub fn proposal(state: &ScopeState, draft: Draft, author: PublicKey, now: Timestamp) -> Proposal {
    let class = Proposal::class_of(&draft.ops);
    let made = state.next_time(now);
    let expiry_secs = state.descriptor.policy.rule(class).expiry_secs;
    Proposal {
        scope: state.uid,
        class,
        ops: draft.ops,
        preconditions: draft.preconditions,
        author,
        nonce: draft.nonce,
        made,
        not_after: made.plus_millis(u64::from(expiry_secs) * 1_000),
        note: draft.note,
    }
}
