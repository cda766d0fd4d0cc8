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
    pub word: String,
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
    /// The version of requests and replies that is spoken with it, while it is connected.
    #[serde(default)]
    pub version: Option<u16>,
    /// Its program, by its own word.
    #[serde(default)]
    pub software: String,
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
    /// Whether it is known by a ticket, and not by the configuration.
    pub by_ticket: bool,
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

/// A seat that this node will ask for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatKeyBody {
    /// The scope.
    pub scope: String,
}

/// The key for a seat, kept by this node.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SeatKeyView {
    /// The public key.
    pub key: String,
    /// All that whoever invites needs to know, in one word.
    pub word: String,
}

/// A seat for another node.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteBody {
    /// What `kedge join --prepare` printed there: KEY/ID@ADDRESS,ADDRESS.
    pub node: String,
    /// The weight of the seat.
    #[serde(default = "one")]
    pub weight: u32,
    /// Where the anchor runs.
    #[serde(default)]
    pub region: String,
    /// Who runs it.
    #[serde(default)]
    pub organisation: String,
    /// How long the ticket counts, in seconds.
    #[serde(default)]
    pub lifetime: Option<u32>,
    /// Where the other node dials this one; where it listens, if nobody says.
    #[serde(default)]
    pub at: Vec<String>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

const fn one() -> u32 {
    1
}

/// A ticket.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TicketView {
    /// The line of text.
    pub ticket: String,
    /// Until when it counts.
    pub not_after: String,
    /// The proposal of the seat, which waits for the other node.
    pub proposal: String,
    /// What it lacks, also besides.
    pub lacks: String,
}

/// A ticket that is used.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinBody {
    /// The line of text.
    pub ticket: String,
}

/// What came of a ticket.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct JoinView {
    /// The scope.
    pub scope: String,
    /// Its UID.
    pub uid: String,
    /// The scopes that are followed for it, from the apex down.
    pub mirrors: Vec<String>,
    /// What the node that invited is called here.
    pub from: String,
    /// The key that votes.
    pub key: String,
    /// The weight of the seat.
    pub weight: u32,
    /// `seated`, or `accepted` while others have to decide.
    pub outcome: String,
    /// The proposal of the seat.
    pub proposal: String,
    /// What is awaited; nothing of a seat that is there.
    pub awaits: Option<String>,
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
    /// How fresh it is; nothing before it is held.
    pub freshness: Option<FreshnessView>,
}

/// How fresh a scope is that is followed, or governed together with other nodes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FreshnessView {
    /// fresh, stale or expired; nothing where seats of this node help to decide.
    pub state: Option<String>,
    /// Up to when anchors of enough weight confirmed that nothing newer was there.
    pub confirmed: Option<String>,
    /// The weight of the anchors whose last beacons know of nothing newer.
    pub weight: u64,
    /// The weight that confirms.
    pub needed: u64,
    /// The highest block that an anchor holds above the last one here.
    pub ahead: Option<u64>,
    /// All that in words.
    pub said: String,
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
