//! Bodies about other nodes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// This node, as others see it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NodeView {
    /// Its key among nodes.
    pub id: String,
    /// Where it listens for peers.
    pub addresses: Vec<String>,
    /// Where it runs.
    pub region: String,
    /// All that a peer needs to know, in one word.
    pub ticket: String,
}

/// Another node.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerView {
    /// What it is called here.
    pub name: String,
    /// Its key among nodes.
    pub id: String,
    /// Where it runs.
    pub region: String,
    /// Where it is dialled.
    pub addresses: Vec<String>,
    /// Whether there is a connection.
    pub connected: bool,
    /// The round trip, in microseconds.
    pub rtt_us: Option<u64>,
    /// When it was last heard.
    pub heard: Option<String>,
    /// Scopes that are followed there.
    pub mirrors: u64,
    /// Blocks that it has of them, by its word, and that are not here yet.
    pub behind: u64,
    /// Requests of it that were answered.
    pub answered: u64,
    /// Requests of it that were turned down.
    pub refused: u64,
    /// What it did wrong, in number.
    pub complaints: u64,
    /// And the last of it, or why there is no connection.
    pub last_error: Option<String>,
}

/// A scope that is to be followed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorBody {
    /// The peers to ask, by name or key.
    pub from: Vec<String>,
    /// The UID of the root scope, where the name is an apex that is not here yet.
    #[serde(default)]
    pub genesis: Option<String>,
}

/// A scope that is followed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MirrorView {
    /// Its name.
    pub scope: String,
    /// Its UID.
    pub uid: String,
    /// The peers that are asked.
    pub from: Vec<String>,
    /// Since when.
    pub since: String,
    /// The height of the last block that is held.
    pub height: u64,
    /// That block.
    pub block: String,
    /// The peer that was heard of it last.
    pub heard_from: Option<String>,
    /// When.
    pub heard: Option<String>,
    /// The height that it has there.
    pub height_there: u64,
    /// Why it may be behind.
    pub error: Option<String>,
    /// The height at which it forked; it is frozen then.
    pub forked: Option<u64>,
}

/// What other nodes proved of scopes that are not held.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct LearnedCounts {
    /// Scopes of which something is known.
    pub scopes: usize,
    /// Names, or places beside them, of which it is known what stands there.
    pub places: usize,
    /// Times that other nodes were asked.
    pub asked: u64,
    /// Times that one proved what was asked.
    pub learned: u64,
    /// Times that nobody did.
    pub failed: u64,
}
