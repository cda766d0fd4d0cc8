//! Bodies of the admin API about proposals and votes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes of one scope that happen together or not at all.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftBody {
    /// The scope.
    pub scope: String,
    /// The changes, in order.
    pub changes: Vec<ChangeBody>,
    /// The public key that will sign; a key of this node if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// One change of a draft. Names without a final dot are relative to the scope; `@` is its own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, tag = "change", rename_all = "kebab-case")]
pub enum ChangeBody {
    /// A record set has these records from now on; the name is registered if it is not there.
    Put {
        /// The name.
        name: String,
        /// The type.
        #[serde(rename = "type")]
        kind: String,
        /// The TTL in seconds.
        #[serde(default = "default_ttl")]
        ttl: u32,
        /// The data of each record.
        data: Vec<String>,
    },
    /// A record set has no records from now on.
    Remove {
        /// The name.
        name: String,
        /// The type.
        #[serde(rename = "type")]
        kind: String,
    },
    /// A name ends.
    Retire {
        /// The name.
        name: String,
    },
    /// A tag goes to a version of a name, or from it.
    Tag {
        /// The name.
        name: String,
        /// The tag.
        tag: String,
        /// The number of the version; none to take the tag away.
        version: Option<u64>,
    },
    /// A name or subtree gets another name in the scope.
    Rename {
        /// The present name.
        name: String,
        /// The new name.
        to: String,
        /// Whether everything below goes along.
        #[serde(default)]
        subtree: bool,
    },
}

fn default_ttl() -> u32 {
    60
}

/// A draft as it would be proposed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DraftView {
    /// The proposal's bytes to sign, in base64url; none if this node's own key would sign it.
    pub proposal: Option<String>,
    /// What it would change.
    pub impact: ImpactView,
}

/// Something that was signed elsewhere: canonical bytes in base64url.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedBody {
    /// The bytes.
    pub signed: String,
}

/// A vote with this node's seats.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VoteBody {
    /// First digits of the identities of the seats; every seat of this node if none is given.
    #[serde(default)]
    pub anchors: Vec<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A proposal that waits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct WaitingView {
    /// The digest.
    pub id: String,
    /// The scope that decides.
    pub scope: String,
    /// How much of the scope's weight decides, in words.
    pub quorum: String,
    /// The class.
    pub class: String,
    /// Who signed it.
    pub author: String,
    /// Why.
    pub note: String,
    /// When it was made.
    pub made: String,
    /// When it expires.
    pub not_after: String,
    /// What it changes: verb and name, at most some.
    pub changes: Vec<String>,
    /// How many changes there are in all.
    pub change_count: usize,
    /// The weight that approved, as far as it counts now.
    pub weight: u64,
    /// The weight needed; none if only time or seats are lacking.
    pub needed: Option<u64>,
    /// What it waits for.
    pub lacks: String,
    /// The votes, with those that no longer count.
    pub votes: Vec<VoteView>,
    /// What it would change; none while it could not be in force.
    pub impact: Option<ImpactView>,
    /// The signed proposal's canonical bytes in base64url.
    pub signed: String,
}

/// One anchor's vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VoteView {
    /// The anchor's vote key.
    pub key: String,
    /// Whether it approves.
    pub yes: bool,
    /// When.
    pub time: String,
    /// Why.
    pub reason: String,
    /// The digest of the impact that it was shown.
    pub impact: String,
}

/// A vote on a proposal that was decided before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LateVoteView {
    /// The proposal.
    pub proposal: String,
    /// The vote.
    pub vote: VoteView,
}

/// What a proposal would change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ImpactView {
    /// The digest that approvals name.
    pub digest: String,
    /// How many names would answer differently.
    pub name_count: usize,
    /// These names, at most some: before and after.
    pub names: Vec<String>,
    /// Tags that would stand for other versions, at most some: before and after.
    pub tags: Vec<String>,
    /// How many entries would get a new version.
    pub entries: usize,
    /// How many entries would be new.
    pub registered: u64,
    /// How many delegations would change.
    pub delegations: usize,
    /// Seconds for which resolvers may keep what was answered before.
    pub kept_secs: u32,
    /// What more would be allowed.
    pub widened: Vec<String>,
    /// What would no longer be allowed.
    pub narrowed: Vec<String>,
    /// The descriptor that would be in force, if another one.
    pub descriptor: Option<String>,
    /// The impact's canonical bytes in base64url, if they are not too long to show.
    pub bytes: Option<String>,
}
