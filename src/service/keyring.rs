//! `Keyring`: the secret keys of this node's seats.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::base::keys::{PublicKey, SecretKey};
use crate::base::signed::{NotVerified, Signed, Verified};
use crate::governance::approval::Approval;
use crate::governance::descriptor::Descriptor;
use crate::governance::op::{Op, Precondition};
use crate::governance::policy::Requirement;
use crate::governance::proposal::Proposal;
use crate::index::admission::Candidate;
use crate::index::refusal::Refusal;
use crate::index::state::ScopeState;

/// How many blocks a proposal made here stays valid: enough for any queue, few enough that a lost
/// one cannot come back after weeks.
const VALID_FOR_HEIGHTS: u64 = 10_000;

/// Secret keys by their public half; grows when scopes are created.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: RwLock<BTreeMap<PublicKey, SecretKey>>,
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

impl Keyring {
    /// A keyring of these keys.
    pub fn new(keys: impl IntoIterator<Item = SecretKey>) -> Self {
        let keys = keys.into_iter().map(|key| (key.public(), key)).collect();
        Self {
            keys: RwLock::new(keys),
        }
    }

    /// Adds a key.
    pub fn add(&self, key: SecretKey) {
        self.keys
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.public(), key);
    }

    /// The keys that have a seat in a descriptor.
    pub fn seats(&self, descriptor: &Descriptor) -> Vec<SecretKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let anchors = descriptor.anchors.anchors().iter();
        anchors
            .filter_map(|anchor| keys.get(&anchor.vote_key).cloned())
            .collect()
    }

    /// Makes a draft a proposal of this node: authored and signed by its first seat, approved by
    /// all its seats where the policy asks for approvals.
    pub fn author(&self, state: &ScopeState, draft: Draft) -> Result<Candidate, Refusal> {
        let seats = self.seats(&state.descriptor);
        let needed = state.descriptor.quorum_weight();
        let author = seats.first().ok_or(Refusal::Quorum { weight: 0, needed })?;
        let class = Proposal::class_of(&draft.ops);
        let not_after_height = state.height.saturating_add(VALID_FOR_HEIGHTS);
        let proposal = Proposal {
            scope: state.uid,
            class,
            ops: draft.ops,
            preconditions: draft.preconditions,
            author: author.public(),
            nonce: draft.nonce,
            not_after_height,
            note: draft.note,
        };
        let proposal = Verified::sign(proposal, author).map_err(|refused| match refused {
            NotVerified::Form(error) => Refusal::Form(error),
            NotVerified::Signature { signer } => Refusal::Author {
                author: signer.short(),
                class,
            },
        })?;
        let approvals = match state.descriptor.policy.requirement(class) {
            Requirement::Author => Vec::new(),
            Requirement::Approvals => seats
                .iter()
                .map(|key| {
                    let approval = Approval {
                        scope: state.uid,
                        proposal: proposal.digest(),
                        yes: true,
                        not_after_height,
                        anchor: key.public(),
                    };
                    Signed::new(approval, key).map_err(Refusal::Form)
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(Candidate {
            proposal,
            approvals,
        })
    }
}
