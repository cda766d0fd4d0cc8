//! Bodies of the admin API about who governs a scope, and how.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much weight decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum QuorumRule {
    /// More than two thirds.
    #[serde(rename = "bft")]
    Bft,
    /// More than half; shown as what it is, and also read as `majority`.
    #[serde(rename = "majority (crash-only)", alias = "majority")]
    Majority,
}

/// A scope's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// How much weight decides.
    pub quorum: QuorumRule,
    /// `interactive`, `hourly` or `daily`.
    pub pace: String,
    /// The shortest TTL, in seconds.
    pub ttl_min: u32,
    /// The longest TTL, in seconds.
    pub ttl_max: u32,
    /// How many live entries the scope may hold.
    pub entries_max: u64,
    /// Whether each anchor's weight stays below a third of the sum, where four or more share it.
    pub cap_weight: bool,
    /// The least trust, of 1000, that an anchor needs to propose.
    pub trust_floor: u16,
    /// What routine changes need.
    pub routine: ClassRule,
    /// What renames need.
    pub alias: ClassRule,
    /// What governance needs.
    pub governance: ClassRule,
    /// The record types that a restricted caller sees; addresses if none is listed.
    #[serde(default)]
    pub restricted: Vec<String>,
    /// What a challenged caller is told.
    #[serde(default)]
    pub challenge: String,
    /// Verbs with their class, `read`, `write`, `signal` or `claim`; the usual ones if none is listed.
    #[serde(default)]
    pub verbs: BTreeMap<String, String>,
    /// Who may ask: tests in order, from the first; without any, everybody.
    #[serde(default)]
    pub access: Vec<AccessTest>,
}

/// What a class of changes needs before it is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClassRule {
    /// `author` or `approvals`.
    pub requirement: String,
    /// The least weight of approvals; 0 for the quorum.
    pub weight: u64,
    /// Seconds between the approval that decides and the block.
    pub delay: u32,
    /// Seconds that a proposal may wait.
    pub expiry: u32,
}

/// One test of an access graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessTest {
    /// What other tests call it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `source PREFIX`, `transport udp`, `hours 08:00-18:00 mon-fri`, `type A,TXT`, `class write`
    /// or `verb WORD`.
    pub when: String,
    /// `allow`, `restrict`, `challenge`, `refuse`, `hide`, `next`, or the name of a later test.
    pub then: String,
    /// The same; `next` unless told. After the last test, `next` refuses.
    #[serde(default = "next", rename = "else", skip_serializing_if = "is_next")]
    pub otherwise: String,
}

fn next() -> String {
    "next".to_owned()
}

fn is_next(text: &str) -> bool {
    text == "next"
}

/// A policy to put in force.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyBody {
    /// The policy, whole.
    pub policy: Policy,
    /// Refuse unless the scope is still in this epoch, in which the present one was read.
    #[serde(default)]
    pub if_epoch: Option<u64>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// What one key may propose besides the anchors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GrantView {
    /// The public key.
    pub key: String,
    /// Who holds it.
    #[serde(default)]
    pub holder: String,
    /// The names, as a pattern relative to the scope.
    pub names: String,
    /// The record types; none for all.
    #[serde(default)]
    pub types: Vec<String>,
    /// `register`, `update`, `retire`, `rename`, `move`, `announce`.
    pub deeds: Vec<String>,
    /// Changes in a day; 0 for any number.
    #[serde(default)]
    pub changes_per_day: u32,
}

/// The grants of a scope, all of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantsBody {
    /// The grants.
    pub grants: Vec<GrantView>,
    /// Refuse unless the scope is still in this epoch, in which the present ones were read.
    #[serde(default)]
    pub if_epoch: Option<u64>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// One seat of a group to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatBody {
    /// The anchor's identity; none for a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// The vote key; none makes a new key on this node.
    #[serde(default)]
    pub key: Option<String>,
    /// The weight.
    pub weight: u32,
    /// Where it runs.
    #[serde(default)]
    pub region: String,
    /// Who runs it.
    #[serde(default)]
    pub organisation: String,
}

/// The anchors of a scope, all of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnchorsBody {
    /// The seats.
    pub anchors: Vec<SeatBody>,
    /// Refuse unless the scope is still in this epoch, in which the present ones were read.
    #[serde(default)]
    pub if_epoch: Option<u64>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// How one anchor voted, and the weight that speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrustView {
    /// The anchor.
    pub anchor: String,
    /// Whether it has a seat now.
    pub seated: bool,
    /// Trust out of 1000.
    pub trust: u16,
    /// Votes that agreed with the outcome.
    pub aligned: u32,
    /// Votes that did not.
    pub contested: u32,
    /// Proposals that expired without its vote.
    pub missed: u32,
    /// Proposals on which it signed both a yes and a no.
    pub contradicted: u32,
    /// Its weight now; 0 without a seat.
    pub weight: u32,
    /// The weight that its record speaks for, after the cap.
    pub earned_weight: u32,
}
