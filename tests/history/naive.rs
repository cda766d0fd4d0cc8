//! A naive model of governed names: one map, every rule a search over all of it.

use std::collections::BTreeMap;

use kedge::namespace::path::NamePath;
use kedge::namespace::record::RecordSet;
use kedge::namespace::rtype::RecordType;
use kedge::namespace::uid::Uid;

/// What a name holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Holds {
    Bound {
        uid: Uid,
        number: u64,
        sets: Vec<RecordSet>,
    },
    Redirect {
        uid: Option<Uid>,
        scope: u32,
        path: NamePath,
        subtree: bool,
    },
    Child(u32),
    Retired,
    Reserved(Uid),
}

/// A scope and a path.
pub(crate) type At = (u32, NamePath);

/// All names, and every version there ever was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Naive {
    pub(crate) names: BTreeMap<At, Holds>,
    pub(crate) versions: BTreeMap<(Uid, u64), Vec<RecordSet>>,
    pub(crate) labels: BTreeMap<u32, NamePath>,
    pub(crate) tags: BTreeMap<Uid, BTreeMap<String, u64>>,
}

fn has(sets: &[RecordSet], kind: RecordType) -> bool {
    sets.iter().any(|set| set.kind() == kind)
}

impl Naive {
    pub(crate) fn live(holds: &Holds) -> bool {
        !matches!(holds, Holds::Retired | Holds::Reserved(_))
    }

    pub(crate) fn live_below(&self, (scope, path): &At) -> u64 {
        let below = self.names.iter().filter(|((no, at), holds)| {
            no == scope && at != path && at.is_within(path) && Self::live(holds)
        });
        u64::try_from(below.count()).unwrap()
    }

    pub(crate) fn bound(&self, at: &At) -> Option<(Uid, u64, Vec<RecordSet>)> {
        match self.names.get(at) {
            Some(Holds::Bound { uid, number, sets }) => Some((*uid, *number, sets.clone())),
            _ => None,
        }
    }

    pub(crate) fn free(&self, at: &At) -> bool {
        let unused = matches!(self.names.get(at), None | Some(Holds::Retired));
        let speaks_for_all_below = |above: NamePath| match self.names.get(&(at.0, above)) {
            Some(Holds::Child(_)) => true,
            Some(Holds::Redirect { subtree, .. }) => *subtree,
            Some(Holds::Bound { sets, .. }) => has(sets, RecordType::DNAME),
            _ => false,
        };
        unused && !at.1.ancestors().any(speaks_for_all_below)
    }

    fn fits(&self, at: &At, sets: &[RecordSet]) -> bool {
        let alone = !has(sets, RecordType::CNAME) || (sets.len() == 1 && !at.1.is_empty());
        alone && (!has(sets, RecordType::DNAME) || self.live_below(at) == 0)
    }

    fn bind(&mut self, at: At, uid: Uid, number: u64, sets: Vec<RecordSet>) {
        self.versions.insert((uid, number), sets.clone());
        self.names.insert(at, Holds::Bound { uid, number, sets });
    }

    pub(crate) fn may_register(&self, at: &At, sets: &[RecordSet]) -> bool {
        self.free(at) && self.fits(at, sets) && !sets.is_empty()
    }

    pub(crate) fn register(&mut self, at: At, uid: Uid, sets: Vec<RecordSet>) {
        self.bind(at, uid, 1, sets);
    }

    pub(crate) fn update(&mut self, at: &At, change: &RecordSet) -> bool {
        let Some((uid, number, mut sets)) = self.bound(at) else {
            return false;
        };
        sets.retain(|set| set.kind() != change.kind());
        sets.push(change.clone());
        sets.sort_by_key(RecordSet::kind);
        let fits = self.fits(at, &sets);
        if fits {
            self.bind(at.clone(), uid, number + 1, sets);
        }
        fits
    }

    pub(crate) fn remove(&mut self, at: &At, kind: RecordType, may_empty: bool) -> bool {
        let Some((uid, number, mut sets)) = self.bound(at) else {
            return false;
        };
        sets.retain(|set| set.kind() != kind);
        let may = may_empty || !sets.is_empty();
        if may {
            self.bind(at.clone(), uid, number + 1, sets);
        }
        may
    }

    pub(crate) fn tag(&mut self, at: &At, tag: &str, version: Option<u64>) -> bool {
        let Some((uid, number, sets)) = self.bound(at) else {
            return false;
        };
        let tags = self.tags.entry(uid).or_default();
        let before = tags.clone();
        match version {
            Some(version) if version == 0 || version > number => return false,
            Some(version) => tags.insert(tag.to_owned(), version),
            None => tags.remove(tag),
        };
        let changed = *tags != before;
        if changed {
            self.bind(at.clone(), uid, number + 1, sets);
        }
        changed
    }

    /// Gives an entry the record sets of the version before its head, as a new version.
    pub(crate) fn undo(&mut self, at: &At) -> bool {
        let Some((uid, number, sets)) = self.bound(at) else {
            return false;
        };
        let older = self.versions.get(&(uid, number - 1)).cloned();
        let Some(older) = older.filter(|older| *older != sets) else {
            return false;
        };
        let fits = self.fits(at, &older);
        if fits {
            self.bind(at.clone(), uid, number + 1, older);
        }
        fits
    }

    pub(crate) fn retire(&mut self, at: &At) -> bool {
        match self.names.get(at) {
            Some(Holds::Bound { uid, number, .. }) => {
                self.versions.insert((*uid, number + 1), Vec::new());
            }
            Some(Holds::Redirect { .. }) => {}
            Some(Holds::Reserved(_)) => {
                self.names.remove(at);
                return true;
            }
            _ => return false,
        }
        self.names.insert(at.clone(), Holds::Retired);
        true
    }

    pub(crate) fn rename(&mut self, from: &At, to: &NamePath, subtree: bool) -> bool {
        let new = (from.0, to.clone());
        if from.1.is_empty() || to.is_within(&from.1) || !self.free(&new) {
            return false;
        }
        let mut redirect = Holds::Redirect {
            uid: None,
            scope: from.0,
            path: to.clone(),
            subtree: true,
        };
        match self.names.get(from).cloned() {
            Some(Holds::Child(child)) => {
                if to.label_count() != 1 || self.live_below(&new) > 0 {
                    return false;
                }
                self.labels.insert(child, to.clone());
                self.names.insert(new, Holds::Child(child));
            }
            _ if subtree => {
                if !self.move_subtree(from, to) {
                    return false;
                }
            }
            Some(Holds::Bound { uid, number, sets }) => {
                if !self.fits(&new, &sets) {
                    return false;
                }
                self.bind(new, uid, number + 1, sets);
                redirect = Holds::Redirect {
                    uid: Some(uid),
                    scope: from.0,
                    path: to.clone(),
                    subtree: false,
                };
            }
            _ => return false,
        }
        self.names.insert(from.clone(), redirect);
        true
    }

    fn move_subtree(&mut self, from: &At, to: &NamePath) -> bool {
        let moving: Vec<(At, Holds)> = self
            .names
            .iter()
            .filter(|((no, at), _)| *no == from.0 && at.is_within(&from.1))
            .map(|(at, holds)| (at.clone(), holds.clone()))
            .collect();
        if moving.is_empty() || self.live_below(&(from.0, to.clone())) > 0 {
            return false;
        }
        for (at, _) in &moving {
            self.names.remove(at);
        }
        for ((no, at), holds) in moving {
            let at = (no, at.rebase(&from.1, to).unwrap());
            match holds {
                Holds::Bound { uid, number, sets } => self.bind(at, uid, number + 1, sets),
                other => {
                    self.names.insert(at, other);
                }
            }
        }
        true
    }

    pub(crate) fn delegate(&mut self, parent: u32, label: &NamePath, child: u32) -> bool {
        let at = (parent, label.clone());
        let may = self.free(&at) && self.live_below(&at) == 0;
        if may {
            self.names.insert(at, Holds::Child(child));
            self.labels.insert(child, label.clone());
        }
        may
    }

    /// Reserve, transfer, adopt; where the last is refused, the first two stand.
    pub(crate) fn move_entry(&mut self, from: &At, to: &At) -> bool {
        let Some((uid, number, sets)) = self.bound(from) else {
            return false;
        };
        if !self.free(to) {
            return false;
        }
        let redirect = Holds::Redirect {
            uid: Some(uid),
            scope: to.0,
            path: to.1.clone(),
            subtree: false,
        };
        self.names.insert(to.clone(), Holds::Reserved(uid));
        self.names.insert(from.clone(), redirect);
        let arrives = self.fits(to, &sets);
        if arrives {
            self.bind(to.clone(), uid, number + 1, sets);
        }
        arrives
    }
}
