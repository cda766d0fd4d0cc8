//! Bodies of the admin API. Names and records are text as in a zone file; times are RFC 3339.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::audited::AuditView;
use super::wire_government::{GrantView, Policy};
use super::wire_leases::LeaseCounts;
use super::wire_peers::LearnedCounts;
use super::wire_proposals::{LateVoteView, VoteView};

/// The version every path starts with.
pub const PREFIX: &str = "/v1";

/// A record set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The data of each record.
    pub data: Vec<String>,
}

/// A change of one record set.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutBody {
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The TTL in seconds.
    #[serde(default = "default_ttl")]
    pub ttl: u32,
    /// The data of each record; none removes the set.
    pub data: Vec<String>,
    /// Keep the records that are there.
    #[serde(default)]
    pub add: bool,
    /// The version the author saw.
    #[serde(default)]
    pub if_version: Option<u64>,
    /// No record set may be left.
    #[serde(default)]
    pub may_empty: bool,
    /// Why.
    #[serde(default)]
    pub note: String,
}

fn default_ttl() -> u32 {
    60
}

/// A new name for an entry.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameBody {
    /// The new name.
    pub to: String,
    /// Whether everything below goes along.
    #[serde(default)]
    pub subtree: bool,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// The end of an entry.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireBody {
    /// The version the author saw.
    #[serde(default)]
    pub if_version: Option<u64>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// Record sets of an older version.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoBody {
    /// The version to go back to, by number or tag; the one before the head unless told.
    #[serde(default)]
    pub to: Option<String>,
    /// The version the author saw.
    #[serde(default)]
    pub if_version: Option<u64>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// A tag for a version.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagBody {
    /// The version, by number or another tag; the head unless told.
    #[serde(default)]
    pub version: Option<String>,
    /// Take the tag away.
    #[serde(default)]
    pub remove: bool,
    /// The version the author saw as the head.
    #[serde(default)]
    pub if_version: Option<u64>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// A tag and the version that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagView {
    /// The tag.
    pub tag: String,
    /// The number of the version.
    pub version: u64,
}

/// A new scope.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewScopeBody {
    /// Its name.
    pub name: String,
    /// Whether it is the root of a new apex.
    #[serde(default)]
    pub apex: bool,
    /// Where its anchor runs.
    #[serde(default)]
    pub region: String,
    /// What another node offered; the scope is then held there and not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// A scope that this node is ready to govern.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferBody {
    /// The name it will have.
    pub name: String,
    /// The UID of the scope that shall delegate it.
    pub parent: String,
    /// Where its anchor runs.
    #[serde(default)]
    pub region: String,
}

/// An offer for the node that holds the parent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OfferView {
    /// The scope's UID.
    pub uid: String,
    /// The offer.
    pub offer: String,
}

/// What became of a change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DoneView {
    /// `committed`, `rejected`, `withdrawn`, `recorded` or `pending`; `queued` for a move to a scope of
    /// other nodes.
    pub outcome: String,
    /// The scope that decides.
    pub scope: String,
    /// The height of the block, if there is one.
    pub height: Option<u64>,
    /// The block's digest.
    pub block: Option<String>,
    /// The block's time.
    pub time: Option<String>,
    /// The proposal that waits, or the petition of the move.
    pub proposal: Option<String>,
    /// What it waits for.
    pub lacks: Option<String>,
}

/// What a name holds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NameView {
    /// The name.
    pub name: String,
    /// The name as an alias; none for the root and top-level names.
    pub alias: Option<String>,
    /// The scope that decides over it.
    pub scope: String,
    /// `bound`, `moved`, `delegated`, `retired`, `reserved` or `empty`; `past` for a version that is
    /// no longer the head.
    pub state: String,
    /// The entry's UID.
    pub uid: Option<String>,
    /// The number of the version shown; the head's unless another was asked for.
    pub version: Option<u64>,
    /// The time of that version.
    pub time: Option<String>,
    /// The record sets.
    pub sets: Vec<Set>,
    /// The tags of this version and those before, as they were then.
    pub tags: Vec<TagView>,
    /// Where a redirect leads.
    pub to: Option<String>,
    /// How many names lie below in the same scope.
    pub below: u64,
    /// The moment that was looked back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<super::wire_past::Moment>,
}

/// A proof of one name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProofView {
    /// The apex.
    pub apex: String,
    /// The UID of its root scope, from which the proof starts.
    pub root: String,
    /// The proof.
    pub proof: String,
}

/// One version of an entry.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct VersionView {
    /// The number.
    pub version: u64,
    /// Why it came to be.
    pub change: String,
    /// When.
    pub time: String,
    /// The name at that time, as far as its scope is known here.
    pub name: String,
    /// The scope that decided.
    pub scope: String,
    /// The height of the block.
    pub height: Option<u64>,
    /// The proposal.
    pub proposal: String,
    /// Who signed the proposal.
    pub author: Option<String>,
    /// The author's reason.
    pub note: Option<String>,
    /// The digest, which the next version names.
    pub digest: String,
    /// The record sets.
    pub sets: Vec<Set>,
    /// The tags of this version and those before, as they were then.
    pub tags: Vec<TagView>,
}

/// The history of an entry, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HistoryView {
    /// The entry.
    pub uid: String,
    /// Its versions.
    pub versions: Vec<VersionView>,
}

/// One anchor of a scope.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AnchorView {
    /// The seat.
    pub id: String,
    /// The vote key.
    pub key: String,
    /// The weight.
    pub weight: u32,
    /// Where it runs.
    pub region: String,
    /// Who runs it.
    pub organisation: String,
    /// Trust out of 1000, from how it voted.
    pub trust: u16,
}

/// A scope.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ScopeView {
    /// The name.
    pub name: String,
    /// The UID; for an apex, the genesis to pin.
    pub uid: String,
    /// The epoch.
    pub epoch: u64,
    /// The height of the last block.
    pub height: u64,
    /// The digest of the last block.
    pub head: String,
    /// The time of the last block.
    pub time: String,
    /// The digest of the descriptor in force.
    pub descriptor: String,
    /// The state root.
    pub state_root: String,
    /// Live entries.
    pub entries: u64,
    /// The anchors.
    pub anchors: Vec<AnchorView>,
    /// The weight that decides.
    pub quorum_weight: u64,
    /// The rule behind it, in words.
    pub quorum: String,
    /// The policy.
    pub policy: Policy,
    /// What keys besides the anchors' may propose.
    pub grants: Vec<GrantView>,
    /// Why this node decides nothing in it until it starts again; none where nothing went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// Why anchors here sit the next height out; none where they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted: Option<String>,
    /// How fresh it is; none where this node alone decides over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<super::wire_peers::FreshnessView>,
}

/// A proposal in a lineage.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProposalView {
    /// The digest.
    pub id: String,
    /// The class.
    pub class: String,
    /// Who signed it.
    pub author: String,
    /// Why.
    pub note: String,
    /// What it changes: verb and name, at most some.
    pub changes: Vec<String>,
    /// How many changes there are in all.
    pub change_count: usize,
    /// `passed`, `rejected` or `withdrawn`.
    pub fate: String,
    /// Why it was withdrawn.
    pub reason: Option<String>,
    /// The approvals and objections that were counted.
    pub votes: Vec<VoteView>,
}

/// A block of a lineage.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BlockView {
    /// Whether the scope above decided it, because the anchors were lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recovered: bool,
    /// The scope.
    pub scope: String,
    /// The height.
    pub height: u64,
    /// The digest.
    pub block: String,
    /// The digest of the block before.
    pub prev: String,
    /// The time.
    pub time: String,
    /// The epoch.
    pub epoch: u64,
    /// The state root.
    pub state_root: String,
    /// Signatures of the certificate.
    pub signatures: usize,
    /// What it decided.
    pub proposals: Vec<ProposalView>,
    /// Votes on proposals that were decided before.
    pub late_votes: Vec<LateVoteView>,
}

/// A zone file that is served.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ZoneView {
    /// The zone.
    pub origin: String,
    /// The serial number.
    pub serial: u32,
    /// How many records.
    pub records: usize,
}

/// Why a question got its answer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ExplainView {
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The caller it was asked for.
    pub from: String,
    /// The time that was looked back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The steps in order.
    pub steps: Vec<String>,
    /// What became of it.
    pub outcome: String,
    /// The side the answer came from.
    pub side: String,
    /// Whether the answer is authoritative.
    pub authoritative: bool,
    /// Whether the answer was validated, here or by a trusted upstream.
    pub authentic: bool,
    /// The answer section.
    pub answers: Vec<String>,
    /// The authority section.
    pub authorities: Vec<String>,
    /// The additional section.
    pub additionals: Vec<String>,
    /// Extended errors.
    pub errors: Vec<String>,
    /// Until when and for whom listeners keep the answer to a datagram; none for other questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<String>,
    /// How long it took, in microseconds.
    pub elapsed_us: u64,
}

/// A finding of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindingView {
    /// `ok`, `warn` or `fail`.
    pub level: String,
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What `verify` checked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct VerifyView {
    /// Scopes.
    pub scopes: u64,
    /// Blocks.
    pub blocks: u64,
    /// Proposals.
    pub proposals: u64,
    /// Entries compared.
    pub entries: u64,
    /// Scopes that decide by a majority, which is crash-only: one lying anchor could fork them.
    pub crash_only: u64,
}

/// The node as a whole.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// The program's version.
    pub version: String,
    /// The governed trees.
    pub apexes: Vec<String>,
    /// Scopes held.
    pub scopes: u32,
    /// Blocks committed.
    pub commits: u64,
    /// Zones served.
    pub zones: usize,
    /// Whether anything can be forwarded.
    pub forwards: bool,
    /// Legacy answers in the cache.
    pub cache_entries: usize,
    /// Their bytes.
    pub cache_bytes: u64,
    /// Legacy questions answered from the cache.
    pub cache_hits: u64,
    /// Legacy questions sent to upstreams.
    pub exchanges: u64,
    /// What is known of scopes of other nodes.
    pub learned: LearnedCounts,
    /// Instances of services.
    pub leases: LeaseCounts,
    /// The audit log, if one is kept.
    pub audit: Option<AuditView>,
}

/// A failed call.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
}
