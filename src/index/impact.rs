//! `Impact`: what a proposal would change for those who ask and for those who govern, computed
//! from a staged copy before anything is in force.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::limits::{ANCHORS_MAX, GRANTS_MAX, OPS_PER_PROPOSAL_MAX, SETS_PER_NAME_MAX};
use crate::governance::access::{AccessChange, compare};
use crate::governance::anchor::AnchorId;
use crate::governance::descriptor::Descriptor;
use crate::governance::policy::{Class, Requirement};
use crate::namespace::path::NamePath;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::namespace::version_name::{Tag, Tagged};

use super::changeset::ChangeSet;
use super::entry::{Entry, Slot};
use super::state::ScopeNo;
use super::view::IndexView;

/// Names that one proposal can touch: a subtree rename touches the old and the new names, and each
/// change the empty names above it.
const NAMES_MAX: usize = 8 * OPS_PER_PROPOSAL_MAX;

/// What a name answers, as far as it matters to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answers {
    /// It does not exist.
    Nothing,
    /// It exists because names below it do.
    Empty,
    /// It has records.
    Records {
        /// Their types, in order.
        kinds: Vec<RecordType>,
        /// The longest TTL in seconds.
        ttl_max_secs: u32,
        /// The digest of the record sets.
        sets: Digest,
        /// How many names below it an NS set among them cuts off.
        cut_off: u64,
    },
    /// It leads to another name.
    Redirect {
        /// The scope of that name.
        scope: ScopeUid,
        /// Its path there.
        path: NamePath,
        /// Whether everything below goes along.
        subtree: bool,
    },
    /// Another scope answers for it and everything below.
    Delegated(ScopeUid),
    /// It has ended; nothing else answers instead.
    Retired,
}

impl Answers {
    fn of(slot: Option<&Slot>) -> Self {
        let Some(slot) = slot else {
            return Self::Nothing;
        };
        match &slot.entry {
            Some(Entry::Bound(version)) => {
                let mut sets = Encoder::new();
                sets.list(&version.sets);
                let ttls = version.sets.iter().map(|set| set.ttl().as_secs());
                Self::Records {
                    kinds: version.sets.iter().map(RecordSet::kind).collect(),
                    ttl_max_secs: ttls.max().unwrap_or(0),
                    sets: Digest::of_bytes("kedge/impact-sets/1", &sets.into_bytes()),
                    cut_off: version.set(RecordType::NS).map_or(0, |_| slot.below),
                }
            }
            Some(Entry::Moved(redirect)) => Self::Redirect {
                scope: redirect.scope,
                path: redirect.path.clone(),
                subtree: redirect.subtree,
            },
            Some(Entry::Delegated(child)) => Self::Delegated(*child),
            Some(Entry::Retired { .. }) => Self::Retired,
            None | Some(Entry::Reserved { .. }) if slot.below > 0 => Self::Empty,
            None | Some(Entry::Reserved { .. }) => Self::Nothing,
        }
    }

    /// How long resolvers may keep it, in seconds, as far as the entry says.
    const fn kept_secs(&self) -> u32 {
        match self {
            Self::Records { ttl_max_secs, .. } => *ttl_max_secs,
            _ => 0,
        }
    }
}

/// A name that would answer differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameImpact {
    /// The name, in the scope.
    pub path: NamePath,
    /// What it answers now.
    pub before: Answers,
    /// What it would answer.
    pub after: Answers,
}

/// A tag that would stand for another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagImpact {
    /// The entry's name, in the scope.
    pub path: NamePath,
    /// The tag.
    pub tag: Tag,
    /// The number of the version that has it now; 0 for none.
    pub before: u64,
    /// The number of the version that would have it; 0 for none.
    pub after: u64,
}

/// Something a person or a caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// An anchor's share of every decision.
    Vote(AnchorId),
    /// What the grant with this digest lets its key propose.
    Propose(Digest),
    /// To put changes of a class in force with less weight, or without waiting.
    Decide(Class),
    /// To ask.
    Ask,
}

/// What a proposal would change. The same proposal over a state that is the same where it matters
/// has the same impact: heights, times and new UIDs are no part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Impact {
    /// Names that would answer differently, in order.
    pub names: Vec<NameImpact>,
    /// Tags that would stand for other versions, in order.
    pub tags: Vec<TagImpact>,
    /// Entries that would get a new version, in order.
    pub entries: Vec<Uid>,
    /// How many entries would be new.
    pub registered: u64,
    /// Seconds for which resolvers may keep what was answered before.
    pub kept_secs: u32,
    /// What more would be allowed.
    pub widened: Vec<Permission>,
    /// What would no longer be allowed.
    pub narrowed: Vec<Permission>,
    /// The descriptor that would be in force, if another one.
    pub descriptor: Option<Digest>,
}

impl Impact {
    /// The digest that approvals name.
    pub fn digest(&self) -> Digest {
        Digest::of(self)
    }

    /// Compares a scope before and after staged changes.
    pub fn between<V: IndexView>(
        base: &V,
        scope: ScopeNo,
        changes: &ChangeSet,
    ) -> Result<Self, V::Error> {
        let mut impact = Self::default();
        for (path, after) in changes.slots.get(&scope).into_iter().flatten() {
            let before = base.slot(scope, path)?;
            impact.name(path, before.as_ref(), after.as_ref());
            impact.tagged(path, tags_of(before.as_ref()), tags_of(after.as_ref()));
        }
        for uid in changes.archive.keys().map(|(uid, _)| *uid) {
            // Versions of one entry are neighbours; new ones that end at once are not touched.
            if impact.entries.last() != Some(&uid) && base.locate(&uid)?.is_some() {
                impact.entries.push(uid);
            }
        }
        for uid in changes.locations.keys() {
            if base.locate(uid)?.is_none() {
                impact.registered += 1;
            }
        }
        let before = base.scope(scope)?;
        if let (Some(before), Some(after)) = (before, changes.scopes.get(&scope))
            && before.descriptor_digest != after.descriptor_digest
        {
            impact.descriptor = Some(after.descriptor_digest);
            impact.permissions(&before.descriptor, &after.descriptor);
        }
        Ok(impact)
    }

    fn name(&mut self, path: &NamePath, before: Option<&Slot>, after: Option<&Slot>) {
        let (before, after) = (Answers::of(before), Answers::of(after));
        // The scope's own name exists with and without records.
        let empty = |answers: &Answers| matches!(answers, Answers::Nothing | Answers::Empty);
        if before == after || (path.is_empty() && empty(&before) && empty(&after)) {
            return;
        }
        self.kept_secs = self.kept_secs.max(before.kept_secs());
        self.names.push(NameImpact {
            path: path.clone(),
            before,
            after,
        });
    }

    /// Compares the tags of what is bound at a path.
    fn tagged(&mut self, path: &NamePath, before: &[Tagged], after: &[Tagged]) {
        let number = |of: &[Tagged], tag: &Tag| {
            let tagged = of.iter().find(|tagged| tagged.tag == *tag);
            tagged.map_or(0, |tagged| tagged.number)
        };
        let mut all: Vec<&Tag> = before.iter().chain(after).map(|t| &t.tag).collect();
        all.sort_unstable();
        all.dedup();
        for tag in all {
            let (before, after) = (number(before, tag), number(after, tag));
            if before != after {
                let (path, tag) = (path.clone(), tag.clone());
                self.tags.push(TagImpact {
                    path,
                    tag,
                    before,
                    after,
                });
            }
        }
    }

    fn permissions(&mut self, before: &Descriptor, after: &Descriptor) {
        let share = |of: &Descriptor, id: &AnchorId| {
            of.anchors
                .get(id)
                .map_or(0, |anchor| u64::from(anchor.weight))
        };
        let both = before
            .anchors
            .anchors()
            .iter()
            .chain(after.anchors.anchors());
        let mut ids: Vec<AnchorId> = both.map(|anchor| anchor.id).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            // Shares, not weights: a group that grows makes each voice smaller.
            let was = share(before, &id) * after.anchors.total_weight();
            let is = share(after, &id) * before.anchors.total_weight();
            self.compare(is.cmp(&was), Permission::Vote(id));
        }
        for grant in &before.grants {
            if !after.grants.contains(grant) {
                self.narrowed.push(Permission::Propose(grant.digest()));
            }
        }
        for grant in &after.grants {
            if !before.grants.contains(grant) {
                self.widened.push(Permission::Propose(grant.digest()));
            }
        }
        for class in [Class::Routine, Class::Alias, Class::Governance] {
            let ease = |of: &Descriptor| {
                let rule = of.policy.rule(class);
                let weight = match rule.requirement {
                    Requirement::Author => 0,
                    Requirement::Approvals => of.weight_needed(class),
                };
                (weight, rule.delay_secs)
            };
            self.compare(ease(before).cmp(&ease(after)), Permission::Decide(class));
        }
        let AccessChange { widened, narrowed } = compare(
            before.scope_uid(),
            &before.policy.access,
            &after.policy.access,
        );
        // What a verb means and what the restricted see are words of the policy, not of its graph.
        let words = before.policy.restricted != after.policy.restricted
            || before.policy.verbs != after.policy.verbs;
        if widened || words {
            self.widened.push(Permission::Ask);
        }
        if narrowed || words {
            self.narrowed.push(Permission::Ask);
        }
    }

    fn compare(&mut self, more: std::cmp::Ordering, permission: Permission) {
        match more {
            std::cmp::Ordering::Greater => self.widened.push(permission),
            std::cmp::Ordering::Less => self.narrowed.push(permission),
            std::cmp::Ordering::Equal => {}
        }
    }
}

fn tags_of(slot: Option<&Slot>) -> &[Tagged] {
    match slot.and_then(|slot| slot.entry.as_ref()) {
        Some(Entry::Bound(version)) => &version.tags,
        _ => &[],
    }
}

impl Canonical for Answers {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Nothing => out.u8(0),
            Self::Empty => out.u8(1),
            Self::Records {
                kinds,
                ttl_max_secs,
                sets,
                cut_off,
            } => {
                out.u8(2);
                out.list(kinds);
                out.u32(*ttl_max_secs);
                sets.encode(out);
                out.u64(*cut_off);
            }
            Self::Redirect {
                scope,
                path,
                subtree,
            } => {
                out.u8(3);
                scope.encode(out);
                path.encode(out);
                out.bool(*subtree);
            }
            Self::Delegated(child) => {
                out.u8(4);
                child.encode(out);
            }
            Self::Retired => out.u8(5),
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Nothing,
            1 => Self::Empty,
            2 => Self::Records {
                kinds: input.list("record types", SETS_PER_NAME_MAX)?,
                ttl_max_secs: input.u32()?,
                sets: Digest::decode(input)?,
                cut_off: input.u64()?,
            },
            3 => Self::Redirect {
                scope: ScopeUid::decode(input)?,
                path: NamePath::decode(input)?,
                subtree: input.bool()?,
            },
            4 => Self::Delegated(ScopeUid::decode(input)?),
            5 => Self::Retired,
            tag => {
                return Err(DecodeError::Tag {
                    what: "kind of answers",
                    tag,
                });
            }
        })
    }
}

impl Canonical for NameImpact {
    fn encode(&self, out: &mut Encoder) {
        self.path.encode(out);
        self.before.encode(out);
        self.after.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            path: NamePath::decode(input)?,
            before: Answers::decode(input)?,
            after: Answers::decode(input)?,
        })
    }
}

impl Canonical for TagImpact {
    fn encode(&self, out: &mut Encoder) {
        self.path.encode(out);
        self.tag.encode(out);
        out.u64(self.before);
        out.u64(self.after);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            path: NamePath::decode(input)?,
            tag: Tag::decode(input)?,
            before: input.u64()?,
            after: input.u64()?,
        })
    }
}

impl Canonical for Permission {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Vote(anchor) => {
                out.u8(0);
                anchor.encode(out);
            }
            Self::Propose(grant) => {
                out.u8(1);
                grant.encode(out);
            }
            Self::Decide(class) => {
                out.u8(2);
                class.encode(out);
            }
            Self::Ask => out.u8(3),
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => AnchorId::decode(input).map(Self::Vote),
            1 => Digest::decode(input).map(Self::Propose),
            2 => Class::decode(input).map(Self::Decide),
            3 => Ok(Self::Ask),
            tag => Err(DecodeError::Tag {
                what: "permission",
                tag,
            }),
        }
    }
}

/// Both kinds of permissions that a descriptor can change.
const PERMISSIONS_MAX: usize = 2 * (ANCHORS_MAX + GRANTS_MAX) + 4;

impl Canonical for Impact {
    fn encode(&self, out: &mut Encoder) {
        out.list(&self.names);
        out.list(&self.tags);
        out.list(&self.entries);
        out.u64(self.registered);
        out.u32(self.kept_secs);
        out.list(&self.widened);
        out.list(&self.narrowed);
        out.option(self.descriptor.as_ref());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            names: input.list("names of an impact", NAMES_MAX)?,
            tags: input.list("tags of an impact", NAMES_MAX)?,
            entries: input.list("entries of an impact", NAMES_MAX)?,
            registered: input.u64()?,
            kept_secs: input.u32()?,
            widened: input.list("permissions", PERMISSIONS_MAX)?,
            narrowed: input.list("permissions", PERMISSIONS_MAX)?,
            descriptor: input.option()?,
        })
    }
}

impl Form for Impact {
    const LABEL: &'static str = "kedge/impact";
    const VERSION: u8 = 2;
}
