//! Bodies about entries that move between scopes of several nodes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An entry on its way.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MoveView {
    /// What it is called by.
    pub id: String,
    /// `leaves` a scope of this node, or `comes` to one.
    pub side: String,
    /// `queued`, `held`, `admitted`, `left`, `arrived`, `refused` or `cancelled`.
    pub stage: String,
    /// What it waits for, or why it was refused.
    pub said: String,
    /// Its name in the scope that it leaves, or its path there where the scope has no name here.
    pub from: String,
    /// The same in the scope that it comes to.
    pub to: String,
    /// The entry.
    pub uid: String,
    /// Who asked for it.
    pub author: String,
    /// The other node, by name or key, once it is known.
    pub peer: Option<String>,
    /// Until when a path is asked for.
    pub not_after: String,
    /// Why.
    pub note: String,
    /// When it went on last.
    pub changed: String,
}

/// What left for a scope of another node, and did not arrive.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BringBody {
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// Why a move is refused.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefuseBody {
    /// What the other node is told.
    #[serde(default)]
    pub reason: String,
}
