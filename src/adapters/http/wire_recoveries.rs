//! Bodies about scopes whose anchors are lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who is ready to take over a scope that is held here.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveryOfferBody {
    /// The scope.
    pub name: String,
    /// Where the new anchor runs.
    #[serde(default)]
    pub region: String,
    /// In how many seconds the recovery may be confirmed; what the scope asks for, and some time for
    /// the parent to decide, if none are given.
    #[serde(default)]
    pub after_secs: Option<u64>,
}

/// An offer for the nodes that govern the parent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryOfferView {
    /// The scope.
    pub scope: String,
    /// The height of the block that would recover it.
    pub height: u64,
    /// That block.
    pub block: String,
    /// From when on it may be confirmed.
    pub due: String,
    /// The new anchor's key.
    pub key: String,
    /// The offer.
    pub offer: String,
}

/// A recovery for the parent scope to announce.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnounceRecoveryBody {
    /// The scope below, by its full name.
    pub child: String,
    /// What another node offered; this node takes over if none is given.
    #[serde(default)]
    pub offer: Option<String>,
    /// Where the new anchor of this node runs.
    #[serde(default)]
    pub region: String,
    /// As in an offer, for an anchor of this node.
    #[serde(default)]
    pub after_secs: Option<u64>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// An announced recovery to be confirmed or taken back.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChildBody {
    /// The scope below, by its full name.
    pub child: String,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// For how long a recovery of a scope must be public.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveryDelayBody {
    /// In seconds.
    pub delay_secs: u64,
    /// Refuse unless the scope is still in this epoch.
    #[serde(default)]
    pub if_epoch: Option<u64>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// What the parent scope says of the recovery of a scope.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryView {
    /// `announced`, `due`, `confirmed`, `in force` or `vetoed`.
    pub stage: String,
    /// The block that does it.
    pub block: String,
    /// Its height.
    pub height: u64,
    /// When it was announced.
    pub announced: String,
    /// From when on it may be confirmed.
    pub due: String,
}
