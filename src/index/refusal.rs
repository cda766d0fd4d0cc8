//! `Refusal`: why a proposal is not in force. A refusal changes nothing.

use crate::base::canonical::DecodeError;
use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::governance::anchor::AnchorId;
use crate::governance::policy::Class;
use crate::governance::recovery::BadRecovery;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::record::BadRecordSet;
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::namespace::version_name::TAGS_MAX;

/// Why a proposal cannot be decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The scope is not held here.
    #[error("scope {} is not held by this node", .0.short())]
    UnknownScope(ScopeUid),
    /// The scope is decided over elsewhere and followed here.
    #[error("scope {} is a mirror on this node; it changes where its keys are", .0.short())]
    Mirrored(ScopeUid),
    /// Two blocks of one height have certificates.
    #[error("scope {} forked at height {height} and is frozen on this node", .scope.short())]
    Frozen {
        /// The scope.
        scope: ScopeUid,
        /// The height.
        height: u64,
    },
    /// The proposal names no change.
    #[error("the proposal holds no change")]
    NoChange,
    /// It has no canonical form: a text too long, a label that is none, too many changes.
    #[error("the proposal cannot be stored: {0}")]
    Form(DecodeError),
    /// The class in the proposal is not that of its changes.
    #[error("the proposal says it is {said} but its changes are {is}")]
    Class {
        /// What it says.
        said: Class,
        /// What it is.
        is: Class,
    },
    /// The author is no anchor, and no grant of the key covers the changes.
    #[error("key {author} may not propose these {class} changes to this scope")]
    Author {
        /// The first digits of the author's key.
        author: String,
        /// The class of the changes.
        class: Class,
    },
    /// It was decided before.
    #[error("the proposal was decided before, at height {height}")]
    Repeated {
        /// The height.
        height: u64,
    },
    /// Its time is over.
    #[error("the proposal was valid up to {not_after}; the scope is at {time}")]
    Expired {
        /// The last time.
        not_after: Timestamp,
        /// The time now.
        time: Timestamp,
    },
    /// It comes from the future.
    #[error("it was made at {made}, but it is {time}: a clock is wrong")]
    Clock {
        /// When it says it was made.
        made: Timestamp,
        /// The time now.
        time: Timestamp,
    },
    /// It would stay valid for longer than the policy allows.
    #[error("it would stay valid for {secs} s; the policy allows {max}")]
    Lifetime {
        /// For how long, in seconds.
        secs: u64,
        /// The policy's maximum, in seconds.
        max: u32,
    },
    /// The author's changes of the day are used up.
    #[error("the author's grants allow {max} changes a day; {used} are used")]
    Quota {
        /// The changes used, under any grant.
        used: u32,
        /// The largest maximum of the grants that cover the change.
        max: u32,
    },
    /// The author's trust is too low to propose.
    #[error("the author's trust is {trust} of 1000; {floor} is needed to propose")]
    Trust {
        /// The trust.
        trust: u16,
        /// The policy's floor.
        floor: u16,
    },
    /// Too few approvals.
    #[error("approved by weight {weight}; {needed} is needed")]
    Approvals {
        /// The weight found.
        weight: u64,
        /// The weight needed.
        needed: u64,
    },
    /// Approved, but the policy's delay is not over.
    #[error("approved; it takes force at {until}")]
    Delayed {
        /// When the delay is over.
        until: Timestamp,
    },
    /// It waits for no votes here.
    #[error("no such proposal waits for approvals, and none is open for late votes")]
    NoProposal,
    /// It is no anchor's, or not about the proposal.
    #[error("the vote is of no anchor of this scope, or about another proposal")]
    NoVoice,
    /// The anchor has voted.
    #[error("anchor {} has voted on it", .0.short())]
    Voted(AnchorId),
    /// The anchor has voted the opposite; the evidence is kept.
    #[error("anchor {} has voted the opposite on the same impact; the evidence is kept", .0.short())]
    Contradiction(AnchorId),
    /// The vote is about another impact than the proposal has now.
    #[error("the impact is {is} now: what was shown has changed")]
    Impact {
        /// The digest of the present impact.
        is: Digest,
    },
    /// A signature does not hold.
    #[error("the signature of the {0} does not hold")]
    Signature(&'static str),
    /// Only the author takes a proposal back.
    #[error("only its author can withdraw a proposal")]
    NotAuthor,
    /// Too many proposals wait.
    #[error("too much waits already: at most {max} {what}")]
    PendingFull {
        /// What of whom.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The keys held here cannot certify a block.
    #[error("this node holds weight {weight} of this scope; {needed} is needed to commit")]
    Quorum {
        /// The weight held.
        weight: u64,
        /// The weight needed.
        needed: u64,
    },
    /// Something that anchors on several nodes do not do together yet.
    #[error("anchors on several nodes govern this scope: {0}")]
    Joint(&'static str),
    /// The entry has no such version.
    #[error("entry {0} has no version {1}")]
    NoVersion(Uid, u64),
    /// An entry carries only so many tags.
    #[error("an entry carries at most {TAGS_MAX} tags")]
    TooManyTags,
    /// The scope has moved to another epoch.
    #[error("the scope is in epoch {is}, not {expected}")]
    Epoch {
        /// What the author saw.
        expected: u64,
        /// What is.
        is: u64,
    },
    /// The entry has changed since the author looked.
    #[error("entry {uid} is at version {is}, not {expected}: it changed in the meantime")]
    Stale {
        /// The entry.
        uid: Uid,
        /// What the author saw.
        expected: u64,
        /// What is.
        is: u64,
    },
    /// The entry is not bound in this scope.
    #[error("entry {0} is not bound in this scope")]
    NotHere(Uid),
    /// The path is in use.
    #[error("{0} is taken")]
    Taken(NamePath),
    /// A label that answers for the program.
    #[error("{0} contains a label that the server answers itself (_uid, _gov, _ver, _act)")]
    ReservedLabel(NamePath),
    /// An apex at, above or below another one, or at the root of DNS.
    #[error("{name} cannot be an apex: {reason}")]
    Apex {
        /// The name.
        name: Name,
        /// Why.
        reason: &'static str,
    },
    /// A zone cut at a scope's own name would cut the whole scope off.
    #[error("NS records at a scope's own name would hand the whole scope to other servers")]
    CutAtScope,
    /// Nothing is at the path.
    #[error("there is no entry at {0}")]
    NoEntry(NamePath),
    /// A redirect or a delegation is at the path, not an entry with records.
    #[error("{path} is {is}")]
    NotBound {
        /// The path.
        path: NamePath,
        /// What it is instead.
        is: &'static str,
    },
    /// A path above belongs to somebody else.
    #[error("{path} lies below {above}, which is {is}")]
    Occluded {
        /// The path.
        path: NamePath,
        /// The path above.
        above: NamePath,
        /// What is there.
        is: &'static str,
    },
    /// Names lie below a path that may have none.
    #[error("{count} names lie below {path}")]
    NamesBelow {
        /// The path.
        path: NamePath,
        /// How many.
        count: u64,
    },
    /// The change would leave no record set, and does not say that it means to.
    #[error("{0} would be left without any record")]
    WouldBeEmpty(NamePath),
    /// The same type twice in one change.
    #[error("{0} appears twice in one change")]
    RepeatedType(RecordType),
    /// A type that cannot be stored in a governed entry.
    #[error("{0} records cannot be part of a governed entry")]
    Type(RecordType),
    /// CNAME beside other types, or at an apex.
    #[error("a CNAME stands alone at its name and never at an apex")]
    CnameBeside,
    /// Too many types or bytes at one name.
    #[error("an entry holds too many record sets or bytes")]
    EntryTooLarge,
    /// A TTL outside the policy's bounds.
    #[error("TTL {ttl} is outside the policy's {min}..={max}")]
    Ttl {
        /// The TTL.
        ttl: u32,
        /// The policy's minimum.
        min: u32,
        /// The policy's maximum.
        max: u32,
    },
    /// The records make no set.
    #[error(transparent)]
    Set(#[from] BadRecordSet),
    /// The scope is full.
    #[error("the scope holds its {max} entries")]
    Full {
        /// The policy's maximum.
        max: u64,
    },
    /// A subtree too large for one step.
    #[error("the subtree holds more than {max} names; rename it in parts")]
    SubtreeTooLarge {
        /// The most names in one step.
        max: usize,
    },
    /// The new path lies inside the subtree that moves, or the full name would be too long.
    #[error("{0} cannot be the new name")]
    Target(NamePath),
    /// The descriptor does not follow from the one in force.
    #[error("the descriptor does not fit: {0}")]
    Descriptor(&'static str),
    /// The new anchors did not accept.
    #[error("the new anchors' signatures do not reach their own quorum")]
    Seats,
    /// Scopes nested too deep.
    #[error("scopes nest at most {max} deep")]
    Depth {
        /// The limit.
        max: u8,
    },
    /// The other scope's lineage holds no such transfer.
    #[error("no transfer of {0} to this path is recorded")]
    NoTransfer(Uid),
    /// The block that was offered recovers nothing.
    #[error("it cannot recover the scope: {0}")]
    Recovery(BadRecovery),
    /// A recovery of that height or a later one is in force, and stays so.
    #[error("a recovery of that height, or of a later one, is in force")]
    Recovered,
    /// It would not be public for long enough.
    #[error(
        "it would be in force from {due} on, before the {delay_secs} s are over for which it must be public"
    )]
    TooSoon {
        /// From when on.
        due: Timestamp,
        /// For how long, in seconds.
        delay_secs: u64,
    },
    /// Nothing is announced.
    #[error("no recovery is announced for {0}")]
    NoRecovery(NamePath),
    /// Its time has not come.
    #[error("the recovery can be confirmed from {0} on")]
    NotDue(Timestamp),
    /// The child goes on.
    #[error("the scope has gone on since at height {0}: its own anchors can be heard")]
    Vetoed(u64),
    /// What would prove the move cannot be made.
    #[error("the entry cannot move: {0}")]
    NoPassage(String),
}
